package simulator

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Effect is what a [Fault] does to a request, a task or a list.
type Effect string

// Effects instead of an answer.
const (
	// EffectError answers Status (default 503) with a JSON error that says
	// Message, and Retry-After when RetryAfter is set.
	EffectError Effect = "Error"
	// EffectHTML answers Status (default 502) with a page of exactly
	// "text/html", or of ContentType.
	EffectHTML Effect = "HTML"
	// EffectNotJSON answers Status (default 200) as application/json with a
	// Body that is none.
	EffectNotJSON Effect = "NotJSON"
	// EffectEmpty answers Status (default 200) with {}.
	EffectEmpty Effect = "Empty"
	// EffectEndless answers 200 with white space that does not end before the
	// client goes away.
	EffectEndless Effect = "Endless"
	// EffectHang answers nothing until the client goes away or the fault is
	// removed; then the connection is closed.
	EffectHang Effect = "Hang"
	// EffectDrop closes the connection without an answer; nothing is done.
	EffectDrop Effect = "Drop"
	// EffectExpired answers 401 to a request that comes with a cookie, and ends
	// its session. Requests without a cookie are not touched.
	EffectExpired Effect = "SessionExpired"
)

// Effects on the answer.
const (
	// EffectSlow waits for Delay first. Other faults may follow.
	EffectSlow Effect = "Slow"
	// EffectCut does what was asked and closes the connection in the middle of
	// the answer.
	EffectCut Effect = "Cut"
)

// Effects on the task that a request starts: its work is not done.
const (
	// EffectTaskFailed ends it FAILED with Message, or without any message.
	EffectTaskFailed Effect = "TaskFailed"
	// EffectTaskNoText ends it FAILED with an error that has a code but no
	// message.
	EffectTaskNoText Effect = "TaskFailedWithoutText"
	// EffectTaskCanceled ends it CANCELED.
	EffectTaskCanceled Effect = "TaskCanceled"
	// EffectTaskSuspended leaves it SUSPENDED for good.
	EffectTaskSuspended Effect = "TaskSuspended"
	// EffectTaskEndless leaves it RUNNING for good.
	EffectTaskEndless Effect = "TaskEndless"
)

// Effects on a list.
const (
	// EffectRepeat answers the first page whatever page was asked for, and says
	// that the list has Total entries; the default is never reached.
	EffectRepeat Effect = "RepeatPage"
	// EffectTotal says that the list has Total entries; -1 leaves it out.
	EffectTotal Effect = "Total"
	// EffectVanish deletes the VM of the name VM, or the first of the page, once
	// the page with the number Page of a list of VMs is served.
	EffectVanish Effect = "VMVanishes"
	// EffectAppear makes a copy of the first VM of the page, switched off and
	// under the name VM, once the page with the number Page is served.
	EffectAppear Effect = "VMAppears"
	// EffectHide leaves the VM of the name VM out of the list and its total, as
	// happens when entries move between pages that are read one by one.
	EffectHide Effect = "VMHidden"
)

// EffectUnreachable takes the Prism Element named in Element away, as
// [Server.SetElementAvailable] does. Each task that is started meanwhile on its
// VMs fails, and is a hit.
const EffectUnreachable Effect = "ElementUnreachable"

// stage is where an effect takes hold.
type stage int

const (
	atRequest stage = iota + 1
	atTask
	atList
)

var stages = map[Effect]stage{
	EffectError: atRequest, EffectHTML: atRequest, EffectNotJSON: atRequest, EffectEmpty: atRequest,
	EffectEndless: atRequest, EffectHang: atRequest, EffectDrop: atRequest, EffectExpired: atRequest,
	EffectSlow: atRequest, EffectCut: atRequest,
	EffectTaskFailed: atTask, EffectTaskNoText: atTask, EffectTaskCanceled: atTask, EffectTaskSuspended: atTask,
	EffectTaskEndless: atTask, EffectUnreachable: atTask,
	EffectRepeat: atList, EffectTotal: atList, EffectVanish: atList, EffectAppear: atList, EffectHide: atList,
}

// Fault is one thing that goes wrong, and when. All conditions that are set must
// hold; requests that are not admitted or not simulated are out of reach.
type Fault struct {
	// Name is for people; it decides nothing.
	Name string `json:"name,omitempty"`
	// Method is an HTTP method; empty matches all.
	Method string `json:"method,omitempty"`
	// Path is a route as [Server.Requests] writes it, without the method, such
	// as "/api/vmm/v4.2/ahv/config/vms/{extId}". One that ends in * matches all
	// routes that begin so; empty matches all.
	Path string `json:"path,omitempty"`
	// User is who must ask.
	User string `json:"user,omitempty"`
	// VM is the name of the VM that a request is about: one that it creates,
	// reads, changes, deletes or looks up by name, or whose task it reads. In a
	// condition, one that ends in * matches all names that begin so.
	VM string `json:"vm,omitempty"`
	// Element is the name of the Prism Element that a request is about, in the
	// same sense, or on which its VM is.
	Element string `json:"element,omitempty"`
	// Match, when set, must return true. It must not read the body.
	Match func(*http.Request) bool `json:"-"`
	// After is how many matching requests, tasks or lists go unharmed first.
	After int `json:"after,omitempty"`
	// Times is how often it strikes; 0 means until it is removed.
	Times int `json:"times,omitempty"`
	// Effect says what happens; required.
	Effect Effect `json:"effect"`
	// Status, RetryAfter (in whole seconds), Delay, Message, Body, ContentType,
	// Page and Total belong to the effects that mention them.
	Status      int           `json:"status,omitempty"`
	RetryAfter  time.Duration `json:"retryAfter,omitempty"`
	Delay       time.Duration `json:"delay,omitempty"`
	Message     string        `json:"message,omitempty"`
	Body        string        `json:"body,omitempty"`
	ContentType string        `json:"contentType,omitempty"`
	Page        int           `json:"page,omitempty"`
	Total       int           `json:"total,omitempty"`
}

