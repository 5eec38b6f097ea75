package forge

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// both runs a test against either host, whose lists of pull requests are at path.
func both(t *testing.T, test func(t *testing.T, h *hub, p Provider, path string)) {
	t.Helper()
	for p, path := range map[Provider]string{GitHub: repo + "/pulls", Gitea: "/api/v1/repos/platform/clusters/pulls"} {
		t.Run(string(p), func(t *testing.T) { test(t, newHub(t), p, path) })
	}
}

func TestRateLimits(t *testing.T) {
	for name, c := range map[string]struct {
		reason  string
		code    int
		headers map[string]string
		message string
		want    time.Duration
	}{
		"Primary":      {"until the window begins anew", 403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": strconv.FormatInt(noon.Add(20*time.Minute).Unix(), 10)}, "API rate limit exceeded", 20 * time.Minute},
		"Secondary":    {"for as long as is asked for", 403, map[string]string{"Retry-After": "90", "X-RateLimit-Remaining": "4000", "X-RateLimit-Reset": strconv.FormatInt(noon.Add(20*time.Minute).Unix(), 10)}, "You have exceeded a secondary rate limit.", 90 * time.Second},
		"WithoutTimes": {"GitHub asks for a minute then", 403, nil, "You have exceeded a secondary rate limit.", time.Minute},
		"TooMany":      {"of any proxy", 429, map[string]string{"Retry-After": "5"}, "", 5 * time.Second},
		"AtATime":      {"Retry-After may be a date", 429, map[string]string{"Retry-After": noon.Add(3 * time.Minute).Format(http.TimeFormat)}, "", 3 * time.Minute},
		"Overloaded":   {"503 with a time is the same", 503, map[string]string{"Retry-After": "7"}, "", 7 * time.Second},
		"Bounded":      {"no answer puts us off for days", 429, map[string]string{"Retry-After": "99999999"}, "", time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, h *hub, p Provider, path string) {
				t.Helper()
				h.on("GET", path, func(w http.ResponseWriter, _ *http.Request) {
					for k, v := range c.headers {
						w.Header().Set(k, v)
					}
					say(w, c.code, fields{"message": c.message})
				})
				f := h.open(t, p)
				for range 2 { // The second is not sent.
					_, err := f.Pulls(t.Context(), "main")
					var limited *RateLimited
					if !errors.As(err, &limited) || !limited.Until.Equal(noon.Add(c.want)) {
						t.Fatalf("%s: want until %s later, got %v", c.reason, c.want, err)
					}
				}
				if h.asked("GET") != 1 {
					t.Errorf("asked %d times although the host wants to be left alone", h.asked("GET"))
				}
				h.later(c.want)
				h.on("GET", path, paged(nil))
				if _, err := f.Pulls(t.Context(), "main"); err != nil {
					t.Errorf("afterwards: %v", err)
				}
			})
		})
	}
}

// The answer that says that it is the last one for now is still good.
func TestLastAnswerBeforeTheLimit(t *testing.T) {
	both(t, func(t *testing.T, h *hub, p Provider, path string) {
		t.Helper()
		h.on("GET", path, func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("X-RateLimit-Remaining", "0")
			w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(noon.Add(time.Minute).Unix(), 10))
			paged(nil)(w, req)
		})
		f := h.open(t, p)
		if _, err := f.Pulls(t.Context(), "main"); err != nil {
			t.Error(err)
		}
		var limited *RateLimited
		if _, err := f.Pulls(t.Context(), "main"); !errors.As(err, &limited) {
			t.Errorf("%v", err)
		}
	})
}

// oldToken was rotated away.
const oldToken = "gho-of-long-ago-0123456789"

// written are the forms in which a secret may come back.
func written(secret string) []string {
	quoted := strings.Trim(strconv.Quote(secret), `"`)
	forms := []string{
		secret, quoted, strings.Trim(strconv.Quote(quoted), `"`), url.QueryEscape(secret), url.PathEscape(secret),
		html.EscapeString(secret), hex.EncodeToString([]byte(secret)),
	}
	if text, err := json.Marshal(secret); err == nil {
		forms = append(forms, strings.Trim(string(text), `"`))
	}
	for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 {
			// Three bytes make four letters: what stands before and after changes the first and the last of them.
			text := e.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
			forms = append(forms, text[(shift*8+5)/6:(shift+len(secret))*8/6])
		}
	}
	return forms
}

