package flow

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan/view"
	"github.com/refract-dev/refract/render/preflight"
	"github.com/refract-dev/refract/render/site"
)

// capacity sums what all clusters need at the peak, by Prism Element.
func (r *review) capacity(ins []preflight.Input) {
	for _, c := range Capacity(ins) {
		if !c.Known && r.scene.live() {
			r.fromStatus(&c)
		}
		r.report.Capacity = append(r.report.Capacity, c)
	}
}

// Capacity is what clusters need at the peak, by Prism Element, beside what is free there.
func Capacity(ins []preflight.Input) []view.Capacity {
	var all []view.Capacity
	for _, room := range preflight.Peak(ins) {
		all = append(all, view.Capacity{
			Account: room.Account, Element: room.Element, Clusters: room.Clusters,
			NeedVCPUs: room.Need.VCPUs, NeedMemoryBytes: room.Need.MemoryBytes,
			FreeVCPUs: room.Free.VCPUs, FreeMemoryBytes: room.Free.MemoryBytes, OneHostLost: room.OneHostLost,
			Known: room.Known, Why: room.Why,
		})
	}
	return all
}

// fromStatus takes what is free from the status of the account, as the operator saw it last.
func (r *review) fromStatus(c *view.Capacity) {
	a := r.account(c.Account)
	if a == nil {
		return
	}
	for _, e := range a.Status.Elements {
		if e.Name == c.Element && e.SpareVCPUs != nil && e.SpareMemory != nil && e.Hosts != nil {
			c.FreeVCPUs, c.FreeMemoryBytes = int64(*e.SpareVCPUs), e.SpareMemory.Value()
			c.OneHostLost, c.Known, c.Why = *e.Hosts-ptr.Deref(e.HostsInMaintenance, 0) > 1, true, ""
		}
	}
}

// account is a mirrored account of the namespace; nil when there is none.
func (r *review) account(name string) *v1alpha1.CloudAccount {
	m := r.scene.Mirrored
	for i := range m.Accounts {
		if a := &m.Accounts[i]; a.Namespace == m.Namespace && a.Name == name {
			return a
		}
	}
	return nil
}

// elementsOf are the Prism Elements that an account's status names, as an inventory of which nothing else is known. Those
// that a file names by UUID are taken to be there, since a status names them by name alone. Nil: none were read, or not
// all are listed.
func elementsOf(a *v1alpha1.CloudAccount, objects []*unstructured.Unstructured) *site.Inventory {
	const listed = 200 // that a status holds at most
	if a == nil || a.Status.InventoryAt == nil || len(a.Status.Elements) >= listed {
		return nil
	}
	i := &site.Inventory{Unknown: map[site.Part]string{}}
	for _, u := range a.Status.Unknown {
		if site.Part(u.Part) == site.PartElements {
			return nil
		}
	}
	for _, p := range site.Parts() {
		if p != site.PartElements {
			i.Unknown[p] = operatorKnows
		}
	}
	for _, e := range a.Status.Elements {
		i.Elements = append(i.Elements, site.Element{ExtID: e.Name, Name: e.Name, Available: e.Available})
	}
	for _, id := range elementsNamed(objects) {
		if id.UUID != "" && len(i.FindElements(id)) == 0 {
			i.Elements = append(i.Elements, site.Element{ExtID: strings.ToLower(id.UUID), Name: id.UUID})
		}
	}
	return i
}

// elementsNamed are the Prism Elements that templates and failure domains name.
func elementsNamed(objects []*unstructured.Unstructured) []site.ID {
	var all []site.ID
	for _, o := range objects {
		for _, path := range [][]string{{"spec", "template", "spec", "cluster"}, {"spec", "prismElementCluster"}} {
			named, _, _ := unstructured.NestedFieldNoCopy(o.Object, path...)
			all = append(all, site.ReadID(named))
		}
	}
	return all
}

// operatorKnows is why nothing is known of a Prism Central but what a status tells.
const operatorKnows = "only the operator reads Prism Central"
