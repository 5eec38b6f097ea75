package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const initData = `#cloud-config
write_files:
-   path: /etc/kubernetes/pki/ca.crt
    owner: root:root
    permissions: '0640'
    content: |
      CERT
-   path: /run/kubeadm/kubeadm.yaml
    content: |
      ---
      apiVersion: kubeadm.k8s.io/v1beta4
      kind: ClusterConfiguration
      controlPlaneEndpoint: 127.0.9.1:6443
      kubernetesVersion: v1.33.4
      ---
      apiVersion: kubeadm.k8s.io/v1beta4
      kind: InitConfiguration
      nodeRegistration:
        kubeletExtraArgs: [{name: node-labels, value: "a=b"}]
runcmd: ['kubeadm init']
`

const joinData = `## template: jinja
#cloud-config
write_files:
-   path: /run/kubeadm/kubeadm-join-config.yaml
    content: |
      kind: JoinConfiguration
      discovery:
        bootstrapToken: {apiServerEndpoint: "127.0.9.1:6443", token: abcdef.0123456789abcdef}
      nodeRegistration:
        kubeletExtraArgs: {node-labels: a=b}
        taints: [{key: dedicated, value: app, effect: NoSchedule}]
`

func TestParseCloudInit(t *testing.T) {
	cases := map[string]struct {
		reason   string
		userData string
		want     instructions
		fails    string
	}{
		"Init":            {"the first control plane", initData, instructions{endpoint: "127.0.9.1:6443", initialize: true, controlPlane: true, kubernetesVersion: "v1.33.4"}, ""},
		"WorkerJoin":      {"a worker", joinData, instructions{endpoint: "127.0.9.1:6443", tokenID: "abcdef"}, ""},
		"ControlJoin":     {"another control plane", joinData + "      controlPlane: {}\n", instructions{endpoint: "127.0.9.1:6443", tokenID: "abcdef", controlPlane: true}, ""},
		"NotCloudConfig":  {"a script is not understood", "#!/bin/sh", instructions{}, "not a #cloud-config"},
		"NothingForKubes": {"a VM of somebody else", "#cloud-config\nwrite_files: []", instructions{}, "neither"},
		"NoEndpoint":      {"the endpoint tells which cluster", strings.Replace(initData, "controlPlaneEndpoint", "other", 1), instructions{}, "controlPlaneEndpoint"},
		"NoToken":         {"a join needs a token", strings.Replace(joinData, "abcdef.", "abcdef", 1), instructions{}, "no token"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := parseCloudInit(c.userData)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("%s: %v", c.reason, err)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if got.registration.kubeletArg("node-labels") != "a=b" {
				t.Errorf("%s: kubelet arguments %v", c.reason, got.registration.KubeletExtraArgs)
			}
			if got.endpoint != c.want.endpoint || got.initialize != c.want.initialize || got.controlPlane != c.want.controlPlane ||
				got.kubernetesVersion != c.want.kubernetesVersion || got.tokenID != c.want.tokenID {
				t.Errorf("%s: %+v", c.reason, got)
			}
			if c.want.initialize && !strings.HasPrefix(got.clusterConfiguration, "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration") {
				t.Errorf("%s: %q", c.reason, got.clusterConfiguration)
			}
		})
	}
}

func TestImageVersion(t *testing.T) {
	for image, want := range map[string]string{
		"ubuntu-24.04-kube-v1.33.4": "v1.33.4", "rocky-v1.34.0-rc.1": "v1.34.0-rc.1", "ubuntu-24.04": "", "": "",
	} {
		if got := imageVersion.FindString(image); got != want {
			t.Errorf("%q: %q", image, got)
		}
	}
}

// Kinds that the in-memory API server does not know are discovered and kept; all others are left to it.
func TestMoreKinds(t *testing.T) {
	handler := withMoreKinds(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/apis":
			reply(w, map[string]any{"groups": []any{map[string]any{"name": "apps"}}})
		case "/apis/apps/v1":
			reply(w, map[string]any{"resources": []any{map[string]any{"name": "daemonsets"}}})
		case "/apis/apps/v1/namespaces/x/daemonsets/d":
			reply(w, "known")
		default:
			http.Error(w, "no such thing", http.StatusInternalServerError)
		}
	}))
	const classes = "/apis/storage.k8s.io/v1/storageclasses"
	steps := []struct {
		method, path, body string
		code               int
		contains           string
	}{
		{"GET", "/apis", "", 200, `"name":"networking.k8s.io"`},
		{"GET", "/apis/apps/v1", "", 200, `daemonsets`},
		{"GET", "/apis/apps/v1", "", 200, `statefulsets`},
		{"GET", "/apis/networking.k8s.io/v1", "", 200, `networkpolicies`},
		{"GET", "/apis/nobody.io/v1", "", 404, "no such group"},
		{"GET", "/apis/apps/v1/namespaces/x/daemonsets/d", "", 200, "known"},
		{"POST", classes, `{"kind":"StorageClass","metadata":{"name":"a","labels":{"x":"y"}}}`, 200, `"uid"`},
		{"POST", classes, `{"kind":"StorageClass","metadata":{"name":"a"}}`, 409, "AlreadyExists"},
		{"POST", classes, `{}`, 400, "needs a name"},
		{"GET", classes + "/a", "", 200, `"resourceVersion":"1"`},
		{"GET", classes + "/b", "", 404, "NotFound"},
		{"GET", classes + "?labelSelector=x=y", "", 200, `"name":"a"`},
		{"GET", classes + "?labelSelector=x=z", "", 200, `"items":[]`},
		{"PATCH", classes + "/a", `{"provisioner":"p"}`, 200, `"resourceVersion":"2"`},
		{"PUT", classes + "/a", `{"metadata":{"name":"a","resourceVersion":"1"}}`, 409, "has changed"},
		{"PUT", classes + "/a", `{"metadata":{"name":"a","resourceVersion":"2"}}`, 200, `"uid"`},
		{"DELETE", classes + "/a", "", 200, "Success"},
		{"GET", classes + "/a", "", 404, "NotFound"},
	}
	for _, s := range steps {
		r := httptest.NewRequestWithContext(t.Context(), s.method, s.path, strings.NewReader(s.body))
		r.Header.Set("Content-Type", "application/merge-patch+json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != s.code || !strings.Contains(w.Body.String(), s.contains) {
			t.Errorf("%s %s: %d %s, want %d with %s", s.method, s.path, w.Code, w.Body, s.code, s.contains)
		}
	}
}
