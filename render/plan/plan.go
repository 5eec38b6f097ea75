package plan

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// Ref names one object.
type Ref struct {
	// APIVersion as group/version, "cluster.x-k8s.io/v1beta2".
	APIVersion string `json:"apiVersion"`
	// Kind, "MachineDeployment".
	Kind string `json:"kind"`
	// Namespace of the object; empty for one outside of any.
	Namespace string `json:"namespace,omitempty"`
	// Name of the object.
	Name string `json:"name"`
}

// RefOf names o; the zero Ref for nil.
func RefOf(o *unstructured.Unstructured) Ref {
	if o == nil {
		return Ref{}
	}
	return Ref{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName()}
}

// String is Kind/name, as kubectl takes it.
func (r Ref) String() string { return r.Kind + "/" + r.Name }

// Outcome is what a change does to one Machine.
type Outcome string

// Outcomes of Cluster API's own comparison.
const (
	// UpToDate: the Machine stays.
	UpToDate Outcome = "UpToDate"
	// Recreate: the Machine is replaced, new before old.
	Recreate Outcome = "Recreate"
	// Unknown: no verdict could be had; gated like Recreate.
	Unknown Outcome = "Unknown"
)

// Verdict is Cluster API's word on one Machine under the wanted state.
type Verdict struct {
	// Machine by name.
	Machine string
	// Outcome for it.
	Outcome Outcome
	// Already: it has this outcome without the plan, too, since an earlier roll is unfinished or it was unknown before.
	Already bool
	// Reasons in Cluster API's words, for people.
	Reasons []string
}

// Pair is one object as wanted and as found. Gathered by the shell, in apply order; Compute only reads it.
type Pair struct {
	// Want is the rendered object; nil: it is in the inventory and no longer wanted.
	Want *unstructured.Unstructured
	// Live is what the API server holds; nil: to create.
	Live *unstructured.Unstructured
	// DryRun is what the API server would store, the result of a server-side dry run. Nil with Live: an offline
	// prediction. For a template under a new name it is the dry-run creation, where there is one.
	DryRun *unstructured.Unstructured
	// Previous, for a template under a new name, is the live template referred to now.
	Previous *unstructured.Unstructured
	// Machines that a KubeadmControlPlane or MachineDeployment owns now. Empty although the live object has replicas:
	// nothing is known, gated as if all of them were re-created.
	Machines []Verdict
	// Refused holds the API server's or a webhook's words when the dry run was answered with 422 or a denial.
	Refused string
	// Foreign names the managers of an object that exists and is not in the inventory; it is never written.
	Foreign []string
	// Adopt: Live is not in the inventory and spec.adopt is set, so it is applied even where nothing differs.
	Adopt bool
	// OldestVersion is the Kubernetes version of the oldest control-plane Machine, on a KubeadmControlPlane. Default:
	// the version in the live object.
	OldestVersion string
	// NewestVersion is the highest Kubernetes version that a control-plane Machine has joined with, on a
	// KubeadmControlPlane. Default: OldestVersion.
	NewestVersion string
	// Origin is the place in Git that the object comes from, "clusters/edge-01.yaml:3", for views. May be empty.
	Origin string
}

// Action is what happens to an object.
type Action string

// Actions.
const (
	// Create: it does not exist.
	Create Action = "Create"
	// Update: fields of it change.
	Update Action = "Update"
	// Delete: it goes.
	Delete Action = "Delete"
	// Release: Refract lets go of it and leaves it as it is (deletion policy Orphan).
	Release Action = "Release"
)

// Change is one field of one object, or one object that comes or goes.
type Change struct {
	// Object that changes.
	Object Ref `json:"object"`
	// Action on it.
	Action Action `json:"action"`
	// Field as a readable path, "spec.template.spec.memorySize"; empty when the whole object comes or goes.
	Field string `json:"field,omitempty"`
	// From is the live value, "" when there is none. Not part of the digest.
	From string `json:"from,omitempty"`
	// To is the wanted value, "" when the field goes; for a whole object a digest of its content, for a secret value the
	// word "changed". Long values are their size and digest.
	To string `json:"to,omitempty"`
	// Opaque: To does not tell the whole wanted value, since that holds secrets. Another wanted value may look the same.
	Opaque bool `json:"opaque,omitempty"`
	// Severity of this change.
	Severity v1alpha1.Severity `json:"severity"`
	// Machines of Owner that it re-creates (Rollout) or removes (Remove, Destroy). Changes of one owner and severity
	// speak of the same machines: take the highest number, not the sum. For an autoscaled pool its maximum.
	Machines int `json:"machines,omitempty"`
	// UpTo: Machines is an upper bound, since an autoscaler moves the number.
	UpTo bool `json:"upTo,omitempty"`
	// Owner is the Kind/name of the control plane or pool whose machines are meant; else of the object itself.
	Owner string `json:"owner"`
	// Reason for people. Nothing branches on it.
	Reason string `json:"reason,omitempty"`
	// Place in Git, "file:line", when known. Not part of the digest.
	Place string `json:"place,omitempty"`
}

// Foreign is an object that exists and is not ours.
type Foreign struct {
	// Object found.
	Object Ref `json:"object"`
	// Managers of its fields.
	Managers []string `json:"managers"`
}

// Step is one thing Apply does. Steps are in order: applies as given, then deletions, last rendered first.
type Step struct {
	// Action: Create and Update are a server-side apply of Want, Delete is a deletion.
	Action Action
	// Object to act on.
	Object Ref
	// Want to apply; nil on Delete.
	Want *unstructured.Unstructured
	// UID of the live object: carried by the apply and a precondition of the deletion, so that a stale plan fails instead
	// of creating or deleting something else. Empty on Create.
	UID types.UID
	// Generation of the live object that the plan was computed from; another one is a stale plan. 0 on Create, and for
	// kinds that have none.
	Generation int64
}

// Plan is the changes from live to wanted of one cluster: a value, compared and approved by its digest.
type Plan struct {
	// Cluster by name.
	Cluster string
	// Changes in the order they are applied; within an object by field.
	Changes []Change
	// Objects is what Apply does. Not stored.
	Objects []Step
	// Foreign objects in the way; while there is one, nothing may be applied.
	Foreign []Foreign
	// Predicted: at least one object was compared without asking the API server.
	Predicted bool
}

// Options of Compute.
type Options struct {
	// Cluster by name.
	Cluster string
	// Recreate: the Cluster existed and was deleted by another hand, so creating it is a Destroy.
	Recreate bool
	// Restore: Want was accepted before and neither Git nor the operator changed, so this is drift. Putting an endpoint,
	// network or reference back is not a change of it.
	Restore bool
	// Rendered: Live and Previous are rendered objects too (two revisions compared offline), so that what Want leaves out
	// counts as taken away. Default: without a DryRun only fields that Want sets are compared.
	Rendered bool
	// Place tells where in Git a change of a field comes from, "clusters/edge-01.yaml:27"; an empty field is the whole
	// object. Nil, or "": Pair.Origin.
	Place func(p Pair, field string) string
}

// Limits bound what may happen without a person's word.
type Limits struct {
	// DeletedClusters that may go.
	DeletedClusters int
	// RemovedMachines with nothing in their place.
	RemovedMachines int
	// RecreatedMachines, new before old.
	RecreatedMachines int
	// PrunedPercent of the Fleet's clusters whose files may vanish in one revision.
	PrunedPercent int
}
