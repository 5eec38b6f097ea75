package simulator_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// site is a simulator behind a real connection.
type site struct {
	*simulator.Server
	url    string
	client *http.Client
}

func newSite(t *testing.T, change ...func(*simulator.Options)) site {
	t.Helper()
	s := newServer(t, change...)
	web := httptest.NewUnstartedServer(s)
	web.EnableHTTP2 = true
	web.StartTLS()
	t.Cleanup(web.Close)
	t.Cleanup(s.ClearFaults)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
	return site{Server: s, url: web.URL, client: &http.Client{Transport: transport}}
}

func (s site) fault(t *testing.T, f simulator.Fault) *simulator.Rule {
	t.Helper()
	rule, err := s.AddFault(f)
	if err != nil {
		t.Fatal(err)
	}
	return rule
}

// got is an answer without its body, which has been read.
type got struct {
	status int
	header http.Header
}

// get reads a whole answer; one that breaks off comes with an error.
func (s site) get(ctx context.Context, t *testing.T, target string) (*got, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+strings.ReplaceAll(target, " ", "%20"), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(username, password)
	answered, err := s.client.Do(r)
	if err != nil {
		return nil, "", fmt.Errorf("no answer: %w", err)
	}
	defer func() { _ = answered.Body.Close() }()
	body, err := io.ReadAll(answered.Body)
	return &got{status: answered.StatusCode, header: answered.Header}, string(body), err
}

func TestAnswersOfFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault       simulator.Fault
		status      int
		contentType string
		retryAfter  string
		body        string
	}{
		"Throttled": {
			simulator.Fault{Effect: simulator.EffectError, Status: 429},
			429, "application/json", "", `"errorGroup":"TOO_MANY_REQUESTS"`,
		},
		"ThrottledFor": {
			simulator.Fault{Effect: simulator.EffectError, Status: 429, RetryAfter: 1500 * time.Millisecond},
			429, "application/json", "2", "Too Many Requests",
		},
		"Internal": {
			simulator.Fault{Effect: simulator.EffectError, Status: 500, Message: "disk on fire"},
			500, "application/json", "", "disk on fire",
		},
		"Unavailable": {simulator.Fault{Effect: simulator.EffectError}, 503, "application/json", "", "Service Unavailable"},
		"HTML":        {simulator.Fault{Effect: simulator.EffectHTML}, 502, "text/html", "", "<h1>"},
		"HTMLCharset": {
			simulator.Fault{Effect: simulator.EffectHTML, ContentType: "text/html; charset=utf-8", Status: 200, Body: "<p>login</p>"},
			200, "text/html; charset=utf-8", "", "<p>login</p>",
		},
		"NotJSON": {simulator.Fault{Effect: simulator.EffectNotJSON}, 200, "application/json", "", "upstream"},
		"Empty":   {simulator.Fault{Effect: simulator.EffectEmpty}, 200, "application/json", "", "{}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			c.fault.Times = 1
			rule := s.fault(t, c.fault)
			first, body, err := s.get(t.Context(), t, vmsPath)
			if err != nil {
				t.Fatal(err)
			}
			if first.status != c.status || first.header.Get("Content-Type") != c.contentType ||
				first.header.Get("Retry-After") != c.retryAfter || !strings.Contains(body, c.body) {
				t.Errorf("got %d %v %s", first.status, first.header, body)
			}
			if again, _, err := s.get(t.Context(), t, vmsPath); err != nil || again.status != http.StatusOK {
				t.Errorf("after the fault: %v, %v", again, err)
			}
			if rule.Hits() != 1 {
				t.Errorf("%d hits, want 1", rule.Hits())
			}
		})
	}
}

func TestConnectionsBreak(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		effect  simulator.Effect
		answers bool
	}{
		"Before": {simulator.EffectDrop, false},
		"Middle": {simulator.EffectCut, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.fault(t, simulator.Fault{Effect: c.effect, Times: 1, Path: imagesPath})
			answered, body, err := s.get(t.Context(), t, imagesPath)
			if err == nil || (answered != nil) != c.answers {
				t.Fatalf("got %v %q, %v", answered, body, err)
			}
			if c.answers && (answered.status != http.StatusOK || body == "" || !errors.Is(err, io.ErrUnexpectedEOF)) {
				t.Errorf("got %d %q, %v, want the beginning of an answer", answered.status, body, err)
			}
			if _, _, err := s.get(t.Context(), t, imagesPath); err != nil {
				t.Errorf("after the fault: %v", err)
			}
		})
	}
}

