package controllers

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// recordLabel marks the Secret that holds a cluster's record; its value is the cluster's name.
const recordLabel = "refract.dev/record"

// Keys of a record's Secret. Each has one writer at a time, so that they are patched one by one without a lock.
const (
	keyAccepted   = "accepted"    // by whoever gates: the Fleet, or the cluster without one
	keyHeld       = "held"        // likewise
	keyWish       = "wish"        // by the cluster: a plan that it asks the Fleet to gate
	keyRemoval    = "removal"     // by the Fleet: an accepted deletion or release
	keyCarriedOut = "carried-out" // by the cluster: ID of the accepted entry that is done
	keyRendered   = "rendered"    // by the cluster: what is rendered of the accepted entry now, after an upgrade of Refract
	keyApplied    = "applied"     // by the cluster: its Cluster was applied or seen
	keyGone       = "gone"        // by the cluster: its Cluster was applied once and is gone by another hand
	keyMoving     = "moving"      // by the cluster: clusterctl was moving its Cluster when that was seen last
	keyTallied    = "machines"    // by the cluster: the Machines that were there when the accepted entry was begun
	keySpec       = "spec"        // with accepted: the accepted spec, to restore a mirror from
)

// record is what outlives a restart about one cluster: the accepted plan, what is held, what the cluster asks for.
// It is kept in a Secret beside the cluster, since plans tell about configuration.
type record struct {
	Accepted   *entry
	Held       *entry
	Wish       *entry
	Removal    *entry
	CarriedOut string
	Rendered   *rendered
	Applied    bool
	Gone       bool
	Moving     bool
	Tallied    *tallied
	Spec       *v1alpha1.NutanixClusterSpecSpec

	version string // resource version that it was read at
}

// entry is one plan with what it was made from.
type entry struct {
	// ID tells two entries with equal plans apart.
	ID string `json:"id"`
	// Plan in full.
	Plan json.RawMessage `json:"plan"`
	// Digest of the plan.
	Digest string `json:"digest,omitempty"`
	// Inputs is the digest over spec, profiles and account.
	Inputs string `json:"inputs"`
	// Rendered is the digest of the rendered objects.
	Rendered string `json:"rendered"`
	// Revision that the inputs came from.
	Revision string `json:"revision,omitempty"`
	// Stamps are the annotations that tell where a mirror came from, to restore them; nil without a Fleet.
	Stamps map[string]string `json:"stamps,omitempty"`
	// Cause of a wish: Drift or OperatorUpgrade.
	Cause string `json:"cause,omitempty"`
	// RecordedAt is when a plan of this digest was first recorded.
	RecordedAt metav1.Time `json:"recordedAt"`
	// Fleet that recorded a held plan.
	Fleet string `json:"fleet,omitempty"`
	// Account is the service account that writes go through; empty for Refract's own.
	Account string `json:"account,omitempty"`
	// ApprovedBy is who approved, if anybody had to.
	ApprovedBy string `json:"approvedBy,omitempty"`
	// Recreated and Removed machines of predecessors that were not carried out when this plan was accepted and that
	// nobody approved: they count towards limits until this one is carried out.
	Recreated int `json:"recreated,omitempty"`
	Removed   int `json:"removed,omitempty"`
}

// newEntry packs a plan. An entry for the same digest keeps the time of its predecessor.
func newEntry(p plan.Plan, inputs, rendered, revision string, before *entry, now time.Time) (*entry, error) {
	raw, err := plan.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("packing the plan: %w", err)
	}
	e := &entry{Plan: raw, Digest: p.Digest(), Inputs: inputs, Rendered: rendered, Revision: revision, RecordedAt: metav1.NewTime(now.UTC().Truncate(time.Second))}
	if before != nil && before.Digest == e.Digest {
		e.RecordedAt = before.RecordedAt
	}
	e.ID = digestOf(e.Digest, inputs, rendered, now.UTC().Format(time.RFC3339Nano))
	return e, nil
}

