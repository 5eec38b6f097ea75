package build_test

import (
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/render/build"
)

// tree makes a snapshot of a text in the manner of txtar: "-- path --" starts a file, "-- path -> target --" is a link.
func tree(text string) fstest.MapFS {
	files := fstest.MapFS{}
	name := ""
	for line := range strings.Lines(text) {
		head, found := strings.CutPrefix(strings.TrimSpace(line), "-- ")
		head, closed := strings.CutSuffix(head, " --")
		if !found || !closed {
			if name != "" {
				files[name].Data = append(files[name].Data, line...)
			}
			continue
		}
		link, target, isLink := strings.Cut(head, " -> ")
		if isLink {
			files[link], name = &fstest.MapFile{Mode: fs.ModeSymlink | 0o777, Data: []byte(target)}, ""
			continue
		}
		name = head
		files[name] = &fstest.MapFile{Mode: 0o644}
	}
	return files
}

const app = `
-- base/kustomization.yaml --
resources: [objects.yaml]
configMapGenerator:
- {name: settings, files: [settings.ini, other=../shared/data.txt]}
-- base/settings.ini --
a=b
-- base/objects.yaml --
# a comment
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {replicas: 1}
-- shared/data.txt --
data
-- overlay/kustomization.yaml --
namePrefix: east-
namespace: apps
resources: [../base, link.yaml]
patches:
- {path: patch.yaml, target: {kind: Deployment}}
patchesStrategicMerge:
- |
  apiVersion: v1
  kind: Service
  metadata: {name: web}
  spec: {type: NodePort}
-- overlay/patch.yaml --
- {op: replace, path: /spec/replicas, value: 3}
-- overlay/link.yaml -> ../shared/linked.yaml --
-- shared/linked.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: linked}
`

func summary(objs []build.Object) []string {
	var out []string
	for _, o := range objs {
		out = append(out, fmt.Sprintf("%s %s/%s %s", o.GetKind(), o.GetNamespace(), o.GetName(), o.Origin))
	}
	return out
}

func TestDirectory(t *testing.T) {
	objs, err := build.Directory(tree(app), "overlay")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Service apps/east-web base/objects.yaml:2",
		"Deployment apps/east-web base/objects.yaml:7",
		"ConfigMap apps/east-settings-94h84kmf8d base/kustomization.yaml:1",
		"ConfigMap apps/east-linked shared/linked.yaml:1",
	}
	if diff := cmp.Diff(want, summary(objs)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	wantObject := map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "east-web", "namespace": "apps"},
		"spec": map[string]any{"replicas": int64(3)},
	}
	if diff := cmp.Diff(wantObject, objs[1].Object); diff != "" {
		t.Errorf("no trace of the build may stay in an object: -want +got:\n%s", diff)
	}
	if data, ok := objs[2].Object["data"].(map[string]any); !ok || data["other"] != "data\n" || data["settings.ini"] != "a=b\n" {
		t.Errorf("generated data: %v", objs[2].Object["data"])
	}
}

