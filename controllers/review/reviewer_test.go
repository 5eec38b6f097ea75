package review

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/gitsource/forge"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan/view"
)

func TestPullRequestIsTold(t *testing.T) {
	b := newBench(t)
	p := b.board.propose(7, map[string]string{"fleet/a.yaml": "a: 2\n"})
	out := b.pass()
	if out.Open != 1 || out.Posted != 3 || !slices.Equal(b.board.history, []string{"status pending", "comment 7", "status success"}) {
		t.Errorf("%+v, %v", out, b.board.history)
	}
	b.wantStatus(p, forge.Success, "3 machines re-created")
	if !strings.Contains(b.board.comments[7], "edge-01") {
		t.Errorf("the comment is %s", b.board.comments[7])
	}
	kept := b.desk.get(b.repo.in("rev-parse", "HEAD:fleet"))
	if kept == nil || kept.Number != 7 || kept.Head != p.Head || len(kept.Clusters) != 1 {
		t.Errorf("kept is %+v", kept)
	}
}

func TestNothingIsSentTwice(t *testing.T) {
	b := newBench(t)
	b.board.propose(7, map[string]string{"fleet/a.yaml": "a: 2\n"})
	b.pass()
	b.board.history, b.board.lists, b.live.reviews = nil, 0, 0
	for range 3 {
		b.desk.now = b.desk.now.Add(time.Minute)
		if out := b.pass(); out.Posted != 0 {
			t.Errorf("%+v", out)
		}
	}
	if len(b.board.history) > 0 || b.board.lists != 3 || b.live.reviews != 0 {
		t.Errorf("sent %v, %d lists, %d plans", b.board.history, b.board.lists, b.live.reviews)
	}
	b.desk.now = b.desk.now.Add(renewAfter)
	if b.pass(); b.live.reviews != 1 || len(b.board.history) > 0 {
		t.Errorf("%d plans, sent %v: Prism Central is looked at from time to time, and says the same", b.live.reviews, b.board.history)
	}
}

// What makes a plan stale, and what then is told.
func TestStalePlansAreRenewed(t *testing.T) {
	for name, c := range map[string]struct {
		change func(b *bench)
		same   bool // what is told stays
	}{
		"NewCommit":   {func(b *bench) { b.board.propose(7, map[string]string{"fleet/a.yaml": "a: 3\n"}) }, false},
		"BaseMoved":   {func(b *bench) { b.repo.commit("refs/heads/main", map[string]string{"fleet/b.yaml": "b: 2\n"}) }, false},
		"Drift":       {func(b *bench) { b.live.state = "edited" }, false},
		"OtherLimits": {func(b *bench) { b.job.Fleet.Generation++ }, false},
		"SamePlan": {func(b *bench) {
			b.live.state = "edited"
			b.live.plan = func(*fleet.Fleet, *fleet.Fleet) view.Report { return b.rolls(3) }
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.board.propose(7, map[string]string{"fleet/a.yaml": "a: 2\n"})
			b.pass()
			b.board.history, b.live.reviews = nil, 0
			b.live.plan = func(*fleet.Fleet, *fleet.Fleet) view.Report { return b.rolls(5) }
			c.change(b)
			b.pass()
			if b.live.reviews != 1 {
				t.Errorf("%d plans", b.live.reviews)
			}
			if (len(b.board.history) == 0) != c.same {
				t.Errorf("sent %v", b.board.history)
			}
			if !c.same {
				b.wantStatus(b.board.pulls[7], forge.Success, "5 machines re-created")
			}
		})
	}
}

// What is looked at for a plan to be renewed is what the plan says something about, and nothing else.
func TestAbout(t *testing.T) {
	b := newBench(t)
	b.live.plan = func(*fleet.Fleet, *fleet.Fleet) view.Report {
		r := b.rolls(3)
		waits := b.rolls(0).Clusters[0]
		waits.Plan.Cluster, waits.Pending = "core-01", true
		r.Clusters, r.Capacity = append(r.Clusters, waits), []view.Capacity{{Account: "pc-east"}}
		return r
	}
	b.board.propose(7, map[string]string{"fleet/a.yaml": "a: 2\n"})
	b.pass()
	b.pass()
	if of := b.live.about; !slices.Equal(of.Clusters, []string{"core-01", "edge-01"}) || !slices.Equal(of.Accounts, []string{"pc-east"}) || !of.Machines || b.live.reviews != 1 {
		t.Errorf("%+v after %d plans", of, b.live.reviews)
	}
	b.live.plan = func(*fleet.Fleet, *fleet.Fleet) view.Report {
		r := b.rolls(0)
		r.Clusters[0].Plan.Changes[0].Severity = v1alpha1.SeverityInPlace
		return r
	}
	b.live.state = "edited"
	if b.pass(); b.live.about.Machines || b.live.reviews != 2 {
		t.Errorf("%+v after %d plans", b.live.about, b.live.reviews)
	}
}

