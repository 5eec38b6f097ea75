package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
)

// served says whether the word on the Fleet let something go on in this reconcile: it approves all that was held
// together, and that is no longer what is held.
func (s *scene) served() bool {
	held, accepted := map[string]plan.Plan{}, false
	for name := range s.mirrors {
		if p := s.records[name].Held.unpacked(); p != nil {
			held[name] = *p
		}
		p := s.proposed[name]
		accepted = accepted || (p != nil && p.held == nil && p.decision.Approved)
	}
	digest := s.fleet.Annotations[v1alpha1.ApprovedPlanAnnotation]
	return accepted && digest != "" && digest == plan.FleetDigest(held)
}

// unapprove removes the approval that was read, so that one word serves one plan. A word that was given since is another,
// and stays. The admission policy lets anybody remove it.
func unapprove(ctx context.Context, c client.Client, reader client.Reader, o client.Object) error {
	var operations []map[string]string
	for _, name := range approval {
		if value := o.GetAnnotations()[name]; value != "" {
			at := "/metadata/annotations/" + strings.ReplaceAll(name, "/", "~1")
			operations = append(operations, map[string]string{"op": "test", "path": at, "value": value}, map[string]string{"op": "remove", "path": at})
		}
	}
	now, ok := o.DeepCopyObject().(client.Object)
	if len(operations) == 0 || !ok {
		return nil
	}
	patch, err := json.Marshal(operations)
	if err != nil {
		return fmt.Errorf("removing the spent approval: %w", err)
	}
	err = c.Patch(ctx, now, client.RawPatch(types.JSONPatchType, patch), client.FieldOwner(v1alpha1.FleetFieldManager))
	if apierrors.IsInvalid(err) && approvedSince(ctx, reader, o) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("removing the spent approval: %w", err)
	}
	return nil
}

// approval are the annotations of one.
var approval = []string{v1alpha1.ApprovedPlanAnnotation, v1alpha1.ApprovedByAnnotation}

// approvedSince says whether an object's approval is another than when the object was read, or gone.
func approvedSince(ctx context.Context, reader client.Reader, o client.Object) bool {
	now, ok := o.DeepCopyObject().(client.Object)
	if !ok || reader.Get(ctx, client.ObjectKeyFromObject(o), now) != nil {
		return false
	}
	return slices.ContainsFunc(approval, func(name string) bool { return now.GetAnnotations()[name] != o.GetAnnotations()[name] })
}
