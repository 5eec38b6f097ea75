package world

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// lastPolicy refuses one ConfigMap that nobody else makes. The API server takes policies and bindings into account some
// time after it has stored them, each kind in order: once this one holds, those before it do.
const lastPolicy = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: test-world}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  validations: [{expression: "object.metadata.name != 'test-world-policies'", reason: Forbidden}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: test-world}
spec: {policyName: test-world, validationActions: [Deny]}
`

// policiesHold waits until the API server acts on every admission policy applied so far.
func (w *World) policiesHold(ctx context.Context) error {
	if err := w.Apply(ctx, []byte(lastPolicy)); err != nil {
		return err
	}
	c, err := client.New(w.REST, client.Options{})
	if err != nil {
		return fmt.Errorf("connecting to the API server: %w", err)
	}
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		probe := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "test-world-policies"}}
		refused := c.Create(ctx, probe, client.DryRunAll)
		if apierrors.IsForbidden(refused) {
			return true, nil
		}
		return false, refused
	})
	if err != nil {
		return fmt.Errorf("waiting for admission policies to hold: %w", err)
	}
	return nil
}
