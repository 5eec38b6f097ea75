package prism

import (
	"context"
	"errors"
	"fmt"

	"github.com/refract-dev/refract/render/site"
)

// Inventory reads what Prism Central holds: pages of lists in a fixed order, and per Prism Element its hosts, GPUs and
// storage; nothing per virtual machine. It is never nil. What could not be read is in Unknown with a reason for a
// person. When nobody answers, or nobody may enter, the rest is not asked for: a wrong password sent often locks the
// user.
func (d *Door) Inventory(ctx context.Context) *site.Inventory {
	r := &reading{door: d, found: &site.Inventory{At: d.gate.options.Clock(), Unknown: map[site.Part]string{}}}
	for _, step := range []struct {
		part site.Part
		read func(context.Context) error
	}{
		{site.PartVersion, r.version},
		{site.PartElements, r.elements},
		{site.PartHosts, r.eachElement(r.hosts)},
		{site.PartStorage, r.eachElement(r.storage)},
		{site.PartGPUs, r.eachElement(r.gpus)},
		{site.PartSubnets, r.subnets},
		{site.PartImages, r.images},
		{site.PartContainers, r.containers},
		{site.PartCategories, r.categories},
		{site.PartProjects, r.projects},
		// Last, for it is what must be freshest.
		{site.PartVMs, r.vms},
	} {
		r.note(step.part, r.unlessHopeless(ctx, step.read))
	}
	return r.found
}

// reading is an inventory while it is read.
type reading struct {
	door  *Door
	found *site.Inventory
	// silent counts the parts that nobody answered for; hopeless is why the rest is not asked for.
	silent   int
	hopeless error
}

// maxSilent is how many parts may go without an answer before the rest is given up. One may be one hung service.
const maxSilent = 2

func (r *reading) unlessHopeless(ctx context.Context, read func(context.Context) error) error {
	if r.hopeless != nil {
		return r.hopeless
	}
	err := read(ctx)
	switch reason := reasonOf(err); {
	case err == nil:
	case ctx.Err() != nil, reason == AuthenticationFailed, reason == UntrustedCertificate, reason == NameNotFound, reason == Throttled:
		r.hopeless = err
	case reason == Unreachable && !answered(err):
		if r.silent++; r.silent >= maxSilent {
			r.hopeless = err
		}
	}
	return err
}

func (r *reading) note(part site.Part, err error) {
	if err != nil {
		r.found.Unknown[part] = r.door.gate.explain(err)
	}
}

// explain is an error for a person.
func (g *gate) explain(err error) string {
	if _, is := errors.AsType[*Error](err); is {
		return err.Error()
	}
	return g.hide(err.Error())
}

func (r *reading) version(ctx context.Context) (err error) {
	r.found.Version, err = r.door.version(ctx)
	return err
}

// eachElement reads a part of each Prism Element. One that fails makes the part unknown, the others are still read.
func (r *reading) eachElement(read func(context.Context, *site.Element) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if !r.found.Knows(site.PartElements) {
			return &Error{Reason: Misbehaving, Message: "the Prism Elements are not known"}
		}
		var first error
		for i := range r.found.Elements {
			element := &r.found.Elements[i]
			err := read(ctx, element)
			if err != nil && first == nil {
				first = fmt.Errorf("Prism Element %s: %w", element.Name, err) //nolint:staticcheck // A name.
			}
			if err != nil && !answered(err) {
				break
			}
		}
		return first
	}
}
