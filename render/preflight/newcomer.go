package preflight

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/refract-dev/refract/render/site"
)

const endpointField = "spec.controlPlane.endpoint.host"

// endpoint checks that nobody has the address of a new cluster's endpoint, or may be given it. Only networks that may
// reach the control plane's count, since elsewhere the same addresses may be in use: its subnets, subnets of their
// names, and networks of virtual machines on its Prism Elements.
func (c *checks) endpoint() {
	if c.Cluster == nil {
		return
	}
	host := c.Cluster.Spec.ControlPlane.Endpoint.Host
	address, err := netip.ParseAddr(host)
	if err != nil || !c.knows(site.PartSubnets, CheckEndpoint, Existence, endpointField) {
		return
	}
	near := c.neighbours()
	for _, s := range c.Site.Subnets {
		in := slices.ContainsFunc(s.Pools, func(r site.Range) bool { return r.Contains(address.Unmap()) })
		if in && near.subnets[s.ExtID] {
			c.failed(CheckEndpoint, endpointField, fmt.Sprintf("%s is in an IP pool of subnet %s, so another machine may be given it: take it out of the pool, or take an address outside of the pools. %s", host, s.Name, c.moving()))
		}
	}
	if !c.knows(site.PartVMs, CheckEndpoint, Existence, endpointField) {
		return
	}
	for _, vm := range c.Site.VMs {
		has := slices.ContainsFunc(vm.NICs, func(n site.NIC) bool {
			return slices.Contains(n.IPs, address.Unmap()) && near.has(vm, n)
		})
		if has && !c.ours(vm) {
			c.failed(CheckEndpoint, endpointField, fmt.Sprintf("%s is used by %s: free it, or take another address. %s", host, c.stranger(vm), c.moving()))
		}
	}
}

// moving says how a cluster gets another endpoint of which nothing was made: what the API server holds of it keeps the
// first one, and to delete that never deletes anything else.
func (c *checks) moving() string {
	return fmt.Sprintf("An endpoint never changes in place: commit the other address, then run kubectl delete nutanixclusterspec %s, if there is one, in the Fleet's namespace; "+
		"nothing of the cluster is there yet, and the Fleet makes it anew from its file", c.Cluster.Name)
}

// neighbourhood of a control plane: subnets, Prism Elements and networks that are bound to none of them, by ExtID.
type neighbourhood struct{ subnets, elements, overlays map[string]bool }

// has says whether a NIC is in a network that may reach the control plane's.
func (n neighbourhood) has(vm site.VM, nic site.NIC) bool {
	return n.subnets[nic.Subnet] || n.elements[vm.Element] && !n.overlays[nic.Subnet]
}

func (c *checks) neighbours() neighbourhood {
	near := neighbourhood{map[string]bool{}, map[string]bool{}, map[string]bool{}}
	names := map[string]bool{}
	for _, p := range c.controlPlanePlaces() {
		for _, e := range c.Site.FindElements(p.element) {
			near.elements[e.ExtID] = true
			for _, id := range p.subnets {
				for _, s := range c.Site.FindSubnets(id, e.ExtID) {
					names[s.Name] = true
				}
			}
		}
	}
	for _, s := range c.Site.Subnets {
		near.subnets[s.ExtID] = names[s.Name]
		near.overlays[s.ExtID] = len(s.Elements) == 0
	}
	return near
}

func (c *checks) controlPlanePlaces() []place {
	for _, g := range groups(c.Input) {
		if g.kind == kindControlPlane {
			return g.places
		}
	}
	return nil
}

// names checks that no VM has the category of a new cluster, or a name as of its machines: it would be somebody else's
// living cluster of the same name, or what is left of one.
func (c *checks) names() {
	if c.Cluster == nil || !c.knows(site.PartVMs, CheckNames, Existence, "metadata.name") {
		return
	}
	own := map[string]bool{}
	if c.knows(site.PartCategories, CheckNames, Existence, "metadata.name") {
		for _, k := range c.Site.FindCategories(site.ClusterCategory, c.Cluster.Name) {
			own[k.ExtID] = true
		}
	}
	all := groups(c.Input)
	var members, namesakes []string
	for _, vm := range c.Site.VMs {
		switch {
		case c.owned(vm):
		case slices.ContainsFunc(vm.Categories, func(id string) bool { return own[id] }):
			members = append(members, vm.Name)
		case slices.ContainsFunc(all, func(g group) bool { return g.names.MatchString(vm.Name) }):
			namesakes = append(namesakes, vm.Name)
		}
	}
	const rest = "no machine of this management cluster owns them. They may be a living cluster's: give the new one another name, adopt the old one where it lives, or delete what is left of it in Prism Central"
	if len(members) > 0 {
		c.failed(CheckNames, "metadata.name", fmt.Sprintf("category %s=%s has VMs already (%s), and %s",
			site.ClusterCategory, c.Cluster.Name, c.some(members), rest))
	}
	if len(namesakes) > 0 {
		c.failed(CheckNames, "metadata.name", fmt.Sprintf("there are VMs with names as of this cluster's machines (%s), and %s", c.some(namesakes), rest))
	}
}

// owned says whether a machine of this management cluster has the VM.
func (c *checks) owned(vm site.VM) bool { return c.Owned[vm.ExtID] }

// ours says whether a VM is one of this very cluster, made while its creation is not over.
func (c *checks) ours(vm site.VM) bool {
	return c.owned(vm) && slices.ContainsFunc(groups(c.Input), func(g group) bool { return g.names.MatchString(vm.Name) })
}

func (c *checks) stranger(vm site.VM) string {
	if c.Public {
		return "another VM"
	}
	return fmt.Sprintf("VM %s (%s)", vm.Name, vm.ExtID)
}

// some names a few.
func (c *checks) some(names []string) string {
	if c.Public {
		return strconv.Itoa(len(names))
	}
	slices.Sort(names)
	if len(names) > 3 {
		return strings.Join(names[:3], ", ") + fmt.Sprintf(" and %d more", len(names)-3)
	}
	return strings.Join(names, ", ")
}
