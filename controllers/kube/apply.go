package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/render/plan"
)

// Applied is what one Apply wrote, in order; also filled up to the failure when Apply fails.
type Applied struct {
	// Objects that were created, changed or deleted. Empty when there was nothing to do.
	Objects []AppliedObject
}

// AppliedObject is one write. A watch event of this UID and generation is our own echo.
type AppliedObject struct {
	// Object written.
	Object plan.Ref
	// UID of the object after the write.
	UID types.UID
	// Generation that the write left; 0 for a deletion.
	Generation int64
	// Deleted is true when the object was pruned.
	Deleted bool
}

// ForeignError says that an object exists which is not in the inventory. Nothing was written to it; a person adopts it
// (spec.adopt) or takes it away.
type ForeignError struct {
	// Object that stands in the way.
	Object plan.Ref
	// Managers of its fields.
	Managers []string
}

// Error names the object, its managers and what to do.
func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s %s/%s exists and is not ours (managed by %v): set spec.adopt: true to take it over, or delete it",
		e.Object.Kind, e.Object.Namespace, e.Object.Name, e.Managers)
}

// StaleError says that an object is not the one that was planned for: it was deleted, re-created, changed or changed
// hands.
// Nothing was written to it; plan again.
type StaleError struct {
	// Object concerned.
	Object plan.Ref
	// Err is what was found.
	Err error
}

// Error names the object and what was found.
func (e *StaleError) Error() string {
	return fmt.Sprintf("%s %s/%s is not the object that was planned for: %v", e.Object.Kind, e.Object.Namespace, e.Object.Name, e.Err)
}

// Unwrap gives what was found.
func (e *StaleError) Unwrap() error { return e.Err }

// RefusedError says that the API server, a webhook or a policy refused an object for what it says. Retrying does not
// help.
type RefusedError struct {
	// Object refused.
	Object plan.Ref
	// Words of the refusal; without values for a Secret.
	Words string
}

// Error names the object and gives the words.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s %s/%s was refused: %s", e.Object.Kind, e.Object.Namespace, e.Object.Name, e.Words)
}

// Apply carries out a plan: creations and changes in the order given, each a server-side apply that carries the UID of
// what was planned for and the resource version of what was looked at, then deletions with the UID as precondition. A plan without objects sends no mutating request.
//
// Every object is read again right before it is written, and left alone, with a *ForeignError or *StaleError, when it is
// not the one that was planned for. A template that something refers to by now stays, without an error: a later plan
// finds it again. Deleting the Cluster is not Apply's business: see DeleteCluster.
func (c Cluster) Apply(ctx context.Context, p plan.Plan) (Applied, error) {
	var done Applied
	for _, f := range p.Foreign {
		return done, &ForeignError{Object: f.Object, Managers: f.Managers}
	}
	for _, s := range p.Objects {
		if s.Action != plan.Create && s.Action != plan.Update {
			continue
		}
		written, err := c.applyStep(ctx, s)
		if err != nil {
			return done, err
		}
		done.Objects = append(done.Objects, written)
	}
	pruned, err := c.prune(ctx, p.Objects)
	done.Objects = append(done.Objects, pruned...)
	return done, err
}

func (c Cluster) applyStep(ctx context.Context, s plan.Step) (AppliedObject, error) {
	stored, err := c.applyUntouched(ctx, s)
	for range maxOvertaken {
		if s.UID == "" || !apierrors.IsConflict(err) {
			break
		}
		// Most likely its status was written between the look and the write: look again.
		stored, err = c.applyUntouched(ctx, s)
	}
	if _, ok := errors.AsType[*StaleError](err); ok {
		return AppliedObject{}, err
	}
	if _, ok := errors.AsType[*ForeignError](err); ok {
		return AppliedObject{}, err
	}
	switch {
	case err == nil:
		return AppliedObject{Object: s.Object, UID: stored.GetUID(), Generation: stored.GetGeneration()}, nil
	case refusal(s.Want, err) != "":
		return AppliedObject{}, &RefusedError{Object: s.Object, Words: refusal(s.Want, err)}
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return AppliedObject{}, &StaleError{Object: s.Object, Err: err}
	}
	return AppliedObject{}, fmt.Errorf("apply %s %s/%s: %w", s.Object.Kind, s.Object.Namespace, s.Object.Name, err)
}

// applyUntouched writes only over what was looked at, to the resource version.
func (c Cluster) applyUntouched(ctx context.Context, s plan.Step) (*unstructured.Unstructured, error) {
	live, err := c.get(ctx, s.Object)
	if err != nil {
		return nil, err
	}
	if err = c.untouched(s, live); err != nil {
		return nil, err
	}
	want := s.Want
	if live != nil {
		want = want.DeepCopy()
		want.SetResourceVersion(live.GetResourceVersion())
	}
	stored, err := c.apply(ctx, want, live)
	if err == nil {
		c.Answers.applied(want, stored)
	}
	return stored, err
}

