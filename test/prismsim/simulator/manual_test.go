package simulator

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func manual(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestManualNamesAll holds the manual against the routes and the effects.
func TestManualNamesAll(t *testing.T) {
	t.Parallel()
	text := manual(t)
	s := New(Options{})
	defer s.Close()
	for _, pattern := range s.patterns {
		_, path, _ := strings.Cut(pattern, " ")
		if strings.HasPrefix(pattern, "OPTIONS ") {
			path = "`" + strings.Split(path, "/")[2] + "`"
			if path == "`prism`" {
				path = "/api/prism/unversioned/info"
			}
		}
		if i := strings.Index(path, "/$actions/"); i >= 0 && !strings.Contains(text, path) {
			path = "…" + strings.TrimPrefix(path[i:], "/$actions")
		}
		if !strings.Contains(text, path) {
			t.Errorf("docs/simulator.md does not name %s", pattern)
		}
	}
	for effect := range stages {
		if !strings.Contains(text, "\n| `"+string(effect)+"` | ") {
			t.Errorf("docs/simulator.md has no row for the effect %s", effect)
		}
	}
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

func TestExamplesOfTheManualWork(t *testing.T) {
	t.Parallel()
	blocks := yamlBlock.FindAllStringSubmatch(manual(t), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks of YAML, want a model and a list of faults", len(blocks))
	}
	if _, err := LoadModel([]byte(blocks[0][1])); err != nil {
		t.Error(err)
	}
	faults, err := LoadFaults([]byte(blocks[1][1]))
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Model: DefaultModel(), Username: "admin", Password: "x"})
	defer s.Close()
	for _, f := range faults {
		if _, err := s.AddFault(f); err != nil {
			t.Error(err)
		}
	}
}
