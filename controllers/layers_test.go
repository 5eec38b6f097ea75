package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/refract-dev/refract/render/fleet"
)

func aLayer(t *testing.T, value string) fleet.Layer {
	t.Helper()
	l := fleet.Layer{Name: "extra", Objects: []*unstructured.Unstructured{{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "extra"}, "data": map[string]any{"a": value},
	}}}}
	var err error
	if l.Digest, _, err = fleet.LayerDigest(l.Objects); err != nil {
		t.Fatal(err)
	}
	return l
}

// A layer that is read back is what was built, or it is not used: what another hand put in its place is taken away, so
// that the Fleet builds it again.
func TestLayerReadBack(t *testing.T) {
	reads := 0
	api := stand(t, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if _, ok := o.(*corev1.Secret); ok {
				reads++
			}
			return c.Get(ctx, key, o, opts...)
		},
	})
	l := layers{client: api, reader: api, cache: &layerCache{}}
	layer := aLayer(t, "b")
	built, err := l.store(t.Context(), clusters, layer)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, loadErr := l.load(t.Context(), clusters, built)
		if loadErr != nil || len(got.Objects) != 1 || got.Digest != layer.Digest || got.Name != "extra" {
			t.Fatalf("read back %+v: %v", got, loadErr)
		}
	}
	if reads != 1 {
		t.Errorf("%d reads of an immutable Secret, want 1", reads)
	}

	other, err := pack(aLayer(t, "another").Objects)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"AnotherLayer": other, "NoLayer": []byte("x"), "Nothing": nil} {
		t.Run(name, func(t *testing.T) {
			secret := &corev1.Secret{}
			key := client.ObjectKey{Namespace: clusters, Name: built.Secrets[0]}
			if err := api.Get(t.Context(), key, secret); err != nil {
				t.Fatal(err)
			}
			secret.Data[layerKey] = content
			if err := api.Update(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
			fresh := layers{client: api, reader: api, cache: &layerCache{}}
			_, err := fresh.load(t.Context(), clusters, built)
			broken := new(brokenLayerError)
			if !errors.As(err, &broken) || !strings.Contains(err.Error(), "extra") || !strings.Contains(err.Error(), key.Name) {
				t.Fatalf("not noticed: %v", err)
			}
			if err := fresh.discard(t.Context(), broken); err != nil {
				t.Fatal(err)
			}
			if _, err := fresh.store(t.Context(), clusters, layer); err != nil {
				t.Fatal(err)
			}
			if _, err := fresh.load(t.Context(), clusters, built); err != nil {
				t.Errorf("not mended: %v", err)
			}
		})
	}
}

// The memory for layers is bounded, and one that does not fit is not kept.
func TestLayerCache(t *testing.T) {
	c := &layerCache{}
	const third = layerMemory / 3
	for n := range 5 {
		c.put(fmt.Sprint(n), nil, third)
	}
	c.put("huge", nil, layerMemory+1)
	for digest, want := range map[string]bool{"0": false, "1": false, "2": true, "3": true, "4": true, "huge": false} {
		if _, ok := c.get(digest); ok != want {
			t.Errorf("layer %s is kept: %t", digest, ok)
		}
	}
	if c.total > layerMemory {
		t.Errorf("%d bytes are kept", c.total)
	}
}