func TestHangsUntilSomebodyGivesIn(t *testing.T) {
	t.Parallel()
	t.Run("TheFaultIsRemoved", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		rule := s.fault(t, simulator.Fault{Effect: simulator.EffectHang})
		done := make(chan error, 1)
		go func() {
			_, _, err := s.get(t.Context(), t, vmsPath)
			done <- err
		}()
		hit(t, rule)
		rule.Remove()
		if err := <-done; err == nil {
			t.Error("the request that hung was answered")
		}
		if _, _, err := s.get(t.Context(), t, vmsPath); err != nil {
			t.Errorf("after the fault: %v", err)
		}
	})
	t.Run("TheClientGoes", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		rule := s.fault(t, simulator.Fault{Effect: simulator.EffectHang})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			hit(t, rule)
			cancel()
		}()
		if _, _, err := s.get(ctx, t, vmsPath); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want canceled", err)
		}
	})
	t.Run("TheServerCloses", func(t *testing.T) {
		t.Parallel()
		s := newSite(t)
		rule := s.fault(t, simulator.Fault{Effect: simulator.EffectSlow, Delay: time.Hour})
		go func() {
			hit(t, rule)
			s.Close()
		}()
		if answered, body, err := s.get(t.Context(), t, vmsPath); err == nil && body != "" {
			t.Errorf("got %v %q", answered, body)
		}
	})
}

// hit waits until a fault has struck.
func hit(t *testing.T, rule *simulator.Rule) {
	t.Helper()
	if err := rule.Wait(t.Context(), 1); err != nil {
		t.Error(err)
	}
}

func TestFaultsAreChosen(t *testing.T) {
	t.Parallel()
	vm := smallVM("edge-01")
	vm.ExtID, vm.PrismElement = "11111111-1111-4111-8111-111111111111", "PE-2"
	one := vmsPath + "/" + vm.ExtID
	for name, c := range map[string]struct {
		fault simulator.Fault
		// hits are 1 for each request in order: list, list by name, get, images.
		want string
	}{
		"All":          {simulator.Fault{}, "1111"},
		"Path":         {simulator.Fault{Path: vmsPath + "/{extId}"}, "0010"},
		"PathBegins":   {simulator.Fault{Path: "/api/vmm/v4.2/ahv/*"}, "1110"},
		"Method":       {simulator.Fault{Method: http.MethodPost}, "0000"},
		"User":         {simulator.Fault{User: username}, "1111"},
		"OtherUser":    {simulator.Fault{User: "nobody"}, "0000"},
		"VM":           {simulator.Fault{VM: "edge-01"}, "0110"},
		"OtherVM":      {simulator.Fault{VM: "edge-02"}, "0000"},
		"VMs":          {simulator.Fault{VM: "edge-*"}, "0110"},
		"Element":      {simulator.Fault{Element: "PE-2"}, "0010"},
		"OtherElement": {simulator.Fault{Element: "PE-1"}, "0000"},
		"Match":        {simulator.Fault{Match: func(r *http.Request) bool { return r.URL.RawQuery != "" }}, "0100"},
		"After":        {simulator.Fault{After: 2}, "0011"},
		"Times":        {simulator.Fault{Times: 2}, "1100"},
		"AfterTimes":   {simulator.Fault{After: 1, Times: 1}, "0100"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(o *simulator.Options) { o.Model.VMs = []simulator.VM{vm} })
			c.fault.Effect = simulator.EffectError
			rule := s.fault(t, c.fault)
			got := ""
			for _, target := range []string{vmsPath, vmsPath + "?$filter=name eq 'edge-01'", one, imagesPath} {
				answered, _, err := s.get(t.Context(), t, target)
				if err != nil {
					t.Fatal(err)
				}
				if answered.status == http.StatusServiceUnavailable {
					got += "1"
				} else {
					got += "0"
				}
			}
			if got != c.want || rule.Hits() != strings.Count(c.want, "1") {
				t.Errorf("hit %s and counted %d, want %s", got, rule.Hits(), c.want)
			}
		})
	}
}

func TestFaultThatCannotStrike(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for name, f := range map[string]simulator.Fault{
		"NoEffect":       {},
		"UnknownEffect":  {Effect: "Explode"},
		"UnknownPath":    {Effect: simulator.EffectDrop, Path: "/api/vmm/v4.2/ahv/config/vms/x"},
		"UnknownMethod":  {Effect: simulator.EffectDrop, Path: imagesPath, Method: http.MethodPost},
		"UnknownElement": {Effect: simulator.EffectDrop, Element: "PE-9"},
		"NoElement":      {Effect: simulator.EffectUnreachable},
		"NoDelay":        {Effect: simulator.EffectSlow},
		"Status":         {Effect: simulator.EffectError, Status: 99},
		"Negative":       {Effect: simulator.EffectError, Times: -1},
	} {
		if _, err := s.AddFault(f); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if got := s.Faults(); len(got) != 0 {
		t.Errorf("faults %v", got)
	}
}

func TestSessionFault(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	rule, err := s.AddFault(simulator.Fault{Effect: simulator.EffectExpired, Times: 1})
	if err != nil {
		t.Fatal(err)
	}
	cookie := login(t, s, username, password)
	for range 2 {
		if got := status(t, s, "Cookie", cookie); got != http.StatusUnauthorized {
			t.Errorf("with the cookie: %d, want 401", got)
		}
	}
	if got := status(t, s, "Authorization", basic(username, password)); got != http.StatusOK || rule.Hits() != 1 {
		t.Errorf("with the password: %d and %d hits, want 200 and 1", got, rule.Hits())
	}
}