// unpacked is the entry's plan; nil for a nil entry and for a plan of a form that this version does not read, which then
// is planned and approved anew.
func (e *entry) unpacked() *plan.Plan {
	if e == nil {
		return nil
	}
	p, err := plan.Unmarshal(e.Plan)
	if err != nil {
		return nil
	}
	return &p
}

// unfinished is what an accepted plan still may do; nil when it has been carried out.
func (r record) unfinished() *plan.Unfinished {
	p := r.Accepted.unpacked()
	if p == nil || !r.open() {
		return nil
	}
	u := &plan.Unfinished{Plan: *p, Recreated: r.Accepted.Recreated, Removed: r.Accepted.Removed}
	if r.Accepted.ApprovedBy == "" {
		u.Recreated += p.Recreated()
		u.Removed += p.Removed()
	}
	u.Approved = u.Recreated == 0 && u.Removed == 0 && r.Accepted.ApprovedBy != ""
	return u
}

// deleting says whether the mirror is being deleted by a plan that nobody approved.
func (r record) deleting(mirror *v1alpha1.NutanixClusterSpec) bool {
	return r.Removal != nil && r.Removal.ApprovedBy == "" && !mirror.DeletionTimestamp.IsZero() && mirror.Annotations[v1alpha1.DeleteAtAnnotation] != ""
}

// open says whether the accepted plan still covers anything: until it has been carried out.
func (r record) open() bool { return r.Accepted != nil && r.CarriedOut != r.Accepted.ID }

// rendered is the digest of what is rendered of an accepted entry by a newer version of Refract.
type rendered struct {
	ID     string `json:"id"`
	Digest string `json:"digest"`
}

// rendered is the digest of the rendered objects that are accepted.
func (r record) rendered() string {
	switch {
	case r.Accepted == nil:
		return ""
	case r.Rendered != nil && r.Rendered.ID == r.Accepted.ID:
		return r.Rendered.Digest
	}
	return r.Accepted.Rendered
}

// shown is the plan that was held last, nil when it may no longer be approved: then it is shown anew, to be approved anew.
// While an approval that came too late still stands there, it stays as it is.
func (r record) shown(mirror *v1alpha1.NutanixClusterSpec, now time.Time) *entry {
	tried := mirror != nil && mirror.Annotations[v1alpha1.ApprovedPlanAnnotation] != ""
	if r.Held != nil && plan.Expired(r.Held.RecordedAt.Time, now) && !tried {
		return nil
	}
	return r.Held
}

// owner is the Fleet that recorded the cluster; "" without one.
func (r record) owner() string {
	switch {
	case r.Accepted != nil:
		return r.Accepted.Stamps[v1alpha1.FleetAnnotation]
	case r.Held != nil:
		return r.Held.Fleet
	}
	return ""
}

// limits of the accepted spec.
func (r record) limits() v1alpha1.Limits {
	if r.Spec == nil {
		return v1alpha1.Limits{}
	}
	return r.Spec.Limits
}

// known says whether the cluster was ever accepted.
func (r record) known() bool { return r.Accepted != nil }

// records reads and writes records.
type records struct {
	client client.Client
	reader client.Reader
}

func recordKey(cluster client.ObjectKey) client.ObjectKey {
	return client.ObjectKey{Namespace: cluster.Namespace, Name: "refract-record-" + cluster.Name}
}

// get reads the record of a cluster; a cluster without one has an empty record.
func (r records) get(ctx context.Context, cluster client.ObjectKey) (record, error) {
	secret := &corev1.Secret{}
	if err := r.reader.Get(ctx, recordKey(cluster), secret); err != nil {
		if apierrors.IsNotFound(err) {
			return record{}, nil
		}
		return record{}, fmt.Errorf("reading the record of %s: %w", cluster, err)
	}
	return decodeRecord(secret)
}

