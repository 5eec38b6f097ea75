package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/test/rig"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	unslug  = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// TestLinks follows every relative link of the documents, anchors included, but for those of generated pages.
func TestLinks(t *testing.T) {
	for _, page := range documents(t) {
		if page == "docs/reference/api.md" {
			continue // its generator makes anchors of its own
		}
		file := filepath.Join(rig.Root(), page)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(match[1], "://") {
				continue
			}
			path, anchor, _ := strings.Cut(match[1], "#")
			to := file
			if path != "" {
				to = filepath.Join(filepath.Dir(file), path)
			}
			target, err := os.ReadFile(to)
			if err != nil {
				t.Errorf("%s links to %s, which is not there", page, match[1])
			} else if anchor != "" && !hasAnchor(string(target), anchor) {
				t.Errorf("%s links to %s, which has no such heading", page, match[1])
			}
		}
	}
}

func hasAnchor(text, anchor string) bool {
	for _, match := range heading.FindAllStringSubmatch(text, -1) {
		slug := unslug.ReplaceAllString(strings.ToLower(match[1]), "")
		if strings.ReplaceAll(slug, " ", "-") == anchor {
			return true
		}
	}
	return false
}

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// TestReadmeFleet decodes and renders the files that the README has a new user write.
func TestReadmeFleet(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(rig.Root(), "README.md"))
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
	makefile, err := os.ReadFile(filepath.Join(rig.Root(), "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	command := regexp.MustCompile("(?m)(?:`|^)make ([a-z-]+(?: [a-z-]+)*)")
	for _, file := range documents(t) {
		text, err := os.ReadFile(filepath.Join(rig.Root(), file))
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

var (
	picture = regexp.MustCompile("(?s)```mermaid\n(.*?)\n```\n")
	drawing = regexp.MustCompile(`^(flowchart (LR|TD)|stateDiagram-v2|sequenceDiagram)\n`)
)

// TestPictures demands that a picture says the same in words right below it, for those who cannot see it.
func TestPictures(t *testing.T) {
	found := 0
	for _, page := range documents(t) {
		text, err := os.ReadFile(filepath.Join(rig.Root(), page))
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range picture.FindAllSubmatchIndex(text, -1) {
			found++
			if !drawing.Match(text[at[2]:at[3]]) {
				t.Errorf("%s: want a flowchart, a state or a sequence diagram, which GitHub draws: %s", page, text[at[2]:at[3]])
			}
			if !strings.HasPrefix(string(text[at[1]:]), "\n<details><summary>") {
				t.Errorf("%s: no words below the picture: %s", page, text[at[2]:at[3]])
			}
		}
	}
	if found == 0 {
		t.Error("found no picture: is this test still looking in the right place?")
	}
}
