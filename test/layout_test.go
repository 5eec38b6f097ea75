// Package test holds a world to try Refract in, and checks of the source tree itself.
package test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "github.com/refract-dev/refract"

// The floor plan, as CONTRIBUTING.md draws it: who may import whom. A package stands on the floor with the longest
// matching place; packages of one floor may import each other. Tests may import what they like.
var floors = map[string][]string{
	"":                 {"controllers/cli"},
	"api":              {},
	"config":           {},
	"gitsource":        {},
	"gitsource/forge":  {},
	"render/build":     {"api"},
	"render/fleet":     {"api", "config", "render/build"},
	"render":           {"api", "render/build", "render/fleet"},
	"render/plan":      {"api"},
	"render/plan/view": {"api", "render/plan"},
	"render/site":      {},
	"render/drift":     {"api", "render", "render/site"},
	"render/preflight": {"api", "render", "render/build", "render/site"},
	"controllers/flow": {
		"api", "config", "gitsource", "render", "render/build", "render/fleet", "render/plan", "render/plan/view", "render/drift",
		"render/preflight", "render/site",
	},
	"controllers/kube":   {"api", "render", "render/plan"},
	"controllers/prism":  {"api", "render/site"},
	"controllers/review": {"api", "controllers/flow", "gitsource", "gitsource/forge", "render/fleet", "render/plan", "render/plan/view"},
	"controllers": {
		"api", "config", "gitsource", "gitsource/forge", "controllers/flow", "controllers/kube", "controllers/prism",
		"controllers/review", "render", "render/build", "render/fleet", "render/plan", "render/plan/view", "render/drift",
		"render/preflight", "render/site",
	},
	"controllers/cli": {
		"api", "config", "gitsource", "gitsource/forge", "controllers", "controllers/flow", "controllers/kube",
		"controllers/prism", "controllers/review", "render", "render/build", "render/fleet", "render/plan",
		"render/plan/view", "render/drift", "render/preflight", "render/site",
	},
}

// Packages with one door each: only the named floor imports them.
var doors = map[string]string{
	"github.com/go-git":                                "gitsource",
	"github.com/google/go-github":                      "gitsource/forge",
	"github.com/bradleyfalzon/ghinstallation":          "gitsource/forge",
	"code.gitea.io/sdk":                                "gitsource/forge",
	"github.com/nutanix-cloud-native/prism-go-client":  "controllers/prism",
	"github.com/nutanix/ntnx-api-golang-clients":       "controllers/prism",
	"github.com/nutanix-cloud-native/cluster-api-prov": "nowhere: CAPX objects are unstructured",
}

// What a pure package does without: the world outside and chance.
var impure = []string{
	"os", "os/exec", "os/signal", "net", "net/http", "syscall", "math/rand", "math/rand/v2", "crypto/rand",
	"k8s.io/client-go", "sigs.k8s.io/controller-runtime",
}

// Functions that read the clock or wait for it.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

// source is one Go file that is not a test.
type source struct {
	place   string // directory below the module, "" for main.go
	file    string
	imports []string
	calls   []string // selectors such as time.Now
}

func TestLayout(t *testing.T) {
	sources := read(t, "..")
	if len(sources) < 10 {
		t.Fatalf("read only %d files: is this test still at test/layout_test.go?", len(sources))
	}
	for _, s := range sources {
		for _, v := range violations(s) {
			t.Error(v)
		}
	}
}

func TestMainIsSmall(t *testing.T) {
	text, err := os.ReadFile("../main.go")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(string(text), "\n"); lines > 30 {
		t.Errorf("main.go has %d lines, at most 30: it only calls controllers/cli", lines)
	}
}

