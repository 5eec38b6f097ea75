package render

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/fleet"
)

// json6902 patches objects of a kind.
func json6902(kind, operations string) v1alpha1.Patch {
	return v1alpha1.Patch{Target: &v1alpha1.PatchTarget{Kind: kind}, Patch: operations}
}

// builtLayer returns the built layer of a name.
func builtLayer(t *testing.T, in Inputs, name string) *fleet.Layer {
	t.Helper()
	for _, p := range in.Profiles {
		for i := range p.Layers {
			if p.Layers[i].Name == name {
				return &p.Layers[i]
			}
		}
	}
	t.Fatalf("no built layer %s", name)
	return nil
}

// TestErrors holds that a mistake is refused with its place and with who made it.
func TestErrors(t *testing.T) {
	patched := func(kind, operations string) func(*Inputs) {
		return func(in *Inputs) { in.Cluster.Spec.Patches = []v1alpha1.Patch{json6902(kind, operations)} }
	}
	layer := func(in *Inputs, name string) *v1alpha1.Layer {
		for _, p := range in.Profiles {
			for i := range p.Object.Spec.Layers {
				if p.Object.Spec.Layers[i].Name == name {
					return &p.Object.Spec.Layers[i]
				}
			}
		}
		t.Fatalf("no layer %s", name)
		return nil
	}
	const clusterPlace, profilePlace = "fleet.yaml:67: ", "fleet.yaml:9: "
	for name, c := range map[string]struct {
		change func(*Inputs)
		want   []string
	}{
		"PatchChangesName": {
			patched(kindMachineDeployment, `[{op: replace, path: /metadata/name, value: mine}]`),
			[]string{clusterPlace, "patch 1 of cluster shop", "MachineDeployment clusters/shop-workers", "metadata.name"},
		},
		"PatchChangesKind": {
			patched(kindMachineHealthCheck, `[{op: replace, path: /kind, value: Pod}, {op: replace, path: /apiVersion, value: v1}]`),
			[]string{clusterPlace, "apiVersion"},
		},
		"PatchChangesNamespace": {
			patched(kindSecret, `[{op: replace, path: /metadata/namespace, value: kube-system}]`),
			[]string{clusterPlace, "metadata.namespace", "kube-system"},
		},
		"PatchDeletesObject": {
			func(in *Inputs) {
				in.Cluster.Spec.Patches = []v1alpha1.Patch{{Patch: "apiVersion: cluster.x-k8s.io/v1beta2\nkind: MachineHealthCheck\n" +
					"metadata: {name: shop-kcp}\n$patch: delete\n"}}
			},
			[]string{clusterPlace, "cluster shop"},
		},
		"PatchSetsStamp": {
			patched(kindCluster, `[{op: add, path: /metadata/labels, value: {refract.dev/protect: "false"}}]`),
			[]string{clusterPlace, "refract.dev/protect"},
		},
		"PatchSetsNumberAsLabel": {
			patched(kindCluster, `[{op: add, path: /metadata/labels, value: {tier: 1, refract.dev/protect: "false"}}]`),
			[]string{clusterPlace, "metadata.labels", "quote"},
		},
		"PatchSetsFinalizer": {
			patched(kindCluster, `[{op: add, path: /metadata/finalizers, value: [example.com/x]}]`),
			[]string{clusterPlace, "metadata.finalizers"},
		},
		"PatchSetsStatus": {
			patched(kindCluster, `[{op: add, path: /status, value: {}}]`),
			[]string{clusterPlace, "status"},
		},
		"SecondPatchChangesName": {
			func(in *Inputs) {
				patched(kindCluster, `[{op: add, path: /metadata/annotations, value: {a: b}}]`)(in)
				in.Cluster.Spec.Patches = append(in.Cluster.Spec.Patches,
					json6902(kindCluster, `[{op: replace, path: /metadata/name, value: mine}]`))
			},
			[]string{clusterPlace, "patch 2 of cluster shop", "metadata.name"},
		},
		"PatchSetsTopology": {
			patched(kindCluster, `[{op: add, path: /spec/topology, value: {}}]`),
			[]string{clusterPlace, "spec.topology"},
		},
		"PatchSchedulesRoll": {
			patched(kindMachineDeployment, `[{op: add, path: /spec/rollout, value: {after: "2030-01-01T00:00:00Z"}}]`),
			[]string{clusterPlace, "patch 1 of cluster shop", "spec.rollout.after"},
		},
		"PatchRollsOldCertificates": {
			patched(kindKubeadmControlPlane, `[{op: add, path: /spec/rollout, value: {before: {certificatesExpiryDays: 21}}}]`),
			[]string{clusterPlace, "spec.rollout.before"},
		},
		"PatchRemediatesMachines": {
			patched(kindKubeadmControlPlane, `[{op: add, path: /spec/machineTemplate/metadata, value: {annotations: {cluster.x-k8s.io/remediate-machine: ""}}}]`),
			[]string{clusterPlace, "patch 1 of cluster shop", "cluster.x-k8s.io/remediate-machine"},
		},
		"PatchSkipsPreflight": {
			patched(kindMachineDeployment, `[{op: add, path: /metadata/annotations, value: {machineset.cluster.x-k8s.io/skip-preflight-checks: All}}]`),
			[]string{clusterPlace, "machineset.cluster.x-k8s.io/skip-preflight-checks"},
		},
		"PatchPauses": {
			patched(kindCluster, `[{op: add, path: /metadata/annotations, value: {cluster.x-k8s.io/paused: "true"}}]`),
			[]string{clusterPlace, "cluster.x-k8s.io/paused"},
		},
		"IgnoresAnItem": {
			func(in *Inputs) {
				in.Cluster.Spec.DriftIgnore = []v1alpha1.DriftIgnore{{Kind: kindKubeadmControlPlane, Paths: []string{"/spec/kubeadmConfigSpec/files/0/content"}}}
			},
			[]string{clusterPlace, "spec.driftIgnore[0]", "the whole list, /spec/kubeadmConfigSpec/files"},
		},
		"PatchChangesReference": {
			patched(kindMachineDeployment, `[{op: replace, path: /spec/template/spec/infrastructureRef/name, value: other}]`),
			[]string{clusterPlace, "spec.template.spec.infrastructureRef.name"},
		},
		"PatchScalesAutoscaledPool": {
			func(in *Inputs) {
				in.Cluster.Spec.NodePools[0].Replicas = nil
				in.Cluster.Spec.NodePools[0].Autoscaling = &v1alpha1.Autoscaling{Min: 1, Max: 3}
				patched(kindMachineDeployment, `[{op: add, path: /spec/replicas, value: 7}]`)(in)
			},
			[]string{clusterPlace, "spec.replicas", "autoscale"},
		},
		"PatchMatchesNothing": {
			patched("Deployment", `[{op: remove, path: /spec}]`),
			[]string{clusterPlace, "patch 1 of cluster shop"},
		},
		"PatchShortensList": {
			func(in *Inputs) {
				in.Cluster.Spec.Patches = []v1alpha1.Patch{
					json6902(kindCluster, `[{op: add, path: /metadata/annotations, value: {a: b}}]`),
					{Patch: "apiVersion: controlplane.cluster.x-k8s.io/v1beta2\nkind: KubeadmControlPlane\n" +
						"metadata: {name: shop-kcp}\nspec: {kubeadmConfigSpec: {files: [{path: /etc/motd, content: hello}]}}\n"},
				}
			},
			[]string{clusterPlace, "patch 2 of cluster shop", "op: "},
		},
		"PatchNotInlined": {
			func(in *Inputs) { in.Cluster.Spec.Patches = []v1alpha1.Patch{{Path: "patches/mine.yaml"}} },
			[]string{clusterPlace, "patch 1 of cluster shop", "path is read by a Fleet only"},
		},
		"LayerPatch": {
			func(in *Inputs) {
				layer(in, "kubernetes").Patches[0] = json6902(kindKubeadmControlPlane, `[{op: remove, path: /spec/nothing}]`)
			},
			[]string{profilePlace, "patch 1 of layer kubernetes of profile standard@1.4.0"},
		},
		"LayerPatchVariable": {
			func(in *Inputs) {
				layer(in, "kubernetes").Patches[0].Patch = "kind: KubeadmControlPlane\nspec: {version: '${{ nothing }}'}"
			},
			[]string{profilePlace, "patch 1 of layer kubernetes of profile standard@1.4.0", `"nothing"`},
		},
		"FieldVariable": {
			func(in *Inputs) { layer(in, "ubuntu").OS.Files[0].Content = "${{ nothing }}" },
			[]string{profilePlace, "layer ubuntu of profile standard@1.4.0", "os.files[0].content", `"nothing"`},
		},
		"ObjectVariable": {
			func(in *Inputs) {
				set(builtLayer(t, *in, "cilium").Objects[0].Object, "${{ nothing }}", "data", "x")
			},
			[]string{profilePlace, "layer cilium of profile standard@1.4.0", "ConfigMap kube-system/cilium-config", `"nothing"`},
		},
		"VariableNotSet": {
			func(in *Inputs) { delete(in.Cluster.Spec.Profiles[1].Variables, "zone") },
			[]string{clusterPlace, "variable zone of profile standard has no default"},
		},
		"VariableOfAnotherFormat": {
			func(in *Inputs) {
				p := in.Profiles[0].Object
				for i := range p.Spec.Variables {
					p.Spec.Variables[i].Format = v1alpha1.FormatNumber
				}
			},
			[]string{clusterPlace, "of profile", "is not a number"},
		},
		"VariableNotDeclared": {
			func(in *Inputs) { in.Cluster.Spec.Profiles[0].Variables = map[string]string{"zoen": "x"} },
			[]string{clusterPlace, "profile policies 0.3.0-rc.1 has no variable zoen", "did you mean zone?"},
		},
		"ProfileMissing": {
			func(in *Inputs) { in.Profiles = in.Profiles[1:] },
			[]string{clusterPlace, "profile policies 0.3.0-rc.1 is not there"},
		},
		"NoMachineLayers": {
			func(in *Inputs) { in.Cluster.Spec.Profiles = in.Cluster.Spec.Profiles[:1] },
			[]string{clusterPlace, "no profile has a layer of type OS"},
		},
		"TwoMachineLayers": {
			func(in *Inputs) {
				p := in.Profiles[0].Object
				p.Spec.Layers = append(p.Spec.Layers, *layer(in, "ubuntu"))
				p.Spec.Layers[1].OS = &v1alpha1.OSLayer{Image: &v1alpha1.Identifier{Name: "other"}}
			},
			[]string{clusterPlace, "layer ubuntu of profile policies@0.3.0-rc.1 and layer ubuntu of profile standard@1.4.0"},
		},
		"LayerNotBuilt": {
			func(in *Inputs) { builtLayer(t, *in, "cilium").Name = "other" },
			[]string{profilePlace, "layer cilium of profile standard@1.4.0", "not built", "Fleet"},
		},
		"LayerEmpty": {
			func(in *Inputs) { builtLayer(t, *in, "cilium").Objects = nil },
			[]string{profilePlace, "layer cilium of profile standard@1.4.0", "no objects"},
		},
		"LayerObjectTooLarge": {
			func(in *Inputs) {
				set(builtLayer(t, *in, "cilium").Objects[0].Object, strings.Repeat("x", chunkBytes), "data", "x")
			},
			[]string{profilePlace, "layer cilium of profile standard@1.4.0", "ConfigMap kube-system/cilium-config has 9"},
		},
		"SameLayerNameTwice": {
			func(in *Inputs) {
				layer(in, "quotas").Name, builtLayer(t, *in, "quotas").Name = "cilium", "cilium"
			},
			[]string{clusterPlace, "two objects are called", "layer cilium of profile policies@0.3.0-rc.1"},
		},
		"PoolLikeControlPlane": {
			func(in *Inputs) { in.Cluster.Spec.NodePools[0].Name = "kcp" },
			[]string{clusterPlace, "two objects are called", "clusters/shop-kcp", "node pool kcp of cluster shop"},
		},
		"LabelThatStopsKubelet": {
			func(in *Inputs) {
				in.Cluster.Spec.NodePools[0].Labels = map[string]string{"tier.k8s.io/name": "app"}
			},
			[]string{clusterPlace, "node pool workers", "tier.k8s.io/name"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := load(t, "layers")
			c.change(&in)
			_, err := Cluster(in)
			if err == nil {
				t.Fatal("rendered")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("message lacks %q:\n%v", want, err)
				}
			}
			if _, ok := errors.AsType[*fleet.Error](err); !ok {
				t.Errorf("no place in the error: %v", err)
			}
		})
	}
}

