package fleet_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/render/fleet"
)

// TestNothingVanishes: a cluster whose file is no longer read must not look deleted.
func TestNothingVanishes(t *testing.T) {
	exact := change("version: 1.4.x", "version: 1.4.0")
	moved := strings.ReplaceAll(exact, "fleet/clusters/", "moved/")
	moved = strings.Replace(moved, "../patches/edge.yaml", "../fleet/patches/edge.yaml", 1)
	const unread = "NutanixClusterSpec edge-01 is not read here: its directory has a kustomization.yaml of its own or is behind a symbolic link: move the file or that out"
	cases := map[string]struct {
		reason, files string
		clusters      int
		want          string
	}{
		"Kustomization": {
			"somebody adds a kustomization.yaml beside the clusters",
			exact + "-- fleet/clusters/kustomization.yaml --\nresources: []\n", 0, clusterFile + ":1: " + unread,
		},
		"KustomizationAbove": {
			"or above them",
			exact + "-- fleet/all/kustomization.yaml --\nresources: []\n-- fleet/all/x/y.yml --\napiVersion: refract.dev/v1alpha1\nkind: CloudAccount\nmetadata: {name: x}\n", 1,
			"fleet/all/x/y.yml:1: " + strings.Replace(unread, "NutanixClusterSpec edge-01", "CloudAccount x", 1),
		},
		"Unknown": {
			"its kind has another form in that version",
			exact + "-- fleet/all/kustomization.yaml --\nresources: []\n-- fleet/all/y.yaml --\napiVersion: refract.dev/v1beta1\nkind: X\n", 1,
			`fleet/all/y.yaml:1: apiVersion "refract.dev/v1beta1" is not known: use refract.dev/v1alpha1`,
		},
		"Broken": {
			"a cluster's file that is not YAML",
			exact + "-- fleet/all/kustomization.yaml --\nresources: []\n-- fleet/all/y.yaml --\na: [\napiVersion: refract.dev/v1alpha1\n", 1,
			"fleet/all/y.yaml:2: not valid YAML: did not find expected ',' or ']'",
		},
		"BrokenOther":   {"a template of somebody else", exact + "-- fleet/all/kustomization.yaml --\nresources: []\n-- fleet/all/y.yaml --\na: [\n", 1, ""},
		"Others":        {"a layer that is not used yet", exact + "-- fleet/all/kustomization.yaml --\nresources: [a.yaml]\n-- fleet/all/a.yaml --\napiVersion: v1\nkind: ConfigMap\n", 1, ""},
		"Fleet":         {"a Fleet is not read anywhere", exact + "-- fleet/all/kustomization.yaml --\nresources: [a.yaml]\n-- fleet/all/a.yaml --\napiVersion: refract.dev/v1alpha1\nkind: Fleet\nmetadata: {name: x}\n", 1, ""},
		"DirectoryLink": {"the directory becomes a link", moved + "-- fleet/clusters -> ../moved --\n", 0, "moved/edge-01.yaml:1: " + unread},
		"LinkInLink":    {"or a link behind one", moved + "-- fleet/clusters -> ../all --\n-- all/x -> ../moved --\n-- all/y -> ../all --\n", 0, "moved/edge-01.yaml:1: " + unread},
		"FileInLink":    {"or the file in it", moved + "-- fleet/clusters -> ../all --\n-- all/x.yaml -> ../moved/edge-01.yaml --\n", 0, "moved/edge-01.yaml:1: " + unread},
		"InsideLink":    {"what is read anyway may be linked", exact + "-- fleet/current -> clusters --\n-- fleet/up -> .. --\n", 1, ""},
		"DanglingLink":  {"it may have been the clusters", exact + "-- fleet/more -> ../gone --\n", 1, `fleet/more: "fleet/more" is not in the snapshot`},
		"TextLink": {
			"a link to a file that is not read by itself is read",
			strings.Replace(exact, clusterFile, "fleet/clusters/edge-01.txt", 1) + "-- " + clusterFile + " -> edge-01.txt --\n", 1, "",
		},
		"LinkIntoLayer": {
			"also when it lies in a directory that is skipped",
			strings.Replace(exact, "-- "+clusterFile, "-- fleet/all/kustomization.yaml --\nresources: []\n-- fleet/all/edge-01.yaml", 1) + "-- " + clusterFile + " -> ../all/edge-01.yaml --\n", 1, "",
		},
		"TwoLinks": {"a file is read once", moved + "-- fleet/b.yaml -> ../moved/edge-01.yaml --\n-- fleet/c.yaml -> ../moved/edge-01.yaml --\n", 1, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			files := tree(tc.files)
			f, err := fleet.Decode(files, "fleet", fleet.Options{Cache: fleet.NewCache(1 << 20)})
			if diff := cmp.Diff(tc.want, message(err)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
			if f.Complete != (tc.want == "") || len(f.Clusters) != tc.clusters {
				t.Errorf("%s: Complete is %v with %d clusters, want %d", tc.reason, f.Complete, len(f.Clusters), tc.clusters)
			}
		})
	}
}

func TestInsideLists(t *testing.T) {
	const object = "{apiVersion: refract.dev/v1alpha1, kind: CloudAccount}"
	const refused = ": an object of refract.dev inside a List is not read: write it as a document of its own"
	for name, tc := range map[string]struct{ text, want string }{
		"List":      {"apiVersion: v1\nkind: List\nitems:\n- " + object, "4" + refused},
		"OtherKind": {"apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n- {apiVersion: v1, kind: ConfigMap}\n- " + object, "5" + refused},
		"Nested":    {"apiVersion: v1\nkind: List\nitems:\n- kind: List\n  items:\n  - " + object, "6" + refused},
		"Bare":      {"- {}\n- " + object, "2" + refused},
		"Own":       {"apiVersion: refract.dev/v1alpha1\nkind: CloudAccountList\nitems:\n- " + object, "2: kind \"CloudAccountList\" is not known: did you mean CloudAccount?"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := fleet.Decode(tree(change("version: 1.4.x", "version: 1.4.0"), "-- fleet/x.yaml --\n"+tc.text+"\n"), "fleet", fleet.Options{})
			if f.Complete || message(err) != "fleet/x.yaml:"+tc.want {
				t.Errorf("Complete %v, got %v, want %s", f.Complete, err, tc.want)
			}
		})
	}
}
