package controllers

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/controllers/review"
	"github.com/refract-dev/refract/gitsource"
	"github.com/refract-dev/refract/gitsource/forge"
)

// reviewTimeout bounds one look at the pull requests of a Fleet, so that no forge keeps others waiting for long.
const reviewTimeout = 10 * time.Minute

// ReviewReconciler has the pull requests onto a Fleet's branch say what their merge would do. It has a queue and workers
// of its own: a forge that is down, slow or wants to be left alone delays nothing else, and nothing here changes a
// cluster.
type ReviewReconciler struct {
	client.Client
	// Reader reads past the cache.
	Reader client.Reader
	// Watched reads the metadata of what is watched, without asking the API server.
	Watched client.Reader
	// Now is the clock.
	Now func() time.Time

	fleets   *FleetReconciler
	sources  *sources
	reviewer *review.Reviewer
	answers  *kube.Answers
	sites    *sites
	compared *comparisons
	metrics  *metrics
	forges   forges
	woken    *asks
}

// setup of the review controller: the Fleets' own changes, and whoever wakes it.
func (r *ReviewReconciler) setup(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("review").
		For(&v1alpha1.Fleet{}, builder.WithPredicates(changed)).
		WatchesRawSource(source.Channel(r.woken.events, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{RateLimiter: limiter()}).
		Complete(r)
}

// Wake has the pull requests of a Fleet looked at before its interval is over. It never blocks; a Fleet that was told of
// several times is looked at once.
func (r *ReviewReconciler) Wake(fleet client.ObjectKey) { r.woken.about(&v1alpha1.Fleet{})(fleet) }

// Reconcile looks at the open pull requests of one Fleet.
func (r *ReviewReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	f := &v1alpha1.Fleet{}
	if err := r.Get(ctx, req.NamespacedName, f); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	switch {
	case !f.DeletionTimestamp.IsZero():
		r.forget(req.NamespacedName)
		return ctrl.Result{}, nil
	case f.Spec.Review == nil || f.Spec.Review.Provider == "":
		r.forget(req.NamespacedName)
		return ctrl.Result{}, r.publish(ctx, f, nil)
	case f.Spec.Suspend:
		said := metav1.Condition{Status: metav1.ConditionUnknown, Reason: v1alpha1.SuspendedReason, Message: "spec.suspend is set: pull requests are not looked at"}
		return ctrl.Result{}, r.publish(ctx, f, &said)
	}
	out, err := r.look(ctx, f)
	if ctx.Err() != nil {
		return ctrl.Result{}, ignoreCanceled(ctx, err) // shut down: whoever acts next goes on
	}
	r.metrics.reviewed(req.NamespacedName, out, err)
	said, again, failed := concludeReview(f, err, r.Now())
	if err = r.publish(ctx, f, &said); err != nil {
		return ctrl.Result{}, err
	}
	if out.Again > 0 && failed == nil {
		again = min(again, out.Again)
	}
	return ctrl.Result{RequeueAfter: again}, failed
}

// look makes one pass.
func (r *ReviewReconciler) look(ctx context.Context, f *v1alpha1.Fleet) (review.Outcome, error) {
	out := review.Outcome{Open: -1}
	if f.Spec.Git.Ref.Tag != "" || f.Spec.Git.Ref.Commit != "" {
		return out, stall(v1alpha1.NoBranchReason, "spec.git.ref is no branch, and pull requests go to branches; follow a branch, or remove spec.review.provider")
	}
	if err := r.fleets.support.check(ctx); err != nil {
		return out, err
	}
	host, err := r.open(ctx, f)
	if err != nil {
		return out, err
	}
	repo, err := r.sources.open(ctx, f)
	if err != nil {
		return out, err
	}
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	return r.reviewer.Pass(ctx, review.Job{Fleet: f, Forge: host, Source: repo, Live: &liveReview{ReviewReconciler: r, fleet: f}})
}

// publish writes condition ReviewsPosted, which is this controller's alone, if it is another one than before; nil takes it
// back.
func (r *ReviewReconciler) publish(ctx context.Context, f *v1alpha1.Fleet, said *metav1.Condition) error {
	before := conditionOf(f, v1alpha1.ReviewsPostedCondition)
	status := map[string]any{}
	if said != nil {
		after := f.DeepCopy()
		set(after, v1alpha1.ReviewsPostedCondition, said.Status, said.Reason, said.Message)
		now := conditionOf(after, v1alpha1.ReviewsPostedCondition)
		if equality.Semantic.DeepEqual(before, now) {
			return nil
		}
		packed, err := toMap(struct {
			Conditions []metav1.Condition `json:"conditions"`
		}{[]metav1.Condition{*now}})
		if err != nil {
			return err
		}
		status = packed
	} else if before == nil {
		return nil
	}
	err := applyStatus(ctx, r.Client, f, v1alpha1.FleetKind, v1alpha1.ReviewFieldManager, "", status)
	return ignoreCanceled(ctx, client.IgnoreNotFound(err))
}

// withoutReview leaves the reviewer's condition out of what the Fleet controller reads and writes.
func withoutReview(f *v1alpha1.Fleet) {
	f.Status.Conditions = pick(f.Status.Conditions, func(t string) bool { return t != v1alpha1.ReviewsPostedCondition })
}

func (r *ReviewReconciler) forget(fleet client.ObjectKey) {
	r.reviewer.Forget(fleet)
	r.sources.forget(fleet)
	r.forges.forget(fleet)
	r.metrics.forgetReview(fleet)
}

// concludeReview maps the outcome of a pass to the condition and to when the next one is: the one place where errors of
// reviews become words. An error that is returned is retried with backoff.
func concludeReview(f *v1alpha1.Fleet, err error, now time.Time) (metav1.Condition, time.Duration, error) {
	every := interval(f)
	failed := func(reason, message string) metav1.Condition {
		return metav1.Condition{Status: metav1.ConditionFalse, Reason: reason, Message: message}
	}
	step, limited := new(stepError), new(forge.RateLimited)
	switch {
	case err == nil:
		return metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.SucceededReason, Message: "every open pull request says what its merge would do"}, every, nil
	case errors.As(err, &limited):
		// Not until when: a condition says the same as long as the same is the matter.
		return failed(v1alpha1.RateLimitedReason, "the forge wants to be left alone for a while; pull requests are looked at again when it allows it"),
			max(every, limited.Until.Sub(now)+time.Second), nil
	case errors.Is(err, forge.ErrUnreachable):
		return failed(v1alpha1.ForgeUnreachableReason, err.Error()), 0, err
	case errors.Is(err, forge.ErrAuth):
		return failed(v1alpha1.AuthenticationFailedReason, err.Error()), every, nil
	case errors.Is(err, forge.ErrRefused), errors.Is(err, forge.ErrNotFound), errors.Is(err, forge.ErrLimit):
		return failed(v1alpha1.ForgeRefusedReason, err.Error()), every, nil
	case errors.Is(err, gitsource.ErrAuth), errors.Is(err, gitsource.ErrHostKey), errors.Is(err, gitsource.ErrTLS):
		return failed(v1alpha1.AuthenticationFailedReason, err.Error()), every, nil
	case errors.Is(err, gitsource.ErrUnreachable):
		return failed(v1alpha1.RepositoryUnreachableReason, err.Error()), 0, err
	case review.Apart(err):
		return failed(v1alpha1.ReviewFailedReason, err.Error()), every, nil
	case !errors.As(err, &step):
		return failed(v1alpha1.ReviewFailedReason, err.Error()), 0, err
	case step.kind == stalled:
		return failed(step.reason, step.Error()), every, nil
	case step.kind == waiting:
		return failed(step.reason, step.Error()), step.after, nil
	}
	return failed(step.reason, step.Error()), 0, err
}

