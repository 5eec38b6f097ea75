package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Phase sums up a cluster in one word.
//
// +kubebuilder:validation:Enum=Pending;Provisioning;Running;Updating;Held;Degraded;Deleting;Failed
type Phase string

// Phases of a cluster.
const (
	// PhasePending: nothing applied yet.
	PhasePending Phase = "Pending"
	// PhaseProvisioning: applied, not yet available for the first time.
	PhaseProvisioning Phase = "Provisioning"
	// PhaseRunning: available and up to date.
	PhaseRunning Phase = "Running"
	// PhaseUpdating: machines are added, replaced or removed.
	PhaseUpdating Phase = "Updating"
	// PhaseHeld: running, and a change waits for a person.
	PhaseHeld Phase = "Held"
	// PhaseDegraded: was available and is not, or machines are unhealthy.
	PhaseDegraded Phase = "Degraded"
	// PhaseDeleting: being deleted.
	PhaseDeleting Phase = "Deleting"
	// PhaseFailed: a person must act before anything else happens.
	PhaseFailed Phase = "Failed"
)

// MachineCounts counts machines.
type MachineCounts struct {
	// desired machines.
	Desired int32 `json:"desired"`
	// available machines.
	Available int32 `json:"available"`
	// upToDate machines.
	UpToDate int32 `json:"upToDate"`
	// summary: available/desired.
	Summary string `json:"summary"`
}

// MachineOutcome compares what an accepted change was predicted to do to machines with what happened to those that were
// there when it was begun, by their UIDs.
type MachineOutcome struct {
	// revision that the change came from.
	// +optional
	Revision string `json:"revision,omitempty"`
	// predictedRecreated machines. For an autoscaled pool its maximum.
	PredictedRecreated int32 `json:"predictedRecreated"`
	// recreated machines so far.
	Recreated int32 `json:"recreated"`
	// predictedRemoved machines, with nothing in their place.
	PredictedRemoved int32 `json:"predictedRemoved"`
	// removed machines so far.
	Removed int32 `json:"removed"`
	// difference: how many machines went that were not predicted to; negative, once the change has been carried out, for
	// predicted ones that stayed. Of a Fleet the sum of its clusters' differences, whatever their sign. 0 is as it should be.
	Difference int32 `json:"difference"`
	// carriedOut: the change is over. Machines that go after that are not its doing.
	CarriedOut bool `json:"carriedOut"`
}

// DriftFinding is a live field that differs from the wanted one.
type DriftFinding struct {
	// object, "MachineDeployment/edge-01-workers", or virtual machine, "VM edge-01-workers-x7k2p".
	Object string `json:"object"`
	// field that differs, "spec.replicas", or of a virtual machine, "memory". Empty: the object as a whole.
	// +optional
	Field string `json:"field,omitempty"`
	// wanted value.
	// +optional
	Wanted string `json:"wanted,omitempty"`
	// found value.
	// +optional
	Found string `json:"found,omitempty"`
	// manager that wrote the found value, when known. Prism Central does not tell.
	// +optional
	Manager string `json:"manager,omitempty"`
	// since when it has been seen.
	// +optional
	Since metav1.Time `json:"since,omitempty"`
}

// PreflightVerdict says how a check against Prism Central came out.
//
// +kubebuilder:validation:Enum=Failed;Short;Unknown
type PreflightVerdict string

// Verdicts of preflight checks. What passed is not listed.
const (
	// PreflightFailed: machines cannot come up as declared.
	PreflightFailed PreflightVerdict = "Failed"
	// PreflightShort: there is not enough for the rollout's peak.
	PreflightShort PreflightVerdict = "Short"
	// PreflightUnknown: Prism Central could not be asked, or does not say.
	PreflightUnknown PreflightVerdict = "Unknown"
)

// PreflightFinding is what a check against Prism Central found.
type PreflightFinding struct {
	// check that found it, "Image".
	Check string `json:"check"`
	// verdict of the check.
	Verdict PreflightVerdict `json:"verdict"`
	// field that names the cause, "spec.machineDefaults.subnets[0]".
	// +optional
	Field string `json:"field,omitempty"`
	// message says what is wrong, what was found and what to do next.
	Message string `json:"message"`
}

// NutanixClusterSpecStatus is what Refract reports about a cluster.
type NutanixClusterSpecStatus struct {
	// observedGeneration is the generation that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// phase in one word.
	// +optional
	Phase Phase `json:"phase,omitempty"`
	// profile in use, "standard@1.4.0".
	// +optional
	Profile string `json:"profile,omitempty"`
	// kubernetesVersion that the oldest control-plane machine runs.
	// +optional
	KubernetesVersion string `json:"kubernetesVersion,omitempty"`
	// controlPlane machines.
	// +optional
	ControlPlane MachineCounts `json:"controlPlane,omitempty"`
	// workers in all pools.
	// +optional
	Workers MachineCounts `json:"workers,omitempty"`
	// plan that is held; otherwise "no change". Written by the Fleet controller, or by the cluster's own gate.
	// +optional
	Plan PlanStatus `json:"plan,omitempty"`
	// outcome of the last accepted change for machines, as predicted and as it was.
	// +optional
	Outcome *MachineOutcome `json:"outcome,omitempty"`
	// failures that hold this cluster's change back, with their place.
	// +kubebuilder:validation:MaxItems=50
	// +optional
	Failures []Failure `json:"failures,omitempty"`
	// preflight findings of the last check, the failed ones first, at most 50.
	// +kubebuilder:validation:MaxItems=50
	// +optional
	Preflight []PreflightFinding `json:"preflight,omitempty"`
	// drift found, in objects and in virtual machines, at most 50.
	// +kubebuilder:validation:MaxItems=50
	// +optional
	Drift []DriftFinding `json:"drift,omitempty"`
	// kubeconfigSecretRef names the Secret with the cluster's kubeconfig, once it exists.
	// +optional
	KubeconfigSecretRef *LocalReference `json:"kubeconfigSecretRef,omitempty"`
	// revision at which the cluster's own inputs last changed.
	// +optional
	Revision string `json:"revision,omitempty"`
	// shortRevision for the table.
	// +optional
	ShortRevision string `json:"shortRevision,omitempty"`
	// lastHandledReconcileAt echoes annotation reconcile.fluxcd.io/requestedAt.
	// +optional
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`
	// conditions: Ready, Reconciling, Stalled, SourceAccepted, PreflightPassed, InSync, Paused.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
