package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kuberecord "k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// AccountReconciler gives each cluster its own credentials and trust bundle from its CloudAccount: CAPX takes over the
// Secret and the ConfigMap that it is given, and deletes them with the cluster, so they cannot be shared.
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
	provided provided
}

// accountInterval is how often credentials are read again, beside what events tell.
const accountInterval = time.Minute

// Reconcile distributes one account's credentials to its clusters.
func (r *AccountReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	a := &v1alpha1.CloudAccount{}
	if err := r.Get(ctx, req.NamespacedName, a); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := a.DeepCopy()
	err := r.reconcile(ctx, a)
	a.Status.ObservedGeneration = a.Generation
	result, err := conclude(a, err, "", fmt.Sprintf("credentials are distributed to %d clusters (they are not proved against Prism Central yet)", a.Status.Clusters), accountInterval)
	if patchErr := applyWhole(ctx, r.Client, a, v1alpha1.CloudAccountKind, before.Status, a.Status); client.IgnoreNotFound(patchErr) != nil {
		return ctrl.Result{}, ignoreCanceled(ctx, patchErr)
	}
	return result, ignoreCanceled(ctx, err)
}

func (r *AccountReconciler) reconcile(ctx context.Context, a *v1alpha1.CloudAccount) error {
	if err := r.support.check(ctx); err != nil {
		return err
	}
	clusters := &v1alpha1.NutanixClusterSpecList{}
	if err := r.List(ctx, clusters, client.InNamespace(a.Namespace)); err != nil {
		return fmt.Errorf("listing NutanixClusterSpecs: %w", err)
	}
	creds, err := r.credentials(ctx, a)
	if err != nil {
		return err
	}
	a.Status.Clusters = 0
	var failed []error
	for i := range clusters.Items {
		c := &clusters.Items[i]
		if c.Spec.AccountRef.Name != a.Name {
			continue
		}
		a.Status.Clusters++
		if err := r.provide(ctx, a, c, creds); err != nil {
			failed = append(failed, err)
		}
	}
	return gravest(failed)
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
	r.provided.keep(key, tokenOf(a, c, creds, there))
	return nil
}

// gravest is the failure that decides what happens next: one that a retry may mend before one that a person must.
func gravest(failed []error) error {
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

// credentials of an account, as CAPX and the cloud controller manager read them.
type credentials struct {
	account, workload []byte
	trust             []byte // PEM, empty when Prism Central's certificate needs none
}

func (r *AccountReconciler) credentials(ctx context.Context, a *v1alpha1.CloudAccount) (credentials, error) {
	var creds credentials
	var err error
	if creds.account, err = r.login(ctx, a, "spec.credentialsRef", a.Spec.CredentialsRef.Name); err != nil {
		return creds, err
	}
	creds.workload = creds.account
	if ref := a.Spec.WorkloadCredentialsRef; ref != nil {
		if creds.workload, err = r.login(ctx, a, "spec.workloadCredentialsRef", ref.Name); err != nil {
			return creds, err
		}
	}
	creds.trust, err = r.trust(ctx, a)
	return creds, err
}

// login reads a user and password and writes them in the form of CAPX's credentials file.
func (r *AccountReconciler) login(ctx context.Context, a *v1alpha1.CloudAccount, field, name string) ([]byte, error) {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: a.Namespace, Name: name}
	if err := r.Reader.Get(ctx, key, secret); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, stall(v1alpha1.SecretNotFoundReason, "%s: Secret %s does not exist; create it with the keys username and password", field, key)
		}
		return nil, fmt.Errorf("reading Secret %s: %w", key, err)
	}
	user, password := string(secret.Data["username"]), string(secret.Data["password"])
	if user == "" || password == "" {
		return nil, stall(v1alpha1.SecretNotFoundReason, "%s: Secret %s lacks the key username or password, or it is empty", field, key)
	}
	return json.Marshal([]any{map[string]any{
		"type": "basic_auth",
		"data": map[string]any{"prismCentral": map[string]any{"username": user, "password": password}, "prismElements": nil},
	}})
}

func (r *AccountReconciler) trust(ctx context.Context, a *v1alpha1.CloudAccount) ([]byte, error) {
	ref := a.Spec.TrustBundleRef
	if ref == nil {
		return nil, nil
	}
	key := client.ObjectKey{Namespace: a.Namespace, Name: ref.Name}
	var pem []byte
	var err error
	if ref.Kind == "Secret" {
		secret := &corev1.Secret{}
		err = r.Reader.Get(ctx, key, secret)
		pem = secret.Data["ca.crt"]
	} else {
		bundle := &corev1.ConfigMap{}
		err = r.Reader.Get(ctx, key, bundle)
		if pem = bundle.BinaryData["ca.crt"]; len(pem) == 0 {
			pem = []byte(bundle.Data["ca.crt"])
		}
	}
	if apierrors.IsNotFound(err) || (err == nil && len(pem) == 0) {
		return nil, stall(v1alpha1.SecretNotFoundReason, "spec.trustBundleRef: %s %s with the key ca.crt does not exist; create it, or remove the reference if Prism Central's certificate is signed by a public authority", ref.Kind, key)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", ref.Kind, key, err)
	}
	return pem, nil
}
