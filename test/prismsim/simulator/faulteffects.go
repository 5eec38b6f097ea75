package simulator

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// errCut stands for an answer that breaks off in the middle.
var errCut = errors.New("cut")

// interfere lets the faults at a request happen. It says whether the request is
// over, and returns errCut when its answer has to be cut.
func (s *Server) interfere(w http.ResponseWriter, r *request) (over bool, err error) {
	s.mu.Lock()
	delays := s.delays(r)
	struck := s.strike(atRequest, r, func(f Fault) bool {
		hasCookie := r.session.token != "" && r.Header.Get("Cookie") != ""
		return f.Effect != EffectSlow && (f.Effect != EffectExpired || hasCookie)
	})
	if struck != nil && struck.fault.Effect == EffectExpired {
		r.session.Ended = true
	}
	s.mu.Unlock()
	for _, slow := range delays {
		if !s.wait(r, slow, slow.fault.Delay) {
			return true, nil
		}
	}
	if struck == nil {
		return false, nil
	}
	if struck.fault.Effect == EffectCut {
		return false, errCut
	}
	// Whoever stands in front of Prism Central opens no session.
	w.Header().Del("Set-Cookie")
	s.spoil(w, r, struck)
	return true, nil
}

// delays counts a hit of every slow fault that matches.
func (s *Server) delays(r *request) []*Rule {
	var slow []*Rule
	for _, rule := range s.rules {
		if rule.fault.Effect == EffectSlow && s.matches(rule.fault, r) && rule.due() {
			slow = append(slow, rule)
		}
	}
	return slow
}

// wait returns false when the client or the server has gone; without a duration
// it waits for them, or for the end of the rule.
func (s *Server) wait(r *request, rule *Rule, d time.Duration) bool {
	timer := time.NewTimer(cmp.Or(d, math.MaxInt64))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-rule.gone:
		return true
	case <-r.Context().Done():
		return false
	case <-s.done:
		return false
	}
}

// spoil answers instead of Prism Central, or does not.
func (s *Server) spoil(w http.ResponseWriter, r *request, struck *Rule) {
	f := struck.fault
	switch f.Effect {
	case EffectError:
		s.failAs(w, r, f)
	case EffectExpired:
		write(w, http.StatusUnauthorized, errorBody(r.URL.Path, &apiError{
			status: http.StatusUnauthorized, group: "AUTHENTICATION_FAILED", message: "the session has expired",
		}))
	case EffectHTML:
		page := "<html><head><title>Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>\n"
		raw(w, f, http.StatusBadGateway, "text/html", page)
	case EffectNotJSON:
		raw(w, f, http.StatusOK, "application/json", "upstream connect error\n")
	case EffectEmpty:
		raw(w, f, http.StatusOK, "application/json", "{}")
	case EffectEndless:
		endless(w)
	case EffectHang:
		s.wait(r, struck, 0)
		abort()
	default:
		abort()
	}
}

func (s *Server) failAs(w http.ResponseWriter, r *request, f Fault) {
	status := cmp.Or(f.Status, http.StatusServiceUnavailable)
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds()))))
	}
	text := http.StatusText(status)
	write(w, status, errorBody(r.URL.Path, &apiError{
		status: status, message: cmp.Or(f.Message, text), group: strings.ToUpper(strings.ReplaceAll(text, " ", "_")),
	}))
}

func raw(w http.ResponseWriter, f Fault, status int, contentType, body string) {
	w.Header().Set("Content-Type", cmp.Or(f.ContentType, contentType))
	w.WriteHeader(cmp.Or(f.Status, status))
	// The status is out: a client that went away cannot be told.
	_, _ = w.Write([]byte(cmp.Or(f.Body, body)))
}

func endless(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	blank := []byte(strings.Repeat(" ", 64<<10))
	for {
		if _, err := w.Write(blank); err != nil {
			abort()
		}
	}
}

// abort closes the connection of the request, or resets its stream.
func abort() {
	panic(http.ErrAbortHandler) //nolint:forbidigo // how net/http breaks a connection
}

// writeHalf promises a whole answer and breaks off in the middle.
func writeHalf(w http.ResponseWriter, status int, body any) {
	encoded, err := json.Marshal(body)
	if err == nil {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(encoded)))
		w.WriteHeader(status)
		_, _ = w.Write(encoded[:len(encoded)/2])
		_ = http.NewResponseController(w).Flush()
	}
	abort()
}

var nameFilter = regexp.MustCompile(`^name eq '([^']*)'$`)

// subject tells the names of the VM and of the Prism Element that a request is
// about, as far as it is about any.
func (s *Server) subject(r *request) (vm, element string) {
	_, path, _ := strings.Cut(r.Pattern, " ")
	id := r.PathValue("extId")
	switch {
	case strings.Contains(path, "/config/tasks/"):
		for _, t := range s.tasks {
			if t.extID == id {
				return t.vmName, s.elementName(t.element)
			}
		}
	case strings.Contains(path, "/clusters"):
		return "", cmp.Or(s.elementName(id), filteredName(r))
	case strings.Contains(path, "/config/vms"):
		return s.subjectVM(r, id)
	}
	return "", ""
}

func (s *Server) subjectVM(r *request, id string) (vm, element string) {
	if m := s.vms[id]; m != nil {
		return m.name, s.elementName(m.cluster)
	}
	if r.Method != http.MethodPost {
		return filteredName(r), ""
	}
	var wanted struct {
		Name    string
		Cluster struct{ ExtID string }
	}
	// What is no VM is refused later, with the reason.
	_ = json.Unmarshal(r.body, &wanted)
	return wanted.Name, s.elementName(wanted.Cluster.ExtID)
}

func filteredName(r *request) string {
	if found := nameFilter.FindStringSubmatch(r.URL.Query().Get("$filter")); found != nil {
		return found[1]
	}
	return ""
}

func (s *Server) elementName(extID string) string {
	e, _ := find(s.model.PrismElements, func(e PrismElement) bool { return e.ExtID == extID })
	return e.Name
}

// away says whether Prism Central does not reach a Prism Element, by its own
// state or by a fault.
func (s *Server) away(e PrismElement) bool {
	return e.Unavailable || slices.ContainsFunc(s.rules, func(r *Rule) bool {
		return r.fault.Effect == EffectUnreachable && r.fault.Element == e.Name
	})
}
