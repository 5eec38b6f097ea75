package simulator

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// object is a JSON document as it goes over the wire.
type object map[string]any

// typed completes an object of the v4 API: the clients choose Go types by
// $objectType, and pass an ETag on only through objects that have $reserved.
func typed(objectType string, fields object) object {
	fields["$objectType"] = objectType
	fields["$reserved"] = object{"$fv": "v4.r2"}
	return fields
}

func reference(objectType, extID string) object {
	return typed(objectType, object{"extId": extID})
}

// reply is what a handler answers.
type reply struct {
	status int
	etag   string
	// data is left out of the envelope when nil.
	data any
	// total is the number of matches of a list over all pages, or -1.
	total int
}

func answer(status int, data any) reply { return reply{status: status, data: data, total: -1} }

// apiError is an answer that is not a success.
type apiError struct {
	status int
	// code is what a real Prism Central is known to send, else empty.
	code, group, message string
}

func (e *apiError) Error() string { return e.message }

func notSimulated(format string, args ...any) error {
	return &apiError{
		status: http.StatusNotImplemented, code: "PRISMSIM-501", group: "NOT_SIMULATED",
		message: "prismsim: " + fmt.Sprintf(format, args...),
	}
}

func invalid(status int, format string, args ...any) error {
	return &apiError{status: status, group: "INVALID_INPUT", message: fmt.Sprintf(format, args...)}
}

func notFound(kind, extID string) error {
	return &apiError{
		status: http.StatusNotFound, group: "ENTITY_NOT_FOUND",
		message: fmt.Sprintf("%s with extId %q was not found", kind, extID),
	}
}

// v4Body wraps data into the envelope of the v4 API.
func v4Body(envelope string, r reply) object {
	body := typed(envelope, object{})
	if r.data != nil {
		body["data"] = r.data
	}
	if r.total >= 0 {
		body["metadata"] = typed("common.v1.response.ApiResponseMetadata", object{"totalAvailableResults": r.total})
	}
	return body
}

func v4Error(namespace string, e *apiError) object {
	message := typed(namespace+".v4.error.AppMessage", object{
		"message": e.message, "errorGroup": e.group, "severity": "ERROR",
	})
	if e.code != "" {
		message["code"] = e.code
	}
	return object{"data": typed(namespace+".v4.error.ErrorResponse", object{"error": []object{message}})}
}

func v3Error(e *apiError) object {
	return object{
		"api_version": "3.1", "state": "ERROR", "code": e.status,
		"message_list": []object{{"message": e.message, "reason": e.group}},
	}
}

// errorBody picks the form of an error by the API that was called.
func errorBody(path string, e *apiError) object {
	if strings.HasPrefix(path, "/api/nutanix/v3/") {
		return v3Error(e)
	}
	namespace := "prism"
	for _, known := range []string{"clustermgmt", "iam", "networking", "vmm", "volumes"} {
		if strings.HasPrefix(path, "/api/"+known+"/") {
			namespace = known
		}
	}
	return v4Error(namespace, e)
}

// queryOptions returns the query, which may hold the allowed options only, each
// at most once.
func queryOptions(r *request, allowed ...string) (map[string]string, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalid(http.StatusBadRequest, "the query cannot be read: %v", err)
	}
	options := map[string]string{}
	for name, given := range values {
		if !slices.Contains(allowed, name) {
			return nil, notSimulated("query option %s of %s is not known", name, r.Pattern)
		}
		if len(given) > 1 {
			return nil, notSimulated("query option %s is given %d times", name, len(given))
		}
		options[name] = given[0]
	}
	return options, nil
}

// The page sizes that the SDK documents for the v4 API.
const (
	defaultLimit = 50
	maxLimit     = 100
)

// list answers a list request: the filter first, then one page of the rest.
func list(r *request, items []object, known schema) (reply, error) {
	same := func(doc object) object { return doc }
	return listOf(r, items, known, same, same)
}

// listOf is list for things whose documents are made for the page that is shown
// only. A filter sees what short makes of them.
func listOf[T any](r *request, items []T, known schema, short, document func(T) object) (reply, error) {
	options, err := queryOptions(r, "$filter", "$page", "$limit")
	if err != nil {
		return reply{}, err
	}
	if filter, ok := options["$filter"]; ok {
		match, unknown := parseFilter(filter, known)
		if unknown != nil {
			return reply{}, notSimulated("$filter=%s: %v", filter, unknown)
		}
		items = slices.DeleteFunc(items, func(item T) bool { return !match(short(item)) })
	}
	page, err := intOption(options, "$page", 0, 1<<31)
	if err != nil {
		return reply{}, err
	}
	limit, err := intOption(options, "$limit", defaultLimit, maxLimit)
	if err != nil {
		return reply{}, err
	}
	pageFrom := func(from int) []object {
		from = min(from, len(items))
		shown := make([]object, 0, limit)
		for _, item := range items[from:min(from+limit, len(items))] {
			shown = append(shown, document(item))
		}
		return shown
	}
	answered := answer(http.StatusOK, nil)
	answered.total = len(items)
	if shown := pageFrom(page * limit); len(shown) > 0 {
		answered.data = shown
	}
	r.server.spoilList(r, &answered, func() []object { return pageFrom(0) }, page)
	return answered, nil
}

func intOption(options map[string]string, name string, fallback, highest int) (int, error) {
	given, ok := options[name]
	if !ok {
		return fallback, nil
	}
	n, err := strconv.Atoi(given)
	if err != nil || n < 0 || n > highest {
		return 0, invalid(http.StatusBadRequest, "%s=%s is not a number from 0 to %d", name, given, highest)
	}
	return n, nil
}

// decode reads a body and refuses fields that are not in the target. What
// clients add for their own bookkeeping ($reserved, …Discriminator) is dropped.
func decode(body []byte, into any) error {
	var raw any
	if err := json.Unmarshal(body, &raw); err != nil {
		return invalid(http.StatusBadRequest, "the body is not JSON: %v", err)
	}
	clean, err := json.Marshal(dropBookkeeping(raw))
	if err != nil {
		return fmt.Errorf("encode the cleaned body: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(clean))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return notSimulated("body: %v", err)
	}
	return nil
}

func dropBookkeeping(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name, inner := range v {
			if strings.HasPrefix(name, "$") && name != "$objectType" {
				delete(v, name)
				continue
			}
			v[name] = dropBookkeeping(inner)
		}
	case []any:
		for i := range v {
			v[i] = dropBookkeeping(v[i])
		}
	}
	return value
}
