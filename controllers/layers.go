package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/fleet"
)

const (
	// layerChunk keeps a Secret well below the API server's bound of 1 MiB for an object, after base64.
	layerChunk = 600 << 10
	// layerGrace is how long an unused layer is kept: another Fleet may be about to refer to it.
	layerGrace = 10 * time.Minute
	layerKey   = "objects"
)

// layers keeps built layers in immutable Secrets named after their content, so that cluster controllers read the API
// alone and a layer is stored once however many clusters use it.
type layers struct {
	client client.Client
	reader client.Reader
	cache  *layerCache
}

// brokenLayerError says that what a layer's Secrets hold is not what their names promise.
type brokenLayerError struct {
	layer   v1alpha1.BuiltLayer
	secrets []*corev1.Secret
	err     error
}

// Error names layer and Secrets, and what happens next.
func (e *brokenLayerError) Error() string {
	return fmt.Sprintf("layer %s in Secret %s is not what was built: %v. It is deleted and built again from Git", e.layer.Name, strings.Join(e.layer.Secrets, ", "), e.err)
}

// Unwrap gives the cause.
func (e *brokenLayerError) Unwrap() error { return e.err }

// store writes a layer's Secrets where they do not exist and says where it is.
func (l layers) store(ctx context.Context, namespace string, layer fleet.Layer) (v1alpha1.BuiltLayer, error) {
	built := v1alpha1.BuiltLayer{Name: layer.Name, Digest: layer.Digest}
	packed, err := pack(layer.Objects)
	if err != nil {
		return built, fmt.Errorf("packing layer %s: %w", layer.Name, err)
	}
	short := shortDigest(layer.Digest)
	for n, chunk := range slices.Collect(slices.Chunk(packed, layerChunk)) {
		name := fmt.Sprintf("refract-layer-%s-%d", short, n)
		built.Secrets = append(built.Secrets, name)
		if err := l.create(ctx, namespace, name, short, chunk); err != nil {
			return built, fmt.Errorf("storing layer %s in Secret %s/%s: %w", layer.Name, namespace, name, err)
		}
	}
	return built, nil
}

func (l layers) create(ctx context.Context, namespace, name, short string, chunk []byte) error {
	have := &metav1.PartialObjectMetadata{}
	have.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := l.reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, have)
	if err == nil || !apierrors.IsNotFound(err) {
		return err
	}
	immutable := true
	err = l.client.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{v1alpha1.LayerLabel: short}},
		Immutable:  &immutable,
		Data:       map[string][]byte{layerKey: chunk},
	}, client.FieldOwner(v1alpha1.FleetFieldManager))
	if apierrors.IsAlreadyExists(err) {
		return nil // by another Fleet, with the same content: the name says so
	}
	return err
}

// load reads a layer back. Content that does not have the layer's digest is a *brokenLayerError.
func (l layers) load(ctx context.Context, namespace string, built v1alpha1.BuiltLayer) (fleet.Layer, error) {
	if objects, ok := l.cache.get(built.Digest); ok {
		return fleet.Layer{Name: built.Name, Digest: built.Digest, Objects: objects}, nil
	}
	var packed []byte
	var secrets []*corev1.Secret
	for _, name := range built.Secrets {
		secret := &corev1.Secret{}
		if err := l.reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret); err != nil {
			return fleet.Layer{}, fmt.Errorf("reading layer %s: %w", built.Name, err)
		}
		secrets = append(secrets, secret)
		packed = append(packed, secret.Data[layerKey]...)
	}
	objects, size, err := unpackLayer(packed, built.Digest)
	if err != nil {
		return fleet.Layer{}, &brokenLayerError{layer: built, secrets: secrets, err: err}
	}
	l.cache.put(built.Digest, objects, size)
	return fleet.Layer{Name: built.Name, Digest: built.Digest, Objects: objects}, nil
}

