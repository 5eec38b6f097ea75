package kube

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/refract-dev/refract/render/plan"
)

// Conditions of problems: CAPX's own, and ours for what no condition of its tells.
const (
	vmProvisioned       = "VMProvisioned"
	vmAddressesAssigned = "VMAddressesAssigned"
	pausedByAnnotation  = "Paused"
	conditionFailed     = "Failed"
	conditionAdopted    = "Adopted"
	conditionNoVM       = "NoVM"
)

// restartCAPX is the command that has CAPX drop what it waits for without end: tasks that were cancelled or suspended, or
// failed without a reason.
const restartCAPX = "`kubectl rollout restart deployment/capx-controller-manager -n capx-system`"

// broken lists what CAPX has given up or got wrong: no waiting mends it, so it is told at once. Objects that are being
// deleted are left out: what they were does not matter any more.
func broken(o observed) []Problem {
	var found []Problem
	if o.infraCluster != nil {
		if p := failure(o.infraCluster); p != nil {
			found = append(found, *p)
		}
	}
	for _, vm := range o.infra {
		m := o.machineOf(vm)
		if vm.GetDeletionTimestamp() != nil || m != nil && !m.DeletionTimestamp.IsZero() {
			continue
		}
		p := failure(vm)
		if p == nil {
			p = adoption(vm)
		}
		if p != nil {
			found = append(found, o.explained(*p))
		}
	}
	slices.SortStableFunc(found, func(a, b Problem) int { return compareRefs(a.Object, b.Object) })
	return found
}

// failure is what CAPX says of an object that it has given up: it leaves the conditions as they were before, looks at the
// fields first, and never tries again, whatever the cause was.
func failure(o *unstructured.Unstructured) *Problem {
	reason, message := stringAt(o, "status", "failureReason"), stringAt(o, "status", "failureMessage")
	ready, _, _ := unstructured.NestedBool(o.Object, "status", "ready")
	if ready || reason == "" && message == "" {
		return nil
	}
	return &Problem{Object: plan.RefOf(o), Condition: conditionFailed, Reason: reason, Message: message}
}

// adoption tells that CAPX took over a VM which it found under the Machine's name. Of a VM that it creates it notes
// vmUUID and providerID with one write; of one that it finds it notes vmUUID alone, and Cluster API then waits for the
// providerID for ever. A providerID that is no UUID is the placeholder of CAPX's own template.
func adoption(o *unstructured.Unstructured) *Problem {
	id := stringAt(o, "status", "vmUUID")
	providerID := stringAt(o, "spec", "providerID")
	noted := uuid.Validate(providerID[strings.LastIndex(providerID, "/")+1:]) == nil
	if id == "" || noted {
		return nil
	}
	return &Problem{
		Object: plan.RefOf(o), Condition: conditionAdopted, Reason: "NameTaken",
		Message: "a VM of this name was there before, " + id + ", and CAPX took it instead of creating one; Cluster API waits for its providerID for ever",
	}
}

// silent tells of a VM that is to be created, with all there that CAPX needs, and CAPX says nothing: it waits for a task
// that never ends, which may be that of the start, since it notes the VM only after that; or, in newer versions, it starts
// a failed creation again and again and keeps the reason to its log. Nil when a condition says more.
func (o observed) silent(vm *unstructured.Unstructured) *Problem {
	if vm.GetKind() != infraMachineKind.Kind {
		return nil
	}
	m := o.machineOf(vm)
	ready, _, _ := unstructured.NestedBool(vm.Object, "status", "ready")
	switch {
	case m == nil, ready, stringAt(vm, "status", "vmUUID") != "", vm.GetDeletionTimestamp() != nil, !m.DeletionTimestamp.IsZero():
		return nil
	case m.Spec.Bootstrap.DataSecretName == nil, !o.infraProvisioned():
		return nil
	}
	// A condition that waits for data which is there by now is left from before.
	p := worst(vm, nil, metav1.ConditionFalse)
	if p != nil && !waitsForOthers(*p) {
		return nil
	}
	return &Problem{
		Object: plan.RefOf(vm), Condition: conditionNoVM, Reason: "NotCreated",
		Message: "CAPX has all that it needs to create the VM and has not noted one, and does not say why",
	}
}

func (o observed) infraProvisioned() bool {
	provisioned, _, _ := unstructured.NestedBool(o.cluster.Object, "status", "initialization", "infrastructureProvisioned")
	return provisioned
}

// explained adds to a problem which Machine it is about and what helps.
func (o observed) explained(p Problem) Problem {
	m := o.machineBehind(p.Object)
	if m != nil {
		p.Machine, p.Owner = m.Name, ownerOf(m)
	}
	p.Help = o.help(p)
	return p
}

