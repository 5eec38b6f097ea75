// Package preflight says, before anything is applied, why the machines of a cluster could not come up: what they need
// and Prism Central does not have (Existence), and what would not fit while a rollout is at its peak (Capacity).
//
// It is pure: the rendered objects and the inventory come in as values, findings go out. What is not known is said to
// be unknown and never failed.
package preflight

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/site"
)

// Input of the checks.
type Input struct {
	// Cluster as written, for its name, its endpoint and for the field that a finding names.
	Cluster *v1alpha1.NutanixClusterSpec
	// Objects are rendered, with patches applied.
	Objects []*unstructured.Unstructured
	// Site is the inventory; nil when nothing is known.
	Site *site.Inventory
	// Why nothing is known.
	Why string
	// New says that the cluster does not exist yet, or is to be made again.
	New bool
	// Owned are the ExtIDs of VMs that a NutanixMachine of this management cluster names.
	Owned map[string]bool
	// Machines that the plan creates or replaces, by owner ("KubeadmControlPlane/x", "MachineDeployment/y"). Nil: all
	// that are wanted.
	Machines map[string]int
}

// Class of a check; what a finding does is decided for each class.
type Class string

// Classes.
const (
	// Existence: something that machines name is not there, or belongs to somebody else.
	Existence Class = "Existence"
	// Capacity: there is not enough of it.
	Capacity Class = "Capacity"
)

// Verdict of a finding.
type Verdict string

// Verdicts.
const (
	// Failed: machines would not come up, or would harm others.
	Failed Verdict = "Failed"
	// Short: machines may not all fit.
	Short Verdict = "Short"
	// Unknown: it could not be checked.
	Unknown Verdict = "Unknown"
)

// Finding is one reason not to go on.
type Finding struct {
	// Check that found it, such as "subnet".
	Check string
	Class Class
	// Verdict says how bad it is.
	Verdict Verdict
	// Field of the cluster's file that causes it, or an object and its field where a patch wrote it.
	Field string
	// Message says what is wrong, what was found, and what to do.
	Message string
}

// Check returns the findings, sorted; none means that all is well.
func Check(in Input) []Finding { return nil }
