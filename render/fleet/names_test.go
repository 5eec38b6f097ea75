package fleet_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/render/fleet"
)

// named returns the second cluster under another name, with more in its spec.
func named(name, host, spec string) string {
	return strings.NewReplacer("edge-02", name, "10.20.0.11", host).Replace(second) + spec
}

func TestNamesOfObjectsCollide(t *testing.T) {
	pool := func(fields string) string {
		return "  nodePools:\n  - {" + fields + ", replicas: 1, machine: {vcpuSockets: 2, memory: 8Gi, systemDisk: 80Gi}}\n"
	}
	domain := func(name string) string {
		return "  failureDomains:\n  - {name: " + name + ", prismElement: {name: PE-1}, subnets: [{name: x}]}\n"
	}
	const rename = ": rename the cluster, pool, failure domain or layer"
	const alsoA = " would also be made for cluster a in fleet/clusters/a.yaml:1" + rename
	const alsoAB = " would also be made for cluster a-b in fleet/clusters/a-b.yaml:1" + rename // its file comes before a.yaml
	cases := map[string]struct{ reason, a, name, other, fleet, want string }{
		"Apart":         {"the usual names do not meet", pool("name: c"), "a-b", pool("name: c"), sample, ""},
		"Pools":         {"pool b-c of a, pool c of a-b", pool("name: b-c"), "a-b", pool("name: c"), sample, "fleet/clusters/a.yaml:16: NutanixMachineTemplate a-b-c" + alsoAB},
		"ControlPlane":  {"machine templates of control planes, too", pool("name: b-kcp"), "a-b", "", sample, "fleet/clusters/a.yaml:16: NutanixMachineTemplate a-b-kcp" + alsoAB},
		"ObjectName":    {"a name to adopt may be another's default", pool("name: c"), "z", pool("name: d, objectName: a-c"), sample, "fleet/clusters/z.yaml:16: MachineDeployment a-c" + alsoA},
		"ObjectNames":   {"or adopted by two", pool("name: c, objectName: old"), "z", pool("name: d, objectName: old"), sample, "fleet/clusters/z.yaml:16: MachineDeployment old" + alsoA},
		"FailureDomain": {"failure domains are named alike", domain("b-c"), "a-b", domain("c"), sample, "fleet/clusters/a.yaml:16: NutanixFailureDomain a-b-c" + alsoAB},
		"Layer":         {"what layers deliver may hit a Secret", "", "a-b", "", change("name: cilium\n", "name: b-ca\n"), "fleet/clusters/a.yaml:3: ClusterResourceSet a-b-ca" + alsoAB},
		"OnePool": {
			"pools of one cluster", "", "z", pool("name: c") + "  - {name: d, objectName: z-c, replicas: 1, machine: {vcpuSockets: 2, memory: 8Gi, systemDisk: 80Gi}}\n", sample,
			"fleet/clusters/z.yaml:17: MachineDeployment z-c would also be made for spec.nodePools[0].name: give one of them another name",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			files := tree(tc.fleet, named("a", "10.20.0.21", tc.a), named(tc.name, "10.20.0.22", tc.other))
			f, err := fleet.Decode(files, "fleet", fleet.Options{})
			if diff := cmp.Diff(tc.want, message(err)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
			held := 0
			for _, c := range f.Clusters {
				if c.Err != nil {
					held++
				}
			}
			if want := min(1, len(tc.want)); held != want {
				t.Errorf("%s: %d clusters are held, want %d", tc.reason, held, want)
			}
		})
	}
}

func TestIgnoredFields(t *testing.T) {
	const at = clusterFile + ":20: spec.driftIgnore[0].paths[0]: "
	cases := map[string]struct{ reason, path, want string }{
		"Field":    {"a field", "/spec/replicas", ""},
		"Escaped":  {"names with a slash or tilde", "/metadata/annotations/a.b~1c~0d", ""},
		"Digits":   {"digits beside letters are a name", "/spec/x1/2y", ""},
		"List":     {"a whole list", "/spec/files", ""},
		"Item":     {"an item", "/spec/files/3", at + `"/spec/files/3" crosses a list by position, which moves when the list changes: name the whole list instead, /spec/files`},
		"InItem":   {"a field of an item", "/spec/files/0/content", at + `"/spec/files/0/content" crosses a list by position, which moves when the list changes: name the whole list instead, /spec/files`},
		"End":      {"the place after the last item", "/spec/files/-", at + `"/spec/files/-" crosses a list by position, which moves when the list changes: name the whole list instead, /spec/files`},
		"Sign":     {"numbers with a sign", "/spec/files/+1", at + `"/spec/files/+1" crosses a list by position, which moves when the list changes: name the whole list instead, /spec/files`},
		"First":    {"nothing above it", "/0", at + `"/0" does not begin with the name of a field`},
		"Empty":    {"the whole object", "/", at + `"/" is not a JSON pointer to a field: a part is empty`},
		"Trailing": {"a slash too many", "/spec/", at + `"/spec/" is not a JSON pointer to a field: a part is empty`},
		"Escape":   {"a wrong escape", "/metadata/annotations/a~2b", at + `"/metadata/annotations/a~2b" is not a JSON pointer: write ~0 for ~ and ~1 for /`},
		"Tilde":    {"an escape that ends early", "/metadata/annotations/a~", at + `"/metadata/annotations/a~" is not a JSON pointer: write ~0 for ~ and ~1 for /`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			files := tree(change("  patches:\n  - path: ../patches/edge.yaml", "  driftIgnore:\n  - {kind: KubeadmControlPlane, paths: ["+tc.path+"]}\n  patches:\n  - path: ../patches/edge.yaml"))
			_, err := fleet.Decode(files, "fleet", fleet.Options{})
			if diff := cmp.Diff(tc.want, message(err)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}
