package cli

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/refract-dev/refract/render/plan/view"
)

func TestValidate(t *testing.T) {
	cases := map[string]struct {
		reason string
		dir    string
		path   string // of the repository; default fleet
		change func(t *testing.T, dir string)
		code   int
		want   []string
	}{
		"Good": {
			reason: "layers beside PATH are followed inside the repository", dir: "good", code: 0,
			want: []string{"2 clusters, 1 profile version, 1 account: no mistake"},
		},
		"WholeRepository": {
			reason: "a layer is no cluster file", dir: "good", path: ".", code: 0,
			want: []string{"2 clusters"},
		},
		"Missing": {
			reason: "a mistyped path is no empty fleet", dir: "good", path: "flet", code: 2,
			want: []string{"flet does not exist"},
		},
		"File": {
			reason: "PATH is a directory", dir: "good", path: "fleet/fleet.yaml", code: 2,
			want: []string{"is a file"},
		},
		"Nothing": {
			reason: "a directory without a file of ours is a finding", dir: "good", path: "layers", code: 1,
			want: []string{"declares nothing"},
		},
		"OtherFiles": {
			reason: "files of other API groups are counted and named", dir: "good",
			change: func(t *testing.T, dir string) {
				t.Helper()
				write(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", dir, "fleet/other.yaml")
			}, code: 0, want: []string{"1 document of other API groups", "fleet/other.yaml"},
		},
		"LinkOut": {
			reason: "a link that leaves the repository is refused, whatever it leads to", dir: "good",
			change: func(t *testing.T, dir string) {
				t.Helper()
				outside := t.TempDir()
				write(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: stolen}\n", outside, "dns.yaml")
				replace(t, "[dns.yaml]", "[stolen.yaml]", dir, "layers/dns/kustomization.yaml")
				link(t, filepath.Join(outside, "dns.yaml"), dir, "layers/dns/stolen.yaml")
			}, code: 1, want: []string{"layers/dns/stolen.yaml", "leaves the snapshot"},
		},
		"LinkUp": {
			reason: "a relative link out is no way round", dir: "good",
			change: func(t *testing.T, dir string) {
				t.Helper()
				link(t, "../../../etc", dir, "layers/dns/up")
				replace(t, "[dns.yaml]", "[up/passwd]", dir, "layers/dns/kustomization.yaml")
			}, code: 1, want: []string{"leaves the snapshot"},
		},
		"LinkInside": {
			reason: "a link inside the repository is followed", dir: "good",
			change: func(t *testing.T, dir string) {
				t.Helper()
				link(t, "dns.yaml", dir, "layers/dns/same.yaml")
				replace(t, "[dns.yaml]", "[same.yaml]", dir, "layers/dns/kustomization.yaml")
			}, code: 0, want: []string{"no mistake"},
		},
		"LinkedPath": {
			reason: "PATH itself may be a link of the user's", dir: "good", path: "linked",
			change: func(t *testing.T, dir string) {
				t.Helper()
				link(t, "fleet", dir, "linked")
			}, code: 0,
			want: []string{"2 clusters"},
		},
		"Ignored": {
			reason: ".sourceignore hides files as it does from the operator", dir: "good",
			change: func(t *testing.T, dir string) {
				t.Helper()
				write(t, "draft*.yaml\n", dir, "fleet/.sourceignore")
				write(t, "{{ not yaml", dir, "fleet/drafts/draft-1.yaml")
				write(t, "{{ not yaml", dir, "fleet/drafts/.git/config.yaml")
			}, code: 0, want: []string{"no mistake"},
		},
		"NotIgnored": {
			reason: "and only those", dir: "good",
			change: func(t *testing.T, dir string) {
				t.Helper()
				write(t, "{{ not yaml", dir, "fleet/drafts/draft-1.yaml")
			}, code: 1,
			want: []string{"fleet/drafts/draft-1.yaml:1: "},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Log(c.reason)
			dir := repository(t, c.dir)
			if c.change != nil {
				c.change(t, dir)
			}
			if c.path == "" {
				c.path = "fleet"
			}
			expect(t, run(t, "validate", filepath.Join(dir, c.path)), c.code, c.want...)
		})
	}
}

func TestValidateMistakes(t *testing.T) {
	dir := repository(t, "mistakes")
	got := run(t, "validate", filepath.Join(dir, "fleet"))
	expect(t, got, 1)
	golden(t, "validate-mistakes.txt", got.out)
	lines := strings.Split(strings.TrimSpace(got.out), "\n")
	if mistakes := lines[:len(lines)-1]; !slices.IsSorted(mistakes) {
		t.Errorf("mistakes are not sorted:\n%s", got.out)
	}
}

