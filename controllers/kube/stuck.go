package kube

import (
	"cmp"
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
	// Condition type; "Paused" for an object that is paused by annotation, "Failed" for one that CAPX has given up.
	Condition string
	// Reason in the controller's words.
	Reason string
	// Message in the controller's words.
	Message string
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

// problems lists what holds a cluster back, worst first: paused objects, then causes before what waits for them.
func problems(o observed) []Problem {
	objects := o.objects()
	var found []Problem
	for _, object := range objects {
		if _, ok := object.GetAnnotations()[clusterv1.PausedAnnotation]; ok {
			found = append(found, Problem{
				Object: plan.RefOf(object), Condition: "Paused", Reason: "PausedByAnnotation",
				Message: "annotation " + clusterv1.PausedAnnotation + " by " + owner(object, annotation(clusterv1.PausedAnnotation)...),
			})
		}
	}
	for _, w := range watched {
		for _, object := range objects {
			if object.GetKind() != w.kind {
				continue
			}
			if p := worst(object, w.conditions, w.bad); p != nil {
				found = append(found, *p)
			}
		}
	}
	return found[:min(len(found), maxShown)]
}

// worst is the first of the named conditions, or of all when none is named, that has the bad status.
func worst(o *unstructured.Unstructured, names []string, bad metav1.ConditionStatus) *Problem {
	if p := failure(o); p != nil {
		return p
	}
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

// failure is what CAPX says of an object that it has given up: it leaves the conditions as they were before.
func failure(o *unstructured.Unstructured) *Problem {
	reason, _, _ := unstructured.NestedString(o.Object, "status", "failureReason")
	message, _, _ := unstructured.NestedString(o.Object, "status", "failureMessage")
	ready, _, _ := unstructured.NestedBool(o.Object, "status", "ready")
	if ready || reason == "" && message == "" {
		return nil
	}
	return &Problem{Object: plan.RefOf(o), Condition: "Failed", Reason: reason, Message: message}
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