// The base moved: what is planned, and what is kept for the merge, is what the merge leaves.
func TestMovedBaseIsMerged(t *testing.T) {
	b := newBench(t)
	p := b.board.propose(7, map[string]string{"fleet/a.yaml": "a: 2\n"})
	b.repo.commit("refs/heads/main", map[string]string{"fleet/b.yaml": "b: 2\n"})
	b.pass()
	b.wantStatus(p, forge.Success, "3 machines")
	b.repo.in("fetch", "-q", "origin", "+refs/*:refs/remotes/all/*")
	b.repo.in("checkout", "-q", "--detach", "remotes/all/heads/main")
	b.repo.in("merge", "-q", "--no-edit", "remotes/all/pull/7/head")
	if kept := b.desk.get(b.repo.in("rev-parse", "HEAD:fleet")); kept == nil || kept.Head != p.Head {
		t.Errorf("kept under the tree that Git's merge makes is %+v", kept)
	}
}

func TestConflictIsTold(t *testing.T) {
	b := newBench(t)
	p := b.board.propose(7, map[string]string{"fleet/a.yaml": "a: 2\n"})
	b.repo.commit("refs/heads/main", map[string]string{"fleet/a.yaml": "a: 3\n"})
	b.pass()
	b.wantStatus(p, forge.Failure, "conflicts")
	if c := b.board.comments[7]; !strings.Contains(c, "fleet/a.yaml") || !strings.Contains(c, "merge main into the branch") || b.live.reviews != 0 {
		t.Errorf("%d plans, and the comment is %s", b.live.reviews, c)
	}
}

// A fork's files are planned without a look at anything live, and nothing of it is kept.
func TestForksAreOnlyPredicted(t *testing.T) {
	b := newBench(t)
	p := b.board.propose(7, map[string]string{"fleet/a.yaml": "a: 2\n"})
	p.Fork = true
	b.pass()
	if !b.live.offline || len(b.desk.secrets()) != 0 || !strings.Contains(b.board.comments[7], "comes from a fork") {
		t.Errorf("offline %t, %d Secrets, and the comment is %s", b.live.offline, len(b.desk.secrets()), b.board.comments[7])
	}
	b.wantStatus(p, forge.Success, "predicted from the files")
	b.board.history, b.live.reviews, b.live.state = nil, 0, "edited"
	if b.pass(); b.live.reviews != 0 {
		t.Error("what is live was looked at")
	}
}

// A pull request about something else in the repository gets a status, which may be required, and no comment.
func TestOtherFilesAreNoNews(t *testing.T) {
	b := newBench(t)
	b.live.plan = func(*fleet.Fleet, *fleet.Fleet) view.Report { return view.Report{} }
	p := b.board.propose(7, map[string]string{"README.md": "s\n"})
	b.pass()
	b.wantStatus(p, forge.Success, "nothing of this Fleet changes")
	if len(b.board.comments) > 0 || len(b.desk.secrets()) > 0 {
		t.Errorf("commented %v", b.board.comments)
	}
	// Its files come, and go again: then the comment says so, also after a restart.
	b.live.plan = func(*fleet.Fleet, *fleet.Fleet) view.Report { return b.rolls(3) }
	b.board.propose(7, map[string]string{"fleet/a.yaml": "a: 2\n"})
	b.pass()
	b.restart()
	b.live.plan = func(*fleet.Fleet, *fleet.Fleet) view.Report { return view.Report{} }
	b.board.propose(7, map[string]string{"fleet/a.yaml": "a: 1\n"})
	if b.pass(); strings.Contains(b.board.comments[7], "edge-01") {
		t.Errorf("the comment is %s", b.board.comments[7])
	}
}

// Layers may lie outside of the Fleet's path, and then its tree is the branch's: what is kept for it would count for the
// branch as it is.
func TestChangeOutsideThePathIsNotKept(t *testing.T) {
	b := newBench(t)
	p := b.board.propose(7, map[string]string{"layers/a.yaml": "a: 2\n"})
	b.pass()
	b.wantStatus(p, forge.Success, "3 machines")
	if len(b.board.comments) != 1 || len(b.desk.secrets()) > 0 {
		t.Errorf("%d comments, %d Secrets", len(b.board.comments), len(b.desk.secrets()))
	}
}

// Killed between comment and status, or anywhere else: the next process says what is left to say.
func TestCrashes(t *testing.T) {
	for _, at := range []string{"pulls", "pull", "comment", "status", "approvals"} {
		t.Run(at, func(t *testing.T) {
			b := newBench(t)
			b.live.plan = func(*fleet.Fleet, *fleet.Fleet) view.Report { return b.waits(3) }
			p := b.board.propose(7, map[string]string{"fleet/a.yaml": "a: 2\n"})
			killed := errors.New("killed")
			b.board.fail = func(call string) error {
				if call == at && (at != "status" || len(b.board.comments) > 0) {
					return killed
				}
				return nil
			}
			if _, err := b.r.Pass(t.Context(), b.job); !errors.Is(err, killed) {
				t.Fatalf("%v", err)
			}
			b.board.fail = nil
			b.restart()
			b.pass()
			b.wantStatus(p, forge.Failure, "approval needed")
			if !strings.Contains(b.board.comments[7], "edge-01") {
				t.Errorf("the comment is %s", b.board.comments[7])
			}
		})
	}
}