func TestDirectoryRefuses(t *testing.T) {
	const k = "-- d/kustomization.yaml --\n"
	const config = "-- d/a.yaml --\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
	cases := map[string]struct{ files, want string }{
		"RemoteBase": {
			k + "resources:\n- a.yaml\n- https://github.com/org/repo//base?ref=main\n" + config,
			`d/kustomization.yaml:3: resources[1]: "https://github.com/org/repo//base?ref=main" is a remote address and nothing is fetched: copy it into the repository and refer to it by a relative path`,
		},
		"RemoteWithoutScheme": {
			k + "resources: [github.com/org/repo]\n",
			`d/kustomization.yaml:1: resources[0]: "d/github.com/org/repo" is not in the snapshot; if it is meant as a remote address: nothing is fetched, copy it into the repository`,
		},
		"GitAddress": {
			k + "bases: ['git@github.com:org/repo.git']\n",
			`d/kustomization.yaml:1: bases[0]: "git@github.com:org/repo.git" is a remote address and nothing is fetched: copy it into the repository and refer to it by a relative path`,
		},
		"RemoteComponent": {
			k + "components: ['ssh://git@host/x']\n",
			`d/kustomization.yaml:1: components[0]: "ssh://git@host/x" is a remote address and nothing is fetched: copy it into the repository and refer to it by a relative path`,
		},
		"RemoteInOtherFields": {
			k + "resources: [a.yaml]\ncrds: ['http://x/a']\nconfigurations: ['http://x/b']\npatches: [{path: 'http://x/c'}]\n" +
				"patchesJson6902: [{path: 'http://x/d'}]\npatchesStrategicMerge: ['http://x/e']\nreplacements: [{path: 'http://x/f'}]\n" +
				"configMapGenerator: [{name: a, files: ['k=http://x/g'], envs: ['http://x/h'], env: 'http://x/i'}]\n" +
				"secretGenerator: [{name: a, files: ['http://x/j']}]\n" + config,
			remoteLines(3, "configurations[0]", "b", 2, "crds[0]", "a", 4, "patches[0].path", "c", 5, "patchesJson6902[0].path", "d",
				6, "patchesStrategicMerge[0]", "e", 7, "replacements[0].path", "f", 8, "configMapGenerator[0].env", "i",
				8, "configMapGenerator[0].envs[0]", "h", 8, "configMapGenerator[0].files[0]", "g", 9, "secretGenerator[0].files[0]", "j"),
		},
		"Absolute": {
			k + "resources: [/etc/passwd]\n",
			`d/kustomization.yaml:1: resources[0]: "/etc/passwd" is an absolute path: use one relative to this file`,
		},
		"Escaping": {
			k + "resources: [../../outside.yaml]\n",
			`d/kustomization.yaml:1: resources[0]: "../../outside.yaml" leaves the snapshot: keep what is referred to inside the repository`,
		},
		"EscapingLink": {
			k + "resources: [l.yaml]\n-- d/l.yaml -> ../../etc/passwd --\n",
			`d/kustomization.yaml:1: resources[0]: symbolic link "d/l.yaml" leaves the snapshot (it points to "../../etc/passwd"): replace it by the file itself`,
		},
		"EscapingDirectoryLink": {
			k + "resources: [l/a.yaml]\n-- d/l -> /etc --\n",
			`d/kustomization.yaml:1: resources[0]: symbolic link "d/l" leaves the snapshot (it points to "/etc"): replace it by the file itself`,
		},
		"LinkCircle": {
			k + "resources: [l]\n-- d/l -> m --\n-- d/m -> l --\n",
			`d/kustomization.yaml:1: resources[0]: "d/l" follows more than 40 symbolic links`,
		},
		"Missing": {
			k + "resources:\n- a.yaml\n- b.yaml\n" + config,
			`d/kustomization.yaml:3: resources[1]: "d/b.yaml" is not in the snapshot`,
		},
		"OpenAPIInBase": {
			k + "resources: [../b]\n-- b/kustomization.yaml --\nresources: []\nopenapi: {path: schema.json}\n",
			`b/kustomization.yaml:2: openapi is refused: it changes the schemas of every other build in the process; write JSON6902 patches instead`,
		},
		"Plugins": {
			k + "generators: [g.yaml]\ntransformers: [t.yaml]\nvalidators: [v.yaml]\nhelmCharts: [{name: x}]\n",
			"d/kustomization.yaml:1: generators is refused: plugins are not run; use configMapGenerator, secretGenerator or plain files\n" +
				"d/kustomization.yaml:2: transformers is refused: plugins are not run; use patches, labels, images or replacements\n" +
				"d/kustomization.yaml:3: validators is refused: plugins are not run; check the files before they are committed\n" +
				"d/kustomization.yaml:4: helmCharts is refused: Helm is not run; commit the output of helm template",
		},
		"Function": {
			k + "resources: [f.yaml]\n-- d/f.yaml --\napiVersion: v1\nkind: X\nmetadata:\n  name: x\n  annotations:\n    config.kubernetes.io/function: 'container: {image: x}'\n",
			`d/f.yaml:6: annotation config.kubernetes.io/function is refused: functions are not run`,
		},
		"UnknownField": {
			k + "resource: [a.yaml]\nResources: [a.yaml]\npatches: [{Path: x, patch: 'a: b'}]\n" + config,
			"d/kustomization.yaml:1: unknown field resource: did you mean resources?\n" +
				"d/kustomization.yaml:2: unknown field Resources: did you mean resources?\n" +
				"d/kustomization.yaml:3: unknown field patches[0].Path: did you mean path?",
		},
		"DuplicateKey": {
			k + "resources: [a.yaml]\nresources: []\n" + config,
			`d/kustomization.yaml:2: key "resources" is set twice, first in line 1: keep one of them`,
		},
		"Cycle": {
			k + "resources: [../e]\n-- e/kustomization.yaml --\nresources:\n- ../d\n",
			`e/kustomization.yaml:2: directory "d" refers to itself by way of d, e`,
		},
		"NoKustomization": {
			k + "resources: [../e]\n-- e/a.yaml --\n",
			`d/kustomization.yaml:1: directory "e" has no kustomization.yaml`,
		},
		"TwoKustomizations": {
			k + "resources: []\n-- d/kustomization.yml --\nresources: []\n",
			`d/kustomization.yml: directory "d" has several kustomization files (d/kustomization.yaml, d/kustomization.yml): keep one`,
		},
		"BrokenYAML": {
			k + "resources: [a.yaml]\n-- d/a.yaml --\na: b\n\t- c\n",
			`d/a.yaml:2: not valid YAML: found a tab character that violates indentation`,
		},
		"AliasBomb": {
			k + "resources: [a.yaml]\n-- d/a.yaml --\n" + bomb(),
			`d/a.yaml:1: more than 500000 values with aliases expanded: split it, or use fewer aliases`,
		},
		"SelfAlias": {
			k + "resources: [a.yaml]\n-- d/a.yaml --\na: &x [*x]\n",
			`d/a.yaml:1: line 1: alias *x contains itself`,
		},
		"TooDeep": {
			k + "resources: [a.yaml]\n-- d/a.yaml --\na: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "\n",
			`d/a.yaml:1: nested deeper than 100 levels`,
		},
		"TooLarge": {
			k + "resources: [a.yaml]\n-- d/a.yaml --\n#" + strings.Repeat("x", build.MaxFileBytes) + "\n",
			`d/kustomization.yaml:1: the file is larger than 4 MiB: split it`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			files := &recorder{MapFS: tree(tc.files)}
			objs, err := build.Directory(files, "d")
			if diff := cmp.Diff(tc.want, message(err)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if objs != nil {
				t.Errorf("objects in spite of a refusal: %v", summary(objs))
			}
			if escaped := files.escaped(); len(escaped) > 0 {
				t.Errorf("opened %q", escaped)
			}
		})
	}
}

