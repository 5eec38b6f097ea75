package kube

import (
	"context"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/plan"
)

// machinery is what Cluster API made of a cluster: read once, past any cache, and judged by pure functions.
type machinery struct {
	machines    []*clusterv1.Machine
	machineSets []*clusterv1.MachineSet
	infra       []*unstructured.Unstructured // NutanixMachines
	configs     []*unstructured.Unstructured // KubeadmConfigs
}

func (c Cluster) machinery(ctx context.Context) (machinery, error) {
	var m machinery
	var err error
	if m.machines, err = listTyped[clusterv1.Machine](ctx, c, machineKind); err != nil {
		return m, err
	}
	if m.machineSets, err = listTyped[clusterv1.MachineSet](ctx, c, machineSetKind); err != nil {
		return m, err
	}
	if m.infra, err = c.list(ctx, infraMachineKind, clusterv1.ClusterNameLabel); err != nil {
		return m, err
	}
	m.configs, err = c.list(ctx, configKind, clusterv1.ClusterNameLabel)
	return m, err
}

func listTyped[T any](ctx context.Context, c Cluster, kind schema.GroupVersionKind) ([]*T, error) {
	items, err := c.list(ctx, kind, clusterv1.ClusterNameLabel)
	if err != nil {
		return nil, err
	}
	all := make([]*T, 0, len(items))
	for _, o := range items {
		t, err := typed[T](o)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// ownedBy are the Machines that an object controls.
func (m machinery) ownedBy(owner types.UID) []*clusterv1.Machine {
	var owned []*clusterv1.Machine
	for _, machine := range m.machines {
		if controls(owner, machine) {
			owned = append(owned, machine)
		}
	}
	return owned
}

// setsOf are the MachineSets of a MachineDeployment.
func (m machinery) setsOf(deployment types.UID) []*clusterv1.MachineSet {
	var sets []*clusterv1.MachineSet
	for _, s := range m.machineSets {
		if controls(deployment, s) {
			sets = append(sets, s)
		}
	}
	return sets
}

// deploymentMachines are the Machines of a MachineDeployment, over all its MachineSets.
func (m machinery) deploymentMachines(deployment types.UID) []*clusterv1.Machine {
	var machines []*clusterv1.Machine
	for _, s := range m.setsOf(deployment) {
		machines = append(machines, m.ownedBy(s.UID)...)
	}
	return machines
}

func controls(owner types.UID, o metav1.Object) bool {
	ref := metav1.GetControllerOf(o)
	return ref != nil && ref.UID == owner
}

func named(objects []*unstructured.Unstructured, name string) *unstructured.Unstructured {
	for _, o := range objects {
		if o.GetName() == name {
			return o
		}
	}
	return nil
}

// references are the templates and failure domains that live objects refer to. One that is named here is not pruned.
type references map[identity]bool

func (r references) add(group, kind, name string) {
	if name != "" {
		r[identity{group: group, kind: kind, name: name}] = true
	}
}

// names of what is referred to, in order.
func (r references) names() []string {
	var all []string
	for id := range r {
		all = append(all, id.group+"/"+id.kind+"/"+id.name)
	}
	slices.Sort(all)
	return all
}

func (r references) template(t clusterv1.MachineTemplateSpec) {
	r.add(t.Spec.InfrastructureRef.APIGroup, t.Spec.InfrastructureRef.Kind, t.Spec.InfrastructureRef.Name)
	r.add(t.Spec.Bootstrap.ConfigRef.APIGroup, t.Spec.Bootstrap.ConfigRef.Kind, t.Spec.Bootstrap.ConfigRef.Name)
	r.add(infraGroup, failureDomainKind.Kind, t.Spec.FailureDomain)
}

// cloned adds what an object was cloned from.
func (r references) cloned(o *unstructured.Unstructured) {
	kind, group := splitGroupKind(o.GetAnnotations()[clusterv1.TemplateClonedFromGroupKindAnnotation])
	r.add(group, kind, o.GetAnnotations()[clusterv1.TemplateClonedFromNameAnnotation])
}

// references of what Cluster API made, and of the control planes, deployments and infrastructure clusters among objects.
func (m machinery) references(objects map[identity]*unstructured.Unstructured) references {
	r := references{}
	for _, s := range m.machineSets {
		r.template(s.Spec.Template)
	}
	for _, machine := range m.machines {
		r.add(infraGroup, failureDomainKind.Kind, machine.Spec.FailureDomain)
	}
	for _, o := range m.infra {
		r.cloned(o)
	}
	for _, o := range m.configs {
		r.cloned(o)
	}
	for _, o := range objects {
		for _, ref := range templateRefs(o) {
			r.add(ref.group, ref.kind, ref.name)
		}
	}
	return r
}

// templateRefs are the templates and failure domains that a rendered object refers to, each under the name of the field.
func templateRefs(o *unstructured.Unstructured) map[string]identity {
	refs := map[string]identity{}
	add := func(group, kind, name, field string) {
		if name != "" {
			refs[field] = identity{group: group, kind: kind, name: name}
		}
	}
	text := func(path ...string) string {
		s, _, _ := unstructured.NestedString(o.Object, path...)
		return s
	}
	switch o.GetKind() {
	case controlPlaneKind.Kind:
		at := []string{"spec", "machineTemplate", "spec", "infrastructureRef"}
		add(text(append(at, "apiGroup")...), text(append(at, "kind")...), text(append(at, "name")...), "infrastructureRef")
	case deploymentKind.Kind:
		at := []string{"spec", "template", "spec", "infrastructureRef"}
		add(text(append(at, "apiGroup")...), text(append(at, "kind")...), text(append(at, "name")...), "infrastructureRef")
		at = []string{"spec", "template", "spec", "bootstrap", "configRef"}
		add(text(append(at, "apiGroup")...), text(append(at, "kind")...), text(append(at, "name")...), "configRef")
		add(infraGroup, failureDomainKind.Kind, text("spec", "template", "spec", "failureDomain"), "failureDomain")
	case infraClusterKind.Kind:
		domains, _, _ := unstructured.NestedSlice(o.Object, "spec", "controlPlaneFailureDomains")
		for _, d := range domains {
			m, _ := d.(map[string]any)
			name, _ := m["name"].(string)
			add(infraGroup, failureDomainKind.Kind, name, "failureDomain "+render.BaseName(name))
		}
	}
	return refs
}

// templated says whether objects of a kind get their names after Gather and may only go when nothing refers to them.
func templated(kind string) bool {
	return kind == machineTemplateKind.Kind || kind == configTemplateKind.Kind || kind == failureDomainKind.Kind
}

// splitGroupKind reads "Kind.group", as Cluster API writes it into annotations.
func splitGroupKind(s string) (kind, group string) {
	kind, group, _ = strings.Cut(s, ".")
	return kind, group
}

// Cloned lists the Machines that were made from a template since some time, by name: after a hand edit of the template
// is put back, these still are what the edit made them.
func (c Cluster) Cloned(ctx context.Context, template plan.Ref, since metav1.Time) ([]string, error) {
	m, err := c.machinery(ctx)
	if err != nil {
		return nil, err
	}
	clones := map[string]bool{}
	for _, o := range slices.Concat(m.infra, m.configs) {
		from := references{}
		from.cloned(o)
		created := o.GetCreationTimestamp()
		if from[identify(template)] && !created.Before(&since) {
			clones[o.GetKind()+"/"+o.GetName()] = true
		}
	}
	var names []string
	for _, machine := range alive(m.machines) {
		infra, config := machine.Spec.InfrastructureRef, machine.Spec.Bootstrap.ConfigRef
		if clones[infra.Kind+"/"+infra.Name] || clones[config.Kind+"/"+config.Name] {
			names = append(names, machine.Name)
		}
	}
	return names, nil
}
