// Package gitea runs a real Gitea, built from its Go module, for tests: people, repositories, pull requests and webhooks
// by its own API, pushes over HTTP. Everybody reaches it through a Door, which counts what is asked and can be shut.
package gitea

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/refract-dev/refract/test/controlplane"
	"github.com/refract-dev/refract/test/world"
)

// Server is a Gitea of its own, which ends with the test's process.
type Server struct {
	// Door is where everybody reaches it.
	Door *Door
	// Admin may do anything.
	Admin *Person

	dir    string
	binary string
	as     *syscall.Credential

	tokens sync.Map // to the name of who has it

	mu      sync.Mutex
	program *world.Program
	doors   []*Door
}

// Start builds Gitea if the cache does not hold it, which takes minutes, and starts one with an administrator. ctx bounds
// only the start. Gitea does not run as root: then it runs as nobody, from a copy.
func Start(ctx context.Context) (*Server, error) {
	s := &Server{}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("preparing Gitea: %w", err), s.Close())
	}
	if err := s.Run(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting Gitea: %w", err), s.Close())
	}
	admin, err := s.administrator(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making Gitea's administrator: %w", err), s.Close())
	}
	s.Admin = admin
	return s, nil
}

// URL is the address that people open, without a slash at the end.
func (s *Server) URL() string { return s.Door.URL() }

func (s *Server) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "unix", s.socket())
}

// NewDoor opens one more door, which is counted and shut by itself.
func (s *Server) NewDoor() *Door {
	d := newDoor(&s.tokens, s.dial)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doors = append(s.doors, d)
	return d
}

// Run starts Gitea again after Stop, and waits until it answers.
func (s *Server) Run(ctx context.Context) error {
	p, err := world.Spawn(ctx, s.dir, world.Command{
		Name: "gitea", Path: s.binary, Args: []string{"web", "--config", s.config()}, Env: s.environment(), As: s.as, Ready: s.answers,
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.program = p
	return nil
}

// Stop kills Gitea, as a crash would. What it holds is there again after Run.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.program != nil {
		s.program.Kill()
		s.program = nil
	}
}

// Tail is the end of Gitea's log.
func (s *Server) Tail() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.program == nil {
		return "Gitea does not run"
	}
	return s.program.Tail(60)
}

// Close ends Gitea and removes all that it holds.
func (s *Server) Close() error {
	s.Stop()
	if s.Door != nil {
		s.Door.close()
	}
	for _, d := range s.doors {
		d.close()
	}
	if s.dir == "" {
		return nil
	}
	return os.RemoveAll(s.dir)
}

func (s *Server) config() string { return filepath.Join(s.dir, "app.ini") }
func (s *Server) socket() string { return filepath.Join(s.dir, "http.sock") }

// environment keeps Gitea out of the caller's home.
func (s *Server) environment() []string {
	return []string{"HOME=" + s.dir, "USER=" + nobody, "GITEA_WORK_DIR=" + s.dir, "GIT_CONFIG_NOSYSTEM=1"}
}

func (s *Server) answers(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/api/healthz", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	if err := res.Body.Close(); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("healthz says %s", res.Status)
	}
	return nil
}

// nobody is whom Gitea runs as when we are root, which it refuses to be.
const nobody = "nobody"

// prepare makes a directory with all that Gitea needs, readable for whom it will run as.
func (s *Server) prepare(ctx context.Context) error {
	builder, err := controlplane.New(ctx, os.Stderr)
	if err != nil {
		return err
	}
	built, err := builder.Build(ctx, controlplane.Gitea)
	if err != nil {
		return err
	}
	files, err := builder.GiteaFiles(ctx)
	if err != nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "refract-gitea-"); err != nil {
		return err
	}
	s.Door = newDoor(&s.tokens, s.dial)
	for _, folder := range []string{"templates", "options", "public"} {
		if err := os.CopyFS(filepath.Join(s.dir, "static", folder), os.DirFS(filepath.Join(files, folder))); err != nil {
			return fmt.Errorf("copying %s: %w", folder, err)
		}
	}
	if err := os.WriteFile(s.config(), []byte(s.settings()), 0o600); err != nil {
		return err
	}
	s.binary = built[0].Path
	if os.Getuid() == 0 {
		return s.giveAway()
	}
	return nil
}

// giveAway hands the directory to nobody, with a copy of the program: the cache may be below a home that nobody enters.
func (s *Server) giveAway() error {
	account, err := user.Lookup(nobody)
	if err != nil {
		return fmt.Errorf("this is root, as which Gitea refuses to run, and there is no other: %w", err)
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	program, readErr := os.ReadFile(s.binary)
	if err := errors.Join(uidErr, gidErr, readErr); err != nil {
		return err
	}
	s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	s.binary = filepath.Join(s.dir, "gitea")
	if err := os.WriteFile(s.binary, program, 0o755); err != nil { //nolint:gosec // it is to be run
		return err
	}
	return filepath.WalkDir(s.dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(uid), int(gid)) //nolint:gosec // two numbers of 32 bits
	})
}

// settings keep Gitea small, and off everything but this machine. Its pages are short, so that a few things fill several.
func (s *Server) settings() string {
	return strings.NewReplacer("DIR", s.dir, "SOCKET", s.socket(), "URL", s.URL(), "SECRET", secret(), "TOKEN", secret()).Replace(`
RUN_MODE = prod
WORK_PATH = DIR
[server]
PROTOCOL = http+unix
HTTP_ADDR = SOCKET
ROOT_URL = URL/
STATIC_ROOT_PATH = DIR/static
APP_DATA_PATH = DIR/data
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = DIR/data/gitea.db
[security]
INSTALL_LOCK = true
SECRET_KEY = SECRET
INTERNAL_TOKEN = TOKEN
[service]
DISABLE_REGISTRATION = true
[repository]
DEFAULT_BRANCH = main
[api]
MAX_RESPONSE_ITEMS = 5
DEFAULT_PAGING_NUM = 3
[webhook]
ALLOWED_HOST_LIST = loopback
[indexer]
ISSUE_INDEXER_TYPE = db
[cron]
ENABLED = false
[actions]
ENABLED = false
[packages]
ENABLED = false
[log]
MODE = console
LEVEL = Warn
`)
}

func secret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // Never fails.
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// administrator makes the first person by Gitea's own command: nobody else may.
func (s *Server) administrator(ctx context.Context) (*Person, error) {
	admin := &Person{server: s, Name: "gitea-admin", password: secret()}
	cmd := exec.CommandContext(ctx, s.binary, "admin", "user", "create", "--config", s.config(), "--admin", "--username", admin.Name, //nolint:gosec // the program that we built
		"--email", admin.Name+"@example.com", "--password", admin.password, "--must-change-password=false")
	cmd.Env = append(os.Environ(), s.environment()...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	return admin, admin.enter(ctx, "all")
}
