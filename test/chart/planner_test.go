package chart

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/controllers/cli"
	"github.com/refract-dev/refract/test/rig"
)

// waiting is how long the API server may take to see what was written.
const waiting = 30 * time.Second

// mayOnlyPlan is how the policy turns back what is not a dry run.
const mayOnlyPlan = "may only plan: send this request as a server-side dry run (kubectl: --dry-run=server)"

// What a planner tries, by resource.
var tried = map[string]string{
	"Fleet":        sampleObjects[2],
	"CloudAccount": sampleObjects[1],
	"Cluster":      strings.Replace(sampleObjects[0], ", labels: {refract.dev/protect: \"true\"}", "", 1),
	"ConfigMap":    sampleObjects[3],
	"Secret":       "apiVersion: v1\nkind: Secret\nmetadata: {name: edge-01-values}\nstringData: {a: b}\n",
	"MachineHealthCheck": `apiVersion: cluster.x-k8s.io/v1beta2
kind: MachineHealthCheck
metadata: {name: edge-01}
spec: {clusterName: edge-01, selector: {matchLabels: {a: b}}}
`,
}

// TestPlannerOnlyTries sends, as several people, what a plan is made of, with and without dry run.
func TestPlannerOnlyTries(t *testing.T) {
	const namespace = "planned"
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	for user, roles := range map[string][]string{
		"planner": {"refract-planner"}, "planning-editor": {"refract-planner", "edit"},
		"planning-approver": {"refract-planner", "refract-approver"}, "viewer": {"refract-viewer"},
	} {
		for _, role := range roles {
			bind(t, namespace, user, role)
		}
	}
	there := object(t, tried["Fleet"])
	there.SetName("there")
	there.SetNamespace(namespace)
	create(t, there)
	enforced(t, namespace)

	dryRun := "--dry-run=server"
	patch := []string{"patch", "fleet.refract.dev/there", "--type=merge", `--patch={"metadata":{"annotations":{"note":"x"}}}`}
	cases := map[string]struct {
		reason string
		user   string
		args   []string
		input  string
		refuse string // what kubectl's error says; empty: it succeeds
	}{
		"CreateDry":            {reason: "a plan is made of these", user: "planner", args: []string{"create", "-f-", dryRun}, input: "Fleet"},
		"Create":               {reason: "and not of these", user: "planner", args: []string{"create", "-f-"}, input: "Fleet", refuse: mayOnlyPlan},
		"PatchDry":             {reason: "likewise", user: "planner", args: append(slices.Clone(patch), dryRun)},
		"Patch":                {reason: "likewise", user: "planner", args: patch, refuse: mayOnlyPlan},
		"ApplyDry":             {reason: "server-side apply is a patch that may create", user: "planner", args: []string{"apply", "--server-side", "-f-", dryRun}, input: "Cluster"},
		"Apply":                {reason: "likewise", user: "planner", args: []string{"apply", "--server-side", "-f-"}, input: "Cluster", refuse: mayOnlyPlan},
		"ApplyAccount":         {reason: "all that files may hold", user: "planner", args: []string{"apply", "--server-side", "-f-"}, input: "CloudAccount", refuse: mayOnlyPlan},
		"ApplyHealthCheck":     {reason: "all that is rendered", user: "planner", args: []string{"apply", "--server-side", "-f-"}, input: "MachineHealthCheck", refuse: mayOnlyPlan},
		"ApplySecretDry":       {reason: "a rendered Secret", user: "planner", args: []string{"apply", "--server-side", "-f-", dryRun}, input: "Secret"},
		"ApplySecret":          {reason: "is written by the operator alone", user: "planner", args: []string{"apply", "--server-side", "-f-"}, input: "Secret", refuse: "may only plan"},
		"CreateConfigMap":      {reason: "core resources are no way round", user: "planner", args: []string{"create", "-f-"}, input: "ConfigMap", refuse: "ask for the verb update on configmaps in namespace planned"},
		"GeneratedName":        {reason: "nor is a name that does not exist yet", user: "planner", args: []string{"create", "-f-"}, input: "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: x-}\n", refuse: mayOnlyPlan},
		"Delete":               {reason: "not part of the role", user: "planner", args: []string{"delete", "fleet.refract.dev/there", dryRun}, refuse: "cannot delete resource"},
		"Replace":              {reason: "nor is update", user: "planner", args: []string{"label", "fleet.refract.dev/there", "a=b"}, refuse: mayOnlyPlan},
		"ViewerDry":            {reason: "a dry run takes the right to write", user: "viewer", args: append(slices.Clone(patch), dryRun), refuse: "cannot patch resource"},
		"EditorWhoPlans":       {reason: "the role takes nothing away from a writer", user: "planning-editor", args: patch},
		"EditorWhoPlansMakes":  {reason: "likewise", user: "planning-editor", args: []string{"create", "-f-"}, input: "ConfigMap"},
		"EditorAndCluster":     {reason: "but whoever writes fleets does not write Clusters for that", user: "planning-editor", args: []string{"apply", "--server-side", "-f-"}, input: "Cluster", refuse: mayOnlyPlan},
		"ApproverWhoPlans":     {reason: "an approver's patch stays", user: "planning-approver", args: patch},
		"ApproverMakesNothing": {reason: "and gains no create", user: "planning-approver", args: []string{"create", "-f-"}, input: "Fleet", refuse: mayOnlyPlan},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			input := c.input
			if known, ok := tried[input]; ok {
				input = known
			}
			out, err := kubectl(t, as(t, c.user), input, append(c.args, "--namespace", namespace)...)
			switch {
			case c.refuse == "" && err != nil:
				t.Errorf("%s: refused: %s", c.reason, out)
			case c.refuse != "" && err == nil:
				t.Errorf("%s: accepted: %s", c.reason, out)
			case c.refuse != "" && !strings.Contains(out, c.refuse):
				t.Errorf("%s: want %q in %s", c.reason, c.refuse, out)
			}
		})
	}
}

