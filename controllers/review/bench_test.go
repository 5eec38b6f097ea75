package review

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/gitsource"
	"github.com/refract-dev/refract/gitsource/forge"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/plan/view"
)

// repository is a bare one with a clone, as on a forge: pull requests are refs in it.
type repository struct {
	t          *testing.T
	clone, dir string
}

func newRepository(t *testing.T) *repository {
	t.Helper()
	r := &repository{t: t, dir: filepath.Join(t.TempDir(), "fleet.git"), clone: filepath.Join(t.TempDir(), "clone")}
	r.git("init", "-q", "--bare", "-b", "main", r.dir)
	r.git("init", "-q", "-b", "main", r.clone)
	r.in("remote", "add", "origin", r.dir)
	r.in("config", "user.name", "Platform")
	r.in("config", "user.email", "platform@example.com")
	return r
}

func (r *repository) git(args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "git", args...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *repository) in(args ...string) string {
	r.t.Helper()
	return r.git(append([]string{"-C", r.clone}, args...)...)
}

// commit writes files on a ref, new from main when it does not exist, pushes it and gives the commit.
func (r *repository) commit(ref string, files map[string]string) string {
	r.t.Helper()
	r.in("fetch", "-q", "origin", "+refs/*:refs/remotes/all/*")
	from := "remotes/all/" + strings.TrimPrefix(ref, "refs/")
	if !strings.Contains(r.in("for-each-ref", "--format=%(refname)"), "refs/"+from+"\n") {
		from = "remotes/all/heads/main"
	}
	if r.in("for-each-ref") != "" {
		r.in("checkout", "-q", "--detach", from)
	}
	for name, text := range files {
		path := filepath.Join(r.clone, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	r.in("add", "--all")
	r.in("commit", "-q", "--allow-empty", "-m", "change")
	r.in("push", "-q", "origin", "+HEAD:"+ref)
	return r.in("rev-parse", "HEAD")
}

// board is a forge in memory: the tests of gitsource/forge and test/review show the real ones.
type board struct {
	repo      *repository
	pulls     map[int]*forge.Pull
	approvals map[int][]forge.Approval
	comments  map[int]string
	statuses  map[string]forge.Status
	history   []string
	lists     int
	fail      func(call string) error
}

func (b *board) call(name string) error {
	if b.fail != nil {
		return b.fail(name)
	}
	return nil
}

func (b *board) Pulls(_ context.Context, branch string) ([]forge.Pull, error) {
	b.lists++
	if err := b.call("pulls"); err != nil {
		return nil, err
	}
	var open []forge.Pull
	for _, p := range b.pulls {
		if p.Base == branch && !p.Closed {
			listed := *p
			listed.MergeBase = ""
			open = append(open, listed)
		}
	}
	slices.SortFunc(open, func(a, b forge.Pull) int { return a.Number - b.Number })
	return open, nil
}

func (b *board) Pull(_ context.Context, number int) (forge.Pull, error) {
	if err := b.call("pull"); err != nil {
		return forge.Pull{}, err
	}
	p, ok := b.pulls[number]
	if !ok {
		return forge.Pull{}, forge.ErrNotFound
	}
	return *p, nil
}

func (b *board) Approvals(_ context.Context, number int, _ []string) ([]forge.Approval, error) {
	return b.approvals[number], b.call("approvals")
}

func (b *board) Comment(_ context.Context, number int, _, body string) error {
	if err := b.call("comment"); err != nil {
		return err
	}
	b.history = append(b.history, fmt.Sprintf("comment %d", number))
	b.comments[number] = body
	return nil
}

func (b *board) SetStatus(_ context.Context, commit string, s forge.Status) error {
	if err := b.call("status"); err != nil {
		return err
	}
	b.history = append(b.history, "status "+string(s.State))
	b.statuses[commit] = s
	return nil
}

// propose pushes files as pull request number.
func (b *board) propose(number int, files map[string]string) *forge.Pull {
	ref := fmt.Sprintf("refs/pull/%d/head", number)
	head := b.repo.commit(ref, files)
	p := b.pulls[number]
	if p == nil {
		p = &forge.Pull{Number: number, Base: "main", Ref: ref, Author: "grace", Title: "Change", URL: "https://forge.example.com/7"}
		b.pulls[number] = p
	}
	p.Head, p.MergeBase = head, b.repo.in("merge-base", "HEAD", "remotes/all/heads/main")
	return p
}

// sight is the management cluster.
type sight struct {
	state   string
	plan    func(head, base *fleet.Fleet) view.Report
	may     bool
	reviews int
	offline bool
	about   About
	err     error
}

func (s *sight) State(context.Context) (State, error) {
	state := s.state
	return func(of About) (string, error) { s.about = of; return state, nil }, nil
}

func (s *sight) Review(_ context.Context, head, base *fleet.Fleet, offline bool) (view.Report, error) {
	s.reviews++
	s.offline = offline
	if s.err != nil {
		return view.Report{}, s.err
	}
	r := s.plan(head, base)
	r.Predicted = offline
	return r, nil
}

func (s *sight) May(context.Context, v1alpha1.ReviewApprover) (bool, error) { return s.may, nil }

// bench is a Fleet, its repository and forge, and a reviewer, which can be started anew.
type bench struct {
	*testing.T
	desk  *desk
	repo  *repository
	board *board
	live  *sight
	job   Job
	r     *Reviewer
}

func newBench(t *testing.T) *bench {
	t.Helper()
	repo := newRepository(t)
	b := &bench{T: t, desk: newDesk(t), repo: repo, live: &sight{}}
	b.board = &board{repo: repo, pulls: map[int]*forge.Pull{}, approvals: map[int][]forge.Approval{}, comments: map[int]string{}, statuses: map[string]forge.Status{}}
	repo.commit("refs/heads/main", map[string]string{"fleet/a.yaml": "a: 1\n", "fleet/b.yaml": "b: 1\n", "README.md": "r\n"})
	source, err := gitsource.Open(gitsource.Options{URL: "file://" + repo.dir, Path: "fleet", AllowFileURLs: true})
	if err != nil {
		t.Fatal(err)
	}
	b.live.plan = func(*fleet.Fleet, *fleet.Fleet) view.Report { return b.rolls(3) }
	b.job = Job{Forge: b.board, Source: source, Live: b.live, Fleet: &v1alpha1.Fleet{
		ObjectMeta: metav1.ObjectMeta{Namespace: production.Namespace, Name: production.Name, Generation: 1},
		Spec: v1alpha1.FleetSpec{
			Git:    v1alpha1.GitSource{Path: "./fleet"},
			Review: &v1alpha1.Review{Provider: v1alpha1.ReviewGitea, Approvers: []v1alpha1.ReviewApprover{{User: "ada", AsUser: "ada@example.com"}}},
		},
	}}
	b.restart()
	return b
}

// restart forgets everything that was in memory.
func (b *bench) restart() {
	b.r = &Reviewer{Now: func() time.Time { return b.desk.now }, Store: b.desk.Store}
}

// rolls is a plan that goes on by itself.
func (b *bench) rolls(machines int) view.Report {
	return view.Report{Clusters: []view.ClusterReport{{Plan: rolling("edge-01", machines), Decision: &plan.Decision{Accepted: true}}}}
}

// waits is a plan that waits for a person's word.
func (b *bench) waits(machines int) view.Report {
	r := b.rolls(machines)
	r.Clusters[0].Decision = &plan.Decision{Reason: v1alpha1.LimitExceededReason, Digest: r.Clusters[0].Plan.Digest()}
	return r
}

func (b *bench) pass() Outcome {
	b.Helper()
	out, err := b.r.Pass(b.Context(), b.job)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

func (b *bench) wantStatus(p *forge.Pull, state forge.State, words string) {
	b.Helper()
	s := b.board.statuses[p.Head]
	if s.State != state || !strings.Contains(s.Description, words) || s.Context != "refract/clusters/production" {
		b.Errorf("the status is %+v, want %s: %s", s, state, words)
	}
}
