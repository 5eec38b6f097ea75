package controllers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/kube"
)

// Suffixes of what each cluster is given. The rendered NutanixCluster and ClusterResourceSet refer to these names.
const (
	credentialsSuffix = "-pc-credentials"  // Secret for CAPX
	trustSuffix       = "-pc-ca"           // ConfigMap for CAPX
	workloadSuffix    = "-ccm-credentials" // Secret with what the cloud controller manager needs in the cluster
)

// distribute writes what differs of one cluster's credentials. What is there then is returned, CAPX's Secret first.
func (r *AccountReconciler) distribute(ctx context.Context, c *v1alpha1.NutanixClusterSpec, creds credentials) ([]client.Object, error) {
	file, err := creds.account.file()
	if err != nil {
		return nil, err
	}
	stored, err := r.stores(ctx, c)
	if err != nil {
		return nil, err
	}
	inner, err := workloadManifests(creds, stored)
	if err != nil {
		return nil, err
	}
	account := secretOf(c, credentialsSuffix, "", map[string][]byte{"credentials": file})
	account.Annotations = map[string]string{v1alpha1.CredentialsAnnotation: creds.version}
	wanted := []client.Object{
		account,
		secretOf(c, workloadSuffix, "addons.cluster.x-k8s.io/resource-set", map[string][]byte{"credentials.yaml": inner}),
	}
	if len(creds.trust) > 0 {
		wanted = append(wanted, &corev1.ConfigMap{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
			ObjectMeta: metaOf(c, trustSuffix),
			Data:       map[string]string{"ca.crt": string(creds.trust)},
		})
	}
	for i, want := range wanted {
		if wanted[i], err = r.put(ctx, c, want); err != nil {
			return nil, err
		}
	}
	return wanted, nil
}

// stores says whether a profile of the cluster has a Storage layer, whose CSI driver needs credentials.
func (r *AccountReconciler) stores(ctx context.Context, c *v1alpha1.NutanixClusterSpec) (bool, error) {
	in, _, err := r.inputs.of(ctx, c)
	if err != nil {
		return false, err
	}
	for _, p := range in.Profiles {
		if slices.ContainsFunc(p.Object.Spec.Layers, func(l v1alpha1.Layer) bool { return l.Type == v1alpha1.LayerStorage }) {
			return true, nil
		}
	}
	return false, nil
}

// wake has CAPX read new credentials at once, which it would notice only when something else happens to the cluster: it
// reads them at each reconcile of a NutanixCluster, and an annotation there is an event. The Secret notes which
// credentials CAPX was woken for, so that a crash between the two is made good.
func (r *AccountReconciler) wake(ctx context.Context, c *v1alpha1.NutanixClusterSpec, secret client.Object, version string) error {
	if secret.GetAnnotations()[v1alpha1.CredentialsAnnotation] == version {
		return nil
	}
	note := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.CredentialsAnnotation, version))
	cluster := partial(nutanixClusterGVK)
	cluster.SetNamespace(c.Namespace)
	cluster.SetName(c.Name)
	if err := r.Patch(ctx, cluster, note, client.FieldOwner(v1alpha1.AccountFieldManager)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("waking CAPX for new credentials of cluster %s: %w", c.Name, err)
	}
	if err := r.Patch(ctx, secret, note, client.FieldOwner(v1alpha1.AccountFieldManager)); err != nil {
		return fmt.Errorf("noting that CAPX was woken: %w", err)
	}
	return nil
}

func metaOf(c *v1alpha1.NutanixClusterSpec, suffix string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: c.Namespace, Name: c.Name + suffix,
		Labels: map[string]string{v1alpha1.ClusterLabel: c.Name, "cluster.x-k8s.io/cluster-name": c.Name},
	}
}

func secretOf(c *v1alpha1.NutanixClusterSpec, suffix string, kind corev1.SecretType, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: metaOf(c, suffix), Type: kind, Data: data,
	}
}

