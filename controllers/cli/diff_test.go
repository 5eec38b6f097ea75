package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// git runs Git in a repository, as a person with a name and at a time of their own.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_AUTHOR_DATE=2026-11-22T09:00:00Z",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com", "GIT_COMMITTER_DATE=2026-11-22T09:00:00Z",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// clone is a repository with the files of testdata/good as the only commit of branch main.
func clone(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/good")); err != nil {
		t.Fatal(err)
	}
	git(t, dir, "init", "-q", "-b", "main")
	commit(t, dir, "Add a fleet")
	return dir
}

func commit(t *testing.T, dir, message string) string {
	t.Helper()
	git(t, dir, "add", "-A")
	git(t, dir, "commit", "-q", "-m", message)
	return git(t, dir, "rev-parse", "HEAD")
}

func TestDiffOfRevisions(t *testing.T) {
	const small, big = "memory: 4Gi, systemDisk: 40Gi}}", "memory: 8Gi, systemDisk: 40Gi}}"
	dir := clone(t)
	fleet := filepath.Join(dir, "fleet")
	expect(t, run(t, "diff", fleet, "--base", "main"), 0)
	expect(t, run(t, "diff", fleet, "--base", "main", "--head", "HEAD"), 0)

	git(t, dir, "checkout", "-q", "-b", "topic")
	replace(t, small, big, fleet, "clusters/edge-02.yaml")
	got := run(t, "diff", fleet, "--base", "main")
	expect(t, got, 1)
	golden(t, "diff-memory.txt", got.out)
	expect(t, run(t, "diff", fleet, "--base", "main", "--head", "HEAD"), 0) // What is not committed is of no revision.
	topic := commit(t, dir, "More memory")
	if again := run(t, "diff", fleet, "--base", "main", "--head", topic[:8]); again.out != got.out {
		t.Errorf("the same files, committed, differ otherwise:\n%s", again.out)
	}
	expect(t, run(t, "diff", fleet, "--base", "HEAD~1", "--cluster", "edge-01"), 0)
	expect(t, run(t, "diff", fleet, "--base", "main", "--cluster", "edge-02"), 1, "+      memorySize: 8Gi")

	copyFile(t, filepath.Join(fleet, "clusters/edge-01.yaml"), filepath.Join(fleet, "clusters/edge-03.yaml"))
	replace(t, "edge-01", "edge-03", fleet, "clusters/edge-03.yaml")
	replace(t, "10.20.0.11", "10.20.0.13", fleet, "clusters/edge-03.yaml")
	if err := os.Remove(filepath.Join(fleet, "clusters/edge-02.yaml")); err != nil {
		t.Fatal(err)
	}
	got = run(t, "diff", fleet, "--base", "main")
	expect(t, got, 1, "--- /dev/null\n+++ b/edge-03/Cluster/edge-03.yaml", "--- a/edge-02/Cluster/edge-02.yaml\n+++ /dev/null")
	if strings.Contains(got.out, "edge-01/") {
		t.Errorf("edge-01 did not change:\n%s", got.out)
	}

	// A file that says nothing may be the one that declared edge-02: it is not told as gone.
	write(t, "{{ no YAML", fleet, "clusters/edge-02.yaml")
	got = run(t, "diff", fleet, "--base", "main")
	expect(t, got, 2, "fleet/clusters/edge-02.yaml:1")
	if strings.Contains(got.out, "edge-02") {
		t.Errorf("a cluster whose file cannot be read is told as gone:\n%s", got.out)
	}
	commit(t, dir, "Break it")
	git(t, dir, "checkout", "-q", "main")
	expect(t, run(t, "diff", fleet, "--base", "topic"), 2, "base: fleet/clusters/edge-02.yaml:1")
}

// What patch tools make of a diff is the other side's objects.
func TestDiffIsAPatch(t *testing.T) {
	dir := clone(t)
	fleet := filepath.Join(dir, "fleet")
	replace(t, "memory: 4Gi", "memory: 8Gi", fleet, "clusters/edge-02.yaml")
	git(t, dir, "rm", "-q", "--cached", "fleet/clusters/edge-01.yaml")
	out := run(t, "diff", fleet, "--base", "main").out
	patch := filepath.Join(t.TempDir(), "patch")
	write(t, out, patch)
	if stat := git(t, dir, "apply", "--numstat", patch); !strings.Contains(stat, "edge-02/NutanixMachineTemplate/edge-02-") {
		t.Errorf("git apply reads %q in\n%s", stat, out)
	}
}

func TestDiffHidesSecrets(t *testing.T) {
	dir := clone(t)
	replace(t, "correct-horse", "battery-staple", dir, "layers/dns/dns.yaml")
	replace(t, "v1.33.4", "v1.33.5", dir, "fleet/fleet.yaml") // Goes into a machine's files, too.
	got := run(t, "diff", filepath.Join(dir, "fleet"), "--base", "main", "--cluster", "edge-01")
	expect(t, got, 1, "Secret/edge-01-", "-  objects.yaml: (hidden)\n+  objects.yaml: (hidden, changed)\n")
	for _, told := range []string{"horse", "staple", "Y29ycmVjd", "sha256", "content-digest"} {
		if strings.Contains(got.out, told) {
			t.Errorf("%q is told:\n%s", told, got.out)
		}
	}
	golden(t, "diff-hidden.txt", got.out)
}

