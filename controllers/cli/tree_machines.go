package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/kube"
)

// Kinds of Cluster API and CAPX that a tree shows.
const (
	kindCluster        = "Cluster"
	kindNutanixCluster = "NutanixCluster"
	kindDeployment     = "MachineDeployment"
	kindMachine        = "Machine"
	kindNutanixMachine = "NutanixMachine"
)

// branch is one cluster while its part of the tree grows.
type branch struct {
	cluster  *v1alpha1.NutanixClusterSpec
	root     *node
	objects  []*unstructured.Unstructured
	problems []kube.Problem
	// places of objects and VMs in the tree: "Machine/x", "VM x".
	places map[string]*node
}

func (b *branch) each(kind string, do func(*unstructured.Unstructured)) {
	for _, o := range b.objects {
		if o.GetKind() == kind {
			do(o)
		}
	}
}

// machines grows control plane, pools, Machines and VMs.
func (b *branch) machines() {
	found := false
	b.each(kindCluster, func(o *unstructured.Unstructured) {
		found = true
		b.controlPlane(o)
	})
	if !found {
		return
	}
	b.each(kindDeployment, b.pool)
	b.each(kindMachine, b.machine)
	b.each(kindNutanixMachine, b.vm)
}

// controlPlane tells of the control plane what the Cluster says of it: a viewer may not read the object itself.
func (b *branch) controlPlane(cluster *unstructured.Unstructured) {
	n := &node{Kind: nodeControlPlane, Name: cmp.Or(nested(cluster, "spec", "controlPlaneRef", "name"), b.cluster.Name)}
	n.fact("machines", b.cluster.Status.ControlPlane.Summary)
	b.hang(b.root, n, nested(cluster, "spec", "controlPlaneRef", "kind")+"/"+n.Name, nodeControlPlane)
}

func (b *branch) pool(o *unstructured.Unstructured) {
	n := &node{Kind: nodePool, Name: o.GetName(), State: deleting(o)}
	desired, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
	available, _, _ := unstructured.NestedInt64(o.Object, "status", "availableReplicas")
	n.fact("machines", fmt.Sprintf("%d/%d", available, desired))
	n.fact("version", nested(o, "spec", "template", "spec", "version"))
	n.fact("failureDomain", nested(o, "spec", "template", "spec", "failureDomain"))
	b.hang(b.root, n, kindDeployment+"/"+o.GetName())
}

func (b *branch) machine(o *unstructured.Unstructured) {
	n := &node{Kind: nodeMachine, Name: o.GetName(), State: cmp.Or(deleting(o), nested(o, "status", "phase"), "Pending")}
	n.fact("version", nested(o, "spec", "version"))
	n.since("created", o.GetCreationTimestamp().Time)
	switch status, message := conditionIn(o, "UpToDate"); status {
	case "True":
		n.fact("upToDate", "up to date")
	case "False":
		n.fact("upToDate", strings.TrimSuffix("to be replaced: "+strings.TrimPrefix(oneLine(message), "* "), ": "))
	}
	if _, ok := o.GetAnnotations()[v1alpha1.HandsOffAnnotation]; ok {
		n.fact("repair", "hands off")
	}
	parent := b.root
	if _, ok := o.GetLabels()["cluster.x-k8s.io/control-plane"]; ok {
		parent = cmp.Or(b.places[nodeControlPlane], b.root)
	} else if pool := b.places[kindDeployment+"/"+o.GetLabels()["cluster.x-k8s.io/deployment-name"]]; pool != nil {
		parent = pool
	}
	b.hang(parent, n, kindMachine+"/"+o.GetName(), "for "+nested(o, "spec", "infrastructureRef", "name"))
}

