package cli

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/gitsource"
	"github.com/refract-dev/refract/render/plan"
)

const (
	acceptedCommit = "1f3c9a2b7d0c4e5f6a7b8c9d0e1f2a3b4c5d6e7f"
	heldCommit     = "9e8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b3a2f1e0d"
)

// explained is the scene of the tree, its first cluster stamped as the operator does it.
func explained(t *testing.T, name string, change func(*knowledge)) *knowledge {
	t.Helper()
	k := &knowledge{ground: readScene(t), key: client.ObjectKey{Namespace: "clusters", Name: name}, commits: map[string]gitsource.Commit{
		acceptedCommit: {Hash: acceptedCommit, Author: "Ada", Message: "Add edge-01\n", Authored: noon.Add(-48 * time.Hour)},
		heldCommit:     {Hash: heldCommit, Author: "Grace", Message: "More memory for all\n\nThey swap.\n", Authored: noon.Add(-time.Hour)},
	}}
	for i := range k.fleets {
		k.fleets[i].Status.LastAttemptedRevision = "main@sha1:" + heldCommit
	}
	for i := range k.clusters {
		a := k.clusters[i].Annotations
		if a != nil {
			a[v1alpha1.FileAnnotation] = "fleet/" + k.clusters[i].Name + ".yaml:1"
			a[v1alpha1.RevisionAnnotation] = "main@sha1:" + acceptedCommit
		}
	}
	if !k.find() {
		t.Fatalf("nothing is known of %s", name)
	}
	if change != nil {
		change(k)
	}
	return k
}

// say sets a condition of the cluster as it has been for a time.
func (k *knowledge) say(kind string, status metav1.ConditionStatus, reason, message string, age time.Duration) {
	at := metav1.NewTime(noon.Add(-age))
	c := metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: at}
	for i, have := range k.cluster.Status.Conditions {
		if have.Type == kind {
			k.cluster.Status.Conditions[i] = c
			return
		}
	}
	k.cluster.Status.Conditions = append(k.cluster.Status.Conditions, c)
}

// hold has a plan wait since half an hour ago.
func (k *knowledge) hold(p v1alpha1.PlanStatus, reason, message string) {
	at := metav1.NewTime(noon.Add(-30 * time.Minute))
	p.RecordedAt = &at
	k.cluster.Status.Phase, k.cluster.Status.Plan = v1alpha1.PhaseHeld, p
	k.say(v1alpha1.SourceAcceptedCondition, metav1.ConditionFalse, reason, message, 30*time.Minute)
	k.say(v1alpha1.ReadyCondition, metav1.ConditionFalse, reason, message, 30*time.Minute)
}

func moreMemory() plan.Plan {
	template := plan.Ref{APIVersion: "infrastructure.cluster.x-k8s.io/v1beta1", Kind: "NutanixMachineTemplate", Namespace: "clusters", Name: "edge-01-workers-7c1d2e3f"}
	return plan.Plan{Cluster: "edge-01", Changes: []plan.Change{{
		Object: template, Action: plan.Create, Field: "spec.template.spec.memorySize", From: "4Gi", To: "8Gi", Severity: v1alpha1.SeverityRollout,
		Machines: 3, Owner: "MachineDeployment/edge-01-workers", Reason: "a new template: each machine is re-created", Place: "fleet/edge-01.yaml:17",
	}}}
}

func heldByLimit(k *knowledge) {
	digest := moreMemory().Digest()
	k.hold(v1alpha1.PlanStatus{Digest: digest, Severity: v1alpha1.SeverityRollout, Summary: "edge-01: 3 machines re-created"}, v1alpha1.LimitExceededReason,
		"This re-creates 3 machines and limit recreatedMachines of the Fleet is 2. To go on run `refract approve cluster/edge-01 "+digest+" --namespace clusters`, or put the trailer `Refract-Approve: "+digest+"` into a commit message, or commit less.")
}