// A plan that cannot be made is not told in words that may name what is not everybody's; one that was told before stands.
func TestFailedPlans(t *testing.T) {
	b := newBench(t)
	b.live.err = errors.New("dial tcp 10.0.0.1: secret-host")
	p := b.board.propose(7, map[string]string{"fleet/a.yaml": "a: 2\n"})
	if _, err := b.r.Pass(t.Context(), b.job); !errors.Is(err, b.live.err) || !strings.Contains(err.Error(), "#7") {
		t.Fatalf("%v", err)
	}
	b.wantStatus(p, forge.Error, "no plan could be made")
	if strings.Contains(fmt.Sprint(b.board.comments, b.board.statuses), "secret-host") {
		t.Error("the error is told to everybody")
	}
	b.live.err = nil
	b.pass()
	b.wantStatus(p, forge.Success, "")
	b.live.err, b.live.state, b.board.history = errors.New("away"), "edited", nil
	if _, err := b.r.Pass(t.Context(), b.job); err == nil || len(b.board.history) > 0 {
		t.Errorf("%v, sent %v", err, b.board.history)
	}
}

// One pull request that goes wrong keeps no other from being told; a forge that wants to be left alone is.
func TestErrorsOfOneAndOfAll(t *testing.T) {
	b := newBench(t)
	for n := range 3 {
		b.board.propose(7+n, map[string]string{fmt.Sprintf("fleet/%d.yaml", n): "a: 2\n"})
	}
	failed := 0
	b.board.fail = func(call string) error {
		if call == "comment" && failed == 0 {
			failed++
			return forge.ErrAuth // such as a locked conversation
		}
		return nil
	}
	if _, err := b.r.Pass(t.Context(), b.job); !errors.Is(err, forge.ErrAuth) || len(b.board.comments) != 2 {
		t.Errorf("%v, %d comments", err, len(b.board.comments))
	}
	b.restart()
	until := noon.Add(time.Hour)
	calls := 0
	b.board.fail = func(call string) error {
		if call == "pull" {
			calls++
			return &forge.RateLimited{Until: until}
		}
		return nil
	}
	limited := new(forge.RateLimited)
	if _, err := b.r.Pass(t.Context(), b.job); !errors.As(err, &limited) || !limited.Until.Equal(until) || calls != 1 {
		t.Errorf("%v, %d calls", err, calls)
	}
}

// Many pull requests are planned in turn.
func TestPassEnds(t *testing.T) {
	b := newBench(t)
	for n := range plansInAPass + 2 {
		b.board.propose(1+n, map[string]string{"fleet/a.yaml": fmt.Sprintf("a: %d\n", n+2)})
	}
	if out := b.pass(); out.Again != soon || len(b.board.comments) != plansInAPass {
		t.Errorf("%+v, %d comments", out, len(b.board.comments))
	}
	if out := b.pass(); out.Again > 0 || len(b.board.comments) != plansInAPass+2 {
		t.Errorf("%+v, %d comments", out, len(b.board.comments))
	}
}

func TestApprovals(t *testing.T) {
	b := newBench(t)
	b.live.may = true
	b.live.plan = func(*fleet.Fleet, *fleet.Fleet) view.Report { return b.waits(3) }
	p := b.board.propose(7, map[string]string{"fleet/a.yaml": "a: 2\n"})
	b.pass()
	b.wantStatus(p, forge.Failure, "approval needed")
	says := func(who, commit string) { b.board.approvals[7] = []forge.Approval{{User: who, Commit: commit}} }

	for name, c := range map[string]struct{ who, commit string }{
		"Stranger": {"bob", p.Head}, "Author": {"grace", p.Head}, "OtherCommit": {"ada", p.MergeBase},
	} {
		says(c.who, c.commit)
		b.pass()
		if s := b.board.statuses[p.Head]; s.State != forge.Failure {
			t.Errorf("%s: the status is %+v", name, s)
		}
	}
	says("Ada", p.Head)
	b.pass()
	b.wantStatus(p, forge.Success, "approved by Ada")

	// Another plan than the one that was approved: the word does not stand for it.
	b.desk.now = b.desk.now.Add(time.Minute)
	b.live.state, b.live.plan = "edited", func(*fleet.Fleet, *fleet.Fleet) view.Report { return b.waits(4) }
	b.pass()
	b.wantStatus(p, forge.Failure, "approval needed")

	b.board.approvals[7] = []forge.Approval{{ID: 2, User: "ada", Commit: p.Head}}
	b.pass()
	b.wantStatus(p, forge.Success, "approved by ada")

	b.board.approvals[7] = nil
	b.pass()
	b.desk.now = b.desk.now.Add(time.Minute)
	says("ada", p.Head)
	b.live.may = false
	b.pass()
	b.wantStatus(p, forge.Failure, "approval needed")
}
