package drift

import (
	"bytes"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/drift/hand"
	"github.com/refract-dev/refract/test/rig"
)

// TestNamespaceStaysProtected takes the label off a namespace that holds a Protect cluster with nothing to apply: it is
// put back at once, and after the operator was away.
func TestNamespaceStaysProtected(t *testing.T) {
	s := hand.NewScene(t, &shared, "protected")
	s.Declare(nil, s.Small("protected-1"))
	s.InSync("protected-1")
	protected := func(what string) {
		t.Helper()
		s.Within(hand.Soon, what, func() error {
			ns := &corev1.Namespace{}
			if err := s.Client.Get(t.Context(), client.ObjectKey{Name: s.Namespace}, ns); err != nil {
				return err
			}
			if ns.Labels[v1alpha1.ProtectLabel] != "true" {
				return fmt.Errorf("labels are %v", ns.Labels)
			}
			return nil
		})
	}
	protected("protected")
	take := func() { s.Kubectl("label", "namespace", s.Namespace, v1alpha1.ProtectLabel+"-") }
	take()
	protected("protected again")
	s.Restart(take)
	protected("protected after a restart")
}

// TestLayerOfAnotherContent puts something else in the place of a built layer while the operator is away: it is not
// believed, and the layer is built again from Git.
func TestLayerOfAnotherContent(t *testing.T) {
	s := hand.NewScene(t, &shared, "layer")
	c := s.Small("layer-1")
	c.Profile = "1.0.1"
	s.Push("a profile with a layer", map[string]string{
		"fleet/layers/extra/kustomization.yaml": "resources: [quota.yaml]\n",
		"fleet/layers/extra/quota.yaml":         "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra, namespace: default}\ndata: {a: b}\n",
		"fleet/profile-next.yaml":               rig.Profile("1.0.1", "v1.33.4") + "    - name: extra\n      type: AddOn\n      kustomize: {path: layers/extra}\n",
	})
	s.Declare(nil, c)
	s.InSync("layer-1")
	layer := func() *corev1.Secret {
		t.Helper()
		list := &corev1.SecretList{}
		if err := s.Client.List(t.Context(), list, client.InNamespace(s.Namespace), client.HasLabels{v1alpha1.LayerLabel}); err != nil {
			t.Fatal(err)
		}
		if len(list.Items) == 0 {
			return &corev1.Secret{}
		}
		return &list.Items[0]
	}
	built := layer()
	var planted *corev1.Secret
	s.Restart(func() {
		if err := s.Client.Delete(t.Context(), built); err != nil {
			t.Fatal(err)
		}
		planted = &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: built.Name, Labels: built.Labels},
			Immutable:  built.Immutable, Data: map[string][]byte{"objects": []byte("another content")},
		}
		s.Create(planted)
	})
	s.Within(hand.Soon, "the layer is what was built", func() error {
		now := layer()
		if now.UID == planted.UID || !bytes.Equal(now.Data["objects"], built.Data["objects"]) {
			return fmt.Errorf("it holds %d bytes", len(now.Data["objects"]))
		}
		return nil
	})
	s.Said("layer-1", v1alpha1.MirrorEditedReason, "layer extra", built.Name, "built again")
	s.Loosen("layer-1-workers", "51%")
	s.Tight("layer-1-workers")
	s.InSync("layer-1")
}