// Rule is a [Fault] that a [Server] acts by.
type Rule struct {
	fault  Fault
	server *Server
	// seen, hits and struck are guarded by the server's lock; struck is closed
	// and replaced with each hit.
	seen, hits int
	struck     chan struct{}
	gone       chan struct{}
	remove     sync.Once
}

// Fault returns what the rule was made of.
func (r *Rule) Fault() Fault { return r.fault }

// Hits is how often the fault has struck.
func (r *Rule) Hits() int {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	return r.hits
}

// Wait returns when the fault has struck so many times in all, or with the error
// of the context.
func (r *Rule) Wait(ctx context.Context, hits int) error {
	for {
		r.server.mu.Lock()
		got, struck := r.hits, r.struck
		r.server.mu.Unlock()
		if got >= hits {
			return nil
		}
		select {
		case <-struck:
		case <-ctx.Done():
			return fmt.Errorf("fault %q struck %d times, not %d: %w", r.fault.Name, got, hits, ctx.Err())
		}
	}
}

// Remove ends the fault; requests that hang by it lose their connection. What
// has happened to tasks and VMs stays.
func (r *Rule) Remove() {
	r.remove.Do(func() {
		r.server.mu.Lock()
		defer r.server.mu.Unlock()
		r.server.rules = slices.DeleteFunc(r.server.rules, func(other *Rule) bool { return other == r })
		close(r.gone)
	})
}

// AddFault lets something go wrong from now on. Where several faults match, the
// one that was added first strikes. A fault that could never strike is an error:
// an unknown effect or path, or a field that the effect needs.
func (s *Server) AddFault(f Fault) (*Rule, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkFault(f); err != nil {
		return nil, fmt.Errorf("fault %q: %w", f.Name, err)
	}
	rule := &Rule{fault: f, server: s, struck: make(chan struct{}), gone: make(chan struct{})}
	s.rules = append(s.rules, rule)
	return rule, nil
}

// ClearFaults removes all faults.
func (s *Server) ClearFaults() {
	for _, rule := range s.Faults() {
		rule.Remove()
	}
}

// Faults returns all faults that are not removed, in the order of their adding;
// those that have struck as often as they may are among them.
func (s *Server) Faults() []*Rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rules)
}

func (s *Server) checkFault(f Fault) error {
	switch {
	case stages[f.Effect] == 0:
		return fmt.Errorf("effect %q is not known", f.Effect)
	case f.After < 0 || f.Times < 0 || f.Page < 0 || f.Delay < 0 || f.RetryAfter < 0 || f.Total < -1:
		return fmt.Errorf("a number is negative")
	case f.Effect == EffectSlow && f.Delay == 0:
		return fmt.Errorf("effect %s needs a delay", f.Effect)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status %d is none of an answer", f.Status)
	case f.Effect == EffectHide && f.VM == "":
		return fmt.Errorf("effect %s needs a VM", f.Effect)
	case f.Effect == EffectUnreachable && f.Element == "":
		return fmt.Errorf("effect %s needs an element", f.Effect)
	}
	if _, err := s.elementID(f.Element); f.Element != "" && err != nil {
		return err
	}
	if !slices.ContainsFunc(s.patterns, f.onRoute) {
		return fmt.Errorf("no route is %s %s", f.Method, f.Path)
	}
	return nil
}

// onRoute says whether a fault is about a route, which is "METHOD /path".
func (f Fault) onRoute(pattern string) bool {
	method, path, _ := strings.Cut(pattern, " ")
	if f.Method != "" && f.Method != method {
		return false
	}
	if prefix, open := strings.CutSuffix(f.Path, "*"); open {
		return strings.HasPrefix(path, prefix)
	}
	return f.Path == "" || f.Path == path
}

// strike finds the fault that hits a request at a stage, and counts it. The
// server is locked.
func (s *Server) strike(at stage, r *request, fits func(Fault) bool) *Rule {
	if r == nil {
		return nil
	}
	for _, rule := range s.rules {
		if stages[rule.fault.Effect] == at && fits(rule.fault) && s.matches(rule.fault, r) && rule.due() {
			return rule
		}
	}
	return nil
}

// due counts one match.
func (r *Rule) due() bool {
	r.seen++
	if r.seen <= r.fault.After || r.fault.Times > 0 && r.hits >= r.fault.Times {
		return false
	}
	r.hits++
	close(r.struck)
	r.struck = make(chan struct{})
	return true
}

func (s *Server) matches(f Fault, r *request) bool {
	if !f.onRoute(r.Pattern) || f.User != "" && f.User != r.session.User {
		return false
	}
	vm, element := s.subject(r)
	// A list effect names the VM that comes or goes.
	if f.VM != "" && !named(vm, f.VM) && stages[f.Effect] != atList {
		return false
	}
	if f.Element != "" && f.Element != element {
		return false
	}
	return f.Match == nil || f.Match(r.Request)
}

// named says whether a name is the wanted one, or begins as one that ends in *.
func named(name, wanted string) bool {
	if prefix, open := strings.CutSuffix(wanted, "*"); open {
		return strings.HasPrefix(name, prefix)
	}
	return name == wanted
}
