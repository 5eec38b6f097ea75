package site

import (
	"slices"
	"strings"
)

// ID names an entity by name or by UUID. The zero ID names nothing.
type ID struct{ Name, UUID string }

// IsZero says that nothing is named.
func (id ID) IsZero() bool { return id == ID{} }

// String is the name, or the UUID of what is named by it.
func (id ID) String() string {
	if id.UUID != "" {
		return id.UUID
	}
	return id.Name
}

// Is says whether an entity with this ExtID and name is meant. Names are compared exactly, as Prism Central does.
func (id ID) Is(extID, name string) bool {
	if id.UUID != "" {
		return strings.EqualFold(id.UUID, extID)
	}
	return id.Name != "" && id.Name == name
}

// FindElements returns the Prism Elements that are meant.
func (i *Inventory) FindElements(id ID) []Element {
	return find(i.Elements, func(e Element) bool { return id.Is(e.ExtID, e.Name) })
}

// FindSubnets returns the subnets that are meant by machines of a Prism Element, as CAPX chooses: one named by UUID
// whatever its element, one named by name if the element offers it, or if it is bound to none (overlay).
func (i *Inventory) FindSubnets(id ID, element string) []Subnet {
	return find(i.Subnets, func(s Subnet) bool { return s.Meant(id, element) })
}

// Meant says whether a machine of a Prism Element means this subnet by id.
func (s Subnet) Meant(id ID, element string) bool {
	return id.Is(s.ExtID, s.Name) && (id.UUID != "" || s.On(element))
}

// On says whether the subnet serves machines of a Prism Element; one that is bound to none serves all.
func (s Subnet) On(element string) bool {
	return len(s.Elements) == 0 || slices.Contains(s.Elements, element)
}

// FindImages returns the images that are meant.
func (i *Inventory) FindImages(id ID) []Image {
	return find(i.Images, func(m Image) bool { return id.Is(m.ExtID, m.Name) })
}

// FindContainers returns the storage containers of a Prism Element that are meant.
func (i *Inventory) FindContainers(id ID, element string) []Container {
	return find(i.Containers, func(c Container) bool { return c.Element == element && id.Is(c.ExtID, c.Name) })
}

// FindProjects returns the projects that are meant.
func (i *Inventory) FindProjects(id ID) []Project {
	return find(i.Projects, func(p Project) bool { return id.Is(p.ExtID, p.Name) })
}

// FindCategories returns the categories with a key and a value.
func (i *Inventory) FindCategories(key, value string) []Category {
	return find(i.Categories, func(c Category) bool { return c.Key == key && c.Value == value })
}

func find[T any](all []T, is func(T) bool) []T {
	var out []T
	for _, v := range all {
		if is(v) {
			out = append(out, v)
		}
	}
	return out
}