func TestExplainGolden(t *testing.T) {
	cases := map[string]struct {
		cluster string
		change  func(*knowledge)
		json    bool
	}{
		"healthy": {cluster: "edge-01"},
		"limit": {cluster: "edge-01", change: func(k *knowledge) {
			heldByLimit(k)
			k.held = &controllers.HeldPlan{Plan: moreMemory(), Revision: "main@sha1:" + heldCommit}
			k.events = []corev1.Event{
				event("NutanixClusterSpec", "edge-01", "Warning", "LimitExceeded", "edge-01: 3 machines re-created", 30*time.Minute),
				event("Machine", "edge-01-workers-ccccc-x7k2p", "Normal", "SuccessfulSetNodeRef", "edge-01-workers-ccccc-x7k2p", 45*time.Minute),
			}
		}},
		"limit-viewer": {cluster: "edge-01", change: func(k *knowledge) {
			heldByLimit(k)
			k.commits = nil
			k.unread = []string{"the held plan change by change: you may not read Secret refract-record-edge-01; `refract plan` makes it anew from the files"}
		}},
		"preflight": {cluster: "edge-01", change: func(k *knowledge) {
			const message = "Prism Central has no image of this name; it has ubuntu-24.04-kube-v1.33.4. Upload it, or name one that is there"
			k.cluster.Status.Phase = v1alpha1.PhaseFailed
			k.cluster.Status.Preflight = []v1alpha1.PreflightFinding{{Check: "Image", Verdict: "Failed", Field: "spec.machineDefaults.image", Message: message}}
			k.say(v1alpha1.PreflightPassedCondition, metav1.ConditionFalse, v1alpha1.PreflightFailedReason, "fleet/edge-01.yaml:1: spec.machineDefaults.image: "+message, time.Hour)
			k.say(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.PreflightFailedReason, "nothing is applied: fleet/edge-01.yaml:1: spec.machineDefaults.image: "+message, time.Hour)
		}},
		"stuck": {cluster: "edge-02", change: func(k *knowledge) {
			k.cluster.Status.Phase, k.cluster.Status.Plan = v1alpha1.PhaseFailed, v1alpha1.PlanStatus{Summary: "no change"}
			k.say(v1alpha1.SourceAcceptedCondition, metav1.ConditionTrue, v1alpha1.AcceptedReason, "accepted", 2*time.Hour)
		}},
		"deletion": {cluster: "edge-01", change: func(k *knowledge) {
			k.hold(v1alpha1.PlanStatus{Digest: "sha256:de1e", Severity: v1alpha1.SeverityDestroy, Summary: "edge-01: the cluster and its 2 machines deleted"}, v1alpha1.LimitExceededReason,
				"This deletes the cluster, 1 cluster in all, and limit deletedClusters is 0. To go on run `refract approve fleet/production sha256:de1e --namespace clusters`, or commit less.")
		}},
		"removed": {cluster: "edge-01", change: func(k *knowledge) {
			k.say(v1alpha1.SourceAcceptedCondition, metav1.ConditionFalse, v1alpha1.FileRemovedReason,
				"its file is gone from Git; deletion policy Protect keeps the cluster with its last spec. Put the file back, or commit deletionPolicy Delete or Orphan before removing it", 26*time.Hour)
		}},
		"git": {cluster: "edge-01", change: func(k *knowledge) {
			k.fleet.Status.Conditions = []metav1.Condition{{
				Type: v1alpha1.ReadyCondition, Status: metav1.ConditionFalse, Reason: v1alpha1.RepositoryUnreachableReason, LastTransitionTime: metav1.NewTime(noon.Add(-3 * time.Hour)),
				Message: "git repository https://git.example.com/clusters.git: dial tcp: i/o timeout (nothing was changed; clusters keep their last accepted state)",
			}}
		}},
		"never-accepted": {cluster: "edge-09"},
		"mistake": {cluster: "edge-01", change: func(k *knowledge) {
			const message = "unknown field spec.nodepools: did you mean nodePools?"
			k.cluster.Status.Phase = v1alpha1.PhaseHeld
			k.cluster.Status.Failures = []v1alpha1.Failure{{Cluster: "edge-01", File: "fleet/edge-01.yaml", Line: 11, Message: message}}
			k.say(v1alpha1.SourceAcceptedCondition, metav1.ConditionFalse, v1alpha1.InvalidReason, "fleet/edge-01.yaml:11: "+message, time.Hour)
			k.say(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.InvalidReason, "fleet/edge-01.yaml:11: "+message, time.Hour)
		}},
		"machine": {cluster: "edge-02", json: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			e, err := explained(t, tc.cluster, tc.change).explain()
			if err != nil {
				t.Fatal(err)
			}
			if e.Healthy != (name == "healthy") {
				t.Errorf("healthy: %v", e.Healthy)
			}
			file, format := "explain-"+name+".txt", outputText
			if tc.json {
				file, format = "explain-"+name+".json", outputJSON
			}
			var b strings.Builder
			if err := e.write(&b, format, noon); err != nil {
				t.Fatal(err)
			}
			golden(t, file, b.String())
		})
	}
}

