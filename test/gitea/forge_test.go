package gitea

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	sdk "code.gitea.io/sdk/gitea"
	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/gitsource/forge"
	"github.com/refract-dev/refract/test/rig"
)

// patience bounds what Gitea does in the background.
const patience = 30 * time.Second

// stage is one repository with who works on it, and Refract's door to it.
type stage struct {
	*testing.T
	repository *Repository
	git        *rig.Git
	alice, bob *Person // may write
	refract    *Person
	forge      forge.Forge
}

// The scopes that docs/guides/review-setup.md asks for.
var least = []string{"write:repository", "write:issue", "read:organization", "read:user"}

func newStage(t *testing.T, name string) *stage {
	t.Helper()
	s := &stage{T: t}
	s.alice, s.bob = s.person(name+"-alice"), s.person(name+"-bob")
	s.refract = s.person(name+"-refract", least...)
	var err error
	if s.repository, err = s.alice.Repository("fleet"); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Person{s.bob, s.refract} {
		if err = s.repository.Allow(p, sdk.AccessModeWrite); err != nil {
			t.Fatal(err)
		}
	}
	if s.git, err = s.repository.Clone(t.Context(), t.TempDir(), s.alice); err != nil {
		t.Fatal(err)
	}
	s.push("main", "", map[string]string{"fleet/one.yaml": "one"})
	s.forge = s.open(s.repository.String(), s.refract.Token)
	return s
}

func (s *stage) person(name string, scopes ...string) *Person {
	s.Helper()
	p, err := host.Person(s.Context(), name, scopes...)
	if err != nil {
		s.Fatal(err)
	}
	return p
}

func (s *stage) open(repository, token string) forge.Forge {
	s.Helper()
	f, err := forge.Open(forge.Options{
		Provider: forge.Gitea, Address: host.URL(), Repository: repository, Auth: forge.Auth{Token: token},
		AllowInsecure: true, Now: time.Now,
	})
	if err != nil {
		s.Fatal(err)
	}
	return f
}

func (s *stage) push(branch, from string, files map[string]string) string {
	s.Helper()
	hash, err := s.git.PushTo(s.Context(), branch, from, "change "+branch, files)
	if err != nil {
		s.Fatal(err)
	}
	return hash
}

// propose pushes a branch from main and opens a pull request.
func (s *stage) propose(branch string, files map[string]string) (number int, head string) {
	s.Helper()
	head = s.push(branch, "main", files)
	n, err := s.repository.Open(s.alice, branch, branch)
	if err != nil {
		s.Fatal(err)
	}
	return n, head
}

// within waits until check returns nil.
func (s *stage) within(what string, check func() error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			s.Fatalf("not within %s: %s: %v", patience, what, err)
		case <-tick.C:
		}
	}
}

func (s *stage) pull(number int) forge.Pull {
	s.Helper()
	p, err := s.forge.Pull(s.Context(), number)
	if err != nil {
		s.Fatal(err)
	}
	return p
}

// TestPulls reads pull requests as they are opened, pushed to, merged in every way and closed.
func TestPulls(t *testing.T) {
	s := newStage(t, "pulls")
	base := s.push("main", "", map[string]string{"fleet/base.yaml": "base"})
	number, head := s.propose("change", map[string]string{"fleet/two.yaml": "two"})
	want := forge.Pull{
		Number: number, Title: "change", URL: host.URL() + "/" + s.repository.String() + "/pulls/1", Author: s.alice.Name,
		Head: head, HeadBranch: "change", Base: "main", MergeBase: base, Ref: "refs/pull/1/head",
	}
	have := s.pull(number)
	if have.Updated.IsZero() {
		t.Error("a pull request without a time")
	}
	want.Updated = have.Updated
	if diff := cmp.Diff(want, have); diff != "" {
		t.Error(diff)
	}

	again := s.push("change", "", map[string]string{"fleet/two.yaml": "more"})
	s.within("the pull request has the second commit", func() error {
		if p := s.pull(number); p.Head != again || p.MergeBase != base {
			return fmt.Errorf("%+v", p)
		}
		return nil
	})
	if ref := s.remote("refs/pull/1/head"); ref != again {
		t.Errorf("refs/pull/1/head is %s, want %s", ref, again)
	}

	styles := []sdk.MergeStyle{sdk.MergeStyleMerge, sdk.MergeStyleSquash, sdk.MergeStyleRebase}
	for i, style := range styles {
		n := number
		if i > 0 {
			n, _ = s.propose(string(style), map[string]string{"fleet/" + string(style) + ".yaml": "x"})
		}
		commit := s.merge(n, style)
		p := s.pull(n)
		if !p.Merged || !p.Closed || p.MergeCommit != commit || p.Fork {
			t.Errorf("merged by %s: %+v", style, p)
		}
		if tip := s.remote("refs/heads/main"); p.MergeCommit != tip {
			t.Errorf("merged by %s as %s, main is %s", style, p.MergeCommit, tip)
		}
	}
	closed, _ := s.propose("closed", map[string]string{"fleet/closed.yaml": "x"})
	state := sdk.StateClosed
	if _, _, err := s.alice.API.EditPullRequest(s.repository.Owner, s.repository.Name, int64(closed), sdk.EditPullRequestOption{State: &state}); err != nil {
		t.Fatal(err)
	}
	if p := s.pull(closed); !p.Closed || p.Merged || p.MergeCommit != "" {
		t.Errorf("closed: %+v", p)
	}
	draft, _ := s.propose("draft", map[string]string{"fleet/draft.yaml": "x"})
	if _, _, err := s.alice.API.EditPullRequest(s.repository.Owner, s.repository.Name, int64(draft), sdk.EditPullRequestOption{Title: "WIP: draft"}); err != nil {
		t.Fatal(err)
	}
	if p := s.pull(draft); !p.Draft {
		t.Errorf("a draft: %+v", p)
	}
}

