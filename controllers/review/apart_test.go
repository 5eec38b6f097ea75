package review

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/refract-dev/refract/gitsource/forge"
)

// Git and the forge need not agree at once on what was pushed. If they never do, they are asked ever more seldom, and the
// Fleet says who says what.
func TestGitAndForgeDisagree(t *testing.T) {
	never := strings.Repeat("a", 40)
	for name, c := range map[string]struct {
		change func(b *bench, p *forge.Pull)
		words  []string
	}{
		"GitIsBehind":     {func(_ *bench, p *forge.Pull) { p.Head = never }, []string{"commit " + never[:12] + ",", "refs/pull/7/head in Git is ", "mirror"}},
		"GitHasNoPulls":   {func(b *bench, _ *forge.Pull) { b.repo.in("push", "-q", "origin", ":refs/pull/7/head") }, []string{"as refs/pull/7/head", "no such ref", "refs/pull/*"}},
		"NothingInCommon": {func(_ *bench, p *forge.Pull) { p.MergeBase = "" }, []string{"rebase it"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			p := b.board.propose(7, map[string]string{"fleet/a.yaml": "a: 2\n"})
			c.change(b, p)
			asked, begun := 0, b.desk.now
			b.board.fail = func(call string) error {
				if call == "pull" {
					asked++
				}
				return nil
			}
			if out := b.pass(); out.Again != soon {
				t.Errorf("%+v", out)
			}
			b.pass() // as for a webhook: not before it is time
			var err error
			for err == nil && b.desk.now.Sub(begun) < time.Hour {
				out, passed := b.r.Pass(t.Context(), b.job)
				if out.Again <= 0 || out.Again > pauses.Cap {
					t.Fatalf("%+v, %v", out, passed)
				}
				b.desk.now, err = b.desk.now.Add(out.Again), passed
			}
			if late := b.desk.now.Sub(begun); !Apart(err) || asked > 10 || late < toldApart || late > 3*toldApart {
				t.Errorf("after %d questions and %s: %v", asked, late, err)
			}
			for _, words := range append(c.words, "#7") {
				if !strings.Contains(fmt.Sprint(err), words) {
					t.Errorf("%v does not tell %q", err, words)
				}
			}
			b.wantStatus(p, forge.Error, "no plan could be made")
			_, again := b.r.Pass(t.Context(), b.job)
			if b.live.reviews != 0 || fmt.Sprint(again) != fmt.Sprint(err) {
				t.Errorf("%d plans, and then it says %v", b.live.reviews, again)
			}
			b.board.propose(7, map[string]string{"fleet/a.yaml": "a: 3\n"}) // a push ends the pause
			b.pass()
			b.wantStatus(p, forge.Success, "3 machines")
		})
	}
	if Apart(errors.Join(disagree("x"), errors.New("the API server is away"))) || Apart(nil) ||
		Apart(fmt.Errorf("pull request #7: %w", errors.Join(disagree("x"), errors.New("the API server is away")))) || !Apart(fmt.Errorf("pull request #7: %w", errors.Join(disagree("x")))) {
		t.Error("what else is wrong is not tried again, or what cannot be mended is")
	}
}
