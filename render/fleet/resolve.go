package fleet

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
)

type accountItem struct {
	*item
	Account

	at *Account // in the Fleet
}

type profileItem struct {
	*item
	Profile

	version *semver.Version
	vague   bool     // it is not known which version of which profile it is
	at      *Profile // in the Fleet
}

type clusterItem struct {
	*item
	Cluster

	account  *accountItem
	profiles []*profileItem
}

func (d *decoder) accounts() []*accountItem {
	var out []*accountItem
	for _, i := range d.ofKind(v1alpha1.CloudAccountKind) {
		if o, ok := i.object.(*v1alpha1.CloudAccount); ok {
			out = append(out, &accountItem{item: i, Account: Account{Object: o, Place: i.place(), Lines: i.lines()}})
		}
	}
	return out
}

func (d *decoder) profiles() []*profileItem {
	var out []*profileItem
	for _, i := range d.ofKind(v1alpha1.ClusterProfileKind) {
		o, ok := i.object.(*v1alpha1.ClusterProfile)
		if !ok {
			continue
		}
		p := &profileItem{item: i, Profile: Profile{Object: o, Place: i.place(), Lines: i.lines(), Origins: map[string]build.Origin{}}}
		var err error
		if p.version, err = semver.StrictNewVersion(o.Spec.Version); err != nil {
			p.version = &semver.Version{}
		}
		p.vague = err != nil || o.Spec.Profile == ""
		d.profile(p)
		out = append(out, p)
	}
	for n, p := range out {
		for _, other := range out[n+1:] {
			if p.Object.Spec.Profile == other.Object.Spec.Profile && p.Object.Spec.Version == other.Object.Spec.Version {
				const twice = "version %s of profile %s is declared twice, also in %s: keep one, or make a new version"
				p.fail("spec.version", twice, p.Object.Spec.Version, p.Object.Spec.Profile, other)
				other.fail("spec.version", twice, p.Object.Spec.Version, p.Object.Spec.Profile, p)
			}
		}
	}
	return out
}

// profile reads what the profile refers to.
func (d *decoder) profile(p *profileItem) {
	for n := range p.Object.Spec.Layers {
		d.inline(p.item, fmt.Sprintf("spec.layers[%d].patches", n), p.Object.Spec.Layers[n].Patches, p.Origins)
	}
	for n, v := range p.Object.Spec.Variables {
		if v.Default == nil {
			continue
		}
		if err := fits(v.Format, *v.Default); err != nil {
			p.fail(fmt.Sprintf("spec.variables[%d].default", n), "the default of variable %s: %w", v.Name, err)
		}
	}
	p.own()
	d.layers(p)
	p.bounded(p.Object)
	digest, err := contentDigest(p.Profile)
	if err != nil {
		p.fail("", "%w", err)
	}
	p.ContentDigest = digest
}

// bounded checks that an object fits into the API.
func (i *item) bounded(object any) {
	text, err := json.Marshal(object)
	if err == nil && len(text) > MaxObjectBytes {
		i.fail("", "%s %s has %d KiB with its patches inlined, more than %d: use fewer or smaller patches", i.kind, i.name, len(text)>>10, MaxObjectBytes>>10)
	}
}

func (d *decoder) clusters() []*clusterItem {
	var out []*clusterItem
	for _, i := range d.ofKind(v1alpha1.NutanixClusterSpecKind) {
		o, ok := i.object.(*v1alpha1.NutanixClusterSpec)
		if !ok {
			continue
		}
		c := &clusterItem{item: i, Cluster: Cluster{
			Object: o, Place: i.place(), Lines: i.lines(), Origins: map[string]build.Origin{}, Requested: map[string]string{},
		}}
		d.inline(i, "spec.patches", o.Spec.Patches, c.Origins)
		for n, p := range o.Spec.Patches {
			at := fmt.Sprintf("spec.patches[%d]", n)
			for _, r := range build.References(map[string]any{"patch": p.Patch}) {
				i.failAt(c.Origins[at], fmt.Errorf("%s: variable %q: variables belong to profiles; a cluster's own patch holds the value itself", at, r.Name))
			}
		}
		i.ignoredFields(o.Spec.DriftIgnore)
		i.bounded(o)
		out = append(out, c)
	}
	return out
}

// resolve connects clusters with accounts and profiles.
func (d *decoder) resolve(accounts []*accountItem, profiles []*profileItem, clusters []*clusterItem) {
	for _, c := range clusters {
		c.resolveAccount(accounts)
		d.resolveProfiles(c, profiles)
	}
	endpoints(clusters)
	collisions(clusters)
}

func (d *decoder) resolveProfiles(c *clusterItem, profiles []*profileItem) {
	main := 0
	for n := range c.Object.Spec.Profiles {
		ref := &c.Object.Spec.Profiles[n]
		at := fmt.Sprintf("spec.profiles[%d]", n)
		c.Requested[ref.Name] = ref.Version
		p := d.pick(c, at, *ref, profiles)
		if p == nil {
			main++ // of unknown type
			continue
		}
		ref.Version = p.Object.Spec.Version
		c.profiles = append(c.profiles, p)
		c.use(at, *ref, p)
		if p.Object.Spec.Type != v1alpha1.ProfileAddOn {
			if main++; main > 1 {
				c.fail(at, "profile %s is of type %s, and so is another profile of this cluster: keep one of type Infra or Full", ref.Name, p.Object.Spec.Type)
			}
		}
	}
	if main == 0 && len(c.Object.Spec.Profiles) > 0 {
		c.fail("spec.profiles", "spec.profiles has AddOn profiles only: add one of type Infra or Full")
	}
}