// What is not in a Secret and is secret all the same is covered where its name says so.
func TestDiffCoversWhatANameCallsSecret(t *testing.T) {
	with := func(secret string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"kind": "KubeadmControlPlane", "metadata": map[string]any{"name": "a", "annotations": map[string]any{"kubectl.kubernetes.io/last-applied-configuration": secret}},
			"spec": map[string]any{
				"users":    []any{map[string]any{"name": "ops", "passwd": secret}},
				"files":    []any{map[string]any{"path": "/a", "content": secret}},
				"args":     []any{map[string]any{"name": "bootstrap-token", "value": secret}},
				"commands": []any{"kubeadm join --token " + secret + " --now", "export API_KEY=" + secret, "echo done"},
				"data":     map[string]any{"conf.yaml": "user: ops\npassword: " + secret + "\nport: 80", "tls.pem": "-----BEGIN PRIVATE KEY-----\n" + secret},
			},
		}}
	}
	var d objectDiffs
	if !d.add("a", "", with("before-s3cret"), with("after-s3cret")) {
		t.Fatal("no difference")
	}
	got := d.buffer.String()
	if strings.Contains(got, "s3cret") {
		t.Errorf("a secret is told:\n%s", got)
	}
	if n := strings.Count(got, "(hidden, changed)"); n != 7 {
		t.Errorf("%d of 7 secrets are told as changed:\n%s", n, got)
	}
	if d.add("a", "", with("same"), with("same")) {
		t.Error("the same differs")
	}
}

func TestDiffRefuses(t *testing.T) {
	dir := clone(t)
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"TwoPaths":     {[]string{dir, dir}, "want one PATH"},
		"NoRevision":   {[]string{dir, "--base", "mian"}, `revision "mian" is not in this clone`},
		"NoClone":      {[]string{t.TempDir(), "--base", "main"}, "no Git repository"},
		"NoCluster":    {[]string{dir, "--base", "main", "--cluster", "edge-77"}, "has no cluster edge-77 in either revision; it declares edge-01, edge-02"},
		"TwoWays":      {[]string{dir, "--base", "main", "--fleet", "production"}, "--base compares files with files"},
		"NothingThere": {[]string{filepath.Join(dir, "layers"), "--base", "main"}, "declares nothing"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, run(t, append([]string{"diff"}, tc.args...)...), 2, tc.want) })
	}
}

func TestDiffLive(t *testing.T) {
	m := manage(t)
	repo := clone(t)
	dir := filepath.Join(repo, "fleet")
	expect(t, m.command(t, "diff", dir), 1, "--- /dev/null\n+++ b/edge-01/Cluster/edge-01.yaml")
	if n := m.clusters(t); n != 0 {
		t.Errorf("a diff wrote %d Clusters", n)
	}
	m.apply(t, dir)
	expect(t, m.command(t, "diff", dir), 0)

	replace(t, "memory: 4Gi, systemDisk: 40Gi}}", "memory: 8Gi, systemDisk: 40Gi}}", repo, "fleet/clusters/edge-02.yaml")
	got := m.command(t, "diff", dir)
	expect(t, got, 1, "# edge-02: NutanixMachineTemplate/edge-02-", "-      memorySize: 4Gi\n+      memorySize: 8Gi\n", "# edge-02: MachineDeployment/edge-02-")
	for _, noise := range []string{"managedFields", "resourceVersion", "creationTimestamp", "status:", "edge-01"} {
		if strings.Contains(got.out, noise) {
			t.Errorf("%s is no difference:\n%s", noise, got.out)
		}
	}
	expect(t, m.command(t, "diff", dir, "--cluster", "edge-01"), 0)
	expect(t, m.command(t, "diff", dir, "--head", "HEAD"), 0) // The commit is what is live.

	f := m.fleet(t, v1alpha1.Limits{})
	if err := os.Remove(filepath.Join(dir, "clusters/edge-02.yaml")); err != nil {
		t.Fatal(err)
	}
	expect(t, m.command(t, "diff", dir), 0)
	expect(t, m.command(t, "diff", dir, "--fleet", f.Name), 1, "# edge-02: no file declares it any more")
	git(t, repo, "checkout", "-q", ".")

	// What the API server or another owner would not have stands in words.
	replace(t, "10.20.0.11", "10.20.0.99", repo, "fleet/clusters/edge-01.yaml")
	expect(t, m.command(t, "diff", dir, "--cluster", "edge-01"), 1, "edge-01")
	git(t, repo, "checkout", "-q", ".")
	create(t, m.admin, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: "edge-03-dns"}})
	copyFile(t, filepath.Join(dir, "clusters/edge-01.yaml"), filepath.Join(dir, "clusters/edge-03.yaml"))
	replace(t, "edge-01", "edge-03", dir, "clusters/edge-03.yaml")
	replace(t, "10.20.0.11", "10.20.0.13", dir, "clusters/edge-03.yaml")
	expect(t, m.command(t, "diff", dir), 1, "# edge-03: ConfigMap/edge-03-dns", "# exists and is not Refract's")
}
