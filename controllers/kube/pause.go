package kube

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// Annotations of clusterctl move.
const (
	deleteForMove = "clusterctl.cluster.x-k8s.io/delete-for-move"
	blockMove     = "clusterctl.cluster.x-k8s.io/block-move"
)

// Pause says that Cluster API is stopped for a cluster, or that the cluster is being moved.
type Pause struct {
	// Field that says so: spec.paused or an annotation.
	Field string
	// Manager that wrote it; "refract" when it is our own spec.paused.
	Manager string
	// Moving: clusterctl is at it.
	Moving bool
}

// Ours says that the pause is what we rendered ourselves, so that applying goes on.
func (p Pause) Ours() bool { return !p.Moving && p.Manager == v1alpha1.FieldManager }

// paused finds what stops a Cluster; another hand's pause before our own.
func paused(cluster *unstructured.Unstructured) *Pause {
	for _, a := range []string{deleteForMove, blockMove} {
		if _, ok := cluster.GetAnnotations()[a]; ok {
			return &Pause{Field: "annotation " + a, Manager: owner(cluster, annotation(a)...), Moving: true}
		}
	}
	if _, ok := cluster.GetAnnotations()[clusterv1.PausedAnnotation]; ok {
		return &Pause{Field: "annotation " + clusterv1.PausedAnnotation, Manager: owner(cluster, annotation(clusterv1.PausedAnnotation)...)}
	}
	if on, _, _ := unstructured.NestedBool(cluster.Object, "spec", "paused"); on {
		by := owner(cluster, step{name: "spec"}, step{name: "paused"})
		return &Pause{Field: "spec.paused", Manager: by, Moving: by == "clusterctl"}
	}
	return nil
}

func annotation(name string) []step {
	return []step{{name: "metadata"}, {name: "annotations"}, {name: name}}
}

// owner is who wrote a field last; we, when we are among its owners.
func owner(o *unstructured.Unstructured, way ...step) string {
	writer, at := "unknown", (*metav1.Time)(nil)
	for _, e := range o.GetManagedFields() {
		if !parseFields(e).covers(way) {
			continue
		}
		if isOurs(e) {
			return e.Manager
		}
		if at == nil || at.Before(e.Time) {
			writer, at = e.Manager, e.Time
		}
	}
	return writer
}

// progress is a digest over what changes as machines come and go, and over nothing that flaps.
func progress(o observed) string {
	phase, _, _ := unstructured.NestedString(o.cluster.Object, "status", "phase")
	lines := []string{"cluster " + phase}
	for _, m := range o.machines {
		lines = append(lines, fmt.Sprintf("machine %s %s %s %t", m.Name, m.UID, m.Status.Phase, m.DeletionTimestamp != nil))
	}
	for _, s := range o.machineSets {
		lines = append(lines, fmt.Sprintf("set %s %d", s.Name, replicas(s.Spec.Replicas)))
	}
	for _, d := range o.deployments {
		lines = append(lines, fmt.Sprintf("pool %s %d", d.GetName(), d.GetGeneration()))
	}
	if o.controlPlane != nil {
		lines = append(lines, fmt.Sprintf("control plane %s %d", o.controlPlane.GetName(), o.controlPlane.GetGeneration()))
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:8])
}