// enforced waits until the API server has compiled the policy: it takes a second after the install.
func enforced(t *testing.T, namespace string) {
	t.Helper()
	planner := as(t, "planner")
	gomega.NewWithT(t).Eventually(t.Context(), func() string {
		out, err := kubectl(t, planner, tried["ConfigMap"], "create", "-f-", "--namespace", namespace)
		if err == nil {
			written := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "edge-01-notes"}}
			err = release.Client.Delete(t.Context(), written)
		}
		return fmt.Sprint(out, err)
	}).WithTimeout(waiting).Should(gomega.ContainSubstring(mayOnlyPlan))
}

// TestPlannerPlans makes an exact plan with the planner's rights alone, and finds nothing written.
func TestPlannerPlans(t *testing.T) {
	const namespace = "exact"
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	bind(t, namespace, "exact-planner", "refract-planner")
	files := t.TempDir()
	writeFleet(t, files, rig.Cluster{Name: "edge-01", Endpoint: "10.20.0.10", ControlPlanes: 1})
	var out, errs bytes.Buffer
	args := []string{"plan", files, "--live", "--namespace", namespace, "--kubeconfig", as(t, "exact-planner")}
	if code := cli.Main(t.Context(), args, strings.NewReader(""), &out, &errs); code != 1 {
		t.Fatalf("refract plan ended with %d, want 1 for changes: %s%s", code, errs.String(), out.String())
	}
	if text := out.String(); !strings.Contains(text, "edge-01-kcp") || strings.Contains(text, "predicted") {
		t.Errorf("want an exact plan of cluster edge-01, got\n%s", text)
	}
	for _, kind := range []string{"Cluster", "KubeadmControlPlane", "ConfigMap", "Secret"} {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(gvk(map[string]string{
			"Cluster": "cluster.x-k8s.io/v1beta2", "KubeadmControlPlane": "controlplane.cluster.x-k8s.io/v1beta2",
			"ConfigMap": "v1", "Secret": "v1",
		}[kind], kind+"List"))
		if err := release.Client.List(t.Context(), list, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		if len(list.Items) > 0 {
			t.Errorf("planning wrote %s %s", kind, list.Items[0].Name)
		}
	}
}

// TestPolicyCoversPlanner holds the resources of the policy against those that a planner may write.
func TestPolicyCoversPlanner(t *testing.T) {
	role, policy := &rbacv1.ClusterRole{}, &admissionv1.ValidatingAdmissionPolicy{}
	get(t, client.ObjectKey{Name: "refract-planner"}, role)
	get(t, client.ObjectKey{Name: "refract-planner"}, policy)
	var written, covered []string
	for _, r := range role.Rules {
		may := slices.Contains(r.Verbs, "create") || slices.Contains(r.Verbs, "patch")
		if may != slices.Contains(r.Verbs, "plan") {
			t.Errorf("rule %v: create and patch come with the verb plan, and only with it", r)
		}
		for _, resource := range r.Resources {
			if may {
				written = append(written, r.APIGroups[0]+"/"+resource)
			}
		}
	}
	for _, r := range policy.Spec.MatchConstraints.ResourceRules {
		for _, resource := range r.Resources {
			covered = append(covered, r.APIGroups[0]+"/"+resource)
		}
	}
	slices.Sort(written)
	slices.Sort(covered)
	if diff := cmp.Diff(written, covered); diff != "" {
		t.Errorf("role and policy differ: %s", diff)
	}
}