// workloadManifests are the objects that the cloud controller manager reads inside the cluster, and the CSI driver where
// the cluster has one; names and form are those of CAPX's templates.
func workloadManifests(creds credentials, storage bool) ([]byte, error) {
	file, err := creds.workload.file()
	if err != nil {
		return nil, err
	}
	objects := []any{innerSecret("kube-system", "nutanix-creds", "credentials", string(file))}
	if len(creds.trust) > 0 {
		objects = append(objects, &corev1.ConfigMap{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
			ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "nutanix-ccm-pc-trusted-ca-bundle"},
			Data:       map[string]string{"ca.crt": string(creds.trust)},
		})
	}
	if storage {
		key := creds.central + ":" + creds.workload.user + ":" + creds.workload.password
		objects = append(objects,
			&metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: csiNamespace}},
			innerSecret(csiNamespace, "ntnx-pc-secret", "key", key),
			innerSecret(csiNamespace, "nutanix-csi-credentials", "key", key),
		)
	}
	var docs []string
	for _, o := range objects {
		raw, err := json.Marshal(o)
		if err != nil {
			return nil, fmt.Errorf("packing credentials: %w", err)
		}
		docs = append(docs, string(raw))
	}
	return []byte(strings.Join(docs, "\n---\n") + "\n"), nil
}

// csiNamespace is where Nutanix's CSI driver runs.
const csiNamespace = "ntnx-system"

func innerSecret(namespace, name, key, value string) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		StringData: map[string]string{key: value},
	}
}

// put writes a Secret or ConfigMap of a cluster if it differs. One of that name that we did not write is left alone,
// unless the cluster adopts what it finds. What is there then is returned.
func (r *AccountReconciler) put(ctx context.Context, c *v1alpha1.NutanixClusterSpec, want client.Object) (client.Object, error) {
	have, ok := want.DeepCopyObject().(client.Object)
	if !ok {
		return want, nil
	}
	key := client.ObjectKeyFromObject(want)
	err := r.Reader.Get(ctx, key, have)
	switch {
	case apierrors.IsNotFound(err):
		return want, r.Create(ctx, want, client.FieldOwner(v1alpha1.AccountFieldManager))
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", key, err)
	case !written(have) && !c.Spec.Adopt:
		return nil, foreign(want.GetObjectKind().GroupVersionKind().Kind, have)
	case written(have) && same(have, want):
		return have, nil
	}
	before, ok := have.DeepCopyObject().(client.Object)
	if !ok {
		return have, nil
	}
	take(have, want)
	if err := r.Patch(ctx, have, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner(v1alpha1.AccountFieldManager)); err != nil {
		return nil, fmt.Errorf("writing %s: %w", key, err)
	}
	return have, nil
}

// foreign refuses an object in the place of credentials that somebody else wrote.
func foreign(kind string, have client.Object) error {
	var managers []string
	for _, e := range have.GetManagedFields() {
		managers = append(managers, e.Manager)
	}
	slices.Sort(managers)
	return stall(v1alpha1.AlreadyExistsReason, "%s %s exists and is not ours (managed by %s); nothing was written. Commit spec.adopt: true on its cluster to take it over, or delete it",
		kind, client.ObjectKeyFromObject(have), strings.Join(slices.Compact(managers), ", "))
}

// unowned finds what stands in the place of a cluster's credentials and is not ours: applied beside it, the cluster would
// act with what somebody else put there.
func unowned(ctx context.Context, reader client.Reader, c *v1alpha1.NutanixClusterSpec) error {
	for _, o := range given(client.ObjectKeyFromObject(c)) {
		kind := o.GetObjectKind().GroupVersionKind().Kind // a read takes it away
		err := reader.Get(ctx, client.ObjectKeyFromObject(o), o)
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return fmt.Errorf("reading %s %s: %w", kind, client.ObjectKeyFromObject(o), err)
		case !written(o):
			return foreign(kind, o)
		}
	}
	return nil
}

