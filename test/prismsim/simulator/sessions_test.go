package simulator_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	convergedv4 "github.com/nutanix-cloud-native/prism-go-client/converged/v4"

	"github.com/refract-dev/refract/test/prismsim/simulator"
)

const (
	mePath     = "/api/nutanix/v3/users/me"
	imagesPath = "/api/vmm/v4.2/content/images"
)

// login returns the Cookie header of a new session.
func login(t *testing.T, s *simulator.Server, user, pass string) string {
	t.Helper()
	got := send(t, s, http.MethodGet, mePath, "", "Authorization", basic(user, pass), "User-Agent", "client-of-"+user)
	cookie, err := http.ParseSetCookie(got.header.Get("Set-Cookie"))
	if got.status != http.StatusOK || err != nil {
		t.Fatalf("login of %s: %d, Set-Cookie %q: %v", user, got.status, got.header.Get("Set-Cookie"), err)
	}
	return cookie.Name + "=" + cookie.Value
}

func status(t *testing.T, s *simulator.Server, headers ...string) int {
	t.Helper()
	return send(t, s, http.MethodGet, vmsPath, "", headers...).status
}

func TestPasswordChanges(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	cookie := login(t, s, username, password)
	if err := s.SetPassword(username, "new"); err != nil {
		t.Fatal(err)
	}
	if got := status(t, s, "Cookie", cookie); got != http.StatusOK {
		t.Errorf("the open session: %d, want 200", got)
	}
	if got := status(t, s, "Authorization", basic(username, password)); got != http.StatusUnauthorized {
		t.Errorf("the old password: %d, want 401", got)
	}
	if got := status(t, s, "Authorization", basic(username, "new")); got != http.StatusOK {
		t.Errorf("the new password: %d, want 200", got)
	}
	if got := s.ExpireSessions(); got != 2 {
		t.Errorf("%d sessions ended, want 2", got)
	}
	if got := status(t, s, "Cookie", cookie); got != http.StatusUnauthorized {
		t.Errorf("after all sessions ended: %d, want 401", got)
	}
	if got := s.Rejected(); got[username] != 1 || got[""] != 1 {
		t.Errorf("rejected %v, want one with the name and one without", got)
	}
	if err := s.SetPassword("nobody", "x"); err == nil {
		t.Error("the password of nobody was changed")
	}
}

func TestUsersAreToldApart(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *simulator.Options) {
		o.Users = []simulator.User{{Name: "csi", Password: "p"}, {Name: "ccm", APIKey: "key-1"}}
	})
	cookie := login(t, s, "csi", "p")
	for range 2 {
		if got := status(t, s, "Cookie", cookie); got != http.StatusOK {
			t.Fatalf("with the cookie: %d", got)
		}
		if got := status(t, s, "X-ntnx-api-key", "key-1"); got != http.StatusOK {
			t.Fatalf("with the API key: %d", got)
		}
	}
	if got := status(t, s, "Authorization", basic("ccm", "")); got != http.StatusUnauthorized {
		t.Errorf("without a password: %d, want 401", got)
	}
	if got := status(t, s, "X-ntnx-api-key", "key-2"); got != http.StatusUnauthorized {
		t.Errorf("with another API key: %d, want 401", got)
	}
	if me := send(t, s, http.MethodGet, mePath, "", "Cookie", cookie).body["status"].(map[string]any); me["name"] != "csi" {
		t.Errorf("users/me is %v, want csi", me["name"])
	}
	sessions := s.Sessions()
	if len(sessions) != 2 || sessions[0].User != "csi" || sessions[0].Requests != 4 || sessions[0].Client != "client-of-csi" ||
		sessions[1].User != "ccm" || !sessions[1].APIKey || sessions[1].Requests != 2 {
		t.Errorf("sessions %+v", sessions)
	}
	if got := s.RequestsBy("csi"); got["GET "+vmsPath] != 2 || got["GET "+mePath] != 2 {
		t.Errorf("requests of csi %v", got)
	}
	s.RemoveUser("csi")
	if got := status(t, s, "Cookie", cookie); got != http.StatusUnauthorized {
		t.Errorf("the session of a user that is gone: %d, want 401", got)
	}
	if !s.Sessions()[0].Ended {
		t.Error("the session of a user that is gone has not ended")
	}
}

// clock is set by the test.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func TestSessionExpires(t *testing.T) {
	t.Parallel()
	at := &clock{at: time.Date(2026, time.June, 1, 12, 0, 0, 0, time.UTC)}
	s := newServer(t, func(o *simulator.Options) { o.Clock, o.SessionLifetime = at.now, time.Minute })
	cookie := login(t, s, username, password)
	at.add(59 * time.Second)
	if got := status(t, s, "Cookie", cookie); got != http.StatusOK {
		t.Errorf("a second before the end: %d, want 200", got)
	}
	at.add(time.Second)
	if got := status(t, s, "Cookie", cookie); got != http.StatusUnauthorized {
		t.Errorf("at the end: %d, want 401", got)
	}
	if got := s.Sessions(); len(got) != 1 || !got[0].Ended || got[0].LastUsed.Sub(got[0].Since) != 59*time.Second {
		t.Errorf("sessions %+v", got)
	}
}

// TestClientLogsInAgain shows that expiry is invisible to the real client.
func TestClientLogsInAgain(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	client, err := convergedv4.NewClient(credentials(t, s))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := client.Images.List(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.ExpireSessions()
	}
	if got := s.Sessions(); len(got) != 2 || got[0].User != username || got[0].Requests < 2 || !got[0].Ended {
		t.Errorf("sessions %+v, want two with several requests each", got)
	}
}

func TestOlderPrismCentral(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *simulator.Options) { o.APIVersion = "v4.0" })
	if got := call(t, s, http.MethodOptions, "/api/vmm/unversioned/info", ""); got.body["data"] != "v4.0" {
		t.Errorf("negotiated %v, want v4.0", got.body["data"])
	}
	if got := call(t, s, http.MethodGet, vmsPath, ""); got.status != http.StatusNotFound {
		t.Errorf("a path of v4.2: %d, want 404", got.status)
	}
	if got := call(t, s, http.MethodGet, mePath, ""); got.status != http.StatusOK {
		t.Errorf("the login: %d, want 200", got.status)
	}
}
