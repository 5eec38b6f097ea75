package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// CacheVariable names the environment variable that moves the cache; by default it is the user's cache directory.
const CacheVariable = "REFRACT_CACHE"

// AssetsVariable names a directory with ready etcd, kube-apiserver and kubectl binaries, which are then not built.
const AssetsVariable = "KUBEBUILDER_ASSETS"

// minGo is the lowest Go release, as 1.minGo, that the nested modules build with.
const minGo = 26

// Builder builds programs into a cache. Make it with New.
type Builder struct {
	// Source is the directory that holds the nested modules.
	Source string
	// Cache is the directory that holds what was built, one directory per module and key.
	Cache string
	// Out receives the progress.
	Out io.Writer

	toolchain string // go version, system and architecture
}

// Built is a program that is ready to run.
type Built struct {
	// Name is the program's name, as in All.
	Name string
	// Path is the executable file.
	Path string
	// Took is how long the build lasted; zero if it was found ready.
	Took time.Duration
}

// New finds the nested modules, the cache and the Go toolchain. It fails, naming what is missing, if there is no Go of
// at least 1.26 on the PATH or the sources of this package are not on this machine.
func New(ctx context.Context, out io.Writer) (*Builder, error) {
	if out == nil {
		out = io.Discard
	}
	b := &Builder{Out: out, Cache: os.Getenv(CacheVariable)}
	if b.Cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("no place for the cache, set %s: %w", CacheVariable, err)
		}
		b.Cache = filepath.Join(user, "refract")
	}
	var err error
	if b.Cache, err = filepath.Abs(filepath.Join(b.Cache, "controlplane")); err != nil {
		return nil, fmt.Errorf("cache directory: %w", err)
	}
	if b.Source, err = sourceDir(ctx); err != nil {
		return nil, err
	}
	if b.toolchain, err = toolchain(ctx); err != nil {
		return nil, err
	}
	return b, nil
}

// Build makes the named programs ready, building those that the cache does not hold. Processes that build the same
// module at the same time wait for one another. The result is in the order of names.
func (b *Builder) Build(ctx context.Context, names ...string) ([]Built, error) {
	ready := make([]Built, 0, len(names))
	for _, name := range names {
		p, ok := find(name)
		if !ok {
			return nil, fmt.Errorf("no program is called %q; there are %s", name, strings.Join(All(), ", "))
		}
		built, err := b.ensure(ctx, p)
		if err != nil {
			return nil, err
		}
		ready = append(ready, built)
	}
	return ready, nil
}

// ensure returns the program from $KUBEBUILDER_ASSETS, from the cache, or builds it.
func (b *Builder) ensure(ctx context.Context, p program) (Built, error) {
	if assets := os.Getenv(AssetsVariable); p.asset && assets != "" {
		if path := filepath.Join(assets, p.name); isFile(path) {
			return Built{Name: p.name, Path: path}, nil
		}
	}
	dir, err := b.moduleCache(p.module)
	if err != nil {
		return Built{}, err
	}
	path := filepath.Join(dir, p.name)
	if isFile(path) {
		return Built{Name: p.name, Path: path}, nil
	}
	unlock, err := b.lock(ctx, dir, p.name)
	if err != nil {
		return Built{}, err
	}
	defer unlock()
	if isFile(path) { // somebody else built it while we waited
		return Built{Name: p.name, Path: path}, nil
	}
	took, err := b.compile(ctx, p, dir)
	return Built{Name: p.name, Path: path, Took: took}, err
}

// moduleCache returns the directory for the results of one nested module, and makes it.
func (b *Builder) moduleCache(module string) (string, error) {
	k, err := key(module, filepath.Join(b.Source, module), b.toolchain)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(b.Cache, module+"-"+k)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", fmt.Errorf("making the cache directory: %w", err)
	}
	return dir, nil
}

func (b *Builder) lock(ctx context.Context, dir, what string) (func(), error) {
	return lock(ctx, filepath.Join(dir, "lock"), func() {
		say(b.Out, "waiting for another process that builds %s\n", what)
	})
}

