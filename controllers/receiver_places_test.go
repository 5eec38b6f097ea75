package controllers

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
)

// Who does not sign takes no place from those who do, and nothing of what he sends is read.
func TestUnsignedCallersTakeNoPlace(t *testing.T) {
	good := signature("{}", hookToken)
	for name, c := range map[string]struct {
		header map[string]string
		length int64
		want   int
	}{
		"NoSignature":  {nil, 2, http.StatusUnauthorized},
		"NoHex":        {map[string]string{"X-Hub-Signature-256": "sha256=" + strings.Repeat("x", 64)}, 2, http.StatusUnauthorized},
		"Short":        {map[string]string{"X-Gitea-Signature": "abcd"}, 2, http.StatusUnauthorized},
		"OtherKind":    {map[string]string{"X-Signature": strings.Replace(good, "sha256", "sha1", 1)}, 2, http.StatusUnauthorized},
		"OneOfTwo":     {map[string]string{"X-Signature": good, "X-Forgejo-Signature": ""}, 2, http.StatusUnauthorized},
		"SaysItIsLong": {map[string]string{"X-Signature": good}, maxCall + 1, http.StatusRequestEntityTooLarge},
		"Signed":       {map[string]string{"X-Signature": good}, 2, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := aReceiver(true)
			r.slots <- struct{}{}
			r.slots <- struct{}{}
			body := &reads{}
			req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/hooks/clusters/production", body)
			req.ContentLength = c.length
			for key, value := range c.header {
				req.Header.Set(key, value)
			}
			answer := httptest.NewRecorder()
			r.ServeHTTP(answer, req)
			if answer.Code != c.want || body.times > 0 || answer.Header().Get("Connection") != "close" {
				t.Errorf("answered %d, want %d, after reading %d times; %v", answer.Code, c.want, body.times, answer.Header())
			}
		})
	}
}

// reads is a body that says how often it was read.
type reads struct{ times int }

func (r *reads) Read([]byte) (int, error) {
	r.times++
	return 0, io.EOF
}

// A caller who signs, or looks like it, and then sends nothing gives his place back soon.
func TestSlowCallersGiveTheirPlaceBack(t *testing.T) {
	g := gomega.NewWithT(t)
	r, _ := aReceiver(true)
	r.patience = 50 * time.Millisecond
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	for range 2 * cap(r.slots) {
		slow, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = slow.Close() })
		_, _ = fmt.Fprintf(slow, "POST /hooks/clusters/production HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nX-Signature: %s\r\n\r\n{", signature("{", hookToken))
	}
	g.Eventually(func() int {
		return call(t, r, "/hooks/clusters/production", "push", `{"ref":"refs/heads/main"}`, hookToken)
	}, "10s").
		Should(gomega.BeElementOf(http.StatusAccepted, http.StatusConflict))
}
