package drift

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/refract-dev/refract/render/site"
)

// disks compares the system disk and the data disks. Addresses and order do not count: a data disk of the wanted size
// in the wanted container is the wanted one.
func (c *comparison) disks() {
	system, data := split(c.vm.Disks)
	if system == nil {
		return
	}
	c.bytes("systemDiskSize", c.want.SystemDiskBytes, system.SizeBytes)
	if slices.ContainsFunc(c.want.DataDisks, func(d site.DataDisk) bool { return d.SizeBytes == 0 }) {
		return
	}
	if len(data) != len(c.want.DataDisks) {
		c.differ("dataDisks", c.wantedDisks(), sizes(data), None)
		return
	}
	var rest []site.DataDisk
	for _, w := range c.want.DataDisks {
		i := slices.IndexFunc(data, func(d site.Disk) bool { return sameSize(w.SizeBytes, d.SizeBytes) && c.contained(w, d) })
		if i < 0 {
			rest = append(rest, w)
			continue
		}
		data = slices.Delete(data, i, i+1)
	}
	for i, w := range rest {
		field := fmt.Sprintf("dataDisks[%d]", w.Index)
		c.bytes(field+".diskSize", w.SizeBytes, data[i].SizeBytes)
		if !c.contained(w, data[i]) {
			wanted := c.Site.FindContainers(w.Container, c.vm.Element)[0].ExtID
			c.differEntity(field+".storageConfig.storageContainer", wanted, data[i].Container, c.containerName)
		}
	}
}

// split tells the system disk from the others: the one made from an image, or else the first. Several with images: the
// first of them. Disks without a size are attached volume groups, which storage drivers come and go with.
func split(all []site.Disk) (*site.Disk, []site.Disk) {
	disks := slices.DeleteFunc(slices.Clone(all), func(d site.Disk) bool { return d.SizeBytes == 0 })
	if len(disks) == 0 {
		return nil, nil
	}
	i := max(0, slices.IndexFunc(disks, func(d site.Disk) bool { return d.Image != "" }))
	system := disks[i]
	return &system, slices.Delete(disks, i, i+1)
}

// contained says whether a disk is in the wanted container, as far as is known.
func (c *comparison) contained(w site.DataDisk, d site.Disk) bool {
	if w.Container.IsZero() || d.Container == "" || c.vm.Element == "" || !c.Site.Knows(site.PartContainers) {
		return true
	}
	wanted := c.Site.FindContainers(w.Container, c.vm.Element)
	return len(wanted) != 1 || wanted[0].ExtID == d.Container
}

func (c *comparison) wantedDisks() string {
	var out []string
	for _, d := range c.want.DataDisks {
		out = append(out, quantity(d.SizeBytes))
	}
	return or(strings.Join(out, ", "), none)
}

func sizes(disks []site.Disk) string {
	var out []string
	for _, d := range disks {
		out = append(out, quantity(d.SizeBytes))
	}
	return or(strings.Join(out, ", "), none)
}

// network compares the subnets of the NICs, in order.
func (c *comparison) network() {
	if len(c.want.Subnets) == 0 {
		return
	}
	if len(c.want.Subnets) != len(c.vm.NICs) {
		var wanted, found []string
		for _, s := range c.want.Subnets {
			wanted = append(wanted, c.wantedSubnet(s))
		}
		for _, n := range c.vm.NICs {
			found = append(found, or(c.subnetName(n.Subnet), or(n.Subnet, "unknown")))
		}
		c.differ("subnet", strings.Join(wanted, ", "), or(strings.Join(found, ", "), none), None)
		return
	}
	for i, s := range c.want.Subnets {
		wanted, found := c.resolveSubnet(s), c.vm.NICs[i].Subnet
		if wanted != "" && found != "" && !strings.EqualFold(wanted, found) {
			c.differEntity(fmt.Sprintf("subnet[%d]", i), wanted, found, c.subnetName)
		}
	}
}

// gpus compares the GPUs, in any order.
func (c *comparison) gpus() {
	rest := slices.Clone(c.vm.GPUs)
	var missing []string
	for _, byID := range []bool{true, false} { // ids first: they are stricter
		for _, w := range c.want.GPUs {
			if (w.DeviceID != nil) != byID {
				continue
			}
			if i := slices.IndexFunc(rest, func(g site.GPU) bool { return c.isGPU(w, g) }); i >= 0 {
				rest = slices.Delete(rest, i, i+1)
				continue
			}
			missing = append(missing, wish(w))
		}
	}
	if len(missing) == 0 && len(rest) == 0 {
		return
	}
	var wanted, found []string
	for _, w := range c.want.GPUs {
		wanted = append(wanted, wish(w))
	}
	for _, g := range c.vm.GPUs {
		found = append(found, or(g.Name, "device "+strconv.FormatInt(g.DeviceID, 10)))
	}
	c.differ("gpus", or(strings.Join(wanted, ", "), none), or(strings.Join(found, ", "), none), None)
}

// isGPU says whether a GPU is the wanted one. One that has no name is told by its device id, if its Prism Element knows
// that; else it passes.
func (c *comparison) isGPU(w site.GPUWish, g site.GPU) bool {
	if w.DeviceID != nil {
		return *w.DeviceID == g.DeviceID
	}
	if g.Name != "" {
		return g.Name == w.Name
	}
	known := c.profiles(g.DeviceID)
	return len(known) == 0 || slices.Contains(known, w.Name)
}

func wish(w site.GPUWish) string {
	if w.DeviceID != nil {
		return "device " + strconv.FormatInt(*w.DeviceID, 10)
	}
	return w.Name
}
