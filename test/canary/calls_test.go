package canary

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/drift/hand"
	"github.com/refract-dev/refract/test/rig"
)

// hooksAt is where the operator takes calls.
var hooksAt string

// free is a loopback address that nobody listens on.
func free() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a free port, given up at once
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// appKey makes the key of an App and has every line of it looked for.
func appKey(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if !strings.Contains(line, "RSA") && len(line) > 20 {
			keys[fmt.Sprintf("line %d of the App's key", i)] = line
		}
	}
	return text
}

// call tells the webhook of a pull request, each time of another one; an unsigned caller tells the token wherever there is
// room instead of signing with it.
func (x *scene) call(signed bool) {
	x.T.Helper()
	token := credentials["webhook token"]
	body := fmt.Sprintf(`{"number":7,"pull_request":{"number":7},"at":%d}`, time.Now().UnixNano())
	at := "http://" + hooksAt + "/hooks/" + x.Namespace + "/production"
	if !signed {
		body = quotedMessage(token)
		at += "?token=" + url.QueryEscape(token)
	}
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte(body))
	req, err := http.NewRequestWithContext(x.T.Context(), http.MethodPost, at, strings.NewReader(body))
	if err != nil {
		x.T.Fatal(err)
	}
	req.Header.Set("X-GitHub-Event", "pull_request")
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	if !signed {
		req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString([]byte(token)))
		req.Header.Set("X-Signature", token)
		req.Header.Set("X-Gitlab-Token", token)
		req.Header.Set("X-GitHub-Delivery", token)
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		x.T.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = fmt.Fprintln(&answersToCalls, res.Status, res.Header)
	if _, err = io.Copy(&answersToCalls, res.Body); err != nil {
		x.T.Fatal(err)
	}
}

// reviewed calls until check is content.
func (x *scene) reviewed(what string, check func() error) {
	x.T.Helper()
	x.Within(hand.Soon, what, func() error {
		x.call(false)
		x.call(true)
		return check()
	})
}

// hostile has the pull requests looked at while the host is hostile in every way.
func (x *scene) hostile() {
	x.T.Helper()
	for mode, w := range ways {
		x.host.is(mode)
		x.reviewed("reviewing while it "+mode, func() error {
			if x.host.times() < 2 {
				return errors.New("it was not asked since")
			}
			return rig.Has(x.Fleet("production"), v1alpha1.ReviewsPostedCondition, metav1.ConditionFalse, w.reason)
		})
	}
}

// posts has the pull request commented on.
func (x *scene) posts() {
	x.T.Helper()
	x.host.is("")
	x.reviewed("the pull request is commented on", func() error {
		if x.host.times() < 2 || !bytes.Contains([]byte(posted.String()), []byte("Refract plan")) {
			return fmt.Errorf("not yet: %+v", x.Fleet("production").Status.Conditions)
		}
		return rig.Has(x.Fleet("production"), v1alpha1.ReviewsPostedCondition, metav1.ConditionTrue, "")
	})
}
