package render

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// reference is a field of one kind that holds the name of a template of another.
type reference struct {
	template string
	path     []string
}

// each, as an element of a path, stands for every item of a list.
const each = "*"

// references are all fields that hold the name of a template, by the kind that has them.
var references = map[string][]reference{
	kindNutanixCluster: {
		{kindNutanixFailureDomain, strings.Split("spec.controlPlaneFailureDomains.*.name", ".")},
	},
	kindKubeadmControlPlane: {
		{kindNutanixMachineTemplate, strings.Split("spec.machineTemplate.spec.infrastructureRef.name", ".")},
	},
	kindMachineDeployment: {
		{kindNutanixFailureDomain, strings.Split("spec.template.spec.failureDomain", ".")},
		{kindNutanixMachineTemplate, strings.Split("spec.template.spec.infrastructureRef.name", ".")},
		{kindKubeadmConfigTemplate, strings.Split("spec.template.spec.bootstrap.configRef.name", ".")},
	},
}

// isTemplate tells whether the names of objects of this kind are chosen after Gather.
func isTemplate(kind string) bool {
	switch kind {
	case kindNutanixMachineTemplate, kindKubeadmConfigTemplate, kindNutanixFailureDomain:
		return true
	}
	return false
}

// rewrite replaces every string that path leads to below v by what f returns for it.
func rewrite(v any, path []string, f func(string) string) any {
	if len(path) == 0 {
		if s, ok := v.(string); ok {
			return f(s)
		}
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		if inner, ok := v[path[0]]; ok {
			v[path[0]] = rewrite(inner, path[1:], f)
		}
	case []any:
		if path[0] == each {
			for i := range v {
				v[i] = rewrite(v[i], path[1:], f)
			}
		}
	}
	return v
}

// values returns every string that path leads to in obj, in order.
func values(obj *unstructured.Unstructured, path []string) []string {
	var out []string
	rewrite(obj.Object, path, func(s string) string {
		out = append(out, s)
		return s
	})
	return out
}
