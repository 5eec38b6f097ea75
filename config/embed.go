// Package config holds what is installed into a management cluster: the CRDs (crd/bases, generated), the operator's
// RBAC (rbac, generated) and the admission policies (policy). What code needs of it is embedded, so that the same
// schemas judge a file on a laptop and an object in the API server.
package config

import (
	"bufio"
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

//go:embed crd/bases/*.yaml policy/*.yaml
var files embed.FS

// kustomizationFile lists the other files of its directory and is no object itself.
const kustomizationFile = "kustomization.yaml"

// CRDs returns every CustomResourceDefinition, sorted by file name. Each call decodes anew, so a caller may change what
// it gets. An error means that this build of Refract is broken.
func CRDs() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	var crds []*apiextensionsv1.CustomResourceDefinition
	err := documents("crd/bases", func(document []byte) error {
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(document, crd); err != nil {
			return err
		}
		crds = append(crds, crd)
		return nil
	})
	return crds, err
}

// CRD returns the CustomResourceDefinition of a kind, such as v1alpha1.FleetKind. It fails for a kind that is not ours.
func CRD(kind string) (*apiextensionsv1.CustomResourceDefinition, error) {
	crds, err := CRDs()
	if err != nil {
		return nil, err
	}
	for _, crd := range crds {
		if crd.Spec.Names.Kind == kind {
			return crd, nil
		}
	}
	return nil, fmt.Errorf("no CustomResourceDefinition for kind %q is part of Refract", kind)
}

// Policies returns the admission policies and their bindings, sorted by file name. Each call decodes anew. An error
// means that this build of Refract is broken.
func Policies() ([]*unstructured.Unstructured, error) {
	var policies []*unstructured.Unstructured
	err := documents("policy", func(document []byte) error {
		policy := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &policy.Object); err != nil {
			return err
		}
		policies = append(policies, policy)
		return nil
	})
	return policies, err
}

// documents calls f with each YAML document below an embedded directory.
func documents(dir string, f func(document []byte) error) error {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return fmt.Errorf("reading embedded %s: %w", dir, err)
	}
	for _, entry := range entries {
		if entry.Name() == kustomizationFile {
			continue
		}
		name := path.Join(dir, entry.Name())
		if err := eachDocument(name, f); err != nil {
			return fmt.Errorf("reading embedded %s: %w", name, err)
		}
	}
	return nil
}

func eachDocument(name string, f func(document []byte) error) error {
	data, err := files.ReadFile(name)
	if err != nil {
		return err
	}
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := f(document); err != nil {
			return err
		}
	}
}