func TestErrPathNeedsFleet(t *testing.T) {
	in := load(t, "minimal")
	in.Place = fleet.Place{}
	in.Cluster.Spec.Patches = []v1alpha1.Patch{{Path: "x.yaml"}}
	if _, err := Cluster(in); !errors.Is(err, ErrPathNeedsFleet) {
		t.Errorf("got %v", err)
	}
}

// TestPlaceFromAnnotation holds that objects that a Fleet mirrored are judged with the place that it noted.
func TestPlaceFromAnnotation(t *testing.T) {
	in := load(t, "minimal")
	in.Place = fleet.Place{}
	in.Cluster.Annotations = map[string]string{v1alpha1.FileAnnotation: "clusters/edge-01.yaml:3"}
	in.Cluster.Spec.Profiles = nil
	_, err := Cluster(in)
	if err == nil || !strings.HasPrefix(err.Error(), "clusters/edge-01.yaml:3: cluster edge-01: ") {
		t.Errorf("got %v", err)
	}
}

func TestChunks(t *testing.T) {
	in := load(t, "layers")
	var objects []*unstructured.Unstructured
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		o := builtLayer(t, in, "cilium").Objects[0].DeepCopy()
		o.SetName(name)
		set(o.Object, strings.Repeat(name, chunkBytes/2-1024), "data", "x")
		objects = append(objects, o)
	}
	builtLayer(t, in, "cilium").Objects = objects
	rendered := render(t, in).Named(nil, all)
	for _, name := range []string{"shop-cilium", "shop-cilium-1", "shop-cilium-2"} {
		data, _, err := unstructured.NestedString(get(t, rendered, kindConfigMap, name).Object, "data", resourceSetKey)
		if err != nil || len(data) == 0 || len(data) > chunkBytes {
			t.Errorf("%s holds %d bytes (%v), want at most %d", name, len(data), err, chunkBytes)
		}
	}
	resources, _, err := unstructured.NestedSlice(
		get(t, rendered, kindClusterResourceSet, "shop-cilium").Object, "spec", "resources")
	if err != nil || len(resources) != 3 {
		t.Errorf("the ClusterResourceSet delivers %v (%v), want three ConfigMaps", resources, err)
	}
}
