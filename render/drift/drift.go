// Package drift compares the virtual machines that Prism Central holds with what their machines were made of. It is
// pure: the inventory comes in as values, findings go out.
//
// What is not known is not compared: a part of the inventory that could not be read, a name that resolves to nothing or
// to several, a quantity that cannot be parsed. A finding is always a difference that somebody can see.
package drift

import "github.com/refract-dev/refract/render/site"

// Machine is a machine of the cluster with what its virtual machine shall be.
type Machine struct {
	// Name of the CAPI Machine.
	Name string
	// Infra is the name of the NutanixMachine; the VM has one of both names.
	Infra string
	// ExtID of its VM: status.vmUUID, or from spec.providerID. Empty while there is none.
	ExtID string
	// Spec is wanted: the spec of the NutanixMachineTemplate that it was cloned from, completed by NutanixMachine.spec
	// (cluster and subnet, where a failure domain chose them).
	Spec map[string]any
	// Settled says that it is ready and neither being created nor deleted: only such machines are compared.
	Settled bool
	// HandsOff says that it is annotated refract.dev/hands-off: it is reported and never repaired.
	HandsOff bool
	// Unhealthy says that a MachineHealthCheck is at work on it: it is reported and never repaired.
	Unhealthy bool
}

// Input of a comparison.
type Input struct {
	// Cluster is the name of the cluster.
	Cluster string
	// Machines of the cluster, all of them.
	Machines []Machine
	// Site is the inventory; nothing is found without one.
	Site *site.Inventory
	// Owned are the ExtIDs of VMs of any machine of this management cluster.
	Owned map[string]bool
	// Gone are the ExtIDs that Prism Central, asked one by one, answered with 404.
	Gone map[string]bool
	// Ours says of a VM that no machine owns that this management cluster made it, as the caller remembers: a machine
	// owned it once. Nil or false: the VM itself has to prove it, see [Compare].
	Ours func(vm site.VM) bool
}

// Kind of a finding.
type Kind string

// Kinds of findings.
const (
	// Changed: a field of the VM differs.
	Changed Kind = "Changed"
	// Missing: the VM is gone.
	Missing Kind = "Missing"
	// Orphan: a VM that this management cluster made and that no machine knows any more.
	Orphan Kind = "Orphan"
	// Double: another VM has a machine's name. CAPX finds VMs by name while it creates a machine.
	Double Kind = "Double"
	// Stranger: a VM that carries the cluster's category, belongs to no machine here, and may be that of a cluster of the
	// same name elsewhere. Only [Strangers] finds it.
	Stranger Kind = "Stranger"
)

// Repair that a finding allows without replacing the machine.
type Repair string

// Repairs.
const (
	// None: only a rollout, or a person, can repair it.
	None Repair = ""
	// PowerOn switches the VM on.
	PowerOn Repair = "PowerOn"
	// AddCategories adds Finding.Categories to the VM.
	AddCategories Repair = "AddCategories"
)

// Finding is one difference.
type Finding struct {
	Kind Kind
	// Machine is the name of the CAPI Machine; empty for orphans and strangers.
	Machine string
	// VM and ExtID are the virtual machine's name and identifier; of a double, the other one's.
	VM, ExtID string
	// Field that differs, in CAPX's words, such as memorySize or dataDisks[0].diskSize. Empty: the VM as a whole.
	Field string
	// Wanted and Found are for people; they fit "is Found and should be Wanted".
	Wanted, Found string
	// Repair that Refract may do; None where hands are off or a MachineHealthCheck is at work.
	Repair Repair
	// Categories are the ExtIDs to add, for AddCategories.
	Categories []string
	// HandsOff: the machine is annotated refract.dev/hands-off.
	HandsOff bool
}
