package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	schemacel "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/config"
	"github.com/refract-dev/refract/render/build"
)

// schema judges the objects of one kind as the API server does.
type schema struct {
	structural *structuralschema.Structural
	openapi    validation.SchemaValidator
	rules      *schemacel.Validator
}

// schemas of all kinds that files may hold; built on first use, because rules are compiled.
var schemas = sync.OnceValues(func() (map[string]*schema, error) {
	out := map[string]*schema{}
	for _, kind := range kinds {
		s, err := newSchema(kind)
		if err != nil {
			return nil, fmt.Errorf("schema of %s: %w", kind, err)
		}
		out[kind] = s
	}
	return out, nil
})

var kinds = []string{
	v1alpha1.CloudAccountKind, v1alpha1.ClusterProfileKind, v1alpha1.FleetKind, v1alpha1.NutanixClusterSpecKind,
}

func newSchema(kind string) (*schema, error) {
	crd, err := config.CRD(kind)
	if err != nil {
		return nil, err
	}
	for _, version := range crd.Spec.Versions {
		if version.Name != v1alpha1.GroupVersion.Version {
			continue
		}
		props := &apiextensions.JSONSchemaProps{}
		in := version.Schema.OpenAPIV3Schema
		if err = apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(in, props, nil); err != nil {
			return nil, err
		}
		s := &schema{}
		if s.structural, err = structuralschema.NewStructural(props); err != nil {
			return nil, err
		}
		if s.openapi, _, err = validation.NewSchemaValidator(props); err != nil {
			return nil, err
		}
		s.rules = schemacel.NewValidator(s.structural, true, celconfig.PerCallLimit)
		return s, nil
	}
	return nil, fmt.Errorf("the CustomResourceDefinition has no version %s", v1alpha1.GroupVersion.Version)
}

// judge takes unknown fields out of object, sets defaults and returns every mistake at its line of doc.
func (s *schema) judge(doc build.Document, object map[string]any) []*Error {
	var errs []*Error
	fail := func(at string, err error) { errs = append(errs, build.At(doc.Path, doc.LineOf(at), err)) }
	if _, ok := object["status"]; ok {
		fail("status", errors.New("status is not set in files: it is what Refract reports"))
		delete(object, "status")
	}
	metadata(object, fail)
	for _, key := range slices.Sorted(maps.Keys(object)) {
		sub, known := s.structural.Properties[key]
		switch {
		case key == "apiVersion" || key == "kind" || key == "metadata":
		case known:
			unknownFields(&sub, object[key], key, fail)
		default:
			fail(key, unknown(key, key, []string{"spec", "metadata"}))
			delete(object, key)
		}
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(object, s.structural)
	defaulting.Default(object, s.structural)
	wrong := validation.ValidateCustomResource(nil, object, s.openapi)
	wrong = append(wrong, listtype.ValidateListSetsAndMaps(nil, s.structural, object)...)
	if s.rules != nil && !blocking(wrong) {
		//nolint:forbidigo // evaluation is pure; it takes a context for cancellation only and is bounded by its cost
		more, _ := s.rules.Validate(context.Background(), nil, s.structural, object, nil, celconfig.RuntimeCELCostBudget)
		wrong = append(wrong, more...)
	}
	for _, e := range wrong {
		fail(e.Field, explain(e))
	}
	return build.Sort(errs)
}

// blocking says whether rules cannot be evaluated, as the API server sees it.
func blocking(errs field.ErrorList) bool {
	return slices.ContainsFunc(errs, func(e *field.Error) bool {
		switch e.Type {
		case field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			return true
		default:
			return false
		}
	})
}

// explain shortens what the validators say.
func explain(e *field.Error) error {
	detail := strings.TrimPrefix(e.Detail, e.Field+" in body ")
	at := e.Field
	if at == "" || at == "<nil>" {
		at = "the object"
	}
	switch e.Type {
	case field.ErrorTypeRequired:
		return fmt.Errorf("%s is required", at)
	case field.ErrorTypeDuplicate:
		return fmt.Errorf("%s is there twice: %v", at, e.BadValue)
	case field.ErrorTypeNotSupported:
		return fmt.Errorf("%s: %v is not one of the values it may have; %s", at, e.BadValue, detail)
	case field.ErrorTypeTypeInvalid:
		if detail == `must be of type string: "integer"` || detail == `must be of type string: "number"` || detail == `must be of type string: "boolean"` {
			detail += ": quote it"
		}
	default:
	}
	return fmt.Errorf("%s: %s", at, detail)
}

// unknownFields reports fields that the schema does not know, and takes them out.
func unknownFields(s *structuralschema.Structural, value any, at string, fail func(string, error)) {
	switch v := value.(type) {
	case []any:
		if s.Items == nil {
			return
		}
		for i, item := range v {
			unknownFields(s.Items, item, fmt.Sprintf("%s[%d]", at, i), fail)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			unknownField(s, v, key, at, fail)
		}
	}
}

func unknownField(s *structuralschema.Structural, object map[string]any, key, at string, fail func(string, error)) {
	sub, known := s.Properties[key]
	switch {
	case known:
		unknownFields(&sub, object[key], at+"."+key, fail)
	case s.AdditionalProperties != nil:
		if s.AdditionalProperties.Structural != nil {
			unknownFields(s.AdditionalProperties.Structural, object[key], at+"["+key+"]", fail)
		}
	case s.Type != "object" || s.XPreserveUnknownFields: // a wrong type is reported by validation
	default:
		fail(at+"."+key, unknown(at+"."+key, key, slices.Sorted(maps.Keys(s.Properties))))
		delete(object, key)
	}
}

func unknown(at, name string, known []string) error {
	if near := build.Nearest(name, known); near != "" {
		return fmt.Errorf("unknown field %s: did you mean %s?", at, near)
	}
	return fmt.Errorf("unknown field %s", at)
}
