package controllers

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// Backoff of failed reconciles.
const (
	backoffBase = 500 * time.Millisecond
	backoffMax  = time.Minute
)

// healthDelay gathers the many status events of a roll into one look.
const healthDelay = time.Second

func controllerOptions(o Options) config.Controller {
	relaxed := o.RelaxedNames
	return config.Controller{MaxConcurrentReconciles: o.Concurrent, SkipNameValidation: &relaxed}
}

func limiter() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](backoffBase, backoffMax)
}

func has(label string) labels.Selector {
	requirement, err := labels.NewRequirement(label, selection.Exists, nil)
	if err != nil {
		return labels.Nothing() // cannot be: the labels are constants
	}
	return labels.NewSelector().Add(*requirement)
}

func partial(kind schema.GroupVersionKind) *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(kind)
	return o
}

// asks carries hints to a controller: that a cluster wants a gate from its Fleet, or that Prism Central has news. One that
// is lost costs time and nothing else, for each is found at the next interval anyway.
type asks struct {
	events chan event.GenericEvent
}

func newAsks() *asks { return &asks{events: make(chan event.GenericEvent, 1024)} }

// about has objects of one type looked at.
func (a *asks) about(kind client.Object) func(key client.ObjectKey) {
	return func(key client.ObjectKey) {
		o, ok := kind.DeepCopyObject().(client.Object)
		if !ok {
			return
		}
		o.SetNamespace(key.Namespace)
		o.SetName(key.Name)
		select {
		case a.events <- event.GenericEvent{Object: o}:
		default: // full: the interval serves
		}
	}
}

// setup of the Fleet controller: its own changes, what its mirrors need, and what clusters ask for.
func (r *FleetReconciler) setup(mgr ctrl.Manager, a *asks) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("fleet").
		For(&v1alpha1.Fleet{}, builder.WithPredicates(changed)).
		Watches(&v1alpha1.NutanixClusterSpec{}, handler.EnqueueRequestsFromMapFunc(r.fleetOf), builder.WithPredicates(predicate.Or(changed, spoken))).
		Watches(&v1alpha1.ClusterProfile{}, handler.EnqueueRequestsFromMapFunc(r.fleetOf), builder.WithPredicates(changed)).
		Watches(&v1alpha1.CloudAccount{}, handler.EnqueueRequestsFromMapFunc(r.fleetOf), builder.WithPredicates(changed)).
		WatchesRawSource(source.Channel(a.events, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{RateLimiter: limiter()}).
		Complete(r)
}

// fleetOf maps a mirrored object to its Fleet; when that is gone, to every Fleet of the namespace, of which one may take
// over.
func (r *FleetReconciler) fleetOf(ctx context.Context, o client.Object) []reconcile.Request {
	name := o.GetAnnotations()[v1alpha1.FleetAnnotation]
	fleets := &v1alpha1.FleetList{}
	if err := r.List(ctx, fleets, client.InNamespace(o.GetNamespace())); err != nil {
		return nil // the cache cannot fail once it is synced; the interval serves
	}
	var all []reconcile.Request
	for i := range fleets.Items {
		request := reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&fleets.Items[i])}
		if fleets.Items[i].Name == name {
			return []reconcile.Request{request}
		}
		all = append(all, request)
	}
	return all
}

// changed passes what a person or Git changes: spec, labels, annotations, deletion. Status is not news.
var changed = predicate.Or(predicate.GenerationChangedPredicate{}, predicate.LabelChangedPredicate{}, predicate.AnnotationChangedPredicate{}, predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero()
	},
})

// rightsChanged passes what clusters have of their Fleet: that it is there, and whose rights they act with. What else
// changes of a Fleet is no reason to look at all its clusters.
var rightsChanged = predicate.Funcs{
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1alpha1.Fleet)
		after, also := e.ObjectNew.(*v1alpha1.Fleet)
		return !ok || !also || before.Spec.ServiceAccountName != after.Spec.ServiceAccountName ||
			before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero()
	},
}

// spoken passes changes of the conditions that others act on: a Fleet counts Ready and InSync, a cluster shows what its
// Fleet says in SourceAccepted.
var spoken = predicate.Funcs{
	CreateFunc: func(event.CreateEvent) bool { return false },
	DeleteFunc: func(event.DeleteEvent) bool { return false },
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(conditioned)
		after, also := e.ObjectNew.(conditioned)
		if !ok || !also {
			return false
		}
		for _, t := range []string{v1alpha1.ReadyCondition, v1alpha1.InSyncCondition, v1alpha1.SourceAcceptedCondition} {
			was, is := conditionOf(before, t), conditionOf(after, t)
			if (was == nil) != (is == nil) || (is != nil && (was.Status != is.Status || was.Reason != is.Reason || (t == v1alpha1.SourceAcceptedCondition && was.Message != is.Message))) {
				return true
			}
		}
		return false
	},
}

// setup of the cluster controller. Kinds of other projects may not exist yet: the returned function starts their
// watches once they do.
func (r *ClusterReconciler) setup(mgr ctrl.Manager, found *asks) (func(context.Context) error, error) {
	c, err := ctrl.NewControllerManagedBy(mgr).
		Named("cluster").
		For(&v1alpha1.NutanixClusterSpec{}, builder.WithPredicates(predicate.Or(changed, spoken))).
		Watches(&v1alpha1.Fleet{}, handler.EnqueueRequestsFromMapFunc(r.clustersOfFleet), builder.WithPredicates(rightsChanged)).
		// Also its status: it says where a profile's built layers are.
		Watches(&v1alpha1.ClusterProfile{}, handler.EnqueueRequestsFromMapFunc(r.clustersIn)).
		Watches(&v1alpha1.CloudAccount{}, handler.EnqueueRequestsFromMapFunc(r.clustersIn), builder.WithPredicates(changed)).
		WatchesMetadata(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.clustersToProtect), builder.WithPredicates(unprotected)).
		WatchesRawSource(source.Channel(found.events, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{RateLimiter: limiter()}).
		Build(r)
	if err != nil {
		return nil, err
	}
	var pending []source.Source
	for _, kind := range inventoryKinds {
		pending = append(pending, source.Kind[client.Object](mgr.GetCache(), partial(kind), r.onInventory(kind.Kind)))
	}
	pending = append(pending, source.Kind[client.Object](mgr.GetCache(), partial(machineGVK), r.onMachine()))
	return starter(pending, c.Watch), nil
}

