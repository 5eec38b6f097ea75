package prism_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr/funcr"

	"github.com/refract-dev/refract/controllers/prism"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

const cookie = "Cookie-8822"

// withoutSecrets checks that neither a message nor anything in an error holds the password, in any form, or a cookie.
func withoutSecrets(t *testing.T, texts ...any) {
	t.Helper()
	pair := base64.StdEncoding.EncodeToString([]byte(user + ":" + canary))
	for _, text := range texts {
		for _, form := range []string{fmt.Sprint(text), fmt.Sprintf("%+v", text), fmt.Sprintf("%#v", text), chain(text)} {
			for _, secret := range []string{
				canary, pair, base64.StdEncoding.EncodeToString([]byte(canary)), url.QueryEscape(canary), url.PathEscape(canary), cookie,
				hex.EncodeToString([]byte(canary)),
			} {
				if strings.Contains(form, secret) {
					t.Errorf("it holds %q: %s", secret, form)
				}
			}
		}
	}
}

// chain is all that an error wraps.
func chain(text any) string {
	var all []string
	err, _ := text.(error)
	for ; err != nil; err = errors.Unwrap(err) {
		all = append(all, fmt.Sprintf("%#v %v", err, err))
	}
	return strings.Join(all, "\n")
}

// TestSecretsStayIn asks servers that send back what they were sent, in each place where an error could repeat it.
func TestSecretsStayIn(t *testing.T) {
	t.Parallel()
	say := func(status int, contentType string, body func(sent string) string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			http.SetCookie(w, &http.Cookie{Name: "s", Value: cookie})
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body(everything(r)))
		}
	}
	v4 := func(sent string) string {
		return `{"data":{"$objectType":"x.error.ErrorResponse","error":[{"message":` + strconv.Quote(sent) + `}]}}`
	}
	for name, handler := range map[string]http.HandlerFunc{
		"V4Error":   say(500, "application/json", v4),
		"V4Missing": say(404, "application/json", v4),
		"V3Error": say(422, "application/json", func(sent string) string {
			return `{"state":"ERROR","message_list":[{"message":` + strconv.Quote(sent) + `}]}`
		}),
		"Forbidden":    say(403, "application/json", v4),
		"Unauthorized": say(401, "application/json", v4),
		"NotJSON":      say(200, "application/json", func(sent string) string { return sent }),
		"WrongType":    say(200, "application/json", func(sent string) string { return `{"data":{` + strconv.Quote(sent) + `:1}}` }),
		"HTML":         say(200, "text/html", func(sent string) string { return sent }),
		"ContentType": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/"+everything(r))
			w.WriteHeader(http.StatusOK)
		},
		"Redirect": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://"+url.QueryEscape(everything(r)))
			w.WriteHeader(http.StatusFound)
		},
		"Protocol": func(w http.ResponseWriter, r *http.Request) { raw(w, "HTTP/1.1 "+everything(r)+" what\r\n\r\n") },
		"Header":   func(w http.ResponseWriter, r *http.Request) { raw(w, "HTTP/1.1 200 OK\r\n"+everything(r)+"\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			web := newCentralBehind(t, handler, nil)
			var mu sync.Mutex
			var log strings.Builder
			d := open(t, endpointOf(t, web), prism.Options{Log: funcr.New(func(prefix, args string) {
				mu.Lock()
				defer mu.Unlock()
				log.WriteString(prefix + args + "\n")
			}, funcr.Options{Verbosity: 9})})
			// Twice: the second time there may be a cookie to repeat.
			for range 2 {
				_, err := d.Prove(t.Context())
				if err == nil {
					t.Error("no error")
				}
				_, _, vmErr := d.VM(t.Context(), "7d3c5a4e-0000-4000-8000-000000000000")
				orderErr := d.PowerOn(t.Context(), "7d3c5a4e-0000-4000-8000-000000000000")
				withoutSecrets(t, err, vmErr, orderErr, d.Inventory(t.Context()).Unknown)
			}
			mu.Lock()
			defer mu.Unlock()
			if log.Len() == 0 {
				t.Error("nothing was logged")
			}
			withoutSecrets(t, log.String())
		})
	}
}

