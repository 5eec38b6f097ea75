package kube

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// Statuses as CAPX v1.9.2 wrote them against the simulator.
const (
	noImage = `
metadata: {name: c-workers-x7k2p, namespace: clusters}
status:
  failureMessage: failed to get the disk list to create the VM c-workers-x7k2p. found no image with name no-such
  failureReason: CreateError`
	failedTask = `
metadata: {name: c-workers-x7k2p, namespace: clusters}
status:
  failureMessage: 'failed to create VM c-workers-x7k2p. error: failed to create VM: task ZXJnb24=:329d7c19-4df3-4740-9170-9cd9f3c89184 failed: subnet vlan-101 has no free address; '
  failureReason: CreateError`
	tookOver = `
metadata: {name: c-workers-x7k2p, namespace: clusters}
spec: {vcpuSockets: 2}
status:
  ready: true
  addresses: [{address: 10.102.1.0, type: InternalIP}, {address: c-workers-x7k2p, type: Hostname}]
  conditions: [{status: "True", type: VMAddressesAssigned}, {status: "True", type: VMProvisioned}]
  v1beta2:
    conditions:
    - {message: "", reason: Succeeded, status: "True", type: VMAddressesAssigned}
    - {message: "", reason: Provisioned, status: "True", type: VMProvisioned}
  vmUUID: e0190955-b50a-4446-9ac4-9f80f152cd38`
	tookOverOff = `
metadata: {name: c-workers-x7k2p, namespace: clusters}
status:
  v1beta2:
    conditions:
    - {message: 'unable to determine network interfaces from VM: c-workers-x7k2p. Retrying', reason: VMAddressesFailed, status: "False", type: VMAddressesAssigned}
    - {message: "", reason: Provisioned, status: "True", type: VMProvisioned}
  vmUUID: a4313757-5399-4cbc-8249-9f395495c577`
	noAddress = `
metadata: {name: c-workers-x7k2p, namespace: clusters}
spec: {providerID: "nutanix://a4313757-5399-4cbc-8249-9f395495c577"}
status:
  v1beta2:
    conditions:
    - {message: 'unable to determine network interfaces from VM: c-workers-x7k2p. Retrying', reason: VMAddressesFailed, status: "False", type: VMAddressesAssigned}
    - {message: "", reason: Provisioned, status: "True", type: VMProvisioned}
  vmUUID: a4313757-5399-4cbc-8249-9f395495c577`
	healthy = `
metadata: {name: c-workers-x7k2p, namespace: clusters}
spec: {providerID: "nutanix://bbaa17b9-9795-4f54-ac71-dfd48590f88d"}
status:
  ready: true
  v1beta2:
    conditions:
    - {message: "", reason: Succeeded, status: "True", type: VMAddressesAssigned}
    - {message: "", reason: Provisioned, status: "True", type: VMProvisioned}
  vmUUID: bbaa17b9-9795-4f54-ac71-dfd48590f88d`
	// After a creation that failed CAPX v1.10 leaves what it wrote before the bootstrap data was there.
	leftFromBefore = `
metadata: {name: c-workers-x7k2p, namespace: clusters}
status:
  v1beta2:
    conditions:
    - {message: "", reason: BootstrapDataNotReady, status: "False", type: VMProvisioned}`
	badCredentials = `
kind: NutanixCluster
metadata: {name: c, namespace: clusters}
status:
  v1beta2:
    conditions:
    - {message: "", reason: Succeeded, status: "True", type: CredentialRefSecretOwnerSet}
    - {message: 'failed to create client for cachedClientParams with key clusters/c: invalid Nutanix credentials', reason: PrismClientInitFailed, status: "False", type: PrismClientInit}`
)

