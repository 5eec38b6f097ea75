package view_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/render/plan/view"
)

// attacks are values that somebody may put into a file to reach beyond the page that shows it.
var attacks = []string{
	"@platform-leads please approve", "closes #12, GH-12, acme/web#3 and !4", "a|b \\| c", "`tick` and ```\nfence", "<img src=x onerror=alert(1)>",
	"--> <!-- refract:other -->", "\x1b[2Jcleared", "\u202etxt.exe", "</details><h1>big</h1>", "[click](https://evil.example.com) www.evil.example.com",
	"**bold** _under_ ~~gone~~ :tada:", "\x9bA raw byte",
}

func hostile(t *testing.T) view.Report {
	t.Helper()
	var changes []plan.Change
	for _, text := range attacks {
		changes = append(changes, plan.Change{
			Object: plan.Ref{Kind: "MachineDeployment", Name: "edge-01-workers"}, Action: plan.Update, Owner: "MachineDeployment/edge-01-workers",
			Field: "spec.template.metadata.labels[" + text + "]", From: text, To: "x " + text, Severity: v1alpha1.SeverityRollout,
			Machines: 1, Reason: text, Place: text + ":3",
		})
	}
	r := view.Report{Fleet: "clusters/production", Base: base, Head: "x@" + attacks[0]}
	for i, text := range attacks {
		c := view.ClusterReport{Plan: plan.Plan{Cluster: text}, Drift: []string{text}}
		switch i {
		case 0:
			c.Plan.Changes = changes
			c.Decision = &plan.Decision{Reason: v1alpha1.LimitExceededReason, Message: "This re-creates " + text + " `" + text + "`."}
		case 1:
			c.Kept = text
		default:
			c.Plan.Foreign = []plan.Foreign{{Object: plan.Ref{Kind: text, Name: text}, Managers: []string{text}}}
		}
		c.Findings = []view.Finding{{Check: "Subnet", Verdict: "Failed", Place: text, Message: text}}
		r.Clusters = append(r.Clusters, c)
		r.Mistakes = append(r.Mistakes, view.Mistake{Place: text, Message: text})
		r.Capacity = append(r.Capacity, view.Capacity{Account: text, Element: text, Why: text})
	}
	r.Note = attacks[4] + attacks[0]
	return r
}

// filled holds one text wherever a report takes text from outside.
func filled(text string) view.Report {
	return view.Report{
		Base: text, Head: text, Note: text,
		Mistakes: []view.Mistake{{Place: text, Message: text}, {Message: text}},
		Capacity: []view.Capacity{{Account: text, Element: text, Why: text}},
		Clusters: []view.ClusterReport{
			{
				Plan: plan.Plan{
					Cluster: text, Foreign: []plan.Foreign{{Object: plan.Ref{Kind: text, Name: text}, Managers: []string{text}}},
					Changes: []plan.Change{
						{Object: plan.Ref{Kind: text, Name: text}, Owner: text, Field: text, From: text, To: text, Reason: text, Place: text, Severity: v1alpha1.SeverityRollout},
						{Object: plan.Ref{Kind: text, Name: text}, Owner: "Pool/x", Field: text, From: text, Reason: text},
					},
				},
				Findings: []view.Finding{{Check: text, Verdict: text, Place: text, Message: text}}, Drift: []string{text},
			},
			{Plan: plan.Plan{Cluster: text}, Decision: &plan.Decision{Message: text + " `" + text + "`" + text, Reason: text}},
			{Plan: plan.Plan{Cluster: text}, Kept: text},
		},
	}
}

// secret values of a cluster's objects, which no view may tell.
const (
	oldPassword = "correct-horse-battery"
	newPassword = "hunter2-staple"
	pin         = "90210417"
)

func template(content, password string) map[string]any {
	return map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
		"files": []any{
			map[string]any{"path": "/etc/agent.conf", "content": content},
			map[string]any{"path": "/etc/script", "content": "#!/bin/sh\nexport PASSWORD=" + content + "\nexec agent\n"},
		},
		"users": []any{map[string]any{"name": "admin", "passwd": password}},
		"extraEnvs": []any{
			map[string]any{"name": "DB_PASSWORD", "value": password},
			map[string]any{"name": "LEVEL", "value": "info"},
		},
	}}}}
}

// secrets changes every kind of secret that a cluster's objects may hold.
func secrets(t *testing.T) plan.Plan {
	t.Helper()
	kind := func(apiVersion, kind, name string, rest map[string]any) *unstructured.Unstructured {
		o := &unstructured.Unstructured{Object: rest}
		o.SetAPIVersion(apiVersion)
		o.SetKind(kind)
		o.SetName(name)
		return o
	}
	const bootstrap = "bootstrap.cluster.x-k8s.io/v1beta2"
	workers := pool(t, "edge-01-workers", "3", "edge-01-workers-aaaa")
	set := func(value string) *unstructured.Unstructured {
		return kind("v1", "Secret", "edge-01-resources", map[string]any{
			"type":       "addons.cluster.x-k8s.io/resource-set",
			"stringData": map[string]any{"secret.yaml": "apiVersion: v1\nkind: Secret\nstringData: {password: " + value + "}\n"},
		})
	}
	csi := func(value string) *unstructured.Unstructured {
		return kind("v1", "Secret", "edge-01-csi", map[string]any{"data": map[string]any{"key": encode(value)}})
	}
	added := template(newPassword, newPassword)
	return plan.Compute([]plan.Pair{
		{Want: csi(newPassword), Live: csi(oldPassword), DryRun: csi(newPassword)},
		{Want: set(newPassword), Live: set(oldPassword), DryRun: set(newPassword)},
		{Want: kind("v1", "Secret", "edge-01-new", map[string]any{"stringData": map[string]any{"key": newPassword}})},
		{
			Want:    kind("v1", "Secret", "edge-01-pin", map[string]any{"stringData": map[string]any{"pin": int64(90210417)}}),
			Refused: "failed to create typed patch object: .stringData.pin: expected string, got &value.valueUnstructured{Value:" + pin + "}",
		},
		{
			Want: kind(bootstrap, "KubeadmConfigTemplate", "edge-01-workers-bbbb", template(newPassword, newPassword)), Origin: "clusters/edge-01.yaml:31",
			Previous: kind(bootstrap, "KubeadmConfigTemplate", "edge-01-workers-aaaa", template(oldPassword, oldPassword)),
		},
		{
			Want:     kind(bootstrap, "KubeadmConfigTemplate", "edge-01-added-bbbb", added),
			Previous: kind(bootstrap, "KubeadmConfigTemplate", "edge-01-added-aaaa", map[string]any{"spec": map[string]any{}}),
		},
		{Want: kind(bootstrap, "KubeadmConfigTemplate", "edge-01-new", template(newPassword, newPassword))},
		{Want: workers, Live: workers, DryRun: workers},
	}, plan.Options{Cluster: "edge-01"})
}
