package plan

import (
	"strings"
	"testing"
)

// TestRefusalTellsNoSecret: the API server quotes what it refuses, and that goes into messages, status and comments.
func TestRefusalTellsNoSecret(t *testing.T) {
	cases := map[string]struct {
		reason string
		want   string
		words  string
		shown  bool
	}{
		"Number": {
			"a PIN without quotes is no string", "{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {pin: 90210417}}",
			".stringData.pin: expected string, got &value.valueUnstructured{Value:90210417}", false,
		},
		"Encoded": {
			"decoded values are quoted, too", "{apiVersion: v1, kind: Secret, metadata: {name: s}, data: {key: aHVudGVyMg==}}",
			"invalid value hunter2", false,
		},
		"Line": {
			"a line of a file", "{apiVersion: v1, kind: KubeadmConfigTemplate, metadata: {name: s}, spec: {files: [{content: \"a\\nexport PASSWORD=hunter2\\n\"}]}}",
			"invalid: export PASSWORD=hunter2", false,
		},
		"Field": {
			"fields with telling names", "{apiVersion: v1, kind: KubeadmConfigTemplate, metadata: {name: s}, spec: {users: [{passwd: hunter2}]}}",
			"Invalid value: \"hunter2\"", false,
		},
		"Harmless": {
			"what quotes nothing secret is said", "{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {pin: hunter2}}",
			"exceeded quota: secrets", true,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := Compute([]Pair{{Want: object(t, c.want), Refused: c.words}}, Options{Cluster: "edge-01"})
			last := p.Changes[len(p.Changes)-1]
			if got := strings.Contains(last.Reason, c.words); got != c.shown {
				t.Errorf("%s: %s", c.reason, last.Reason)
			}
		})
	}
}

// TestOutsider: what Cluster API and the API server itself say of an object is about that object.
func TestOutsider(t *testing.T) {
	for words, want := range map[string]bool{
		`KubeadmControlPlane.controlplane.cluster.x-k8s.io "a" is invalid: spec.replicas: Forbidden: cannot be an even number`:                     false,
		`admission webhook "validation.kubeadmcontrolplane.controlplane.cluster.x-k8s.io" denied the request: spec.version: Forbidden`:             false,
		`dry run: admission webhook "quota.example.com" denied the request: namespace payroll has what is left`:                                    true,
		`admission webhook "x-k8s.io.example.com" denied the request: admission webhook "a.x-k8s.io" denied the request: no`:                       true,
		`admission webhook "fakex-k8s.io" denied the request: no`:                                                                                  true,
		`clusters.cluster.x-k8s.io "a" is forbidden: ValidatingAdmissionPolicy 'one-owner' with binding 'b' denied request: payroll/secret has it`: true,
		`nutanixmachinetemplates is forbidden: exceeded quota: q, requested: count/nutanixmachinetemplates=1, used: 5, limited: 5`:                 false,
	} {
		if got := Outsider(words); got != want {
			t.Errorf("%s: %t", words, got)
		}
	}
}
