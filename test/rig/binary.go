package rig

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
)

// Binary builds the program into dir and returns its path. It is compiled as the tests are, which finds that work done.
func Binary(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "refract")
	return path, Build(ctx, Root(), path)
}

// Build builds the program of a tree into path. The flags are those of go build.
func Build(ctx context.Context, root, path string, flags ...string) error {
	cmd := exec.CommandContext(ctx, "go", slices.Concat([]string{"build", "-o", path}, flags, []string{"."})...) //nolint:gosec // our own program
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the operator: %w: %s", err, out)
	}
	return nil
}
