package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// relay passes calls that a waiting replica took to the one that acts, by the annotation that flux reconcile sets. Calls
// for one Fleet that come together are one.
type relay struct {
	client client.Client
	now    func() time.Time
	queue  workqueue.TypedRateLimitingInterface[client.ObjectKey]
}

// relayed is how long calls are gathered before they are told.
const relayed = 200 * time.Millisecond

func newRelay(c client.Client, now func() time.Time) *relay {
	return &relay{client: c, now: now, queue: workqueue.NewTypedRateLimitingQueue(
		workqueue.NewTypedItemExponentialFailureRateLimiter[client.ObjectKey](backoffBase, backoffMax))}
}

// pass never blocks.
func (r *relay) pass(fleet client.ObjectKey) { r.queue.AddAfter(fleet, relayed) }

// NeedLeaderElection has the replicas that wait do this.
func (*relay) NeedLeaderElection() bool { return false }

// Start works until ctx ends.
func (r *relay) Start(ctx context.Context) error {
	go func() {
		<-ctx.Done()
		r.queue.ShutDown()
	}()
	for {
		fleet, down := r.queue.Get()
		if down {
			return nil
		}
		if err := r.leaveWord(ctx, fleet); client.IgnoreNotFound(err) != nil && ctx.Err() == nil {
			ctrl.LoggerFrom(ctx).Error(err, "passing a call on to the replica that acts; tried again", "fleet", fleet)
			r.queue.AddRateLimited(fleet)
		} else {
			r.queue.Forget(fleet)
		}
		r.queue.Done(fleet)
	}
}

func (r *relay) leaveWord(ctx context.Context, fleet client.ObjectKey) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{
		meta.ReconcileRequestAnnotation: r.now().UTC().Format(time.RFC3339Nano),
	}}})
	if err != nil {
		return fmt.Errorf("writing a patch: %w", err)
	}
	f := &v1alpha1.Fleet{}
	f.Namespace, f.Name = fleet.Namespace, fleet.Name
	return r.client.Patch(ctx, f, client.RawPatch(types.MergePatchType, patch), client.FieldOwner("refract"))
}

// setupHooks has the manager take calls of Git servers, if it is to.
func setupHooks(mgr ctrl.Manager, o Options, m *metrics, a *asks) (*receiver, error) {
	hooks := &receiver{
		address: o.WebhookAddress, tokens: &tokens{}, elected: mgr.Elected(), push: a.about(&v1alpha1.Fleet{}),
		count: m.called, log: o.Log.WithName("webhook"), slots: make(chan struct{}, maxCalls), patience: callTimeout,
	}
	if o.WebhookAddress == "" {
		return hooks, nil
	}
	word := newRelay(mgr.GetClient(), o.Clock.Now)
	hooks.relay = word.pass
	for _, part := range []manager.Runnable{word, hooks} {
		if err := mgr.Add(part); err != nil {
			return nil, err
		}
	}
	return hooks, (&listener{client: mgr.GetClient(), reader: mgr.GetAPIReader(), hooks: hooks}).setup(mgr)
}

// listener fills the tokens of a replica that waits; on the one that acts the Fleet controller does.
type listener struct {
	client, reader client.Reader
	hooks          *receiver
}

func (l *listener) setup(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("webhook").
		For(&v1alpha1.Fleet{}, builder.WithPredicates(changed)).
		WithOptions(controller.Options{RateLimiter: limiter(), NeedLeaderElection: new(false)}).
		Complete(l)
}

// Reconcile reads one Fleet's Secret.
func (l *listener) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	select {
	case <-l.hooks.elected:
		return ctrl.Result{}, nil
	default:
	}
	f := &v1alpha1.Fleet{}
	if err := l.client.Get(ctx, req.NamespacedName, f); err != nil {
		if client.IgnoreNotFound(err) == nil {
			l.hooks.forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if f.Spec.Webhook == nil {
		l.hooks.forget(req.NamespacedName)
		return ctrl.Result{}, nil
	}
	l.hooks.listen(ctx, l.reader, f.DeepCopy()) // The replica that acts says in the status what came of it.
	return ctrl.Result{RequeueAfter: interval(f)}, nil
}
