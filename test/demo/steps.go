package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// step is one step of the day.
type step struct {
	title string
	do    func(context.Context) error
}

func (d *demo) steps() []step {
	return []step{
		{"A management cluster and a Prism Central", d.showWorld},
		{"Refract beside them", d.showOperator},
		{"Three clusters in Git", d.showFiles},
		{"The clusters come up", d.showBirth},
		{"More memory: the plan first, then the roll", d.showRoll},
		{"Somebody edits by hand", d.showDrift},
		{"Somebody works in Prism Central", d.showMachines},
		{"A change past the limits", d.showLimit},
		{"A mistake in a file", d.showMistake},
	}
}

// play takes the steps one after the other and stops at the first that fails.
func (d *demo) play(ctx context.Context) error {
	for i, s := range d.steps() {
		if i > 0 {
			d.pause(ctx)
		}
		d.number, d.title = i+1, s.title
		d.show.step(d.number, d.title)
		if err := s.do(ctx); err != nil {
			return err
		}
	}
	return nil
}

const status = "kubectl get fleets,nutanixclusterspecs -n clusters"

func (d *demo) showWorld(ctx context.Context) error {
	d.show.say(`etcd, kube-apiserver and the released controllers of Cluster API and CAPX, built from pinned Go modules: the
		first time that takes up to a quarter of an hour, later runs find them ready. Prism Central is simulated, and so are the machines'
		insides; everything else is the real thing. All of it listens on loopback addresses and ends with this program.`)
	return d.startWorld(ctx)
}

func (d *demo) showOperator(ctx context.Context) error {
	d.show.say(`Installed is what "kubectl apply -k config/default" installs: CRDs, roles, admission policies. The operator
		runs as a process here instead of a pod, with the rights of its service account and no others.`)
	if err := d.startOperator(ctx); err != nil {
		return err
	}
	d.show.write("\n")
	d.show.seen("It is ready, and writes its log to %s", d.log(operatorName))
	return nil
}

func (d *demo) showFiles(ctx context.Context) error {
	if err := d.startGit(ctx); err != nil {
		return err
	}
	d.show.say(`One profile says what clusters are made of, three files say which there are: a small one, one with three
		control-plane machines and two pools, one whose workers are counted by an autoscaler. From here on you can type
		along in a second terminal:`)
	d.showSettings()
	if err := d.allTyped(ctx,
		"find fleet -name '*.yaml' | sort",
		"cat fleet/clusters/edge-01.yaml",
		"git add . && git commit -q -m 'Three clusters' && git push -q && git log --oneline",
	); err != nil {
		return err
	}
	d.show.say(`Secrets are not in Git. The Fleet says which repository to follow, and what may happen without a person's word;
		its limits are the defaults here.`)
	prism := d.world.Prism
	return d.allTyped(ctx,
		"kubectl create namespace clusters",
		fmt.Sprintf("kubectl create secret generic git-credentials -n clusters --from-literal=username=%s --from-literal=password=%s", d.git.Username, d.git.Password),
		fmt.Sprintf("kubectl create secret generic pc-credentials -n clusters --from-literal=username=%s --from-literal=password=%s", prism.Username, prism.Password),
		"cat "+fleetFile,
		"kubectl apply -f "+fleetFile,
	)
}

func (d *demo) showBirth(ctx context.Context) error {
	d.show.say(`Refract reads the commit, renders Cluster API objects, plans, and applies. Cluster API and CAPX do the rest.
		These are the virtual machines in Prism Central:`)
	head, err := d.head(ctx)
	if err != nil {
		return err
	}
	if err := d.watch(ctx, "edge-", "all three clusters Ready", both(d.accepted(head), d.allReady("edge-", 3))); err != nil {
		return err
	}
	if refused := d.world.Prism.Server.Refused(); len(refused) > 0 {
		return fmt.Errorf("the simulated Prism Central refused %q", refused)
	}
	return d.allTyped(ctx, status, "kubectl get machines -n clusters")
}

func (d *demo) showRoll(ctx context.Context) error {
	d.show.say("The worker of edge-01 is to have more memory. Before the push, refract plan asks the management cluster what that would do:")
	const file = "fleet/clusters/edge-01.yaml"
	if err := d.allTyped(ctx, "sed -i '/nodePools:/,$ s/memory: 4Gi/memory: 6Gi/' "+file, "git diff -U0"); err != nil {
		return err
	}
	plan, err := d.typed(ctx, "refract plan fleet --fleet production -n clusters", 1)
	if err != nil {
		return err
	}
	if !strings.Contains(plan, "6Gi") || !strings.Contains(plan, "1 machine re-created") {
		return errors.New("the plan does not say that one machine is re-created with 6Gi")
	}
	d.show.say("One machine re-created, which is within the limits. So the push is all it takes, and the new machine comes before the old one goes:")
	head, err := d.push(ctx, "git commit -q -a -m 'More memory for edge-01' && git push -q")
	if err != nil {
		return err
	}
	server := d.world.Prism.Server
	r := roll{before: rowsOf(server.VMs(), "edge-01-")}
	looked := func(context.Context) error {
		now := rowsOf(server.VMs(), "edge-01-")
		r.look(now)
		return r.finished(now)
	}
	if err = d.watch(ctx, "edge-01-", "the new worker", both(looked, both(d.accepted(head), d.allReady("edge-01", 1)))); err != nil {
		return err
	}
	if r.gap {
		return errors.New("for a moment edge-01 had no worker that was up")
	}
	d.show.seen("One worker replaced, the control plane untouched, and never without a worker.")
	_, err = d.typed(ctx, status)
	return err
}

