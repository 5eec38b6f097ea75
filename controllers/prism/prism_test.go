package prism_test

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/refract-dev/refract/controllers/prism"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

const (
	user = "refract"
	// canary is the password: no message may hold it.
	canary = "Canary-4711/+?"
)

// patient is a time-out that no healthy answer needs; brief one that a hung answer is cut at.
const (
	patient = 20 * time.Second
	brief   = 300 * time.Millisecond
)

// prismCentral is a simulated one behind TLS.
type prismCentral struct {
	*simulator.Server
	web *httptest.Server
}

// newCentral starts a simulated Prism Central; wrap, when not nil, stands before it.
func newCentral(t *testing.T, model simulator.Model, wrap func(http.Handler) http.Handler) *prismCentral {
	t.Helper()
	s := simulator.New(simulator.Options{Model: model, Username: user, Password: canary})
	t.Cleanup(s.Close)
	return &prismCentral{s, newCentralBehind(t, s, wrap)}
}

func newCentralBehind(t *testing.T, h http.Handler, wrap func(http.Handler) http.Handler) *httptest.Server {
	t.Helper()
	if wrap != nil {
		h = wrap(h)
	}
	web := httptest.NewUnstartedServer(h)
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	t.Cleanup(web.Close)
	t.Cleanup(web.CloseClientConnections)
	return web
}

// endpoint is how to enter it.
func (c *prismCentral) endpoint(t *testing.T) prism.Endpoint {
	t.Helper()
	return endpointOf(t, c.web)
}

func endpointOf(t *testing.T, web *httptest.Server) prism.Endpoint {
	t.Helper()
	host, port, err := net.SplitHostPort(web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return prism.Endpoint{Address: host, Port: int32(number), Username: user, Password: canary, TrustBundle: authority(web)}
}

func authority(web *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
}

func open(t *testing.T, e prism.Endpoint, o prism.Options) *prism.Door {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = patient
	}
	d, err := prism.Open(e, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// fault lets a simulated Prism Central go wrong.
func (c *prismCentral) fault(t *testing.T, f simulator.Fault) *simulator.Rule {
	t.Helper()
	rule, err := c.AddFault(f)
	if err != nil {
		t.Fatal(err)
	}
	return rule
}

// wantReason checks what kind of error it is and that its message says what the reader needs; it returns the message.
func wantReason(t *testing.T, err error, reason prism.Reason, words ...string) string {
	t.Helper()
	var e *prism.Error
	if !errors.As(err, &e) {
		t.Fatalf("error is %v, not %s", err, reason)
	}
	if e.Reason != reason {
		t.Errorf("reason is %s, not %s: %s", e.Reason, reason, e.Message)
	}
	for _, word := range words {
		if !strings.Contains(e.Message, word) {
			t.Errorf("message does not say %q: %s", word, e.Message)
		}
	}
	return e.Message
}

// aVM is a virtual machine of the default model.
func aVM(name string) simulator.VM {
	return simulator.VM{
		Name: name, PrismElement: "PE-1", Subnets: []string{"vlan-101"}, Sockets: 2, CoresPerSocket: 1,
		MemoryBytes: 4 << 30, DiskBytes: 40 << 30, Image: "ubuntu-24.04-kube-v1.33.5", Project: "platform",
		Categories: []string{"Environment=Production"}, BootType: simulator.BootUEFI, PowerState: simulator.PowerOn,
	}
}

func modelWith(vms ...simulator.VM) simulator.Model {
	m := simulator.DefaultModel()
	m.VMs = vms
	return m
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	t.Cleanup(cancel)
	return ctx
}
