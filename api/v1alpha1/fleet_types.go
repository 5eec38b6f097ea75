package v1alpha1

import (
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FleetSpec is one path of a Git repository and the policy for all that it declares.
type FleetSpec struct {
	// git says what to read.
	// +required
	Git GitSource `json:"git"`
	// interval between two looks at the repository, at least 1s. Default 1m.
	// +kubebuilder:default="1m"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:MaxLength=20
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]+([.][0-9]+)?(ms|s|m|h))+$') || duration(self) >= duration('1s')",message="interval is at least 1s"
	// +optional
	Interval metav1.Duration `json:"interval,omitempty"`
	// suspend stops fetching and mirroring; drift of what was accepted is still corrected.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// limits for the sum of all changes.
	// +optional
	Limits Limits `json:"limits,omitempty"`
	// preflight: what checks against Prism Central do before machines are made.
	// +kubebuilder:default={}
	// +optional
	Preflight Preflight `json:"preflight,omitempty"`
	// review shows in pull requests what a merge would do, and says what that means at the merge. Default: neither.
	// +optional
	Review *Review `json:"review,omitempty"`
	// webhook has the repository read at once when a push or pull request is told, under
	// /hooks/<namespace>/<name of the Fleet>. Default: it is read at each interval.
	// +optional
	Webhook *Webhook `json:"webhook,omitempty"`
	// verify is reserved for commit signatures.
	// +optional
	Verify *Verify `json:"verify,omitempty"`
	// windows is reserved for maintenance windows.
	// +kubebuilder:validation:MaxItems=0
	// +optional
	Windows []Window `json:"windows,omitempty"`
	// serviceAccountName is impersonated for every write of this Fleet and its clusters. Empty: Refract's own.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
}

// GitSource is a Git repository, a reference and a path in it.
type GitSource struct {
	// url of the repository: https, ssh (also git@host:path); file when the operator allows it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="!self.matches('^https?://[^/]*@')",message="url holds a user or a password: put them into the Secret that secretRef names"
	// +required
	URL string `json:"url"`
	// ref to follow. Default: branch main.
	// +kubebuilder:default={branch: main}
	// +optional
	Ref GitRef `json:"ref,omitempty,omitzero"`
	// path below which files are read, relative to the repository's root. Default: the whole repository.
	// +kubebuilder:default="./"
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('/') && !self.matches('(^|/)[.][.](/|$)')",message="path is relative to the repository's root and stays inside it, such as ./fleet"
	// +optional
	Path string `json:"path,omitempty"`
	// secretRef names a Secret with username and password, bearerToken, or identity and known_hosts; and ca.crt.
	// +optional
	SecretRef *LocalReference `json:"secretRef,omitempty"`
}