// given are the objects that a cluster's credentials are in.
func given(cluster client.ObjectKey) []client.Object {
	typed := func(kind, suffix string) (metav1.TypeMeta, metav1.ObjectMeta) {
		return metav1.TypeMeta{APIVersion: "v1", Kind: kind}, metav1.ObjectMeta{Namespace: cluster.Namespace, Name: cluster.Name + suffix}
	}
	account, workload, trust := &corev1.Secret{}, &corev1.Secret{}, &corev1.ConfigMap{}
	account.TypeMeta, account.ObjectMeta = typed("Secret", credentialsSuffix)
	workload.TypeMeta, workload.ObjectMeta = typed("Secret", workloadSuffix)
	trust.TypeMeta, trust.ObjectMeta = typed("ConfigMap", trustSuffix)
	return []client.Object{account, workload, trust}
}

// written says whether the account controller has ever written an object.
func written(o client.Object) bool {
	for _, e := range o.GetManagedFields() {
		if e.Manager == v1alpha1.AccountFieldManager {
			return true
		}
	}
	return false
}

func same(have, want client.Object) bool {
	for k, v := range want.GetLabels() {
		if have.GetLabels()[k] != v {
			return false
		}
	}
	switch w := want.(type) {
	case *corev1.Secret:
		h, ok := have.(*corev1.Secret)
		return ok && maps.EqualFunc(h.Data, w.Data, bytes.Equal)
	case *corev1.ConfigMap:
		h, ok := have.(*corev1.ConfigMap)
		return ok && maps.Equal(h.Data, w.Data)
	}
	return false
}

// take copies what we have an opinion about; owner references and finalizers are CAPX's.
func take(have, want client.Object) {
	have.SetLabels(merged(have.GetLabels(), want.GetLabels()))
	switch w := want.(type) {
	case *corev1.Secret:
		if h, ok := have.(*corev1.Secret); ok {
			h.Data = w.Data
		}
	case *corev1.ConfigMap:
		if h, ok := have.(*corev1.ConfigMap); ok {
			h.Data = w.Data
		}
	}
}

// ourCredentials reads what is there of the credentials that a cluster was given, as far as we wrote it.
func ourCredentials(ctx context.Context, reader client.Reader, cluster client.ObjectKey) ([]client.Object, error) {
	var ours []client.Object
	for _, o := range given(cluster) {
		err := reader.Get(ctx, client.ObjectKeyFromObject(o), o)
		switch {
		case client.IgnoreNotFound(err) != nil:
			return nil, err
		case err == nil && written(o):
			ours = append(ours, o)
		}
	}
	return ours, nil
}

// deleteCredentials removes what is left of a deleted cluster's credentials; CAPX has removed its own already.
func deleteCredentials(ctx context.Context, c client.Client, reader client.Reader, cluster client.ObjectKey) error {
	left, err := ourCredentials(ctx, reader, cluster)
	if err != nil {
		return err
	}
	for _, o := range left {
		uid := o.GetUID()
		if err := c.Delete(ctx, o, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

// releaseCredentials lets go of what a cluster was given. It stays, since CAPX and the cluster itself go on with it, but
// without our label and our entries in managedFields.
func releaseCredentials(ctx context.Context, c client.Client, reader client.Reader, cluster client.ObjectKey) error {
	left, err := ourCredentials(ctx, reader, cluster)
	if err != nil {
		return err
	}
	for _, o := range left {
		before, ok := o.DeepCopyObject().(client.Object)
		if !ok {
			continue
		}
		entries := slices.DeleteFunc(o.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool { return e.Manager == v1alpha1.AccountFieldManager })
		if len(entries) == 0 {
			entries = []metav1.ManagedFieldsEntry{{}} // an empty list would be made up anew
		}
		o.SetManagedFields(entries)
		delete(o.GetLabels(), v1alpha1.ClusterLabel)
		if err := c.Patch(ctx, o, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner(kube.ReleaseManager)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("releasing %s: %w", client.ObjectKeyFromObject(o), err)
		}
	}
	return nil
}