// TestSecretsOfOthers asks a server that tells one user what another sent it: a second one, and itself before.
func TestSecretsOfOthers(t *testing.T) {
	t.Parallel()
	web := newCentralBehind(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, `{"state":"ERROR","message_list":[{"message":"heard `+canary+`, `+cookie+`"}]}`)
	}), nil)
	e := endpointOf(t, web)
	e.Password = "changed"
	shared := &prism.Secrets{}
	d := open(t, e, prism.Options{Secrets: shared})
	_, before := d.Prove(t.Context())
	if before == nil || !strings.Contains(before.Error(), canary) {
		t.Fatalf("the server does not repeat it: %v", before)
	}
	shared.Password(user, canary)
	_, err := d.Prove(t.Context())
	if err == nil || !strings.Contains(err.Error(), "heard [hidden]") {
		t.Errorf("%v", err)
	}
	other := newCentralBehind(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "s", Value: cookie})
		w.WriteHeader(http.StatusForbidden)
	}), nil)
	_, _ = open(t, endpointOf(t, other), prism.Options{Secrets: shared}).Prove(t.Context())
	_, err = d.Prove(t.Context())
	withoutSecrets(t, err)
}

// TestSecretsOfMany shows that however many passwords others use, a user's own stays hidden.
func TestSecretsOfMany(t *testing.T) {
	t.Parallel()
	web := newCentralBehind(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, `{"state":"ERROR","message_list":[{"message":"heard `+canary+`"}]}`)
	}), nil)
	e, shared := endpointOf(t, web), &prism.Secrets{}
	e.Username, e.Password = user, canary
	d := open(t, e, prism.Options{Secrets: shared})
	for i := range 1000 {
		shared.Password(user, fmt.Sprint("password-", i))
	}
	_, err := d.Prove(t.Context())
	if err == nil || !strings.Contains(err.Error(), "heard [hidden]") {
		t.Errorf("%v", err)
	}
}

// TestCookiesThatAreNoSecrets leaves words alone that a cookie happens to hold, too.
func TestCookiesThatAreNoSecrets(t *testing.T) {
	t.Parallel()
	web := newCentralBehind(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "lb", Value: "1"})
		http.SetCookie(w, &http.Cookie{Name: "s", Value: "decommissioned", MaxAge: -1})
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, `{"state":"ERROR","message_list":[{"message":"host 11 was decommissioned"}]}`)
	}), nil)
	d := open(t, endpointOf(t, web), prism.Options{})
	_, err := d.Prove(t.Context())
	if err == nil || !strings.Contains(err.Error(), "host 11 was decommissioned") {
		t.Errorf("%v", err)
	}
}

func TestSecretsByAddress(t *testing.T) {
	t.Parallel()
	var all prism.SecretsByAddress
	one := all.Of(prism.Endpoint{Address: "pc.example.com", Username: "a"})
	if one != all.Of(prism.Endpoint{Address: "PC.example.com", Port: 9440, Username: "b"}) {
		t.Error("two users of one Prism Central share nothing")
	}
	if one == all.Of(prism.Endpoint{Address: "pc.example.com", Port: 9441}) {
		t.Error("two Prism Centrals share theirs")
	}
}

// everything is what a server can learn of a request.
func everything(r *http.Request) string {
	_, password, _ := r.BasicAuth()
	return strings.Join([]string{
		password, url.QueryEscape(password), base64.StdEncoding.EncodeToString([]byte(password)),
		hex.EncodeToString([]byte(password)), r.Header.Get("Authorization"), r.Header.Get("Cookie"),
	}, " ")
}

// raw answers with something that is no HTTP.
func raw(w http.ResponseWriter, text string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, text)
	_ = conn.Close()
}

// tunnel connects who asks a proxy with where it leads.
func tunnel(t *testing.T, w http.ResponseWriter, dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	t.Helper()
	far, err := dial(t.Context(), "tcp", "")
	if err != nil {
		t.Error(err)
		return
	}
	near, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	_, _ = io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
	go func() { _, _ = io.Copy(near, far); _ = near.Close() }()
}

func portText(e prism.Endpoint) string { return strconv.Itoa(int(e.Port)) }

// TestSession shows that the password goes out once, and again only when the session has ended.
func TestSession(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var basic, cookies int
	central := newCentral(t, modelWith(aVM("one")), func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			if r.Header.Get("Cookie") != "" {
				cookies++
			}
			if r.Header.Get("Authorization") != "" {
				basic++
			}
			mu.Unlock()
			h.ServeHTTP(w, r)
		})
	})
	d := open(t, central.endpoint(t), prism.Options{})
	read := func(wantBasic int) {
		t.Helper()
		if found := d.Inventory(t.Context()); len(found.Unknown) != 0 {
			t.Fatal(found.Unknown)
		}
		mu.Lock()
		defer mu.Unlock()
		if basic != wantBasic || cookies == 0 {
			t.Errorf("the password was sent %d times, not %d; a cookie %d times", basic, wantBasic, cookies)
		}
	}
	read(1)
	read(1)
	central.ExpireSessions()
	read(2)
}

