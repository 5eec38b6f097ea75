package drift

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/refract-dev/refract/render/site"
)

// resolveElement returns the ExtID of a Prism Element, or nothing unless exactly one is meant.
func (x index) resolveElement(id site.ID) string {
	return resolve(id, x.Site.Knows(site.PartElements), x.Site.FindElements, func(e site.Element) string { return e.ExtID })
}

// resolveSubnet returns the ExtID of a wanted subnet, or nothing unless exactly one is meant. It is looked up on the
// wanted Prism Element, where CAPX looked.
func (c *comparison) resolveSubnet(id site.ID) string {
	on := func(id site.ID) []site.Subnet { return c.Site.FindSubnets(id, c.element) }
	return resolve(id, c.Site.Knows(site.PartSubnets) && c.element != "", on, func(s site.Subnet) string { return s.ExtID })
}

// resolveProject returns the ExtID of a project, or nothing unless exactly one is meant.
func (x index) resolveProject(id site.ID) string {
	return resolve(id, x.Site.Knows(site.PartProjects), x.Site.FindProjects, func(p site.Project) string { return p.ExtID })
}

// resolve takes a UUID as it is, and looks up a name where that part of Prism Central is known.
func resolve[T any](id site.ID, known bool, find func(site.ID) []T, extID func(T) string) string {
	if id.UUID != "" {
		return strings.ToLower(id.UUID)
	}
	if !known {
		return ""
	}
	if found := find(id); len(found) == 1 {
		return extID(found[0])
	}
	return ""
}

func (c *comparison) wantedSubnet(id site.ID) string {
	return or(c.subnetName(c.resolveSubnet(id)), id.String())
}

// Names of entities by ExtID; empty when not known.

func (x index) elementName(extID string) string {
	found := x.Site.FindElements(site.ID{UUID: extID})
	if len(found) == 0 {
		return ""
	}
	return found[0].Name
}

func (x index) subnetName(extID string) string {
	found := x.Site.FindSubnets(site.ID{UUID: extID}, "")
	if len(found) == 0 {
		return ""
	}
	return found[0].Name
}

func (x index) projectName(extID string) string {
	found := x.Site.FindProjects(site.ID{UUID: extID})
	if len(found) == 0 {
		return ""
	}
	return found[0].Name
}

func (x index) containerName(extID string) string {
	for _, k := range x.Site.Containers {
		if k.ExtID == extID {
			return k.Name
		}
	}
	return ""
}

// profiles are the names of GPU profiles with a device id, on the VM's Prism Element.
func (c *comparison) profiles(device int64) []string {
	var out []string
	for _, e := range c.Site.Elements {
		if _, lacks := c.Site.Lacks(site.PartGPUs, e); lacks {
			continue
		}
		for _, p := range e.GPUs {
			if e.ExtID == c.vm.Element && p.DeviceID == device {
				out = append(out, p.Name)
			}
		}
	}
	return out
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

const mebibyte = 1 << 20

// sameSize compares to the MiB.
func sameSize(a, b int64) bool { return a-b < mebibyte && b-a < mebibyte }

// quantity writes a size as people do in files.
func quantity(bytes int64) string { return resource.NewQuantity(bytes, resource.BinarySI).String() }