// compile builds into a temporary file and renames it, so that a broken build never looks like a finished one.
func (b *Builder) compile(ctx context.Context, p program, dir string) (time.Duration, error) {
	temporary := filepath.Join(dir, "."+p.name+".tmp")
	args := []string{"build", "-mod=readonly", "-trimpath", "-buildvcs=false", p.compilerFlags(), "-ldflags", strings.TrimSpace("-s -w " + p.ldflags), "-o", temporary}
	since := stopwatch()
	done := progress(b.Out, heartbeat, fmt.Sprintf("building %s %s", p.name, p.version))
	err := func() error {
		if p.patched {
			modfile, err := b.patchedModfile(ctx, p.module, dir)
			if err != nil {
				return err
			}
			args = append(args, "-modfile="+modfile)
		}
		if _, err := b.run(ctx, p.module, p.environment(), append(args, "-tags="+tags[p.name], p.pkg)...); err != nil {
			return err
		}
		return os.Rename(temporary, filepath.Join(dir, p.name))
	}()
	if err != nil {
		done("failed")
		_ = os.Remove(temporary)
		return 0, fmt.Errorf("building %s %s: %w", p.name, p.version, err)
	}
	done("done")
	return max(since(), time.Second), nil
}

// moduleDir returns where the sources of a module, at the version that a nested module pins, are on disk.
func (b *Builder) moduleDir(ctx context.Context, nested, module string) (string, error) {
	if _, err := b.goCommand(ctx, nested, "mod", "download", module); err != nil {
		return "", fmt.Errorf("downloading %s: %w", module, err)
	}
	out, err := b.goCommand(ctx, nested, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return "", fmt.Errorf("looking for %s: %w", module, err)
	}
	return strings.TrimSpace(out), nil
}

// goCommand runs go in a nested module and returns its standard output; an error carries the end of what go said.
func (b *Builder) goCommand(ctx context.Context, module string, args ...string) (string, error) {
	return b.run(ctx, module, "CGO_ENABLED=0", args...)
}

func (b *Builder) run(ctx context.Context, module, environment string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // arguments are our own
	cmd.Dir = filepath.Join(b.Source, module)
	cmd.Env = append(os.Environ(), environment, "GOWORK=off")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s in %s: %w\n%s", args[0], cmd.Dir, err, tail(stderr.String(), 20))
	}
	return stdout.String(), nil
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func isFile(path string) bool {
	info, err := os.Stat(path) //nolint:gosec // below our cache or named by the caller
	return err == nil && info.Mode().IsRegular()
}

// sourceDir finds this package's directory: where the compiler saw it or, built with -trimpath, by asking go.
func sourceDir(ctx context.Context) (string, error) {
	if _, file, _, ok := runtime.Caller(0); ok && isFile(file) {
		return filepath.Dir(file), nil
	}
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/refract-dev/refract").Output()
	if err != nil {
		return "", fmt.Errorf("the sources of the nested modules are needed, run this inside the repository: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "test", "controlplane"), nil
}

// toolchain asks go for its release and platform and refuses one that is too old.
func toolchain(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH").Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("go is not on the PATH; install Go 1.%d or newer: %w", minGo, err)
	}
	if err != nil {
		return "", fmt.Errorf("asking go for its version: %w", err)
	}
	fields := strings.Fields(string(out))
	if len(fields) != 3 || !newEnough(fields[0]) {
		return "", fmt.Errorf("go 1.%d or newer is needed, this is %s", minGo, strings.Join(fields, " "))
	}
	return strings.Join(fields, " "), nil
}

// newEnough reads a Go release such as go1.26.8 or go1.27rc1. A development version is taken as new.
func newEnough(version string) bool {
	rest, release := strings.CutPrefix(version, "go1.")
	if !release {
		return strings.HasPrefix(version, "devel") || strings.HasPrefix(version, "go2")
	}
	digits := rest
	if end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		digits = rest[:end]
	}
	minor, err := strconv.Atoi(digits)
	return err == nil && minor >= minGo
}
