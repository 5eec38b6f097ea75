package gitea

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	sdk "code.gitea.io/sdk/gitea"
	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/gitsource/forge"
)

// TestPulls reads pull requests as they are opened, pushed to, merged in every way and closed.
func TestPulls(t *testing.T) {
	t.Parallel()
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

// TestListOfPulls reads a list that fills several pages, and only what is open onto the branch.
func TestListOfPulls(t *testing.T) {
	t.Parallel()
	s := newStage(t, "list")
	s.push("release", "main", map[string]string{"fleet/one.yaml": "release"})
	var want []int
	for i := range 7 {
		n, _ := s.propose(fmt.Sprintf("branch-%d", i), map[string]string{"fleet/two.yaml": strconv.Itoa(i)})
		want = append(want, n)
	}
	s.push("elsewhere", "release", map[string]string{"fleet/one.yaml": "elsewhere"})
	other := 0
	s.within("a pull request onto another branch is opened", func() error {
		p, _, err := s.alice.API.CreatePullRequest(s.repository.Owner, s.repository.Name, sdk.CreatePullRequestOption{Title: "other", Head: "elsewhere", Base: "release"})
		if err == nil {
			other = int(p.Index)
		}
		return err
	})
	s.merge(want[0], sdk.MergeStyleSquash)
	for branch, numbers := range map[string][]int{"main": want[1:], "release": {other}, "none": nil} {
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
	t.Parallel()
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
	number, err := s.repository.Open(t.Context(), eve, "from a fork", eve.Name+":change")
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
