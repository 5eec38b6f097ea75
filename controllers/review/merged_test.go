package review

import (
	"testing"

	"github.com/refract-dev/refract/gitsource/forge"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan/view"
)

// The last word of a pull request that is over is kept, also by a process that never saw it open; nobody is asked again,
// not even by the next process.
func TestPullRequestIsOver(t *testing.T) {
	for name, c := range map[string]struct {
		reason    string
		end       func(b *bench, p *forge.Pull)
		restarted bool
		counts    bool
	}{
		"Merged":           {"the approval of what is merged counts", func(*bench, *forge.Pull) {}, false, true},
		"MergedMeanwhile":  {"also when nobody looked", func(*bench, *forge.Pull) {}, true, true},
		"BranchDeleted":    {"Gitea calls it one of a fork then", func(_ *bench, p *forge.Pull) { p.Fork = true }, false, true},
		"ClosedOnly":       {"nobody said yes to another way to the branch", func(_ *bench, p *forge.Pull) { p.Merged = false }, false, false},
		"ClosedMeanwhile":  {"also when nobody looked", func(_ *bench, p *forge.Pull) { p.Merged = false }, true, false},
		"IntoAnother":      {"the Fleet's branch is not what it was merged into", func(_ *bench, p *forge.Pull) { p.Base = "scratch" }, false, false},
		"WithOtherCommits": {"what was merged is not what was shown", func(_ *bench, p *forge.Pull) { p.Head = "another" }, false, false},
		"Gone":             {"the forge knows nothing of it any more", func(b *bench, p *forge.Pull) { delete(b.board.pulls, p.Number) }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.live.may = true
			b.live.plan = func(*fleet.Fleet, *fleet.Fleet) view.Report { return b.waits(3) }
			p := b.board.propose(7, map[string]string{"fleet/a.yaml": "a: 2\n"})
			tree := b.repo.in("rev-parse", "HEAD:fleet")
			b.pass()
			b.board.approvals[7] = []forge.Approval{{User: "ada", Commit: p.Head}}
			b.pass()
			p.Closed, p.Merged = true, true
			c.end(b, p)
			if c.restarted {
				b.restart()
			}
			if out := b.pass(); out.Open != 0 {
				t.Errorf("%+v", out)
			}
			kept := b.desk.get(tree)
			if a := kept.InForce("edge-01", b.desk.now); (a != nil) != c.counts || kept.Closed == c.counts {
				t.Errorf("%s: in force is %+v, closed %t", c.reason, a, kept.Closed)
			}
			b.board.fail = func(call string) error {
				if call != "pulls" {
					t.Errorf("%s is asked again", call)
				}
				return nil
			}
			b.pass()
			b.restart()
			b.pass()
		})
	}
}
