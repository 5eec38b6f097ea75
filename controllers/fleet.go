package controllers

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kuberecord "k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/controllers/review"
	"github.com/refract-dev/refract/gitsource"
	"github.com/refract-dev/refract/render/fleet"
)

// +kubebuilder:rbac:groups=refract.dev,resources=fleets,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=refract.dev,resources=fleets/status,verbs=patch
// +kubebuilder:rbac:groups=refract.dev,resources=cloudaccounts;clusterprofiles,verbs=list;watch;create;update;delete
// +kubebuilder:rbac:groups=refract.dev,resources=nutanixclusterspecs,verbs=get;list;watch;create;update;patch;delete
// +kubebuilder:rbac:groups=refract.dev,resources=cloudaccounts/status;clusterprofiles/status;nutanixclusterspecs/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch;patch
// +kubebuilder:rbac:groups="",resources=serviceaccounts,verbs=impersonate
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch

// FleetReconciler carries a Git path into accepted objects: snapshot, decode, propose, gate the sum, mirror.
//
// It never waits for machines and never writes to Cluster API objects: that is the cluster controller's, which acts on
// what is mirrored here.
type FleetReconciler struct {
	client.Client
	// Reader reads past the cache.
	Reader client.Reader
	// Recorder of events.
	Recorder kuberecord.EventRecorder
	// Now is the clock.
	Now func() time.Time

	clients  *clients
	sources  *sources
	records  records
	layers   layers
	support  *support
	inputs   *inputsReader
	answers  *kube.Answers
	metrics  *metrics
	hooks    *receiver
	reviewed review.Store
	// hear has the pull requests of a Fleet looked at now; nil: nobody does.
	hear func(fleet client.ObjectKey)
	// sites and compared tell of Prism Centrals; nil: nothing is known.
	sites    *sites
	compared *comparisons

	claims claims

	mu     sync.Mutex
	memory map[client.ObjectKey]*fleetMemory
}

// fleetMemory saves work between two reconciles of one Fleet. Losing it costs a decode.
type fleetMemory struct {
	cache    *fleet.Cache
	revision gitsource.Revision
	path     string
	decoded  fleet.Fleet
	// tree is Git's hash of the path in this revision; it and stirred are written under the lock.
	tree string
	// served is the tree of which nothing waits any more, and no approval of its review counts.
	served string
	// stirred: its review changed, so that it is looked at before the interval is over.
	stirred bool
	// asked is the tree for whose sake the forge was asked last, and askedAt when.
	asked   string
	askedAt time.Time
	// unreadable is what was said last of a review that cannot be read.
	unreadable string
	// handled is what the last complete look was about; while it holds, only the interval leads to another.
	handled string
	next    time.Time
}

// decodeCache is how many bytes of decoded files and built layers one Fleet keeps: 32 MiB.
const decodeCache = 32 << 20

// Reconcile looks at the repository when it is time, gates what changed and mirrors what was accepted.
func (r *FleetReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	f := &v1alpha1.Fleet{}
	// Past the cache, which may not show yet what the last reconcile said: a status is written by what it was before.
	if err := r.Reader.Get(ctx, req.NamespacedName, f); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req.NamespacedName)
			return ctrl.Result{}, r.reviewed.Forget(ctx, req.NamespacedName)
		}
		return ctrl.Result{}, err
	}
	if !f.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil // nothing is pruned; the clusters say FleetGone
	}
	withoutReview(f)
	before := f.DeepCopy()
	r.hooks.listen(ctx, r.Reader, f)
	s, stepErr := r.reconcile(ctx, f)
	if stepErr != nil && s != nil && s.stirred {
		r.stir(s.memory)
	}
	if overtaken(stepErr) {
		return ctrl.Result{RequeueAfter: soon}, nil
	}
	return r.say(ctx, before, f, s, stepErr)
}

// say writes what a reconcile came to, and remembers it only then: a status that could not be written would stay behind
// until the next interval.
func (r *FleetReconciler) say(ctx context.Context, before, f *v1alpha1.Fleet, s *scene, stepErr error) (ctrl.Result, error) {
	result, err := r.report(f, s, stepErr)
	if patchErr := applyWhole(ctx, r.Client, f, v1alpha1.FleetKind, "", before.Status, f.Status); client.IgnoreNotFound(patchErr) != nil {
		return ctrl.Result{}, ignoreCanceled(ctx, patchErr)
	}
	if s != nil && s.settled {
		r.settle(f, s)
		r.metrics.applied(client.ObjectKeyFromObject(f))
	}
	r.announce(before, f)
	return result, ignoreCanceled(ctx, err)
}

