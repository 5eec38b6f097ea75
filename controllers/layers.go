package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
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
}

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

// load reads a layer back.
func (l layers) load(ctx context.Context, namespace string, built v1alpha1.BuiltLayer) (fleet.Layer, error) {
	var packed []byte
	for _, name := range built.Secrets {
		secret := &corev1.Secret{}
		if err := l.reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret); err != nil {
			return fleet.Layer{}, fmt.Errorf("reading layer %s: %w", built.Name, err)
		}
		packed = append(packed, secret.Data[layerKey]...)
	}
	var raw []json.RawMessage
	if err := unpack(packed, &raw); err != nil {
		return fleet.Layer{}, fmt.Errorf("layer %s in Secrets %s is not readable: %w", built.Name, strings.Join(built.Secrets, ", "), err)
	}
	layer := fleet.Layer{Name: built.Name, Digest: built.Digest}
	for _, r := range raw {
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(r); err != nil {
			return fleet.Layer{}, fmt.Errorf("layer %s: %w", built.Name, err)
		}
		layer.Objects = append(layer.Objects, u)
	}
	return layer, nil
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