func TestAnswersThatAreNone(t *testing.T) {
	type handler = http.HandlerFunc
	for name, c := range map[string]struct {
		reason string
		answer handler
		kind   error
		words  string
	}{
		"Unavailable": {"later may help", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, ErrUnreachable, "502"},
		"HTML": {"a sign-in page of something in between", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = fmt.Fprint(w, "<html>sign in</html>")
		}, ErrUnreachable, "text/html"},
		"HTMLError": {"a page of a proxy", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(503)
			_, _ = fmt.Fprint(w, "<html>Bad Gateway</html>")
		}, ErrUnreachable, "503"},
		"NotJSON": {"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprint(w, `[{"number":`)
		}, ErrUnreachable, "cannot be read"},
		"AnotherShape": {"of another API", func(w http.ResponseWriter, _ *http.Request) { say(w, 200, fields{"data": 1}) }, ErrUnreachable, "provider"},
		"Forbidden": {"the token may not", func(w http.ResponseWriter, _ *http.Request) {
			say(w, 403, fields{"message": "Resource not accessible by integration"})
		}, ErrAuth, "Resource not accessible"},
		"Refused": {"a person must act", func(w http.ResponseWriter, _ *http.Request) { say(w, 422, fields{"message": "Validation Failed"}) }, ErrRefused, "Validation Failed"},
		"Gone":    {"no such repository", func(w http.ResponseWriter, _ *http.Request) { say(w, 404, nil) }, ErrNotFound, "platform/clusters"},
		"Endless": {"more than is of any use", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprint(w, `["`)
			for range maxAnswer>>20 + 1 {
				_, _ = fmt.Fprint(w, strings.Repeat("x", 1<<20))
			}
		}, ErrLimit, "16 MiB"},
		"EchoOfOld": {"one that was used up before this process began, and is in no memory of ours", func(w http.ResponseWriter, _ *http.Request) {
			say(w, 403, fields{"message": oldToken})
		}, ErrAuth, "(403)"},
		"EchoOfOldBesideWords": {"only what is ours of its words is repeated", func(w http.ResponseWriter, _ *http.Request) {
			say(w, 403, fields{"message": "must be a team member " + oldToken})
		}, ErrAuth, "(403, Must be a team member)"},
		"EchoOfOldHost": {"in the name of a host", func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, "https://"+oldToken+".example.com/", http.StatusFound)
		}, ErrRefused, "not followed"},
		"EchoOfOldElsewhere": {"in the type of an answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/"+oldToken)
		}, ErrUnreachable, "Content-Type"},
		"Echo": {"a host may echo what it was sent", func(w http.ResponseWriter, req *http.Request) {
			say(w, 403, fields{"message": "no rights: " + req.Header.Get("Authorization")})
		}, ErrAuth, "403"},
		"EchoCoded": {"in any form", func(w http.ResponseWriter, req *http.Request) {
			say(w, 403, fields{"message": "no rights: " + base64.StdEncoding.EncodeToString([]byte(req.Header.Get("Authorization")))})
		}, ErrAuth, "(403)"},
		"EchoNoHTTP": {"in what is no answer at all", func(w http.ResponseWriter, req *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, secret, _ := strings.Cut(req.Header.Get("Authorization"), " ")
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 %s\r\n\r\n", secret)
				_ = conn.Close()
			}
		}, ErrUnreachable, "cannot be read"},
		"EchoHost": {"in the name of a host", func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, "https://"+hex.EncodeToString([]byte(req.Header.Get("Authorization")))+".example.com/", http.StatusFound)
		}, ErrRefused, "not followed"},
		"EchoElsewhere": {"in any answer", func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", "text/"+strings.ReplaceAll(req.Header.Get("Authorization"), " ", "-"))
			_, _ = fmt.Fprint(w, req.Header.Get("Authorization"))
		}, ErrUnreachable, "Content-Type"},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, h *hub, p Provider, path string) {
				t.Helper()
				h.on("GET", path, c.answer)
				_, err := h.open(t, p).Pulls(t.Context(), "main")
				if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.words) {
					t.Fatalf("%s: want %v with %q, got %v", c.reason, c.kind, c.words, err)
				}
				for _, form := range append(written(secretToken), oldToken) {
					if !strings.Contains(err.Error(), form) {
						continue
					}
					t.Errorf("the error holds the token: %v", err)
				}
			})
		})
	}
}

func TestWrongToken(t *testing.T) {
	both(t, func(t *testing.T, h *hub, p Provider, _ string) {
		t.Helper()
		_, err := h.open(t, p, func(o *Options) { o.Auth.Token = "another" }).Pulls(t.Context(), "main")
		if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "token in the Secret") {
			t.Errorf("%v", err)
		}
	})
}