// reconcile is the road of one Fleet, read from top to bottom.
func (r *FleetReconciler) reconcile(ctx context.Context, f *v1alpha1.Fleet) (*scene, error) {
	if err := r.support.check(ctx); err != nil {
		return nil, err
	}
	s, err := r.look(ctx, f)
	if err != nil {
		return nil, err
	}
	if err := r.read(ctx, s); err != nil {
		// Git is away or wrong: what clusters ask for is gated all the same, and nothing else happens.
		s.unread = err
	}
	if err := r.propose(ctx, s); err != nil {
		return s, err
	}
	if err := r.gate(ctx, s); err != nil {
		return s, err
	}
	if err := r.accept(ctx, s); err != nil {
		return s, err
	}
	if err := r.remove(ctx, s); err != nil {
		return s, err
	}
	if err := r.publish(ctx, s); err != nil {
		return s, err
	}
	s.complete = true
	if err := r.spend(ctx, s); err != nil {
		return s, err
	}
	if err := r.spendReview(ctx, s); err != nil {
		return s, err
	}
	if err := r.tidy(ctx, s); err != nil {
		return s, err
	}
	if s.unread != nil {
		return s, s.unread
	}
	return s, s.failed()
}

// report writes the Fleet's status from the scene. One that was not completed leaves what was known: a revision counts
// as attempted only when everything in it was gated and said.
func (r *FleetReconciler) report(f *v1alpha1.Fleet, s *scene, err error) (ctrl.Result, error) {
	f.Status.ObservedGeneration = f.Generation
	if token, ok := meta.ReconcileAnnotationValue(f.Annotations); ok {
		f.Status.SetLastHandledReconcileRequest(token)
	}
	if s != nil && s.complete {
		s.count(f, r.Now())
	}
	if s != nil && s.complete && s.read() && !s.unanswered() {
		f.Status.LastAttemptedRevision = s.revision.String()
		f.Status.IgnoredFiles = int32(min(len(s.declared.Ignored), 1<<30))
	}
	if err == nil && f.Spec.Suspend {
		suspend(f)
		return ctrl.Result{RequeueAfter: interval(f)}, nil
	}
	if err == nil && s != nil {
		err = s.verdict()
	}
	if err == nil && s != nil && s.read() {
		f.Status.LastAppliedRevision = s.revision.String()
		s.settled = true
	}
	ready, again := "applied "+f.Status.LastAppliedRevision, interval(f)
	if s != nil {
		ready += s.keptWithoutFile()
		again = s.again(r.Now())
	}
	return conclude(f, err, "", ready, again)
}

// interval between two looks, at least a second.
func interval(f *v1alpha1.Fleet) time.Duration {
	if f.Spec.Interval.Duration <= 0 {
		return time.Minute
	}
	return max(f.Spec.Interval.Duration, time.Second)
}

// again is how long until the repository is looked at again. What happens in between does not put that off.
func (s *scene) again(now time.Time) time.Duration {
	left := s.memory.next.Sub(now)
	if s.read() || s.unread != nil || s.memory.handled != s.token() || left > interval(s.fleet) {
		return interval(s.fleet)
	}
	return max(left, soon)
}

// announce tells in events what changed, after the status was saved.
func (r *FleetReconciler) announce(before, after *v1alpha1.Fleet) {
	if before.Status.LastAppliedRevision != after.Status.LastAppliedRevision {
		r.Recorder.Eventf(after, corev1.EventTypeNormal, v1alpha1.AcceptedReason, "applied revision %s", after.Status.LastAppliedRevision)
	}
	was, is := conditionOf(before, v1alpha1.ReadyCondition), conditionOf(after, v1alpha1.ReadyCondition)
	if is != nil && is.Status == "False" && (was == nil || was.Message != is.Message) {
		r.Recorder.Event(after, corev1.EventTypeWarning, is.Reason, is.Message)
	}
}

// remember returns the memory of a Fleet.
func (r *FleetReconciler) remember(key client.ObjectKey) *fleetMemory {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.memory == nil {
		r.memory = map[client.ObjectKey]*fleetMemory{}
	}
	m, ok := r.memory[key]
	if !ok {
		m = &fleetMemory{cache: fleet.NewCache(decodeCache)}
		r.memory[key] = m
	}
	return m
}

func (r *FleetReconciler) forget(key client.ObjectKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.memory, key)
	r.sources.forget(key)
	r.hooks.forget(key)
	r.metrics.forgetFleet(key)
}

// settle remembers that a look was complete, so that events that change nothing of it cost no ref listing.
func (r *FleetReconciler) settle(f *v1alpha1.Fleet, s *scene) {
	s.memory.handled, s.memory.next = s.token(), r.Now().Add(interval(f))
}

// token stands for everything about a Fleet that calls for a look before the interval is over: also the calls of its Git
// server, as many as there were before the look began.
func (s *scene) token() string {
	requested, _ := meta.ReconcileAnnotationValue(s.fleet.Annotations)
	return fmt.Sprint(s.fleet.Generation, requested, s.fleet.Annotations[v1alpha1.ApprovedPlanAnnotation], s.calls)
}
