package api

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/refract-dev/refract/api/v1alpha1"
)

var example = regexp.MustCompile("(?ms)^(?:```yaml\n|kubectl apply -f - <<'EOF'\n)(apiVersion: .*?)(?:^```$|^EOF$)")

// TestExamplesInDocs has the API server judge every complete object that the documents show.
func TestExamplesInDocs(t *testing.T) {
	files := []string{"../../README.md"}
	for _, pattern := range []string{"../../docs/*.md", "../../docs/guides/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	strict := client.WithFieldValidation(admin, "Strict")
	seen := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range example.FindAllSubmatch(text, -1) {
			o := &unstructured.Unstructured{}
			if err := yaml.UnmarshalStrict(match[1], &o.Object); err != nil {
				t.Errorf("%s: %v in\n%s", file, err, match[1])
				continue
			}
			o.SetNamespace("default")
			if err := strict.Create(t.Context(), o, client.DryRunAll); err != nil {
				t.Errorf("%s: %v in\n%s", file, err, match[1])
			}
			seen[o.GetKind()] = true
		}
	}
	for _, kind := range []string{
		v1alpha1.FleetKind, v1alpha1.CloudAccountKind, v1alpha1.ClusterProfileKind, v1alpha1.NutanixClusterSpecKind,
	} {
		if !seen[kind] {
			t.Errorf("no document shows a whole %s", kind)
		}
	}
}
