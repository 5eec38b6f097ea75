package bench

import (
	"context"
	"fmt"
	"maps"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/controlplane/kubeadm/pkg/desiredstate"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// machines plays Cluster API's part for one cluster: it makes what the controllers would make, and says that all is well.
type machines struct {
	client    client.Client
	namespace string
	cluster   string
}

// kind of an object.
type kind schema.GroupVersionKind

func (k kind) object() *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(schema.GroupVersionKind(k))
	return o
}

const capi = "cluster.x-k8s.io"

var (
	clusterKind  = kind{capi, "v1beta2", "Cluster"}
	poolKind     = kind{capi, "v1beta2", "MachineDeployment"}
	setKind      = kind{capi, "v1beta2", "MachineSet"}
	machineKind  = kind{capi, "v1beta2", "Machine"}
	controlKind  = kind{"controlplane." + capi, "v1beta2", "KubeadmControlPlane"}
	configKind   = kind{"bootstrap." + capi, "v1beta2", "KubeadmConfig"}
	infraKind    = kind{"infrastructure." + capi, "v1beta1", "NutanixMachine"}
	templateKind = kind{"infrastructure." + capi, "v1beta1", "NutanixMachineTemplate"}
)

// made are the kinds of which a cluster consists.
var made = []kind{
	clusterKind, poolKind, setKind, machineKind, controlKind, configKind, infraKind, templateKind,
	{capi, "v1beta2", "MachineHealthCheck"},
	{"bootstrap." + capi, "v1beta2", "KubeadmConfigTemplate"},
	{"addons." + capi, "v1beta2", "ClusterResourceSet"},
	{"infrastructure." + capi, "v1beta1", "NutanixCluster"},
	{"", "v1", "ConfigMap"},
	{"", "v1", "Secret"},
}

func (m machines) get(ctx context.Context, k kind, name string) (*unstructured.Unstructured, error) {
	o := k.object()
	return o, m.client.Get(ctx, client.ObjectKey{Namespace: m.namespace, Name: name}, o)
}

// make makes the Machines of a control plane and a pool.
func (m machines) make(ctx context.Context, controlPlanes, workers int) error {
	cluster, err := m.get(ctx, clusterKind, m.cluster)
	if err != nil {
		return err
	}
	control, err := m.get(ctx, controlKind, m.cluster+"-kcp")
	if err != nil {
		return err
	}
	pool, err := m.get(ctx, poolKind, m.cluster+"-workers")
	if err != nil {
		return err
	}
	if err := m.makeControlPlane(ctx, cluster, control, controlPlanes); err != nil {
		return err
	}
	if err := m.makePool(ctx, pool, workers); err != nil {
		return err
	}
	for _, o := range []*unstructured.Unstructured{control, pool, cluster} {
		if err := m.say(ctx, o, map[string]any{
			"observedGeneration": o.GetGeneration(), "conditions": []any{m.available()},
			"initialization": map[string]any{"infrastructureProvisioned": true, "controlPlaneInitialized": true},
		}); err != nil {
			return err
		}
	}
	return nil
}

func (m machines) available() map[string]any {
	return map[string]any{
		"type": "Available", "status": "True", "reason": "Available", "message": "", "observedGeneration": int64(1),
		"lastTransitionTime": time.Now().UTC().Format(time.RFC3339),
	}
}

