package rig

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// Binary builds the program into dir and returns its path. It is compiled as the tests are, which finds that work done.
func Binary(ctx context.Context, dir string) (string, error) {
	for _, place := range []string{"main.go", "go.mod", "go.sum", "api", "charts", "config", "controllers", "gitsource", "render"} {
		if err := Uses(filepath.Join(Root(), place)); err != nil {
			return "", err
		}
	}
	path := filepath.Join(dir, "refract")
	return path, Build(ctx, Root(), path)
}

// Uses tells Go's test cache that a test's result depends on a file or on everything below a directory of the module,
// which another process reads for it. The cache sees by itself only what the test's own process opens.
func Uses(place string) error {
	err := filepath.WalkDir(place, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		_, err = os.Stat(path)
		return err
	})
	if err != nil {
		return fmt.Errorf("noting what a test uses: %w", err)
	}
	return nil
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