func TestValidateNamespace(t *testing.T) {
	dir := repository(t, "good")
	replace(t, "{name: edge-01}", "{name: edge-01, namespace: clusters}", dir, "fleet/clusters/edge-01.yaml")
	expect(t, run(t, "validate", filepath.Join(dir, "fleet"), "--namespace", "clusters"), 0)
	expect(t, run(t, "validate", filepath.Join(dir, "fleet"), "--namespace", "others"), 1, "fleet/clusters/edge-01.yaml:3: ", "others")
}

func TestValidateOutsideOfARepository(t *testing.T) {
	dir := repository(t, "good")
	if err := os.Remove(filepath.Join(dir, ".git")); err != nil {
		t.Fatal(err)
	}
	// PATH is then all there is, and what lies beside it is out of reach.
	expect(t, run(t, "validate", filepath.Join(dir, "fleet")), 1, "fleet.yaml:17: ", "leaves the snapshot")
}

func TestRender(t *testing.T) {
	dir := filepath.Join(repository(t, "good"), "fleet")
	got := run(t, "render", dir, "--cluster", "edge-01")
	expect(t, got, 0)
	golden(t, "render-edge-01.txt", outline(got.out))
	if strings.Contains(got.out, "edge-02") {
		t.Error("another cluster was rendered")
	}
	if again := run(t, "render", dir, "--cluster", "edge-01"); again.out != got.out {
		t.Error("the same files gave other bytes")
	}
	for _, form := range []string{"yaml", "json"} {
		out := run(t, "render", dir, "-o", form).out
		if strings.Contains(out, "correct-horse") || strings.Contains(out, base64.StdEncoding.EncodeToString([]byte("correct-horse"))) {
			t.Errorf("%s shows a secret", form)
		}
	}
}

// outline is what a reader sees first of rendered objects; the objects in full are package render's golden files.
func outline(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "---") || strings.HasPrefix(line, "# ") || strings.HasPrefix(line, "kind: ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func TestRenderJSON(t *testing.T) {
	dir := filepath.Join(repository(t, "good"), "fleet")
	got := run(t, "render", dir, "-o", "json", "--namespace", "clusters")
	expect(t, got, 0)
	var list struct {
		Kind  string
		Items []struct{ Kind, Metadata any }
	}
	if err := json.Unmarshal([]byte(got.out), &list); err != nil {
		t.Fatal(err)
	}
	documents := strings.Split(strings.TrimPrefix(run(t, "render", dir, "-n", "clusters").out, "---\n"), "\n---\n")
	if list.Kind != "List" || len(list.Items) != len(documents) {
		t.Fatalf("%s of %d items as JSON, %d documents as YAML", list.Kind, len(list.Items), len(documents))
	}
	for i, document := range documents {
		var o struct {
			Kind     string
			Metadata struct{ Namespace string }
		}
		if err := yaml.Unmarshal([]byte(document), &o); err != nil {
			t.Fatal(err)
		}
		if o.Metadata.Namespace != "clusters" || list.Items[i].Kind != o.Kind {
			t.Errorf("item %d: %+v as YAML, %v as JSON", i, o, list.Items[i].Kind)
		}
	}
}

func TestRenderMistakes(t *testing.T) {
	dir := filepath.Join(repository(t, "mistakes"), "fleet")
	all := run(t, "render", dir)
	expect(t, all, 1, "name: right", "fleet/misspelt.yaml:11: ", "fleet/broken.yaml:2: ")
	if strings.Contains(all.out, "misspelt") {
		t.Error("a wrong cluster was rendered")
	}
	expect(t, run(t, "render", dir, "--cluster", "right"), 0, "name: right")
	one := run(t, "render", dir, "--cluster", "patched")
	expect(t, one, 1, "fleet/patched.yaml:")
	if one.out != "" || strings.Contains(one.err, "misspelt") {
		t.Errorf("want the mistakes of one cluster alone, got\nout: %s\nerr: %s", one.out, one.err)
	}
	expect(t, run(t, "render", dir, "--cluster", "edge-09"), 2, "no cluster edge-09", "dangling, misspelt, patched, right")
}

