package controllers

import (
	"errors"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/controllers/review"
	"github.com/refract-dev/refract/gitsource/forge"
)

// reviewTimes are what is known of the looks at a Fleet's pull requests.
type reviewTimes struct {
	open         int // -1: not known
	looked, told time.Time
}

// reviewed notes what a look at a Fleet's pull requests came to.
func (m *metrics) reviewed(fleet client.ObjectKey, out review.Outcome, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.looks[fleet]
	if !ok || out.Open >= 0 {
		t.open = out.Open
	}
	if err == nil && out.Again == 0 {
		t.looked = m.now()
	}
	if out.Posted > 0 {
		t.told = m.now()
	}
	m.looks[fleet] = t
}

func (m *metrics) collectReview(send sample, fleet client.ObjectKey) {
	m.mu.Lock()
	t, ok := m.looks[fleet]
	m.mu.Unlock()
	if !ok {
		return
	}
	if t.open >= 0 {
		send(reviewOpen, float64(t.open), fleet.Namespace, fleet.Name)
	}
	if !t.looked.IsZero() {
		send(reviewLooked, seconds(t.looked), fleet.Namespace, fleet.Name)
	}
	if !t.told.IsZero() {
		send(reviewTold, seconds(t.told), fleet.Namespace, fleet.Name)
	}
}

func (m *metrics) forgetReview(fleet client.ObjectKey) {
	m.mu.Lock()
	delete(m.looks, fleet)
	m.mu.Unlock()
	m.reviewRequests.DeletePartialMatch(of(fleet))
}

// forge is told of the requests to a Fleet's forge.
func (m *metrics) forge(fleet client.ObjectKey) forge.Observer {
	return func(method string) func(error) {
		return func(err error) {
			m.reviewRequests.WithLabelValues(fleet.Namespace, fleet.Name, method, forgeResult(err)).Inc()
		}
	}
}

// forgeResult is the kind of an error in one word.
func forgeResult(err error) string {
	limited := new(forge.RateLimited)
	switch {
	case err == nil:
		return "success"
	case errors.As(err, &limited):
		return "rate_limited"
	case errors.Is(err, forge.ErrAuth):
		return "credentials_refused"
	case errors.Is(err, forge.ErrNotFound):
		return "not_found"
	case errors.Is(err, forge.ErrUnreachable):
		return "unreachable"
	case errors.Is(err, forge.ErrRefused):
		return "refused"
	}
	return "other"
}
