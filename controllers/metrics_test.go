package controllers

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/refract-dev/refract/gitsource"
)

var update = flag.Bool("update", false, "write docs/reference/metrics.md anew")

const metricsReference = "../docs/reference/metrics.md"

// TestMetricsReference compares the reference with the metrics as they are registered; with -update it writes it, which
// is how it is generated.
func TestMetricsReference(t *testing.T) {
	got := reference(t)
	if *update {
		if err := os.WriteFile(metricsReference, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(metricsReference)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not what is registered (-have +want); run `go test ./controllers -run TestMetricsReference -update`:\n%s", metricsReference, diff)
	}
}

// others are the metrics of the libraries that are worth looking at; the Go runtime's are many and documented elsewhere.
var others = regexp.MustCompile(`^(controller_runtime_(reconcile|terminal|active|max)|workqueue_|rest_client_requests|leader_election_|process_(cpu|resident|open_fds|start))`)

func reference(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("# Metrics reference\n\nGenerated from what is registered; do not edit. [metrics.md](../metrics.md) tells how to use it.\n\n" +
		"## Refract\n\n| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n")
	kinds := map[string]metric{}
	for _, m := range catalog() {
		kinds[m.name] = m
	}
	for _, d := range described(newMetrics(time.Now, "")) {
		m, ok := kinds[d.name]
		if !ok || m.help != d.help {
			t.Errorf("%s is registered otherwise than the catalog says", d.name)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", d.name, m.kind, d.labels, d.help)
	}
	b.WriteString("\n## The libraries below it\n\nThose of controller-runtime and client-go that say something of Refract's work. The endpoint serves the Go runtime's as well.\n\n" +
		"| metric | labels | meaning |\n| --- | --- | --- |\n")
	registry, ok := ctrlmetrics.Registry.(prometheus.Collector)
	if !ok {
		t.Fatal("controller-runtime's registry describes itself no more")
	}
	for _, d := range described(registry) {
		if others.MatchString(d.name) {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", d.name, d.labels, strings.TrimSuffix(d.help, ".")+".")
		}
	}
	return b.String()
}

type description struct{ name, help, labels string }

var descForm = regexp.MustCompile(`^Desc\{fqName: "([^"]*)", help: "(.*)", unit: "[^"]*", constLabels: \{[^}]*\}, variableLabels: \{([^}]*)\}\}$`)

func described(c prometheus.Collector) []description {
	descs := make(chan *prometheus.Desc)
	go func() {
		c.Describe(descs)
		close(descs)
	}()
	var all []description
	for d := range descs {
		if m := descForm.FindStringSubmatch(d.String()); m != nil {
			labels := strings.ReplaceAll(m[3], ",", ", ")
			all = append(all, description{m[1], strings.NewReplacer(`\"`, `"`, "|", `\|`).Replace(m[2]), labels})
		}
	}
	slices.SortFunc(all, func(a, b description) int { return strings.Compare(a.name, b.name) })
	return slices.Compact(all)
}

var edge = client.ObjectKey{Namespace: "clusters", Name: "edge-01"}

// TestMetricsFollowConventions has Prometheus' own linter read every metric that has no object behind it.
func TestMetricsFollowConventions(t *testing.T) {
	m := newMetrics(time.Now, "v1")
	registry := prometheus.NewPedanticRegistry()
	if _, err := m.register(registry); err != nil {
		t.Fatal(err)
	}
	exercise(t, m)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if len(families) != 10 {
		t.Errorf("%d metrics, want all that count and the two of the operator: %v", len(families), families)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%+v (%v)", problems, err)
	}
	for _, each := range catalog() {
		if strings.HasSuffix(each.name, "_total") != (each.kind == counter) || !strings.HasPrefix(each.name, "refract_") || !strings.HasSuffix(each.help, ".") {
			t.Errorf("%s, a %s: %q", each.name, each.kind, each.help)
		}
	}
}

func exercise(t *testing.T, m *metrics) {
	t.Helper()
	add(m.predicted, edge, recreated, 3)
	add(m.predicted, edge, removed, 1)
	add(m.observed, edge, recreated, 2)
	m.undone(edge, "MachineDeployment", "MachineDeployment")
	m.git(edge)(gitsource.FetchPack)(100, nil)
	m.git(edge)(gitsource.ListRefs)(0, fmt.Errorf("x: %w", gitsource.ErrRefNotFound))
	transport := &countingTransport{metrics: m, next: answer(http.StatusConflict)}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPatch, "https://api/apis/cluster.x-k8s.io/v1beta2/namespaces/a/clusters/b?dryRun=All", nil)
	if response, err := transport.RoundTrip(request); err == nil {
		_ = response.Body.Close()
	}
}

type answer int

func (a answer) RoundTrip(*http.Request) (*http.Response, error) {
	if a == 0 {
		return nil, errors.New("no answer")
	}
	return &http.Response{StatusCode: int(a), Body: http.NoBody}, nil
}

// TestMetricsGoWithTheirObject shows that nothing is left of an object that is gone.
func TestMetricsGoWithTheirObject(t *testing.T) {
	m := newMetrics(time.Now, "v1")
	exercise(t, m)
	if n := series(m, `name="edge-01"`); n < 6 {
		t.Fatalf("only %d series of the object", n)
	}
	m.forgetCluster(edge)
	m.forgetFleet(edge)
	if n := series(m, `name="edge-01"`); n != 0 {
		t.Errorf("%d series are left", n)
	}
}

// series counts those whose text holds a word.
func series(m *metrics, word string) int {
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	families, _ := registry.Gather()
	n := 0
	for _, f := range families {
		for _, each := range f.GetMetric() {
			for _, l := range each.GetLabel() {
				if fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()) == word {
					n++
				}
			}
		}
	}
	return n
}

