package accounts

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/prismsim/simulator"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

// Passwords of the simulators' user, to look for where they must not be.
const (
	password = world.PrismPassword
	wrong    = "canary-of-a-wrong-password"
)

func base64of(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// central is a Prism Central of one test.
type central struct {
	*simulator.Server
	web *httptest.Server
	// now serves; it is another one after become.
	now atomic.Pointer[simulator.Server]
}

// newCentral starts a Prism Central with the default model; change may be nil.
func newCentral(t *testing.T, change func(*simulator.Options)) *central {
	t.Helper()
	return newCentralAt(t, listen(t, "127.0.0.1:0"), change)
}

func newCentralAt(t *testing.T, listener net.Listener, change func(*simulator.Options)) *central {
	t.Helper()
	c := &central{Server: simulator.New(options(change))}
	c.now.Store(c.Server)
	c.web = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.now.Load().ServeHTTP(w, r) }))
	_ = c.web.Listener.Close() // ours is used
	c.web.Listener, c.web.Config.ErrorLog = listener, log.New(io.Discard, "", 0)
	c.web.StartTLS()
	t.Cleanup(func() {
		c.Close()
		c.now.Load().Close()
		c.web.CloseClientConnections()
		c.web.Close()
	})
	return c
}

func options(change func(*simulator.Options)) simulator.Options {
	o := simulator.Options{Model: simulator.DefaultModel(), Username: world.PrismUsername, Password: password}
	if change != nil {
		change(&o)
	}
	return o
}

// become has another Prism Central answer from now on, as after an upgrade.
func (c *central) become(s *simulator.Server) { c.now.Store(s) }

func (c *central) address() string { return c.web.Listener.Addr().String() }

// ca is what vouches for it, in PEM.
func (c *central) ca() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.web.Certificate().Raw}))
}

// file is a CloudAccount with extra lines of its spec; its Secret is called <name>-credentials.
func (c *central) file(name, extra string) string {
	return accountFile(name, c.address(), extra)
}

func accountFile(name, address, extra string) string {
	host, port, _ := net.SplitHostPort(address)
	return fmt.Sprintf(`apiVersion: refract.dev/v1alpha1
kind: CloudAccount
metadata: {name: %[1]s}
spec:
  endpoint: {address: %[2]q, port: %[3]s}
  credentialsRef: {name: %[1]s-credentials}
%[4]s`, name, host, port, extra)
}

// fault adds one that must be possible.
func (c *central) fault(t *testing.T, f simulator.Fault) *simulator.Rule {
	t.Helper()
	rule, err := c.AddFault(f)
	if err != nil {
		t.Fatal(err)
	}
	return rule
}

// inventories waits until the inventory has been read so many times more, from the beginning.
func (c *central) inventories(s *fleets.Stage, n int) {
	s.T.Helper()
	// The machines are listed last.
	const list = "GET /api/vmm/v4.2/ahv/config/vms"
	until := c.Requests()[list] + n + 1
	s.Within(fleets.Soon, fmt.Sprintf("%d inventories more", n), func() error {
		if have := c.Requests()[list]; have < until {
			return fmt.Errorf("%d lists of %d", have, until)
		}
		return nil
	})
}

var names atomic.Int32

// edge is a small cluster whose name and endpoint no other test has.
func edge(name string) rig.Cluster { return fleets.Edge(fmt.Sprintf("%s-%d", name, names.Add(1))) }

// account reads an account.
func account(s *fleets.Stage, name string) *v1alpha1.CloudAccount {
	s.T.Helper()
	a := &v1alpha1.CloudAccount{}
	if err := s.Client.Get(s.T.Context(), client.ObjectKey{Namespace: s.Namespace, Name: name}, a); err != nil {
		s.T.Fatal(err)
	}
	return a
}

// accountSays waits until an account's Ready has a status and reason, with these words in its message.
func accountSays(s *fleets.Stage, name string, status metav1.ConditionStatus, reason string, words ...string) *v1alpha1.CloudAccount {
	s.T.Helper()
	a := &v1alpha1.CloudAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name}}
	s.Within(fleets.Soon, fmt.Sprintf("account %s has Ready=%s/%s", name, status, reason), func() error {
		if err := s.Client.Get(s.T.Context(), keyOf(a), a); err != nil {
			return fmt.Errorf("%w; %s", err, s.Says(fleets.Production))
		}
		return speaks(a, v1alpha1.ReadyCondition, status, reason, words)
	})
	return a
}

// told waits until an account is Ready and has told what an inventory of its Prism Central found, which clusters are
// checked by from then on.
func told(s *fleets.Stage, name string) *v1alpha1.CloudAccount {
	s.T.Helper()
	a := &v1alpha1.CloudAccount{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name}}
	s.Within(fleets.Soon, "account "+name+" tells of its Prism Central", func() error {
		if err := s.Client.Get(s.T.Context(), keyOf(a), a); err != nil {
			return fmt.Errorf("%w; %s", err, s.Says(fleets.Production))
		}
		if a.Status.InventoryAt == nil {
			return fmt.Errorf("no inventory: %+v", a.Status.Conditions)
		}
		return rig.Has(a, v1alpha1.ReadyCondition, metav1.ConditionTrue, "")
	})
	return a
}

// speaks is rig.Has with words in the message.
func speaks(o rig.Conditioned, condition string, status metav1.ConditionStatus, reason string, words []string) error {
	if err := rig.Has(o, condition, status, reason); err != nil {
		return err
	}
	for _, c := range o.GetConditions() {
		for _, w := range words {
			if c.Type == condition && !strings.Contains(c.Message, w) {
				return fmt.Errorf("%s does not say %q: %s", condition, w, c.Message)
			}
		}
	}
	return nil
}

// nothingApplied fails if one object of a cluster exists, beside its credentials.
func nothingApplied(s *fleets.Stage, cluster string) {
	s.T.Helper()
	for name := range s.Inventory(cluster) {
		if name != "Secret/"+cluster+"-pc-credentials" && name != "Secret/"+cluster+"-ccm-credentials" && name != "ConfigMap/"+cluster+"-pc-ca" {
			s.T.Errorf("%s exists", name)
		}
	}
}

// credentials are good ones for an account.
func credentials(s *fleets.Stage, account string) {
	s.T.Helper()
	s.Secret(account+"-credentials", map[string]string{"username": world.PrismUsername, "password": password})
}

// secret replaces the password in a Secret, as a person would.
func secret(s *fleets.Stage, name, password string) {
	s.T.Helper()
	s.Edit(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name}}, of(`{"data":{"password":%q}}`, base64of(password)))
}

func of(format string, args ...any) string { return fmt.Sprintf(format, args...) }
