package preflight

import (
	"fmt"
	"strings"

	"github.com/refract-dev/refract/render/site"
)

// existence checks what machines of a group name.
func (c *checks) existence(g group) {
	c.project(g)
	c.categories(g)
	c.image(g)
	for _, d := range g.strange {
		c.unknown(CheckElement, Existence, g.path, "failure domain "+d+" is not among the rendered objects, so nothing is checked there")
	}
	for _, p := range g.places {
		element, ok := c.element(p)
		if !ok {
			continue
		}
		for i := range p.subnets {
			c.subnet(p, i, element)
		}
		c.imageOn(g, element)
		c.containers(g, element)
		c.gpus(g, element)
	}
}

// element finds the Prism Element of a place.
func (c *checks) element(p place) (site.Element, bool) {
	if !c.knows(site.PartElements, CheckElement, Existence, p.elementField) {
		return site.Element{}, false
	}
	found := c.Site.FindElements(p.element)
	if len(found) != 1 {
		var names []string
		for _, e := range c.Site.Elements {
			names = append(names, e.Name)
		}
		c.failed(CheckElement, p.elementField, count("Prism Element", p.element, "in Prism Central", len(found), names))
		return site.Element{}, false
	}
	switch e := found[0]; {
	case e.Available == nil:
		c.unknown(CheckElement, Existence, p.elementField, "Prism Central does not say whether it reaches Prism Element "+e.Name)
	case !*e.Available:
		c.failed(CheckElement, p.elementField, "Prism Central does not reach Prism Element "+e.Name+
			": bring it back or take another one. CAPX would give up every machine for good that it tries to make there")
	}
	return found[0], true
}

// subnet checks one subnet of a place.
func (c *checks) subnet(p place, i int, e site.Element) {
	if !c.knows(site.PartSubnets, CheckSubnet, Existence, p.subnetFields[i]) {
		return
	}
	id := p.subnets[i]
	found := c.Site.FindSubnets(id, e.ExtID)
	if len(found) == 1 && found[0].On(e.ExtID) {
		return
	}
	var names, elsewhere []string
	for _, s := range c.Site.Subnets {
		if s.On(e.ExtID) {
			names = append(names, s.Name)
		} else if id.Is(s.ExtID, s.Name) {
			elsewhere = append(elsewhere, c.elementNames(s.Elements))
		}
	}
	if len(elsewhere) > 0 {
		c.failed(CheckSubnet, p.subnetFields[i], fmt.Sprintf("subnet %s is not on Prism Element %s, but on %s: name one that %s has",
			quoted(id), e.Name, strings.Join(elsewhere, ", "), e.Name))
		return
	}
	c.failed(CheckSubnet, p.subnetFields[i], count("subnet", id, "on Prism Element "+e.Name, len(found), names))
}

func (c *checks) project(g group) {
	if g.spec.Project.IsZero() || !c.knows(site.PartProjects, CheckProject, Existence, g.projectField()) {
		return
	}
	found := c.Site.FindProjects(g.spec.Project)
	if len(found) == 1 {
		return
	}
	var names []string
	for _, p := range c.Site.Projects {
		names = append(names, p.Name)
	}
	c.failed(CheckProject, g.projectField(), count("project", g.spec.Project, "in Prism Central", len(found), names))
}

func (c *checks) categories(g group) {
	for i, want := range g.spec.Categories {
		field := g.categoryField(i)
		if !c.knows(site.PartCategories, CheckCategory, Existence, field) || len(c.Site.FindCategories(want.Key, want.Value)) > 0 {
			continue
		}
		var names []string
		for _, k := range c.Site.Categories {
			names = append(names, k.Key+"="+k.Value)
		}
		id := site.ID{Name: want.Key + "=" + want.Value}
		c.failed(CheckCategory, field, count("category", id, "in Prism Central", 0, names))
	}
}

func (c *checks) containers(g group, e site.Element) {
	for _, d := range g.spec.DataDisks {
		field := g.containerField(d)
		if d.Container.IsZero() || !c.knows(site.PartContainers, CheckContainer, Existence, field) {
			continue
		}
		found := c.Site.FindContainers(d.Container, e.ExtID)
		if len(found) == 1 {
			continue
		}
		var names []string
		for _, k := range c.Site.Containers {
			if k.Element == e.ExtID {
				names = append(names, k.Name)
			}
		}
		c.failed(CheckContainer, field, count("storage container", d.Container, "on Prism Element "+e.Name, len(found), names))
	}
}

func (c *checks) gpus(g group, e site.Element) {
	for i, w := range g.spec.GPUs {
		field := g.gpuField(i)
		if !c.knowsOf(e, site.PartGPUs, CheckGPU, Existence, field) {
			return
		}
		if len(profiles(e, w)) > 0 {
			continue
		}
		var names []string
		for _, p := range e.GPUs {
			names = append(names, p.Name)
		}
		id := site.ID{Name: wish(w)}
		c.failed(CheckGPU, field, count("GPU", id, "on Prism Element "+e.Name, 0, names))
	}
}

// profiles are the GPU profiles of a Prism Element that answer a wish.
func profiles(e site.Element, w site.GPUWish) []site.GPUProfile {
	var out []site.GPUProfile
	for _, p := range e.GPUs {
		if w.Is(p.Name, p.DeviceID) {
			out = append(out, p)
		}
	}
	return out
}

func (c *checks) elementNames(ids []string) string {
	var names []string
	for _, id := range ids {
		name := id
		for _, e := range c.Site.FindElements(site.ID{UUID: id}) {
			name = e.Name
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}
