package controllers

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/controllers/prism"
	"github.com/refract-dev/refract/render/site"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// central is a Prism Central that counts how often a password is refused.
type central struct {
	prism.Endpoint
	refused atomic.Int64
}

const rightPassword = "right"

func newCentral(t *testing.T) *central {
	t.Helper()
	c := &central{}
	s := simulator.New(simulator.Options{Model: simulator.DefaultModel(), Username: "refract", Password: rightPassword})
	t.Cleanup(s.Close)
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, ok := r.BasicAuth(); ok && password != rightPassword {
			c.refused.Add(1)
		}
		s.ServeHTTP(w, r)
	}))
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	t.Cleanup(web.Close)
	at := netip.MustParseAddrPort(web.Listener.Addr().String())
	c.Endpoint = prism.Endpoint{
		Address: at.Addr().String(), Port: int32(at.Port()), Username: "refract", Password: rightPassword,
		TrustBundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}),
	}
	return c
}

// TestRefusedPasswordPauses shows that a wrong new password is not tried at every turn, which would lock the user, while
// the old one goes on being used.
func TestRefusedPasswordPauses(t *testing.T) {
	pc := newCentral(t)
	account := client.ObjectKey{Namespace: "clusters", Name: "pc-east"}
	now := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	all := &sites{
		options: prism.Options{Clock: func() time.Time { return now }}, interval: time.Minute, now: func() time.Time { return now },
		observe: func(client.ObjectKey) func(string, int, time.Duration) { return nil }, found: func(client.ObjectKey) {},
	}
	v := &visit{sites: all, keeper: all.keeper(account), account: account}
	t.Cleanup(v.close)

	all.want(account, access{Endpoint: pc.Endpoint}, "first")
	if !v.look(t.Context()) || all.of(account).proved != "first" || !all.of(account).inventory.Knows(site.PartElements) {
		t.Fatalf("the right password is not taken: %+v", all.of(account))
	}
	wrong := pc.Endpoint
	wrong.Password = "wrong"
	all.want(account, access{Endpoint: wrong}, "second")
	if v.look(t.Context()) || all.of(account).err == nil || all.of(account).proved != "first" {
		t.Fatalf("the wrong password is taken: %+v", all.of(account))
	}
	tried := pc.refused.Load()
	if tried == 0 {
		t.Fatal("the wrong password was not tried")
	}
	for range refusedPause - 1 {
		now = now.Add(time.Minute)
		v.look(t.Context())
		if known := all.of(account); !known.inventory.At.Equal(now) || known.lost != nil {
			t.Errorf("the old password is no longer used: %+v", known)
		}
	}
	if again := pc.refused.Load(); again != tried {
		t.Errorf("the wrong password was tried %d times more within the pause", again-tried)
	}
	now = now.Add(time.Minute)
	v.look(t.Context())
	if again := pc.refused.Load(); again == tried {
		t.Error("the wrong password is not tried again after the pause")
	}
	all.want(account, access{Endpoint: pc.Endpoint}, "third")
	if !v.look(t.Context()) || all.of(account).proved != "third" || !all.of(account).rotated {
		t.Errorf("another password waits for the refused one: %+v", all.of(account))
	}
	all.want(account, access{Endpoint: pc.Endpoint, workload: &login{"refract", "wrong"}}, "fourth")
	if v.look(t.Context()) || all.of(account).proved != "third" || !strings.Contains(all.of(account).err.Error(), "spec.workloadCredentialsRef") {
		t.Errorf("the wrong password of the lesser user is taken: %+v", all.of(account))
	}
	all.want(account, access{Endpoint: pc.Endpoint, workload: &login{"refract", rightPassword}}, "fifth")
	if !v.look(t.Context()) || all.of(account).proved != "fifth" {
		t.Errorf("the lesser user is not proved: %+v", all.of(account))
	}
}