// starter starts each source once, however often it is called because one of them failed.
func starter(pending []source.Source, watch func(source.Source) error) func(context.Context) error {
	return func(context.Context) error {
		for len(pending) > 0 {
			if err := watch(pending[0]); err != nil {
				return err
			}
			pending = pending[1:]
		}
		return nil
	}
}

// onInventory has a cluster compared when an object of its inventory changes, and looked at when only its status does.
func (r *ClusterReconciler) onInventory(kind string) handler.EventHandler {
	react := func(o client.Object, deleted bool, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		name := o.GetLabels()[v1alpha1.ClusterLabel]
		if name == "" {
			return
		}
		key := client.ObjectKey{Namespace: o.GetNamespace(), Name: name}
		if r.settled.touch(key, kind, o, deleted) {
			q.Add(reconcile.Request{NamespacedName: key})
			return
		}
		q.AddAfter(reconcile.Request{NamespacedName: key}, healthDelay)
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			react(e.Object, false, q)
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			if e.ObjectNew.GetLabels()[v1alpha1.ClusterLabel] != e.ObjectOld.GetLabels()[v1alpha1.ClusterLabel] {
				react(e.ObjectOld, true, q)
			}
			react(e.ObjectNew, false, q)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			react(e.Object, true, q)
		},
	}
}

// onMachine has a cluster looked at when one of its Machines comes, goes or gets on.
func (r *ClusterReconciler) onMachine() handler.EventHandler {
	look := func(o client.Object, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		if name := o.GetLabels()["cluster.x-k8s.io/cluster-name"]; name != "" {
			q.AddAfter(reconcile.Request{NamespacedName: client.ObjectKey{Namespace: o.GetNamespace(), Name: name}}, healthDelay)
		}
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			look(e.Object, q)
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			look(e.ObjectNew, q)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			look(e.Object, q)
		},
	}
}

// clustersOfFleet maps a Fleet to its clusters: they say when it is gone.
func (r *ClusterReconciler) clustersOfFleet(ctx context.Context, o client.Object) []reconcile.Request {
	return requests(ctx, r.Client, o.GetNamespace(), func(c *v1alpha1.NutanixClusterSpec) bool {
		return c.Annotations[v1alpha1.FleetAnnotation] == o.GetName()
	})
}

// clustersToProtect maps a namespace to the clusters that are to protect it.
func (r *ClusterReconciler) clustersToProtect(ctx context.Context, o client.Object) []reconcile.Request {
	return requests(ctx, r.Client, o.GetName(), protected)
}

// unprotected passes namespaces that lost their label.
var unprotected = predicate.Funcs{
	CreateFunc: func(event.CreateEvent) bool { return false },
	DeleteFunc: func(event.DeleteEvent) bool { return false },
	UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetLabels()[v1alpha1.ProtectLabel] != e.ObjectNew.GetLabels()[v1alpha1.ProtectLabel]
	},
}

// clustersIn maps an account or profile to the clusters that use it.
func (r *ClusterReconciler) clustersIn(ctx context.Context, o client.Object) []reconcile.Request {
	return requests(ctx, r.Client, o.GetNamespace(), func(c *v1alpha1.NutanixClusterSpec) bool { return uses(c, o) })
}

func uses(c *v1alpha1.NutanixClusterSpec, o client.Object) bool {
	switch used := o.(type) {
	case *v1alpha1.CloudAccount:
		return c.Spec.AccountRef.Name == used.Name
	case *v1alpha1.ClusterProfile:
		for _, p := range c.Spec.Profiles {
			if p.Name == used.Spec.Profile {
				return true
			}
		}
	}
	return false
}

func requests(ctx context.Context, reader client.Reader, namespace string, wanted func(*v1alpha1.NutanixClusterSpec) bool) []reconcile.Request {
	all := &v1alpha1.NutanixClusterSpecList{}
	if err := reader.List(ctx, all, client.InNamespace(namespace)); err != nil {
		return nil // the cache cannot fail once it is synced; the interval serves
	}
	var out []reconcile.Request
	for i := range all.Items {
		if wanted(&all.Items[i]) {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&all.Items[i])})
		}
	}
	return out
}

// setup of the account controller: accounts, the clusters that use them, and the Secrets that they name.
func (r *AccountReconciler) setup(mgr ctrl.Manager, news *asks) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("account").
		For(&v1alpha1.CloudAccount{}, builder.WithPredicates(changed)).
		Watches(&v1alpha1.NutanixClusterSpec{}, handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
			c, ok := o.(*v1alpha1.NutanixClusterSpec)
			if !ok {
				return nil
			}
			return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: c.Namespace, Name: c.Spec.AccountRef.Name}}}
		}), builder.WithPredicates(changed)).
		WatchesRawSource(source.Channel(news.events, &handler.EnqueueRequestForObject{})).
		WithOptions(controller.Options{RateLimiter: limiter()}).
		Complete(r)
}
