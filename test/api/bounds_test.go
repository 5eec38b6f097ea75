package api

import (
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/refract-dev/refract/config"
)

// TestEverythingIsBounded demands that whatever people write has an upper bound, so that no object outgrows what the
// API server stores and no CEL rule what it computes.
func TestEverythingIsBounded(t *testing.T) {
	crds, err := config.CRDs()
	if err != nil {
		t.Fatal(err)
	}
	for _, crd := range crds {
		spec := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
		bounded(t, crd.Spec.Names.Kind+".spec", &spec)
	}
}

func bounded(t *testing.T, at string, s *apiextensionsv1.JSONSchemaProps) {
	t.Helper()
	switch s.Type {
	case "array":
		if s.MaxItems == nil {
			t.Errorf("%s: a list without maxItems", at)
		}
		bounded(t, at+"[]", s.Items.Schema)
	case "string":
		// Patterns without a length are those of a fixed one, such as a commit.
		if s.MaxLength == nil && s.Enum == nil && s.Pattern == "" {
			t.Errorf("%s: a string without maxLength, enum or pattern", at)
		}
	case "object":
		if s.AdditionalProperties != nil && s.MaxProperties == nil {
			t.Errorf("%s: a map without maxProperties", at)
		}
	}
	for name, p := range s.Properties {
		bounded(t, at+"."+name, &p)
	}
}
