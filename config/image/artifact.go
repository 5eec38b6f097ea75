package main

import (
	"encoding/json"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const billType types.MediaType = "application/vnd.cyclonedx+json"

// artifact is a manifest of one file that refers to an image, as OCI 1.1 has it: an empty config and an artifact type.
type artifact struct {
	manifest []byte
	content  v1.Layer
}

var emptyConfig = []byte("{}")

// newReferrer attaches a bill of materials to an image.
func newReferrer(from source, image v1.Image, list []byte) (v1.Image, error) {
	subject, err := partial.Descriptor(image)
	if err != nil {
		return nil, err
	}
	a := artifact{content: static.NewLayer(list, billType)}
	layer, err := partial.Descriptor(a.content)
	if err != nil {
		return nil, err
	}
	config, err := partial.Descriptor(static.NewLayer(emptyConfig, types.OCIEmptyJSON))
	if err != nil {
		return nil, err
	}
	a.manifest, err = json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: string(billType),
		Config: *config, Layers: []v1.Descriptor{*layer},
		Subject:     &v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
		Annotations: map[string]string{"org.opencontainers.image.created": from.date.Format(time.RFC3339)},
	})
	if err != nil {
		return nil, err
	}
	return partial.CompressedToImage(a)
}

// MediaType is that of the manifest.
func (a artifact) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// RawManifest returns the manifest's bytes.
func (a artifact) RawManifest() ([]byte, error) { return a.manifest, nil }

// RawConfigFile returns the empty config.
func (a artifact) RawConfigFile() ([]byte, error) { return emptyConfig, nil }

// LayerByDigest returns the only layer, or the config for whoever asks for that.
func (a artifact) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	if own, err := a.content.Digest(); err == nil && digest == own {
		return a.content, nil
	}
	return partial.ConfigLayer(a)
}
