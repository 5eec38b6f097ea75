package api

import (
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/config"
)

// rule is a change of a valid object and what the API server says to it.
type rule struct {
	reason string
	kind   string
	set    fields
	update bool   // the change is made to an object that exists
	refuse string // part of the message; empty: accepted
}

// TestSamples shows that the objects that every case below starts from are accepted as they are.
func TestSamples(t *testing.T) {
	for _, kind := range []string{"Fleet", "CloudAccount", "ClusterProfile", "NutanixClusterSpec"} {
		t.Run(kind, func(t *testing.T) {
			if err := create(t, rule{kind: kind}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRules(t *testing.T) {
	for name, c := range rules() {
		t.Run(name, func(t *testing.T) {
			do := create
			if c.update {
				do = update
			}
			err := do(t, c)
			switch {
			case c.refuse == "" && err != nil:
				t.Errorf("%s: refused: %v", c.reason, err)
			case c.refuse != "" && err == nil:
				t.Errorf("%s: accepted, want %q", c.reason, c.refuse)
			case c.refuse != "" && !strings.Contains(err.Error(), c.refuse):
				t.Errorf("%s: want %q, got: %v", c.reason, c.refuse, err)
			}
		})
	}
}

// TestEveryRuleIsTested fails for a CEL rule that no case refuses by its message.
func TestEveryRuleIsTested(t *testing.T) {
	crds, err := config.CRDs()
	if err != nil {
		t.Fatal(err)
	}
	var refusals []string
	for _, c := range rules() {
		refusals = append(refusals, c.refuse)
	}
	seen := strings.Join(refusals, "\n")
	for _, crd := range crds {
		for _, message := range messages(crd.Spec.Versions[0].Schema.OpenAPIV3Schema) {
			if !strings.Contains(seen, message) {
				t.Errorf("%s: no case is refused with %q", crd.Spec.Names.Kind, message)
			}
		}
	}
}

// messages lists the messages of all CEL rules of a schema.
func messages(s *apiextensionsv1.JSONSchemaProps) []string {
	var found []string
	for _, v := range s.XValidations {
		found = append(found, v.Message)
	}
	for _, p := range s.Properties {
		found = append(found, messages(&p)...)
	}
	if s.Items != nil && s.Items.Schema != nil {
		found = append(found, messages(s.Items.Schema)...)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		found = append(found, messages(s.AdditionalProperties.Schema)...)
	}
	return found
}

// create asks whether the API server would take a new object.
func create(t *testing.T, c rule) error {
	t.Helper()
	return admin.Create(t.Context(), sample(t, c.kind, c.set), client.DryRunAll)
}

// update asks whether the API server would take a change of an object that exists.
func update(t *testing.T, c rule) error {
	t.Helper()
	o := sample(t, c.kind)
	o.SetName("stored")
	if err := admin.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	remove(t, o)
	change(t, o, c.set)
	return admin.Update(t.Context(), o, client.DryRunAll)
}
