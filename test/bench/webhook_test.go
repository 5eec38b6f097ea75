package bench

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// hookToken signs the calls.
const hookToken = "correct horse battery staple"

// TestWebhook calls the operator as a Git server does, all the while it makes a whole fleet.
func TestWebhook(t *testing.T) {
	all := sizes()
	n := all[len(all)-1]
	ctx, stop := context.WithCancel(t.Context())
	var took []time.Duration
	var calls sync.WaitGroup
	newHerdCalled(t, n, func(h *herd) func(*v1alpha1.Fleet) {
		h.Secret("hook", map[string]string{"token": hookToken})
		calls.Go(func() { took = h.call(ctx) })
		return func(f *v1alpha1.Fleet) {
			f.Spec.Webhook = &v1alpha1.Webhook{SecretRef: v1alpha1.LocalReference{Name: "hook"}}
		}
	})
	stop()
	calls.Wait()
	if len(took) == 0 {
		t.Fatal("no call was taken")
	}
	slices.Sort(took)
	row(fmt.Sprintf("webhook answered while %d clusters are made, %d calls", n, len(took)),
		fmt.Sprintf("median %.1f ms, 99 of 100 within %.1f ms, longest %.1f ms", milliseconds(took[len(took)/2]), milliseconds(took[len(took)*99/100]), milliseconds(took[len(took)-1])),
		"", "reported")
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// call tells of a push ten times a second until ctx ends, and returns how long each answer took.
func (h *herd) call(ctx context.Context) []time.Duration {
	var took []time.Duration
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return took
		case <-tick.C:
		}
		body := fmt.Sprintf(`{"ref":"refs/heads/main","after":"%040x"}`, i)
		mac := hmac.New(sha256.New, []byte(hookToken))
		mac.Write([]byte(body))
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+h.op.webhook+"/hooks/"+h.Namespace+"/"+fleetName, strings.NewReader(body))
		if err != nil {
			return took
		}
		r.Header.Set("X-GitHub-Event", "push")
		r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
		begin := time.Now()
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			continue
		}
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusAccepted { // before the Fleet was seen it is not
			took = append(took, time.Since(begin))
		}
	}
}
