package review

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/gitsource"
	"github.com/refract-dev/refract/gitsource/forge"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/plan/view"
)

// look brings one pull request up to date.
func (p *pass) look(ctx context.Context, base gitsource.Revision, pull *forge.Pull) error {
	k := p.m.pulls[pull.Number]
	if k != nil {
		live, err := p.state(ctx, pull)
		if err != nil {
			return err
		}
		made, err := p.stamp(pull, base, live, k.about)
		if err != nil {
			return err
		}
		if k.made == made && p.Now().Sub(k.at) < renewAfter {
			return p.settle(ctx, pull, k)
		}
	}
	if k != nil && k.head == pull.Head && k.apart != nil {
		if left := k.apart.next.Sub(p.Now()); left > 0 {
			p.again(left)
			return errors.Join(p.hear(ctx, pull, k), k.apart.told(p.Now()))
		}
	}
	if p.plans++; p.plans > plansInAPass {
		p.again(soon)
		return nil
	}
	return p.renew(ctx, pull, k)
}

// settle sends what a pass before this one could not, and hears who approved since.
func (p *pass) settle(ctx context.Context, pull *forge.Pull, k *known) error {
	if k.verdict.approvable {
		if err := p.hear(ctx, pull, k); err != nil {
			return err
		}
	}
	return p.say(ctx, pull, k)
}

// state is what is live now; of that a fork's plan depends on nothing.
func (p *pass) state(ctx context.Context, pull *forge.Pull) (State, error) {
	if pull.Fork {
		return func(About) (string, error) { return "", nil }, nil
	}
	live, err := p.Live.State(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking at what is live: %w", err)
	}
	return live, nil
}

// stamp says what a plan is made from: the proposed commit, the branch that it goes to, the Fleet's own spec, and what is
// live. Another stamp is another plan.
func (p *pass) stamp(pull *forge.Pull, base gitsource.Revision, live State, about About) (string, error) {
	state, err := live(about)
	if err != nil {
		return "", fmt.Errorf("looking at what is live: %w", err)
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{
		pull.Head, base.Hash, fmt.Sprint(p.Fleet.UID, p.Fleet.Generation, pull.Fork), state, fmt.Sprint(about),
	}, "\x00")))
	return hex.EncodeToString(sum[:]), nil
}

// renew plans a pull request and tells it.
func (p *pass) renew(ctx context.Context, pull *forge.Pull, before *known) error {
	k, err := p.begin(ctx, pull, before)
	if err != nil {
		return err
	}
	f, err := p.read(ctx, pull)
	if disagree := new(disagreement); errors.As(err, &disagree) {
		k.apart = k.apart.again(disagree, p.Now())
		p.again(k.apart.next.Sub(p.Now()))
		err = k.apart.told(p.Now())
		if err == nil {
			return nil
		}
	}
	if err != nil {
		return p.failed(ctx, pull, k, err)
	}
	k.apart = nil
	// Before the plan: what changes while it is made makes it stale.
	live, err := p.state(ctx, pull)
	if err != nil {
		return err
	}
	report, err := p.plan(ctx, pull, f)
	if err != nil {
		return p.failed(ctx, pull, k, err)
	}
	if err = p.keep(ctx, pull, k, f, report); err != nil {
		return err
	}
	k.verdict = verdictOf(report, f)
	if err = p.comment(ctx, pull, k, f, report); err != nil {
		return err
	}
	k.about = aboutOf(report, f)
	if k.made, err = p.stamp(pull, f.base.Revision, live, k.about); err != nil {
		return err
	}
	return p.settle(ctx, pull, k)
}

// aboutOf says what a report is about: what the files change, and what else waits on the branch and is told as well.
func aboutOf(r view.Report, f *files) About {
	about := About{Clusters: f.touched()}
	for i := range r.Clusters {
		c := &r.Clusters[i]
		about.Clusters = append(about.Clusters, c.Plan.Cluster)
		about.Machines = about.Machines || c.Plan.Recreated()+c.Plan.Removed() > 0 || plan.Rank(c.Plan.Severity()) >= plan.Rank(v1alpha1.SeverityRollout)
	}
	for i := range r.Capacity {
		about.Accounts = append(about.Accounts, r.Capacity[i].Account)
	}
	slices.Sort(about.Clusters)
	slices.Sort(about.Accounts)
	about.Clusters, about.Accounts = slices.Compact(about.Clusters), slices.Compact(about.Accounts)
	return about
}

// begin notes that a pull request is being planned. A commit that was never shown is marked so.
func (p *pass) begin(ctx context.Context, pull *forge.Pull, before *known) (*known, error) {
	k := &known{head: pull.Head}
	switch {
	case before == nil:
	case before.head == pull.Head:
		// What was approved is what was shown until now.
		if err := p.hear(ctx, pull, before); err != nil {
			return nil, err
		}
		*k = *before
	default:
		k.comment = before.comment
	}
	k.made, k.at = "", p.Now()
	p.m.pulls[pull.Number] = k
	if k.status.State != "" || pull.Fork || p.shownBefore(pull) {
		return k, nil
	}
	return k, p.send(ctx, pull, k, verdict{state: forge.Pending, line: "planning what a merge does"})
}

