package gitsource

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/fluxcd/pkg/gittestserver"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // The test server logs every request.
	os.Exit(m.Run())
}

// work is a working copy whose commits are pushed to a bare repository.
type work struct {
	t         *testing.T
	dir, bare string
}

// newWork makes the bare repository root/name and a working copy of it.
func newWork(t *testing.T, root, name string) *work {
	t.Helper()
	w := &work{t: t, dir: t.TempDir(), bare: filepath.Join(root, name)}
	w.run("init", "-q", "--bare", "-b", "main", w.bare)
	w.run("init", "-q", "-b", "main", ".")
	w.run("remote", "add", "origin", w.bare)
	return w
}

func (w *work) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(w.t.Context(), "git", args...)
	cmd.Dir = w.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Test", "GIT_AUTHOR_EMAIL=test@example.com",
		"GIT_COMMITTER_NAME=Test", "GIT_COMMITTER_EMAIL=test@example.com",
	}
	return cmd
}

func (w *work) run(args ...string) string {
	w.t.Helper()
	cmd := w.command(args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

func (w *work) write(name, content string) {
	w.t.Helper()
	p := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// push commits everything in the working copy and returns the commit.
func (w *work) push(message string) string {
	w.t.Helper()
	w.run("add", "-A")
	w.run("commit", "-q", "--allow-empty", "-m", message)
	w.run("push", "-q", "origin", "HEAD", "--tags")
	return w.run("rev-parse", "HEAD")
}

// commit writes one file and pushes it.
func (w *work) commit(name, content string) string {
	w.t.Helper()
	w.write(name, content)
	return w.push("change " + name)
}

// wire counts what reaches a test server.
type wire struct {
	mu       sync.Mutex
	listings int
	packs    []string // The bodies of the requests
	refuse   string   // A commit that the server does not hand out by its hash
}

func (c *wire) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		switch r.Method {
		case http.MethodGet:
			c.listings++
		default:
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			c.packs = append(c.packs, string(body))
		}
		refused := r.Method == http.MethodPost && c.refuse != "" && len(c.packs) > 0 && strings.Contains(c.packs[len(c.packs)-1], "want "+c.refuse)
		c.mu.Unlock()
		if refused {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			line := "ERR upload-pack: not our ref " + c.refuse
			_, _ = fmt.Fprintf(w, "%04x%s", len(line)+4, line)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// since returns and forgets what was counted.
func (c *wire) since() (listings int, packs []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	listings, packs = c.listings, c.packs
	c.listings, c.packs = 0, nil
	return listings, packs
}

// httpServer is a smart HTTP server on loopback that counts.
func httpServer(t *testing.T, configure func(*gittestserver.GitServer)) (*gittestserver.GitServer, *wire) {
	t.Helper()
	s, c := gittestserver.NewGitServer(t.TempDir()), &wire{}
	s.AddHTTPMiddlewares(c.middleware)
	if configure != nil {
		configure(s)
	}
	if err := s.StartHTTP(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.StopHTTP)
	return s, c
}

func open(t *testing.T, o Options) *Repository {
	t.Helper()
	o.AllowInsecure = true
	r, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustSnapshot(t *testing.T, r *Repository, ref Ref) Snapshot {
	t.Helper()
	snap, err := r.Snapshot(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// wantContent checks a.yaml, the file whose content tells revisions apart.
func wantContent(t *testing.T, snap Snapshot, want string) {
	t.Helper()
	const name = "a.yaml"
	got, err := fs.ReadFile(snap.Files, name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s = %q, want %q", name, got, want)
	}
}

var branchMain = Ref{Branch: "main"}