func event(kind, name, how, reason, message string, age time.Duration) corev1.Event {
	return corev1.Event{
		InvolvedObject: corev1.ObjectReference{Kind: kind, Name: name}, Type: how, Reason: reason, Message: message, Count: 2, LastTimestamp: metav1.NewTime(noon.Add(-age)),
	}
}

// TestExplainMistakesOfTheFleet tells of mistakes in files where they may concern the cluster, once.
func TestExplainMistakesOfTheFleet(t *testing.T) {
	for name, c := range map[string]struct {
		of   string // cluster that the mistake names
		says bool
	}{
		"Anybodys": {says: true},
		"Its":      {of: "edge-01", says: true},
		"Anothers": {of: "edge-02"},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := explained(t, "edge-01", func(k *knowledge) {
				k.fleet.Status.Failures = []v1alpha1.Failure{{Cluster: c.of, File: "fleet/x.yaml", Line: 3, Message: "wrong"}}
				k.fleet.Status.Conditions = []metav1.Condition{{
					Type: v1alpha1.ReadyCondition, Status: metav1.ConditionFalse, Reason: v1alpha1.DecodeFailedReason,
					LastTransitionTime: metav1.NewTime(noon), Message: "fleet/x.yaml:3: wrong",
				}}
			}).explain()
			if err != nil {
				t.Fatal(err)
			}
			if says := strings.Contains(e.Cause, "its Fleet found mistakes in the files") && strings.Contains(e.Next, "mend what the message says"); says != c.says || e.Healthy == c.says {
				t.Errorf("says %t, healthy %t: %s", says, e.Healthy, e.Cause)
			}
		})
	}
}

