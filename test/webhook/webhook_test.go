// Package webhook calls two replicas of the operator as a Git server does: the one that acts and the one that waits. The
// webhooks of Cluster API and CAPX are real and their reconcilers stand still.
package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

const (
	token = "correct horse battery staple"
	path  = "/hooks/webhook/production"
	soon  = time.Minute
)

var (
	shared         rig.Package
	acting, spare  string // addresses
	leaderElection = controllers.Options{LeaderElection: true, LeaderElectionNamespace: "default", Concurrent: 1}
)

func TestMain(m *testing.M) {
	var err error
	if acting, err = free(); err == nil {
		spare, err = free()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	first := leaderElection
	first.WebhookAddress = acting
	os.Exit(rig.Run(m, &shared, world.Options{Managers: true, NoReconcile: true}, first))
}

// free is a loopback address that nobody listens on.
func free() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a free port, given up at once
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// call tells a replica of a push to main, as GitHub does. after makes it different from other calls.
func call(t *testing.T, address, after, signedWith string) int {
	t.Helper()
	body := `{"ref":"refs/heads/main","after":"` + after + `"}`
	mac := hmac.New(sha256.New, []byte(signedWith))
	mac.Write([]byte(body))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-GitHub-Event", "push")
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0 // not up yet
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// TestPushes has an interval of a day, so that nothing but calls leads to a look.
func TestPushes(t *testing.T) {
	s := shared.NewScene(t, "webhook")
	s.Secret("hook", map[string]string{"token": token})
	push := func(n int) string {
		return s.Push(fmt.Sprint("change ", n), map[string]string{"fleet/notes.yaml": fmt.Sprintf("kind: Notes\nn: %d\n", n)})
	}
	taken := func(address, after string) {
		t.Helper()
		s.Within(soon, "the call is taken at "+address, func() error {
			if code := call(t, address, after, token); code != http.StatusAccepted {
				return fmt.Errorf("answered %d", code)
			}
			return nil
		})
	}
	first := push(1)
	s.NewFleet("production", func(f *v1alpha1.Fleet) {
		f.Spec.Interval = metav1.Duration{Duration: 24 * time.Hour}
		f.Spec.Webhook = &v1alpha1.Webhook{SecretRef: v1alpha1.LocalReference{Name: "hook"}}
	})
	s.Handled("production", first, soon)
	s.FleetHas("production", v1alpha1.WebhookReadyCondition, metav1.ConditionTrue, v1alpha1.ListeningReason, soon)

	second := push(2)
	if code := call(t, acting, second, "another token altogether"); code != http.StatusUnauthorized {
		t.Errorf("a forged call: answered %d", code)
	}
	if s.Fleet("production").Status.LastAttemptedRevision != "main@sha1:"+first {
		t.Error("a forged call led to a look")
	}
	taken(acting, second)
	s.Handled("production", second, soon)
	if code := call(t, acting, second, token); code != http.StatusConflict {
		t.Errorf("a replayed call: answered %d", code)
	}

	options := leaderElection
	options.WebhookAddress, options.Log = spare, logr.Discard()
	waiting := rig.NewOperator(shared.World.REST, options)
	waiting.Start(t.Context())
	t.Cleanup(func() {
		if err := waiting.Stop(); err != nil {
			t.Error(err)
		}
	})
	third := push(3)
	taken(spare, third)
	f := s.Handled("production", third, soon)
	if f.Status.LastHandledReconcileAt == "" {
		t.Error("the replica that waits left no word")
	}
	if code := call(t, spare, third, token); code != http.StatusConflict {
		t.Errorf("replayed to the replica that waits: answered %d", code)
	}

	// The other takes over, and its calls lead to a look without a word on the Fleet.
	if err := shared.Operator.Stop(); err != nil {
		t.Fatal(err)
	}
	fourth := push(4)
	taken(spare, fourth)
	s.Handled("production", fourth, soon)
	fifth := push(5)
	taken(spare, fifth)
	s.Handled("production", fifth, soon)

	s.Secret("short", map[string]string{"token": "secret"})
	f = s.Fleet("production")
	before := f.DeepCopy()
	f.Spec.Webhook.SecretRef.Name = "short"
	if err := s.Client.Patch(t.Context(), f, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	s.FleetHas("production", v1alpha1.WebhookReadyCondition, metav1.ConditionFalse, v1alpha1.SecretNotFoundReason, soon)
	s.FleetHas("production", v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.SucceededReason, soon)
	if code := call(t, spare, "6", token); code != http.StatusUnauthorized {
		t.Errorf("the token of a Secret that is named no more: answered %d", code)
	}
}
