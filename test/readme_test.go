package test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/fleet"
)

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// TestReadmeFleet decodes and renders the files that the README has a new user write.
func TestReadmeFleet(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{
		"fleet/layers/cilium/kustomization.yaml": {Data: []byte("resources: [namespace.yaml]\n")},
		"fleet/layers/cilium/namespace.yaml":     {Data: []byte("{apiVersion: v1, kind: Namespace, metadata: {name: cilium}}\n")},
	}
	for i, match := range yamlBlock.FindAllSubmatch(text, -1) {
		files[fmt.Sprintf("fleet/%d.yaml", i)] = &fstest.MapFile{Data: match[1]}
	}
	declared, err := fleet.Decode(files, "fleet", fleet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(declared.Clusters) != 1 {
		t.Fatalf("the README declares %d clusters, want 1", len(declared.Clusters))
	}
	if _, err := render.Cluster(render.FromFleet(declared.Clusters[0])); err != nil {
		t.Error(err)
	}
}

// TestReadmeCommands holds the targets that the documents name against the Makefile.
func TestReadmeCommands(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile("(?m)(?:`|^)make ([a-z-]+(?: [a-z-]+)*)")
	for _, file := range documents(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range command.FindAllStringSubmatch(string(text), -1) {
			for target := range strings.FieldsSeq(match[1]) {
				if !strings.Contains(string(makefile), "\n"+target+":") {
					t.Errorf("%s names make %s, which the Makefile does not have", file, target)
				}
			}
		}
	}
}