// What else stands in the way is told beside what Ready names, and not instead.
func TestExplainAnswersWhatReadyNames(t *testing.T) {
	paused := func(k *knowledge) {
		k.say(v1alpha1.PausedCondition, metav1.ConditionTrue, v1alpha1.PausedByOtherReason, "night-shift set spec.paused", time.Hour)
	}
	cases := map[string]struct {
		reason      string
		change      func(*knowledge)
		cause, next string
		also        string
	}{
		"HeldAndPaused":  {reason: "Ready names the limit", change: func(k *knowledge) { heldByLimit(k); paused(k) }, cause: "a plan is held", next: "refract approve cluster/edge-01 sha256:", also: "night-shift"},
		"PausedAndReady": {reason: "nothing goes on", change: paused, cause: "night-shift set spec.paused", next: "ask who paused it"},
		"Suspended":      {reason: "a person wanted it", change: func(k *knowledge) { k.cluster.Spec.Suspend = true }, cause: "spec.suspend is set", next: "commit spec.suspend: false at fleet/edge-01.yaml:1"},
		"Forbidden": {reason: "no approval helps", change: func(k *knowledge) {
			k.hold(v1alpha1.PlanStatus{Digest: "sha256:f0", Severity: v1alpha1.SeverityForbidden, Summary: "edge-01: refused"}, v1alpha1.ForbiddenReason, "Cluster/edge-01 spec.controlPlaneEndpoint: an endpoint never changes")
		}, cause: "an endpoint never changes", next: "cannot be approved"},
		"Deleting": {reason: "a deletion that is blocked", change: func(k *knowledge) {
			k.cluster.DeletionTimestamp = &metav1.Time{Time: noon}
			k.say(v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.DeletionBlockedReason, "Machine/a has finalizer x", time.Hour)
		}, cause: "it is being deleted: Machine/a has finalizer x", next: "do what the message says"},
		"Drift": {reason: "Ready stays True", change: func(k *knowledge) {
			k.say(v1alpha1.InSyncCondition, metav1.ConditionFalse, v1alpha1.MachinesDriftedReason, "1 virtual machine differs", time.Hour)
		}, cause: "1 virtual machine differs", next: "refract tree cluster/edge-01"},
		"Account": {reason: "no machine can be made", change: func(k *knowledge) {
			k.account.Status.Conditions[0].Status, k.account.Status.Conditions[0].Reason = metav1.ConditionFalse, v1alpha1.AuthenticationFailedReason
			k.account.Status.Conditions[0].Message = "Prism Central refuses user refract"
		}, cause: "CloudAccount pc-east: Prism Central refuses user refract", next: "kubectl describe cloudaccount pc-east"},
		"Rolling": {reason: "waiting is not healthy", change: func(k *knowledge) {
			k.say(v1alpha1.ReadyCondition, metav1.ConditionUnknown, v1alpha1.ProgressingReason, "1 of 3 machines is up to date", time.Minute)
		}, cause: "1 of 3 machines is up to date", next: "wait"},
		"New": {reason: "nobody looked", change: func(k *knowledge) { k.cluster.Status = v1alpha1.NutanixClusterSpecStatus{} }, cause: "the operator has not looked at it yet", next: "pods of the operator"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			e, err := explained(t, "edge-01", tc.change).explain()
			if err != nil {
				t.Fatal(err)
			}
			if e.Healthy || !strings.Contains(e.Cause, tc.cause) || !strings.Contains(e.Next, tc.next) || !strings.Contains(strings.Join(e.Also, "\n"), tc.also) {
				t.Errorf("%s:\ncause %s\nnext %s\nalso %q", tc.reason, e.Cause, e.Next, e.Also)
			}
		})
	}
}