func remoteLines(args ...any) string {
	lines := make([]string, 0, len(args)/3)
	for i := 0; i < len(args); i += 3 {
		lines = append(lines, fmt.Sprintf("d/kustomization.yaml:%d: %s: \"http://x/%s\" is a remote address and nothing is fetched: copy it into the repository and refer to it by a relative path",
			args[i], args[i+1], args[i+2]))
	}
	lines[0], lines[1] = lines[1], lines[0] // sorted by line
	return strings.Join(lines, "\n")
}

func bomb() string {
	text := "a0: &a0 [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n"
	for i := range 9 {
		alias := fmt.Sprintf("*a%d", i)
		text += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.Join(strings.Fields(strings.Repeat(alias+", ", 9)+alias), " "))
	}
	return text
}

func TestDirectoryVisitsAreBounded(t *testing.T) {
	text := ""
	for i := range 30 {
		text += fmt.Sprintf("-- d%d/kustomization.yaml --\nkind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\ncomponents: [../d%d, ../d%d]\n", i, i+1, i+1)
	}
	text += "-- d30/kustomization.yaml --\nkind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\nnamePrefix: a\n"
	text = strings.Replace(text, "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\n", "", 1)
	_, err := build.Directory(tree(text), "d0")
	if !strings.Contains(message(err), "more than 500 kustomizations, counted as often as they are referred to") {
		t.Errorf("got %v", err)
	}
}

// recorder notes what is opened through it.
type recorder struct {
	fstest.MapFS
	mu     sync.Mutex
	opened []string
}

func (r *recorder) note(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened = append(r.opened, name)
}

func (r *recorder) Open(name string) (fs.File, error) {
	r.note(name)
	return r.MapFS.Open(name)
}

func (r *recorder) Stat(name string) (fs.FileInfo, error) {
	r.note(name)
	return r.MapFS.Stat(name)
}

func (r *recorder) ReadFile(name string) ([]byte, error) {
	r.note(name)
	return r.MapFS.ReadFile(name)
}

// escaped returns what was opened and is, or lies behind, a symbolic link, or is no path of the snapshot.
func (r *recorder) escaped() []string {
	var out []string
	for _, name := range r.opened {
		if !fs.ValidPath(name) {
			out = append(out, name)
			continue
		}
		for i := range name + "/" {
			if (name + "/")[i] != '/' {
				continue
			}
			if f := r.MapFS[name[:i]]; f != nil && f.Mode&fs.ModeSymlink != 0 {
				out = append(out, name)
				break
			}
		}
	}
	return out
}

func TestEightParallelBuilds(t *testing.T) {
	files := tree(app)
	want, err := build.Directory(files, "overlay")
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	results := make([][]build.Object, 8)
	for i := range results {
		wait.Go(func() {
			for range 5 {
				got, err := build.Directory(files, "overlay")
				if err != nil {
					t.Error(err)
				}
				results[i] = got
			}
		})
	}
	wait.Wait()
	for _, got := range results {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
	}
}

func TestManifests(t *testing.T) {
	files := tree(`
-- a.yaml --
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: one}
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: two}
-- b.yaml --
---
# nothing
---
apiVersion: v1
kind: ConfigMap
metadata: {name: three}
data: {when: 2024-01-01, yes: "yes"}
-- c.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: one}
---
kind: ConfigMap
`)
	objs, err := build.Manifests(files, []string{"a.yaml", "b.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"ConfigMap /one a.yaml:4", "ConfigMap /two a.yaml:7", "ConfigMap /three b.yaml:4"}
	if diff := cmp.Diff(want, summary(objs)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"when": "2024-01-01", "yes": "yes"}, objs[2].Object["data"]); diff != "" {
		t.Errorf("dates stay text: -want +got:\n%s", diff)
	}
	_, err = build.Manifests(files, []string{"a.yaml", "c.yaml", "d.yaml"})
	wantErr := `c.yaml:1: ConfigMap one is declared twice, first in a.yaml:4: keep one
c.yaml:5: not an object: apiVersion, kind and metadata.name are needed
d.yaml: "d.yaml" is not in the snapshot`
	if diff := cmp.Diff(wantErr, message(err)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