// vm tells of a VM what CAPX noted of it.
func (b *branch) vm(o *unstructured.Unstructured) {
	machine := b.places["for "+o.GetName()]
	n := &node{Kind: nodeVM, Name: o.GetName(), State: vmState(o)}
	if machine != nil {
		n.Name = machine.Name
	}
	addresses, _, _ := unstructured.NestedSlice(o.Object, "status", "addresses")
	var ips []string
	for _, a := range addresses {
		m, _ := a.(map[string]any)
		address, _ := m["address"].(string)
		switch {
		case m["type"] == "Hostname":
			n.Name = cmp.Or(address, n.Name)
		case address != "":
			ips = append(ips, address)
		}
	}
	n.fact("addresses", strings.Join(ips, ", "))
	if domain := nested(o, "status", "failureDomain"); domain != "" {
		n.fact("failureDomain", "failure domain "+domain)
	}
	n.fact("prismElement", cmp.Or(nested(o, "spec", "cluster", "name"), nested(o, "spec", "cluster", "uuid")))
	n.fact("id", nested(o, "status", "vmUUID"))
	b.hang(cmp.Or(machine, b.root), n, kindNutanixMachine+"/"+o.GetName(), nodeVM+" "+n.Name)
}

func vmState(o *unstructured.Unstructured) string {
	ready, _, _ := unstructured.NestedBool(o.Object, "status", "ready")
	switch {
	case deleting(o) != "":
		return deleting(o)
	case nested(o, "status", "vmUUID") == "":
		return "not created"
	case !ready:
		return "Provisioning"
	}
	return "Provisioned"
}

func (b *branch) hang(parent, n *node, places ...string) {
	parent.Children = append(parent.Children, n)
	for _, p := range places {
		b.places[p] = n
	}
}

// drift puts each finding where its object is. A VM that no Machine knows hangs from the cluster.
func (b *branch) drift() {
	for _, f := range b.cluster.Status.Drift {
		n := b.places[f.Object]
		switch vm, ok := strings.CutPrefix(f.Object, nodeVM+" "); {
		case n != nil:
		case ok:
			n = &node{Kind: nodeVM, Name: vm, State: "no Machine"}
			b.hang(b.root, n, f.Object)
		default:
			n = b.root
		}
		n.wrong("%s", driftLine(f, n == b.root))
	}
}

func driftLine(f v1alpha1.DriftFinding, named bool) string {
	var words []string
	if named {
		words = append(words, f.Object)
	}
	if f.Field != "" {
		words = append(words, f.Field)
	}
	switch {
	case f.Field == "" && f.Wanted == "":
		words = append(words, f.Found)
	default:
		words = append(words, "is "+cmp.Or(f.Found, "nothing")+", should be "+cmp.Or(f.Wanted, "nothing"))
	}
	if f.Manager != "" {
		words = append(words, "(changed by "+f.Manager+")")
	}
	return "differs: " + strings.Join(words, " ")
}

// trouble puts what Cluster API and CAPX say where it belongs. Of a Machine only the innermost is told: the rest waits
// for that. A conclusion that the cluster draws from a problem is told once, at the problem.
func (b *branch) trouble() {
	told := map[string]bool{}
	for _, p := range b.problems {
		if p.Machine != "" && told[p.Machine] && p.Condition != "Paused" {
			continue
		}
		told[p.Machine] = true
		n := b.places[p.Object.String()]
		if n == nil {
			n = cmp.Or(b.places[kindMachine+"/"+p.Machine], b.root)
		}
		line := fmt.Sprintf("%s (%s): %s", p.Condition, p.Reason, p.Message)
		if n == b.root {
			line = p.Object.String() + " " + line
		}
		if p.Help != "" {
			line = strings.TrimRight(line, ";. ") + ". " + p.Help
		}
		n.wrong("%s", line)
		b.once(p)
	}
}

// once takes from the cluster's own trouble what is told in full at the place of the problem.
func (b *branch) once(p kube.Problem) {
	whole := oneLine(p.String())
	b.root.Trouble = slices.DeleteFunc(b.root.Trouble, func(s string) bool {
		return b.places[p.Object.String()] != nil && strings.HasSuffix(s, ": "+whole)
	})
}

func deleting(o *unstructured.Unstructured) string {
	if o.GetDeletionTimestamp() != nil {
		return "Deleting"
	}
	return ""
}

func nested(o *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(o.Object, path...)
	return s
}

// conditionIn is the status and message of a condition; empty when there is none.
func conditionIn(o *unstructured.Unstructured, kind string) (status, message string) {
	all, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range all {
		m, _ := c.(map[string]any)
		if m["type"] == kind {
			status, _ = m["status"].(string)
			message, _ = m["message"].(string)
		}
	}
	return status, message
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
