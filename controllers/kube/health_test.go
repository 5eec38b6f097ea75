package kube

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/yaml"

	"github.com/refract-dev/refract/render/plan"
)

func fromYAML(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatal(err)
	}
	return o
}

// machine in phase Running, available, controlled by a MachineSet or control plane of that UID.
func machine(name string, owner types.UID) *clusterv1.Machine {
	yes := true
	return &clusterv1.Machine{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: types.UID("uid-" + name),
			OwnerReferences: []metav1.OwnerReference{{Name: string(owner), UID: owner, Controller: &yes}},
		},
		Spec: clusterv1.MachineSpec{Version: "v1.34.1"},
		Status: clusterv1.MachineStatus{
			Phase:      "Running",
			Conditions: []metav1.Condition{{Type: "Available", Status: metav1.ConditionTrue}},
		},
	}
}

// running is a healthy cluster of one control-plane machine and two workers.
func running(t *testing.T) observed {
	t.Helper()
	yes := true
	set := &clusterv1.MachineSet{ObjectMeta: metav1.ObjectMeta{
		Name: "set", UID: "set", OwnerReferences: []metav1.OwnerReference{{Name: "c-workers", UID: "md", Controller: &yes}},
	}}
	return observed{
		cluster: fromYAML(t, `
kind: Cluster
metadata: {name: c, uid: cluster, generation: 2}
status:
  observedGeneration: 2
  phase: Provisioned
  initialization: {infrastructureProvisioned: true, controlPlaneInitialized: true}
  conditions: [{type: Available, status: "True"}]`),
		controlPlane: fromYAML(t, `
kind: KubeadmControlPlane
metadata: {name: c-kcp, uid: kcp, generation: 1}
spec: {replicas: 1}
status: {observedGeneration: 1}`),
		deployments: []*unstructured.Unstructured{fromYAML(t, `
kind: MachineDeployment
metadata: {name: c-workers, uid: md, generation: 3}
spec: {replicas: 2}
status: {observedGeneration: 3, replicas: 2, upToDateReplicas: 2, availableReplicas: 2}`)},
		kubeconfig: true,
		machinery: machinery{
			machines:    []*clusterv1.Machine{machine("cp", "kcp"), machine("a", "set"), machine("b", "set")},
			machineSets: []*clusterv1.MachineSet{set},
		},
		verdicts: map[types.UID][]plan.Verdict{
			"kcp": {{Machine: "cp", Outcome: plan.UpToDate}},
			"md":  {{Machine: "a", Outcome: plan.UpToDate}, {Machine: "b", Outcome: plan.UpToDate}},
		},
	}
}

func TestHealth(t *testing.T) {
	now := metav1.Now()
	cases := map[string]struct {
		reason  string
		change  func(*observed)
		done    bool
		rolling bool
		waiting string // part of what is waited for
	}{
		"Running": {done: true, change: func(*observed) {}},
		"CountersLieAfterATemplateChange": {
			reason: "the MachineDeployment still reports itself rolled out, but its machines are of the old template",
			change: func(o *observed) {
				o.verdicts["md"][0].Outcome, o.verdicts["md"][1].Outcome = plan.Recreate, plan.Recreate
			},
			rolling: true, waiting: "of 2 machines 0 are up to date",
		},
		"NoVerdict": {
			reason:  "what is not known is not done",
			change:  func(o *observed) { o.verdicts["kcp"][0].Outcome = plan.Unknown },
			rolling: true, waiting: "KubeadmControlPlane c-kcp",
		},
		"TheLastOldMachineStillGoes": {
			reason: "at the end of a roll the counters are right with a machine too many",
			change: func(o *observed) {
				old := machine("old", "set")
				old.DeletionTimestamp = &now
				o.machines = append(o.machines, old)
			},
			rolling: true, waiting: "3 exist",
		},
		"OneIsNotAvailable": {
			reason:  "nothing rolls, but it is not carried out either",
			change:  func(o *observed) { o.machines[1].Status.Conditions[0].Status = metav1.ConditionFalse },
			waiting: "1 available",
		},
		"ScaledUpJustNow": {
			reason:  "the controller has not looked yet",
			change:  func(o *observed) { o.deployments[0].SetGeneration(4) },
			waiting: "has not looked at the last change of MachineDeployment c-workers",
		},
		"APoolGoes": {
			reason:  "a pruned pool is carried out when its machines are gone",
			change:  func(o *observed) { o.deployments[0].SetDeletionTimestamp(&now) },
			rolling: true, waiting: "MachineDeployment c-workers is being deleted",
		},
		"NoControlPlane": {
			reason:  "the object is not there yet, or was taken away",
			change:  func(o *observed) { o.controlPlane = nil },
			waiting: "KubeadmControlPlane does not exist",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := running(t)
			tc.change(&o)
			h, err := health(o)
			if err != nil {
				t.Fatal(err)
			}
			if h.Done != tc.done || h.RollingOut != tc.rolling || !strings.Contains(strings.Join(h.Waiting, "\n"), tc.waiting) {
				t.Errorf("%s: done %t, rolling out %t, waiting for %q", tc.reason, h.Done, h.RollingOut, h.Waiting)
			}
		})
	}
}

