package rig

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// Binary builds the program into dir and returns its path. It is compiled as the tests are, which finds that work done.
func Binary(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "refract")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, ".") //nolint:gosec // our own program
	cmd.Dir = Root()
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the operator: %w: %s", err, out)
	}
	return path, nil
}
