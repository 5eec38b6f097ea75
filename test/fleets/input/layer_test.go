package input

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/rig"
)

// TestALostLayerComesBack deletes the Secret that holds a built layer: the Fleet builds it again from Git, and nothing of
// the cluster is written.
func TestALostLayerComesBack(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &here)
	edge := fleets.Edge("edge-01")
	edge.Profile = "1.0.1"
	s.Push("a profile with a layer", map[string]string{
		"fleet/layers/extra/kustomization.yaml": "resources: [quota.yaml]\n",
		"fleet/layers/extra/quota.yaml":         "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra, namespace: default}\ndata: {a: b}\n",
		"fleet/profile-next.yaml":               rig.Profile("1.0.1", "v1.33.4") + "    - name: extra\n      type: AddOn\n      kustomize: {path: layers/extra}\n",
	})
	s.Launch(nil, edge)
	kept := s.Inventory(edge.Name)
	layers := func() []corev1.Secret {
		list := &corev1.SecretList{}
		if err := s.Client.List(t.Context(), list, client.InNamespace(s.Namespace), client.HasLabels{v1alpha1.LayerLabel}); err != nil {
			t.Fatal(err)
		}
		return list.Items
	}
	before := layers()
	if len(before) != 1 {
		t.Fatalf("%d layer Secrets, want 1", len(before))
	}
	if err := s.Client.Delete(t.Context(), &before[0]); err != nil {
		t.Fatal(err)
	}
	s.Within(fleets.Soon, "the layer is back", func() error {
		now := layers()
		if len(now) != 1 || now[0].Name != before[0].Name || now[0].UID == before[0].UID {
			return errors.New("not yet")
		}
		return nil
	})
	s.Same(kept, s.Inventory(edge.Name))
}
