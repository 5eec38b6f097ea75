package main

import (
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	title       = "refract"
	description = "Keeps Kubernetes clusters on Nutanix the way Git says."
	homepage    = "https://github.com/refract-dev/refract"
	ourLicense  = "Apache-2.0"

	// Nobody's: no host gives rights to it.
	account = "65532:65532"
)

// platformImage is the image of one platform, and its bill of materials as a manifest that refers to it.
type platformImage struct {
	platform v1.Platform
	digest   v1.Hash
	image    v1.Image
	bill     []byte
	referrer v1.Image
}

func newPlatformImage(from source, p v1.Platform, made program) (platformImage, error) {
	image, err := newImage(from, p, made)
	if err != nil {
		return platformImage{}, err
	}
	digest, err := image.Digest()
	if err != nil {
		return platformImage{}, err
	}
	list, err := bill(from, p, made)
	if err != nil {
		return platformImage{}, fmt.Errorf("writing the bill of materials: %w", err)
	}
	referrer, err := newReferrer(from, image, list)
	return platformImage{platform: p, digest: digest, image: image, bill: list, referrer: referrer}, err
}

// newImage puts the files on an empty base, the platform's own in the upper layer.
func newImage(from source, p v1.Platform, made program) (v1.Image, error) {
	created := v1.Time{Time: from.date}
	base, err := baseFiles()
	if err != nil {
		return nil, err
	}
	own, err := programFiles(from, made)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, l := range []struct {
		what    string
		entries []entry
	}{{"certificates", base}, {"program", own}} {
		var packed v1.Layer
		if packed, err = layer(l.entries, from.date); err != nil {
			return nil, err
		}
		image, err = mutate.Append(image, mutate.Addendum{
			Layer: packed, MediaType: types.OCILayer, History: v1.History{Created: created, CreatedBy: "config/image: " + l.what},
		})
		if err != nil {
			return nil, err
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = p.OS, p.Architecture, created
	config.Config = v1.Config{
		User: account, Entrypoint: []string{"/refract"}, WorkingDir: "/", Labels: labels(from),
	}
	return mutate.ConfigFile(image, config)
}

// labels go into the config of each image and, for registries that look there, onto the index.
func labels(from source) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":       title,
		"org.opencontainers.image.description": description,
		"org.opencontainers.image.url":         homepage,
		"org.opencontainers.image.source":      homepage,
		"org.opencontainers.image.licenses":    ourLicense,
		"org.opencontainers.image.version":     from.version,
		"org.opencontainers.image.revision":    from.revision,
		"org.opencontainers.image.created":     from.date.Format(time.RFC3339),
	}
}

func newIndex(from source, images []platformImage) v1.ImageIndex {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, i := range images {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: i.image, Descriptor: v1.Descriptor{Platform: &i.platform},
		})
	}
	return mutate.Annotations(index, labels(from)).(v1.ImageIndex)
}