// TestViolations shows that each rule fires.
func TestViolations(t *testing.T) {
	ours := func(place string) []string { return []string{module + "/" + place} }
	cases := map[string]struct {
		reason string
		source source
		want   int
	}{
		"MainCallsTheCommandLine":  {"main.go is a call into controllers/cli", source{place: "", imports: ours("controllers/cli")}, 0},
		"MainSkipsTheCommandLine":  {"and into nothing else", source{place: "", imports: ours("controllers")}, 1},
		"APIIsALeaf":               {"people's types import nothing of ours", source{place: "api/v1alpha1", imports: ours("render")}, 1},
		"APIOfTheDesign":           {"only apimachinery and Flux' meta", source{place: "api/v1alpha1", imports: []string{"k8s.io/client-go/rest"}}, 1},
		"GitKnowsNothingOfOurs":    {"gitsource stands alone", source{place: "gitsource", imports: ours("api/v1alpha1")}, 1},
		"GitKnowsNoKubernetes":     {"gitsource stands alone", source{place: "gitsource", imports: []string{"k8s.io/apimachinery/pkg/types"}}, 1},
		"DecodeClimbs":             {"render/fleet is below render", source{place: "render/fleet", imports: ours("render")}, 1},
		"RenderUsesDecode":         {"render is above render/fleet", source{place: "render", imports: ours("render/fleet")}, 0},
		"PlanKnowsNoRender":        {"a plan is made of pairs only", source{place: "render/plan", imports: ours("render")}, 1},
		"SubpackageInheritsFloor":  {"the longest place counts", source{place: "render/plan/internal/diff", imports: ours("render/plan")}, 0},
		"CoreKnowsItsShell":        {"render is below controllers", source{place: "render", imports: ours("controllers/kube")}, 1},
		"CoreReadsFiles":           {"render is pure", source{place: "render/build", imports: []string{"os"}}, 1},
		"CoreTalks":                {"render is pure", source{place: "render/plan", imports: []string{"net/http"}}, 1},
		"CoreParsesAddresses":      {"net/netip does not talk", source{place: "render/fleet", imports: []string{"net/netip"}}, 0},
		"CoreAsksAClient":          {"render is pure", source{place: "render/plan", imports: []string{"sigs.k8s.io/controller-runtime/pkg/client"}}, 1},
		"CoreThrowsDice":           {"same input, same bytes", source{place: "render", imports: []string{"math/rand/v2"}}, 1},
		"CoreReadsTheClock":        {"same input, same bytes", source{place: "render/plan", imports: []string{"time"}, calls: []string{"time.Now"}}, 1},
		"CoreUsesDurations":        {"a duration is a value", source{place: "render/plan", imports: []string{"time"}, calls: []string{"time.Duration"}}, 0},
		"SecondDoorToGit":          {"go-git has one door", source{place: "controllers/flow", imports: []string{"github.com/go-git/go-git/v5"}}, 1},
		"GitsourceUsesGoGit":       {"that door is gitsource", source{place: "gitsource", imports: []string{"github.com/go-git/go-git/v5"}}, 0},
		"SecondDoorToGitHub":       {"go-github has one door", source{place: "controllers/review", imports: []string{"github.com/google/go-github/v88/github"}}, 1},
		"ForgeUsesGitea":           {"that door is gitsource/forge", source{place: "gitsource/forge", imports: []string{"code.gitea.io/sdk/gitea"}}, 0},
		"SecondDoorToPrism":        {"prism-go-client has one door", source{place: "controllers", imports: []string{"github.com/nutanix-cloud-native/prism-go-client/v4"}}, 1},
		"ProductImportsTest":       {"nothing imports test", source{place: "controllers/cli", imports: ours("test/world")}, 1},
		"TestImportsTest":          {"but test itself", source{place: "test/demo", imports: ours("test/world")}, 0},
		"DemoUsesGoGit":            {"and test may push", source{place: "test/demo", imports: []string{"github.com/go-git/go-git/v5"}}, 0},
		"PackageWithoutPlace":      {"a new top-level package is a change of the floor plan", source{place: "pkg/util"}, 1},
		"ControllersUseTheCommand": {"the command line is above the controllers", source{place: "controllers", imports: ours("controllers/cli")}, 1},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := violations(c.source); len(got) != c.want {
				t.Errorf("%s: want %d violations, got: %s", c.reason, c.want, cmp.Diff([]string(nil), got))
			}
		})
	}
}

// violations says in words what a file may not do.
func violations(s source) []string {
	if under(s.place, "test") {
		return nil
	}
	floor, ok := floorOf(s.place)
	if !ok {
		return []string{fmt.Sprintf("%s: %s has no place in the floor plan", s.file, s.place)}
	}
	var found []string
	for _, imported := range s.imports {
		if why := forbidden(floor, imported); why != "" {
			found = append(found, fmt.Sprintf("%s: %s may not import %s: %s", s.file, s.place, imported, why))
		}
	}
	if !under(floor, "render") {
		return found
	}
	for _, call := range s.calls {
		if name, ok := strings.CutPrefix(call, "time."); ok && slices.Contains(clock, name) {
			found = append(found, fmt.Sprintf("%s: %s: take the time as an argument", s.file, call))
		}
	}
	return found
}

func forbidden(floor, imported string) string {
	if place, ours := strings.CutPrefix(imported, module+"/"); ours {
		to, known := floorOf(place)
		switch {
		case under(place, "test"):
			return "nothing imports test"
		case !known:
			return "it has no place in the floor plan"
		case to != floor && !slices.Contains(floors[floor], to):
			return "imports go down the floor plan only"
		}
		return ""
	}
	for prefix, door := range doors {
		if strings.HasPrefix(imported, prefix) && floor != door {
			return "its only door is " + door
		}
	}
	switch {
	case under(floor, "render") && slices.ContainsFunc(impure, func(p string) bool { return imports(imported, p) }):
		return "everything under render is pure"
	case under(floor, "gitsource") && (under(imported, "k8s.io") || under(imported, "sigs.k8s.io")):
		return "git knows nothing of Kubernetes"
	case floor == "api" && strings.Contains(path.Dir(imported), ".") &&
		!under(imported, "k8s.io/apimachinery") && imported != "github.com/fluxcd/pkg/apis/meta":
		return "whoever imports the API gets nothing else along"
	}
	return ""
}

// imports tells whether an import path is p, or below it where p is a module of others.
func imports(path, p string) bool {
	return path == p || strings.Contains(p, ".") && under(path, p)
}

func floorOf(place string) (string, bool) {
	for p := place; ; p = path.Dir(p) {
		if _, ok := floors[p]; ok {
			return p, true
		}
		if !strings.Contains(p, "/") {
			return "", false
		}
	}
}

func under(place, dir string) bool { return place == dir || strings.HasPrefix(place, dir+"/") }

// read parses every Go file of the module that is not a test. Nested modules are somebody else's.
func read(t *testing.T, root string) []source {
	t.Helper()
	var sources []source
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skip(root, file, d.Name())
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		s, err := parse(root, file)
		sources = append(sources, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

func skip(root, dir, name string) error {
	if dir == root {
		return nil
	}
	if strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}

func parse(root, file string) (source, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return source{}, err
	}
	relative, err := filepath.Rel(root, file)
	if err != nil {
		return source{}, err
	}
	s := source{file: filepath.ToSlash(relative)}
	if dir := path.Dir(s.file); dir != "." {
		s.place = dir
	}
	for _, i := range parsed.Imports {
		name, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return source{}, err
		}
		s.imports = append(s.imports, name)
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if left, ok := selector.X.(*ast.Ident); ok {
				s.calls = append(s.calls, left.Name+"."+selector.Sel.Name)
			}
		}
		return true
	})
	return s, nil
}
