package controllers

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/prism"
	"github.com/refract-dev/refract/render/drift"
	"github.com/refract-dev/refract/render/site"
)

// compare holds an account's inventory against the machines of its clusters, once for each reading: three lists for all
// clusters together, and nothing a machine. Clusters are told when there is news for them.
//
// Machines are listed after the inventory was begun, so one that was being made then, or is gone since, must not be taken
// for drift: a machine is compared when it was known to be ready before the inventory was begun, and a VM that seems
// missing or nobody's is looked at once more.
func (r *AccountReconciler) compare(ctx context.Context, a *v1alpha1.CloudAccount, clusters []*v1alpha1.NutanixClusterSpec, known sight) error {
	account := client.ObjectKeyFromObject(a)
	before := r.machines.last(account)
	inventory := known.inventory
	if !inventory.Knows(site.PartVMs) || (before.inventory == inventory && before.checked == (known.gone != nil)) {
		return nil
	}
	live, err := r.liveMachines(ctx, a.Namespace)
	if err != nil {
		return err
	}
	now := compared{
		inventory: inventory, checked: known.gone != nil, owned: live.owned, once: joined(before.once, live.owned),
		settled: live.since(before.settled, r.Now()), gone: live.missing(inventory, before.gone, known.gone), strangers: map[string]bool{},
	}
	if before.inventory == nil {
		r.machines.keep(account, now) // what machines were at work before is not known: the next reading tells
		r.tellAll(clusters)           // they may wait for what Prism Central holds
		return nil
	}
	var suspects []string
	for _, c := range clusters {
		in := drift.Input{
			Cluster: c.Name, Machines: live.of(c.Name, before.settled, inventory.At), Site: inventory, Owned: live.owned, Gone: now.gone,
			Ours: func(vm site.VM) bool { return now.once[vm.ExtID] },
		}
		found, doubtful := sift(drift.Compare(in), known.gone, before.strangers, now.strangers)
		if known.gone == nil {
			suspects = slices.Concat(suspects, doubtful, unasked(drift.Suspects(in), now.gone))
		}
		news, lasting := r.machines.put(client.ObjectKeyFromObject(c), inventory, found)
		if news {
			r.tell(client.ObjectKeyFromObject(c))
		}
		r.repair(account, c, lasting)
	}
	r.machines.keep(account, now)
	if len(suspects) > 0 {
		slices.Sort(suspects)
		r.sites.check(account, inventory, slices.Compact(suspects))
	}
	return nil
}

func joined(a, b map[string]bool) map[string]bool {
	all := maps.Clone(b)
	maps.Copy(all, a)
	return all
}

func (r *AccountReconciler) tellAll(clusters []*v1alpha1.NutanixClusterSpec) {
	for _, c := range clusters {
		r.tell(client.ObjectKeyFromObject(c))
	}
}

// unasked are the suspects that are not known to be gone.
func unasked(suspects []string, gone map[string]bool) []string {
	return slices.DeleteFunc(suspects, func(id string) bool { return gone[id] })
}

// sift takes out VMs that seem to be nobody's and have not been looked at yet: those are doubtful. Ones that were found
// to be there are remembered, so that they are looked at once and not at each inventory.
func sift(all []drift.Finding, looked, before, strangers map[string]bool) (sure []drift.Finding, doubtful []string) {
	for _, f := range all {
		if f.Kind != drift.Orphan && f.Kind != drift.Double {
			sure = append(sure, f)
			continue
		}
		gone, asked := looked[f.ExtID]
		switch {
		case before[f.ExtID], asked && !gone:
			strangers[f.ExtID] = true
			sure = append(sure, f)
		case !asked:
			doubtful = append(doubtful, f.ExtID)
		}
	}
	return sure, doubtful
}

// repair has done what a policy of Repair allows, for findings that have lasted.
func (r *AccountReconciler) repair(account client.ObjectKey, c *v1alpha1.NutanixClusterSpec, lasting []drift.Finding) {
	if c.Spec.Drift.Machines != v1alpha1.DriftRepair || c.Spec.Suspend || c.Spec.Paused || !c.DeletionTimestamp.IsZero() ||
		is(c, v1alpha1.PausedCondition, metav1.ConditionTrue) {
		return
	}
	for _, f := range lasting {
		if f.Repair == drift.None || f.HandsOff {
			continue
		}
		r.sites.order(account, func(ctx context.Context, door *prism.Door) {
			var err error
			switch f.Repair {
			case drift.PowerOn:
				err = door.PowerOn(ctx, f.ExtID)
			case drift.AddCategories:
				err = door.AddCategories(ctx, f.ExtID, f.Categories)
			default:
				return
			}
			if err != nil {
				r.Recorder.Eventf(c, corev1.EventTypeWarning, "RepairFailed", "VM %s %s: is %s, should be %s, and could not be repaired; it is tried again: %v", f.VM, f.Field, orNothing(f.Found), orNothing(f.Wanted), err)
				return
			}
			r.metrics.repaired(client.ObjectKeyFromObject(c), string(f.Repair))
			r.Recorder.Eventf(c, corev1.EventTypeNormal, "MachineRepaired", "VM %s %s: was %s; put back to %s", f.VM, f.Field, orNothing(f.Found), orNothing(f.Wanted))
		})
	}
}

