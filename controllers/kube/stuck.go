package kube

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/refract-dev/refract/render/plan"
)

// Problem is one condition that holds a cluster back.
type Problem struct {
	// Object that has the condition.
	Object plan.Ref
	// Machine that the object is or belongs to, by name; empty when it is none of one Machine.
	Machine string
	// Owner of that Machine, such as "MachineDeployment/edge-01-workers"; empty when it has none.
	Owner string
	// Condition type; "Paused" for an object that is paused by annotation, "Failed" for one that CAPX has given up,
	// "Adopted" for a VM that CAPX found under the Machine's name, "NoVM" for a creation that fails without a word.
	Condition string
	// Reason in the controller's words, or ours where it has none.
	Reason string
	// Message in the controller's words, or ours where it has none.
	Message string
	// Help is what a person does about it, with the commands. Empty when there is nothing but to follow Message.
	Help string
}

// String is the problem for a person: which machine, what holds it, and what helps. It stays the same while nothing
// changes.
func (p Problem) String() string {
	var b strings.Builder
	if p.Machine != "" && p.Owner != "" {
		b.WriteString("Machine " + p.Machine + " of " + p.Owner + ": ")
	}
	fmt.Fprintf(&b, "%s has %s (%s)", p.Object, p.Condition, p.Reason)
	if message := strings.TrimRight(strings.TrimSpace(p.Message), ";. "); message != "" {
		b.WriteString(": " + message)
	}
	if p.Help != "" {
		b.WriteString(". " + p.Help)
	}
	return b.String()
}

// What to look at, in this order: the infrastructure before what waits for it, and of an object the first condition that
// is not as it should be. Bad says which status is the wrong one.
var watched = []struct {
	kind       string
	conditions []string
	bad        metav1.ConditionStatus
}{
	// Every condition that CAPX sets on its objects is good when True; a Machine that is not up yet hides behind its VM.
	{kind: infraClusterKind.Kind, bad: metav1.ConditionFalse},
	{kind: infraMachineKind.Kind, bad: metav1.ConditionFalse},
	{kind: configKind.Kind, conditions: []string{"DataSecretAvailable", "CertificatesAvailable"}, bad: metav1.ConditionFalse},
	{kind: machineKind.Kind, conditions: []string{
		clusterv1.MachineInfrastructureReadyCondition, clusterv1.MachineBootstrapConfigReadyCondition,
		clusterv1.MachineHealthCheckSucceededCondition, clusterv1.MachineNodeHealthyCondition, clusterv1.MachineReadyCondition,
	}, bad: metav1.ConditionFalse},
	{kind: controlPlaneKind.Kind, conditions: []string{
		"CertificatesAvailable", "EtcdClusterHealthy", "ControlPlaneComponentsHealthy", "Initialized", "Available",
	}, bad: metav1.ConditionFalse},
	{kind: controlPlaneKind.Kind, conditions: []string{"Remediating", "ScalingUp", "ScalingDown", "Deleting"}, bad: metav1.ConditionTrue},
	{kind: machineSetKind.Kind, conditions: []string{"ScalingUp", "Remediating"}, bad: metav1.ConditionTrue},
	{kind: deploymentKind.Kind, conditions: []string{"Available"}, bad: metav1.ConditionFalse},
	{kind: deploymentKind.Kind, conditions: []string{"Remediating", "ScalingUp", "ScalingDown", "Deleting"}, bad: metav1.ConditionTrue},
	{kind: machineKind.Kind, conditions: []string{clusterv1.MachineDeletingCondition}, bad: metav1.ConditionTrue},
	{kind: clusterKind.Kind, conditions: []string{"RemoteConnectionProbe", "Available"}, bad: metav1.ConditionFalse},
}

// problems lists what holds a cluster back, worst first: paused objects, what will not mend by itself, then causes before
// what waits for them.
func problems(o observed) []Problem {
	objects := o.objects()
	var waits []Problem
	given := broken(o)
	found := append(pauses(objects), given...)
	for _, w := range watched {
		for _, object := range objects {
			if object.GetKind() != w.kind || hasProblem(given, object) {
				continue
			}
			switch p := o.trouble(object, w.conditions, w.bad); {
			case p == nil:
			case waitsForOthers(*p):
				waits = append(waits, o.explained(*p))
			default:
				found = append(found, o.explained(*p))
			}
		}
	}
	return append(found, waits...)
}

// first are as many as go into a status or an event.
func first(p []Problem) []Problem { return p[:min(len(p), maxShown)] }

