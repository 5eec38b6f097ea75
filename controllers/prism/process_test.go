package prism_test

import (
	"io"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	vmm "github.com/nutanix/ntnx-api-golang-clients/vmm-go-client/v4/api"
	"github.com/nutanix/ntnx-api-golang-clients/vmm-go-client/v4/client"

	"github.com/refract-dev/refract/controllers/prism"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// TestTheProcessIsLeftAlone cannot run beside others: it watches what belongs to the whole process.
func TestTheProcessIsLeftAlone(t *testing.T) {
	central := newCentral(t, modelWith(aVM("one")), nil)
	before, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		t.Fatal("http.DefaultTransport is no transport")
	}
	settings := before.Clone()
	use := func() {
		for _, insecure := range []bool{true, false} {
			e := central.endpoint(t)
			e.Insecure = insecure
			d := open(t, e, prism.Options{})
			if _, err := d.Prove(t.Context()); err != nil {
				t.Error(err)
			}
			if found := d.Inventory(t.Context()); len(found.Unknown) != 0 {
				t.Error(found.Unknown)
			}
			_, _, _ = d.VM(t.Context(), "7d3c5a4e-0000-4000-8000-000000000000")
			d.Close()
		}
	}
	if said := standardError(t, use); said != "" {
		t.Errorf("something was written to standard error:\n%s", said)
	}
	if http.DefaultTransport != before || !reflect.DeepEqual(before.TLSClientConfig, settings.TLSClientConfig) {
		t.Error("http.DefaultTransport is another one")
	}
	// An account without verification must not switch it off for anybody else.
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, central.web.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := http.DefaultClient.Do(request); err == nil {
		_ = response.Body.Close()
		t.Error("the default client takes any certificate")
	}
	// The SDK on its own does write: the test can see it.
	if said := standardError(t, func() {
		c := client.NewApiClient()
		c.Scheme, c.Host, c.Port, c.MaxRetryAttempts = "http", "127.0.0.1", 1, 0
		_, _ = vmm.NewVmApi(c).ListVms(nil, nil, nil, nil, nil)
	}); said == "" {
		t.Error("the SDK wrote nothing: this test would not notice")
	}
}

// standardError is what is written to it meanwhile.
func standardError(t *testing.T, do func()) string {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	usual := os.Stderr
	os.Stderr = write
	said := make(chan string)
	go func() {
		all, _ := io.ReadAll(read)
		said <- string(all)
	}()
	do()
	os.Stderr = usual
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	return <-said
}

func TestObserve(t *testing.T) {
	t.Parallel()
	central := newCentral(t, modelWith(aVM("one")), nil)
	type seen struct {
		route  string
		status int
	}
	var mu sync.Mutex
	var all []seen
	d := open(t, central.endpoint(t), prism.Options{Observe: func(route string, status int, took time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, seen{route, status})
		if took < 0 {
			t.Errorf("%s took %s", route, took)
		}
	}})
	found := d.Inventory(t.Context())
	if err := d.PowerOn(t.Context(), found.VMs[0].ExtID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.VM(t.Context(), "7d3c5a4e-0000-4000-8000-000000000000"); err != nil {
		t.Fatal(err)
	}
	rule := central.fault(t, simulator.Fault{Effect: simulator.EffectDrop})
	_, err := d.Prove(t.Context())
	wantReason(t, err, prism.Unreachable)
	rule.Remove()
	mu.Lock()
	defer mu.Unlock()
	if int64(len(all)) != d.Requests() {
		t.Errorf("%d seen, %d counted", len(all), d.Requests())
	}
	for _, want := range []seen{{"GET " + vmPath, 200}, {"GET " + vmPath, 404}, {"GET /api/nutanix/v3/users/me", 0}} {
		if !slices.Contains(all, want) {
			t.Errorf("%v is not among %v", want, all)
		}
	}
	// Each route is one label of a metric: it must not hold what is different each time.
	known := regexp.MustCompile(`^[A-Z]+ /api/[a-z0-9/.${}A-Z-]+$`)
	number := regexp.MustCompile(`[0-9a-f]{8}-`)
	for _, s := range all {
		if !known.MatchString(s.route) || number.MatchString(s.route) {
			t.Errorf("route %q", s.route)
		}
	}
}
