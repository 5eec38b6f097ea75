package fleet_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/fleet"
)

// version returns the sample's profile in another version and file.
func version(v string) string {
	text := strings.ReplaceAll(profile, "standard.yaml", "standard-"+v+".yaml")
	return strings.ReplaceAll(text, "1.4.0", v)
}

func TestVersions(t *testing.T) {
	const prefix = "fleet/clusters/edge-01.yaml:7: no version of profile standard matches "
	cases := map[string]struct{ reason, asked, want, err string }{
		"Exact":          {"a version is itself", "1.4.0", "1.4.0", ""},
		"Wildcard":       {"the highest that matches", "1.4.x", "1.4.10", ""},
		"Caret":          {"by number, not by letter", "^1.4.0", "1.9.0", ""},
		"Bounds":         {"ranges may be bounded", ">=1.4.0 <1.9.0", "1.4.10", ""},
		"NoPreRelease":   {"pre-releases are not taken by a range", ">=1.4.0", "1.9.0", ""},
		"PreRelease":     {"unless it names one", ">=2.0.0-0", "2.0.0-rc.1", ""},
		"ExactPre":       {"or they are asked for", "2.0.0-rc.1", "2.0.0-rc.1", ""},
		"NoneMatches":    {"the versions that are there are listed", "~3.1", "~3.1", prefix + `"~3.1": there are 2.0.0-rc.1, 1.9.0, 1.4.10, 1.4.0`},
		"ExactIsNoRange": {"1.4.1 is not 1.4.10", "1.4.1", "1.4.1", prefix + `"1.4.1": there are 2.0.0-rc.1, 1.9.0, 1.4.10, 1.4.0`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			files := tree(change("version: 1.4.x", `version: "`+tc.asked+`"`), version("1.4.10"), version("1.9.0"), version("2.0.0-rc.1"))
			f, err := fleet.Decode(files, "fleet", fleet.Options{})
			if diff := cmp.Diff(tc.err, message(err)); diff != "" {
				t.Fatalf("%s: -want +got:\n%s", tc.reason, diff)
			}
			if got := f.Clusters[0].Object.Spec.Profiles[0].Version; got != tc.want {
				t.Errorf("%s: got %s, want %s", tc.reason, got, tc.want)
			}
		})
	}
}

func TestNoFallBackToLowerVersion(t *testing.T) {
	files := tree(sample, strings.Replace(version("1.4.1"), "cilium}", "calico}", 1))
	f, err := fleet.Decode(files, "fleet", fleet.Options{})
	if err == nil || f.Clusters[0].Err == nil || f.Clusters[0].Object.Spec.Profiles[0].Version != "1.4.1" {
		t.Errorf("the newest version has a mistake, so the cluster is held: %v, %+v", err, f.Clusters[0].Object.Spec.Profiles)
	}
}

func TestNoFallBackFromVagueVersion(t *testing.T) {
	for name, wrong := range map[string]string{
		"Pattern": strings.Replace(version("1.4.1"), "version: 1.4.1", `version: "1.4"`, 1),
		"Type":    strings.Replace(version("1.4.1"), "version: 1.4.1", "version: 1.4", 1),
		"Name":    strings.Replace(version("1.4.1"), "profile: standard", "profil: standard", 1),
	} {
		t.Run(name, func(t *testing.T) {
			f, err := fleet.Decode(tree(sample, wrong), "fleet", fleet.Options{})
			const want = `fleet/clusters/edge-01.yaml:7: range "1.4.x" is not resolved while fleet/profiles/standard-1.4.1.yaml:2 does not say which version it is: mend it, or name a version`
			if err == nil || message(f.Clusters[0].Err) != want {
				t.Errorf("got %v, want %s", f.Clusters[0].Err, want)
			}
		})
	}
}

