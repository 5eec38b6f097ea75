package build_test

import (
	"testing"

	"github.com/refract-dev/refract/render/build"
)

func TestLines(t *testing.T) {
	docs, err := build.Split("a.yaml", []byte(`# one
base: &base
  a: 1
  b: 2
more: &more {c: 3, a: 4}
---
spec: &spec
  list:
    - x: 1
      y.z: 2
    - [1, 2]
  labels:
    a/b: c
    d.e: f
  empty: {}
copy: *spec
merged:
  <<: [*spec, {list: 1, own: 2}]
  labels: {g: h}
`))
	if err != nil {
		t.Fatal(err)
	}
	fields := []string{
		"", "spec", "spec.list", "spec.list[0]", "spec.list[0].x", "spec.list[0].y.z", "spec.list[1][1]", "spec.list[7]", "spec.list[x]",
		"spec.labels[a/b]", "spec.labels[d.e]", "spec.labels.d.e", "spec.empty.more", "spec.none", "copy.list[0].x", "copy.none",
		"merged.list[0].x", "merged.labels.g", "merged.labels.none", "merged.own", "base.a", "base.b", "more.c", "more.a.b",
	}
	for n, d := range docs {
		lines := d.Lines()
		for _, field := range fields {
			if want, got := d.LineOf(field), lines.Of(field); want != got {
				t.Errorf("document %d: %q is in line %d, got %d", n, field, want, got)
			}
		}
	}
	if got := (build.Document{Line: 3}).Lines().Of("spec.a"); got != 3 {
		t.Errorf("a document without its text has one line, got %d", got)
	}
}
