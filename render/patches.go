package render

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/fleet"
)

// ErrPathNeedsFleet says that a patch or layer names a file and that no Fleet has read it.
var ErrPathNeedsFleet = errors.New("path is read by a Fleet only: declare the object in Git, or write the patch inline")

// patches are those of one layer or of the cluster, to be applied together.
type patches struct {
	// title says whose patches they are.
	title string
	place fleet.Place
	// source is what has them in its field patches.
	source source
	specs  []v1alpha1.Patch
	// values of variables; nil where variables do not exist.
	values map[string]string
}

func (l layer) patches() patches {
	return patches{title: l.title, place: l.place, source: l.source, specs: l.Patches, values: l.values}
}

func (s stack) clusterPatches() patches {
	return patches{title: "cluster " + s.in.Cluster.Name, place: s.place, source: source{clusterDoc, steps{"spec"}}, specs: s.in.Cluster.Spec.Patches}
}

// name of a patch in messages.
func (p patches) name(i int) string { return fmt.Sprintf("patch %d of %s", i+1, p.title) }

// applyPatches returns the patched objects. Patches change contents only: neither what objects there are, nor what they
// are called, nor what belongs to others.
func applyPatches(objects []object, p patches) ([]object, error) {
	if len(p.specs) == 0 {
		return objects, nil
	}
	parsed, err := p.parse()
	if err != nil {
		return nil, err
	}
	before := make([]*unstructured.Unstructured, len(objects))
	for i, o := range objects {
		before[i] = o.Unstructured
	}
	writes := make([][]write, len(objects))
	after, err := build.ApplyEach(before, parsed, func(i int, was, now []*unstructured.Unstructured) {
		p.note(writes, i, was, now)
	})
	if err != nil {
		return nil, p.relocate(err)
	}
	if checkPatched(objects, after) != nil {
		return nil, p.blame(objects, before, parsed)
	}
	out := slices.Clone(objects)
	for i := range out {
		if !reflect.DeepEqual(before[i].Object, after[i].Object) {
			out[i].Unstructured = after[i]
			out[i].origin += ", patched by " + p.title
			out[i].writes = append(slices.Clip(out[i].writes), writes[i]...)
		}
	}
	return out, nil
}

// blame returns the error of the first patch that does not keep to contents. It takes many builds, and only a mistake
// pays for them.
func (p patches) blame(objects []object, before []*unstructured.Unstructured, parsed []build.Patch) error {
	for i := range parsed {
		after, err := build.Apply(before, parsed[:i+1])
		if err == nil {
			err = checkPatched(objects, after)
		}
		if err != nil {
			return at(p.place, fmt.Errorf("%s: %w", p.name(i), err))
		}
	}
	return nil
}

// parse puts the variables in. A patch's name goes along as its origin, for relocate.
func (p patches) parse() ([]build.Patch, error) {
	out := make([]build.Patch, len(p.specs))
	var errs []error
	for i, spec := range p.specs {
		text, err := spec.Patch, error(nil)
		switch {
		case text == "" && spec.Path != "":
			err = ErrPathNeedsFleet
		case p.values != nil:
			text, err = substitutePatch(text, p.values)
		}
		if err != nil {
			errs = append(errs, at(p.place, fmt.Errorf("%s: %w", p.name(i), err)))
		}
		out[i] = build.Patch{Target: spec.Target, Patch: text, Origin: build.Origin{Path: p.name(i)}}
	}
	return out, errors.Join(errs...)
}

// relocate moves the name of a patch from the place into the message, and puts the file there.
func (p patches) relocate(err error) error {
	var out []error
	for _, e := range build.Flatten("", err) {
		message := e.Err
		if e.Path != "" {
			message = fmt.Errorf("%s: %w", e.Path, e.Err)
		}
		out = append(out, at(p.place, message))
	}
	return errors.Join(out...)
}

// substitutePatch puts variables into the string scalars of a patch, so that a value cannot change the patch's form.
func substitutePatch(text string, values map[string]string) (string, error) {
	if !strings.Contains(text, "${{") {
		return text, nil
	}
	docs, err := build.Split("", []byte(text))
	if err != nil {
		return "", err
	}
	var out []string
	for _, d := range docs {
		v, mistakes := d.Value()
		if len(mistakes) > 0 {
			return "", build.Join(mistakes)
		}
		wrapped := tree{"patch": v}
		if err := build.Substitute(wrapped, values); err != nil {
			return "", err
		}
		data, err := json.Marshal(wrapped["patch"])
		if err != nil {
			return "", err
		}
		out = append(out, string(data))
	}
	return strings.Join(out, "\n---\n"), nil
}

// checkPatched tells whether patches kept to contents.
func checkPatched(before []object, after []*unstructured.Unstructured) error {
	if len(after) != len(before) {
		return errors.New("it removes or adds an object: patches only change objects")
	}
	var errs []error
	for i, o := range before {
		if err := checkContents(o, after[i]); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", describe(o.Unstructured), err))
		}
	}
	return errors.Join(errs...)
}