// comment sends the comment if it is another one. A pull request that is not about this Fleet gets none, unless it was
// told otherwise before.
func (p *pass) comment(ctx context.Context, pull *forge.Pull, k *known, f *files, report view.Report) error {
	if k.comment == "" && unrelated(report, f) && len(p.m.kept[pull.Number]) == 0 {
		return nil
	}
	body, err := markdownOf(report, k.tree != "")
	if err != nil || k.comment == body {
		return err
	}
	if err := p.Forge.Comment(ctx, pull.Number, p.marker(), body); err != nil {
		return fmt.Errorf("commenting: %w", err)
	}
	k.comment = body
	p.out.Posted++
	return nil
}

// shownBefore says whether an earlier process showed this very commit: its status stands until the plan is there.
func (p *pass) shownBefore(pull *forge.Pull) bool {
	return slices.ContainsFunc(p.m.kept[pull.Number], func(k Kept) bool { return k.Head == pull.Head })
}

// plan asks what the files do. What cannot be planned for the files' own fault is a report of mistakes.
func (p *pass) plan(ctx context.Context, pull *forge.Pull, f *files) (view.Report, error) {
	report := view.Report{Predicted: pull.Fork, Mistakes: f.mistakes}
	if f.head != nil {
		timed, cancel := context.WithTimeout(ctx, planTimeout)
		defer cancel()
		var err error
		if report, err = p.Live.Review(timed, f.head, f.decodedBase, pull.Fork); err != nil {
			return report, fmt.Errorf("planning: %w", err)
		}
	}
	report.Fleet = p.key.String()
	report.Base, report.Head = f.base.Revision.String(), f.revision
	if pull.Fork {
		report.Note = "This pull request comes from a fork: nothing live was read for it, and no secret."
	}
	return report, nil
}

// keep has the store remember for the merge what is shown. What was only predicted is not worth it. Where the Fleet's own
// files stay, they are the branch's: what is kept for them would count before the merge.
func (p *pass) keep(ctx context.Context, pull *forge.Pull, k *known, f *files, report view.Report) error {
	if pull.Fork || f.tree == "" || f.sameTree {
		k.tree = ""
		return nil
	}
	shown := Of(report)
	shown.Tree, shown.Number, shown.URL, shown.Title = f.tree, pull.Number, pull.URL, pull.Title
	shown.Head, shown.Base = pull.Head, f.base.Revision.Hash
	if err := p.Store.Put(ctx, p.key, shown); err != nil {
		return err
	}
	k.tree, p.m.untidy = f.tree, true
	if len(k.approvals) == 0 {
		return nil
	}
	return p.Store.Approve(ctx, p.key, k.tree, pull.Number, k.approvals)
}

// failed tells that there is no plan, unless there was one of the same commit, which stands until it is made anew. Why is
// for those who may read the Fleet: it may name what is not everybody's.
func (p *pass) failed(ctx context.Context, pull *forge.Pull, k *known, why error) error {
	if ctx.Err() != nil || k.status.State == forge.Success || k.status.State == forge.Failure {
		return why
	}
	return errors.Join(why, p.send(ctx, pull, k, verdict{state: forge.Error, line: fmt.Sprintf(
		"no plan could be made; it is tried again. Fleet %s says why in condition %s", p.key, v1alpha1.ReviewsPostedCondition)}))
}

// say sends the status if it is another one.
func (p *pass) say(ctx context.Context, pull *forge.Pull, k *known) error {
	v := k.verdict
	if v.approvable {
		by, err := p.approvedBy(ctx, pull, k)
		if err != nil {
			return err
		}
		v = v.approved(by)
	}
	return p.send(ctx, pull, k, v)
}

func (p *pass) send(ctx context.Context, pull *forge.Pull, k *known, v verdict) error {
	status := forge.Status{State: v.state, Context: p.context(), Description: clip(v.line)}
	if reflect.DeepEqual(k.status, status) {
		return nil
	}
	if err := p.Forge.SetStatus(ctx, pull.Head, status); err != nil {
		return fmt.Errorf("setting the commit status: %w", err)
	}
	k.status = status
	p.out.Posted++
	return nil
}

// context of the commit status: one a Fleet.
func (p *pass) context() string { return "refract/" + p.key.String() }

// marker by which the Fleet's comment is found again. HTML ends a comment at two hyphens, which names may hold.
func (p *pass) marker() string {
	return "refract: " + strings.ReplaceAll(p.key.String(), "--", "-%2D")
}

// markdownOf is the comment. It says that anything worse is held only where the plan is kept for the merge.
func markdownOf(report view.Report, kept bool) (string, error) {
	var b strings.Builder
	if err := view.WriteMarkdown(&b, report, view.MarkdownOptions{Reviewed: kept}); err != nil {
		return "", err
	}
	return b.String(), nil
}

// maxDescription is how long a commit status' text may be on every host.
const maxDescription = 140

func clip(text string) string {
	runes := []rune(text)
	if len(runes) <= maxDescription {
		return text
	}
	return string(runes[:maxDescription-1]) + "…"
}
