package trial

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// Rendered is what we own of a cluster's objects: labels, annotations, content, and our entries among the managers. What
// other controllers make of them is left out, and every word is replaced by the one after it, so that the same objects of
// clusters with other names are equal.
func (x *Trial) Rendered(cluster string, words ...string) Dump {
	x.T.Helper()
	plain := strings.NewReplacer(append(words, x.Namespace, "<namespace>")...)
	all := Dump{}
	for _, k := range x.setting.births.seen(x.Namespace) {
		list, err := x.setting.dynamic.Resource(k.GroupVersionResource).Namespace(x.Namespace).List(x.T.Context(), metav1.ListOptions{
			LabelSelector: v1alpha1.ClusterLabel + "=" + cluster,
		})
		if err != nil {
			x.T.Fatalf("listing %s: %v", k.Resource, err)
		}
		for i := range list.Items {
			o := &list.Items[i]
			text, err := json.MarshalIndent(timeless(ours(o)), "", "  ")
			if err != nil {
				x.T.Fatal(err)
			}
			all[plain.Replace(k.name+"/"+o.GetName())] = plain.Replace(string(text))
		}
	}
	return all
}

// ours is the part of an object that Refract writes.
func ours(o *unstructured.Unstructured) map[string]any {
	annotations := o.GetAnnotations()
	if annotations[v1alpha1.CredentialsAnnotation] != "" {
		annotations[v1alpha1.CredentialsAnnotation] = "<version>" // each life has a Secret of its own
	}
	part := map[string]any{"labels": o.GetLabels(), "annotations": annotations}
	for key, value := range o.Object {
		if key != "metadata" && key != "status" {
			part[key] = value
		}
	}
	var entries []any
	for _, e := range o.GetManagedFields() {
		if e.Manager == v1alpha1.FieldManager {
			entries = append(entries, fmt.Sprintf("%s %s %s", e.Operation, e.Subresource, e.FieldsV1.GetRawString()))
		}
	}
	part["managed"] = entries
	return part
}

// BirthsByKind says how many objects of each kind were created, and how many of them live.
func (x *Trial) BirthsByKind() (created, live map[string]int) {
	created, live = map[string]int{}, map[string]int{}
	for name, n := range x.Births() {
		created[kindOf(name)] += n
	}
	for _, name := range slices.Collect(maps.Keys(x.Alive())) {
		live[kindOf(name)]++
	}
	return created, live
}

func kindOf(name string) string {
	kind, _, _ := strings.Cut(name, "/")
	return kind
}