// waitingForVM is a cluster with a third worker whose NutanixMachine has this status.
func waitingForVM(t *testing.T, status string) observed {
	t.Helper()
	o := running(t)
	data := "c-workers-x7k2p"
	m := machine("c-workers-x7k2p", "set")
	m.Namespace, m.Labels = "clusters", map[string]string{clusterv1.MachineDeploymentNameLabel: "c-workers"}
	m.Spec.InfrastructureRef.Name, m.Spec.Bootstrap.DataSecretName = "c-workers-x7k2p", &data
	m.Status.Phase = "Pending"
	m.Status.Conditions = []metav1.Condition{
		{Type: "Available", Status: metav1.ConditionFalse, Reason: "NotReady"},
		{Type: "InfrastructureReady", Status: metav1.ConditionFalse, Reason: "NotReady", Message: "NutanixMachine status.initialization.provisioned is false"},
	}
	o.machines = append(o.machines, m)
	o.infra = []*unstructured.Unstructured{fromYAML(t, "apiVersion: infrastructure.cluster.x-k8s.io/v1beta1\nkind: NutanixMachine"+status)}
	return o
}

func TestProviderTroubleIsExplained(t *testing.T) {
	const prefix = "Machine c-workers-x7k2p of MachineDeployment/c-workers: NutanixMachine/c-workers-x7k2p has "
	cases := map[string]struct {
		reason string
		status string
		broken bool
		says   []string
		silent []string
	}{
		"ImageNotFound": {
			reason: "CAPX never tries again, whatever was wrong", status: noImage, broken: true,
			says: []string{
				prefix + "Failed (CreateError): ", "found no image with name no-such. CAPX never tries",
				"`kubectl delete machine c-workers-x7k2p -n clusters`: MachineDeployment/c-workers makes a new one",
			},
		},
		"TaskFailed": {
			reason: "the task's own words are in it", status: failedTask, broken: true,
			says: []string{prefix + "Failed (CreateError)", "subnet vlan-101 has no free address. CAPX never"},
		},
		"AdoptedForeignVM": {
			reason: "CAPX calls it ready, and deletes that VM with the Machine", status: tookOver, broken: true,
			says: []string{
				prefix + "Adopted (NameTaken)", "e0190955-b50a-4446-9ac4-9f80f152cd38", "Do not delete the Machine yet",
				"kubectl annotate machine c-workers-x7k2p -n clusters cluster.x-k8s.io/skip-remediation=adopted",
				"kubectl patch nutanixmachine c-workers-x7k2p -n clusters", "KubernetesClusterName: c)",
			},
		},
		"AdoptedVMThatIsOff": {
			reason: "the address is missing, but the adoption is what matters", status: tookOverOff, broken: true,
			says: []string{prefix + "Adopted (NameTaken)", "a4313757-5399-4cbc-8249-9f395495c577"},
		},
		"AdoptedWithThePlaceholder": {
			reason: "CAPX's own template carries a providerID that is no VM's", broken: true,
			status: strings.Replace(tookOver, "{vcpuSockets: 2}", `{providerID: "nutanix://c-m1"}`, 1),
			says:   []string{prefix + "Adopted (NameTaken)"},
		},
		"NoAddress": {
			reason: "CAPX goes on by itself as soon as there is one", status: noAddress,
			says: []string{prefix + "VMAddressesAssigned (VMAddressesFailed)", "unable to determine network interfaces", "whether VM c-workers-x7k2p is on"},
		},
		"FailedCreationIsRepeated": {
			reason: "the condition is left from before the bootstrap data came", status: leftFromBefore, silent: []string{"c-workers-x7k2p"},
			says: []string{prefix + "NoVM (NotCreated)", "again and again", "kubectl logs deployment/capx-controller-manager", "kubectl rollout restart"},
		},
		"NothingSaidYet": {
			reason: "as above, without any status", silent: []string{"c-workers-x7k2p"},
			status: "\nmetadata: {name: c-workers-x7k2p, namespace: clusters}",
			says:   []string{prefix + "NoVM (NotCreated)"},
		},
		"HealthyVM": {
			reason: "the VM is as it should be: Cluster API's Machine speaks", status: healthy,
			says: []string{"Machine/c-workers-x7k2p has InfrastructureReady"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h, err := health(waitingForVM(t, tc.status))
			if err != nil {
				t.Fatal(err)
			}
			if got := len(h.Broken) > 0; got != tc.broken {
				t.Errorf("%s: broken: %v", tc.reason, h.Broken)
			}
			if len(h.Stuck) == 0 {
				t.Fatal("nothing holds the cluster back")
			}
			for _, want := range tc.says {
				if got := h.Stuck[0].String(); !strings.Contains(got, want) {
					t.Errorf("%s: lacks %q:\n%s", tc.reason, want, got)
				}
			}
			if diff := cmp.Diff(tc.silent, h.Silent()); diff != "" {
				t.Errorf("%s: silent (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// A VM that goes with its Machine was what it was; and a health check or a person has acted already.
func TestBrokenMachinesThatGoAreNotTold(t *testing.T) {
	now := metav1.Now()
	for name, status := range map[string]string{"Failed": noImage, "Adopted": tookOver} {
		t.Run(name, func(t *testing.T) {
			o := waitingForVM(t, status)
			o.machines[len(o.machines)-1].DeletionTimestamp = &now
			if got := broken(o); len(got) > 0 {
				t.Errorf("told of %v", got)
			}
		})
	}
}

// Before its turn has come a VM is not there for a good reason: what it waits for is told first.
func TestWhoWaitsForOthersIsToldLast(t *testing.T) {
	o := waitingForVM(t, strings.Replace(leftFromBefore, "BootstrapDataNotReady", "ControlplaneNotInitialized", 1))
	o.machines[len(o.machines)-1].Spec.Bootstrap.DataSecretName = nil
	o.infra = append(o.infra, fromYAML(t, `
apiVersion: infrastructure.cluster.x-k8s.io/v1beta1
kind: NutanixMachine
metadata: {name: z, namespace: clusters}
status:
  v1beta2: {conditions: [{type: ProjectAssigned, status: "False", reason: ProjectAssignationFailed, message: no project platform}]}`))
	got := problems(o)
	if got[0].Object.Name != "z" || got[len(got)-1].Reason != "ControlplaneNotInitialized" {
		t.Errorf("%v", got)
	}
}

func TestBadCredentialsLeadToTheAccount(t *testing.T) {
	o := running(t)
	o.infraCluster = fromYAML(t, "apiVersion: infrastructure.cluster.x-k8s.io/v1beta1"+badCredentials)
	got := problems(o)[0].String()
	for _, want := range []string{"NutanixCluster/c has PrismClientInit (PrismClientInitFailed)", "invalid Nutanix credentials. `kubectl get cloudaccounts -n clusters -o wide`"} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q: %s", want, got)
		}
	}
}

func TestExplainAddsTheTask(t *testing.T) {
	const task = "not enough memory on PE-1"
	for name, tc := range map[string]struct {
		status string
		added  bool
	}{
		"RepeatedCreation": {status: leftFromBefore, added: true},
		"Failed":           {status: noImage, added: true},
		"SaidAlready":      {status: strings.Replace(failedTask, "subnet vlan-101 has no free address", task, 1)},
		// It may be about the VM of somebody else.
		"Adopted": {status: tookOver},
	} {
		t.Run(name, func(t *testing.T) {
			h, err := health(waitingForVM(t, tc.status))
			if err != nil {
				t.Fatal(err)
			}
			before := h.Stuck[0].Message
			h.Explain(map[string]string{"c-workers-x7k2p": task})
			after := h.Stuck[0].Message
			if added := after != before; added != tc.added {
				t.Errorf("before %q, after %q", before, after)
			}
			if tc.added && !strings.HasSuffix(after, task) {
				t.Errorf("%q", after)
			}
		})
	}
}
