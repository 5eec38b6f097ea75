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

// ignored are the JSON pointers that belong to somebody else on one object.
func (c Cluster) ignored(o *unstructured.Unstructured) [][]string {
	var pointers [][]string
	for _, rule := range slices.Concat(DefaultIgnore(), c.Ignore) {
		if rule.Kind != o.GetKind() || (rule.Name != "" && rule.Name != o.GetName()) {
			continue
		}
		for _, path := range rule.Paths {
			pointers = append(pointers, wholeLists(parsePointer(path)))
		}
	}
	return pointers
}

// wholeLists cuts a pointer where it goes into a list. Items move, and a list is applied as one: whoever has a say in an
// item has the list. Rendering refuses such pointers; older accepted specs may have them.
func wholeLists(pointer []string) []string {
	i := slices.IndexFunc(pointer, func(token string) bool {
		_, err := strconv.ParseUint(token, 10, 32)
		return err == nil
	})
	if i < 0 {
		return pointer
	}
	return pointer[:i]
}

// effective is what we have an opinion about: wanted without the ignored fields. A field that our last apply owned
// keeps the value it has: leaving it out would take it away from whom it now belongs to. An object that does not exist
// yet is created as rendered, since nobody else has said anything.
func (c Cluster) effective(want, live *unstructured.Unstructured) *unstructured.Unstructured {
	want = want.DeepCopy()
	if live == nil {
		return want
	}
	owned := ownedFields(live)
	for _, pointer := range c.ignored(want) {
		if len(pointer) == 0 {
			continue
		}
		if keep := ownedAt(owned, live.Object, pointer); keep != nil {
			set(want.Object, pointer, keep)
		} else {
			unset(want.Object, pointer)
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
func unset(in map[string]any, pointer []string) {
	if len(pointer) == 1 {
		delete(in, pointer[0])
		return
	}
	if next, ok := in[pointer[0]].(map[string]any); ok {
		unset(next, pointer[1:])
		if len(next) == 0 {
			delete(in, pointer[0])
		}
	}
}

// set puts a value where a pointer leads to; maps on the way are made.
func set(in map[string]any, pointer []string, value any) {
	if len(pointer) == 1 {
		in[pointer[0]] = value
		return
	}
	if _, ok := in[pointer[0]]; !ok {
		in[pointer[0]] = map[string]any{}
	}
	if next, ok := in[pointer[0]].(map[string]any); ok {
		set(next, pointer[1:], value)
	}
}
