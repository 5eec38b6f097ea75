package kube

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/Masterminds/semver/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	kubeadm "sigs.k8s.io/cluster-api/controlplane/kubeadm/pkg"
	"sigs.k8s.io/cluster-api/core/reconcilers/machinedeployment/mdutil"

	"github.com/refract-dev/refract/render/plan"
)

// judge asks Cluster API's own code, for every control plane and MachineDeployment among the pairs, which Machines it
// would re-create once the pairs are applied. Machines already old from an unfinished roll count; Machines being deleted
// do not, since what follows them is made from the new state anyway.
func (c Cluster) judge(ctx context.Context, pairs []plan.Pair, m machinery) error {
	over := map[identity]*unstructured.Unstructured{}
	for _, p := range pairs {
		if p.Want != nil {
			over[identify(plan.RefOf(p.Want))] = after(p.DryRun, p.Want)
		}
	}
	for i := range pairs {
		if err := c.judgeOne(ctx, &pairs[i], m, over); err != nil {
			return err
		}
	}
	return nil
}

func (c Cluster) judgeOne(ctx context.Context, p *plan.Pair, m machinery, over map[identity]*unstructured.Unstructured) error {
	if p.Want == nil || p.Live == nil {
		return nil
	}
	var machines []*clusterv1.Machine
	kind := p.Want.GetKind()
	switch kind {
	case controlPlaneKind.Kind:
		machines = m.ownedBy(p.Live.GetUID())
		p.OldestVersion, p.NewestVersion = oldestVersion(machines), newestVersion(machines)
	case deploymentKind.Kind:
		machines = m.deploymentMachines(p.Live.GetUID())
	default:
		return nil
	}
	if p.DryRun == nil {
		p.Machines = noVerdict(machines, "not asked: "+undecided(*p))
		return nil
	}
	var err error
	if p.Machines, err = c.verdicts(ctx, p.DryRun, machines, m, over); err != nil {
		return err
	}
	return c.markAlready(ctx, *p, machines, m)
}

// verdicts on the Machines of a control plane or MachineDeployment as it would be stored.
func (c Cluster) verdicts(ctx context.Context, stored *unstructured.Unstructured, machines []*clusterv1.Machine, m machinery, over map[identity]*unstructured.Unstructured) ([]plan.Verdict, error) {
	if stored.GetKind() == deploymentKind.Kind {
		return deploymentVerdicts(stored, m, c.now()), nil
	}
	return c.controlPlaneVerdicts(ctx, stored, machines, m, over)
}

// markAlready marks the verdicts that hold for the live objects, too. They are asked for only when a Machine would go.
func (c Cluster) markAlready(ctx context.Context, p plan.Pair, machines []*clusterv1.Machine, m machinery) error {
	stays := func(v plan.Verdict) bool { return v.Outcome == plan.UpToDate }
	if !slices.ContainsFunc(p.Machines, func(v plan.Verdict) bool { return !stays(v) }) {
		return nil
	}
	now, err := c.verdicts(ctx, p.Live, machines, m, nil)
	if err != nil {
		return err
	}
	goes := map[string]bool{}
	for _, v := range now {
		goes[v.Machine] = !stays(v)
	}
	for i, v := range p.Machines {
		p.Machines[i].Already = !stays(v) && goes[v.Machine]
	}
	return nil
}

func undecided(p plan.Pair) string {
	switch {
	case len(p.Foreign) > 0:
		return "the object is not ours"
	case p.Refused != "":
		return "the API server refuses the object"
	}
	return "the API server was not asked for the object"
}

// controlPlaneVerdicts compares each Machine with a control plane as it would be stored. Cluster API takes a Machine
// whose KubeadmConfig or NutanixMachine is missing for up to date; here that is Unknown.
func (c Cluster) controlPlaneVerdicts(ctx context.Context, stored *unstructured.Unstructured, machines []*clusterv1.Machine, m machinery, over map[identity]*unstructured.Unstructured) ([]plan.Verdict, error) {
	kcp, err := typed[controlplanev1.KubeadmControlPlane](stored)
	if err != nil {
		return noVerdict(machines, err.Error()), nil
	}
	cluster := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: c.Namespace, Name: c.Name}}
	reader := overlay{Client: c.Client, reader: c.Reader, over: over}
	now := c.now()
	var verdicts []plan.Verdict
	for _, machine := range alive(machines) {
		infra, config, missing := m.behind(machine)
		if missing != "" {
			verdicts = append(verdicts, plan.Verdict{Machine: machine.Name, Outcome: plan.Unknown, Reasons: []string{missing}})
			continue
		}
		upToDate, result, err := kubeadm.UpToDate(ctx, reader, cluster, machine, kcp, &now,
			map[string]*unstructured.Unstructured{machine.Name: infra},
			map[string]*bootstrapv1.KubeadmConfig{machine.Name: config})
		if ctx.Err() != nil {
			return nil, fmt.Errorf("compare Machine %s: %w", machine.Name, ctx.Err())
		}
		verdicts = append(verdicts, controlPlaneVerdict(machine.Name, upToDate, result, err))
	}
	return verdicts, nil
}

