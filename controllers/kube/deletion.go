package kube

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/render/plan"
)

// Deletion is how far the deletion of a Cluster has come.
type Deletion struct {
	// Since when the Cluster is being deleted.
	Since metav1.Time
	// Machines that are left.
	Machines int
	// Blockers are the objects that the rest waits for, innermost first, at most 10.
	Blockers []Blocker
}

// Blocker is an object that is being deleted and cannot go yet.
type Blocker struct {
	// Object that stays.
	Object plan.Ref
	// Finalizer that keeps it.
	Finalizer string
	// Controller that has to take the finalizer off.
	Controller string
	// Message of that controller, when it says something. May be empty.
	Message string
	// Since when the object is being deleted.
	Since metav1.Time
}

// String is one line for a person.
func (b Blocker) String() string {
	s := fmt.Sprintf("%s waits for finalizer %s of %s", b.Object, b.Finalizer, b.Controller)
	if b.Message != "" {
		s += ": " + b.Message
	}
	return s
}

// Controllers by the domain of their finalizers.
var finalizers = []struct{ domain, controller string }{
	{"controlplane.cluster.x-k8s.io", "the kubeadm control plane provider (capi-kubeadm-control-plane-controller-manager)"},
	{"bootstrap.cluster.x-k8s.io", "the kubeadm bootstrap provider (capi-kubeadm-bootstrap-controller-manager)"},
	{infraGroup, "the Nutanix provider (capx-controller-manager)"},
	{"cluster.x-k8s.io", "Cluster API (capi-controller-manager)"},
	{"refract.dev", "Refract"},
	{"foregroundDeletion", "the garbage collector (kube-controller-manager)"},
}

// finalizerOwner names the controller behind a finalizer.
func finalizerOwner(finalizer string) string {
	for _, f := range finalizers {
		if strings.Contains(finalizer, f.domain) {
			return f.controller
		}
	}
	return "the controller of " + cmp.Or(domain(finalizer), finalizer)
}

// layers of a deletion, innermost first: an outer object waits for the inner ones.
var layers = []string{
	infraMachineKind.Kind, configKind.Kind, machineKind.Kind, machineSetKind.Kind, deploymentKind.Kind,
	controlPlaneKind.Kind, infraClusterKind.Kind, clusterKind.Kind,
}

// maxShown bounds lists that go into a status or an event.
const maxShown = 10

// deletion explains what a Cluster that is being deleted waits for; nil when it is not.
func deletion(o observed) *Deletion {
	since := o.cluster.GetDeletionTimestamp()
	if since == nil {
		return nil
	}
	d := &Deletion{Since: *since, Machines: len(o.machines)}
	for _, object := range o.objects() {
		d.Blockers = append(d.Blockers, blockers(object)...)
	}
	slices.SortStableFunc(d.Blockers, func(a, b Blocker) int {
		return cmp.Or(cmp.Compare(slices.Index(layers, a.Object.Kind), slices.Index(layers, b.Object.Kind)), cmp.Compare(a.Object.Name, b.Object.Name))
	})
	d.Blockers = d.Blockers[:min(len(d.Blockers), maxShown)]
	return d
}

func blockers(o *unstructured.Unstructured) []Blocker {
	since := o.GetDeletionTimestamp()
	if since == nil {
		return nil
	}
	message := ""
	if c := condition(o, "Deleting"); c != nil {
		message = c.Message
	}
	var found []Blocker
	for _, f := range o.GetFinalizers() {
		found = append(found, Blocker{Object: plan.RefOf(o), Finalizer: f, Controller: finalizerOwner(f), Message: message, Since: *since})
	}
	return found
}