// live is what the management cluster knows of machines.
type live struct {
	machines map[string][]drift.Machine // by cluster
	owned    map[string]bool
	settled  map[string]bool
}

// of are the machines of a cluster; those count as settled that were known to be so before a reading was begun.
func (l live) of(cluster string, settled map[string]time.Time, begun time.Time) []drift.Machine {
	all := slices.Clone(l.machines[cluster])
	for i := range all {
		since, known := settled[all[i].ExtID]
		all[i].Settled = all[i].Settled && known && since.Before(begun)
	}
	return all
}

// since says of all that is settled since when that is known.
func (l live) since(before map[string]time.Time, now time.Time) map[string]time.Time {
	all := map[string]time.Time{}
	for id := range l.settled {
		all[id] = now
		if at, known := before[id]; known {
			all[id] = at
		}
	}
	return all
}

// missing are the VMs of machines that were looked at and are gone, now or before. One that is listed was a mistake.
func (l live) missing(inventory *site.Inventory, before, looked map[string]bool) map[string]bool {
	all := map[string]bool{}
	for id := range l.owned {
		if gone, asked := looked[id]; (asked && gone) || (!asked && before[id]) {
			all[id] = true
		}
	}
	for _, vm := range inventory.VMs {
		delete(all, vm.ExtID)
	}
	return all
}

// liveMachines lists the machines of a namespace's clusters, and which VMs belong to any machine of the management cluster.
func (r *AccountReconciler) liveMachines(ctx context.Context, namespace string) (live, error) {
	l := live{machines: map[string][]drift.Machine{}, owned: map[string]bool{}, settled: map[string]bool{}}
	infra, err := r.listAll(ctx, infrastructure("NutanixMachine"), "")
	if err != nil {
		return l, err
	}
	templates, err := r.listAll(ctx, infrastructure("NutanixMachineTemplate"), namespace)
	if err != nil {
		return l, err
	}
	machines, err := r.listAll(ctx, machineGVK, namespace)
	if err != nil {
		return l, err
	}
	owners := map[string]*unstructured.Unstructured{}
	for i := range machines {
		owners[text(machines[i], "spec", "infrastructureRef", "name")] = &machines[i]
	}
	specs := map[string]map[string]any{}
	for _, t := range templates {
		specs[t.GetName()], _, _ = unstructured.NestedMap(t.Object, "spec", "template", "spec")
	}
	for _, m := range infra {
		id := vmOf(m)
		if id != "" {
			l.owned[id] = true
		}
		if m.GetNamespace() != namespace {
			continue
		}
		one := machineOf(m, owners[m.GetName()], specs)
		if one.Settled {
			l.settled[id] = true
		}
		cluster := m.GetLabels()["cluster.x-k8s.io/cluster-name"]
		l.machines[cluster] = append(l.machines[cluster], one)
	}
	return l, nil
}

// machineOf is a NutanixMachine with its Machine, which is nil when it has none.
func machineOf(infra unstructured.Unstructured, machine *unstructured.Unstructured, templates map[string]map[string]any) drift.Machine {
	m := drift.Machine{Infra: infra.GetName(), ExtID: vmOf(infra)}
	own, _, _ := unstructured.NestedMap(infra.Object, "spec")
	m.Spec = own
	if wanted := templates[infra.GetAnnotations()["cluster.x-k8s.io/cloned-from-name"]]; wanted != nil {
		m.Spec = maps.Clone(wanted)
		// Where a failure domain places a machine, CAPX writes these two into it.
		for _, k := range []string{"cluster", "subnet"} {
			if _, there := m.Spec[k]; !there {
				m.Spec[k] = own[k]
			}
		}
	}
	ready, _, _ := unstructured.NestedBool(infra.Object, "status", "ready")
	m.Settled = ready && m.ExtID != "" && infra.GetDeletionTimestamp() == nil && machine != nil && machine.GetDeletionTimestamp() == nil
	if machine != nil {
		m.Name = machine.GetName()
		_, m.HandsOff = machine.GetAnnotations()[v1alpha1.HandsOffAnnotation]
		m.Unhealthy = remediated(machine)
	}
	return m
}

// vmOf is the identifier of a NutanixMachine's VM, "" while it has none.
func vmOf(infra unstructured.Unstructured) string {
	if id := text(infra, "status", "vmUUID"); id != "" {
		return id
	}
	return strings.TrimPrefix(text(infra, "spec", "providerID"), "nutanix://")
}

// remediated says whether a MachineHealthCheck is at work on a Machine.
func remediated(machine *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(machine.Object, "status", "conditions")
	for _, c := range conditions {
		c, ok := c.(map[string]any)
		if ok && (c["type"] == "HealthCheckSucceeded" || c["type"] == "OwnerRemediated") && c["status"] == "False" {
			return true
		}
	}
	return false
}

func text(o unstructured.Unstructured, fields ...string) string {
	value, _, _ := unstructured.NestedString(o.Object, fields...)
	return value
}

func (r *AccountReconciler) listAll(ctx context.Context, kind schema.GroupVersionKind, namespace string) ([]unstructured.Unstructured, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: kind.Group, Version: kind.Version, Kind: kind.Kind + "List"})
	if err := r.Reader.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing %ss: %w", kind.Kind, err)
	}
	return list.Items, nil
}