// GitRef is a branch, a tag or a commit.
//
// +kubebuilder:validation:XValidation:rule="[has(self.branch), has(self.tag), has(self.commit)].filter(x, x).size() == 1",message="set exactly one of branch, tag and commit"
type GitRef struct {
	// branch to follow.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=244
	// +optional
	Branch string `json:"branch,omitempty"`
	// tag to follow.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=244
	// +optional
	Tag string `json:"tag,omitempty"`
	// commit to stay at, all 40 hexadecimal digits.
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{40}$`
	// +optional
	Commit string `json:"commit,omitempty"`
}

// PreflightMode says what a failed check does.
//
// +kubebuilder:validation:Enum=Enforce;Warn;Off
type PreflightMode string

// Modes of preflight checks.
const (
	// PreflightEnforce holds the cluster's change until the check passes.
	PreflightEnforce PreflightMode = "Enforce"
	// PreflightWarn reports and goes on.
	PreflightWarn PreflightMode = "Warn"
	// PreflightOff does not check.
	PreflightOff PreflightMode = "Off"
)

// Preflight says what checks against Prism Central do before a plan is applied that makes machines. What Prism Central
// does not say is reported as unknown and holds nothing; but while it cannot be asked at all, such a plan waits where
// existence is enforced. A cluster without a Fleet has the defaults.
type Preflight struct {
	// existence: what the files name is there and reachable, and what must be free is free. Default Enforce.
	// +kubebuilder:default=Enforce
	// +optional
	Existence PreflightMode `json:"existence,omitempty"`
	// capacity: CPU, memory, storage and addresses are enough for the rollout's peak. Default Warn.
	// +kubebuilder:default=Warn
	// +optional
	Capacity PreflightMode `json:"capacity,omitempty"`
}

// Verify is reserved for commit signatures; only the empty form is accepted.
type Verify struct{}

// Window is reserved for maintenance windows.
type Window struct{}

// FleetStatus is what Refract reports about a Fleet.
type FleetStatus struct {
	// observedGeneration is the generation that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// lastAttemptedRevision was read last, "main@sha1:…".
	// +optional
	LastAttemptedRevision string `json:"lastAttemptedRevision,omitempty"`
	// lastAppliedRevision was read and accepted as a whole.
	// +optional
	LastAppliedRevision string `json:"lastAppliedRevision,omitempty"`
	// lastHandledReconcileAt echoes annotation reconcile.fluxcd.io/requestedAt.
	meta.ReconcileRequestStatus `json:",inline"`
	// clusters counts the clusters of this Fleet.
	// +optional
	Clusters ClusterCounts `json:"clusters,omitempty"`
	// plan sums up the changes that are held.
	// +optional
	Plan PlanStatus `json:"plan,omitempty"`
	// outcome for machines of the newest revision that changed a cluster, summed over the clusters that it changed and that
	// are still there.
	// +optional
	Outcome *MachineOutcome `json:"outcome,omitempty"`
	// failures lists what is wrong, at most 50.
	// +kubebuilder:validation:MaxItems=50
	// +optional
	Failures []Failure `json:"failures,omitempty"`
	// totalFailures counts all failures, also those beyond the 50 listed.
	// +optional
	TotalFailures int32 `json:"totalFailures,omitempty"`
	// ignoredFiles counts YAML files below the path that are of another API group.
	// +optional
	IgnoredFiles int32 `json:"ignoredFiles,omitempty"`
	// conditions: Ready, Reconciling, Stalled.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ClusterCounts counts clusters by state.
type ClusterCounts struct {
	// total number of clusters that the Fleet mirrors.
	Total int32 `json:"total"`
	// ready clusters.
	Ready int32 `json:"ready"`
	// drifted clusters.
	Drifted int32 `json:"drifted"`
	// held clusters: a change is pending.
	Held int32 `json:"held"`
}

// Fleet keeps the clusters that one path of a Git repository declares.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="refract.dev/protect=true"
// +kubebuilder:resource:shortName=fl,categories=refract
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Clusters",type=integer,JSONPath=`.status.clusters.total`
// +kubebuilder:printcolumn:name="Held",type=integer,JSONPath=`.status.clusters.held`
// +kubebuilder:printcolumn:name="Drifted",type=integer,JSONPath=`.status.clusters.drifted`
// +kubebuilder:printcolumn:name="Revision",type=string,JSONPath=`.status.lastAppliedRevision`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 50",message="a Fleet name has at most 50 characters"
type Fleet struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is what people write.
	// +required
	Spec FleetSpec `json:"spec"`
	// status is what Refract reports.
	// +optional
	Status FleetStatus `json:"status,omitempty"`
}

// FleetList is a list of Fleets.
//
// +kubebuilder:object:root=true
type FleetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Fleet `json:"items"`
}

// GetConditions returns the conditions, for fluxcd/pkg/runtime.
func (f *Fleet) GetConditions() []metav1.Condition { return f.Status.Conditions }

// SetConditions replaces the conditions, for fluxcd/pkg/runtime.
func (f *Fleet) SetConditions(c []metav1.Condition) { f.Status.Conditions = c }
