package simulator

import (
	"errors"
	"fmt"
)

// check finds what is named in a Model and does not exist, or exists twice. VMs
// are checked when they are made.
func (m Model) check() error {
	var errs []error
	elements := map[string]bool{}
	for _, e := range m.PrismElements {
		errs = append(errs, twice(elements, e.Name, "prism element %q", e.Name))
		hosts := map[string]bool{}
		for _, h := range e.Hosts {
			errs = append(errs, twice(hosts, h.Name, "host %q of prism element %q", h.Name, e.Name), h.check())
		}
	}
	exists := func(element, format string, args ...any) {
		if !elements[element] {
			errs = append(errs, fmt.Errorf("%s: prism element %q does not exist", fmt.Sprintf(format, args...), element))
		}
	}
	for _, n := range m.Subnets {
		for _, e := range n.PrismElements {
			exists(e, "subnet %q", n.Name)
		}
	}
	for _, i := range m.Images {
		for _, e := range i.PrismElements {
			exists(e, "image %q", i.Name)
		}
	}
	containers := map[string]bool{}
	for _, c := range m.StorageContainers {
		exists(c.PrismElement, "storage container %q", c.Name)
		errs = append(errs, twice(containers, c.PrismElement+"/"+c.Name, "storage container %q of prism element %q", c.Name, c.PrismElement))
	}
	for _, g := range m.VolumeGroups {
		exists(g.PrismElement, "volume group %q", g.Name)
	}
	return errors.Join(errs...)
}

func (h Host) check() error {
	for _, g := range h.GPUs {
		switch g.Mode {
		case "", GPUPassthroughCompute, GPUPassthroughGraphics, GPUVirtual:
		default:
			return fmt.Errorf("host %q: GPU %q has the mode %q, want %s, %s or %s", h.Name, g.Name, g.Mode,
				GPUPassthroughCompute, GPUPassthroughGraphics, GPUVirtual)
		}
	}
	return nil
}

func twice(seen map[string]bool, key, format string, args ...any) error {
	if seen[key] {
		return fmt.Errorf(format+" exists twice", args...)
	}
	seen[key] = true
	return nil
}
