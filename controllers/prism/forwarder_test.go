package prism

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	vmmclient "github.com/nutanix/ntnx-api-golang-clients/vmm-go-client/v4/client"
)

// TestNobodyElseGetsIn shows that the loopback port is of no use to another process on the machine.
func TestNobodyElseGetsIn(t *testing.T) {
	t.Parallel()
	d, err := Open(Endpoint{Address: "prism.invalid", Username: "u", Password: "p"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	token := d.forwarder.workers[0].pass.token
	for name, c := range map[string]struct{ path, username, password string }{
		"NoToken":            {"/api/prism/v4.2/config/tasks", "", ""},
		"WrongToken":         {"/api/prism/v4.2/config/tasks", "refract", strings.Repeat("0", len(token))},
		"TheRealPassword":    {"/api/prism/v4.2/config/tasks", "u", "p"},
		"TokenOutsideAnyUse": {"/api/prism/v4.2/config/tasks", "refract", token},
		"NotTheAPI":          {"/console/", "refract", token},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", d.forwarder.port, c.path), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(c.username, c.password)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusForbidden {
			t.Errorf("%s: status %d", name, response.StatusCode)
		}
	}
	if d.Requests() != 0 {
		t.Errorf("%d requests left", d.Requests())
	}
}

// TestPanicsEnd shows that a panic while an SDK is used becomes an error, and that its worker can be used again.
func TestPanicsEnd(t *testing.T) {
	t.Parallel()
	d, err := Open(Endpoint{Address: "prism.invalid", Username: "u", Password: "secret"}, Options{Concurrent: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	for _, cause := range []any{"interface conversion of secret", errors.New("secret"), 7} {
		_, err := ask(t.Context(), d, func(*worker) (int, error) { panic(cause) })
		var e *Error
		if !errors.As(err, &e) || e.Reason != Misbehaving || strings.Contains(e.Message+e.Err.Error(), "secret") {
			t.Errorf("panic %v became %v", cause, err)
		}
	}
	if n, err := ask(t.Context(), d, func(*worker) (int, error) { return 1, nil }); n != 1 || err != nil {
		t.Errorf("afterwards %d, %v", n, err)
	}
}

func TestWorkersAreBusyNoLongerThanTheCaller(t *testing.T) {
	t.Parallel()
	d, err := Open(Endpoint{Address: "prism.invalid", Username: "u", Password: "p"}, Options{Concurrent: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	_, err = ask(t.Context(), d, func(*worker) (int, error) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		return ask(ctx, d, func(*worker) (int, error) { return 1, nil })
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("waiting for a worker ended with %v", err)
	}
}

// TestTameKnowsTheSDK shows that an SDK that is built differently is refused, not used untamed.
func TestTameKnowsTheSDK(t *testing.T) {
	t.Parallel()
	for name, client := range map[string]any{
		"NoPort":     &struct{ Scheme, Host, Username, Password string }{},
		"OtherTypes": &struct{ Scheme, Host, Port, Username, Password string }{},
		"NoLogger": &struct {
			Scheme, Host, Username, Password string
			Port, MaxRetryAttempts           int
			ReadTimeout                      any
		}{},
	} {
		if err := tame(client, 1, "token"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := tame(vmmclient.NewApiClient(), 1, "token"); err != nil {
		t.Error(err)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
	g := &gate{options: Options{Clock: func() time.Time { return now }}}
	for name, c := range map[string]struct {
		header string
		try    int
		wait   time.Duration
		fits   bool
	}{
		"NotSaid":      {"", 1, 500 * time.Millisecond, true},
		"NotSaidAgain": {"", 2, time.Second, true},
		"Nonsense":     {"soon", 1, 500 * time.Millisecond, true},
		"Seconds":      {"7", 1, 7 * time.Second, true},
		"Now":          {"0", 2, 0, true},
		"Negative":     {"-5", 1, 0, true},
		"TooLong":      {"11", 1, 0, false},
		"Overflow":     {"9223372036854775807", 1, 0, false},
		"Date":         {now.Add(3 * time.Second).Format(http.TimeFormat), 1, 3 * time.Second, true},
		"PastDate":     {now.Add(-time.Hour).Format(http.TimeFormat), 1, 0, true},
		"FarDate":      {now.Add(time.Hour).Format(http.TimeFormat), 1, time.Hour, false},
	} {
		wait, fits := g.retryAfter(http.Header{"Retry-After": {c.header}}, c.try)
		if wait != c.wait || fits != c.fits {
			t.Errorf("%s: %s, %v", name, wait, fits)
		}
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/api/vmm/v4.2/ahv/config/vms?$page=0&$limit=100":                                     "GET /api/vmm/v4.2/ahv/config/vms",
		"/api/vmm/v4.2/ahv/config/vms/7d3c5a4e-0000-4000-8000-000000000000/$actions/power-on": "GET /api/vmm/v4.2/ahv/config/vms/{extId}/$actions/power-on",
		"/api/prism/v4.2/config/tasks/ZXJnb24=:7d3c5a4e-0000-4000-8000-000000000000":          "GET /api/prism/v4.2/config/tasks/{extId}",
	} {
		if got := routeOf(question{method: http.MethodGet, target: target}); got != want {
			t.Errorf("%s is %s", target, got)
		}
	}
}