func TestProfileVersionTwice(t *testing.T) {
	files := tree(sample, strings.ReplaceAll(strings.Replace(profile, "{name: standard-1.4.0}", "{name: other}", 1), "standard.yaml", "other.yaml"))
	_, err := fleet.Decode(files, "fleet", fleet.Options{})
	for _, want := range []string{
		"fleet/profiles/other.yaml:7: version 1.4.0 of profile standard is declared twice, also in fleet/profiles/standard.yaml:2: keep one, or make a new version",
		"fleet/profiles/standard.yaml:7: version 1.4.0 of profile standard is declared twice, also in fleet/profiles/other.yaml:2: keep one, or make a new version",
	} {
		if !strings.Contains(message(err), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

const addOn = `
-- fleet/profiles/monitoring.yaml --
apiVersion: refract.dev/v1alpha1
kind: ClusterProfile
metadata: {name: monitoring-1.0.0}
spec:
  profile: monitoring
  version: 1.0.0
  type: AddOn
  layers:
  - {name: agent, type: AddOn, manifests: {paths: [agent.yaml]}}
-- fleet/profiles/agent.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: agent}
`

func TestOneMainProfile(t *testing.T) {
	second := strings.ReplaceAll(strings.ReplaceAll(profile, "standard", "other"), "fleet/profiles/patches", "x")
	cases := map[string]struct{ reason, profiles, want string }{
		"WithAddOn": {"any number of AddOn profiles beside the one", `{name: standard, version: 1.4.0, variables: {mtu: "1"}}, {name: monitoring, version: 1.0.0}`, ""},
		"AddOnOnly": {
			"machines come from an Infra or Full profile", `{name: monitoring, version: 1.0.0}`,
			"fleet/clusters/edge-01.yaml:6: spec.profiles has AddOn profiles only: add one of type Infra or Full",
		},
		"Two": {
			"one is enough", `{name: standard, version: 1.4.0, variables: {mtu: "1"}}, {name: other, version: 1.4.0, variables: {mtu: "1"}}`,
			"fleet/clusters/edge-01.yaml:7: profile other is of type Full, and so is another profile of this cluster: keep one of type Infra or Full",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			text := change(`  - {name: standard, version: 1.4.x, variables: {mtu: "1450"}}`, "    ["+tc.profiles+"]")
			_, err := fleet.Decode(tree(text, addOn, second), "fleet", fleet.Options{})
			if diff := cmp.Diff(tc.want, message(err)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestValues(t *testing.T) {
	text := func(s string) *string { return &s }
	spec := v1alpha1.ClusterProfileSpec{Profile: "p", Version: "1.0.0", Variables: []v1alpha1.Variable{
		{Name: "s", Format: v1alpha1.FormatString, Default: text("d")},
		{Name: "n", Format: v1alpha1.FormatNumber},
		{Name: "b", Format: v1alpha1.FormatBoolean},
		{Name: "i", Format: v1alpha1.FormatIPv4},
		{Name: "c", Format: v1alpha1.FormatCIDR},
		{Name: "v", Format: v1alpha1.FormatVersion},
	}}
	good := map[string]string{"n": "-0.5", "b": "false", "i": "10.0.0.1", "c": "fd00::/64", "v": "v1.2.3"}
	got, err := fleet.Values(spec, good)
	want := map[string]string{"s": "d", "n": "-0.5", "b": "false", "i": "10.0.0.1", "c": "fd00::/64", "v": "v1.2.3"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v: -want +got:\n%s", err, diff)
	}
	got, err = fleet.Values(spec, map[string]string{"n": "1e3", "b": "yes", "i": "::1", "c": "10.0.0.1", "x": ""})
	wantErr := `variable b of profile p: "yes" is not true or false
variable c of profile p: "10.0.0.1" is not an IP prefix such as 10.0.0.0/16
variable i of profile p: "::1" is not an IPv4 address such as 10.0.0.1
variable n of profile p: "1e3" is not a number such as 3 or 0.5
variable v of profile p has no default: set it
profile p 1.0.0 has no variable x`
	if diff := cmp.Diff(wantErr, message(err)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"s": "d"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

const overlay = `
-- fleet/kustomization.yaml --
resources: [accounts.yaml, profiles/standard.yaml, clusters/edge-01.yaml, other.yaml]
labels: [{pairs: {site: east}}]
-- fleet/other.yaml --
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
`

func TestPathIsKustomization(t *testing.T) {
	f, err := fleet.Decode(tree(sample, overlay), "fleet", fleet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := f.Clusters[0]
	if c.Object.Labels["site"] != "east" || c.Place != (fleet.Place{Path: "fleet/clusters/edge-01.yaml", Line: 1}) || !f.Complete {
		t.Errorf("labels %v, place %v, complete %v", c.Object.Labels, c.Place, f.Complete)
	}
	if diff := cmp.Diff([]string{"fleet/other.yaml:1"}, f.Ignored); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	f, err = fleet.Decode(tree(change("replicas: 3", "replicas: 2"), overlay), "fleet", fleet.Options{})
	want := `fleet/clusters/edge-01.yaml:10: spec.controlPlane.replicas: 2 is not one of the values it may have; supported values: "1", "3", "5"`
	if diff := cmp.Diff(want, message(err)); diff != "" || !f.Complete {
		t.Errorf("complete %v: -want +got:\n%s", f.Complete, diff)
	}
	f, err = fleet.Decode(tree(sample, strings.Replace(overlay, "other.yaml]", "missing.yaml]", 1)), "fleet", fleet.Options{})
	want = `fleet/kustomization.yaml:1: resources[3]: "fleet/missing.yaml" is not in the snapshot`
	if diff := cmp.Diff(want, message(err)); diff != "" || f.Complete || len(f.Clusters) != 0 {
		t.Errorf("one build error holds the whole Fleet: complete %v, %d clusters: -want +got:\n%s", f.Complete, len(f.Clusters), diff)
	}
}

func TestLayersBelowPathAreNotRead(t *testing.T) {
	text := strings.ReplaceAll(sample, "-- layers/cilium/", "-- fleet/layers/cilium/")
	text = strings.Replace(text, "../../layers/cilium", "../layers/cilium", 1)
	const unused = "-- fleet/unused/kustomization.yaml --\nresources: [edge.yaml]\n-- fleet/unused/edge.yaml --\na: [\n"
	f, err := fleet.Decode(tree(text, unused), "fleet", fleet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"fleet/patches/edge.yaml", "fleet/profiles/patches/kcp.yaml", "fleet/unused/"}
	if diff := cmp.Diff(want, f.Ignored); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestPathMissingIsNotEmpty(t *testing.T) {
	f, err := fleet.Decode(tree(sample), "flet", fleet.Options{})
	if diff := cmp.Diff(`flet: "flet" is not in the snapshot: check the path (spec.git.path of the Fleet)`, message(err)); diff != "" || f.Complete {
		t.Errorf("complete %v: -want +got:\n%s", f.Complete, diff)
	}
	files := tree(sample)
	files["empty/README.md"] = &fstest.MapFile{}
	if f, err = fleet.Decode(files, "empty", fleet.Options{}); err != nil || !f.Complete {
		t.Errorf("an empty directory is understood: %v, complete %v", err, f.Complete)
	}
}

func TestDigests(t *testing.T) {
	digests := func(t *testing.T, texts ...string) (content, inputs string) {
		t.Helper()
		f, err := fleet.Decode(tree(texts...), "fleet", fleet.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return f.Profiles[0].ContentDigest, fleet.InputsDigest(f.Clusters[0])
	}
	content, inputs := digests(t, sample)
	cases := map[string]struct {
		reason          string
		text            string
		content, inputs bool // changed
	}{
		"Same":         {"same input, same bytes", sample, false, false},
		"Comment":      {"comments are not content", change("# The stack", "# Stack"), false, false},
		"LayerContent": {"a layer's objects are content", change("debug: \"true\"", "debug: \"false\""), true, true},
		"LayerFile":    {"whatever file they come from", change("name: cilium, namespace", "name: cilium2, namespace"), true, true},
		"LayerMoved":   {"names of files are not content", strings.ReplaceAll(sample, "layers/cilium", "layers/renamed"), false, false},
		"PatchFile":    {"patches are content", change("value: y", "value: z"), true, true},
		"Spec":         {"the cluster's spec", change("replicas: 3", "replicas: 5"), false, true},
		"Account":      {"the account's spec", change("{address: pc-east.example.com}", "{address: pc.example.com}"), false, true},
		"Label":        {"labels do not render", change("metadata: {name: edge-01}", "metadata: {name: edge-01, labels: {a: b}}"), false, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c, i := digests(t, tc.text)
			if (c != content) != tc.content || (i != inputs) != tc.inputs {
				t.Errorf("%s: content changed %v, inputs changed %v", tc.reason, c != content, i != inputs)
			}
		})
	}
}

// hashed is a snapshot that says what its files hold, and notes which are opened.
type hashed struct {
	fstest.MapFS
	mu     sync.Mutex
	opened []string
}

func (h *hashed) Open(name string) (fs.File, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f := h.MapFS[name]; f != nil && f.Mode.IsRegular() {
		h.opened = append(h.opened, name)
	}
	return h.MapFS.Open(name)
}

func (h *hashed) Hash(name string) (string, error) {
	f, ok := h.MapFS[name]
	if !ok {
		return "", fs.ErrNotExist
	}
	sum := sha256.Sum256(f.Data)
	return hex.EncodeToString(sum[:]), nil
}

func TestCacheReadsOnlyWhatChanged(t *testing.T) {
	cache := fleet.NewCache(64 << 20)
	decode := func(t *testing.T, texts ...string) (fleet.Fleet, []string) {
		t.Helper()
		files := &hashed{MapFS: tree(texts...)}
		f, err := fleet.Decode(files, "fleet", fleet.Options{Cache: cache})
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := fleet.Decode(files.MapFS, "fleet", fleet.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(fmt.Sprint(summary(fresh)), fmt.Sprint(summary(f))); diff != "" {
			t.Errorf("the cache changes the result: -without +with:\n%s", diff)
		}
		slices.Sort(files.opened)
		return f, slices.Compact(files.opened)
	}
	decode(t, sample, second)
	patches := []string{"fleet/patches/edge.yaml", "fleet/profiles/patches/kcp.yaml"}
	if _, opened := decode(t, sample, second); !slices.Equal(opened, patches) {
		t.Errorf("nothing changed, but %q were read", opened)
	}
	_, opened := decode(t, change("replicas: 3", "replicas: 5"), second)
	if want := append([]string{"fleet/clusters/edge-01.yaml"}, patches...); !slices.Equal(opened, want) {
		t.Errorf("one cluster changed, but %q were read", opened)
	}
	f, opened := decode(t, change(`mtu: "${{ mtu }}"`, `mtu: "x ${{ mtu }}"`), second)
	if !slices.Contains(opened, "layers/cilium/config.yaml") || !strings.Contains(fmt.Sprint(f.Profiles[0].Layers[0].Objects[0].Object), "x ${{ mtu }}") {
		t.Errorf("a layer's file changed, but the old build was used; opened %q", opened)
	}
}

// summary is what two results of Decode must have in common to be the same.
func summary(f fleet.Fleet) []string {
	out := []string{fmt.Sprint(f.Complete, f.Ignored)}
	for _, e := range f.Errors {
		out = append(out, e.Error())
	}
	for _, a := range f.Accounts {
		out = append(out, fmt.Sprintf("account %s %v %+v %v", a.Object.Name, a.Place, a.Object.Spec, a.Err))
	}
	for _, p := range f.Profiles {
		out = append(out, fmt.Sprintf("profile %s %v %s %v %v", p.Object.Name, p.Place, p.ContentDigest, p.Origins, p.Err))
	}
	for _, c := range f.Clusters {
		digest := ""
		if c.Err == nil {
			digest = fleet.InputsDigest(c)
		}
		out = append(out, fmt.Sprintf("cluster %s %v %s %v %v %v", c.Object.Name, c.Place, digest, c.Requested, c.Origins, c.Err))
	}
	return out
}

func TestEightParallelDecodes(t *testing.T) {
	files := &hashed{MapFS: tree(sample, second, addOn)}
	want, err := fleet.Decode(files, "fleet", fleet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	cache := fleet.NewCache(1 << 20)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 3 {
				got, err := fleet.Decode(files, "fleet", fleet.Options{Cache: cache})
				if diff := cmp.Diff(summary(want), summary(got)); diff != "" || err != nil {
					t.Errorf("%v: -want +got:\n%s", err, diff)
				}
			}
		})
	}
	wait.Wait()
}
