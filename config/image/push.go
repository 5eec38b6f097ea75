package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// push writes the layout's image and what refers to it to a registry, and returns the image's name with tag and digest.
// Without a tag in the name, the version is the tag. Credentials are those of docker login.
func push(ctx context.Context, dir, image string) (string, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return "", fmt.Errorf("%s is not an image layout; run image build first: %w", dir, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return "", err
	}
	if len(manifest.Manifests) == 0 || !manifest.Manifests[0].MediaType.IsIndex() {
		return "", fmt.Errorf("%s was not written by image build", dir)
	}
	first, others := manifest.Manifests[0], manifest.Manifests[1:]
	tag, err := destination(image, first.Annotations[refName])
	if err != nil {
		return "", err
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
	platforms, err := index.ImageIndex(first.Digest)
	if err != nil {
		return "", err
	}
	// Everything is there before the tag points to it.
	if err := remote.WriteIndex(tag.Digest(first.Digest.String()), platforms, options...); err != nil {
		return "", fmt.Errorf("pushing the image: %w", err)
	}
	if err := pushReferrers(tag, index, others, options); err != nil {
		return "", fmt.Errorf("pushing the bills of materials: %w", err)
	}
	if err := remote.Tag(tag, platforms, options...); err != nil {
		return "", fmt.Errorf("tagging the image: %w", err)
	}
	return tag.Name() + "@" + first.Digest.String(), nil
}

func pushReferrers(tag name.Tag, index v1.ImageIndex, of []v1.Descriptor, options []remote.Option) error {
	for _, d := range of {
		referrer, err := index.Image(d.Digest)
		if err != nil {
			return err
		}
		if err := remote.Write(tag.Digest(d.Digest.String()), referrer, options...); err != nil {
			return err
		}
	}
	return nil
}

// destination is where to push: a name that says the registry, with its own tag or else the given one.
func destination(image, version string) (name.Tag, error) {
	if tag, err := name.NewTag(image, name.StrictValidation); err == nil {
		return tag, nil
	}
	repository, err := name.NewRepository(image, name.StrictValidation)
	if err != nil {
		return name.Tag{}, errors.Join(errors.New("name registry, repository and perhaps tag, such as registry.example.com/refract:v1.0.0"), err)
	}
	return repository.Tag(version), nil
}
