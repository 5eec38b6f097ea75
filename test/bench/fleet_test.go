package bench

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/rig"
)

// herd is a Fleet of some clusters that an operator looks after, with nothing else in the world.
type herd struct {
	*rig.Scene
	op     *operator
	every  time.Duration // between readings of Prism Central
	names  []string
	empty  usage // before there was a Fleet
	listed *atomic.Int64
}

const fleetName = "production"

// patience is how long anything may take on a busy machine.
const patience = 20 * time.Minute

// newHerdCalled is newHerd with a Fleet that is changed by what begin returns, which comes right before it is made.
func newHerdCalled(t *testing.T, n int, begin func(*herd) func(*v1alpha1.Fleet)) *herd {
	t.Helper()
	h, _, _ := makeHerd(t, fmt.Sprintf("called-%d", n), n, time.Minute, begin)
	return h
}

// newHerd pushes n clusters, has a Fleet take them up by an operator that reads Prism Central every so often, and waits
// until all of them are applied. What that took is returned as well.
func newHerd(t *testing.T, n int, every time.Duration) (*herd, usage, time.Duration) {
	t.Helper()
	return makeHerd(t, fmt.Sprintf("herd-%d", n), n, every, func(*herd) func(*v1alpha1.Fleet) { return func(*v1alpha1.Fleet) {} })
}

func makeHerd(t *testing.T, namespace string, n int, every time.Duration, before func(*herd) func(*v1alpha1.Fleet)) (*herd, usage, time.Duration) {
	t.Helper()
	h := &herd{Scene: pack.NewScene(t, namespace), op: startOperator(t, &pack, every), every: every, listed: &atomic.Int64{}}
	files := sharedFiles(pack.World.Prism.Host)
	for i := range n {
		name, host := names(i)
		h.names = append(h.names, name)
		files["fleet/"+name+".yaml"] = clusterFile(name, host, "")
	}
	h.Push("a fleet", files)
	door := h.door()
	t.Cleanup(h.clear)
	h.empty = h.op.usage(t)
	change := before(h)
	begin := time.Now()
	h.NewFleet(fleetName, func(f *v1alpha1.Fleet) {
		f.Spec.Git.URL, f.Spec.Interval.Duration = door+"/fleet.git", 24*time.Hour
		change(f)
	})
	h.applied()
	took := time.Since(begin)
	return h, h.op.usage(t).since(h.empty), took
}

// door stands before the Git server and counts ref listings.
func (h *herd) door() string {
	h.T.Helper()
	to, err := url.Parse(h.Git.Server.HTTPAddress())
	if err != nil {
		h.T.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); ok && strings.HasSuffix(r.URL.Path, "/info/refs") {
			h.listed.Add(1)
		}
		proxy.ServeHTTP(w, r)
	}))
	h.T.Cleanup(front.Close)
	return front.URL
}

// applied waits until every cluster says that live is as wanted.
func (h *herd) applied() { h.all("applied", v1alpha1.InSyncCondition, "") }

// all waits until every cluster has a condition that is true, at a revision that ends like this.
func (h *herd) all(what, condition, revision string) {
	h.T.Helper()
	h.Within(patience, fmt.Sprintf("all %d clusters are %s", len(h.names), what), func() error {
		list := &v1alpha1.NutanixClusterSpecList{}
		if err := h.Client.List(h.T.Context(), list, client.InNamespace(h.Namespace)); err != nil {
			return err
		}
		good := 0
		var last error
		for i := range list.Items {
			c := &list.Items[i]
			if err := rig.Has(c, condition, metav1.ConditionTrue, ""); err != nil {
				last = fmt.Errorf("%s: %w", c.Name, err)
			} else if revision == "" || c.Status.Revision == "main@sha1:"+revision {
				good++
			}
		}
		if good < len(h.names) {
			return fmt.Errorf("%d of %d: %w; %+v", good, len(h.names), last, h.Fleet(fleetName).Status)
		}
		return nil
	})
}

// settle has every cluster ready, and waits until the operator is quiet.
func (h *herd) settle() {
	h.T.Helper()
	h.ready()
	h.quiet()
}

// ready plays Cluster API's part, so that every cluster is ready.
func (h *herd) ready() {
	h.T.Helper()
	h.inParallel(func(ctx context.Context, name string) error {
		return machines{h.Client, h.Namespace, name}.make(ctx, 1, 1)
	})
	h.all("ready", v1alpha1.ReadyCondition, "")
}

// inParallel does something for each cluster, eight at a time.
func (h *herd) inParallel(do func(ctx context.Context, name string) error) {
	h.T.Helper()
	var all sync.WaitGroup
	failures := make([]error, 8)
	for worker := range failures {
		all.Go(func() {
			for i := worker; i < len(h.names); i += len(failures) {
				if err := do(h.T.Context(), h.names[i]); err != nil {
					failures[worker] = fmt.Errorf("%s: %w", h.names[i], err)
					return
				}
			}
		})
	}
	all.Wait()
	if i := slices.IndexFunc(failures, func(err error) bool { return err != nil }); i >= 0 {
		h.T.Fatal(failures[i])
	}
}

// looks at an operator that is to be quiet, and how long that is in all.
const (
	looks    = 3
	pause    = 2 * time.Second
	quietFor = looks * pause
)

// quiet waits until the operator has sent nothing for some looks.
func (h *herd) quiet() usage {
	h.T.Helper()
	if h.every <= quietFor {
		h.T.Fatalf("an operator that reads Prism Central every %s is never quiet for %s", h.every, quietFor)
	}
	last, still := h.op.usage(h.T), 0
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for still < looks {
		<-tick.C
		now := h.op.usage(h.T)
		still++
		if now.since(last).total(nil) > 0 {
			still = 0
		}
		last = now
	}
	return last
}

// look has the Fleet look at its repository now, and waits until it has handled a commit.
func (h *herd) look(commit string) {
	h.T.Helper()
	f := &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: h.Namespace, Name: fleetName}}
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{"reconcile.fluxcd.io/requestedAt":%q}}}`, commit)
	if err := h.Client.Patch(h.T.Context(), f, client.RawPatch("application/merge-patch+json", patch)); err != nil {
		h.T.Fatal(err)
	}
	h.Handled(fleetName, commit, patience)
}

// clear deletes the herd, so that the next one is alone.
func (h *herd) clear() {
	ctx := context.WithoutCancel(h.T.Context())
	in := client.InNamespace(h.Namespace)
	_ = h.Client.DeleteAllOf(ctx, &v1alpha1.Fleet{}, in)
	_ = h.Client.DeleteAllOf(ctx, &v1alpha1.NutanixClusterSpec{}, in)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for range int(patience / (200 * time.Millisecond)) { // until the operator has let go
		list := &v1alpha1.NutanixClusterSpecList{}
		if err := h.Client.List(ctx, list, in); err != nil || len(list.Items) == 0 {
			break
		}
		<-tick.C
	}
	wipe(ctx, h.Client, h.Namespace)
}

// wipe deletes what clusters consist of from a namespace.
func wipe(ctx context.Context, c client.Client, namespace string) {
	for _, kind := range made {
		_ = c.DeleteAllOf(ctx, kind.object(), client.InNamespace(namespace))
	}
}
