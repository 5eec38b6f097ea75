package controllers

import (
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/render/plan"
)

// settled knows which clusters were found to be as wanted and have not been touched since, so that an idle fleet sends
// no dry runs. It is a cache: after a restart each cluster is compared once.
type settled struct {
	mu sync.Mutex
	by map[client.ObjectKey]*settledState
}

type settledState struct {
	token string
	seen  map[string]string // stamps of the objects as they were compared
	clean bool
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

// is says whether nothing changed since the cluster was found to be as wanted under this token.
func (s *settled) is(cluster client.ObjectKey, token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.state(cluster)
	return state.clean && state.token == token
}

// begin starts a comparison: what is touched from here on makes its result void.
func (s *settled) begin(cluster client.ObjectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.state(cluster)
	state.clean, state.touched = false, false
}

// done ends a comparison that found the cluster as wanted.
func (s *settled) done(cluster client.ObjectKey, token string, pairs []plan.Pair) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.state(cluster)
	state.token, state.clean, state.seen = token, !state.touched, map[string]string{}
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
