package bench

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/fleet"
)

// TestRender compares the CPU time of rendering clusters with that of kustomize for overlays that yield the same
// objects, both from files in memory to objects in memory, in one process, one after the other.
func TestRender(t *testing.T) {
	n := renders()
	files, overlays := fstest.MapFS{}, filesys.MakeFsInMemory()
	for path, text := range sharedFiles("pc-east.example.com") {
		files[path] = &fstest.MapFile{Data: []byte(text)}
	}
	base := renderOne(t, files, clusterFile("edge", "10.0.0.1", ""))
	write(t, overlays, "base/cluster.yaml", manifest(t, base))
	write(t, overlays, "base/references.yaml", nameReferences)
	write(t, overlays, "base/kustomization.yaml", "resources: [cluster.yaml]\nconfigurations: [references.yaml]\n")
	for i := range n {
		name, host := names(i)
		files["fleet/"+name+".yaml"] = &fstest.MapFile{Data: []byte(clusterFile(name, host, ownPatches))}
		write(t, overlays, name+"/kustomization.yaml", overlay(name, host, base))
	}

	rendered := make([][]*unstructured.Unstructured, 0, n)
	took := spend(func() {
		decoded, err := fleet.Decode(files, "fleet", fleet.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range decoded.Clusters {
			unit, err := render.Cluster(render.FromFleet(c))
			if err != nil {
				t.Fatal(err)
			}
			rendered = append(rendered, unit.Named(nil, func(string, string) bool { return true }))
		}
	})
	theirs := make([]resmap.ResMap, 0, n)
	kustomize := spend(func() {
		builder := krusty.MakeKustomizer(krusty.MakeDefaultOptions())
		for i := range n {
			name, _ := names(i)
			built, err := builder.Run(overlays, name)
			if err != nil {
				t.Fatal(err)
			}
			theirs = append(theirs, built)
		}
	})

	if len(rendered) != n || len(theirs) != n {
		t.Fatalf("%d and %d of %d clusters were rendered", len(rendered), len(theirs), n)
	}
	for _, i := range []int{0, n / 2, n - 1} {
		if diff := cmp.Diff(ours(t, rendered[i]), built(t, theirs[i])); diff != "" {
			t.Fatalf("kustomize yields other objects (-refract +kustomize):\n%s", diff)
		}
	}
	ratio := kustomize.Seconds() / took.Seconds()
	row(fmt.Sprintf("rendering %d clusters of %d objects each", n, len(rendered[0])),
		fmt.Sprintf("%.1f ms CPU a cluster, krusty.Run %.1f ms", perCluster(took, n), perCluster(kustomize, n)),
		fmt.Sprintf("%.1f times less", ratio), "at least 4 times less")
	if n >= 100 && ratio < 4 {
		t.Errorf("rendering takes %.2f ms of CPU time a cluster, kustomize %.2f ms: want at most a quarter", perCluster(took, n), perCluster(kustomize, n))
	}
}

func names(i int) (name, host string) {
	return fmt.Sprintf("c%04d-edge", i), fmt.Sprintf("10.20.%d.%d", i/200, i%200+10)
}

// ownPatches are what each cluster says beside its sizes, on both sides.
const ownPatches = `
    - target: {kind: KubeadmControlPlane}
      patch: |
        - {op: add, path: /spec/machineTemplate/spec/deletion, value: {nodeDrainTimeoutSeconds: 600}}
    - target: {kind: NutanixCluster}
      patch: |
        apiVersion: infrastructure.cluster.x-k8s.io/v1beta1
        kind: NutanixCluster
        metadata: {name: any, annotations: {example.com/owner: platform}}
`

// nameReferences tell kustomize which fields hold names; it knows nothing of Cluster API.
const nameReferences = `nameReference:
- kind: Cluster
  fieldSpecs:
  - {kind: MachineDeployment, path: spec/clusterName}
  - {kind: MachineDeployment, path: spec/template/spec/clusterName}
  - {kind: MachineHealthCheck, path: spec/clusterName}
- kind: NutanixCluster
  fieldSpecs: [{kind: Cluster, path: spec/infrastructureRef/name}]
- kind: KubeadmControlPlane
  fieldSpecs: [{kind: Cluster, path: spec/controlPlaneRef/name}]
- kind: NutanixMachineTemplate
  fieldSpecs:
  - {kind: KubeadmControlPlane, path: spec/machineTemplate/spec/infrastructureRef/name}
  - {kind: MachineDeployment, path: spec/template/spec/infrastructureRef/name}
- kind: KubeadmConfigTemplate
  fieldSpecs: [{kind: MachineDeployment, path: spec/template/spec/bootstrap/configRef/name}]
- kind: ConfigMap
  version: v1
  fieldSpecs: [{kind: ClusterResourceSet, path: spec/resources/name}]
`

// overlay is one cluster as people write it with kustomize: a prefix, its labels, its own values and patches.
func overlay(name, host string, base []*unstructured.Unstructured) string {
	vip := strings.ReplaceAll(kubeVIP(base), "10.0.0.1", host)
	text := fmt.Sprintf(`resources: [../base]
namePrefix: %[1]s
labels:
- pairs: {cluster.x-k8s.io/cluster-name: %[2]s, refract.dev/cluster: %[2]s}
- pairs: {cluster.x-k8s.io/cluster-name: %[2]s}
  fields:
  - {kind: ClusterResourceSet, path: spec/clusterSelector/matchLabels, create: true}
  - {kind: MachineHealthCheck, path: spec/selector/matchLabels, create: true}
patches:
- target: {kind: NutanixCluster}
  patch: |
    - {op: replace, path: /spec/controlPlaneEndpoint/host, value: %[3]s}
    - {op: replace, path: /spec/prismCentral/credentialRef/name, value: %[2]s-pc-credentials}
- target: {kind: KubeadmControlPlane}
  patch: |
    - {op: replace, path: /spec/kubeadmConfigSpec/files/0/content, value: %[4]q}
- target: {kind: MachineHealthCheck, name: .*workers}
  patch: |
    - {op: replace, path: /spec/selector/matchLabels/cluster.x-k8s.io~1deployment-name, value: %[2]s-workers}
- target: {kind: ClusterResourceSet, name: .*ccm}
  patch: |
    - {op: replace, path: /spec/resources/1/name, value: %[2]s-ccm-credentials}
`, strings.TrimSuffix(name, "edge"), name, host, vip)
	return text + strings.ReplaceAll(strings.TrimPrefix(ownPatches, "\n"), "\n    ", "\n")[4:]
}

func kubeVIP(base []*unstructured.Unstructured) string {
	for _, o := range base {
		if o.GetKind() != "KubeadmControlPlane" {
			continue
		}
		list, _, _ := unstructured.NestedSlice(o.Object, "spec", "kubeadmConfigSpec", "files")
		file, _ := list[0].(map[string]any)
		content, _ := file["content"].(string)
		return content
	}
	return ""
}

// renderOne renders the cluster that the overlays are based on, under names without content digests.
func renderOne(t *testing.T, shared fstest.MapFS, cluster string) []*unstructured.Unstructured {
	t.Helper()
	files := maps.Clone(shared)
	files["fleet/edge.yaml"] = &fstest.MapFile{Data: []byte(cluster)}
	decoded, err := fleet.Decode(files, "fleet", fleet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	unit, err := render.Cluster(render.FromFleet(decoded.Clusters[0]))
	if err != nil {
		t.Fatal(err)
	}
	return plain(unit.Objects())
}

// plain takes off the digest of a template's content, which is Refract's own.
func plain(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	for _, o := range objects {
		annotations := o.GetAnnotations()
		delete(annotations, "refract.dev/content-digest")
		if len(annotations) == 0 {
			annotations = nil
		}
		o.SetAnnotations(annotations)
	}
	return objects
}

// ours is what Refract rendered by kind and name, with names as they are before they carry a digest.
func ours(t *testing.T, objects []*unstructured.Unstructured) map[string]any {
	t.Helper()
	var text []string
	for _, o := range plain(objects) {
		data, err := o.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, string(data))
	}
	all := "[" + strings.Join(text, ",") + "]"
	for _, o := range objects {
		if name := o.GetName(); digested(name) {
			all = strings.ReplaceAll(all, name, name[:len(name)-9])
		}
	}
	return byName(t, []byte(all))
}

// byName decodes objects and orders them by kind and name. The text with the cloud controller manager's objects is left
// out: it names the endpoint, and kustomize could change it only as a whole.
func byName(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var all []map[string]any
	if err := yaml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	out := map[string]any{}
	for _, o := range all {
		u := unstructured.Unstructured{Object: o}
		unstructured.RemoveNestedField(o, "data", "objects.yaml")
		out[u.GetKind()+"/"+u.GetName()] = o
	}
	return out
}

func digested(name string) bool {
	return len(name) > 9 && name[len(name)-9] == '-' && strings.Trim(name[len(name)-8:], "0123456789abcdef") == ""
}

// built is what kustomize built by kind and name.
func built(t *testing.T, from resmap.ResMap) map[string]any {
	t.Helper()
	var text []string
	for _, r := range from.Resources() {
		data, err := r.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, string(data))
	}
	return byName(t, []byte("["+strings.Join(text, ",")+"]"))
}

func manifest(t *testing.T, objects []*unstructured.Unstructured) string {
	t.Helper()
	text := manifestOf(objects)
	if text == "" {
		t.Fatal("nothing was rendered")
	}
	return text
}

func manifestOf(objects []*unstructured.Unstructured) string {
	var out bytes.Buffer
	for _, o := range slices.Clone(objects) {
		text, err := yaml.Marshal(o.Object)
		if err != nil {
			return ""
		}
		out.WriteString("---\n")
		out.Write(text)
	}
	return out.String()
}

func write(t *testing.T, to filesys.FileSystem, path, text string) {
	t.Helper()
	if err := to.WriteFile(path, []byte(text)); err != nil {
		t.Fatal(err)
	}
}
