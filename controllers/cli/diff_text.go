package cli

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// objectDiffs is a text that patch tools read: unified diffs, and before each a line that begins with "#".
type objectDiffs struct {
	buffer bytes.Buffer
	// found says whether anything differs.
	found bool
}

// add writes how an object differs and says whether anything of it is to be seen. Nil is an object that is not there.
func (t *objectDiffs) add(cluster, origin string, before, after *unstructured.Unstructured) bool {
	was, is := bare(before), bare(after)
	if reflect.DeepEqual(was, is) {
		return false
	}
	named := after
	if after == nil {
		named = before
	}
	kind := named.GetKind()
	hidden := map[string][]any{}
	open := veil{kind: kind, cover: func(at string, v any) any {
		hidden[at] = append(hidden[at], v)
		return "(hidden)"
	}}
	against := veil{kind: kind, cover: func(at string, v any) any {
		same := func(old any) bool { return reflect.DeepEqual(old, v) }
		if before == nil || slices.ContainsFunc(hidden[at], same) {
			return "(hidden)"
		}
		return "(hidden, changed)"
	}}
	t.head(cluster, origin, named)
	d := difflib.UnifiedDiff{FromFile: "/dev/null", ToFile: "/dev/null", Context: 3}
	if before != nil {
		d.FromFile, d.A = "a/"+cluster+"/"+objectKey(before)+".yaml", yamlLines(open.of(was))
	}
	if after != nil {
		d.ToFile, d.B = "b/"+cluster+"/"+objectKey(after)+".yaml", yamlLines(against.of(is))
	}
	_ = difflib.WriteUnifiedDiff(&t.buffer, d) // Into memory.
	return true
}

// note writes about an object what is no difference of fields.
func (t *objectDiffs) note(cluster, origin string, o *unstructured.Unstructured, text string) {
	t.head(cluster, origin, o)
	t.buffer.WriteString("# " + strings.Join(strings.Fields(text), " ") + "\n")
}

// head names an object and where it comes from.
func (t *objectDiffs) head(cluster, origin string, o *unstructured.Unstructured) {
	t.found = true
	if origin != "" {
		origin = " (" + origin + ")"
	}
	fmt.Fprintf(&t.buffer, "# %s: %s%s\n", cluster, objectKey(o), origin)
}

// gone writes about a cluster whose files are gone.
func (t *objectDiffs) gone(cluster string) {
	t.found = true
	fmt.Fprintf(&t.buffer, "# %s: no file declares it any more; `refract plan --fleet` says what becomes of it\n", cluster)
}

func objectKey(o *unstructured.Unstructured) string { return o.GetKind() + "/" + o.GetName() }

// unsaid are fields and annotations that only the API server or we ourselves keep. A digest of a content that holds
// secrets tells of them, too.
var (
	unsaidFields      = []string{"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"}
	unsaidAnnotations = []string{v1alpha1.ContentDigestAnnotation, "kubectl.kubernetes.io/last-applied-configuration"}
)

// bare is what a person says of an object; nil for nil.
func bare(o *unstructured.Unstructured) map[string]any {
	if o == nil {
		return nil
	}
	content := o.DeepCopy()
	delete(content.Object, "status")
	metadata, _ := content.Object["metadata"].(map[string]any)
	for _, f := range unsaidFields {
		delete(metadata, f)
	}
	annotations := content.GetAnnotations()
	maps.DeleteFunc(annotations, func(name, _ string) bool { return slices.Contains(unsaidAnnotations, name) })
	if delete(metadata, "annotations"); len(annotations) > 0 {
		content.SetAnnotations(annotations)
	}
	return content.Object
}

// veil covers what may be secret: the data of Secrets, and what plan.Hidden names in any object.
type veil struct {
	kind string
	// cover returns what is shown instead of the value at a place.
	cover func(at string, v any) any
}

func (h veil) of(content map[string]any) map[string]any {
	out := make(map[string]any, len(content))
	for k, v := range content {
		values, isMap := v.(map[string]any)
		switch {
		case h.kind != kindSecret || k != "data" && k != "stringData":
			out[k] = h.field(k, k, v)
		case !isMap:
			out[k] = h.cover(k, v)
		default:
			covered := make(map[string]any, len(values))
			for key, value := range values {
				covered[key] = h.cover(k+"."+key, value)
			}
			out[k] = covered
		}
	}
	return out
}

func (h veil) field(at, name string, v any) any {
	if plan.Hidden(name) {
		return h.cover(at, v)
	}
	return h.inside(at, v)
}

func (h veil) inside(at string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		name, _ := v["name"].(string)
		out := make(map[string]any, len(v))
		for k, item := range v {
			if (k == "value" || k == "default") && plan.Hidden(name) { // An argument or variable of that name.
				out[k] = h.cover(at+"."+k, item)
				continue
			}
			out[k] = h.field(at+"."+k, k, item)
		}
		return out
	case string:
		return h.text(at, v)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = h.inside(at+"["+itemName(item)+"]", item)
		}
		return out
	}
	return v
}

// secretLine is a line of a script, a configuration or a manifest that gives something secret a value.
var secretLine = regexp.MustCompile(`(?i)^(.*?[\w.-]*(?:passw|token|api[-_]?key|private[-_]?key|access[-_]?key|secret[-_]?key|certificate[-_]?key|client[-_]?secret)[\w.-]*["']?(?:\s*[:=]\s*|\s+))(\S.*)$`)

// text covers what lines of a text call secret.
func (h veil) text(at, text string) any {
	if strings.Contains(text, "PRIVATE KEY-----") {
		return h.cover(at, text)
	}
	all := strings.Split(text, "\n")
	for i, line := range all {
		if m := secretLine.FindStringSubmatch(line); m != nil {
			all[i] = fmt.Sprint(m[1], h.cover(at+"#"+m[1], m[2]))
		}
	}
	return strings.Join(all, "\n")
}

// itemName tells an item of a list from others when items come and go.
func itemName(item any) string {
	m, _ := item.(map[string]any)
	for _, key := range []string{"name", "path", "key"} {
		if name, ok := m[key].(string); ok {
			return name
		}
	}
	return ""
}

const kindSecret = "Secret"

func yamlLines(content map[string]any) []string {
	text, err := yaml.Marshal(content)
	if err != nil {
		text = []byte("# " + err.Error() + "\n") // cannot happen: maps, lists and scalars only
	}
	all := strings.SplitAfter(string(text), "\n")
	return all[:len(all)-1]
}
