package docs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/chart/install"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

// tale are the pages with blocks to run, in the order in which a new user may read them: each goes on with the clusters
// that the ones before it left.
var tale = []string{
	"docs/first-cluster.md",
	"docs/cli.md",
	"docs/guides/git-access.md",
	"docs/guides/profiles-and-variables.md",
	"docs/guides/limits-and-approval.md",
	"docs/guides/drift.md",
	"docs/guides/troubleshooting.md",
	"docs/guides/deletion.md",
}

// TestPages follows the pages in one world, in which real controllers make machines.
func TestPages(t *testing.T) {
	pages := read(t)
	follows(t, pages)
	s := newReader(t)
	for _, page := range tale {
		if !t.Run(filepath.Base(page), func(t *testing.T) { s.follow(t, pages[page]) }) {
			t.Fatal("the pages after it go on from there")
		}
	}
}

// follows demands that every page with a block to run is in the tale.
func follows(t *testing.T, pages map[string][]block) {
	t.Helper()
	told := map[string]bool{}
	for _, page := range tale {
		told[page] = true
	}
	for page, all := range pages {
		for _, b := range all {
			if b.mark != "" && b.mark != golden && !told[page] {
				t.Errorf("%s is marked, but %s is not in the tale of this test", b, page)
				break
			}
		}
	}
}

// newReader starts the world and what a reader has before the first page: an empty repository, a user of Prism Central,
// the operator, and a terminal with kubectl and refract in it.
func newReader(t *testing.T) *shell {
	t.Helper()
	log.SetOutput(io.Discard) // the Git server logs every request
	ctrl.SetLogger(logr.Discard())
	dir := t.TempDir()
	w := startWorld(t)
	git, err := rig.NewGit(t.Context(), filepath.Join(dir, "git"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(git.Close)
	operate(t, w)
	files := map[string]string{
		"home/.gitconfig": fmt.Sprintf("[user]\nname = You\nemail = you@example.com\n[init]\ndefaultBranch = main\n[push]\ndefault = current\n"+
			"[credential]\nhelper = \"!f() { echo username=%s; echo password=%s; }; f\"\n", git.Username, git.Password),
		"work/pc-ca.crt": string(w.Prism.CA),
		"work/cni.yaml":  "{apiVersion: v1, kind: ServiceAccount, metadata: {name: cni, namespace: kube-system}}\n",
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o750), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	work := filepath.Join(dir, "work")
	return newShell(t, work,
		"HOME="+filepath.Join(dir, "home"), "PATH="+programs(t, dir, w)+string(os.PathListSeparator)+os.Getenv("PATH"),
		"GIT_CONFIG_SYSTEM=/dev/null", "GIT_TERMINAL_PROMPT=0", "GIT_PAGER=cat", "no_proxy=127.0.0.0/8", "KUBECONFIG="+w.Kubeconfig,
		"CHART="+install.Chart(), "REFRACT_IMAGE=registry.example.com/platform/refract", "REFRACT_DIGEST=sha256:"+strings.Repeat("0a", 32),
		"GIT_URL="+git.URL(), "GIT_USERNAME="+git.Username, "GIT_PASSWORD="+git.Password,
		"PRISM_HOST="+w.Prism.Host, fmt.Sprintf("PRISM_PORT=%d", w.Prism.Port), "PRISM_USERNAME="+w.Prism.Username, "PRISM_PASSWORD="+w.Prism.Password,
		"PRISM_CA="+filepath.Join(work, "pc-ca.crt"), "PRISM_ELEMENT=PE-1", "SUBNET=vlan-101",
		"IMAGE=ubuntu-24.04-kube-v1.33.4", "KUBERNETES=v1.33.4", "ENDPOINT="+w.Endpoint(), "CNI="+filepath.Join(work, "cni.yaml"),
	)
}

// startWorld starts a management cluster with Cluster API and CAPX, and nothing of Refract: that is the reader's to install.
func startWorld(t *testing.T) *world.World {
	t.Helper()
	w, err := world.Start(t.Context(), world.Options{Out: t.Output(), Managers: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what ended in the world: %v", w.Failed())
		}
		if err := w.Stop(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// operate stands in for the kubelet: as soon as the operator's Deployment is there, the operator runs, with the rights of
// its service account.
func operate(t *testing.T, w *world.World) {
	t.Helper()
	account, err := w.User("system:serviceaccount:refract-system:refract-manager", "system:serviceaccounts")
	if err != nil {
		t.Fatal(err)
	}
	admin, err := client.New(w.REST, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	o := rig.NewOperator(account, controllers.Options{Log: zap.New(zap.WriteTo(operatorLog(t)))})
	var running sync.WaitGroup
	running.Go(func() {
		if installed(ctx, admin) {
			o.Start(ctx)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
		if err := o.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// operatorLog is a file whose end is shown when the test fails.
func operatorLog(t *testing.T) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "operator.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		const shown = 8 << 10
		if text, err := os.ReadFile(file.Name()); err == nil && t.Failed() {
			t.Logf("end of the operator's log:\n%s", text[max(0, len(text)-shown):])
		}
		_ = file.Close()
	})
	return file
}

// installed waits until the operator's Deployment exists and its CRDs are served.
func installed(ctx context.Context, admin client.Client) bool {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := admin.Get(ctx, client.ObjectKey{Namespace: "refract-system", Name: "refract-manager"}, &appsv1.Deployment{})
		if err == nil {
			fleets := &metav1.PartialObjectMetadataList{}
			fleets.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("FleetList"))
			err = admin.List(ctx, fleets)
		}
		if err == nil {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// programs is a directory with kubectl, helm and refract.
func programs(t *testing.T, dir string, w *world.World) string {
	t.Helper()
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o750); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, "refract"), ".")
	build.Dir = rig.Root()
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building refract: %v\n%s", err, out)
	}
	helm, err := install.Helm(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink(w.Kubectl, filepath.Join(bin, "kubectl")), os.Symlink(helm, filepath.Join(bin, "helm"))); err != nil {
		t.Fatal(err)
	}
	return bin
}

// read reads the blocks of every document.
func read(t *testing.T) map[string][]block {
	t.Helper()
	all := map[string][]block{}
	for _, page := range documents(t) {
		text, err := os.ReadFile(filepath.Join(rig.Root(), page))
		if err != nil {
			t.Fatal(err)
		}
		if all[page], err = blocks(page, string(text)); err != nil {
			t.Error(err)
		}
	}
	return all
}

// documents lists the Markdown files of the root and of docs.
func documents(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(rig.Root(), "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(filepath.Join(rig.Root(), "docs"), func(path string, _ os.DirEntry, err error) error {
		if filepath.Ext(path) == ".md" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range files {
		files[i] = filepath.ToSlash(strings.TrimPrefix(file, rig.Root()+string(os.PathSeparator)))
	}
	return files
}