// help is what a person does about a problem. Refract never writes Machines itself: whether one may go is for somebody
// to say who has looked at its VM.
func (o observed) help(p Problem) string {
	remove := fmt.Sprintf("`kubectl delete machine %s -n %s`", p.Machine, p.Object.Namespace)
	switch {
	case p.Machine == "" && p.Object.Kind == infraClusterKind.Kind && strings.HasPrefix(p.Condition, "PrismClient"):
		return fmt.Sprintf("`kubectl get cloudaccounts -n %s -o wide` says what Prism Central answers; correct the Secret or the endpoint of the cluster's account", p.Object.Namespace)
	case p.Machine == "":
		return ""
	case p.Condition == conditionFailed:
		return fmt.Sprintf("CAPX never tries this Machine again. Mend the cause, then %s: %s", remove, replaced(p.Owner))
	case p.Condition == conditionAdopted:
		return o.helpAdopted(p, remove)
	case p.Condition == conditionNoVM:
		return fmt.Sprintf("Look in Prism Central how the last task about VM %[1]s ended. Failed, or there is none: CAPX tries again and again, "+
			"and its log says why: `kubectl logs deployment/capx-controller-manager -n capx-system | grep %[1]s`; mend the cause, and it goes on by itself. "+
			"Cancelled, suspended, or failed without a reason: CAPX waits for it without end; %[2]s has it begin anew, best while it creates no other VM: one that is there by then it takes over, which is told", p.Machine, restartCAPX)
	case p.Condition == vmAddressesAssigned:
		return fmt.Sprintf("See in Prism Central whether VM %s is on and whether its subnet gives out addresses; CAPX goes on by itself", p.Machine)
	}
	return ""
}

// helpAdopted keeps a VM alive that may be somebody else's: CAPX deletes the VM that it noted when the Machine goes,
// and a health check lets the Machine go by itself. A VM under another name it refuses to delete.
func (o observed) helpAdopted(p Problem, remove string) string {
	return fmt.Sprintf("Do not delete the Machine yet: CAPX would delete that VM. At once: "+
		"`kubectl annotate machine %[1]s -n %[2]s %[3]s=adopted`, or a MachineHealthCheck deletes it in time. Then look at the VM in Prism Central. "+
		"Somebody else's: rename it there, so that CAPX refuses to delete it; then `kubectl delete machine/%[1]s nutanixmachine/%[5]s -n %[2]s --wait=false` and "+
		"`kubectl patch nutanixmachine %[5]s -n %[2]s --type=merge -p '{\"metadata\":{\"finalizers\":null}}'`. "+
		"Made for this Machine (category KubernetesClusterName: %[6]s): %[4]s is right as it is. In both cases %[7]s",
		p.Machine, p.Object.Namespace, clusterv1.MachineSkipRemediationAnnotation, remove, p.Object.Name, o.cluster.GetName(), replaced(p.Owner))
}

// replaced says what follows the deletion of a Machine.
func replaced(owner string) string {
	if owner == "" {
		return "nothing makes a new one, since nothing owns it"
	}
	return owner + " makes a new one"
}

// machineOf is the Machine of a NutanixMachine; nil when there is none.
func (m machinery) machineOf(vm *unstructured.Unstructured) *clusterv1.Machine {
	return m.machineBehind(plan.RefOf(vm))
}

// machineBehind is the Machine that an object is or was made for; nil when there is none.
func (m machinery) machineBehind(r plan.Ref) *clusterv1.Machine {
	i := slices.IndexFunc(m.machines, func(machine *clusterv1.Machine) bool {
		switch r.Kind {
		case machineKind.Kind:
			return machine.Name == r.Name
		case infraMachineKind.Kind:
			return machine.Spec.InfrastructureRef.Name == r.Name
		case configKind.Kind:
			return machine.Spec.Bootstrap.ConfigRef.Name == r.Name
		}
		return false
	})
	if i < 0 {
		return nil
	}
	return m.machines[i]
}

// ownerOf is what makes a new Machine when this one goes, as people know it.
func ownerOf(m *clusterv1.Machine) string {
	if deployment := m.Labels[clusterv1.MachineDeploymentNameLabel]; deployment != "" {
		return deploymentKind.Kind + "/" + deployment
	}
	if ref := metav1.GetControllerOf(m); ref != nil {
		return ref.Kind + "/" + ref.Name
	}
	return ""
}

// Silent are the Machines, and so VMs, by name, whose creation fails without a word in any object. Prism
// Central's tasks may know more; see [Health.Explain].
func (h Health) Silent() []string {
	var names []string
	for _, p := range h.Stuck {
		if p.Condition == conditionNoVM {
			names = append(names, p.Machine)
		}
	}
	return names
}

// Explain adds what Prism Central says of failed tasks, by the VM's name, to the problems of Machines.
func (h *Health) Explain(tasks map[string]string) {
	for i, p := range h.Stuck {
		task := tasks[p.Machine]
		if p.Machine == "" || task == "" || p.Condition == conditionAdopted || strings.Contains(p.Message, task) {
			continue
		}
		h.Stuck[i].Message = strings.TrimRight(p.Message, ";. ") + "; Prism Central says of its last failed task: " + task
	}
}

// stringAt is a string in an object; empty when there is none.
func stringAt(o *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(o.Object, path...)
	return s
}