// push types a command that pushes and returns the new head.
func (d *demo) push(ctx context.Context, command string) (string, error) {
	if _, err := d.typed(ctx, command); err != nil {
		return "", err
	}
	return d.head(ctx)
}

func (d *demo) showDrift(ctx context.Context) error {
	d.show.say("A colleague switches the repair of edge-01's workers off, in the management cluster, and tells nobody:")
	const get = `kubectl get machinehealthcheck edge-01-workers -n clusters -o jsonpath='{.spec.remediation.triggerIf.unhealthyLessThanOrEqualTo}{"\n"}'`
	before, err := d.typed(ctx, get)
	if err != nil {
		return err
	}
	if _, err = d.typed(ctx, `kubectl patch machinehealthcheck edge-01-workers -n clusters --type merge -p '{"spec":{"remediation":{"triggerIf":{"unhealthyLessThanOrEqualTo":"0%"}}}}'`); err != nil {
		return err
	}
	if err = d.until(ctx, promptness, "the edit put back", d.answers(get, before)); err != nil {
		return err
	}
	d.show.say("Refract watches what it applied. The edit is put back at once, and an event says who changed which field:")
	if _, err = d.typed(ctx, get); err != nil {
		return err
	}
	const events = "kubectl get events -n clusters --field-selector reason=DriftCorrected -o custom-columns=CLUSTER:.involvedObject.name,MESSAGE:.message"
	const event = "unhealthyLessThanOrEqualTo: kubectl-patch changed it"
	if err = d.until(ctx, promptness, "an event that names the manager and the field", d.answers(events, event)); err != nil {
		return err
	}
	_, err = d.typed(ctx, events)
	return err
}

func (d *demo) showLimit(ctx context.Context) error {
	d.show.say(`A commit that deletes a cluster. Its file allows that (deletionPolicy: Delete), but the Fleet's limits let no
		cluster go without a person's word:`)
	if _, err := d.push(ctx, "git rm -q fleet/clusters/edge-03.yaml && git commit -q -m 'edge-03 is not needed any more' && git push -q"); err != nil {
		return err
	}
	digest := ""
	if err := d.until(ctx, promptness, "the deletion held", d.held("edge-03", &digest)); err != nil {
		return err
	}
	d.show.say("The deletion is held, and edge-03 runs on. The Fleet shows the plan and its digest (an autoscaled pool counts with its maximum):")
	if err := d.allTyped(ctx, status,
		"kubectl get fleet production -n clusters -o custom-columns=SEVERITY:.status.plan.severity,PLAN:.status.plan.summary,DIGEST:.status.plan.digest",
	); err != nil {
		return err
	}
	if err := d.allReady("edge-03", 1)(ctx); err == nil {
		return errors.New("a held cluster says that it is Ready")
	}
	if len(rowsOf(d.world.Prism.Server.VMs(), "edge-03-")) == 0 {
		return errors.New("edge-03 lost its machines before anybody approved")
	}
	d.show.say("An approval is for this plan and no other. It takes the verb approve, and is signed with your own name:")
	if _, err := d.typed(ctx, "refract approve fleet/production "+digest+" -n clusters"); err != nil {
		return err
	}
	if err := d.watch(ctx, "edge-03", "edge-03 gone", d.gone("edge-03")); err != nil {
		return err
	}
	head, err := d.head(ctx)
	if err != nil {
		return err
	}
	if err := d.until(ctx, promptness, "the Fleet Ready again", both(d.accepted(head), d.allReady("edge-", 2))); err != nil {
		return err
	}
	d.show.seen("edge-03 is gone, with its machines and Secrets. The approval is spent.")
	return nil
}

func (d *demo) showMistake(ctx context.Context) error {
	d.show.say("A slip of the keyboard, pushed:")
	const file = "fleet/clusters/edge-02.yaml"
	if _, err := d.push(ctx, "sed -i 's/nodePools:/nodepools:/' "+file+" && git commit -q -a -m 'Tidy edge-02' && git push -q"); err != nil {
		return err
	}
	if err := d.until(ctx, promptness, "the file and line in the Fleet's status", d.mistake(file, "nodepools")); err != nil {
		return err
	}
	d.show.say("The Fleet says where and what. edge-02 keeps its last accepted state, and nobody else is concerned:")
	if err := d.allTyped(ctx,
		`kubectl get fleet production -n clusters -o jsonpath='{.status.conditions[?(@.type=="Ready")].message}{"\n"}'`, status); err != nil {
		return err
	}
	d.show.say("refract validate would have said so before the push (exit code 1):")
	if _, err := d.typed(ctx, "refract validate fleet", 1); err != nil {
		return err
	}
	head, err := d.push(ctx, "git revert --no-edit HEAD >/dev/null && git push -q")
	if err != nil {
		return err
	}
	if err = d.until(ctx, promptness, "all well again", both(d.accepted(head), d.allReady("edge-", 2))); err != nil {
		return err
	}
	d.show.seen("Reverted, and all is well. No machine noticed.")
	_, err = d.typed(ctx, status)
	return err
}
