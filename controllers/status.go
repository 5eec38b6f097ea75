package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// A NutanixClusterSpec's status has two writers, each with its own field manager: whoever gates writes condition
// SourceAccepted, plan and failures; the cluster controller writes the rest. Both apply server-side and only when
// something differs, so that a settled cluster is not written at all.

// applyStatus applies the part of a status that one manager owns. A version makes that a conflict once the object has
// another one; "" is any.
func applyStatus(ctx context.Context, c client.Client, obj client.Object, kind, manager, version string, status map[string]any) error {
	u := &unstructured.Unstructured{Object: map[string]any{"status": status}}
	u.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	u.SetNamespace(obj.GetNamespace())
	u.SetName(obj.GetName())
	u.SetResourceVersion(version)
	err := c.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(manager), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("writing the status of %s %s: %w", kind, client.ObjectKeyFromObject(obj), err)
	}
	return nil
}

// publishSource writes what whoever gates says about a cluster, if it differs from before.
func publishSource(ctx context.Context, c client.Client, before, after *v1alpha1.NutanixClusterSpec) error {
	if equality.Semantic.DeepEqual(sourcePart(before), sourcePart(after)) {
		return nil
	}
	status, err := toMap(sourcePart(after))
	if err != nil {
		return err
	}
	return applyStatus(ctx, c, after, v1alpha1.NutanixClusterSpecKind, v1alpha1.FleetFieldManager, "", status)
}

// publishCluster writes what the cluster controller says about a cluster, if it differs from before.
func publishCluster(ctx context.Context, c client.Client, before, after *v1alpha1.NutanixClusterSpec) error {
	if equality.Semantic.DeepEqual(clusterPart(before), clusterPart(after)) {
		return nil
	}
	status, err := toMap(clusterPart(after))
	if err != nil {
		return err
	}
	return applyStatus(ctx, c, after, v1alpha1.NutanixClusterSpecKind, v1alpha1.ClusterFieldManager, "", status)
}

// sourceStatus is the part of the status that belongs to whoever gates.
type sourceStatus struct {
	Plan       v1alpha1.PlanStatus `json:"plan"`
	Failures   []v1alpha1.Failure  `json:"failures,omitempty"`
	Conditions []metav1.Condition  `json:"conditions,omitempty"`
}

func sourcePart(c *v1alpha1.NutanixClusterSpec) sourceStatus {
	return sourceStatus{Plan: c.Status.Plan, Failures: c.Status.Failures, Conditions: pick(c.Status.Conditions, isSourceCondition)}
}

// clusterPart is the rest of the status.
func clusterPart(c *v1alpha1.NutanixClusterSpec) v1alpha1.NutanixClusterSpecStatus {
	s := *c.Status.DeepCopy()
	s.Plan, s.Failures = v1alpha1.PlanStatus{}, nil
	s.Conditions = pick(s.Conditions, func(t string) bool { return !isSourceCondition(t) })
	return s
}

func isSourceCondition(t string) bool { return t == v1alpha1.SourceAcceptedCondition }

func pick(all []metav1.Condition, wanted func(string) bool) []metav1.Condition {
	return slices.DeleteFunc(slices.Clone(all), func(c metav1.Condition) bool { return !wanted(c.Type) })
}

// toMap turns a status into the form to apply, without what is empty: an empty plan is no opinion about plan.
func toMap(v any) (map[string]any, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("packing status: %w", err)
	}
	m := map[string]any{}
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, fmt.Errorf("packing status: %w", err)
	}
	for key, value := range m {
		if inner, ok := value.(map[string]any); ok && len(inner) == 0 {
			delete(m, key)
		}
	}
	return m, nil
}

// applyWhole applies the status of an object that has one writer, if it differs from before. version is as in applyStatus.
func applyWhole(ctx context.Context, c client.Client, obj client.Object, kind, version string, before, after any) error {
	if equality.Semantic.DeepEqual(before, after) {
		return nil
	}
	status, err := toMap(after)
	if err != nil {
		return err
	}
	return applyStatus(ctx, c, obj, kind, v1alpha1.FleetFieldManager, version, status)
}

// conditionOf returns a condition or nil.
func conditionOf(obj conditioned, t string) *metav1.Condition {
	return meta.FindStatusCondition(obj.GetConditions(), t)
}

// shortRevision is the first seven digits of a revision's hash, for tables.
func shortRevision(revision string) string {
	hash := revision[strings.LastIndex(revision, ":")+1:]
	return hash[:min(7, len(hash))]
}
