// Package seen remembers what was ever shown about virtual machines: each finding in a status.drift that was written, and
// each event. What stood there for a moment only counts, too.
package seen

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/rig"
)

// Finding is a difference that was shown.
type Finding struct {
	// Cluster that showed it.
	Cluster string
	// VM, Field, Wanted and Found, as in status.drift.
	VM, Field, Wanted, Found string
}

// String is for people.
func (f Finding) String() string {
	return fmt.Sprintf("%s: VM %s %s is %q and should be %q", f.Cluster, f.VM, f.Field, f.Found, f.Wanted)
}

// Log of a namespace.
type Log struct {
	mu       sync.Mutex
	order    []Finding // by when each appeared for the first time
	times    map[Finding]int
	last     map[Finding]time.Time
	now      map[string][]Finding // by cluster
	events   []corev1.Event
	failures []string
}

// Watch begins to look at the NutanixClusterSpecs and events of a scene's namespace, until the test ends.
func Watch(s *rig.Scene) *Log {
	s.T.Helper()
	scheme, err := controllers.NewScheme()
	if err != nil {
		s.T.Fatal(err)
	}
	c, err := client.NewWithWatch(s.World.REST, client.Options{Scheme: scheme})
	if err != nil {
		s.T.Fatal(err)
	}
	l := &Log{times: map[Finding]int{}, last: map[Finding]time.Time{}, now: map[string][]Finding{}}
	var done sync.WaitGroup
	for list, look := range map[client.ObjectList]func(watch.Event){
		&v1alpha1.NutanixClusterSpecList{}: l.cluster,
		&corev1.EventList{}:                l.event,
	} {
		stream, err := c.Watch(context.WithoutCancel(s.T.Context()), list, client.InNamespace(s.Namespace))
		if err != nil {
			s.T.Fatal(err)
		}
		s.T.Cleanup(stream.Stop)
		done.Go(func() {
			for e := range stream.ResultChan() {
				look(e)
			}
		})
	}
	return l
}

func (l *Log) cluster(e watch.Event) {
	c, ok := e.Object.(*v1alpha1.NutanixClusterSpec)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !ok {
		l.failures = append(l.failures, fmt.Sprintf("%s: %v", e.Type, e.Object))
		return
	}
	before := l.now[c.Name]
	l.now[c.Name] = nil
	if e.Type == watch.Deleted {
		return
	}
	for _, f := range Of(c) {
		l.now[c.Name] = append(l.now[c.Name], f)
		if slices.Contains(before, f) {
			continue
		}
		if l.times[f]++; l.times[f] == 1 {
			l.order = append(l.order, f)
		}
		l.last[f] = time.Now() //nolint:forbidigo // when a test saw it
	}
}

func (l *Log) event(e watch.Event) {
	event, ok := e.Object.(*corev1.Event)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !ok:
		l.failures = append(l.failures, fmt.Sprintf("%s: %v", e.Type, e.Object))
	case e.Type != watch.Deleted:
		l.events = append(l.events, *event)
	}
}

// Of are the findings about virtual machines in a status.
func Of(c *v1alpha1.NutanixClusterSpec) []Finding {
	var all []Finding
	for _, f := range c.Status.Drift {
		if vm, ok := strings.CutPrefix(f.Object, "VM "); ok {
			all = append(all, Finding{Cluster: c.Name, VM: vm, Field: f.Field, Wanted: f.Wanted, Found: f.Found})
		}
	}
	return all
}

// Ever are all findings that a cluster ever showed, in the order of their first time; of all clusters if it is "".
func (l *Log) Ever(cluster string) []Finding {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.order), func(f Finding) bool { return cluster != "" && f.Cluster != cluster })
}

// Times is how often a finding appeared, once unless it went away in between, and when it did so last.
func (l *Log) Times(f Finding) (int, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.times[f], l.last[f]
}

// Now are the findings that a cluster shows.
func (l *Log) Now(cluster string) []Finding {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.now[cluster])
}

// Said are the messages of the events about an object for a reason.
func (l *Log) Said(object, reason string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, e := range l.events {
		if e.InvolvedObject.Name == object && e.Reason == reason {
			all = append(all, e.Message)
		}
	}
	return all
}

// Complete fails the test if something may have been missed.
func (l *Log) Complete(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) > 0 {
		t.Errorf("not all was seen: %q", l.failures)
	}
}
