package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kuberecord "k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// AccountReconciler proves the credentials of a CloudAccount, tells what its Prism Central holds, and gives each cluster
// its own credentials and trust bundle: CAPX takes over the Secret and the ConfigMap that it is given, and deletes them
// with the cluster, so they cannot be shared.
type AccountReconciler struct {
	client.Client
	// Reader reads past the cache.
	Reader client.Reader
	// Watched reads the metadata of what is watched, without asking the API server.
	Watched client.Reader
	// Recorder of events.
	Recorder kuberecord.EventRecorder
	// Now is the clock.
	Now func() time.Time

	records  records
	inputs   *inputsReader
	support  *support
	sites    *sites
	machines *comparisons
	provided provided
	metrics  *metrics
	// tell has a cluster look at what was found about its machines.
	tell func(cluster client.ObjectKey)
}

// accountInterval is how often credentials are read again at least, beside what events tell.
const accountInterval = time.Minute

// Reconcile distributes one account's credentials to its clusters once they are proved.
func (r *AccountReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	a := &v1alpha1.CloudAccount{}
	if err := r.Get(ctx, req.NamespacedName, a); err != nil {
		if apierrors.IsNotFound(err) {
			r.sites.forget(req.NamespacedName)
			r.metrics.forgetAccount(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := a.DeepCopy()
	err := r.reconcile(ctx, a)
	a.Status.ObservedGeneration = a.Generation
	result, err := conclude(a, err, "", allProved(a), min(accountInterval, r.sites.interval))
	// The cache may not show yet what the last reconcile said.
	patchErr := applyWhole(ctx, r.Client, a, v1alpha1.CloudAccountKind, before.ResourceVersion, before.Status, a.Status)
	if overtaken(patchErr) {
		return ctrl.Result{RequeueAfter: soon}, nil
	}
	if client.IgnoreNotFound(patchErr) != nil {
		return ctrl.Result{}, ignoreCanceled(ctx, patchErr)
	}
	return result, ignoreCanceled(ctx, err)
}

// allProved is what an account says when all is well. A certificate that nobody checks is said each time: the password goes
// to whoever answers.
func allProved(a *v1alpha1.CloudAccount) string {
	message := fmt.Sprintf("the credentials are proved and distributed to %d clusters", a.Status.Clusters)
	if a.Spec.Insecure {
		message += "; warning: the certificate of Prism Central is not checked (spec.insecure), neither here nor in the clusters, so whoever is in between can read the password: " +
			"name the certificate's authority in spec.trustBundleRef and take insecure away"
	}
	return message
}

func (r *AccountReconciler) reconcile(ctx context.Context, a *v1alpha1.CloudAccount) error {
	if err := r.support.check(ctx); err != nil {
		return err
	}
	clusters, err := r.clustersOf(ctx, a)
	if err != nil {
		return err
	}
	a.Status.Clusters = int32(len(clusters)) //nolint:gosec // no number of clusters is near the bound
	creds, err := r.credentials(ctx, a)
	if err != nil {
		return err
	}
	known := r.sites.want(client.ObjectKeyFromObject(a), creds.access(a), creds.token(a))
	reportSite(a, known)
	failed := []error{r.compare(ctx, a, clusters, known)}
	if err := unproved(a, known, creds.token(a)); err != nil {
		return gravest(append(failed, err)) // what was distributed stays as it is
	}
	for _, c := range clusters {
		failed = append(failed, r.provide(ctx, a, c, creds))
	}
	return gravest(append(failed, lost(known)))
}

// clustersOf are the clusters that use an account.
func (r *AccountReconciler) clustersOf(ctx context.Context, a *v1alpha1.CloudAccount) ([]*v1alpha1.NutanixClusterSpec, error) {
	list := &v1alpha1.NutanixClusterSpecList{}
	if err := r.List(ctx, list, client.InNamespace(a.Namespace)); err != nil {
		return nil, fmt.Errorf("listing NutanixClusterSpecs: %w", err)
	}
	var users []*v1alpha1.NutanixClusterSpec
	for i := range list.Items {
		if list.Items[i].Spec.AccountRef.Name == a.Name {
			users = append(users, &list.Items[i])
		}
	}
	return users, nil
}

// provide gives one cluster its credentials, if it may have them.
func (r *AccountReconciler) provide(ctx context.Context, a *v1alpha1.CloudAccount, c *v1alpha1.NutanixClusterSpec, creds credentials) error {
	key := client.ObjectKeyFromObject(c)
	there, err := r.watched(ctx, c, creds)
	if err != nil || r.provided.is(key, tokenOf(a, c, creds, there)) {
		return err
	}
	living, err := r.living(ctx, c)
	if err != nil || !living {
		return err
	}
	if err = r.trusted(ctx, c); err != nil {
		return err
	}
	if there, err = r.distribute(ctx, c, creds); err != nil {
		return err
	}
	if err = r.wake(ctx, c, there[0], creds.version); err != nil {
		return err
	}
	r.provided.keep(key, tokenOf(a, c, creds, there))
	return nil
}

// gravest is the failure that decides what happens next: one that a retry may mend before one that a person must; nil
// among nils.
func gravest(failed []error) error {
	failed = slices.DeleteFunc(failed, func(err error) bool { return err == nil })
	for _, err := range failed {
		if asFailure(err).kind != stalled {
			return err
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return failed[0]
}

// trusted refuses to distribute by a mirrored account that is not what was accepted for a cluster.
func (r *AccountReconciler) trusted(ctx context.Context, c *v1alpha1.NutanixClusterSpec) error {
	rec, err := r.records.get(ctx, client.ObjectKeyFromObject(c))
	if err != nil || !rec.known() {
		return err
	}
	if rec.Moving {
		return wait(v1alpha1.MovingReason, whileMoving, "cluster %s is being moved by clusterctl; its credentials stay as they are until that is over", c.Name)
	}
	if c.Annotations[v1alpha1.FleetAnnotation] == "" {
		return nil // it gates itself
	}
	_, digest, err := r.inputs.of(ctx, c)
	if err != nil {
		return err
	}
	if digest != rec.Accepted.Inputs {
		return wait(v1alpha1.MirrorEditedReason, whileMoving, "what cluster %s is made from is not what was accepted: this account, a profile or the cluster was changed by another hand, or is being changed by the Fleet. Its credentials stay as they are until that is over", c.Name)
	}
	return nil
}

// living says whether a cluster may be given credentials: not while it is being deleted, nor when its Cluster is gone
// by another hand, since CAPX has deleted them with it.
func (r *AccountReconciler) living(ctx context.Context, c *v1alpha1.NutanixClusterSpec) (bool, error) {
	if !c.DeletionTimestamp.IsZero() || c.Spec.Suspend {
		return false, nil
	}
	cluster := &metav1.PartialObjectMetadata{}
	cluster.SetGroupVersionKind(clusterGVK)
	key := client.ObjectKeyFromObject(c)
	err := r.Reader.Get(ctx, key, cluster)
	if err == nil {
		return cluster.DeletionTimestamp.IsZero(), nil
	}
	if !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("reading Cluster %s: %w", key, err)
	}
	rec, err := r.records.get(ctx, key)
	return err == nil && !rec.Applied, err
}
