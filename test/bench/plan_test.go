package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/cli"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/plan/view"
)

// TestPlan makes an exact plan by hand of one changed cluster in fleets of several sizes: requests and renders are the same
// in all. The clusters are mirrored as accepted; what they consist of is there for the changed one alone, since of the
// others nothing is asked.
func TestPlan(t *testing.T) {
	pack.World.StopManager("refract")
	all := sizes()
	if full() {
		all = append(all, 1000)
	}
	var first cost
	for i, n := range slices.Compact(slices.Sorted(slices.Values(all))) {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			c := newChecked(t, n).plan()
			if i == 0 {
				first = c
				return
			}
			for _, asked := range slices.Sorted(maps.Keys(c.Requests)) {
				if c.Requests[asked] != first.Requests[asked] {
					t.Errorf("a plan of one cluster asks %s %d times, not %d as in the smallest fleet", asked, c.Requests[asked], first.Requests[asked])
				}
			}
			if c.Renders != first.Renders {
				t.Errorf("a plan of one cluster renders %d, not %d as in the smallest fleet", c.Renders, first.Renders)
			}
		})
	}
}

// checked is a fleet in a checkout, all of which is accepted.
type checked struct {
	*testing.T
	dir, namespace string
	n              int
	counter        *counter
	kubeconfig     string
}

func newChecked(t *testing.T, n int) *checked {
	t.Helper()
	c := &checked{T: t, dir: t.TempDir(), namespace: fmt.Sprintf("checked-%d", n), n: n}
	c.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: c.namespace}})
	for path, text := range sharedFiles("pc-east.example.com") {
		c.write(filepath.Base(path), text)
	}
	for i := range n {
		name, host := names(i)
		c.write(name+".yaml", clusterFile(name, host, ""))
	}
	c.accept()
	c.proxy()
	return c
}

func (c *checked) write(name, text string) {
	c.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
		c.Fatal(err)
	}
}

func (c *checked) create(o client.Object) {
	c.Helper()
	if err := pack.Client.Create(c.Context(), o); err != nil {
		c.Fatal(err)
	}
}

// changed is the cluster that is to change, by its place.
func (c *checked) changed() int { return c.n / 2 }

// accept mirrors what the files declare, and makes the objects of the cluster that is to change.
func (c *checked) accept() {
	c.Helper()
	decoded, err := fleet.Decode(os.DirFS(c.dir), ".", fleet.Options{Namespace: c.namespace})
	if err != nil {
		c.Fatal(err)
	}
	f := &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: fleetName}}
	f.Spec.Git = v1alpha1.GitSource{URL: "https://git.example.com/clusters.git", Ref: v1alpha1.GitRef{Branch: "main"}}
	f.Spec.Interval.Duration = time.Minute
	c.create(f)
	stamps := map[string]string{v1alpha1.FleetAnnotation: fleetName, v1alpha1.SourceAnnotation: flow.Source(f)}
	for _, a := range decoded.Accounts {
		a.Object.Namespace, a.Object.Annotations = c.namespace, stamps
		c.create(a.Object.DeepCopy())
	}
	for i, one := range decoded.Clusters {
		mirror := one.Object.DeepCopy()
		mirror.Namespace, mirror.Annotations = c.namespace, maps.Clone(stamps)
		mirror.Annotations[v1alpha1.AcceptedDigestAnnotation] = fleet.InputsDigest(one)
		c.create(mirror)
		if i != c.changed() {
			continue
		}
		in := render.FromFleet(one)
		in.Cluster = mirror
		live := kube.Cluster{Client: pack.Client, Reader: pack.Client, Namespace: c.namespace, Name: mirror.Name}
		p, err := flow.Propose(c.Context(), in, live, "", plan.Options{})
		if err != nil {
			c.Fatal(err)
		}
		if _, err := live.Apply(c.Context(), p.Plan); err != nil {
			c.Fatal(err)
		}
	}
	c.Cleanup(func() {
		ctx, in := context.WithoutCancel(c.Context()), client.InNamespace(c.namespace)
		_ = pack.Client.DeleteAllOf(ctx, &v1alpha1.Fleet{}, in)
		_ = pack.Client.DeleteAllOf(ctx, &v1alpha1.NutanixClusterSpec{}, in)
		wipe(ctx, pack.Client, c.namespace)
	})
}

// proxy stands before the API server and counts.
func (c *checked) proxy() {
	c.Helper()
	transport, err := rest.TransportFor(pack.World.REST)
	if err != nil {
		c.Fatal(err)
	}
	to, err := url.Parse(pack.World.REST.Host)
	if err != nil {
		c.Fatal(err)
	}
	c.counter = &counter{next: transport, requests: map[request]int{}}
	front := httptest.NewServer(&httputil.ReverseProxy{
		Transport: c.counter, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
	})
	c.Cleanup(front.Close)
	c.kubeconfig = filepath.Join(c.TempDir(), "kubeconfig")
	err = clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"counted": {Server: front.URL}},
		Contexts:       map[string]*clientcmdapi.Context{"counted": {Cluster: "counted"}},
		CurrentContext: "counted",
	}, c.kubeconfig)
	if err != nil {
		c.Fatal(err)
	}
}

// plan has a person plan a longer timeout of one health check.
func (c *checked) plan() cost {
	c.Helper()
	name, host := names(c.changed())
	c.write(name+".yaml", strings.Replace(clusterFile(name, host, ""), "    replicas: 1\n",
		"    replicas: 1\n    healthCheck: {enabled: true, nodeStartupTimeoutSeconds: 900}\n", 1))
	var out, errs bytes.Buffer
	rendered, code := flow.Renders(), 0
	args := []string{"plan", c.dir, "--fleet", fleetName, "--namespace", c.namespace, "--kubeconfig", c.kubeconfig, "-o", "json"}
	took := spend(func() { code = cli.Main(c.Context(), args, strings.NewReader(""), &out, &errs) })
	var doc view.Document
	if err := json.Unmarshal(out.Bytes(), &doc); err != nil || code != 1 || len(doc.Clusters) != 1 || doc.Unchanged != c.n-1 || !doc.Live {
		c.Fatalf("want an exact plan of %s alone, ended with %d: %v %s%s", name, code, err, errs.String(), out.String())
	}
	spent := usage{Requests: c.counter.requests}
	result := cost{Requests: map[string]int{}, Renders: flow.Renders() - rendered}
	for r, count := range spent.Requests {
		if isWrite(r) {
			c.Errorf("a plan wrote: %s %s", r, r.Name)
		}
		result.Requests[r.String()] += count
	}
	row(fmt.Sprintf("exact plan of one changed cluster in a fleet of %d", c.n),
		fmt.Sprintf("%d requests, of them %d dry runs and no write; %d renders", spent.total(nil), spent.total(isDryRun), result.Renders),
		fmt.Sprintf("%.1f s CPU, %.1f MiB received", took.Seconds(), float64(c.counter.received.Load())/(1<<20)),
		"the same requests and renders in all")
	return result
}
