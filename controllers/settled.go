package controllers

import (
	"fmt"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render/plan"
)

// settled knows what the comparison of a cluster came to for as long as nothing has been touched since, so that an idle
// fleet sends no dry runs. It is a cache: after a restart each cluster is compared once.
type settled struct {
	mu sync.Mutex
	by map[client.ObjectKey]*settledState
}

// finding is what a comparison came to. The zero finding: live is as wanted.
type finding struct {
	// differs: live is not as wanted, and it is for a person or the gate to say what is done about it.
	differs bool
	// pending changes that are not made, and the edits of other hands among them.
	pending []plan.Change
	edits   []kube.Edit
	// asked: the Fleet is to gate the changes. Its answer is in the record, which nobody watches.
	asked bool
	// err is what a person has to be told.
	err error
	// inUse is what machines were made from. Once something of it is free, there may be a template to prune.
	inUse []string
	// until is when it has to be compared again although nothing changed; zero: never.
	until time.Time
}

// freed says whether something that kept a template from being pruned is gone by now.
func (f finding) freed(inUse []string) bool {
	return slices.ContainsFunc(f.inUse, func(name string) bool { return !slices.Contains(inUse, name) })
}

type settledState struct {
	token   string
	finding finding
	seen    map[string]string // stamps of the objects as they were compared
	clean   bool
	// touched says that an object changed since the comparison began, so that its result is not trusted.
	touched bool
}

func (s *settled) state(cluster client.ObjectKey) *settledState {
	if s.by == nil {
		s.by = map[client.ObjectKey]*settledState{}
	}
	if s.by[cluster] == nil {
		s.by[cluster] = &settledState{}
	}
	return s.by[cluster]
}

// found is what the last comparison came to, nil when something changed since or it was made under another token. inUse
// is what machines are made from now.
func (s *settled) found(cluster client.ObjectKey, token string, inUse []string, now time.Time) *finding {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.state(cluster)
	if !state.clean || state.token != token || state.finding.freed(inUse) || (!state.finding.until.IsZero() && !now.Before(state.finding.until)) {
		return nil
	}
	f := state.finding
	return &f
}

// begin starts a comparison: what is touched from here on makes its result void.
func (s *settled) begin(cluster client.ObjectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.state(cluster)
	state.clean, state.touched = false, false
}

// done ends a comparison. What has to be written because of it is written before, or it would be forgotten.
func (s *settled) done(cluster client.ObjectKey, token string, pairs []plan.Pair, f finding) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.state(cluster)
	state.token, state.finding, state.clean, state.seen = token, f, !state.touched, map[string]string{}
	for _, p := range pairs {
		if p.Live != nil {
			state.seen[p.Live.GetKind()+"/"+p.Live.GetName()] = stamp(p.Live)
		}
	}
}

// touch notes an event and says whether it is news: a change of content, labels, annotations or a deletion. Events of
// status, and the echo of what was compared, are not.
func (s *settled) touch(cluster client.ObjectKey, kind string, o client.Object, deleted bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.state(cluster)
	if !deleted && state.seen[kind+"/"+o.GetName()] == stamp(o) {
		return false
	}
	state.clean, state.touched = false, true
	return true
}

func (s *settled) forget(cluster client.ObjectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, cluster)
}

// stamp changes when an object's content, labels, annotations or deletion do. Objects without a generation (ConfigMaps,
// Secrets) have no status either: their resource version serves.
func stamp(o metav1.Object) string {
	version := fmt.Sprint(o.GetGeneration())
	if o.GetGeneration() == 0 {
		version = o.GetResourceVersion()
	}
	return fmt.Sprint(o.GetUID(), version, o.GetLabels(), o.GetAnnotations(), o.GetDeletionTimestamp())
}

// pace remembers since when a cluster makes no progress. In memory: after a restart the time begins anew.
type pace struct {
	mu sync.Mutex
	by map[client.ObjectKey]paceState
}

type paceState struct {
	progress string
	since    time.Time
}

// since is when the fingerprint of progress was first seen.
func (p *pace) since(cluster client.ObjectKey, progress string, now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by == nil {
		p.by = map[client.ObjectKey]paceState{}
	}
	if have, ok := p.by[cluster]; ok && have.progress == progress {
		return have.since
	}
	p.by[cluster] = paceState{progress: progress, since: now}
	return now
}

func (p *pace) forget(cluster client.ObjectKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.by, cluster)
}