// TestCookiesThatOpenNothing is about a load balancer that sets its own.
func TestCookiesThatOpenNothing(t *testing.T) {
	t.Parallel()
	central := newCentral(t, modelWith(aVM("one")), func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Cookie")
			h.ServeHTTP(w, r)
		})
	})
	d := open(t, central.endpoint(t), prism.Options{})
	if found := d.Inventory(t.Context()); len(found.Unknown) != 0 {
		t.Fatal(found.Unknown)
	}
	before := d.Requests()
	if found := d.Inventory(t.Context()); len(found.Unknown) != 0 {
		t.Fatal(found.Unknown)
	}
	if n := d.Requests() - before; n != 16 {
		t.Errorf("%d requests for 16 answers", n)
	}
}

func TestProve(t *testing.T) {
	t.Parallel()
	t.Run("Good", func(t *testing.T) {
		t.Parallel()
		version, err := open(t, newCentral(t, modelWith(), nil).endpoint(t), prism.Options{}).Prove(t.Context())
		if err != nil || version != "7.5" {
			t.Errorf("%q, %v", version, err)
		}
	})
	t.Run("VersionIsHidden", func(t *testing.T) {
		t.Parallel()
		central := newCentral(t, modelWith(), nil)
		for _, body := range []string{`{"metadata":{"totalAvailableResults":0}}`, `{}`} {
			rule := central.fault(t, simulator.Fault{Effect: simulator.EffectNotJSON, Body: body, Path: "/api/prism/v4.2/config/domain-managers"})
			version, err := open(t, central.endpoint(t), prism.Options{}).Prove(t.Context())
			if err != nil || version != "" {
				t.Errorf("%q, %v", version, err)
			}
			rule.Remove()
		}
	})
	t.Run("WrongPassword", func(t *testing.T) {
		t.Parallel()
		central := newCentral(t, modelWith(), nil)
		e := central.endpoint(t)
		e.Password = "wrong"
		d := open(t, e, prism.Options{})
		_, err := d.Prove(t.Context())
		wantReason(t, err, prism.AuthenticationFailed, user, "Secret", "locked")
		if d.Requests() != 1 {
			t.Errorf("a wrong password was sent %d times", d.Requests())
		}
		if found := d.Inventory(t.Context()); len(found.Unknown) != 11 || d.Requests() != 2 {
			t.Errorf("%d requests, unknown: %v", d.Requests(), found.Unknown)
		}
	})
	t.Run("PasswordChangedMeanwhile", func(t *testing.T) {
		t.Parallel()
		central := newCentral(t, modelWith(), nil)
		d := open(t, central.endpoint(t), prism.Options{})
		if _, err := d.Prove(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := central.SetPassword(user, "new"); err != nil {
			t.Fatal(err)
		}
		central.ExpireSessions()
		_, err := d.Prove(t.Context())
		wantReason(t, err, prism.AuthenticationFailed)
	})
	for name, c := range map[string]struct {
		info   string
		status int
		reason prism.Reason
		words  []string
	}{
		"Older":       {`{"data":"v4.1"}`, 200, prism.TooOld, []string{"v4.1", "needs API v4.2", "7.5", "upgrade"}},
		"Beta":        {`{"data":"v4.2.b1"}`, 200, prism.TooOld, []string{"v4.2.b1"}},
		"WithoutV4":   {`{"message":"no"}`, 404, prism.TooOld, []string{"no v4 API"}},
		"NoAnswer":    {`{}`, 200, prism.Misbehaving, []string{"does not tell the version"}},
		"Newer":       {`{"data":"v4.3"}`, 200, "", nil},
		"NextMajor":   {`{"data":"v5.0"}`, 200, "", nil},
		"ObjectForIt": {`{"data":{"version":"v4.2"}}`, 200, prism.Misbehaving, nil},
	} {
		t.Run("API/"+name, func(t *testing.T) {
			t.Parallel()
			central := newCentral(t, modelWith(), func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method != http.MethodOptions {
						h.ServeHTTP(w, r)
						return
					}
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(c.status)
					_, _ = io.WriteString(w, c.info)
				})
			})
			_, err := open(t, central.endpoint(t), prism.Options{}).Prove(t.Context())
			if c.reason == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantReason(t, err, c.reason, c.words...)
		})
	}
}
