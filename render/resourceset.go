package render

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"

	goyaml "go.yaml.in/yaml/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
)

const (
	// chunkBytes bounds what one ConfigMap or Secret holds; the API server takes 1 MiB with everything around it.
	chunkBytes = 900 << 10
	// maxChunks is how many resources a ClusterResourceSet takes.
	maxChunks = 100
	// resourceSetKey is the only key of each chunk.
	resourceSetKey = "objects.yaml"
	// resourceSetSecretType is the type without which a ClusterResourceSet refuses a Secret.
	resourceSetSecretType = "addons.cluster.x-k8s.io/resource-set" //nolint:gosec // a type, no secret
)

// resourceSet returns a ClusterResourceSet that delivers objects to the cluster, and the ConfigMaps and Secrets that
// hold them. Namespaces and CustomResourceDefinitions go first, Secrets last; Secrets are held by Secrets.
func resourceSet(c *v1alpha1.NutanixClusterSpec, name string, objects []document) ([]object, error) {
	ordered := slices.Clone(objects)
	slices.SortStableFunc(ordered, func(a, b document) int { return rank(a.Unstructured) - rank(b.Unstructured) })
	split := slices.IndexFunc(ordered, func(d document) bool { return isSecret(d.Unstructured) })
	if split < 0 {
		split = len(ordered)
	}
	set := newObject(c, versionAddons, kindClusterResourceSet, name)
	set.Object["spec"] = tree{
		"clusterSelector": tree{"matchLabels": tree{clusterNameLabel: c.Name}},
		"strategy":        "Reconcile",
	}
	public, err := chunks(ordered[:split])
	if err != nil {
		return nil, err
	}
	secret, err := chunks(ordered[split:])
	if err != nil {
		return nil, err
	}
	if len(public)+len(secret) > maxChunks {
		return nil, fmt.Errorf("more than %d ConfigMaps and Secrets of %d KiB: split the layer", maxChunks, chunkBytes>>10)
	}
	var out []object
	for i, data := range public {
		o := newObject(c, versionKubernetes, kindConfigMap, chunkName(name, i))
		o.Object["data"] = tree{resourceSetKey: data}
		out = append(out, o)
	}
	for i, data := range secret {
		o := newObject(c, versionKubernetes, kindSecret, chunkName(name, i))
		o.Object["type"] = resourceSetSecretType
		o.Object["data"] = tree{resourceSetKey: base64.StdEncoding.EncodeToString([]byte(data))}
		out = append(out, o)
	}
	for _, o := range out {
		appendResource(set, o.GetKind(), o.GetName())
	}
	return append(out, set), nil
}

// appendResource adds a ConfigMap or Secret to a ClusterResourceSet.
func appendResource(resourceSet object, kind, name string) {
	resources, _, _ := unstructured.NestedSlice(resourceSet.Object, "spec", "resources")
	set(resourceSet.Object, append(resources, tree{"kind": kind, "name": name}), "spec", "resources")
}

// chunkName is name, name-1, name-2 and so on.
func chunkName(name string, i int) string {
	if i == 0 {
		return name
	}
	return name + "-" + strconv.Itoa(i)
}

// document is an object to deliver with its YAML.
type document struct {
	*unstructured.Unstructured
	text string
}

// documents writes objects as YAML.
func documents(objects []*unstructured.Unstructured) ([]document, error) {
	out := make([]document, len(objects))
	for i, o := range objects {
		text, err := goyaml.Marshal(o.Object) // sorts keys; what sigs.k8s.io/yaml ends with, without its way through JSON
		if err != nil {
			return nil, fmt.Errorf("%s: %w", describe(o), err)
		}
		out[i] = document{o, string(text)}
	}
	return out, nil
}

// chunks returns documents in as few strings below chunkBytes as their order allows.
func chunks(docs []document) ([]string, error) {
	var out []string
	for _, d := range docs {
		if len(d.text) > chunkBytes {
			return nil, fmt.Errorf("%s has %d KiB and a ClusterResourceSet delivers at most %d KiB in one object: "+
				"take it out of the layer, or make it smaller (descriptions of CustomResourceDefinitions can go)",
				describe(d.Unstructured), len(d.text)>>10, chunkBytes>>10)
		}
		const separator = "---\n"
		last := len(out) - 1
		if last >= 0 && len(out[last])+len(separator)+len(d.text) <= chunkBytes {
			out[last] += separator + d.text
			continue
		}
		out = append(out, d.text)
	}
	return out, nil
}

// rank orders a layer's objects: what others need first, Secrets last.
func rank(o *unstructured.Unstructured) int {
	switch {
	case o.GetKind() == "Namespace" && o.GetAPIVersion() == versionKubernetes:
		return 0
	case o.GetKind() == "CustomResourceDefinition":
		return 1
	case isSecret(o):
		return 3
	}
	return 2
}

func isSecret(o *unstructured.Unstructured) bool {
	return o.GetKind() == kindSecret && o.GetAPIVersion() == versionKubernetes
}

// describe names an object for messages.
func describe(o *unstructured.Unstructured) string {
	if ns := o.GetNamespace(); ns != "" {
		return fmt.Sprintf("%s %s/%s", o.GetKind(), ns, o.GetName())
	}
	return o.GetKind() + " " + o.GetName()
}