// forges holds one client per Fleet: it knows until when the host is to be left alone.
type forges struct {
	mu   sync.Mutex
	held map[client.ObjectKey]heldForge
}

type heldForge struct {
	options forge.Options // but for functions
	forge   forge.Forge
}

func (h *forges) forget(fleet client.ObjectKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.held, fleet)
}

// open gives the forge of a Fleet, with credentials read afresh from their Secret.
func (r *ReviewReconciler) open(ctx context.Context, f *v1alpha1.Fleet) (forge.Forge, error) {
	o, err := r.options(ctx, f)
	if err != nil {
		return nil, err
	}
	key := client.ObjectKeyFromObject(f)
	r.forges.mu.Lock()
	defer r.forges.mu.Unlock()
	if have, ok := r.forges.held[key]; ok && reflect.DeepEqual(have.options, o) {
		return have.forge, nil
	}
	with := o
	with.Now, with.Observe = r.Now, r.metrics.forge(key)
	opened, err := forge.Open(with)
	if err != nil {
		return nil, fmt.Errorf("spec.review: %w", err)
	}
	if r.forges.held == nil {
		r.forges.held = map[client.ObjectKey]heldForge{}
	}
	r.forges.held[key] = heldForge{options: o, forge: opened}
	return opened, nil
}

func (r *ReviewReconciler) options(ctx context.Context, f *v1alpha1.Fleet) (forge.Options, error) {
	spec := f.Spec.Review
	o := forge.Options{Provider: forge.Provider(spec.Provider), Address: spec.Address, Repository: spec.Repository, AllowInsecure: r.sources.allowInsecure}
	if o.Address == "" || o.Repository == "" {
		address, repository, err := forge.Locate(f.Spec.Git.URL)
		if err != nil {
			return o, err
		}
		if o.Address == "" {
			o.Address = address
		}
		if o.Repository == "" {
			o.Repository = repository
		}
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: f.Namespace}
	if spec.SecretRef != nil {
		key.Name = spec.SecretRef.Name
	}
	if err := r.Reader.Get(ctx, key, secret); err != nil {
		if apierrors.IsNotFound(err) {
			return o, stall(v1alpha1.SecretNotFoundReason, "spec.review.secretRef: Secret %s does not exist; create it with token, or with githubAppID, githubAppInstallationID and githubAppPrivateKey", key)
		}
		return o, fmt.Errorf("reading Secret %s: %w", key, err)
	}
	var err error
	if o.Auth, err = forge.AuthFromSecret(secret.Data); err != nil {
		return o, stall(v1alpha1.AuthenticationFailedReason, "Secret %s: %w", key, err)
	}
	return o, nil
}