func TestPlanOffline(t *testing.T) {
	dir := filepath.Join(repository(t, "good"), "fleet")
	got := run(t, "plan", dir)
	expect(t, got, 1, "predicted from the files", "KubeadmControlPlane/edge-01-kcp created", "KubeadmControlPlane/edge-02-kcp created")
	var doc view.Document
	got = run(t, "plan", dir, "-o", "json")
	expect(t, got, 1)
	if err := json.Unmarshal([]byte(got.out), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Live || len(doc.Clusters) != 2 || !doc.Clusters[0].Predicted || len(doc.Held)+len(doc.Mistakes) != 0 {
		t.Errorf("want predicted plans of two clusters, got %s", got.out)
	}
	if strings.Contains(got.out, "correct-horse") {
		t.Error("the plan shows a secret")
	}
}

// TestPlanRevisions compares two commits of a clone, and a commit with the files as they lie there.
func TestPlanRevisions(t *testing.T) {
	repo := clone(t)
	dir := filepath.Join(repo, "fleet")
	expect(t, run(t, "plan", dir, "--base", "HEAD", "--head", "HEAD"), 0, "no change")

	replace(t, "memory: 4Gi, systemDisk: 40Gi}}", "memory: 8Gi, systemDisk: 40Gi}}", repo, "fleet/clusters/edge-02.yaml")
	expect(t, run(t, "plan", dir, "--base", "HEAD", "--head", "HEAD"), 0, "no change")
	expect(t, run(t, "plan", dir, "--base", "HEAD"), 1, "predicted from the files", "memorySize: 4Gi → 8Gi", "what is free is not known")
	commit(t, repo, "a change")
	got := run(t, "plan", dir, "--base", "HEAD~1", "--head", "HEAD", "-o", "json")
	expect(t, got, 1)
	var doc view.Document
	if err := json.Unmarshal([]byte(got.out), &doc); err != nil {
		t.Fatal(err)
	}
	if !doc.Predicted || len(doc.Clusters) != 1 || doc.Clusters[0].Cluster != "edge-02" || doc.Unchanged != 1 || doc.Base != "HEAD~1" {
		t.Errorf("want edge-02 alone, compared with HEAD~1, got %s", got.out)
	}
	expect(t, run(t, "plan", dir, "--base", "HEAD~1", "-o", "markdown"), 1, "### Refract plan: ", "Predicted from the files")

	replace(t, "10.20.0.11", "10.20.0.99", repo, "fleet/clusters/edge-01.yaml")
	expect(t, run(t, "plan", dir, "--base", "HEAD"), 3, "refused: edge-01", "10.20.0.11")
	expect(t, run(t, "plan", dir, "--base", "nothing"), 2, "nothing")
	t.Chdir(dir)
	expect(t, run(t, "plan", "--base", "HEAD~1", "--head", "HEAD"), 1, "edge-02")
}

func TestPlanOfMistakes(t *testing.T) {
	dir := filepath.Join(repository(t, "mistakes"), "fleet")
	got := run(t, "plan", dir)
	expect(t, got, 2, "KubeadmControlPlane/right-kcp created", "fleet/misspelt.yaml:11: ", "fleet/patched.yaml:")
	if strings.Contains(got.out, "Cluster/misspelt") {
		t.Error("a wrong cluster was planned")
	}
	expect(t, run(t, "plan", filepath.Join(repository(t, "good"), "layers")), 2, "declares nothing")
	if got = run(t, "plan", dir, "-o", "markdown"); !strings.Contains(got.err, "fleet/misspelt.yaml:11: ") {
		t.Errorf("the mistakes are not among what went wrong: %s", got.err)
	}

	torn := t.TempDir()
	write(t, "{{ not yaml", torn, "torn.yaml")
	got = run(t, "plan", torn)
	expect(t, got, 2, "torn.yaml:1: ")
	if strings.Contains(got.out, "no change") {
		t.Errorf("says that nothing changes of what it could not read: %s", got.out)
	}
}

// TestDemoFleet keeps the sample fleet usable by the commands that its readers try.
func TestDemoFleet(t *testing.T) {
	const dir = "../../test/demo/fleet"
	expect(t, run(t, "validate", dir), 0, "3 clusters, 1 profile version, 1 account")
	for _, name := range []string{"edge-01", "edge-02", "edge-03"} {
		expect(t, run(t, "render", dir, "--cluster", name), 0, "kind: KubeadmControlPlane", "kind: MachineDeployment")
	}
	expect(t, run(t, "plan", dir), 1, "3 clusters")
}
