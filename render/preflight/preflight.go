// Package preflight says, before anything is applied, why the machines of a cluster could not come up: what they need
// and Prism Central does not have (Existence), and what would not fit while a rollout is at its peak (Capacity).
//
// It is pure: the rendered objects and the inventory come in as values, findings go out. What is not known is said to
// be unknown and never failed.
package preflight

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

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
	// Before are the objects that machines were made of before. They tell, where Prism Central's VMs are not known, which
	// of Machines are added and how much the others grow. Nil: not known.
	Before []*unstructured.Unstructured
	// Machines that the plan creates or replaces, by owner ("KubeadmControlPlane/x", "MachineDeployment/y"). Only what
	// these need is checked. Nil: all that are wanted.
	Machines map[string]int
	// Public: everybody reads the findings, so VMs that are not the cluster's own are not named.
	Public bool
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

// Checks.
const (
	// CheckInventory: Prism Central was asked at all.
	CheckInventory = "Inventory"
	// CheckElement: the Prism Element exists and Prism Central reaches it.
	CheckElement = "PrismElement"
	// CheckSubnet: each subnet exists on the Prism Element.
	CheckSubnet = "Subnet"
	// CheckImage: exactly one image is meant, the Prism Element has it, and its name tells no other Kubernetes version.
	CheckImage = "Image"
	// CheckProject: the project exists.
	CheckProject = "Project"
	// CheckCategory: each category exists.
	CheckCategory = "Category"
	// CheckContainer: the storage containers exist on the Prism Element.
	CheckContainer = "StorageContainer"
	// CheckGPU: the Prism Element offers the GPUs, and has enough of them to give.
	CheckGPU = "GPU"
	// CheckEndpoint: nobody has the address of a new cluster's endpoint, or may be given it.
	CheckEndpoint = "Endpoint"
	// CheckNames: no VM has a new cluster's category, or a name as of its machines.
	CheckNames = "Names"
	// CheckCPU: there are enough virtual CPUs, at VCPUsPerCore.
	CheckCPU = "CPU"
	// CheckMemory: there is enough memory.
	CheckMemory = "Memory"
	// CheckStorage: there is enough storage.
	CheckStorage = "Storage"
	// CheckAddresses: the subnets have enough free addresses.
	CheckAddresses = "Addresses"
)

// Finding is one reason not to go on.
type Finding struct {
	// Check that found it, such as CheckSubnet.
	Check string
	Class Class
	// Verdict says how bad it is.
	Verdict Verdict
	// Field of the cluster's file that causes it, or an object and its field where a patch wrote it. Never empty.
	Field string
	// Message says what is wrong, what was found, and what to do.
	Message string
}

// Check returns the findings, sorted; none means that all is well. Existence covers what the coming machines name;
// Capacity what they take while the rollout is at its peak, by Prism Element.
func Check(in Input) []Finding {
	c := &checks{Input: in, seen: map[Finding]bool{}}
	if in.Site == nil {
		why := or(in.Why, "Prism Central has not been asked yet")
		c.unknown(CheckInventory, Existence, "spec.accountRef", "whether what machines name exists is not checked: "+why)
		c.unknown(CheckInventory, Capacity, "spec.accountRef", "whether machines fit is not checked: "+why)
		return c.found
	}
	if in.New {
		c.endpoint()
		c.names()
	}
	for _, g := range groups(in) {
		if g.coming(in.Machines) > 0 {
			c.existence(g)
		}
	}
	c.capacity(c.rollouts())
	slices.SortStableFunc(c.found, func(a, b Finding) int {
		return cmp.Or(
			-strings.Compare(string(a.Class), string(b.Class)), strings.Compare(a.Check, b.Check),
			strings.Compare(a.Field, b.Field), strings.Compare(a.Message, b.Message),
		)
	})
	return c.found
}

// checks collects findings, each once.
type checks struct {
	Input
	seen  map[Finding]bool
	found []Finding
}

func (c *checks) add(f Finding) {
	if !c.seen[f] {
		c.seen[f] = true
		c.found = append(c.found, f)
	}
}

func (c *checks) failed(check, field, message string) {
	c.add(Finding{Check: check, Class: Existence, Verdict: Failed, Field: field, Message: message})
}

func (c *checks) unknown(check string, class Class, field, message string) {
	c.add(Finding{Check: check, Class: class, Verdict: Unknown, Field: field, Message: message})
}

// knows says whether a part was read, and says so if it was not.
func (c *checks) knows(part site.Part, check string, class Class, field string) bool {
	if c.Site.Knows(part) {
		return true
	}
	c.unknown(check, class, field, fmt.Sprintf("not checked, since Prism Central did not tell its %s: %s", part, c.Site.Unknown[part]))
	return false
}

// knowsOf says whether a part was read of a Prism Element, and says so if it was not.
func (c *checks) knowsOf(e site.Element, part site.Part, check string, class Class, field string) bool {
	why, lacks := e.Unknown[part]
	if !lacks {
		return c.knows(part, check, class, field)
	}
	c.unknown(check, class, field, fmt.Sprintf("not checked, since Prism Central did not tell the %s of Prism Element %s: %s", part, e.Name, why))
	return false
}
