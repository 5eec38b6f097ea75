package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// InputsDigest is one digest over all that a cluster is rendered from: its spec, the contents of its profiles and its
// account's spec; "sha256:" and 64 hexadecimal digits. The cluster must be usable: c.Err is nil.
func InputsDigest(c Cluster) string {
	inputs := struct {
		Spec     v1alpha1.NutanixClusterSpecSpec
		Profiles []string
		Account  *v1alpha1.CloudAccountSpec
	}{Spec: c.Object.Spec}
	for _, p := range c.Profiles {
		inputs.Profiles = append(inputs.Profiles, p.ContentDigest)
	}
	if c.Account != nil {
		inputs.Account = &c.Account.Object.Spec
	}
	digest, _, err := digestJSON(inputs)
	if err != nil {
		return "" // types of the API always marshal
	}
	return digest
}

// ContentDigest is the digest of a profile read back from the API, with its layers; see Profile.ContentDigest.
func ContentDigest(p Profile) string {
	digest, err := contentDigest(p)
	if err != nil {
		return "" // types of the API always marshal
	}
	return digest
}

// LayerDigest is the digest of a built layer's objects, see Layer.Digest, and how many bytes they are as JSON.
func LayerDigest(objects []*unstructured.Unstructured) (digest string, size int, err error) {
	all := make([]any, len(objects))
	for i, o := range objects {
		all[i] = o.Object
	}
	return digestJSON(all)
}

// contentDigest covers a profile's spec and built layers, but not the names of files.
func contentDigest(p Profile) (string, error) {
	spec := p.Object.Spec.DeepCopy()
	for i := range spec.Layers {
		if spec.Layers[i].Kustomize != nil {
			spec.Layers[i].Kustomize.Path = ""
		}
		if spec.Layers[i].Manifests != nil {
			spec.Layers[i].Manifests.Paths = nil
		}
	}
	layers := map[string]string{}
	for _, l := range p.Layers {
		layers[l.Name] = l.Digest
	}
	digest, _, err := digestJSON(struct {
		Spec   *v1alpha1.ClusterProfileSpec
		Layers map[string]string
	}{spec, layers})
	return digest, err
}

func digestJSON(v any) (digest string, size int, err error) {
	text, err := json.Marshal(v)
	if err != nil {
		return "", 0, fmt.Errorf("take the digest: %w", err)
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:]), len(text), nil
}