// Problems lists what holds one cluster back, worst first, from those of its Cluster API and CAPX objects that are at
// hand. Without its Cluster among them nothing is known. It asks nobody.
func Problems(objects []*unstructured.Unstructured) ([]Problem, error) {
	var o observed
	for _, object := range objects {
		switch object.GetKind() {
		case clusterKind.Kind:
			o.cluster = object
		case infraClusterKind.Kind:
			o.infraCluster = object
		case controlPlaneKind.Kind:
			o.controlPlane = object
		case deploymentKind.Kind:
			o.deployments = append(o.deployments, object)
		case infraMachineKind.Kind:
			o.infra = append(o.infra, object)
		case machineKind.Kind:
			m, err := typed[clusterv1.Machine](object)
			if err != nil {
				return nil, err
			}
			o.machines = append(o.machines, m)
		}
	}
	if o.cluster == nil {
		return nil, nil
	}
	return problems(o), nil
}

// pauses are the objects that somebody paused by annotation.
func pauses(objects []*unstructured.Unstructured) []Problem {
	var found []Problem
	for _, object := range objects {
		if _, ok := object.GetAnnotations()[clusterv1.PausedAnnotation]; ok {
			found = append(found, Problem{
				Object: plan.RefOf(object), Condition: pausedByAnnotation, Reason: "PausedByAnnotation",
				Message: "annotation " + clusterv1.PausedAnnotation + " by " + owner(object, annotation(clusterv1.PausedAnnotation)...),
			})
		}
	}
	return found
}

// trouble is what holds an object up by the named conditions, and what it does not say.
func (o observed) trouble(object *unstructured.Unstructured, names []string, bad metav1.ConditionStatus) *Problem {
	if p := o.silent(object); p != nil {
		return p
	}
	return worst(object, names, bad)
}

// hasProblem says whether an object is among the problems already.
func hasProblem(found []Problem, o *unstructured.Unstructured) bool {
	ref := plan.RefOf(o)
	return slices.ContainsFunc(found, func(p Problem) bool { return p.Object == ref })
}

// waitsForOthers says whether a condition only repeats that its turn has not come: what it waits for says more.
func waitsForOthers(p Problem) bool {
	if p.Object.Kind != infraMachineKind.Kind || p.Condition != vmProvisioned {
		return false
	}
	switch p.Reason {
	case "ControlplaneNotInitialized", "BootstrapDataNotReady", "ClusterInfrastructureNotReady", "Deleting":
		return true
	}
	return false
}

// worst is the first of the named conditions, or of all when none is named, that has the bad status.
func worst(o *unstructured.Unstructured, names []string, bad metav1.ConditionStatus) *Problem {
	all := conditions(o)
	if len(names) == 0 {
		for _, c := range all {
			names = append(names, c.Type)
		}
	}
	for _, name := range names {
		c := findCondition(all, name)
		if c != nil && c.Status == bad {
			return &Problem{Object: plan.RefOf(o), Condition: c.Type, Reason: c.Reason, Message: c.Message}
		}
	}
	return nil
}

// objects are all that were observed, in a stable order.
func (o observed) objects() []*unstructured.Unstructured {
	all := slices.Concat([]*unstructured.Unstructured{o.cluster, o.infraCluster, o.controlPlane}, o.deployments, o.infra, o.configs)
	for _, m := range o.machines {
		all = append(all, untyped(m, machineKind.Kind))
	}
	for _, s := range o.machineSets {
		all = append(all, untyped(s, machineSetKind.Kind))
	}
	all = slices.DeleteFunc(all, func(u *unstructured.Unstructured) bool { return u == nil })
	slices.SortStableFunc(all, func(a, b *unstructured.Unstructured) int {
		return cmp.Or(strings.Compare(a.GetKind(), b.GetKind()), strings.Compare(a.GetName(), b.GetName()))
	})
	return all
}

func untyped(o metav1.Object, kind string) *unstructured.Unstructured {
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil
	}
	u := &unstructured.Unstructured{Object: m}
	u.SetGroupVersionKind(clusterv1.GroupVersion.WithKind(kind))
	return u
}

// conditions of an object: those of the v1beta2 form where an object of an older contract carries both.
func conditions(o *unstructured.Unstructured) []metav1.Condition {
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	if newer, ok, _ := unstructured.NestedSlice(o.Object, "status", "v1beta2", "conditions"); ok && len(newer) > 0 {
		list = newer
	}
	var all []metav1.Condition
	for _, item := range list {
		m, _ := item.(map[string]any)
		word := func(name string) string { s, _ := m[name].(string); return s }
		all = append(all, metav1.Condition{
			Type: word("type"), Status: metav1.ConditionStatus(word("status")), Reason: word("reason"), Message: word("message"),
		})
	}
	return all
}

func condition(o *unstructured.Unstructured, kind string) *metav1.Condition {
	return findCondition(conditions(o), kind)
}