func controlPlaneVerdict(machine string, upToDate bool, result *kubeadm.UpToDateResult, err error) plan.Verdict {
	switch {
	case err != nil:
		return plan.Verdict{Machine: machine, Outcome: plan.Unknown, Reasons: []string{err.Error()}}
	case upToDate:
		return plan.Verdict{Machine: machine, Outcome: plan.UpToDate}
	}
	// Log messages would hold a diff of the KubeadmConfig, and that may hold secrets.
	return plan.Verdict{Machine: machine, Outcome: plan.Recreate, Reasons: result.ConditionMessages}
}

// behind finds what a control-plane Machine was made of, or says what is missing.
func (m machinery) behind(machine *clusterv1.Machine) (*unstructured.Unstructured, *bootstrapv1.KubeadmConfig, string) {
	infra := named(m.infra, machine.Spec.InfrastructureRef.Name)
	if infra == nil {
		return nil, nil, fmt.Sprintf("%s %s of Machine %s is missing", machine.Spec.InfrastructureRef.Kind, machine.Spec.InfrastructureRef.Name, machine.Name)
	}
	config := named(m.configs, machine.Spec.Bootstrap.ConfigRef.Name)
	if config == nil {
		return nil, nil, fmt.Sprintf("KubeadmConfig %q of Machine %s is missing", machine.Spec.Bootstrap.ConfigRef.Name, machine.Name)
	}
	kubeadmConfig, err := typed[bootstrapv1.KubeadmConfig](config)
	if err != nil {
		return nil, nil, err.Error()
	}
	return infra, kubeadmConfig, ""
}

// deploymentVerdicts sorts the Machines of a MachineDeployment, as it would be stored, by whether their MachineSet is the
// one that Cluster API would go on with.
func deploymentVerdicts(stored *unstructured.Unstructured, m machinery, now metav1.Time) []plan.Verdict {
	machines := m.deploymentMachines(stored.GetUID())
	deployment, err := typed[clusterv1.MachineDeployment](stored)
	if err != nil {
		return noVerdict(machines, err.Error())
	}
	newest, _, results, reason := mdutil.FindNewAndOldMachineSets(deployment, m.setsOf(stored.GetUID()), now)
	var verdicts []plan.Verdict
	for _, machine := range alive(machines) {
		set := metav1.GetControllerOf(machine).Name
		if newest != nil && newest.Name == set {
			verdicts = append(verdicts, plan.Verdict{Machine: machine.Name, Outcome: plan.UpToDate})
			continue
		}
		reasons := results[set].ConditionMessages
		if len(reasons) == 0 {
			reasons = []string{cmp.Or(reason, "MachineSet "+set+" is not the newest")}
		}
		verdicts = append(verdicts, plan.Verdict{Machine: machine.Name, Outcome: plan.Recreate, Reasons: reasons})
	}
	return verdicts
}

// present are the Machines of an object that goes, for which there is nothing to decide.
func (m machinery) present(o *unstructured.Unstructured) []plan.Verdict {
	switch o.GetKind() {
	case controlPlaneKind.Kind:
		return upToDate(m.ownedBy(o.GetUID()))
	case deploymentKind.Kind:
		return upToDate(m.deploymentMachines(o.GetUID()))
	}
	return nil
}

func upToDate(machines []*clusterv1.Machine) []plan.Verdict {
	var verdicts []plan.Verdict
	for _, machine := range alive(machines) {
		verdicts = append(verdicts, plan.Verdict{Machine: machine.Name, Outcome: plan.UpToDate})
	}
	return verdicts
}

func noVerdict(machines []*clusterv1.Machine, reason string) []plan.Verdict {
	var verdicts []plan.Verdict
	for _, machine := range alive(machines) {
		verdicts = append(verdicts, plan.Verdict{Machine: machine.Name, Outcome: plan.Unknown, Reasons: []string{reason}})
	}
	return verdicts
}

// alive are the Machines that are not being deleted, by name.
func alive(machines []*clusterv1.Machine) []*clusterv1.Machine {
	living := slices.DeleteFunc(slices.Clone(machines), func(m *clusterv1.Machine) bool { return !m.DeletionTimestamp.IsZero() })
	slices.SortFunc(living, func(a, b *clusterv1.Machine) int { return cmp.Compare(a.Name, b.Name) })
	return living
}

// oldestVersion is the lowest Kubernetes version among Machines, those being deleted included; empty when none has a
// version that can be read.
func oldestVersion(machines []*clusterv1.Machine) string {
	return extremeVersion(machines, func(v, than *semver.Version) bool { return v.LessThan(than) })
}

// newestVersion is the highest Kubernetes version among the Machines that have a Node, those being deleted included;
// empty when there is none. A Machine that has not joined yet has changed nothing, and a roll that is stuck with it can
// be taken back.
func newestVersion(machines []*clusterv1.Machine) string {
	joined := slices.DeleteFunc(slices.Clone(machines), func(m *clusterv1.Machine) bool { return !m.Status.NodeRef.IsDefined() })
	return extremeVersion(joined, func(v, than *semver.Version) bool { return v.GreaterThan(than) })
}

func extremeVersion(machines []*clusterv1.Machine, beyond func(v, than *semver.Version) bool) string {
	var extreme *semver.Version
	for _, m := range machines {
		v, err := semver.NewVersion(m.Spec.Version)
		if err == nil && (extreme == nil || beyond(v, extreme)) {
			extreme = v
		}
	}
	if extreme == nil {
		return ""
	}
	return extreme.Original()
}
