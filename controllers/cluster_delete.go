package controllers

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/kube"
)

// whileDeleting is how often a deletion is looked at, beside what events tell.
const whileDeleting = 5 * time.Second

// stuckDeleting is how long an object may be on its way out before its blocker is said to be stuck.
const stuckDeleting = 10 * time.Minute

// delete carries out the deletion of a cluster's object, after the design's table:
//
//	policy and stamp     what happens to the Cluster API objects
//	Delete, delete-at    the Cluster is deleted, then what is left of the inventory
//	Orphan, release-at   let go of: our ownership and labels are taken off, the objects stay
//	anything else        untouched, labels and managedFields included; a new mirror re-attaches
func (r *ClusterReconciler) delete(ctx context.Context, c, before *v1alpha1.NutanixClusterSpec) (ctrl.Result, error) {
	// Past the cache, which may still show a deletion that was carried out a moment ago.
	if err := r.Reader.Get(ctx, client.ObjectKeyFromObject(c), c); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !controllerutil.ContainsFinalizer(c, v1alpha1.ClusterFinalizer) {
		return ctrl.Result{}, nil
	}
	v := &view{cluster: c}
	gone, err := r.carryOutDeletion(ctx, v)
	if err == nil && gone {
		r.settled.forget(client.ObjectKeyFromObject(c))
		return ctrl.Result{}, r.letGo(ctx, c)
	}
	c.Status.ObservedGeneration = c.Generation
	c.Status.Phase = v1alpha1.PhaseDeleting
	if v.seen {
		v.reportHealth()
	}
	if err == nil {
		err = wait(v1alpha1.DeletingReason, whileDeleting, "%s", v.deleting())
	}
	result, err := conclude(c, err, "", "", whileDeleting)
	if publishErr := publishCluster(ctx, r.Client, before, c); client.IgnoreNotFound(publishErr) != nil {
		return ctrl.Result{}, ignoreCanceled(ctx, publishErr)
	}
	r.announce(before, v)
	return result, ignoreCanceled(ctx, err)
}

// carryOutDeletion does the next step of a deletion and says whether it is over.
func (r *ClusterReconciler) carryOutDeletion(ctx context.Context, v *view) (bool, error) {
	c := v.cluster
	stampedDelete := c.Spec.DeletionPolicy == v1alpha1.DeletionDelete && c.Annotations[v1alpha1.DeleteAtAnnotation] != ""
	stampedRelease := c.Spec.DeletionPolicy == v1alpha1.DeletionOrphan && c.Annotations[v1alpha1.ReleaseAtAnnotation] != ""
	if !stampedDelete && !stampedRelease {
		return true, r.dropUnused(ctx, v)
	}
	if err := r.look(ctx, v); err != nil {
		return false, err
	}
	// The stamps are annotations, which others may write: only a removal that the Fleet recorded counts.
	if v.record.Removal == nil || (c.Annotations[v1alpha1.DeleteAtAnnotation] != v.record.Removal.Revision && c.Annotations[v1alpha1.ReleaseAtAnnotation] != v.record.Removal.Revision) {
		if !v.record.known() {
			return true, nil // carried out but for the finalizer: the record went before it
		}
		r.Recorder.Event(c, corev1.EventTypeWarning, v1alpha1.DeletingReason, "the deletion stamp was not written by a Fleet; the cluster's objects stay untouched")
		return true, nil
	}
	if stampedRelease {
		return r.releaseAll(ctx, v)
	}
	return r.deleteAll(ctx, v)
}

// dropUnused removes the record of a cluster of which nothing was ever accepted. Any other cluster's stays: a new mirror
// re-attaches.
func (r *ClusterReconciler) dropUnused(ctx context.Context, v *view) error {
	key := client.ObjectKeyFromObject(v.cluster)
	rec, err := r.records.get(ctx, key)
	if err != nil || rec.known() || rec.version == "" {
		return err
	}
	return r.records.removeAs(ctx, key, rec)
}

