package view_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/refract-dev/refract/render/plan/view"
)

const referenceFile = "../../../docs/reference/plan-json.md"

// sources of the types that the document is made of, by package.
var sources = map[string]string{"view": ".", "plan": "..", "v1alpha1": "../../../api/v1alpha1"}

// TestReference compares the reference with the types as they are; with -update it writes the reference, which is how it
// is generated.
func TestReference(t *testing.T) {
	r := reference{comments: map[string]map[string]string{}}
	r.b.WriteString("# The plan as JSON\n\nGenerated from the types; do not edit. It is what `refract plan -o json` prints: one document, version `" + view.Version +
		"`. Within a version fields are only added, so read the fields that you know and skip the others. It holds no secret value, not even a digest of one: what may be a secret shows as `changed`.\n")
	r.describe(t, reflect.TypeFor[view.Document]())
	compare(t, referenceFile, []byte(r.b.String()))
}

// inDocument is what a field of a plan means in the document where that is not what it means in the plan.
var inDocument = map[string]string{
	"Change.To": `The wanted value, left out when the field goes. "created", "deleted", "released", "refused" or "adopted" for a whole object; "changed" for what is or may be a secret; only the size of what is long.`,
}

type reference struct {
	b        strings.Builder
	done     []string
	comments map[string]map[string]string
}

// describe writes the table of a struct, and below it those of the structs in it.
func (r *reference) describe(t *testing.T, of reflect.Type) {
	t.Helper()
	name := of.Name()
	if slices.Contains(r.done, name) {
		return
	}
	r.done = append(r.done, name)
	words := r.words(t, of)
	fmt.Fprintf(&r.b, "\n## %s\n\n%s\n\n| field | type | meaning |\n| --- | --- | --- |\n", name, words[""])
	var below []reflect.Type
	for f := range of.Fields() {
		field, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if said, ok := inDocument[name+"."+f.Name]; ok {
			words[f.Name] = said
		}
		if words[f.Name] == "" {
			t.Errorf("%s.%s has no comment: say what it means", name, f.Name)
		}
		said, inner := typeOf(f.Type)
		if inner != nil {
			below = append(below, inner)
		}
		if strings.Contains(options, "omitempty") {
			said += ", may be left out"
		}
		fmt.Fprintf(&r.b, "| `%s` | %s | %s |\n", field, said, strings.ReplaceAll(words[f.Name], "|", `\|`))
	}
	for _, one := range below {
		r.describe(t, one)
	}
}

// typeOf names a type as JSON has it, and gives the struct in it, if there is one to describe.
func typeOf(t reflect.Type) (string, reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer:
		return typeOf(t.Elem())
	case reflect.Slice:
		of, inner := typeOf(t.Elem())
		return "list of " + of, inner
	case reflect.Struct:
		if t.PkgPath() == "time" {
			return "time, RFC 3339", nil
		}
		return fmt.Sprintf("[%s](#%s)", t.Name(), strings.ToLower(t.Name())), t
	case reflect.Bool:
		return "true or false", nil
	case reflect.Int, reflect.Int64:
		return "number", nil
	default:
		return "string", nil
	}
}

// words are the comments of a struct's fields by their Go name, and of the struct itself under "".
func (r *reference) words(t *testing.T, of reflect.Type) map[string]string {
	t.Helper()
	pkg := filepath.Base(of.PkgPath())
	dir, ok := sources[pkg]
	if !ok {
		t.Fatalf("%s is of a package that this test does not read", of)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if r.comments[pkg+"."+of.Name()] != nil {
			break
		}
		r.read(t, pkg, file)
	}
	return r.comments[pkg+"."+of.Name()]
}

func (r *reference) read(t *testing.T, pkg, file string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range parsed.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.TYPE {
			continue
		}
		for _, s := range decl.Specs {
			spec := s.(*ast.TypeSpec)
			if of, ok := spec.Type.(*ast.StructType); ok {
				r.comments[pkg+"."+spec.Name.Name] = commentsOf(decl, of)
			}
		}
	}
}

// commentsOf gives two fields that share a comment the same.
func commentsOf(decl *ast.GenDecl, of *ast.StructType) map[string]string {
	words := map[string]string{"": oneLine(decl.Doc.Text())}
	last := ""
	for _, f := range of.Fields.List {
		if text := oneLine(f.Doc.Text()); text != "" {
			last = text
		}
		for _, n := range f.Names {
			words[n.Name] = last
		}
	}
	return words
}

func oneLine(s string) string {
	var out []string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "+") {
			out = append(out, line)
		}
	}
	return strings.Join(strings.Fields(strings.Join(out, " ")), " ")
}
