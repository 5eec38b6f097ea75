package controlplane

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

func module(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestKey(t *testing.T) {
	base := map[string]string{"go.mod": "module m", "go.sum": "s", "main.go": "package main"}
	with := func(name, text string) map[string]string {
		files := map[string]string{name: text}
		for k, v := range base {
			if k != name {
				files[k] = v
			}
		}
		return files
	}
	of := func(t *testing.T, nested, toolchain string, files map[string]string) string {
		t.Helper()
		k, err := key(nested, module(t, files), toolchain)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	want := of(t, "workload", "go1.26.8", base)
	cases := map[string]struct {
		reason            string
		module, toolchain string
		files             map[string]string
		same              bool
	}{
		"SameInput":      {"the key does not depend on where the module is", "workload", "go1.26.8", base, true},
		"OtherFile":      {"a file that is not built changes nothing", "workload", "go1.26.8", with("README.md", "x"), true},
		"GoMod":          {"another pin is another result", "workload", "go1.26.8", with("go.mod", "module n"), false},
		"GoSum":          {"another sum is another result", "workload", "go1.26.8", with("go.sum", "t"), false},
		"Source":         {"another source is another result", "workload", "go1.26.8", with("main.go", "package x"), false},
		"NewSource":      {"one more source is another result", "workload", "go1.26.8", with("more.go", "package main"), false},
		"Toolchain":      {"another Go is another result", "workload", "go1.26.9", base, false},
		"OtherPrograms":  {"flags and packages are part of the key", "kubernetes", "go1.26.8", base, false},
		"PatchedModules": {"so is whether a module is patched", "capi", "go1.26.8", base, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := of(t, c.module, c.toolchain, c.files); (got == want) != c.same {
				t.Errorf("%s: key %s, first %s", c.reason, got, want)
			}
		})
	}
	if _, err := key("workload", t.TempDir(), "go1.26.8"); err == nil {
		t.Error("a module without go.mod has no key")
	}
}

// The versions shown and stamped must be the ones that the nested modules pin.
func TestVersionsArePinned(t *testing.T) {
	for _, p := range programs() {
		mod, err := os.ReadFile(filepath.Join(p.module, "go.mod"))
		if err != nil {
			t.Fatal(err)
		}
		pin := regexp.MustCompile(`(?m)^(require)?\s+` + regexp.QuoteMeta(p.pinned) + ` ` + regexp.QuoteMeta(p.version) + `( //.*)?$`)
		if !pin.Match(mod) {
			t.Errorf("%s/go.mod does not pin %s %s", p.module, p.pinned, p.version)
		}
		if strings.Contains(string(mod), "=> .") || strings.Contains(string(mod), "=> /") {
			t.Errorf("%s/go.mod replaces a module by a directory", p.module)
		}
	}
}

func TestLockKeepsOthersOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), path, func() { t.Error("nobody holds the lock") })
	if err != nil {
		t.Fatal(err)
	}
	waiting, order := make(chan struct{}), make(chan string, 2)
	var second sync.WaitGroup
	second.Go(func() {
		release, failed := lock(t.Context(), path, func() { close(waiting) })
		if failed != nil {
			t.Error(failed)
			return
		}
		order <- "second"
		release()
	})
	<-waiting
	order <- "first"
	unlock()
	second.Wait()
	if got := <-order; got != "first" {
		t.Errorf("%s came first", got)
	}

	held, err := lock(t.Context(), path, func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer held()
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := lock(ctx, path, cancel); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a cancelled wait names the lock: %v", err)
	}
}

func TestProgressHasHeartbeats(t *testing.T) {
	out := &lines{seen: make(chan string, 100)}
	done := progress(out, time.Millisecond, "building x v1")
	for want := range 3 { // the start and two heartbeats
		if line := <-out.seen; !strings.HasPrefix(line, "building x v1 …") {
			t.Errorf("line %d: %q", want, line)
		}
	}
	done("done")
	last := ""
	for len(out.seen) > 0 {
		last = <-out.seen
	}
	if !strings.Contains(last, "done after") {
		t.Errorf("last line %q", last)
	}
}

type lines struct{ seen chan string }

func (l *lines) Write(p []byte) (int, error) {
	select {
	case l.seen <- string(p):
	default:
		return 0, fmt.Errorf("more output than expected")
	}
	return len(p), nil
}