func checkContents(before object, after *unstructured.Unstructured) error {
	for _, path := range identity {
		was, _, _ := unstructured.NestedFieldNoCopy(before.Object, path...)
		is, _, _ := unstructured.NestedFieldNoCopy(after.Object, path...)
		if !reflect.DeepEqual(was, is) {
			return fmt.Errorf("it changes %s from %v to %v: patches change contents, not what an object is called",
				strings.Join(path, "."), was, is)
		}
	}
	if _, ok := after.Object["status"]; ok {
		return errors.New("it sets status: controllers own that")
	}
	meta, _, _ := unstructured.NestedMap(after.Object, "metadata")
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		if !slices.Contains([]string{"name", "namespace", "labels", "annotations"}, k) {
			return fmt.Errorf("it sets metadata.%s: only labels and annotations are for patches", k)
		}
	}
	if err := checkStamps(after); err != nil {
		return err
	}
	if err := checkLevers(before.Object, after.Object); err != nil {
		return err
	}
	for _, r := range references[after.GetKind()] {
		if was, is := values(before.Unstructured, r.path), values(after, r.path); !slices.Equal(was, is) {
			return fmt.Errorf("it changes %s from %v to %v: names of templates are chosen by Refract, change the cluster's spec",
				strings.Join(r.path, "."), was, is)
		}
	}
	return checkOwners(before, after)
}

// identity is what a patch may not change.
var identity = [][]string{{"apiVersion"}, {"kind"}, {"metadata", "name"}, {"metadata", "namespace"}}

// checkStamps refuses labels and annotations of our own: stamps and approvals are not written by hand in Git.
func checkStamps(o *unstructured.Unstructured) error {
	for _, name := range []string{"labels", "annotations"} {
		m, _, err := unstructured.NestedStringMap(o.Object, "metadata", name)
		if err != nil {
			return fmt.Errorf("it sets metadata.%s to something other than a map of strings: quote numbers and booleans", name)
		}
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if within(domainOf(k), v1alpha1.MetadataDomain) {
				return fmt.Errorf("it sets %s: labels and annotations in %s are Refract's own", k, v1alpha1.MetadataDomain)
			}
		}
	}
	return nil
}

// checkOwners refuses fields that the design gives to others.
func checkOwners(before object, after *unstructured.Unstructured) error {
	for _, f := range before.atCreation {
		if _, ok, _ := unstructured.NestedFieldNoCopy(after.Object, f.path...); ok {
			return fmt.Errorf("it sets %s of an autoscaled pool: the autoscaler owns that", strings.Join(f.path, "."))
		}
	}
	for _, name := range []string{"after", "before"} {
		if _, ok, _ := unstructured.NestedFieldNoCopy(after.Object, "spec", "rollout", name); ok && rolls(after.GetKind()) {
			return fmt.Errorf("it sets spec.rollout.%s: machines would roll later without a plan; to roll them change what they are made of", name)
		}
	}
	if after.GetKind() != kindCluster {
		return nil
	}
	spec, _, _ := unstructured.NestedFieldNoCopy(after.Object, "spec")
	fields, _ := spec.(tree)
	for _, f := range ownedElsewhere {
		if _, ok := fields[f.name]; ok {
			return fmt.Errorf("it sets spec.%s: %s", f.name, f.reason)
		}
	}
	return nil
}

func rolls(kind string) bool { return kind == kindKubeadmControlPlane || kind == kindMachineDeployment }

// levers are labels and annotations by which Cluster API removes machines, or stops looking after them, wherever they
// stand: on an object, or in the metadata that it hands on to Machines.
var levers = []string{
	groupCore + "/remediate-machine",
	groupCore + "/delete-machine",
	groupCore + "/paused",
	groupCore + "/skip-remediation",
	groupCore + "/managed-by",
	"machineset." + groupCore + "/skip-preflight-checks",
}

// checkLevers refuses levers that a patch sets, at any depth.
func checkLevers(before, after any) error {
	switch after := after.(type) {
	case tree:
		was, _ := before.(tree)
		for _, k := range slices.Sorted(maps.Keys(after)) {
			if slices.Contains(levers, k) && !reflect.DeepEqual(was[k], after[k]) {
				return fmt.Errorf("it sets %s: Cluster API would remove machines or stop looking after them, and no plan could say so", k)
			}
			if err := checkLevers(was[k], after[k]); err != nil {
				return err
			}
		}
	case []any:
		var errs []error
		for _, item := range after {
			errs = append(errs, checkLevers(nil, item))
		}
		return errors.Join(errs...)
	}
	return nil
}

// checkIgnored refuses paths of driftIgnore that lead into a list: items move, and a list is applied as one.
func checkIgnored(c *v1alpha1.NutanixClusterSpec) error {
	for i, rule := range c.Spec.DriftIgnore {
		for _, path := range rule.Paths {
			tokens := strings.Split(path, "/")
			at := slices.IndexFunc(tokens, func(t string) bool { return t == "-" || t != "" && strings.Trim(t, "0123456789") == "" })
			if at >= 0 {
				return fmt.Errorf("spec.driftIgnore[%d]: path %s leads into a list, whose items move: name the whole list, %s",
					i, path, strings.Join(tokens[:at], "/"))
			}
		}
	}
	return nil
}

// ownedElsewhere are fields of a Cluster that others own.
var ownedElsewhere = []struct{ name, reason string }{
	{"topology", "Refract renders plain objects, a ClusterClass would render them again"},
	{"controlPlaneEndpoint", "Cluster API copies it from the NutanixCluster"},
}
