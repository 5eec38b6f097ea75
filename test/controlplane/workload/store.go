package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	jsonpatch "github.com/evanphx/json-patch/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/uuid"
)

var errNoSuchGroup = apierrors.NewGenericServerResponse(http.StatusNotFound, "get", schema.GroupResource{}, "", "no such group or version", 0, true)

// objectKey is a place in the API; an empty name means the collection.
type objectKey struct{ groupVersion, namespace, resource, name string }

// parsePath reads /api/v1 and /apis/group/version paths; sub-resources are not understood.
func parsePath(path string) (objectKey, bool) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var key objectKey
	switch {
	case len(parts) >= 2 && parts[0] == "api":
		key.groupVersion, parts = parts[1], parts[2:]
	case len(parts) >= 3 && parts[0] == "apis":
		key.groupVersion, parts = parts[1]+"/"+parts[2], parts[3:]
	default:
		return key, false
	}
	if len(parts) >= 3 && parts[0] == "namespaces" {
		key.namespace, parts = parts[1], parts[2:]
	}
	if len(parts) > 2 {
		return key, false
	}
	if len(parts) > 0 {
		key.resource = parts[0]
	}
	if len(parts) > 1 {
		key.name = parts[1]
	}
	return key, true
}

// objectStore keeps objects of any kind.
type objectStore struct {
	mu      sync.Mutex
	objects map[objectKey]map[string]any
	version int
}

func (s *objectStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, _ := parsePath(r.URL.Path)
	result, err := s.do(r, key)
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, result)
}

func (s *objectStore) do(r *http.Request, key objectKey) (any, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	resource := schema.ParseGroupResource(key.resource)
	old, found := s.objects[key]
	switch {
	case r.Method == http.MethodPost && key.name == "":
		return s.create(key, resource, body)
	case r.Method == http.MethodGet && key.name == "" && r.URL.Query().Get("watch") == "":
		return s.list(key, r.URL.Query().Get("labelSelector"))
	case key.name == "":
		return nil, apierrors.NewMethodNotSupported(resource, r.Method)
	case !found:
		return nil, apierrors.NewNotFound(resource, key.name)
	case r.Method == http.MethodGet:
		return old, nil
	case r.Method == http.MethodPut:
		return s.put(key, old, body)
	case r.Method == http.MethodPatch:
		return s.patch(key, old, r.Header.Get("Content-Type"), body)
	case r.Method == http.MethodDelete:
		delete(s.objects, key)
		return metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess}, nil
	}
	return nil, apierrors.NewMethodNotSupported(resource, r.Method)
}

func (s *objectStore) create(key objectKey, resource schema.GroupResource, body []byte) (any, error) {
	o := &unstructured.Unstructured{}
	if err := json.Unmarshal(body, &o.Object); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if key.name = o.GetName(); key.name == "" {
		return nil, apierrors.NewBadRequest("an object needs a name")
	}
	if _, exists := s.objects[key]; exists {
		return nil, apierrors.NewAlreadyExists(resource, key.name)
	}
	o.SetNamespace(key.namespace)
	o.SetUID(uuid.NewUUID())
	o.SetCreationTimestamp(metav1.Now())
	return s.keep(key, o), nil
}

func (s *objectStore) put(key objectKey, old map[string]any, body []byte) (any, error) {
	o := &unstructured.Unstructured{}
	if err := json.Unmarshal(body, &o.Object); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	was := &unstructured.Unstructured{Object: old}
	if v := o.GetResourceVersion(); v != "" && v != was.GetResourceVersion() {
		return nil, apierrors.NewConflict(schema.ParseGroupResource(key.resource), key.name, errors.New("the object has changed"))
	}
	o.SetUID(was.GetUID())
	o.SetCreationTimestamp(was.GetCreationTimestamp())
	return s.keep(key, o), nil
}

// patch merges; a strategic merge patch is taken as a plain one.
func (s *objectStore) patch(key objectKey, old map[string]any, kind string, body []byte) (any, error) {
	if !strings.Contains(kind, "merge-patch") {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("patches of type %q are not supported here", kind))
	}
	before, err := json.Marshal(old)
	if err != nil {
		return nil, err
	}
	after, err := jsonpatch.MergePatch(before, body)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	o := &unstructured.Unstructured{}
	if err := json.Unmarshal(after, &o.Object); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return s.keep(key, o), nil
}

func (s *objectStore) keep(key objectKey, o *unstructured.Unstructured) map[string]any {
	s.version++
	o.SetResourceVersion(strconv.Itoa(s.version))
	s.objects[key] = o.Object
	return o.Object
}

func (s *objectStore) list(key objectKey, selector string) (any, error) {
	match, err := labels.Parse(selector)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	items := []any{}
	for k, o := range s.objects {
		at := objectKey{groupVersion: k.groupVersion, resource: k.resource, namespace: k.namespace}
		if key.namespace == "" {
			at.namespace = ""
		}
		if at == key && match.Matches(labels.Set((&unstructured.Unstructured{Object: o}).GetLabels())) {
			items = append(items, o)
		}
	}
	return map[string]any{
		"apiVersion": key.groupVersion, "kind": kindOf(key.groupVersion, key.resource).Kind + "List",
		"metadata": map[string]any{"resourceVersion": strconv.Itoa(s.version)}, "items": items,
	}, nil
}

func reply(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // what came as JSON goes as JSON
}

func fail(w http.ResponseWriter, err error) {
	status := apierrors.NewInternalError(err).Status()
	if known := apierrors.APIStatus(nil); errors.As(err, &known) {
		status = known.Status()
	}
	status.Kind, status.APIVersion = "Status", "v1"
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(status.Code))
	_ = json.NewEncoder(w).Encode(status) //nolint:errchkjson // as above
}
