package fleet

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// metadataFields may be set in files.
var metadataFields = []string{"name", "namespace", "labels", "annotations"}

// serverFields are metadata that the API server or controllers write.
var serverFields = []string{
	"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers", "generateName", "generation",
	"managedFields", "ownerReferences", "resourceVersion", "selfLink", "uid",
}

// metadata checks an object's metadata and takes out what is wrong.
func metadata(object map[string]any, fail func(string, error)) {
	meta, ok := object["metadata"].(map[string]any)
	if !ok {
		fail("metadata", errors.New("metadata.name is required"))
		object["metadata"] = map[string]any{}
		return
	}
	for _, key := range slices.Sorted(maps.Keys(meta)) {
		at := "metadata." + key
		switch {
		case slices.Contains(metadataFields, key):
			continue
		case meta[key] == nil: // as kubectl create --dry-run writes creationTimestamp
		case slices.Contains(serverFields, key):
			fail(at, fmt.Errorf("%s is not set in files", at))
		default:
			fail(at, unknown(at, key, metadataFields))
		}
		delete(meta, key)
	}
	name, ok := meta["name"].(string)
	if !ok || name == "" {
		fail("metadata.name", errors.New("metadata.name is required"))
		delete(meta, "name")
	}
	for _, wrong := range apivalidation.NameIsDNSSubdomain(name, false) {
		if name != "" {
			fail("metadata.name", fmt.Errorf("metadata.name: %s", wrong))
		}
	}
	if ns, set := meta["namespace"]; set {
		if _, ok := ns.(string); !ok {
			fail("metadata.namespace", errors.New("metadata.namespace must be a string"))
			delete(meta, "namespace")
		}
	}
	path := field.NewPath("metadata")
	if labels := pairs(meta, "labels", fail); labels != nil {
		failAll(metav1validation.ValidateLabels(labels, path.Child("labels")), fail)
	}
	if annotations := pairs(meta, "annotations", fail); annotations != nil {
		failAll(apivalidation.ValidateAnnotations(annotations, path.Child("annotations")), fail)
	}
}

func failAll(errs field.ErrorList, fail func(string, error)) {
	for _, e := range errs {
		fail(e.Field, explain(e))
	}
}

// pairs reads labels or annotations. Those of Refract's own domain are refused.
func pairs(meta map[string]any, key string, fail func(string, error)) map[string]string {
	if meta[key] == nil {
		delete(meta, key)
		return nil
	}
	at := "metadata." + key
	m, ok := meta[key].(map[string]any)
	if !ok {
		fail(at, fmt.Errorf("%s must be a map of strings", at))
		delete(meta, key)
		return nil
	}
	out := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		value, isText := m[name].(string)
		domain, _, _ := strings.Cut(name, "/")
		switch {
		case !isText:
			fail(at+"["+name+"]", fmt.Errorf("%s[%s] must be a string: quote it", at, name))
		case strings.Contains(name, "/") && (domain == v1alpha1.MetadataDomain || strings.HasSuffix(domain, "."+v1alpha1.MetadataDomain)):
			fail(at+"["+name+"]", fmt.Errorf("%s[%s] is refused: stamps and approvals of %s are not written in files", at, name, v1alpha1.MetadataDomain))
		default:
			out[name] = value
			continue
		}
		delete(m, name)
	}
	return out
}
