package controlplane

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// recipe is part of every key; raise it when the way of building changes without a change of a hashed file.
const recipe = "2"

// key names the directory of one nested module's results. It covers all that shapes them: the module's go.mod, go.sum
// and own sources, the programs' flags and patch, the Go release and the platform.
func key(module, dir, toolchain string) (string, error) {
	sum := sha256.New()
	say(sum, "recipe %s\ntoolchain %s\npatch %q\n", recipe, toolchain, webhookPatch)
	if module == paceModule {
		say(sum, "pace %q\n", pacePatch)
	}
	for _, p := range programs() {
		if p.module == module {
			say(sum, "program %+v\n", p)
			if tags[p.name] != "" {
				say(sum, "tags %s\n", tags[p.name])
			}
		}
	}
	sources, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", fmt.Errorf("listing the sources of %s: %w", dir, err)
	}
	slices.Sort(sources)
	for _, file := range append(sources, filepath.Join(dir, "go.mod"), filepath.Join(dir, "go.sum")) {
		if err := hashFile(sum, file); err != nil {
			return "", fmt.Errorf("hashing nested module %s: %w", module, err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

func hashFile(sum io.Writer, file string) error {
	data, err := os.ReadFile(file) //nolint:gosec // a file of our own tree
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(sum, "file %s %d\n%s", filepath.Base(file), len(data), data)
	return err
}