// TestExplainLive asks a real API server, as an administrator and as a viewer, who may read no Secrets.
func TestExplainLive(t *testing.T) {
	m := manage(t)
	repo := clone(t)
	m.apply(t, filepath.Join(repo, "fleet"))
	f := m.fleet(t, v1alpha1.Limits{})
	cluster := &v1alpha1.NutanixClusterSpec{}
	if err := m.admin.Get(t.Context(), client.ObjectKey{Namespace: m.namespace, Name: "edge-01"}, cluster); err != nil {
		t.Fatal(err)
	}
	expect(t, m.command(t, "explain", "edge-01"), 1, "Cluster edge-01 is Not looked at yet: the operator has not looked at it yet")
	expect(t, m.command(t, "explain", "edge-77"), 2, "has no cluster edge-77")

	head := git(t, repo, "rev-parse", "HEAD")
	cluster.Annotations[v1alpha1.FileAnnotation] = "fleet/clusters/edge-01.yaml:1"
	cluster.Annotations[v1alpha1.RevisionAnnotation] = "main@sha1:" + head
	if err := m.admin.Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	now := metav1.Now()
	cluster.Status = v1alpha1.NutanixClusterSpecStatus{
		Phase: v1alpha1.PhaseHeld, Plan: v1alpha1.PlanStatus{Digest: moreMemory().Digest(), Severity: v1alpha1.SeverityRollout, Summary: "edge-01: 3 machines re-created", RecordedAt: &now},
		Conditions: []metav1.Condition{{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionFalse, Reason: v1alpha1.LimitExceededReason, Message: "held", LastTransitionTime: now}},
	}
	if err := m.admin.Status().Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	m.broken(t, "edge-01-workers-x7k2p", "edge-01")
	create(t, m.admin, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: m.namespace, Name: "edge-01.1"},
		InvolvedObject: corev1.ObjectReference{Kind: "NutanixMachine", Namespace: m.namespace, Name: "edge-01-workers-x7k2p"},
		Type:           "Warning", Reason: "CreateFailed", Message: "no address left", LastTimestamp: now,
	})

	got := m.command(t, "explain", "edge-01", "--checkout", repo)
	expect(t, got, 1, "Cluster edge-01 is Held", "a plan is held (edge-01: 3 machines re-created)", "refract approve cluster/edge-01 sha256:",
		`accepted: fleet/clusters/edge-01.yaml:1 at main@sha1:`+head+` "Add a fleet" by Ada`, "NutanixMachine/edge-01-workers-x7k2p Failed (CreateError)",
		"Warning (CreateFailed) NutanixMachine/edge-01-workers-x7k2p")
	if strings.Contains(got.out, "Not read") {
		t.Errorf("an administrator reads all:\n%s", got.out)
	}
	got = m.as(t, "explain-viewer", "refract-viewer").command(t, "explain", "cluster/edge-01")
	expect(t, got, 1, "a plan is held (edge-01: 3 machines re-created)", "Not read", "you may not read Secret refract-record-edge-01", "events: you may not list them", "the control plane itself")
	expect(t, m.as(t, "explain-nobody", "").command(t, "explain", "edge-01"), 2, "listing Fleets", "forbidden")

	var doc explanation
	got = m.command(t, "explain", "edge-01", "-o", "json")
	if err := json.Unmarshal([]byte(got.out), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Fleet != f.Name || doc.Healthy || doc.Kind != "Explanation" {
		t.Errorf("the document is %+v", doc)
	}
}

// broken makes a NutanixMachine that CAPX has given up.
func (m management) broken(t *testing.T, name, cluster string) {
	t.Helper()
	vm := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1", "kind": "NutanixMachine",
		"spec": map[string]any{
			"vcpuSockets": int64(1), "vcpusPerSocket": int64(1), "memorySize": "4Gi", "systemDiskSize": "40Gi",
			"image": map[string]any{"type": "name", "name": "ubuntu"},
		},
	}}
	vm.SetNamespace(m.namespace)
	vm.SetName(name)
	vm.SetLabels(map[string]string{"cluster.x-k8s.io/cluster-name": cluster})
	create(t, m.admin, vm)
	if err := unstructured.SetNestedField(vm.Object, "CreateError", "status", "failureReason"); err != nil {
		t.Fatal(err)
	}
	if err := m.admin.Status().Update(t.Context(), vm, client.FieldOwner("capx")); err != nil {
		t.Fatal(err)
	}
}

func TestExplainRefusesArguments(t *testing.T) {
	for name, args := range map[string][]string{
		"None": {"explain"}, "Two": {"explain", "a", "b"}, "Fleet": {"explain", "fleet/a"}, "Output": {"explain", "a", "-o", "yaml"},
	} {
		t.Run(name, func(t *testing.T) { expect(t, run(t, args...), 2, "see `refract explain --help`") })
	}
}

func TestCommitsOfNoClone(t *testing.T) {
	if found := commitsIn(t.TempDir(), []string{"main@sha1:" + heldCommit}); len(found) != 0 {
		t.Errorf("found %v outside of a clone", found)
	}
	repo := clone(t)
	head := git(t, repo, "rev-parse", "HEAD")
	found := commitsIn(filepath.Join(repo, "fleet"), []string{"", "main@sha1:" + heldCommit, "sha1:" + head})
	if len(found) != 1 || found[head].Subject() != "Add a fleet" {
		t.Errorf("found %v", found)
	}
}