func (s *stage) merge(number int, style sdk.MergeStyle) (commit string) {
	s.Helper()
	s.within("the pull request is merged", func() (err error) {
		commit, err = s.repository.Merge(s.bob, number, style)
		return err
	})
	return commit
}

// remote is what a ref of the repository is.
func (s *stage) remote(ref string) string {
	s.Helper()
	out, err := exec.CommandContext(s.Context(), "git", "-C", s.git.Clone(), "ls-remote", "origin", ref).Output()
	if err != nil {
		s.Fatal(err)
	}
	hash, _, _ := strings.Cut(string(out), "\t")
	return hash
}

// TestListOfPulls reads a list that fills several pages, and only what is open onto the branch.
func TestListOfPulls(t *testing.T) {
	s := newStage(t, "list")
	s.push("release", "main", map[string]string{"fleet/one.yaml": "release"})
	var want []int
	for i := range 7 {
		n, _ := s.propose(fmt.Sprintf("branch-%d", i), map[string]string{"fleet/two.yaml": strconv.Itoa(i)})
		want = append(want, n)
	}
	s.push("elsewhere", "release", map[string]string{"fleet/one.yaml": "elsewhere"})
	other, _, err := s.alice.API.CreatePullRequest(s.repository.Owner, s.repository.Name, sdk.CreatePullRequestOption{Title: "other", Head: "elsewhere", Base: "release"})
	if err != nil {
		t.Fatal(err)
	}
	s.merge(want[0], sdk.MergeStyleSquash)
	for branch, numbers := range map[string][]int{"main": want[1:], "release": {int(other.Index)}, "none": nil} {
		all, err := s.forge.Pulls(t.Context(), branch)
		var have []int
		for _, p := range all {
			have = append(have, p.Number)
		}
		if err != nil || !slices.Equal(have, numbers) {
			t.Errorf("onto %s: %v, want %v: %v", branch, have, numbers, err)
		}
	}
}

// TestForks takes for a fork's whatever somebody proposes who may not push.
func TestForks(t *testing.T) {
	s := newStage(t, "forks")
	eve := s.person("forks-eve")
	if err := s.repository.Allow(eve, sdk.AccessModeRead); err != nil {
		t.Fatal(err)
	}
	fork, err := s.repository.Fork(eve)
	if err != nil {
		t.Fatal(err)
	}
	git, err := fork.Clone(t.Context(), t.TempDir(), eve)
	if err != nil {
		t.Fatal(err)
	}
	head, err := git.PushTo(t.Context(), "change", "main", "from a fork", map[string]string{"fleet/one.yaml": "fork"})
	if err != nil {
		t.Fatal(err)
	}
	number, err := s.repository.Open(eve, "from a fork", eve.Name+":change")
	if err != nil {
		t.Fatal(err)
	}
	p := s.pull(number)
	if !p.Fork || p.Head != head || p.Author != eve.Name || s.remote(p.Ref) != head {
		t.Errorf("from a fork: %+v; %s is %s", p, p.Ref, s.remote(p.Ref))
	}

	// Who may only read proposes without a fork, too.
	direct, err := s.repository.Clone(t.Context(), t.TempDir(), eve)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = direct.PushRef(t.Context(), "refs/for/main/topic", "main", "without a fork", map[string]string{"fleet/one.yaml": "topic"}); err != nil {
		t.Fatal(err)
	}
	all, err := s.forge.Pulls(t.Context(), "main")
	if err != nil || len(all) != 2 || !all[0].Fork || !all[1].Fork {
		t.Errorf("one from a fork, one by refs/for: %+v: %v", all, err)
	}
	s.merge(number, sdk.MergeStyleRebase)
	if err := fork.remove(); err != nil {
		t.Fatal(err)
	}
	if p := s.pull(number); !p.Fork || !p.Merged {
		t.Errorf("its fork is gone: %+v", p)
	}
}
