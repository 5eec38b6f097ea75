package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// WebhookHostVariable is the environment variable that names the address on which the managers built here serve
// webhooks. No manager has a flag for it, and unpatched they listen on every interface.
const WebhookHostVariable = "WEBHOOK_HOST"

const (
	controllerRuntime = "sigs.k8s.io/controller-runtime"
	webhookAnchor     = "func (o *Options) setDefaults() {\n"
	webhookPatch      = "\tif o.Host == \"\" {\n\t\to.Host = os.Getenv(\"" + WebhookHostVariable + "\")\n\t}\n"
)

var errAnchor = errors.New("the place to patch was not found exactly once; the patch needs to be looked at for this release")

// patchWebhookHost makes controller-runtime's webhook server take its default address from the environment.
func patchWebhookHost(source []byte) ([]byte, error) {
	if bytes.Count(source, []byte(webhookAnchor)) != 1 || !bytes.Contains(source, []byte("\n\t\"os\"\n")) {
		return nil, errAnchor
	}
	return bytes.Replace(source, []byte(webhookAnchor), []byte(webhookAnchor+webhookPatch), 1), nil
}

// change is one file of one module that is built otherwise than released.
type change struct {
	module, file string
	patch        func([]byte) ([]byte, error)
}

// changes are those with which the programs of a nested module are built.
func changes(nested string) []change {
	all := []change{{controllerRuntime, "pkg/webhook/server.go", patchWebhookHost}}
	if nested == paceModule {
		all = append(all, change{capiModule, paceFile, patchPace})
	}
	return all
}

// patchedModfile writes copies of what is changed, and copies of the nested module's go.mod and go.sum that use them,
// below dir. It returns the path of that go.mod, for go build -modfile.
func (b *Builder) patchedModfile(ctx context.Context, module, dir string) (string, error) {
	source := filepath.Join(b.Source, module)
	mod, err := os.ReadFile(filepath.Join(source, "go.mod")) //nolint:gosec // a file of our own tree
	if err != nil {
		return "", fmt.Errorf("reading go.mod: %w", err)
	}
	for _, c := range changes(module) {
		patched, failed := b.changed(ctx, module, dir, c)
		if failed != nil {
			return "", failed
		}
		mod = append(mod, "\nreplace "+c.module+" => "+strconv.Quote(patched)+"\n"...)
	}
	sum, err := os.ReadFile(filepath.Join(source, "go.sum")) //nolint:gosec // a file of our own tree
	if err != nil {
		return "", fmt.Errorf("reading go.sum: %w", err)
	}
	modfile := filepath.Join(dir, "patched.mod")
	return modfile, errors.Join(
		os.WriteFile(modfile, mod, 0o600),                                    //nolint:gosec // below our cache
		os.WriteFile(strings.TrimSuffix(modfile, ".mod")+".sum", sum, 0o600), //nolint:gosec // as above
	)
}

// changed writes a copy of a module with a change, below dir, and returns its path.
func (b *Builder) changed(ctx context.Context, nested, dir string, c change) (string, error) {
	original, err := b.moduleDir(ctx, nested, c.module)
	if err != nil {
		return "", err
	}
	patched := filepath.Join(dir, filepath.Base(c.module))
	if err = copyModule(original, patched); err != nil {
		return "", err
	}
	file := filepath.Join(patched, filepath.FromSlash(c.file))
	text, err := os.ReadFile(file) //nolint:gosec // below our cache
	if err != nil {
		return "", fmt.Errorf("reading what is to be changed: %w", err)
	}
	if text, err = c.patch(text); err != nil {
		return "", fmt.Errorf("patching %s/%s: %w", original, c.file, err)
	}
	if err = os.WriteFile(file, text, 0o600); err != nil {
		return "", fmt.Errorf("writing %s: %w", file, err)
	}
	return patched, nil
}

// copyModule copies what a build needs of a module; files in the module cache are read-only, their copies are not.
func copyModule(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return fmt.Errorf("clearing %s: %w", to, err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return fmt.Errorf("copying module %s: %w", from, err)
	}
	return filepath.WalkDir(to, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.Chmod(path, 0o700) //nolint:gosec // a directory
		}
		return os.Chmod(path, 0o600) //nolint:gosec // a copy that only we write
	})
}
