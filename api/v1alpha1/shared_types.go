package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// LocalReference names an object in the same namespace.
type LocalReference struct {
	// name of the object.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`
}

// Identifier names an entity in Prism Central, by name or by UUID.
//
// +kubebuilder:validation:XValidation:rule="has(self.name) != has(self.uuid)",message="set exactly one of name and uuid"
type Identifier struct {
	// name of the entity; it must be unique in Prism Central.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	// +optional
	Name string `json:"name,omitempty"`
	// uuid (extId) of the entity.
	// +kubebuilder:validation:Pattern=`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`
	// +kubebuilder:validation:MaxLength=36
	// +optional
	UUID string `json:"uuid,omitempty"`
}

// Category is a key and value in Prism Central.
type Category struct {
	// key of the category.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	Key string `json:"key"`
	// value of the category; it must exist in Prism Central.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	Value string `json:"value"`
}

// Patch is a kustomize patch: JSON6902 or strategic merge, inline or in a file.
//
// +kubebuilder:validation:XValidation:rule="has(self.path) != has(self.patch)",message="set exactly one of path and patch"
type Patch struct {
	// path of the patch file, relative to the file that names it. Inlined into patch when a Fleet mirrors the object;
	// refused on an object that no Fleet mirrors.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Path string `json:"path,omitempty"`
	// patch is the patch itself, YAML or JSON. A strategic-merge patch may not replace or shorten a list: use JSON6902.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	// +optional
	Patch string `json:"patch,omitempty"`
	// target selects the objects to patch. A strategic-merge patch may leave it out and name its object itself.
	// +optional
	Target *PatchTarget `json:"target,omitempty"`
}

// PatchTarget selects objects as kustomize does: every set field must match; group, kind and name are anchored
// regular expressions.
type PatchTarget struct {
	// group of the API.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Group string `json:"group,omitempty"`
	// version of the API.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Version string `json:"version,omitempty"`
	// kind of the object.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Kind string `json:"kind,omitempty"`
	// name of the object, as rendered before names get their content hash.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Name string `json:"name,omitempty"`
	// labelSelector matches the object's labels.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	LabelSelector string `json:"labelSelector,omitempty"`
	// annotationSelector matches the object's annotations.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	AnnotationSelector string `json:"annotationSelector,omitempty"`
}

// Severity says what a change does to machines.
//
// +kubebuilder:validation:Enum=None;Metadata;InPlace;Rollout;Remove;Destroy;Forbidden
type Severity string

// Severities, from nothing to refused.
const (
	// SeverityNone changes nothing.
	SeverityNone Severity = "None"
	// SeverityMetadata changes labels and annotations only.
	SeverityMetadata Severity = "Metadata"
	// SeverityInPlace re-creates no machine.
	SeverityInPlace Severity = "InPlace"
	// SeverityRollout re-creates machines, new before old.
	SeverityRollout Severity = "Rollout"
	// SeverityRemove removes machines with nothing in their place.
	SeverityRemove Severity = "Remove"
	// SeverityDestroy deletes a whole cluster, or re-creates one under its old name.
	SeverityDestroy Severity = "Destroy"
	// SeverityForbidden is refused.
	SeverityForbidden Severity = "Forbidden"
)

// Limits bounds what a change may do without a person's word. Every number sums unfinished accepted plans and new ones
// over all clusters of the Fleet.
type Limits struct {
	// deletedClusters that may go. Default 0: a deletion always needs an approval.
	// +kubebuilder:validation:Minimum=0
	// +optional
	DeletedClusters *int32 `json:"deletedClusters,omitempty"`
	// removedMachines with nothing in their place. Default 3.
	// +kubebuilder:validation:Minimum=0
	// +optional
	RemovedMachines *int32 `json:"removedMachines,omitempty"`
	// recreatedMachines, new before old. Default 10.
	// +kubebuilder:validation:Minimum=0
	// +optional
	RecreatedMachines *int32 `json:"recreatedMachines,omitempty"`
	// prunedPercent of the Fleet's clusters whose files may vanish in one revision. Default 20.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	// +optional
	PrunedPercent *int32 `json:"prunedPercent,omitempty"`
}

// PlanStatus describes a plan that is held, or the last one that was computed.
type PlanStatus struct {
	// digest to approve. Empty when there is nothing to approve.
	// +optional
	Digest string `json:"digest,omitempty"`
	// severity of the worst change.
	// +optional
	Severity Severity `json:"severity,omitempty"`
	// summary in one line.
	// +optional
	Summary string `json:"summary,omitempty"`
	// recordedAt is when this plan was first recorded; an approval is void 7 days later.
	// +optional
	RecordedAt *metav1.Time `json:"recordedAt,omitempty"`
}

// Failure is one thing that holds back a cluster or a file.
type Failure struct {
	// cluster concerned, when known.
	// +optional
	Cluster string `json:"cluster,omitempty"`
	// file in the repository.
	// +optional
	File string `json:"file,omitempty"`
	// line in the file, from 1; 0 when not known.
	// +optional
	Line int32 `json:"line,omitempty"`
	// message says what is wrong and what to do next.
	// +required
	Message string `json:"message"`
}
