package fleet

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	celconfig "k8s.io/apiserver/pkg/apis/cel"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
)

// Immutable finds what a revision of a cluster changes of an earlier one although it never changes on a living cluster,
// by the same rules of the CRD that the API server refuses it with. The error joins *Error at lines of head. Both must be
// usable: Err is nil.
func Immutable(head, base Cluster) error {
	all, err := schemas()
	if err != nil {
		return fmt.Errorf("this build of Refract is broken: %w", err)
	}
	s := all[v1alpha1.NutanixClusterSpecKind]
	now, err := bare(head)
	if err != nil {
		return err
	}
	was, err := bare(base)
	if err != nil {
		return err
	}
	if s.rules == nil {
		return nil
	}
	var errs []*Error
	// Rules that look at one revision alone hold for both by now.
	//nolint:forbidigo // evaluation is pure; it takes a context for cancellation only and is bounded by its cost
	wrong, _ := s.rules.Validate(context.Background(), nil, s.structural, now, was, celconfig.RuntimeCELCostBudget)
	for _, e := range wrong {
		at := head.Place
		if head.Lines.Known() {
			at = head.Lines.Place(e.Field)
		}
		errs = append(errs, build.At(at.Path, at.Line, explain(e)))
	}
	return build.Join(build.Sort(errs))
}

// bare is a cluster's name and spec as the API server has them.
func bare(c Cluster) (map[string]any, error) {
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&v1alpha1.NutanixClusterSpec{Spec: c.Object.Spec})
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", c.Object.Name, err)
	}
	delete(object, "status")
	object["metadata"] = map[string]any{"name": c.Object.Name}
	return object, nil
}
