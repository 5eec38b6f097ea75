package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const apiDir = "../api/v1alpha1"

// TestReasonsAreDocumented holds every condition and reason of the API against the table that people search.
func TestReasonsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/guides/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for name, value := range constants(t, filepath.Join(apiDir, "conditions.go")) {
		found++
		if !strings.Contains(string(text), "\n| `"+value+"` | ") {
			t.Errorf("docs/guides/troubleshooting.md has no row for `%s` (%s): say what it means and what to do", value, name)
		}
	}
	if found < 30 {
		t.Errorf("found only %d conditions and reasons: is this test still looking in the right place?", found)
	}
}

// constants returns the string constants of a file, and demands a comment on each.
func constants(t *testing.T, file string) map[string]string {
	t.Helper()
	parsed := parseComments(t, file)
	found := map[string]string{}
	for _, decl := range parsed.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, spec := range group.Specs {
			constant := spec.(*ast.ValueSpec)
			value, err := strconv.Unquote(constant.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			found[constant.Names[0].Name] = value
			if constant.Doc == nil {
				t.Errorf("%s has no comment", constant.Names[0].Name)
			}
		}
	}
	return found
}

// TestFieldsAreDocumented demands, for kubectl explain and the reference, words on every field, beginning with its name.
func TestFieldsAreDocumented(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(apiDir, "*_*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no API types: %v", err)
	}
	for _, file := range files {
		if strings.HasPrefix(filepath.Base(file), "zz_generated") {
			continue
		}
		ast.Inspect(parseComments(t, file), func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if of, ok := spec.Type.(*ast.StructType); ok && !strings.HasSuffix(spec.Name.Name, "List") {
				documented(t, spec.Name.Name, of)
			}
			return false
		})
	}
}

var jsonName = regexp.MustCompile("json:\"([A-Za-z0-9]+)")

func documented(t *testing.T, owner string, of *ast.StructType) {
	t.Helper()
	for _, field := range of.Fields.List {
		match := jsonName.FindStringSubmatch(field.Tag.Value)
		if match == nil || match[1] == "metadata" {
			continue // inlined, or Kubernetes' own
		}
		words := strings.TrimSpace(field.Doc.Text())
		if !strings.HasPrefix(words, match[1]) {
			t.Errorf("%s.%s: the comment must begin with the field's name, it is %q", owner, match[1], words)
		}
	}
}

func parseComments(t *testing.T, file string) *ast.File {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}
