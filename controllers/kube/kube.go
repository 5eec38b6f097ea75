package kube

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/plan"
)

// Cluster is one cluster's objects on one API server. It holds no state of its own: any number of them may be made and
// used at the same time.
type Cluster struct {
	// Client writes and dry-runs; it may impersonate.
	Client client.Client
	// Reader reads past any cache.
	Reader client.Reader
	// Namespace of all objects of the cluster.
	Namespace string
	// Name of the cluster; the value of label refract.dev/cluster.
	Name string
	// Ignore are the cluster's own driftIgnore rules; DefaultIgnore is added to them.
	Ignore []v1alpha1.DriftIgnore
	// Adopt treats existing objects of wanted names as ours.
	Adopt bool
	// Public: what is gathered is shown to everybody, so of a refusal by anybody's webhook or policy but Cluster API's own
	// the words are left out.
	Public bool
	// Answers remembers what dry runs were answered; nil asks every time.
	Answers *Answers
	// Clock says what time it is when Cluster API's own code asks (expiring certificates, rollout.after). Default: the
	// real clock.
	Clock clock.PassiveClock
}

// kinds that a cluster's inventory may hold, in the order in which they are applied.
var kinds = render.Kinds()

const infraGroup = "infrastructure.cluster.x-k8s.io"

var (
	clusterKind         = schema.GroupVersionKind{Group: clusterv1.GroupVersion.Group, Version: "v1beta2", Kind: "Cluster"}
	controlPlaneKind    = schema.GroupVersionKind{Group: "controlplane.cluster.x-k8s.io", Version: "v1beta2", Kind: "KubeadmControlPlane"}
	deploymentKind      = schema.GroupVersionKind{Group: clusterv1.GroupVersion.Group, Version: "v1beta2", Kind: "MachineDeployment"}
	machineSetKind      = schema.GroupVersionKind{Group: clusterv1.GroupVersion.Group, Version: "v1beta2", Kind: "MachineSet"}
	machineKind         = schema.GroupVersionKind{Group: clusterv1.GroupVersion.Group, Version: "v1beta2", Kind: "Machine"}
	configTemplateKind  = schema.GroupVersionKind{Group: "bootstrap.cluster.x-k8s.io", Version: "v1beta2", Kind: "KubeadmConfigTemplate"}
	configKind          = schema.GroupVersionKind{Group: "bootstrap.cluster.x-k8s.io", Version: "v1beta2", Kind: "KubeadmConfig"}
	infraClusterKind    = schema.GroupVersionKind{Group: infraGroup, Version: "v1beta1", Kind: "NutanixCluster"}
	machineTemplateKind = schema.GroupVersionKind{Group: infraGroup, Version: "v1beta1", Kind: "NutanixMachineTemplate"}
	infraMachineKind    = schema.GroupVersionKind{Group: infraGroup, Version: "v1beta1", Kind: "NutanixMachine"}
	failureDomainKind   = schema.GroupVersionKind{Group: infraGroup, Version: "v1beta1", Kind: "NutanixFailureDomain"}
	secretKind          = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}
	configMapKind       = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
)

// rank is a kind's place in the order of application; kinds that we do not know go last.
func rank(kind string) int {
	i := slices.IndexFunc(kinds, func(k schema.GroupVersionKind) bool { return k.Kind == kind })
	if i < 0 {
		return len(kinds)
	}
	return i
}

// identity tells objects apart whatever version they were read in.
type identity struct{ group, kind, name string }

func identify(r plan.Ref) identity {
	gv, err := schema.ParseGroupVersion(r.APIVersion)
	if err != nil {
		return identity{group: r.APIVersion, kind: r.Kind, name: r.Name}
	}
	return identity{group: gv.Group, kind: r.Kind, name: r.Name}
}

// Live reads objects past any cache. Objects that do not exist are absent from the result; any other failure is an
// error.
func (c Cluster) Live(ctx context.Context, refs []plan.Ref) (map[plan.Ref]*unstructured.Unstructured, error) {
	found := make(map[plan.Ref]*unstructured.Unstructured, len(refs))
	for _, r := range refs {
		o, err := c.get(ctx, r)
		if err != nil {
			return nil, err
		}
		if o != nil {
			found[r] = o
		}
	}
	return found, nil
}

// get reads one object; nil without error means that it does not exist.
func (c Cluster) get(ctx context.Context, r plan.Ref) (*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{}
	o.SetAPIVersion(r.APIVersion)
	o.SetKind(r.Kind)
	err := c.Reader.Get(ctx, client.ObjectKey{Namespace: r.Namespace, Name: r.Name}, o)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read %s %s/%s: %w", r.Kind, r.Namespace, r.Name, err)
	}
	return o, nil
}

// list reads all objects of a kind that carry a label, past any cache.
func (c Cluster) list(ctx context.Context, kind schema.GroupVersionKind, label string) ([]*unstructured.Unstructured, error) {
	l := &unstructured.UnstructuredList{}
	l.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := c.Reader.List(ctx, l, client.InNamespace(c.Namespace), client.MatchingLabels{label: c.Name}); err != nil {
		return nil, fmt.Errorf("list %s of cluster %s/%s: %w", kind.Kind, c.Namespace, c.Name, err)
	}
	items := make([]*unstructured.Unstructured, len(l.Items))
	for i := range l.Items {
		items[i] = &l.Items[i]
	}
	return items, nil
}

func (c Cluster) ref(kind schema.GroupVersionKind, name string) plan.Ref {
	return plan.Ref{APIVersion: kind.GroupVersion().String(), Kind: kind.Kind, Namespace: c.Namespace, Name: name}
}

func (c Cluster) now() metav1.Time {
	if c.Clock == nil {
		return metav1.NewTime(clock.RealClock{}.Now())
	}
	return metav1.NewTime(c.Clock.Now())
}

// typed converts an object into its Go type.
func typed[T any](o *unstructured.Unstructured) (*T, error) {
	t := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, t); err != nil {
		return nil, fmt.Errorf("read %s %s/%s as %T: %w", o.GetKind(), o.GetNamespace(), o.GetName(), *t, err)
	}
	return t, nil
}