// TestSeveralOperatorsInOneProcess shows that registering twice harms nothing, and that what ends makes room.
func TestSeveralOperatorsInOneProcess(t *testing.T) {
	registry := prometheus.NewRegistry()
	first, second := newMetrics(time.Now, "first"), newMetrics(time.Now, "second")
	endFirst, err := first.register(registry)
	if err != nil {
		t.Fatal(err)
	}
	endSecond, err := second.register(registry)
	if err != nil {
		t.Fatal(err)
	}
	endSecond()
	if version := served(t, registry); version != "first" {
		t.Errorf("served is %q", version)
	}
	endFirst()
	if version := served(t, registry); version != "" {
		t.Errorf("after the end %q is served", version)
	}
	if _, err := second.register(registry); err != nil || served(t, registry) != "second" {
		t.Errorf("the next is not served: %v", err)
	}
}

func served(t *testing.T, from prometheus.Gatherer) string {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == buildInfo.name {
			return f.GetMetric()[0].GetLabel()[1].GetValue()
		}
	}
	return ""
}

func TestRequestsAreNamedAsInRBAC(t *testing.T) {
	cases := map[string]struct {
		method, path string
		want         about
	}{
		"Get":               {"GET", "/api/v1/namespaces/a/secrets/s", about{"get", "", "secrets", "", "false"}},
		"List":              {"GET", "/apis/refract.dev/v1alpha1/fleets", about{"list", "refract.dev", "fleets", "", "false"}},
		"ListInNamespace":   {"GET", "/apis/refract.dev/v1alpha1/namespaces/a/fleets?limit=500", about{"list", "refract.dev", "fleets", "", "false"}},
		"Watch":             {"GET", "/apis/refract.dev/v1alpha1/fleets?watch=true&resourceVersion=1", about{"watch", "refract.dev", "fleets", "", "false"}},
		"DryRun":            {"PATCH", "/apis/cluster.x-k8s.io/v1beta2/namespaces/a/clusters/b?dryRun=All&force=true", about{"patch", "cluster.x-k8s.io", "clusters", "", "true"}},
		"Status":            {"PATCH", "/apis/refract.dev/v1alpha1/namespaces/a/fleets/f/status", about{"patch", "refract.dev", "fleets", "status", "false"}},
		"Create":            {"POST", "/api/v1/namespaces/a/events", about{"create", "", "events", "", "false"}},
		"Delete":            {"DELETE", "/api/v1/namespaces/a/secrets/s", about{"delete", "", "secrets", "", "false"}},
		"DeleteCollection":  {"DELETE", "/api/v1/namespaces/a/secrets", about{"deletecollection", "", "secrets", "", "false"}},
		"Namespace":         {"PATCH", "/api/v1/namespaces/a", about{"patch", "", "namespaces", "", "false"}},
		"NamespaceFinalize": {"PUT", "/api/v1/namespaces/a/finalize", about{"update", "", "namespaces", "finalize", "false"}},
		"Version":           {"GET", "/version", about{"get", "", "", "", "false"}},
		"Discovery":         {"GET", "/apis/refract.dev/v1alpha1", about{"get", "", "", "", "false"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := aboutOf(httptest.NewRequestWithContext(t.Context(), c.method, "https://api"+c.path, nil)); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// TestCountedClientsStillConnect shows that counting does not hide the transport from client-go, nor failures.
func TestCountedClientsStillConnect(t *testing.T) {
	m := newMetrics(time.Now, "")
	config := m.count(&rest.Config{Host: "https://127.0.0.1:1"})
	c, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Transport.(interface{ WrappedRoundTripper() http.RoundTripper }); !ok {
		t.Errorf("%T cannot be looked through", c.Transport)
	}
	response, err := (&countingTransport{next: answer(0), metrics: m}).RoundTrip(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://api/version", nil))
	if err == nil {
		_ = response.Body.Close()
	}
	if n := series(m, `code="error"`); n != 1 {
		t.Errorf("%d series of requests without an answer", n)
	}
}

// TestLedger tells machines that were re-created from those that were removed.
func TestLedger(t *testing.T) {
	pool := func(desired int32, uids string) owned {
		there := map[types.UID]bool{}
		for uid := range strings.FieldsSeq(uids) {
			there[types.UID(uid)] = true
		}
		return owned{desired: desired, there: there}
	}
	cases := map[string]struct {
		looks                      []owned
		wantRecreated, wantRemoved int
	}{
		"FirstLook":        {[]owned{pool(2, "a b")}, 0, 0},
		"SurgeRollout":     {[]owned{pool(2, "a b"), pool(2, "a b c"), pool(2, "b c"), pool(2, "b c d"), pool(2, "c d")}, 2, 0},
		"DeleteFirst":      {[]owned{pool(1, "a"), pool(1, ""), pool(1, "b")}, 1, 0},
		"BetweenTwoLooks":  {[]owned{pool(2, "a b"), pool(2, "c d")}, 2, 0},
		"ScaleDown":        {[]owned{pool(3, "a b c"), pool(1, "a b c"), pool(1, "a b"), pool(1, "a")}, 0, 2},
		"ScaleUp":          {[]owned{pool(1, "a"), pool(3, "a"), pool(3, "a b c")}, 0, 0},
		"DownAndRollout":   {[]owned{pool(3, "a b c"), pool(2, "a b c"), pool(2, "d e")}, 2, 1},
		"DownTakenBack":    {[]owned{pool(3, "a b c"), pool(2, "a b c"), pool(3, "a b c"), pool(3, "b c d")}, 1, 0},
		"DownLongAgo":      {[]owned{pool(2, "a b"), pool(1, "a"), pool(1, "a c"), pool(1, "c")}, 1, 1},
		"PoolIsGone":       {[]owned{pool(2, "a b"), {}, {}}, 0, 2},
		"PoolGoesSlowly":   {[]owned{pool(2, "a b"), pool(0, "a b"), pool(0, "a"), {}}, 0, 2},
		"RemediationAlone": {[]owned{pool(2, "a b"), pool(2, "b"), pool(2, "b c")}, 1, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			l, again, gone := &ledger{}, 0, 0
			for _, look := range c.looks {
				now := map[string]owned{}
				if look.there != nil {
					now["workers"] = look
				}
				a, b := l.look(edge, now)
				again, gone = again+a, gone+b
			}
			if again != c.wantRecreated || gone != c.wantRemoved {
				t.Errorf("%d re-created and %d removed, want %d and %d", again, gone, c.wantRecreated, c.wantRemoved)
			}
		})
	}
}
