package review

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/gitsource"
	"github.com/refract-dev/refract/gitsource/forge"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan/view"
)

const (
	// renewAfter is when a plan is made anew although nothing that is watched changed: Prism Central has no events.
	renewAfter = 10 * time.Minute
	// plansInAPass bounds how many pull requests one pass plans, so that it ends; the next one goes on.
	plansInAPass = 10
	// soon is when the next pass goes on.
	soon = 2 * time.Second
	// planTimeout bounds the making of one plan.
	planTimeout = 5 * time.Minute
	// decodeCache is how many bytes of decoded files and built layers are kept of one Fleet's pull requests: 16 MiB.
	decodeCache = 16 << 20
)

// Source reads revisions of a Fleet's repository; a *gitsource.Repository is one.
type Source interface {
	// Resolve asks which commit a ref stands for.
	Resolve(ctx context.Context, ref gitsource.Ref) (gitsource.Revision, error)
	// Snapshots reads several revisions at once, unchecked.
	Snapshots(ctx context.Context, refs ...gitsource.Ref) ([]gitsource.Snapshot, error)
}

// Live is the management cluster.
type Live interface {
	// State is what is there now. It costs no request.
	State(ctx context.Context) (State, error)
	// Review plans. Offline, nothing live may be read and no secret used.
	Review(ctx context.Context, head, base *fleet.Fleet, offline bool) (view.Report, error)
	// May asks Kubernetes whether the user or group that an approver is mapped to may approve the Fleet's plans.
	May(ctx context.Context, a v1alpha1.ReviewApprover) (bool, error)
}

// State is the management cluster at one moment: a digest over what a plan depends on beside the files. While it is the
// same, a plan made anew would be the same.
type State func(of About) (string, error)

// About is what a plan is about.
type About struct {
	// Clusters that it changes, or says anything of.
	Clusters []string
	// Accounts in whose Prism Central it makes machines.
	Accounts []string
	// Machines go or are re-created: then limits apply, which sum over everything under way in the Fleet.
	Machines bool
}

// Job is what a pass needs of one Fleet.
type Job struct {
	// Fleet with spec.review.provider.
	Fleet *v1alpha1.Fleet
	// Forge of its pull requests.
	Forge forge.Forge
	// Source of its files. Nobody else uses it.
	Source Source
	// Live is asked for plans.
	Live Live
}

// Outcome of a pass, also of one that failed half-way.
type Outcome struct {
	// Open pull requests onto the Fleet's branch; -1 when they could not be listed.
	Open int
	// Posted counts the comments and statuses that were handed to the forge because they differ from the last ones.
	Posted int
	// Again is how soon something is left to do: pull requests that one pass had no room for, or such as Git and the forge
	// do not agree on. 0: at the next interval.
	Again time.Duration
}

// Reviewer keeps on every open pull request onto a Fleet's branch one comment and one commit status that say what its
// merge would do. What it remembers saves work; losing it costs a plan for each open pull request, and nothing is said
// twice.
type Reviewer struct {
	// Now is the clock.
	Now func() time.Time
	// Store keeps what was shown for the merge.
	Store Store

	mu     sync.Mutex
	memory map[client.ObjectKey]*memory
}

// memory of one Fleet. Passes of one Fleet do not overlap.
type memory struct {
	cache *fleet.Cache
	pulls map[int]*known
	// kept is what the store held when this process began with the Fleet, but for what is over; nil before.
	kept map[int][]Kept
	base decoded
	// untidy: something was put since the store was last tidied.
	untidy bool
}

// decoded files of one commit.
type decoded struct {
	commit string
	fleet  *fleet.Fleet
}

// known is what was last made of one pull request.
type known struct {
	head string
	// made says what the plan was made from, when, and what it is about.
	made  string
	at    time.Time
	about About
	// tree that was put into the store; empty when nothing was.
	tree string
	// apart is when Git and the forge were last found not to agree on it; nil when they do.
	apart *apart
	// verdict of the plan, before anybody's word.
	verdict verdict
	// comment and status as they were last sent.
	comment string
	status  forge.Status
	// approvals as they were last kept, and heard whether this process has kept any or none.
	approvals []Approval
	heard     bool
}

// Forget drops what is remembered of a Fleet that is gone or is no longer reviewed.
func (r *Reviewer) Forget(fleet client.ObjectKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.memory, fleet)
}

func (r *Reviewer) remember(key client.ObjectKey) *memory {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.memory == nil {
		r.memory = map[client.ObjectKey]*memory{}
	}
	m := r.memory[key]
	if m == nil {
		m = &memory{cache: fleet.NewCache(decodeCache), pulls: map[int]*known{}}
		r.memory[key] = m
	}
	return m
}

// pass is one look at the pull requests of a Fleet.
type pass struct {
	*Reviewer
	Job
	m   *memory
	key client.ObjectKey
	out Outcome
	// plans that were made.
	plans int
}

// Pass looks at all open pull requests once: those that are new, were updated, or whose plan is stale are planned and
// told; of those that were merged the last approvals are kept. What goes wrong with one does not keep the others from
// being looked at, but for a forge or a Git server that does not answer.
func (r *Reviewer) Pass(ctx context.Context, j Job) (Outcome, error) {
	p := &pass{Reviewer: r, Job: j, key: client.ObjectKeyFromObject(j.Fleet), out: Outcome{Open: -1}}
	p.m = r.remember(p.key)
	err := p.run(ctx)
	return p.out, errors.Join(err, p.tidy(ctx))
}

