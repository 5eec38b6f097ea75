// Package equivalence holds the objects that Refract renders against those of CAPX's own cluster template, after the
// real API server, webhooks and conversions have seen both. What differs stands in one table, with the reason.
package equivalence

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/test/world"
)

// difference is one that is meant.
type difference struct {
	// object is kind and name, where * stands for anything within one step; | stands between several. What the cluster
	// gets delivered begins with workload/. A lone * is every object.
	object string
	// path of the field, as a JSON pointer; * stands for anything within one step. What lies below is meant as well. An
	// empty path is the whole object.
	path string
	// reason why it must be so.
	reason string
}

// differences are all there are. One that is not met fails the test, and so does one that is not listed. That a
// reference names another object is none, if the two objects are compared themselves.
var differences = []difference{
	{"*", "/metadata/labels/refract.dev~1*", "Refract knows by label what is its own, and which Clusters to protect"},
	{"*", "/metadata/labels/cluster.x-k8s.io~1cluster-name", "the template has it on some objects only; with it on all of them, all of a cluster is found"},
	{"Cluster/same", "/metadata/labels/ccm", "selects the template's ClusterResourceSet; ours selects by the cluster's name"},
	{"KubeadmConfigTemplate/*|NutanixMachineTemplate/*", "/metadata/annotations/refract.dev~1content-digest", "by it a template's content is known after a hand edit"},
	{
		"KubeadmConfigTemplate/*|NutanixMachineTemplate/*|MachineHealthCheck/*|ClusterResourceSet/*", "/metadata/name",
		"the control plane and each pool have templates and checks of their own, so that one changes without the other; so has each cluster its set",
	},
	{"NutanixMachineTemplate/*", "/spec/template/spec/providerID", "the same for all machines in the template; CAPX gives each its own"},
	{"NutanixCluster/same", "/spec/prismCentral/*/name", "credentials and CA are written by the account controller, under names of their own"},
	{"MachineHealthCheck/*", "/spec/selector/matchLabels/*", "sick workers do not keep a control-plane machine from being replaced, nor the other way round"},
	{"ClusterResourceSet/*", "/spec", "the template's serves all clusters of the namespace, once; ours serves one, again after each change"},
	{"Secret/same|ConfigMap/same-pc-trusted-ca-bundle", "", "the account controller writes what enters Prism Central: it is not in files, and is rotated"},
	{"workload/Secret/nutanix-creds|workload/ConfigMap/nutanix-ccm-pc-trusted-ca-bundle", "", "the same inside the cluster: the account controller writes the Secret that delivers them"},
}

var started *world.World

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctrl.SetLogger(logr.Discard())
	w, err := world.Start(context.Background(), world.Options{Managers: true, NoReconcile: true})
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	started = w
	code := m.Run()
	if err := w.Stop(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// TestEquivalence compares field by field, with the template's defaults and with every variable set to something else.
func TestEquivalence(t *testing.T) {
	met := map[difference]bool{}
	for name, v := range cases {
		t.Run(name, func(t *testing.T) {
			theirs := admitted(t, strings.ToLower(name)+"-template", func(namespace string) []byte { return fromTemplate(t, namespace, v) })
			ours := admitted(t, strings.ToLower(name)+"-refract", func(namespace string) []byte { return rendered(t, namespace, v) })
			for _, f := range compare(theirs, ours) {
				d, ok := listed(f)
				if !ok {
					t.Errorf("%s: the template has %s, Refract has %s; make them the same, or list it with the reason", f, show(f.theirs), show(f.ours))
				}
				met[d] = true
			}
		})
	}
	for _, d := range differences {
		if !met[d] {
			t.Errorf("nothing differs at %s %s any more: take it off the list", d.object, d.path)
		}
	}
}

// TestDifferencesAreFew keeps the list short, and machines out of it: what is in kubeadmConfigSpec rolls them.
func TestDifferencesAreFew(t *testing.T) {
	if len(differences) > 12 {
		t.Errorf("%d differences are listed, at most 12", len(differences))
	}
	for _, d := range differences {
		if len(d.reason) < 20 {
			t.Errorf("%s %s has no reason", d.object, d.path)
		}
		for object, config := range map[string]string{
			"KubeadmControlPlane/same-kcp": "/spec/kubeadmConfigSpec", "KubeadmConfigTemplate/same-wmd": "/spec/template/spec",
		} {
			for _, field := range []string{"/verbosity", "/preKubeadmCommands/0", "/users/0/name", "/files/0/content", "/joinConfiguration"} {
				if d.covers(object, config+field) {
					t.Errorf("%s %s allows a difference in %s, which rolls machines", d.object, d.path, config+field)
				}
			}
		}
	}
}

// TestEveryVariableIsSet demands that a new variable of the template gets a value here.
func TestEveryVariableIsSet(t *testing.T) {
	text, err := os.ReadFile(template(t))
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, match := range regexp.MustCompile(`\$\{([A-Z_0-9]+)`).FindAllStringSubmatch(string(text), -1) {
		used[match[1]] = true
	}
	set := cases["Set"].environment("namespace")
	known := maps.Clone(withoutCounterpart)
	for _, name := range []string{"CLUSTER_NAME", "NAMESPACE", "KUBERNETES_VERSION", "CONTROL_PLANE_MACHINE_COUNT", "WORKER_MACHINE_COUNT"} {
		known[name] = "a flag of clusterctl"
	}
	for _, pair := range set {
		name, _, _ := strings.Cut(pair, "=")
		known[name] = "set"
	}
	if got, want := slices.Sorted(maps.Keys(known)), slices.Sorted(maps.Keys(used)); !slices.Equal(got, want) {
		t.Errorf("the template has the variables %v, this test knows %v", want, got)
	}
}

// listed returns the difference that a field is covered by.
func listed(f field) (difference, bool) {
	for _, d := range differences {
		if d.covers(f.object, f.path) {
			return d, true
		}
	}
	return difference{}, false
}

// covers tells whether the field or one above it is meant. An empty path covers whole objects only.
func (d difference) covers(object, pointer string) bool {
	if !slices.ContainsFunc(strings.Split(d.object, "|"), func(pattern string) bool { return pattern == "*" || match(pattern, object) }) {
		return false
	}
	if d.path == "" || pointer == "" {
		return d.path == pointer
	}
	for ; pointer != "/" && pointer != "."; pointer = path.Dir(pointer) {
		if match(d.path, pointer) {
			return true
		}
	}
	return false
}

func match(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return err == nil && ok
}

// admitted applies objects in a namespace of their own, and returns what the API server made of them.
func admitted(t *testing.T, namespace string, text func(namespace string) []byte) objects {
	t.Helper()
	c, err := client.New(started.REST, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err = c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		t.Fatal(err)
	}
	if err = started.Apply(t.Context(), text(namespace)); err != nil {
		t.Fatal(err)
	}
	return readBack(t, c, namespace)
}