var (
	errChanged  = errors.New("its spec was changed meanwhile")
	errGone     = errors.New("it is gone")
	errReplaced = errors.New("it was deleted and created again")
	errAppeared = errors.New("it exists by now")
	errNotOurs  = errors.New("it is not in the inventory")
)

// untouched says whether live is what the step was planned for.
func (c Cluster) untouched(s plan.Step, live *unstructured.Unstructured) error {
	stale := func(why error) error { return &StaleError{Object: s.Object, Err: why} }
	switch {
	case live == nil && s.UID == "":
		return nil
	case live == nil:
		return stale(errGone)
	case !InInventory(live, c.Name) && (!c.Adopt || s.UID != live.GetUID() || anothers(live, c.Name)):
		return &ForeignError{Object: s.Object, Managers: Managers(live)}
	case s.UID == "":
		return stale(errAppeared)
	case s.UID != live.GetUID():
		return stale(errReplaced)
	case s.Generation != 0 && s.Generation != live.GetGeneration():
		return stale(errChanged)
	}
	return nil
}

// prune deletes in the order given.
func (c Cluster) prune(ctx context.Context, steps []plan.Step) ([]AppliedObject, error) {
	steps = slices.DeleteFunc(slices.Clone(steps), func(s plan.Step) bool { return s.Action != plan.Delete })
	used, err := c.usedNow(ctx, steps)
	if err != nil {
		return nil, err
	}
	var done []AppliedObject
	for _, s := range steps {
		if s.Object.Kind == clusterKind.Kind || used[identify(s.Object)] {
			continue
		}
		deleted, err := c.delete(ctx, s.Object, s.UID)
		if err != nil {
			return done, err
		}
		if deleted {
			done = append(done, AppliedObject{Object: s.Object, UID: s.UID, Deleted: true})
		}
	}
	return done, nil
}

// usedNow looks again at what refers to templates, if any of them is to go.
func (c Cluster) usedNow(ctx context.Context, steps []plan.Step) (references, error) {
	if !slices.ContainsFunc(steps, func(s plan.Step) bool { return templated(s.Object.Kind) }) {
		return nil, nil
	}
	m, err := c.machinery(ctx)
	if err != nil {
		return nil, err
	}
	live, err := c.labelled(ctx)
	if err != nil {
		return nil, err
	}
	return m.references(live), nil
}

// delete removes an inventory object of that UID; false when it is gone or going already.
func (c Cluster) delete(ctx context.Context, r plan.Ref, uid types.UID) (bool, error) {
	live, err := c.get(ctx, r)
	if err != nil || live == nil || live.GetDeletionTimestamp() != nil {
		return false, err
	}
	if uid != live.GetUID() {
		return false, &StaleError{Object: r, Err: errReplaced}
	}
	if !InInventory(live, c.Name) || anothers(live, c.Name) {
		return false, &StaleError{Object: r, Err: errNotOurs}
	}
	c.Answers.forget(r)
	err = c.Client.Delete(ctx, live, client.Preconditions{UID: &uid}, client.PropagationPolicy("Background"))
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case apierrors.IsConflict(err):
		return false, &StaleError{Object: r, Err: err}
	case err != nil:
		return false, fmt.Errorf("delete %s %s/%s: %w", r.Kind, r.Namespace, r.Name, err)
	}
	return true, nil
}

// DeleteCluster deletes the CAPI Cluster of that UID, and nothing else: Cluster API takes the machines down in its own
// order. False when it is gone or going already. The caller has seen both policy and stamp.
func (c Cluster) DeleteCluster(ctx context.Context, uid types.UID) (bool, error) {
	return c.delete(ctx, c.ref(clusterKind, c.Name), uid)
}

// DeleteRest deletes what is left of the inventory once Cluster API is done with the Cluster (templates, Secrets,
// ConfigMaps), and says how many objects are still there. While the Cluster exists it is an error.
func (c Cluster) DeleteRest(ctx context.Context) (int, error) {
	cluster, err := c.get(ctx, c.ref(clusterKind, c.Name))
	if err != nil {
		return 0, err
	}
	if cluster != nil {
		return 0, fmt.Errorf("the Cluster %s/%s still exists: what belongs to it stays", c.Namespace, c.Name)
	}
	rest, err := c.Inventory(ctx)
	if err != nil {
		return 0, err
	}
	slices.Reverse(rest)
	for _, o := range rest {
		if _, err := c.delete(ctx, plan.RefOf(o), o.GetUID()); err != nil {
			return len(rest), err
		}
	}
	return len(rest), nil
}
