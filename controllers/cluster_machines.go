package controllers

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/drift"
)

// virtualMachine begins the object of a finding about a VM.
const virtualMachine = "VM "

// machineFindings are what was found about the cluster's virtual machines, in the form of the status. What has not been
// compared since this process started stays as it was.
func (r *ClusterReconciler) machineFindings(v *view) []v1alpha1.DriftFinding {
	before := slices.DeleteFunc(slices.Clone(v.cluster.Status.Drift), func(f v1alpha1.DriftFinding) bool { return !aboutVM(f) })
	found, known := r.compared.of(client.ObjectKeyFromObject(v.cluster))
	if !known {
		return before
	}
	return inStatus(found, before, metav1.NewTime(r.Now()))
}

// sayMachines says that machines differ, naming the first.
func sayMachines(c *v1alpha1.NutanixClusterSpec, vms []v1alpha1.DriftFinding) {
	set(c, v1alpha1.InSyncCondition, metav1.ConditionFalse, v1alpha1.MachinesDriftedReason, fmt.Sprintf(
		"%s; %d differences between virtual machines in Prism Central and what was accepted, see status.drift", inWords(vms[0]), len(vms)))
}

func inWords(f v1alpha1.DriftFinding) string {
	return fmt.Sprintf("%s is %s and should be %s", strings.TrimSpace(f.Object+" "+f.Field), orNothing(f.Found), orNothing(f.Wanted))
}

// announceMachines tells in one event which virtual machines have come to differ: Kubernetes drops events of an object
// that come in great numbers.
func (r *ClusterReconciler) announceMachines(before, after *v1alpha1.NutanixClusterSpec) {
	const told = 5
	var news []string
	for _, f := range after.Status.Drift {
		known := func(g v1alpha1.DriftFinding) bool { return g.Object == f.Object && g.Field == f.Field }
		if aboutVM(f) && !slices.ContainsFunc(before.Status.Drift, known) {
			news = append(news, inWords(f))
		}
	}
	if len(news) == 0 {
		return
	}
	text := strings.Join(news[:min(len(news), told)], "; ")
	if more := len(news) - told; more > 0 {
		text += fmt.Sprintf("; and %d more, see status.drift", more)
	}
	r.Recorder.Event(after, corev1.EventTypeWarning, "MachineDrifted", text)
}

func aboutVM(f v1alpha1.DriftFinding) bool { return strings.HasPrefix(f.Object, virtualMachine) }

// inStatus puts findings into the form of the status, keeping since when each has been seen.
func inStatus(found []drift.Finding, before []v1alpha1.DriftFinding, now metav1.Time) []v1alpha1.DriftFinding {
	since := map[string]metav1.Time{}
	for _, f := range before {
		since[f.Object+"\x00"+f.Field+"\x00"+f.Found] = f.Since
	}
	var all []v1alpha1.DriftFinding
	for _, f := range found {
		one := v1alpha1.DriftFinding{Object: virtualMachine + f.VM, Field: f.Field, Wanted: f.Wanted, Found: f.Found, Since: now}
		if seen, ok := since[one.Object+"\x00"+one.Field+"\x00"+one.Found]; ok {
			one.Since = seen
		}
		all = append(all, one)
	}
	return all
}