// tidy bounds what is kept. What open pull requests show stays, and so does that of those of which no leave was taken yet.
func (p *pass) tidy(ctx context.Context) error {
	if !p.m.untidy {
		return nil
	}
	open := slices.AppendSeq(slices.Collect(maps.Keys(p.m.pulls)), maps.Keys(p.m.kept))
	if err := p.Store.Tidy(ctx, p.key, open); err != nil {
		return err
	}
	p.m.untidy = false
	return nil
}

func (p *pass) run(ctx context.Context) error {
	if err := p.recall(ctx); err != nil {
		return err
	}
	pulls, err := p.Forge.Pulls(ctx, p.branch())
	if err != nil {
		return fmt.Errorf("listing pull requests: %w", err)
	}
	p.out.Open = len(pulls)
	wrong := troubles{}
	p.close(ctx, pulls, wrong)
	if len(pulls) == 0 {
		p.m.base = decoded{}
	}
	if len(pulls) == 0 || wrong.away() {
		return wrong.err()
	}
	base, err := p.Source.Resolve(ctx, gitsource.Ref{Branch: p.branch()})
	if err != nil {
		return errors.Join(wrong.err(), err)
	}
	p.byNews(pulls)
	for i := range pulls {
		wrong.note(pulls[i].Number, p.look(ctx, base, &pulls[i]))
		if ctx.Err() != nil || wrong.away() {
			break
		}
	}
	return wrong.err()
}

// recall reads once what an earlier process kept of pull requests that may not be over.
func (p *pass) recall(ctx context.Context) error {
	if p.m.kept != nil {
		return nil
	}
	kept, err := p.Store.List(ctx, p.key)
	if err != nil {
		return err
	}
	p.m.kept = map[int][]Kept{}
	for _, k := range kept {
		if !k.Over {
			p.m.kept[k.Number] = append(p.m.kept[k.Number], k)
		}
	}
	return nil
}

// again has the next pass be no later than after d.
func (p *pass) again(d time.Duration) {
	if p.out.Again == 0 || d < p.out.Again {
		p.out.Again = d
	}
}

// troubles are what went wrong, by pull request.
type troubles map[int]error

func (t troubles) note(number int, err error) {
	if err != nil {
		t[number] = fmt.Errorf("pull request #%d: %w", number, err)
	}
}

// err is the same whatever the order in which things went wrong.
func (t troubles) err() error {
	var all []error
	for _, n := range slices.Sorted(maps.Keys(t)) {
		all = append(all, t[n])
	}
	return errors.Join(all...)
}

func (t troubles) away() bool { return away(t.err()) }

// away says whether an error is no single pull request's own: nobody answers.
func away(err error) bool {
	var limited *forge.RateLimited
	return errors.As(err, &limited) || errors.Is(err, forge.ErrUnreachable) || errors.Is(err, gitsource.ErrUnreachable)
}

// byNews puts those first that were never planned, then those whose plan is oldest, so that none is left out for long.
func (p *pass) byNews(pulls []forge.Pull) {
	at := func(number int) time.Time {
		if k := p.m.pulls[number]; k != nil {
			return k.at
		}
		return time.Time{}
	}
	slices.SortStableFunc(pulls, func(a, b forge.Pull) int { return at(a.Number).Compare(at(b.Number)) })
}

// branch that the Fleet follows.
func (p *pass) branch() string {
	if b := p.Fleet.Spec.Git.Ref.Branch; b != "" {
		return b
	}
	return "main"
}

// close takes leave of pull requests that are no longer open. Of a merged one the last word of the approvals is kept:
// after this nobody asks again.
func (p *pass) close(ctx context.Context, open []forge.Pull, wrong troubles) {
	gone := map[int]bool{}
	for n := range p.m.pulls {
		gone[n] = true
	}
	for n := range p.m.kept {
		gone[n] = true
	}
	for i := range open {
		delete(gone, open[i].Number)
	}
	for _, n := range slices.Sorted(maps.Keys(gone)) {
		if err := p.closed(ctx, n); err != nil {
			wrong.note(n, fmt.Errorf("it is not open any more, and who approved it is not known: %w", err))
			if ctx.Err() != nil || wrong.away() {
				return
			}
			continue
		}
		delete(p.m.pulls, n)
		delete(p.m.kept, n)
	}
}

// closed takes leave of one. Where its branch was deleted, a host may call it one of a fork, of which nothing is kept.
func (p *pass) closed(ctx context.Context, number int) error {
	pull, err := p.Forge.Pull(ctx, number)
	lost := errors.Is(err, forge.ErrNotFound)
	if err != nil && !lost {
		return err
	}
	kept, err := p.Store.List(ctx, p.key)
	if err != nil {
		return err
	}
	kept = slices.DeleteFunc(kept, func(k Kept) bool { return k.Number != number })
	merged := func(k Kept) bool { return !lost && pull.Merged && pull.Base == p.branch() && k.Head == pull.Head }
	var words []Approval
	if p.approvable() && slices.ContainsFunc(kept, merged) {
		if words, err = p.words(ctx, &pull); err != nil {
			return err
		}
	}
	for _, k := range kept {
		if merged(k) {
			err = p.Store.Merge(ctx, p.key, k.Tree, k.Number, words)
		} else {
			err = p.Store.Close(ctx, p.key, k.Tree, k.Number)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
