package render

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/refract-dev/refract/render/fleet"
)

const placesAccount = `apiVersion: refract.dev/v1alpha1
kind: CloudAccount
metadata: {name: pc}
spec:
  endpoint: {address: pc.example.com}
  credentialsRef: {name: pc}
`

const placesProfile = `apiVersion: refract.dev/v1alpha1
kind: ClusterProfile
metadata: {name: standard-VERSION}
spec:
  profile: standard
  version: VERSION
  variables:
    - {name: os, default: ubuntu}
  layers:
    - name: os
      type: OS
      os:
        image: {name: "${{ os }}-IMAGE"}
    - name: kubernetes
      type: Kubernetes
      kubernetes: {version: v1.33.4, kubeVip: {image: "ghcr.io/kube-vip/kube-vip:v0.9.2"}}
`

const placesCluster = `apiVersion: refract.dev/v1alpha1
kind: NutanixClusterSpec
metadata: {name: edge-01}
spec:
  accountRef: {name: pc}
  profiles:
    - name: standard
      version: VERSION
      variables: {}
  controlPlane:
    endpoint: {host: 10.0.0.1}
    replicas: 1
    machine: {vcpuSockets: 2, memory: 4Gi, systemDisk: 40Gi}
  nodePools:
    - name: workers
      replicas: 1
      machine:
        vcpuSockets: 2
        memory: 4Gi
        systemDisk: 40Gi
  machineDefaults:
    prismElement: {name: PE-1}
    subnets: [{name: vlan}]
  patches:
    - {path: ../patches/workers.yaml, target: {kind: NutanixMachineTemplate, name: edge-01-workers}}
`

const placesPatch = `- {op: add, path: /spec/template/spec/bootType, value: uefi}
`

// placesOf decodes a fleet of one cluster; profiles are pairs of a version and an image.
func placesOf(t *testing.T, cluster, patch string, profiles ...[2]string) Inputs {
	t.Helper()
	files := fstest.MapFS{
		"accounts/pc.yaml":      {Data: []byte(placesAccount)},
		"clusters/edge-01.yaml": {Data: []byte(cluster)},
		"patches/workers.yaml":  {Data: []byte(patch)},
	}
	for _, p := range profiles {
		text := strings.NewReplacer("VERSION", p[0], "IMAGE", p[1]).Replace(placesProfile)
		files["profiles/standard-"+p[0]+".yaml"] = &fstest.MapFile{Data: []byte(text)}
	}
	decoded, err := fleet.Decode(files, ".", fleet.Options{Namespace: "clusters"})
	if err != nil {
		t.Fatal(err)
	}
	in := FromFleet(decoded.Clusters[0])
	in.Cluster.Namespace = "clusters"
	return in
}

// TestPlaces names lines in several files.
func TestPlaces(t *testing.T) {
	const image, memory = "spec.template.spec.image.name", "spec.template.spec.memorySize"
	cluster := func(version string, edits ...string) string {
		return strings.NewReplacer(append([]string{"VERSION", version}, edits...)...).Replace(placesCluster)
	}
	old, both := [2]string{"1.4.0", "2404"}, [][2]string{{"1.4.0", "2404"}, {"1.5.0", "2410"}}
	base := func(version string) Inputs { return placesOf(t, cluster(version), placesPatch, old) }
	cases := map[string]struct {
		reason string
		was    Inputs
		now    Inputs
		field  string
		want   string
	}{
		"VersionMoved": {
			reason: "the cluster's own line comes first, then what the version brings",
			was:    base("1.4.0"), now: placesOf(t, cluster("1.5.0"), placesPatch, both...),
			field: image, want: "clusters/edge-01.yaml:8, profiles/standard-1.5.0.yaml:13",
		},
		"RangeMoved": {
			reason: "the cluster's file is what it was",
			was:    base("1.x"), now: placesOf(t, cluster("1.x"), placesPatch, both...),
			field: image, want: "profiles/standard-1.5.0.yaml:13",
		},
		"RangeBecameVersion": {
			reason: "a range and a version that mean the same bring nothing; a new version does",
			was:    base("1.4.x"), now: placesOf(t, cluster("1.5.0"), placesPatch, both...),
			field: image, want: "clusters/edge-01.yaml:8, profiles/standard-1.5.0.yaml:13",
		},
		"Variable": {
			reason: "the value is said in the cluster",
			was:    base("1.4.0"), now: placesOf(t, cluster("1.4.0", "{}", "{os: rocky}"), placesPatch, old),
			field: image, want: "clusters/edge-01.yaml:9",
		},
		"TwoChanges": {
			reason: "each change has its own line",
			was:    base("1.4.0"),
			now:    placesOf(t, cluster("1.4.0", "        memory: 4Gi", "        memory: 8Gi", "{}", "{os: rocky}"), placesPatch, old),
			field:  memory, want: "clusters/edge-01.yaml:19",
		},
		"PatchFile": {
			reason: "the file of the patch changed",
			was:    base("1.4.0"),
			now:    placesOf(t, cluster("1.4.0"), strings.ReplaceAll(placesPatch, "uefi", "legacy"), old),
			field:  "spec.template.spec.bootType", want: "patches/workers.yaml:1",
		},
		"PatchOverField": {
			reason: "the patch alone says what it is",
			was:    base("1.4.0"),
			now: placesOf(t, cluster("1.4.0", "        memory: 4Gi", "        memory: 8Gi"),
				placesPatch+"- {op: replace, path: /spec/template/spec/memorySize, value: 6Gi}\n", old),
			field: memory, want: "patches/workers.yaml:1",
		},
		"NothingChanged": {
			reason: "somebody changed the object by hand: this is what it should be",
			was:    base("1.4.0"), now: base("1.4.0"),
			field: memory, want: "clusters/edge-01.yaml:19",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.now.Was = &c.was
			u := render(t, c.now)
			for _, o := range u.Named(nil, nil) {
				if o.GetKind() != kindNutanixMachineTemplate || !strings.HasPrefix(o.GetName(), "edge-01-workers") {
					continue
				}
				if got := u.Places(c.now).Of(o, c.field); got != c.want {
					t.Errorf("%s: got %q, want %q", c.reason, got, c.want)
				}
			}
		})
	}
	t.Run("NoFiles", func(t *testing.T) {
		in := base("1.4.0")
		in.Files = nil
		u := render(t, in)
		if got := u.Places(in).Of(u.Objects()[0], ""); got != "" {
			t.Errorf("objects of the API have no lines, got %q", got)
		}
	})
}