func (c *clusterItem) resolveAccount(accounts []*accountItem) {
	name := c.Object.Spec.AccountRef.Name
	if name == "" {
		return // reported as required
	}
	var names []string
	for _, a := range accounts {
		names = append(names, a.name)
		if a.name != name {
			continue
		}
		c.account = a
		if len(a.errs) > 0 {
			c.fail("spec.accountRef.name", "CloudAccount %s has mistakes: see %s", name, a.first())
		}
		return
	}
	c.fail("spec.accountRef.name", "CloudAccount %s is not there: %s", name, instead(name, slices.Compact(names), "CloudAccounts"))
}

// instead says what could have been meant.
func instead(name string, known []string, what string) string {
	if near := build.Nearest(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	if len(known) == 0 {
		return "there are no " + what
	}
	return "there are " + strings.Join(known, ", ")
}

// use checks a profile that a cluster refers to.
func (c *clusterItem) use(at string, ref v1alpha1.ProfileReference, p *profileItem) {
	if len(p.errs) > 0 {
		c.fail(at+".version", "profile %s %s has mistakes: see %s", ref.Name, ref.Version, p.first())
	}
	_, wrong := values(p.Object.Spec, ref.Variables)
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		c.fail(at+".variables["+name+"]", "%w", wrong[name])
	}
}

// pick finds the version that a reference asks for: the highest that matches, mistakes or not. One with mistakes holds
// the cluster back; falling back to a lower one would be a change that nobody asked for.
func (d *decoder) pick(c *clusterItem, at string, ref v1alpha1.ProfileReference, profiles []*profileItem) *profileItem {
	var all []*profileItem
	var names, versions []string
	for _, p := range profiles {
		names = append(names, p.Object.Spec.Profile)
		if p.Object.Spec.Profile == ref.Name {
			all = append(all, p)
		}
	}
	if ref.Name == "" || ref.Version == "" {
		return nil // reported as required
	}
	if len(all) == 0 {
		slices.Sort(names)
		c.fail(at+".name", "profile %s is not there: %s", ref.Name, instead(ref.Name, slices.Compact(names), "ClusterProfiles"))
		return nil
	}
	slices.SortStableFunc(all, func(a, b *profileItem) int { return cmp.Or(b.version.Compare(a.version), cmp.Compare(a.name, b.name)) })
	matches, exact, err := matcher(ref.Version)
	if err != nil {
		c.fail(at+".version", "%q is neither a version nor a range: %w", ref.Version, err)
		return nil
	}
	if !exact && !d.complete {
		c.fail(at+".version", "range %q is not resolved while other files cannot be read: they may hold a newer version; mend them, or name a version", ref.Version)
		return nil
	}
	if p := vague(ref.Name, profiles); !exact && p != nil {
		c.fail(at+".version", "range %q is not resolved while %s does not say which version it is: mend it, or name a version", ref.Version, p)
		return nil
	}
	for _, p := range all {
		if matches(p.version) {
			return p
		}
		versions = append(versions, p.Object.Spec.Version)
	}
	c.fail(at+".version", "no version of profile %s matches %q: there are %s", ref.Name, ref.Version, strings.Join(slices.Compact(versions), ", "))
	return nil
}

// vague returns a profile that may be a version of name, nobody knows which.
func vague(name string, profiles []*profileItem) *profileItem {
	for _, p := range profiles {
		if p.vague && (p.Object.Spec.Profile == name || p.Object.Spec.Profile == "") {
			return p
		}
	}
	return nil
}

// matcher reads a version (exact) or a range. A range matches pre-releases only when it names one.
func matcher(text string) (matches func(*semver.Version) bool, exact bool, err error) {
	if v, notExact := semver.StrictNewVersion(text); notExact == nil {
		return v.Equal, true, nil
	}
	constraint, err := semver.NewConstraint(text)
	if err != nil {
		return nil, false, err
	}
	return constraint.Check, false, nil
}

// endpoints checks that no two clusters of one Prism Central share an endpoint.
func endpoints(clusters []*clusterItem) {
	used := map[string]*clusterItem{}
	for _, c := range clusters {
		host := address(c.Object.Spec.ControlPlane.Endpoint.Host)
		if host == "" || c.account == nil {
			continue
		}
		key := address(c.account.Object.Spec.Endpoint.Address) + " " + host
		first, twice := used[key]
		if !twice {
			used[key] = c
			continue
		}
		const message = "endpoint %s is also that of cluster %s in %s: give each cluster its own address"
		c.fail("spec.controlPlane.endpoint.host", message, host, first.name, first)
		first.fail("spec.controlPlane.endpoint.host", message, host, c.name, c)
	}
}

// address writes a host in one form.
func address(host string) string {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().String()
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}
