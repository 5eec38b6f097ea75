package build_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/build"
)

const megabyte = 1 << 20

// configMaps returns a resource file of n objects.
func configMaps(n int) string {
	text := ""
	for i := range n {
		text += fmt.Sprintf("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d}\ndata: {a: b}\n", i)
	}
	return text
}

// values is a document that is worth n values.
func values(name string, n int) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\nx: &x [%s]\ny: [%s]\n", name,
		strings.TrimSuffix(strings.Repeat("1,", 1000), ","), strings.TrimSuffix(strings.Repeat("*x,", n/1000-1), ","))
}

func repeat(n int, format string) string {
	var items []string
	for i := range n {
		items = append(items, fmt.Sprintf(format, i))
	}
	return "[" + strings.Join(items, ", ") + "]"
}

func TestDirectoryIsBounded(t *testing.T) {
	component := "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\n"
	duplicate := "patches: [{patch: '[{op: copy, from: /data, path: /data/a}]', target: {kind: ConfigMap}}]\n"
	feeding := "{source: {kind: ConfigMap, name: c0, fieldPath: data}, targets: [{select: {kind: ConfigMap}, fieldPaths: [data.x%d], options: {create: true}}]}"
	cases := map[string]struct {
		reason string
		files  map[string]string
		want   string
	}{
		"MentionedOften": {
			"a file is copied as often as it is mentioned",
			map[string]string{"d/kustomization.yaml": "configMapGenerator: [{name: a, files: " + repeat(40, "k%d=big") + "}]", "d/big": strings.Repeat("x", megabyte)},
			"d/kustomization.yaml:1: more than 32 MiB in one build, counted as often as files are referred to: split the directory",
		},
		"VisitedOften": {
			"or as its directory is referred to",
			map[string]string{
				"d/kustomization.yaml": "resources: [../e0, ../e1, ../e2, ../e3]", "b/kustomization.yaml": "resources: [c.yaml]",
				"e0/kustomization.yaml": "namePrefix: a\nresources: [../b]", "e1/kustomization.yaml": "namePrefix: b\nresources: [../b]",
				"e2/kustomization.yaml": "namePrefix: c\nresources: [../b]", "e3/kustomization.yaml": "namePrefix: d\nresources: [../b]",
				"b/c.yaml": values("a", 300_000),
			},
			"e3/kustomization.yaml:2: more than 1000000 values in one build, counted as often as they are referred to: split the directory, or use fewer aliases",
		},
		"ManyFiles": {
			"the bound is one for all files",
			map[string]string{
				"d/kustomization.yaml": "resources: [a.yaml, b.yaml, c.yaml]",
				"d/a.yaml":             values("a", 400_000), "d/b.yaml": values("b", 400_000), "d/c.yaml": values("c", 400_000),
			},
			"d/kustomization.yaml:1: more than 1000000 values in one build, counted as often as they are referred to: split the directory, or use fewer aliases",
		},
		"Objects": {
			"objects count as often, too",
			map[string]string{"d/kustomization.yaml": "resources: [" + strings.TrimSuffix(strings.Repeat("a.yaml, ", 6), ", ") + "]", "d/a.yaml": configMaps(1000)},
			"d/kustomization.yaml:1: more than 5000 objects in one build, counted as often as they are referred to: split the directory",
		},
		"Copies": {
			"one operation in a component that is used often",
			map[string]string{
				"d/kustomization.yaml": "resources: [a.yaml]\ncomponents: [../e, ../f, ../c]", "d/a.yaml": configMaps(1),
				"e/kustomization.yaml": component + "components: [../c]\nnamePrefix: a", "f/kustomization.yaml": component + "components: [../c]\nnamePrefix: b",
				"c/kustomization.yaml": component + duplicate,
			},
			"d/kustomization.yaml:2: more than 2 copy operations in JSON6902 patches, counted as often as they are referred to: write the values out",
		},
		"Patches": {
			"a patch's text goes into every object",
			map[string]string{
				"d/kustomization.yaml": "resources: [a.yaml]\npatches: [{path: p.yaml, target: {kind: ConfigMap}}]", "d/a.yaml": configMaps(1000),
				"d/p.yaml": "- {op: add, path: /data/x, value: " + strings.Repeat("x", megabyte) + "}",
			},
			"d/kustomization.yaml:1: patches and other changes of up to 1000 objects may come to more than 256 MiB: split the directory, or make the patches smaller",
		},
		"Replacements": {
			"a replacement puts its source into every field",
			map[string]string{
				"d/kustomization.yaml": "resources: [a.yaml]\nsecretGenerator: [{name: s, files: [big]}]\nreplacements: [{source: {kind: Secret, fieldPath: data.big}, targets: [{select: {kind: ConfigMap}, fieldPaths: " +
					repeat(20, "data.a%d") + "}]}]", "d/a.yaml": configMaps(100), "d/big": strings.Repeat("x", megabyte),
			},
			"d/kustomization.yaml:3: replacements may come to more than 256 MiB: name fewer targets, or take a smaller source",
		},
		"ReplacementsOfReplacements": {
			"each may double what the one before has made",
			map[string]string{
				"d/kustomization.yaml": "resources: [a.yaml]\nreplacements: [{path: r.yaml}]", "d/a.yaml": configMaps(1),
				"d/r.yaml": repeat(20, feeding),
			},
			"d/kustomization.yaml:2: more than 2 replacements whose targets may be sources, too, so that they could double each time: give select a kind that is no source's, or write the values out",
		},
		"Names": {
			"names are put into many places, as scaffolds do",
			map[string]string{
				"d/kustomization.yaml": "resources: [a.yaml]\nnamePrefix: x-\nreplacements: " +
					repeat(20, "{source: {kind: ConfigMap, name: c0}, targets: [{select: {kind: ConfigMap}, fieldPaths: [data.a%d], options: {create: true}}]}"),
				"d/a.yaml": configMaps(10),
			},
			"",
		},
		"Settings": {
			"one object may be the source of many values",
			map[string]string{
				"d/kustomization.yaml": "resources: [a.yaml, b.yaml]\nreplacements: " +
					repeat(20, "{source: {kind: ConfigMap, name: c0, fieldPath: data.a}, targets: [{select: {kind: Service}, fieldPaths: [spec.a%d], options: {create: true}}]}"),
				"d/a.yaml": configMaps(10), "d/b.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {}\n",
			},
			"",
		},
		"Vars": {
			"vars are out of use",
			map[string]string{"d/kustomization.yaml": "resources: [a.yaml]\nvars: []", "d/a.yaml": configMaps(1)},
			"d/kustomization.yaml:2: vars is refused: they can grow without bound; use replacements",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			files := fstest.MapFS{}
			for path, text := range tc.files {
				files[path] = &fstest.MapFile{Data: []byte(text)}
			}
			_, err := build.Directory(files, "d")
			if diff := cmp.Diff(tc.want, message(err)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestFilesAreBounded(t *testing.T) {
	_, err := build.Split("f.yaml", []byte(values("a", 200_000)+"---\n"+values("b", 200_000)+"---\n"+values("c", 200_000)))
	if diff := cmp.Diff("f.yaml:13: more than 500000 values with aliases expanded: split it, or use fewer aliases", message(err)); diff != "" {
		t.Errorf("documents add up: -want +got:\n%s", diff)
	}
	_, err = build.Split("f.yaml", []byte("a: &a "+strings.Repeat("x", megabyte)+"\nb: ["+strings.Repeat("*a, ", 40)+"]\n"))
	if diff := cmp.Diff("f.yaml:1: more than 32 MiB with aliases expanded: split it, or use fewer aliases", message(err)); diff != "" {
		t.Errorf("long values count by their length: -want +got:\n%s", diff)
	}
	files := fstest.MapFS{}
	for _, name := range []string{"a", "b", "c"} {
		files[name] = &fstest.MapFile{Data: []byte(values(name, 400_000))}
	}
	_, err = build.Manifests(files, []string{"a", "b", "c"})
	if diff := cmp.Diff("c:1: more than 1000000 values or 32 MiB in one layer, with aliases expanded: split it", message(err)); diff != "" {
		t.Errorf("files add up: -want +got:\n%s", diff)
	}
}

func TestApplyIsBounded(t *testing.T) {
	var objs []*unstructured.Unstructured
	for i := range 1000 {
		objs = append(objs, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": fmt.Sprint(i)}, "data": map[string]any{},
		}})
	}
	_, err := build.Apply(objs, []build.Patch{{
		Target: &v1alpha1.PatchTarget{Kind: "ConfigMap"},
		Patch:  "- {op: add, path: /data/x, value: " + strings.Repeat("x", 60<<10) + "}",
		Origin: build.Origin{Path: "p.yaml", Line: 1},
	}})
	if diff := cmp.Diff("p.yaml:1: the objects that the patch selects come to more than 8 MiB: make it smaller, or select fewer", message(err)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
