package render

import (
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Gone returns the place of what causes that an object is no longer rendered. Where it was declared there is no line any
// more, so it is the line of what held it. It is "" when no files are known.
func (p *Places) Gone(o *unstructured.Unstructured) string {
	if !p.read() {
		return ""
	}
	successor, place := p.successor(o)
	var hits []source
	if successor == nil {
		hits = p.went(o.GetKind())
	} else {
		candidates := p.content(successor)
		for _, s := range candidates {
			candidates = append(candidates, p.variables(s)...)
		}
		if hits = p.hits(candidates); len(hits) == 0 {
			hits = p.otherPatches(successor, nil)
		}
	}
	if len(hits) == 0 {
		hits = []source{place}
	}
	return p.say(p.withVersions(hits))
}

// went are the changes of the input that make objects of a kind go.
func (p *Places) went(kind string) []source {
	ends := endings[kind]
	if ends == nil {
		return nil
	}
	var out []source
	for doc, d := range p.docs {
		for _, path := range d.changed {
			if ends(path) {
				out = append(out, source{doc, path})
			}
		}
	}
	return out
}

// successor is what is rendered instead of a template, nil when nothing is; and the place of an object that went if
// nothing else is known.
func (p *Places) successor(o *unstructured.Unstructured) (*object, source) {
	spec := source{clusterDoc, steps{"spec"}}
	kind, base := o.GetKind(), BaseName(o.GetName())
	if isTemplate(kind) {
		if found := p.unit.find(kind, base); found != nil {
			return found, found.source
		}
	}
	switch kind {
	case kindMachineHealthCheck:
		// It has the name of the template of its pool or control plane.
		if found := p.unit.find(kindNutanixMachineTemplate, o.GetName()); found != nil {
			return nil, found.source.below("healthCheck.enabled")
		}
		return nil, spec.below("nodePools")
	case kindMachineDeployment, kindNutanixMachineTemplate, kindKubeadmConfigTemplate:
		return nil, spec.below("nodePools")
	case kindNutanixFailureDomain:
		return nil, spec.below("failureDomains")
	case kindClusterResourceSet, kindConfigMap, kindSecret:
		return nil, spec.below("profiles")
	}
	return nil, source{doc: clusterDoc}
}

// endings tell which changes of the input make an object of a kind go.
var endings = map[string]func(steps) bool{
	kindMachineDeployment:      poolWent,
	kindNutanixMachineTemplate: poolWent,
	kindKubeadmConfigTemplate:  poolWent,
	kindMachineHealthCheck: func(at steps) bool {
		return poolWent(at) || slices.Contains(at, "healthCheck")
	},
	kindNutanixFailureDomain: func(at steps) bool { return itemWent(at, "failureDomains") },
	kindClusterResourceSet:   layerWent,
	kindConfigMap:            layerWent,
	kindSecret:               layerWent,
}

func poolWent(at steps) bool { return itemWent(at, "nodePools") }

// itemWent reports whether an item of a list, or the name that makes it what it is, went.
func itemWent(at steps, items string) bool {
	if len(at) < 2 || at[1] != items {
		return false
	}
	return len(at) == 2 || len(at) == 4 && (at[3] == "name" || at[3] == "objectName")
}

func layerWent(at steps) bool {
	if itemWent(at, "layers") || itemWent(at, "profiles") || len(at) == 1 {
		return true
	}
	return slices.ContainsFunc(at, func(step string) bool {
		return step == "manifests" || step == "kustomize" || step == "cloudControllerManager"
	})
}