// A host that takes a call and never answers holds nobody up for longer than the deadline.
func TestHungHost(t *testing.T) {
	both(t, func(t *testing.T, h *hub, p Provider, path string) {
		t.Helper()
		h.on("GET", path, func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() })
		_, err := h.open(t, p, func(o *Options) { o.Timeout = 50 * time.Millisecond }).Pulls(t.Context(), "main")
		if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "time allowed") {
			t.Errorf("%v", err)
		}
		// Nor one that begins to answer and does not end.
		h.on("GET", path, func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprint(w, "[")
			w.(http.Flusher).Flush()
			<-req.Context().Done()
		})
		_, err = h.open(t, p, func(o *Options) { o.Timeout = 50 * time.Millisecond }).Pulls(t.Context(), "main")
		if !errors.Is(err, ErrUnreachable) {
			t.Errorf("%v", err)
		}
	})
}

// A caller who gives up is told so, and that is no failure of the host.
func TestCancelled(t *testing.T) {
	both(t, func(t *testing.T, h *hub, p Provider, path string) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		h.on("GET", path, func(http.ResponseWriter, *http.Request) { cancel() })
		f := h.open(t, p)
		cancel()
		if _, err := f.Pulls(ctx, "main"); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})
}

// Credentials go to the host that they were given for.
func TestRedirects(t *testing.T) {
	both(t, func(t *testing.T, h *hub, p Provider, path string) {
		t.Helper()
		other := newHub(t)
		other.on("GET", path, paged(nil))
		h.on("GET", path, func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, other.URL+path, http.StatusTemporaryRedirect)
		})
		if _, err := h.open(t, p).Pulls(t.Context(), "main"); !errors.Is(err, ErrRefused) || other.asked("") != 0 {
			t.Errorf("%v, the other host was asked %d times", err, other.asked(""))
		}
		// A repository that was renamed is found, as long as nothing is written.
		h.on("GET", path+"/moved", paged(nil))
		h.on("GET", path, func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, path+"/moved", http.StatusMovedPermanently)
		})
		if _, err := h.open(t, p).Pulls(t.Context(), "main"); err != nil {
			t.Error(err)
		}
		h.on("GET", path, func(w http.ResponseWriter, req *http.Request) { http.Redirect(w, req, path, http.StatusFound) })
		if _, err := h.open(t, p).Pulls(t.Context(), "main"); !errors.Is(err, ErrRefused) {
			t.Errorf("in a circle: %v", err)
		}
	})
}

func TestWritesAreNotRedirected(t *testing.T) {
	h := newHub(t)
	h.answer(repo+"/commits/bbbb/status", fields{"statuses": []any{}})
	h.on("POST", repo+"/statuses/bbbb", func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, "/api/v3/repositories/1/statuses/bbbb", http.StatusMovedPermanently)
	})
	if err := h.open(t, GitHub).SetStatus(t.Context(), "bbbb", Status{State: Success, Context: "refract"}); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "renamed") {
		t.Errorf("%v", err)
	}
}

// A list without an end is given up, and it is said.
func TestPageBudget(t *testing.T) {
	both(t, func(t *testing.T, h *hub, p Provider, path string) {
		t.Helper()
		h.on("GET", path, func(w http.ResponseWriter, req *http.Request) {
			page, _ := strconv.Atoi(req.URL.Query().Get("page"))
			w.Header().Set("Link", fmt.Sprintf(`<%s?page=%d>; rel="next"`, req.URL.Path, page+1))
			say(w, 200, []any{gitHubPullFields(page)})
		})
		_, err := h.open(t, p).Pulls(t.Context(), "main")
		if !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), "30 pages") || h.asked("GET") != maxPages {
			t.Errorf("%d pages read: %v", h.asked("GET"), err)
		}
	})
}

func TestCertificates(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { paged(nil)(w, req) }))
	defer server.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, c := range map[string]struct {
		ca    []byte
		words string
	}{"Unknown": {nil, "ca.crt"}, "FromSecret": {ca, ""}} {
		t.Run(name, func(t *testing.T) {
			f, err := Open(Options{Provider: Gitea, Address: server.URL, Repository: "a/b", Auth: Auth{Token: secretToken, CA: c.ca}, Now: func() time.Time { return noon }})
			if err != nil {
				t.Fatal(err)
			}
			_, err = f.Pulls(t.Context(), "main")
			if (err == nil) != (c.words == "") || (err != nil && !strings.Contains(err.Error(), c.words)) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestRequestsAreObserved(t *testing.T) {
	both(t, func(t *testing.T, h *hub, p Provider, path string) {
		t.Helper()
		var seen []string
		f := h.open(t, p, func(o *Options) {
			o.Observe = func(method string) func(error) {
				return func(err error) { seen = append(seen, fmt.Sprint(method, " ", errors.Is(err, ErrNotFound))) }
			}
		})
		_, _ = f.Pulls(t.Context(), "main")
		h.on("GET", path, paged(nil))
		_, _ = f.Pulls(t.Context(), "main")
		if got := strings.Join(seen, ", "); got != "GET true, GET false" {
			t.Errorf("saw %s", got)
		}
	})
}
