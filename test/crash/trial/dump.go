package trial

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// Dump is all that a namespace holds, by kind and name, without what differs between two lives of the same: UIDs,
// resource versions, times, and the name of the namespace. Who owns which field is in it.
type Dump map[string]string

// dump lists every kind of which the namespace ever had an object.
func dump(ctx context.Context, client dynamic.Interface, b *births, namespace string) (Dump, error) {
	words := []string{namespace, "<namespace>"}
	for uid, name := range b.names(namespace) {
		words = append(words, string(uid), "<UID of "+name+">")
	}
	var objects []unstructured.Unstructured
	for _, k := range b.seen(namespace) {
		list, err := client.Resource(k.GroupVersionResource).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", k.Resource, err)
		}
		objects = append(objects, list.Items...)
	}
	for i := range objects {
		if err := unpackRecord(&objects[i]); err != nil {
			return nil, err
		}
		words = append(words, digests(&objects[i])...)
	}
	plain := strings.NewReplacer(words...)
	all := Dump{}
	for i := range objects {
		o := &objects[i]
		name := o.GetKind() + "/" + o.GetName()
		strip(o)
		text, err := json.MarshalIndent(timeless(o.Object), "", "  ")
		if err != nil {
			return nil, err
		}
		all[name] = plain.Replace(string(text))
	}
	return all, nil
}

// digests are the digests of plans, which tell namespaces and some of them times apart, with words for them.
func digests(o *unstructured.Unstructured) []string {
	var words []string
	// Which version of a Secret credentials are from, each life has a Secret of its own.
	paths := [][]string{{"status", "plan", "digest"}, {"metadata", "annotations", v1alpha1.CredentialsAnnotation}}
	for _, entry := range []string{"accepted", "held"} {
		for _, field := range []string{"id", "digest", "rendered"} {
			paths = append(paths, []string{"data", entry, field})
		}
	}
	for _, path := range paths {
		if value, _, _ := unstructured.NestedString(o.Object, path...); value != "" {
			words = append(words, value, "<"+strings.Join(path, ".")+" of "+o.GetName()+">")
		}
	}
	return words
}

// strip takes off what says when and how often an object was written.
func strip(o *unstructured.Unstructured) {
	for _, field := range []string{"uid", "resourceVersion", "creationTimestamp"} {
		unstructured.RemoveNestedField(o.Object, "metadata", field)
	}
	entries := o.GetManagedFields()
	for i := range entries {
		entries[i].Time = nil
	}
	slices.SortFunc(entries, func(a, b metav1.ManagedFieldsEntry) int {
		return strings.Compare(a.Manager+a.Subresource+string(a.Operation), b.Manager+b.Subresource+string(b.Operation))
	})
	o.SetManagedFields(entries)
	sortConditions(o)
}

// sortConditions puts conditions, which are a map by type, into an order.
func sortConditions(o *unstructured.Unstructured) {
	conditions, found, err := unstructured.NestedSlice(o.Object, "status", "conditions")
	if err != nil || !found {
		return
	}
	slices.SortFunc(conditions, func(a, b any) int { return strings.Compare(typeOf(a), typeOf(b)) })
	_ = unstructured.SetNestedSlice(o.Object, conditions, "status", "conditions") // it was just found there
}

func typeOf(condition any) string {
	m, ok := condition.(map[string]any)
	if !ok {
		return ""
	}
	return fmt.Sprint(m["type"])
}

// timeless replaces every time by a word.
func timeless(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			v[key] = timeless(inner)
		}
		return v
	case []any:
		for i, inner := range v {
			v[i] = timeless(inner)
		}
		return v
	case string:
		if _, err := time.Parse(time.RFC3339Nano, v); err == nil {
			return "<time>"
		}
	}
	return v
}

// unpackRecord has the record of a cluster show what is in it.
func unpackRecord(o *unstructured.Unstructured) error {
	if o.GetKind() != "Secret" || o.GetLabels()["refract.dev/record"] == "" {
		return nil
	}
	data, _, err := unstructured.NestedMap(o.Object, "data")
	if err != nil {
		return err
	}
	for key, value := range data {
		packed, err := base64.StdEncoding.DecodeString(fmt.Sprint(value))
		if err != nil {
			return fmt.Errorf("secret %s, key %s: %w", o.GetName(), key, err)
		}
		zip, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return fmt.Errorf("secret %s, key %s: %w", o.GetName(), key, err)
		}
		raw, err := io.ReadAll(io.LimitReader(zip, 64<<20))
		if err != nil {
			return fmt.Errorf("secret %s, key %s: %w", o.GetName(), key, err)
		}
		var inner any
		if err := json.Unmarshal(raw, &inner); err != nil {
			return fmt.Errorf("secret %s, key %s: %w", o.GetName(), key, err)
		}
		data[key] = inner
	}
	said(data["machines"])
	o.Object["data"] = data
	return nil
}

// said leaves of a tally what a plan said of machines. What was there when the counting began is another thing where an
// operator was killed half-way, since the next one begins there.
func said(tally any) {
	if t, ok := tally.(map[string]any); ok {
		owners, _ := t["owners"].(map[string]any)
		for name, one := range owners {
			owner, _ := one.(map[string]any)
			maps.DeleteFunc(owner, func(field string, _ any) bool { return field != "recreated" && field != "removed" && field != "upTo" })
			if len(owner) == 0 {
				delete(owners, name)
			}
		}
	}
}

// Diff says how another dump differs, "" when it does not.
func (d Dump) Diff(other Dump) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(d)) {
		is, ok := other[name]
		switch {
		case !ok:
			fmt.Fprintf(&text, "%s is missing\n", name)
		case is != d[name]:
			fmt.Fprintf(&text, "%s differs:\n%s", name, cmp.Diff(strings.Split(d[name], "\n"), strings.Split(is, "\n")))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(other)) {
		if _, ok := d[name]; !ok {
			fmt.Fprintf(&text, "%s is surplus:\n%s\n", name, other[name])
		}
	}
	return text.String()
}
