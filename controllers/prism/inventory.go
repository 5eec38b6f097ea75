package prism

import (
	"context"
	"errors"
	"slices"

	"github.com/refract-dev/refract/render/site"
)

// Inventory reads what Prism Central holds: pages of lists in a fixed order, and per Prism Element its hosts, GPUs and
// storage; nothing per virtual machine. It is never nil. What could not be read is in Unknown, its own or
// that of a Prism Element, with a reason for a person. When nobody answers, or nobody may enter, the rest is not asked for: a wrong password sent often locks the
// user.
func (d *Door) Inventory(ctx context.Context) *site.Inventory {
	r := &reading{door: d, found: &site.Inventory{At: d.gate.options.Clock(), Unknown: map[site.Part]string{}}, mute: map[string]error{}}
	for _, step := range []struct {
		part site.Part
		read func(context.Context) error
	}{
		{site.PartVersion, r.version},
		{site.PartElements, r.elements},
		{site.PartHosts, r.eachElement(site.PartHosts, r.hosts)},
		{site.PartStorage, r.eachElement(site.PartStorage, r.storage)},
		{site.PartGPUs, r.eachElement(site.PartGPUs, r.gpus)},
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
	// mute are the Prism Elements that Prism Central gave no answer for, by ExtID, with what was asked first.
	mute map[string]error
	// deaf is the last of these.
	deaf error
}

// maxSilent is how many parts may go without an answer before the rest is given up. One may be one hung service.
const maxSilent = 2

func (r *reading) unlessHopeless(ctx context.Context, read func(context.Context) error) error {
	if r.hopeless != nil {
		return r.hopeless
	}
	err := read(ctx)
	switch {
	case err == nil:
	case dooms(ctx, err):
		r.hopeless = err
	case unheard(err):
		if r.silent++; r.silent >= maxSilent {
			r.hopeless = err
		}
	}
	return err
}

// dooms says that whatever is asked next fails likewise.
func dooms(ctx context.Context, err error) bool {
	hopeless := []Reason{AuthenticationFailed, UntrustedCertificate, NameNotFound, Throttled}
	return ctx.Err() != nil || slices.Contains(hopeless, reasonOf(err))
}

// unheard says that nobody answered.
func unheard(err error) bool { return reasonOf(err) == Unreachable && !answered(err) }

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

// eachElement reads a part of each Prism Element. What fails is unknown of that one alone, and one that Prism Central
// gives no answer for is not asked about again. When several are such, the service itself is taken to be gone.
func (r *reading) eachElement(part site.Part, read func(context.Context, *site.Element) error) func(context.Context) error {
	return func(ctx context.Context) error {
		if !r.found.Knows(site.PartElements) {
			return &Error{Reason: Misbehaving, Message: "the Prism Elements are not known"}
		}
		for i := range r.found.Elements {
			e := &r.found.Elements[i]
			if err := r.ofElement(ctx, e, read); err != nil {
				if e.Unknown == nil {
					e.Unknown = map[site.Part]string{}
				}
				e.Unknown[part] = r.door.gate.explain(err)
			}
		}
		return nil
	}
}

func (r *reading) ofElement(ctx context.Context, e *site.Element, read func(context.Context, *site.Element) error) error {
	if r.hopeless != nil {
		return r.hopeless
	}
	if err := r.mute[e.ExtID]; err != nil {
		return err
	}
	if len(r.mute) >= maxSilent {
		return r.deaf
	}
	err := read(ctx, e)
	switch {
	case err == nil:
	case dooms(ctx, err):
		r.hopeless = err
	case unheard(err):
		r.mute[e.ExtID], r.deaf = err, err
	}
	return err
}
