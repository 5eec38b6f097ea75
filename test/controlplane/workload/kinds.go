package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// withMoreKinds adds kinds that the in-memory API server does not know and that layers of a cluster (network, storage,
// add-ons) are made of. They are kept and read back as they came; nothing acts on them.
func withMoreKinds(known http.Handler) http.Handler {
	more := &objectStore{objects: map[objectKey]map[string]any{}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target, ok := parsePath(r.URL.Path)
		switch {
		case r.URL.Path == "/apis":
			answer(w, r, known, addGroups)
		case ok && target.resource == "":
			answer(w, r, known, func(body []byte) (any, error) { return addResources(target.groupVersion, body) })
		case ok && kindOf(target.groupVersion, target.resource).Kind != "":
			more.ServeHTTP(w, r)
		default:
			known.ServeHTTP(w, r)
		}
	})
}

// moreKinds lists the added resources by group and version.
func moreKinds() map[string][]metav1.APIResource {
	verbs := metav1.Verbs{"create", "delete", "get", "list", "patch", "update"}
	of := func(resource, kind string, namespaced bool) metav1.APIResource {
		return metav1.APIResource{Name: resource, SingularName: strings.ToLower(kind), Kind: kind, Namespaced: namespaced, Verbs: verbs}
	}
	return map[string][]metav1.APIResource{
		"v1": {
			of("persistentvolumes", "PersistentVolume", false), of("persistentvolumeclaims", "PersistentVolumeClaim", true),
			of("limitranges", "LimitRange", true), of("resourcequotas", "ResourceQuota", true),
		},
		"apps/v1": {of("statefulsets", "StatefulSet", true), of("replicasets", "ReplicaSet", true)},
		"storage.k8s.io/v1": {
			of("storageclasses", "StorageClass", false), of("csinodes", "CSINode", false),
			of("csistoragecapacities", "CSIStorageCapacity", true),
		},
		"batch/v1": {of("jobs", "Job", true), of("cronjobs", "CronJob", true)},
		"networking.k8s.io/v1": {
			of("networkpolicies", "NetworkPolicy", true), of("ingresses", "Ingress", true), of("ingressclasses", "IngressClass", false),
		},
		"scheduling.k8s.io/v1": {of("priorityclasses", "PriorityClass", false)},
		"autoscaling/v2":       {of("horizontalpodautoscalers", "HorizontalPodAutoscaler", true)},
		"coordination.k8s.io/v1": {
			of("leases", "Lease", true),
		},
		"admissionregistration.k8s.io/v1": {
			of("mutatingwebhookconfigurations", "MutatingWebhookConfiguration", false),
			of("validatingwebhookconfigurations", "ValidatingWebhookConfiguration", false),
		},
	}
}

func kindOf(groupVersion, resource string) metav1.APIResource {
	all := moreKinds()[groupVersion]
	if i := slices.IndexFunc(all, func(r metav1.APIResource) bool { return r.Name == resource }); i >= 0 {
		return all[i]
	}
	return metav1.APIResource{}
}

// answer lets the known handler answer, if it can, and replaces the body.
func answer(w http.ResponseWriter, r *http.Request, known http.Handler, extend func([]byte) (any, error)) {
	recorder := httptest.NewRecorder()
	known.ServeHTTP(recorder, r)
	body := recorder.Body.Bytes()
	if recorder.Code != http.StatusOK {
		body = nil
	}
	extended, err := extend(body)
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, extended)
}

func addGroups(body []byte) (any, error) {
	groups := &metav1.APIGroupList{}
	if err := json.Unmarshal(body, groups); err != nil {
		return nil, err
	}
	for groupVersion := range moreKinds() {
		name, version, grouped := strings.Cut(groupVersion, "/")
		if !grouped || slices.ContainsFunc(groups.Groups, func(g metav1.APIGroup) bool { return g.Name == name }) {
			continue
		}
		v := metav1.GroupVersionForDiscovery{GroupVersion: groupVersion, Version: version}
		groups.Groups = append(groups.Groups, metav1.APIGroup{Name: name, Versions: []metav1.GroupVersionForDiscovery{v}, PreferredVersion: v})
	}
	return groups, nil
}

// addResources extends what is known of a group and version; an empty body means that nothing is.
func addResources(groupVersion string, body []byte) (any, error) {
	list := &metav1.APIResourceList{}
	if len(bytes.TrimSpace(body)) > 0 {
		if err := json.Unmarshal(body, list); err != nil {
			return nil, err
		}
	}
	list.Kind, list.APIVersion, list.GroupVersion = "APIResourceList", "v1", groupVersion
	list.APIResources = append(slices.Clone(list.APIResources), moreKinds()[groupVersion]...)
	if len(list.APIResources) == 0 {
		return nil, errNoSuchGroup
	}
	return list, nil
}