func TestHealthCounts(t *testing.T) {
	o := running(t)
	o.machines[2].Spec.Version = "v1.33.9"
	h, err := health(o)
	if err != nil {
		t.Fatal(err)
	}
	want := Counts{Desired: 2, Total: 2, Available: 2, UpToDate: 2}
	if diff := cmp.Diff(want, h.Workers); diff != "" {
		t.Error(diff)
	}
	if h.OldestVersion != "v1.33.9" || h.OldestControlPlaneVersion != "v1.34.1" || h.Kubeconfig != "c-kubeconfig" || h.Available != metav1.ConditionTrue {
		t.Errorf("%+v", h)
	}
}

func TestProgressIgnoresWhatFlaps(t *testing.T) {
	base := progress(running(t))
	cases := map[string]struct {
		change  func(*observed)
		differs bool
	}{
		"AConditionFlaps":  {change: func(o *observed) { o.machines[0].Status.Conditions[0].Status = metav1.ConditionFalse }},
		"AnotherOrder":     {change: func(o *observed) { o.machines[0], o.machines[1] = o.machines[1], o.machines[0] }},
		"AMachineGetsOn":   {change: func(o *observed) { o.machines[0].Status.Phase = "Provisioning" }, differs: true},
		"AMachineIsNew":    {change: func(o *observed) { o.machines = append(o.machines, machine("new", "set")) }, differs: true},
		"ThePlanGoesOn":    {change: func(o *observed) { o.deployments[0].SetGeneration(9) }, differs: true},
		"TheClusterGetsOn": {change: func(o *observed) { o.cluster.Object["status"].(map[string]any)["phase"] = "Deleting" }, differs: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := running(t)
			tc.change(&o)
			if got := progress(o) != base; got != tc.differs {
				t.Errorf("differs: %t", got)
			}
		})
	}
}

func TestPausedNamesWho(t *testing.T) {
	fields := func(manager, operation, set string) string {
		return `managedFields: [{manager: ` + manager + `, operation: ` + operation + `, fieldsType: FieldsV1, time: "2026-01-01T00:00:00Z", fieldsV1: ` + set + `}]`
	}
	cases := map[string]struct {
		metadata, spec string
		want           *Pause
		ours           bool
	}{
		"Nobody":  {},
		"NotTrue": {spec: "{paused: false}"},
		"Us": {
			metadata: fields("refract", "Apply", `{"f:spec":{"f:paused":{}}}`), spec: "{paused: true}",
			want: &Pause{Field: "spec.paused", Manager: "refract"}, ours: true,
		},
		"AnotherHand": {
			metadata: fields("kubectl-edit", "Update", `{"f:spec":{"f:paused":{}}}`), spec: "{paused: true}",
			want: &Pause{Field: "spec.paused", Manager: "kubectl-edit"},
		},
		"Clusterctl": {
			metadata: fields("clusterctl", "Update", `{"f:spec":{"f:paused":{}}}`), spec: "{paused: true}",
			want: &Pause{Field: "spec.paused", Manager: "clusterctl", Moving: true},
		},
		"Annotation": {
			metadata: `annotations: {cluster.x-k8s.io/paused: ""}, ` + fields("ops", "Update", `{"f:metadata":{"f:annotations":{"f:cluster.x-k8s.io/paused":{}}}}`),
			want:     &Pause{Field: "annotation cluster.x-k8s.io/paused", Manager: "ops"},
		},
		"Moved": {
			metadata: `annotations: {clusterctl.cluster.x-k8s.io/delete-for-move: ""}`,
			want:     &Pause{Field: "annotation clusterctl.cluster.x-k8s.io/delete-for-move", Manager: "unknown", Moving: true},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			spec := tc.spec
			if spec == "" {
				spec = "{}"
			}
			got := paused(fromYAML(t, "metadata: {name: c, "+tc.metadata+"}\nspec: "+spec))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got != nil && got.Ours() != tc.ours {
				t.Errorf("ours: %t", got.Ours())
			}
		})
	}
}