// list reads all records of a namespace, by cluster name.
func (r records) list(ctx context.Context, namespace string) (map[string]record, error) {
	secrets := &corev1.SecretList{}
	if err := r.reader.List(ctx, secrets, client.InNamespace(namespace), client.HasLabels{recordLabel}); err != nil {
		return nil, fmt.Errorf("listing records in %s: %w", namespace, err)
	}
	all := make(map[string]record, len(secrets.Items))
	for i := range secrets.Items {
		rec, err := decodeRecord(&secrets.Items[i])
		if err != nil {
			return nil, err
		}
		all[secrets.Items[i].Labels[recordLabel]] = rec
	}
	return all, nil
}

// put writes the given keys and leaves the others; a nil value removes its key.
func (r records) put(ctx context.Context, cluster client.ObjectKey, values map[string]any) error {
	data := make(map[string][]byte, len(values))
	for key, value := range values {
		packed, err := pack(value)
		if err != nil {
			return fmt.Errorf("packing %s of %s: %w", key, cluster, err)
		}
		data[key] = packed
	}
	body, err := json.Marshal(map[string]any{"data": data})
	if err != nil {
		return fmt.Errorf("packing the record of %s: %w", cluster, err)
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: cluster.Namespace, Name: recordKey(cluster).Name}}
	err = r.client.Patch(ctx, secret, client.RawPatch("application/merge-patch+json", body), client.FieldOwner(v1alpha1.FleetFieldManager))
	if !apierrors.IsNotFound(err) {
		return err
	}
	secret.Labels = map[string]string{recordLabel: cluster.Name}
	secret.Data = map[string][]byte{}
	for key, value := range data {
		if value != nil {
			secret.Data[key] = value
		}
	}
	return r.client.Create(ctx, secret, client.FieldOwner(v1alpha1.FleetFieldManager))
}

// remove deletes the record of a cluster that is gone.
func (r records) remove(ctx context.Context, cluster client.ObjectKey) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: cluster.Namespace, Name: recordKey(cluster).Name}}
	return client.IgnoreNotFound(r.client.Delete(ctx, secret))
}

// removeAs deletes a record unless it was written since it was read.
func (r records) removeAs(ctx context.Context, cluster client.ObjectKey, rec record) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: cluster.Namespace, Name: recordKey(cluster).Name}}
	err := r.client.Delete(ctx, secret, client.Preconditions{ResourceVersion: &rec.version})
	if apierrors.IsConflict(err) {
		return nil
	}
	return client.IgnoreNotFound(err)
}

func decodeRecord(secret *corev1.Secret) (record, error) {
	rec := record{version: secret.ResourceVersion}
	targets := map[string]any{
		keyAccepted: &rec.Accepted, keyHeld: &rec.Held, keyWish: &rec.Wish, keyRemoval: &rec.Removal,
		keyCarriedOut: &rec.CarriedOut, keyRendered: &rec.Rendered, keyApplied: &rec.Applied, keyGone: &rec.Gone, keyMoving: &rec.Moving, keyTallied: &rec.Tallied, keySpec: &rec.Spec,
	}
	for key, target := range targets {
		if len(secret.Data[key]) == 0 {
			continue
		}
		if err := unpack(secret.Data[key], target); err != nil {
			return record{}, fmt.Errorf("secret %s/%s, key %s is not readable (restore it, or delete the Secret to have the cluster planned anew): %w", secret.Namespace, secret.Name, key, err)
		}
	}
	return rec, nil
}

// pack makes gzipped JSON; nil stays nil.
func pack(value any) ([]byte, error) {
	if value == nil {
		return nil, nil
	}
	var buf bytes.Buffer
	zip := gzip.NewWriter(&buf)
	if err := json.NewEncoder(zip).Encode(value); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// maxUnpacked bounds what a record or layer may unpack to: 64 MiB.
const maxUnpacked = 64 << 20

func unpack(data []byte, target any) error {
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(io.LimitReader(zip, maxUnpacked))
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, target)
}