// unpackLayer also says how many bytes the objects are as JSON.
func unpackLayer(packed []byte, digest string) ([]*unstructured.Unstructured, int, error) {
	var raw []json.RawMessage
	if err := unpack(packed, &raw); err != nil {
		return nil, 0, fmt.Errorf("not readable: %w", err)
	}
	var objects []*unstructured.Unstructured
	for _, r := range raw {
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(r); err != nil {
			return nil, 0, fmt.Errorf("not readable: %w", err)
		}
		objects = append(objects, u)
	}
	have, size, err := fleet.LayerDigest(objects)
	switch {
	case err != nil:
		return nil, 0, err
	case have != digest:
		return nil, 0, fmt.Errorf("its digest is %s, want %s", have, digest)
	}
	return objects, size, nil
}

// discard deletes the Secrets of a broken layer, as they were read, so that the Fleet misses them.
func (l layers) discard(ctx context.Context, broken *brokenLayerError) error {
	for _, s := range broken.secrets {
		if err := l.client.Delete(ctx, s, client.Preconditions{UID: &s.UID}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting Secret %s, which does not hold the layer that it is named after: %w", client.ObjectKeyFromObject(s), err)
		}
	}
	return nil
}

// layerMemory is how many bytes of layers, as JSON, are kept in memory: 8 MiB.
const layerMemory = 8 << 20

// layerCache keeps the objects of layers by digest: they are immutable, and many clusters use the same. Nobody changes
// objects that came from it. A nil cache keeps nothing.
type layerCache struct {
	mu    sync.Mutex
	held  map[string][]*unstructured.Unstructured
	sizes map[string]int
	order []string
	total int
}

func (c *layerCache) get(digest string) ([]*unstructured.Unstructured, bool) {
	if c == nil {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	objects, ok := c.held[digest]
	return objects, ok
}

// put keeps a layer and drops those kept longest when there is no room.
func (c *layerCache) put(digest string, objects []*unstructured.Unstructured, size int) {
	if c == nil || size > layerMemory {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		c.held, c.sizes = map[string][]*unstructured.Unstructured{}, map[string]int{}
	}
	if _, ok := c.held[digest]; ok {
		return
	}
	for c.total+size > layerMemory {
		oldest := c.order[0]
		c.total -= c.sizes[oldest]
		c.order = c.order[1:]
		delete(c.held, oldest)
		delete(c.sizes, oldest)
	}
	c.held[digest], c.sizes[digest] = objects, size
	c.order, c.total = append(c.order, digest), c.total+size
}

// stored lists the names of the layer Secrets of a namespace.
func (l layers) stored(ctx context.Context, namespace string) (map[string]bool, error) {
	secrets := &metav1.PartialObjectMetadataList{}
	secrets.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := l.reader.List(ctx, secrets, client.InNamespace(namespace), client.HasLabels{v1alpha1.LayerLabel}); err != nil {
		return nil, fmt.Errorf("listing layers in %s: %w", namespace, err)
	}
	names := map[string]bool{}
	for i := range secrets.Items {
		names[secrets.Items[i].Name] = true
	}
	return names, nil
}

// collect deletes the layers of a namespace that no profile there refers to, once they are old enough.
func (l layers) collect(ctx context.Context, namespace string, now time.Time) error {
	secrets := &metav1.PartialObjectMetadataList{}
	secrets.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	if err := l.reader.List(ctx, secrets, client.InNamespace(namespace), client.HasLabels{v1alpha1.LayerLabel}); err != nil {
		return fmt.Errorf("listing layers in %s: %w", namespace, err)
	}
	profiles := &v1alpha1.ClusterProfileList{}
	if err := l.reader.List(ctx, profiles, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("listing profiles in %s: %w", namespace, err)
	}
	used := map[string]bool{}
	for i := range profiles.Items {
		for _, built := range profiles.Items[i].Status.Layers {
			for _, name := range built.Secrets {
				used[name] = true
			}
		}
	}
	for i := range secrets.Items {
		s := &secrets.Items[i]
		if used[s.Name] || now.Sub(s.CreationTimestamp.Time) < layerGrace {
			continue
		}
		if err := l.client.Delete(ctx, s, client.Preconditions{UID: &s.UID}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting unused layer %s/%s: %w", namespace, s.Name, err)
		}
	}
	return nil
}
