package review

import (
	"testing"
	"time"

	"github.com/refract-dev/refract/gitsource/forge"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan/view"
)

// TestWordsThatNoLongerCount gives approvals that must not let a merge go on above the limits.
func TestWordsThatNoLongerCount(t *testing.T) {
	for name, c := range map[string]struct {
		reason string
		// then happens after three machines were shown; ada's word is her approval of them.
		then func(b *bench, p *forge.Pull, word forge.Approval)
	}{
		"TakenBackWhileDown": {"what an earlier process kept is compared with what the forge says now", func(b *bench, _ *forge.Pull, word forge.Approval) {
			b.board.approvals[7] = []forge.Approval{word}
			b.pass()
			b.board.approvals[7] = nil
			b.restart()
		}},
		"GivenBeforeThePlanGrew": {"a word that came while the operator was down is about what stood there then", func(b *bench, _ *forge.Pull, word forge.Approval) {
			b.board.approvals[7] = []forge.Approval{word}
			b.restart()
			b.desk.now = b.desk.now.Add(time.Minute)
			b.live.plan = func(*fleet.Fleet, *fleet.Fleet) view.Report { return b.waits(9) }
		}},
		"GivenWhilePlanning": {"the comment still said three machines", func(b *bench, _ *forge.Pull, word forge.Approval) {
			b.desk.now = b.desk.now.Add(time.Minute)
			b.live.state = "edited"
			b.live.plan = func(*fleet.Fleet, *fleet.Fleet) view.Report {
				b.board.approvals[7] = []forge.Approval{word}
				return b.waits(9)
			}
		}},
		"ClosedWithoutAMerge": {"the same files by another way are not what somebody said yes to", func(b *bench, p *forge.Pull, word forge.Approval) {
			b.board.approvals[7] = []forge.Approval{word}
			b.pass()
			p.Closed = true
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Log(c.reason)
			b := newBench(t)
			b.live.may = true
			b.live.plan = func(*fleet.Fleet, *fleet.Fleet) view.Report { return b.waits(3) }
			p := b.board.propose(7, map[string]string{"fleet/a.yaml": "a: 2\n"})
			tree := b.repo.in("rev-parse", "HEAD:fleet")
			b.pass()
			c.then(b, p, forge.Approval{ID: 1, User: "ada", Commit: p.Head, At: b.desk.now.Add(time.Second)})
			b.pass()
			b.pass()
			if a := b.desk.get(tree).InForce("edge-01", b.desk.now); a != nil {
				t.Errorf("%+v is in force: %+v", a, b.board.statuses[p.Head])
			}
		})
	}
}
