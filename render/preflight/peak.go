package preflight

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/refract-dev/refract/render/site"
)

// Resources of virtual machines.
type Resources struct {
	// VCPUs are virtual CPUs; free ones count VCPUsPerCore for each core.
	VCPUs int64
	// MemoryBytes of memory.
	MemoryBytes int64
}

// Room is what the coming machines of clusters take on one Prism Element while all their rollouts are at the peak, on top
// of what is there, beside what is free.
type Room struct {
	// Account that the clusters name.
	Account string
	// Element is the name of the Prism Element; as the files name it, where Prism Central did not tell.
	Element string
	// Clusters that take something, by name.
	Clusters []string
	// Need at the peak.
	Need Resources
	// Free of what is there; only where Known.
	Free Resources
	// OneHostLost: Free is what is left when the biggest host is lost. There is more than one.
	OneHostLost bool
	// Known: Prism Central told what is free. Otherwise Why says why not.
	Known bool
	Why   string
}

// Peak sums what the coming machines of several clusters take, by account and Prism Element, in that order. A Prism
// Element that Prism Central does not know is left out, which Check says. Where nothing is known of a Prism Central, the
// files alone tell what is needed.
func Peak(ins []Input) []Room {
	type place struct{ account, element string }
	rooms := map[place]*Room{}
	for _, in := range ins {
		c := &checks{Input: in, seen: map[Finding]bool{}}
		account, name := "", ""
		if in.Cluster != nil {
			account, name = in.Cluster.Spec.AccountRef.Name, in.Cluster.Name
		}
		if !in.Site.Knows(site.PartElements) {
			c.Site = imagined(in)
		}
		for _, d := range taking(demands(c.rollouts())) {
			at := place{account, d.element.ExtID}
			room := rooms[at]
			if room == nil {
				room = &Room{Account: account, Element: or(d.element.Name, d.element.ExtID)}
				room.Free, room.OneHostLost, room.Why = Free(c.Site, d.element)
				room.Known = room.Why == ""
				rooms[at] = room
			}
			need := d.total()
			room.Need.VCPUs += need.vcpus
			room.Need.MemoryBytes += need.memory
			if !slices.Contains(room.Clusters, name) {
				room.Clusters = append(room.Clusters, name)
			}
		}
	}
	all := make([]Room, 0, len(rooms))
	for _, room := range rooms {
		slices.Sort(room.Clusters)
		all = append(all, *room)
	}
	slices.SortFunc(all, func(a, b Room) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Element, b.Element))
	})
	return all
}

// imagined is a Prism Central of which no more is known than what Prism Elements the files name.
func imagined(in Input) *site.Inventory {
	why := or(in.Why, "Prism Central has not been asked yet")
	if in.Site != nil {
		why = or(in.Site.Unknown[site.PartElements], why)
	}
	i := &site.Inventory{Unknown: map[site.Part]string{site.PartHosts: why, site.PartVMs: why}}
	for _, g := range groups(in) {
		for _, p := range g.places {
			if !p.element.IsZero() && len(i.FindElements(p.element)) == 0 {
				i.Elements = append(i.Elements, site.Element{ExtID: p.element.String(), Name: p.element.Name})
			}
		}
	}
	return i
}

// Free is what running virtual machines leave of a Prism Element, with its biggest host lost if there are several. Hosts
// in maintenance do not count. why says that it is not known.
func Free(i *site.Inventory, e site.Element) (free Resources, oneHostLost bool, why string) {
	if why, lacks := i.Lacks(site.PartHosts, e); lacks {
		return Resources{}, false, why
	}
	if !i.Knows(site.PartVMs) {
		return Resources{}, false, i.Unknown[site.PartVMs]
	}
	hosts := working(e)
	if len(hosts) == 0 {
		return Resources{}, false, fmt.Sprintf("Prism Central names no host of Prism Element %s that takes virtual machines", e.Name)
	}
	var biggest Resources
	for _, h := range hosts {
		free.VCPUs, free.MemoryBytes = free.VCPUs+h.Cores*VCPUsPerCore, free.MemoryBytes+h.MemoryBytes
		biggest.VCPUs, biggest.MemoryBytes = max(biggest.VCPUs, h.Cores*VCPUsPerCore), max(biggest.MemoryBytes, h.MemoryBytes)
	}
	if biggest.VCPUs == 0 || biggest.MemoryBytes == 0 {
		return Resources{}, false, fmt.Sprintf("Prism Central does not say how big the hosts of Prism Element %s are", e.Name)
	}
	if oneHostLost = len(hosts) > 1; oneHostLost {
		free.VCPUs, free.MemoryBytes = free.VCPUs-biggest.VCPUs, free.MemoryBytes-biggest.MemoryBytes
	}
	for _, vm := range i.VMs {
		if vm.Element == e.ExtID && running(vm) {
			free.VCPUs, free.MemoryBytes = free.VCPUs-vm.Sockets*vm.CoresPerSocket, free.MemoryBytes-vm.MemoryBytes
		}
	}
	return Resources{max(0, free.VCPUs), max(0, free.MemoryBytes)}, oneHostLost, ""
}

// working are the hosts that take virtual machines.
func working(e site.Element) []site.Host {
	return slices.DeleteFunc(slices.Clone(e.Hosts), func(h site.Host) bool { return h.Maintenance })
}