func (r *ClusterReconciler) releaseAll(ctx context.Context, v *view) (bool, error) {
	objects, err := v.kube.Inventory(ctx)
	if err != nil {
		return false, err
	}
	if err := v.kube.Release(ctx, objects); err != nil {
		return false, err
	}
	key := client.ObjectKeyFromObject(v.cluster)
	if err := releaseCredentials(ctx, r.Client, r.Reader, key); err != nil {
		return false, err
	}
	return true, r.records.remove(ctx, key)
}

func (r *ClusterReconciler) deleteAll(ctx context.Context, v *view) (bool, error) {
	key := client.ObjectKeyFromObject(v.cluster)
	switch {
	case v.health.Found && v.health.Paused != nil && v.health.Paused.Moving:
		return false, wait(v1alpha1.MovingReason, whileDeleting, "the cluster is being moved by clusterctl (%s): it is deleted when that is over", v.health.Paused.Field)
	case v.health.Found && v.health.Deletion == nil:
		if err := r.unprotectCluster(ctx, v); err != nil {
			return false, err
		}
		_, err := v.kube.DeleteCluster(ctx, v.health.UID)
		return false, err
	case v.health.Found:
		return false, stuckDeletion(v, r.Now())
	}
	left, err := v.kube.DeleteRest(ctx)
	if err != nil || left > 0 {
		return false, err
	}
	if err := deleteCredentials(ctx, r.Client, r.Reader, key); err != nil {
		return false, err
	}
	return true, r.records.remove(ctx, key)
}

// unprotectCluster takes the label off that has the admission policy refuse the Cluster's deletion. It is there when the
// policy became Delete in the same commit as, or after, the last apply.
func (r *ClusterReconciler) unprotectCluster(ctx context.Context, v *view) error {
	cluster := &metav1.PartialObjectMetadata{}
	cluster.SetGroupVersionKind(clusterGVK)
	key := client.ObjectKeyFromObject(v.cluster)
	if err := r.Reader.Get(ctx, key, cluster); err != nil {
		return client.IgnoreNotFound(err)
	}
	if cluster.Labels[v1alpha1.ProtectLabel] == "" {
		return nil
	}
	patch := fmt.Appendf(nil, `{"metadata":{"uid":%q,"labels":{%q:null}}}`, cluster.UID, v1alpha1.ProtectLabel)
	return v.kube.Client.Patch(ctx, cluster, client.RawPatch("application/merge-patch+json", patch), client.FieldOwner(v1alpha1.FieldManager))
}

// stuckDeletion names what a deletion waits for, once that has taken too long.
func stuckDeletion(v *view, now time.Time) error {
	d := v.health.Deletion
	if len(d.Blockers) == 0 || now.Sub(d.Blockers[0].Since.Time) < stuckDeleting {
		return nil
	}
	return stall(v1alpha1.DeletionBlockedReason, "the deletion does not get on: %s", d.Blockers[0])
}

// deleting says how far a deletion has come.
func (v *view) deleting() string {
	switch d := v.health.Deletion; {
	case d == nil && v.health.Found:
		return "deleting the Cluster"
	case d == nil:
		return "the Cluster is gone; deleting its templates and Secrets"
	case len(d.Blockers) > 0:
		return fmt.Sprintf("%d machines left; %s", d.Machines, d.Blockers[0])
	default:
		return fmt.Sprintf("%d machines left", d.Machines)
	}
}

// letGo takes the finalizer off.
func (r *ClusterReconciler) letGo(ctx context.Context, c *v1alpha1.NutanixClusterSpec) error {
	before := c.DeepCopy()
	controllerutil.RemoveFinalizer(c, v1alpha1.ClusterFinalizer)
	if err := r.Patch(ctx, c, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer: %w", err)
	}
	return nil
}

func blockers(d *kube.Deletion) string {
	if d == nil || len(d.Blockers) == 0 {
		return "To have it re-created, let the deletion end and approve the plan"
	}
	return d.Blockers[0].String()
}
