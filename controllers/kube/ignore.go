package kube

import (
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// DefaultIgnore are the fields that belong to somebody else wherever they turn up: those that the Cluster API runtime
// extensions for Nutanix (CAREN) write by webhook or controller on clusters that it watches. It stamps an identity onto
// the Cluster, and rolls the control plane through rollout.after when failure domains change.
func DefaultIgnore() []v1alpha1.DriftIgnore {
	return []v1alpha1.DriftIgnore{
		{Kind: "Cluster", Paths: []string{"/metadata/annotations/caren.nutanix.com~1cluster-uuid"}},
		{Kind: "KubeadmControlPlane", Paths: []string{"/spec/rollout/after"}},
	}
}

// Rules are all fields that belong to somebody else: the defaults and the cluster's own, for plan.Options.Ignore.
func (c Cluster) Rules() []v1alpha1.DriftIgnore { return slices.Concat(DefaultIgnore(), c.Ignore) }

// ignored are the JSON pointers that belong to somebody else on one object.
func (c Cluster) ignored(o *unstructured.Unstructured) [][]string {
	var pointers [][]string
	for _, rule := range c.Rules() {
		if rule.Kind != o.GetKind() || (rule.Name != "" && rule.Name != o.GetName()) {
			continue
		}
		for _, path := range rule.Paths {
			pointers = append(pointers, parsePointer(path))
		}
	}
	return pointers
}

// effective is what we have an opinion about: wanted without the ignored fields. A field that our last apply owned
// keeps the value it has: leaving it out would take it away from whom it now belongs to.
func (c Cluster) effective(want, live *unstructured.Unstructured) *unstructured.Unstructured {
	want = want.DeepCopy()
	var owned fieldSet
	if live != nil {
		owned = ownedFields(live)
	}
	for _, pointer := range c.ignored(want) {
		if len(pointer) == 0 {
			continue
		}
		var keep any
		if live != nil {
			keep = ownedAt(owned, live.Object, pointer)
		}
		if keep == nil {
			unset(want.Object, pointer)
		} else {
			set(want.Object, pointer, keep)
		}
	}
	return want
}

// parsePointer splits a JSON pointer (RFC 6901) into its tokens.
func parsePointer(p string) []string {
	p = strings.TrimPrefix(p, "/")
	if p == "" {
		return nil
	}
	tokens := strings.Split(p, "/")
	for i, t := range tokens {
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(t, "~1", "/"), "~0", "~")
	}
	return tokens
}

// unset removes what a pointer leads to, and the maps that are empty because of it: an empty map is an opinion, too.
func unset(in any, pointer []string) {
	switch at := in.(type) {
	case map[string]any:
		next, ok := at[pointer[0]]
		if !ok {
			return
		}
		if len(pointer) == 1 {
			delete(at, pointer[0])
			return
		}
		unset(next, pointer[1:])
		if m, isMap := next.(map[string]any); isMap && len(m) == 0 {
			delete(at, pointer[0])
		}
	case []any:
		// Only fields of an item can be taken out: without an item the list would be a different list.
		if i, ok := index(at, pointer[0]); ok && len(pointer) > 1 {
			unset(at[i], pointer[1:])
		}
	}
}

// set puts a value where a pointer leads to; maps on the way are made, list items are not.
func set(in any, pointer []string, value any) {
	switch at := in.(type) {
	case map[string]any:
		if len(pointer) == 1 {
			at[pointer[0]] = value
			return
		}
		if _, ok := at[pointer[0]]; !ok {
			at[pointer[0]] = map[string]any{}
		}
		set(at[pointer[0]], pointer[1:], value)
	case []any:
		i, ok := index(at, pointer[0])
		switch {
		case !ok:
		case len(pointer) == 1:
			at[i] = value
		default:
			set(at[i], pointer[1:], value)
		}
	}
}

func index(list []any, token string) (int, bool) {
	i, err := strconv.Atoi(token)
	return i, err == nil && i >= 0 && i < len(list)
}
