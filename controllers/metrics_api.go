package controllers

import (
	"net/http"
	"strconv"
	"strings"

	"k8s.io/client-go/rest"
)

// count returns a config whose clients count their requests.
func (m *metrics) count(config *rest.Config) *rest.Config {
	counted := rest.CopyConfig(config)
	counted.Wrap(func(next http.RoundTripper) http.RoundTripper { return &countingTransport{next: next, metrics: m} })
	return counted
}

// countingTransport counts requests to the API server by what they are about, without the names of objects.
type countingTransport struct {
	next    http.RoundTripper
	metrics *metrics
}

// WrappedRoundTripper lets client-go find the transport below.
func (t *countingTransport) WrappedRoundTripper() http.RoundTripper { return t.next }

// RoundTrip implements http.RoundTripper.
func (t *countingTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	begin := t.metrics.now()
	answer, err := t.next.RoundTrip(request)
	about, code := aboutOf(request), "error"
	if err == nil {
		code = strconv.Itoa(answer.StatusCode)
	}
	t.metrics.apiRequests.WithLabelValues(about.verb, about.group, about.resource, about.subresource, about.dryRun, code).Inc()
	if about.verb != "watch" {
		t.metrics.apiSeconds.WithLabelValues(about.verb, about.dryRun).Observe(t.metrics.now().Sub(begin).Seconds())
	}
	return answer, err
}

// about says what a request is about in the words of RBAC.
type about struct{ verb, group, resource, subresource, dryRun string }

// aboutOf reads a request's path: /api/v1 or /apis/<group>/<version>, then [namespaces/<namespace>/]<resource>, then
// [/<name>[/<subresource>]]. Anything else, as discovery and /version, has no resource.
func aboutOf(request *http.Request) about {
	query := request.URL.Query()
	a := about{verb: strings.ToLower(request.Method), dryRun: strconv.FormatBool(query.Get("dryRun") != "")}
	parts := strings.Split(strings.Trim(request.URL.Path, "/"), "/")
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		a.group, parts = parts[1], parts[3:]
	default:
		return a
	}
	if len(parts) > 2 && parts[0] == "namespaces" && !namespaceSubresources[parts[2]] {
		parts = parts[2:]
	}
	a.resource = parts[0]
	if len(parts) > 2 {
		a.subresource = parts[2]
	}
	a.verb = verbOf(request.Method, len(parts) > 1, query.Get("watch") == "true" || query.Get("watch") == "1")
	return a
}

// namespaceSubresources tell a subresource of a namespace from a resource in it.
var namespaceSubresources = map[string]bool{"status": true, "finalize": true}

func verbOf(method string, named, watch bool) string {
	switch method {
	case http.MethodGet:
		switch {
		case watch:
			return "watch"
		case named:
			return "get"
		}
		return "list"
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	case http.MethodDelete:
		if !named {
			return "deletecollection"
		}
	}
	return strings.ToLower(method)
}