// say writes a status; fields that the kind lacks are dropped.
func (m machines) say(ctx context.Context, o *unstructured.Unstructured, status map[string]any) error {
	if o.GetKind() != clusterKind.Kind {
		delete(status, "initialization")
	}
	before := o.DeepCopy()
	for field, value := range status {
		if err := unstructured.SetNestedField(o.Object, value, "status", field); err != nil {
			return err
		}
	}
	if err := m.client.Status().Patch(ctx, o, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("status of %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return nil
}

func (m machines) makeControlPlane(ctx context.Context, cluster, control *unstructured.Unstructured, n int) error {
	kcp, owner := &controlplanev1.KubeadmControlPlane{}, &clusterv1.Cluster{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(control.Object, kcp); err != nil {
		return err
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(cluster.Object, owner); err != nil {
		return err
	}
	template := kcp.Spec.MachineTemplate.Spec.InfrastructureRef.Name
	for i := range n {
		name := fmt.Sprintf("%s-%d", control.GetName(), i)
		config, err := desiredstate.ComputeDesiredKubeadmConfig(kcp, owner, true, name, nil)
		if err != nil {
			return err
		}
		if err := m.bootstrap(ctx, config); err != nil {
			return err
		}
		if err := m.makeMachine(ctx, name, template, kcp.Spec.Version, control, map[string]string{capi + "/control-plane": ""}); err != nil {
			return err
		}
	}
	return nil
}

func (m machines) bootstrap(ctx context.Context, config *bootstrapv1.KubeadmConfig) error {
	o, err := runtime.DefaultUnstructuredConverter.ToUnstructured(config)
	if err != nil {
		return err
	}
	u := &unstructured.Unstructured{Object: o}
	u.SetGroupVersionKind(schema.GroupVersionKind(configKind))
	u.SetNamespace(m.namespace)
	u.SetOwnerReferences(nil)
	u.SetLabels(m.labels(nil))
	unstructured.RemoveNestedField(u.Object, "status")
	return m.client.Create(ctx, u)
}

func (m machines) labels(more map[string]string) map[string]string {
	all := map[string]string{capi + "/cluster-name": m.cluster}
	maps.Copy(all, more)
	return all
}

// makePool makes a MachineSet and its Machines; these have no KubeadmConfig, at which nobody looks.
func (m machines) makePool(ctx context.Context, pool *unstructured.Unstructured, n int) error {
	set := setKind.object()
	set.SetNamespace(m.namespace)
	set.SetName(pool.GetName() + "-set")
	template, _, _ := unstructured.NestedMap(pool.Object, "spec", "template")
	labels := map[string]any{}
	for k, v := range m.labels(map[string]string{capi + "/deployment-name": pool.GetName(), "machine-template-hash": "1"}) {
		labels[k] = v
	}
	if err := unstructured.SetNestedMap(template, labels, "metadata", "labels"); err != nil {
		return err
	}
	set.SetLabels(m.labels(map[string]string{capi + "/deployment-name": pool.GetName()}))
	set.SetOwnerReferences([]metav1.OwnerReference{*metav1.NewControllerRef(pool, schema.GroupVersionKind(poolKind))})
	set.Object["spec"] = map[string]any{
		"clusterName": m.cluster, "replicas": int64(n), "template": template,
		"selector": map[string]any{"matchLabels": labels},
	}
	if err := m.client.Create(ctx, set); err != nil {
		return err
	}
	infra, _, _ := unstructured.NestedString(template, "spec", "infrastructureRef", "name")
	version, _, _ := unstructured.NestedString(template, "spec", "version")
	for i := range n {
		if err := m.makeMachine(ctx, fmt.Sprintf("%s-%d", pool.GetName(), i), infra, version, set, map[string]string{capi + "/deployment-name": pool.GetName()}); err != nil {
			return err
		}
	}
	return nil
}

// makeMachine makes a Machine and its NutanixMachine.
func (m machines) makeMachine(ctx context.Context, name, template, version string, owner *unstructured.Unstructured, labels map[string]string) error {
	from, err := m.get(ctx, templateKind, template)
	if err != nil {
		return err
	}
	infra := infraKind.object()
	infra.SetNamespace(m.namespace)
	infra.SetName(name)
	infra.SetLabels(m.labels(labels))
	infra.SetAnnotations(map[string]string{
		clusterv1.TemplateClonedFromNameAnnotation:      template,
		clusterv1.TemplateClonedFromGroupKindAnnotation: "NutanixMachineTemplate." + infraKind.Group,
	})
	infra.Object["spec"], _, _ = unstructured.NestedMap(from.Object, "spec", "template", "spec")
	if err := m.client.Create(ctx, infra); err != nil {
		return err
	}
	machine := machineKind.object()
	machine.SetNamespace(m.namespace)
	machine.SetName(name)
	machine.SetLabels(m.labels(labels))
	machine.SetOwnerReferences([]metav1.OwnerReference{*metav1.NewControllerRef(owner, owner.GroupVersionKind())})
	machine.Object["spec"] = map[string]any{
		"clusterName": m.cluster, "version": version, "providerID": "nutanix://" + name,
		"bootstrap":         map[string]any{"configRef": map[string]any{"apiGroup": configKind.Group, "kind": configKind.Kind, "name": name}},
		"infrastructureRef": map[string]any{"apiGroup": infraKind.Group, "kind": infraKind.Kind, "name": name},
	}
	if err := m.client.Create(ctx, machine); err != nil {
		return err
	}
	return m.say(ctx, machine, map[string]any{
		"conditions": []any{m.available()}, "nodeRef": map[string]any{"name": name}, "phase": "Running",
	})
}
