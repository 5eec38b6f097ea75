package build_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/render/build"
)

// FuzzDirectory builds any kustomization, resource and link: never a panic, the same result each time, and nothing
// opened but files of the snapshot, by paths without links.
func FuzzDirectory(f *testing.F) {
	const object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
	for _, k := range []string{
		"resources: [r.yaml]", "resources: [../d]", "resources: ['https://github.com/o/r']", "resources: [/etc/passwd, ../../x, link]",
		"bases: ['git::https://x/y']", "Resources: [r.yaml]", "openapi: {path: r.yaml}", "generators: [r.yaml]",
		"resources: [r.yaml, base]\nnamePrefix: a-\ncommonLabels: {a: b}\npatchesStrategicMerge: [\"apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: a}\\ndata: {x: y}\"]",
		"resources: [r.yaml]\npatches: [{patch: '[{\"op\": \"add\", \"path\": \"/data\", \"value\": {}}]', target: {kind: ConfigMap}}]",
		"configMapGenerator: [{name: a, files: [r.yaml, x=link], envs: [/proc/self/environ], literals: [a=b]}]",
		"resources: [r.yaml]\nreplacements: [{source: {kind: ConfigMap}, targets: [{select: {kind: ConfigMap}, fieldPaths: [data.x]}]}]",
		"crds: [r.yaml]", "configurations: [r.yaml]", "vars: [{name: A, objref: {kind: ConfigMap, name: a, apiVersion: v1}}]\nresources: [r.yaml]",
		"resources: [file:///etc/passwd]", "resources: ['http:x']", "components: [base]", "a: &a [*a]", "images: [{name: x, newTag: y}]\nresources: [r.yaml]",
	} {
		f.Add(k, object, "../out")
	}
	f.Add("resources: [link]", object, "r.yaml")
	f.Add("resources: [link/a.yaml]", object, "/etc")
	f.Fuzz(func(t *testing.T, kustomization, resource, link string) {
		files := &recorder{MapFS: tree("-- d/link -> " + strings.ReplaceAll(link, "\n", "") + " --\n")}
		files.MapFS["d/kustomization.yaml"] = &fstest.MapFile{Data: []byte(kustomization)}
		files.MapFS["d/r.yaml"] = &fstest.MapFile{Data: []byte(resource)}
		files.MapFS["d/base/kustomization.yaml"] = &fstest.MapFile{Data: []byte("configMapGenerator: [{name: b, literals: [a=b]}]")}
		one, err := build.Directory(files, "d")
		two, again := build.Directory(files, "d")
		if diff := cmp.Diff(message(err), message(again)); diff != "" {
			t.Errorf("another error for the same input:\n%s", diff)
		}
		if diff := cmp.Diff(one, two); diff != "" {
			t.Errorf("other objects for the same input:\n%s", diff)
		}
		if escaped := files.escaped(); len(escaped) > 0 {
			t.Errorf("opened %q", escaped)
		}
	})
}