func TestDeletionNamesWhatBlocks(t *testing.T) {
	now := metav1.Now()
	o := running(t)
	if deletion(o) != nil {
		t.Error("a living cluster is not being deleted")
	}
	o.cluster.SetDeletionTimestamp(&now)
	o.cluster.SetFinalizers([]string{"cluster.cluster.x-k8s.io"})
	o.machines[0].DeletionTimestamp, o.machines[0].Finalizers = &now, []string{"machine.cluster.x-k8s.io"}
	o.machines[0].Status.Conditions = []metav1.Condition{{Type: "Deleting", Status: metav1.ConditionTrue, Message: "Drain not completed yet"}}
	vm := fromYAML(t, "kind: NutanixMachine\nmetadata: {name: cp, finalizers: [infrastructure.cluster.x-k8s.io/nutanixmachine, example.com/hold]}")
	vm.SetDeletionTimestamp(&now)
	o.infra = append(o.infra, vm)

	var got []string
	for _, b := range deletion(o).Blockers {
		got = append(got, b.String())
	}
	want := []string{
		"NutanixMachine/cp waits for finalizer infrastructure.cluster.x-k8s.io/nutanixmachine of the Nutanix provider (capx-controller-manager)",
		"NutanixMachine/cp waits for finalizer example.com/hold of the controller of example.com",
		"Machine/cp waits for finalizer machine.cluster.x-k8s.io of Cluster API (capi-controller-manager): Drain not completed yet",
		"Cluster/c waits for finalizer cluster.cluster.x-k8s.io of Cluster API (capi-controller-manager)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestProblemsNameTheCauseFirst(t *testing.T) {
	o := running(t)
	if got := problems(o); len(got) != 0 {
		t.Errorf("a healthy cluster has problems %v", got)
	}
	o.machines[1].Status.Conditions = []metav1.Condition{{Type: "InfrastructureReady", Status: metav1.ConditionFalse, Reason: "NotReady", Message: "VM not up"}}
	o.infra = append(o.infra, fromYAML(t, `
kind: NutanixMachine
metadata: {name: a}
status:
  conditions:
  - {type: ProjectAssigned, status: "True"}
  - {type: VMProvisioned, status: "False", reason: VMProvisionedTaskFailed, message: no image ubuntu}`))
	o.infra = append(o.infra, fromYAML(t, `
kind: NutanixMachine
metadata: {name: b}
status:
  failureReason: CreateError
  failureMessage: no image of that name
  conditions: [{type: VMProvisioned, status: "False", reason: BootstrapDataNotReady}]`))
	o.deployments[0].SetAnnotations(map[string]string{"cluster.x-k8s.io/paused": ""})
	var got []string
	for _, p := range problems(o) {
		got = append(got, p.Object.String()+" "+p.Condition+" "+p.Reason)
	}
	want := []string{
		"MachineDeployment/c-workers Paused PausedByAnnotation",
		"NutanixMachine/b Failed CreateError",
		"NutanixMachine/a VMProvisioned VMProvisionedTaskFailed",
		"Machine/a InfrastructureReady NotReady",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
