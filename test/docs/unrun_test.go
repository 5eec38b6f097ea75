package docs

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// TestEveryShellBlock demands that a shell block is run by TestPages or stands in unrun.txt with a reason, and that what
// stands there is still in the documents.
func TestEveryShellBlock(t *testing.T) {
	listed := unrun(t)
	for page, all := range read(t) {
		for _, b := range all {
			if !b.shell() {
				continue
			}
			key := page + " | " + b.first()
			_, reasoned := listed[key]
			switch {
			case b.mark == "run" && reasoned:
				t.Errorf("%s is run, and unrun.txt says why it is not: remove that line", b)
			case b.mark == "" && !reasoned:
				t.Errorf("%s is neither marked to be run nor in test/docs/unrun.txt with a reason: %s", b, key)
			}
			if reasoned {
				listed[key] = true
			}
		}
	}
	for key, found := range listed {
		if !found {
			t.Errorf("unrun.txt: no document has %s", key)
		}
	}
}

// unrun reads the list of blocks that are not run: page, first command and reason, separated by bars.
func unrun(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("unrun.txt")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndex(line, " | ")
		if at < 0 || strings.Count(line, " | ") < 2 {
			t.Errorf("unrun.txt: want page | first command | reason, got %s", line)
			continue
		}
		if _, twice := listed[line[:at]]; twice {
			t.Errorf("unrun.txt says twice: %s", line[:at])
		}
		listed[line[:at]] = false
	}
	return listed
}

// TestYAMLBlocks demands that YAML in the documents is YAML, and that whole objects of Refract have no unknown field.
func TestYAMLBlocks(t *testing.T) {
	whole := 0
	for _, all := range read(t) {
		for _, b := range all {
			if b.lang != "yaml" {
				continue
			}
			n, err := objects(b.text)
			if err != nil {
				t.Errorf("%s: %v", b, err)
			}
			whole += n
		}
	}
	if whole < 5 {
		t.Errorf("found only %d whole objects: is this test still looking in the right place?", whole)
	}
}

// objects decodes what of a block is an object of Refract with a spec, and counts it.
func objects(text string) (int, error) {
	n := 0
	for document := range strings.SplitSeq(text, "\n---\n") {
		var whole any
		if err := yaml.Unmarshal([]byte(document), &whole); err != nil {
			return n, err
		}
		head, isObject := whole.(map[string]any)
		if !isObject || head["apiVersion"] != v1alpha1.GroupVersion.String() {
			continue
		}
		into := map[string]any{
			"CloudAccount": &v1alpha1.CloudAccount{}, "ClusterProfile": &v1alpha1.ClusterProfile{},
			"Fleet": &v1alpha1.Fleet{}, "NutanixClusterSpec": &v1alpha1.NutanixClusterSpec{},
		}[fmt.Sprint(head["kind"])]
		if into == nil {
			return n, fmt.Errorf("no kind %q", head["kind"])
		}
		if err := yaml.UnmarshalStrict([]byte(document), into); err != nil {
			return n, errors.Join(fmt.Errorf("%s", head["kind"]), err)
		}
		n++
	}
	return n, nil
}

func TestObjects(t *testing.T) {
	cases := map[string]struct {
		reason string
		text   string
		want   int
		failed bool
	}{
		"Part":       {"a part of an object is only parsed", "spec:\n  nodepools: []\n", 0, false},
		"Whole":      {"a whole object is decoded", "apiVersion: refract.dev/v1alpha1\nkind: Fleet\nspec: {interval: 1m}\n", 1, false},
		"Misspelt":   {"a misspelt field misleads readers", "apiVersion: refract.dev/v1alpha1\nkind: Fleet\nspec: {intervall: 1m}\n", 0, true},
		"NoSuchKind": {"neither is there such a kind", "apiVersion: refract.dev/v1alpha1\nkind: Cluster\n", 0, true},
		"List":       {"a list is YAML and no object", "- {kind: Fleet}\n", 0, false},
		"Other":      {"other groups are not ours to judge", "apiVersion: v1\nkind: Secret\nintervall: 1\n", 0, false},
		"Broken":     {"what does not parse is no example", "a: [\n", 0, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got, err := objects(c.text); got != c.want || (err != nil) != c.failed {
				t.Errorf("%s: %d, %v", c.reason, got, err)
			}
		})
	}
}
