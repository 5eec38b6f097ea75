package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/fleet"
)

// comeUp makes a herd, and has kubectl apply the same rendered objects in a namespace of its own.
func comeUp(t *testing.T, n int, every time.Duration) *herd {
	t.Helper()
	h, spent, took := newHerd(t, n, every)
	h.once(spent)
	kubectl, objects := h.kubectl()
	row(fmt.Sprintf("from revision to %d clusters applied, %d objects", n, objects),
		fmt.Sprintf("%.1f s, kubectl apply %.1f s", took.Seconds(), kubectl.Seconds()),
		fmt.Sprintf("%d dry runs and %d writes of these objects; %d requests in all, %.1f s CPU",
			spent.total(and(isDryRun, isRendered)), spent.total(and(isWrite, isRendered)), spent.total(nil), spent.CPU.Seconds()),
		"at most one dry run and one write an object")
	return h
}

// isRendered says whether a request is about an object that is rendered, and not one of our own.
func isRendered(r request) bool {
	switch r.Resource {
	case "clusters", "machinedeployments", "machinehealthchecks", "kubeadmcontrolplanes", "kubeadmconfigtemplates",
		"clusterresourcesets", "nutanixclusters", "nutanixmachinetemplates", "configmaps":
		return true
	}
	return false
}

func and(a, b func(request) bool) func(request) bool {
	return func(r request) bool { return a(r) && b(r) }
}

// once asserts that no rendered object was dry-run or written twice.
func (h *herd) once(spent usage) {
	h.T.Helper()
	for r, count := range spent.Requests {
		if isRendered(r) && r.writes() && count > 1 {
			h.T.Errorf("%s %s: %d times, want at most once", r, r.Name, count)
		}
	}
}

// kubectl applies what Refract rendered with one kubectl apply --server-side, and says how long that took.
func (h *herd) kubectl() (time.Duration, int) {
	h.T.Helper()
	namespace := h.Namespace + "-kubectl"
	h.Create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	files := fstest.MapFS{}
	for path, text := range sharedFiles(h.World.Prism.Host) {
		files[path] = &fstest.MapFile{Data: []byte(text)}
	}
	for i := range h.names {
		name, host := names(i)
		files["fleet/"+name+".yaml"] = &fstest.MapFile{Data: []byte(clusterFile(name, host, ""))}
	}
	decoded, err := fleet.Decode(files, "fleet", fleet.Options{})
	if err != nil {
		h.T.Fatal(err)
	}
	var all []*unstructured.Unstructured
	for _, c := range decoded.Clusters {
		unit, wrong := render.Cluster(render.FromFleet(c))
		if wrong != nil {
			h.T.Fatal(wrong)
		}
		all = append(all, unit.Named(nil, func(string, string) bool { return true })...)
	}
	for _, o := range all {
		o.SetNamespace(namespace)
		o.SetLabels(map[string]string{"cluster.x-k8s.io/cluster-name": o.GetLabels()["cluster.x-k8s.io/cluster-name"]}) // none of Refract's
	}
	file := filepath.Join(h.T.TempDir(), "all.yaml")
	if err = os.WriteFile(file, []byte(manifestOf(all)), 0o600); err != nil {
		h.T.Fatal(err)
	}
	begin := time.Now()
	out, err := exec.CommandContext(h.T.Context(), h.World.Kubectl, "--kubeconfig="+h.World.Kubeconfig, "apply", "--server-side", "-f", file).CombinedOutput()
	took := time.Since(begin)
	if err != nil {
		h.T.Fatalf("kubectl apply: %v\n%s", err, out)
	}
	if applied := strings.Count(string(out), "serverside-applied"); applied != len(all) {
		h.T.Fatalf("kubectl applied %d objects of %d", applied, len(all))
	}
	wipe(h.T.Context(), h.Client, namespace)
	return took, len(all)
}
