package build_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/render/build"
)

func TestSplit(t *testing.T) {
	cases := map[string]struct {
		reason, text string
		want         []string
		err          string
	}{
		"Lines":      {"a document begins where its content does", "# c\n---\n# d\n\na: 1\n---\nkind: K\napiVersion: v\nmetadata: {name: n}\n", []string{"f.yaml:5  /  ", "f.yaml:7 v / K n"}, ""},
		"Empty":      {"empty documents are none", "---\n---\n# nothing\n---\n", nil, ""},
		"WindowsBOM": {"files of other systems are read", "\ufeffkind: K\r\napiVersion: v\r\n", []string{"f.yaml:1 v / K "}, ""},
		"Merged":     {"merge keys are looked into", "<<: [{kind: K}, {apiVersion: v, kind: L}]\n", []string{"f.yaml:1 v / K "}, ""},
		"Syntax":     {"what stands before the mistake is there", "kind: K\n---\na: [\n", []string{"f.yaml:1  / K "}, "f.yaml:3: not valid YAML: did not find expected node content"},
		"TooMany":    {"documents are bounded", strings.Repeat("a: 1\n---\n", build.MaxDocuments+1), nil, "f.yaml:4001: more than 2000 documents in one file: split it"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			docs, err := build.Split("f.yaml", []byte(tc.text))
			if diff := cmp.Diff(tc.err, message(err)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
			if name == "TooMany" {
				return
			}
			var got []string
			for _, d := range docs {
				got = append(got, fmt.Sprintf("%s %s / %s %s", d.Origin(), d.APIVersion, d.Kind, d.Name))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestLineOf(t *testing.T) {
	docs, err := build.Split("f.yaml", []byte("a:\n  b.c/d: 1\n  list:\n  - x: 1\n  - y: &y\n      z: 1\nw:\n  <<: *y\n"))
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]int{
		"a": 1, "a.b.c/d": 2, "a[b.c/d]": 2, "a.list[1]": 5, "a.list[1].y.z": 6, "a.list[7].y": 3, "a.none.x": 1, "none": 1, "w.z": 6,
	} {
		if got := docs[0].LineOf(field); got != want {
			t.Errorf("%s: line %d, want %d", field, got, want)
		}
	}
}

func TestValue(t *testing.T) {
	text := `
int: 3
big: 18446744073709551615
float: 0.5
text: "3"
yes: yes
date: 2024-01-01
none: ~
1: number as key
base: &base {a: 1, b: 2}
over: {<<: *base, b: 3}
`
	docs, err := build.Split("f.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	got, errs := docs[0].Value()
	want := map[string]any{
		"int": int64(3), "big": float64(18446744073709551615), "float": 0.5, "text": "3", "yes": "yes", "date": "2024-01-01",
		"none": nil, "1": "number as key", "base": map[string]any{"a": int64(1), "b": int64(2)},
		"over": map[string]any{"a": int64(1), "b": int64(3)},
	}
	if diff := cmp.Diff(want, got); diff != "" || len(errs) > 0 {
		t.Errorf("%v: -want +got:\n%s", errs, diff)
	}
	docs, err = build.Split("f.yaml", []byte("a: 1\nb: .nan\na: 2\n? [x]\n: y\n<<: 3\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, errs = docs[0].Value()
	wantErr := `f.yaml:2: .nan is not a number that an object can hold
f.yaml:3: key "a" is set twice, first in line 1: keep one of them
f.yaml:4: a key is not a string
f.yaml:6: a merge key takes maps only`
	if diff := cmp.Diff(wantErr, message(build.Join(errs))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
