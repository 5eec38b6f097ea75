// Package live kills the operator while machines run: the controllers of Cluster API and CAPX are real, and no machine is
// created or re-created that would not have been in a life without crashes.
package live

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/crash/trial"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

var shared trial.Setting

// full has ten trials; else there are two.
var full = os.Getenv("REFRACT_PROOF") == "full"

func TestMain(m *testing.M) {
	flag.Parse()
	// Trials mostly wait for machines.
	if err := flag.Set("test.parallel", "4"); err != nil {
		os.Exit(2)
	}
	os.Exit(trial.Run(m, &shared, world.Options{Managers: true}))
}

// rolled is how long machines may take on a busy computer.
const rolled = 6 * time.Minute

// step of a cluster's life.
type step struct {
	name   string
	commit string
	done   func(*one) error
}

// one cluster in a namespace of its own. Its name is its identity in Prism Central, which all share.
type one struct {
	*trial.Trial
	name, endpoint string
	steps          []step
}

// newOne makes a cluster's commits: created, its workers rolled, deleted.
func newOne(t *testing.T, name string) *one {
	t.Helper()
	o := &one{name: name, endpoint: shared.World.Endpoint()}
	c := rig.Cluster{Name: name, Endpoint: o.endpoint, ControlPlanes: 1, Workers: 1, DeletionPolicy: "Delete"}
	file := name + "/cluster.yaml"
	create := shared.Commit(t, "a cluster", map[string]string{
		name + "/account.yaml": rig.Account("pc-east", shared.World.Prism.Host),
		name + "/profile.yaml": rig.Profile("1.0.0", "v1.33.4"),
		file:                   c.File(),
	})
	c.WorkerMemory = "6Gi"
	roll := shared.Commit(t, "more memory", map[string]string{file: c.File()})
	remove := shared.Commit(t, "delete it", map[string]string{file: ""})
	o.steps = []step{
		{"Create", create, func(o *one) error { return o.runs(create) }},
		{"Roll", roll, func(o *one) error { return o.runs(roll) }},
		{"Delete", remove, func(o *one) error { return o.gone(remove) }},
	}
	return o
}

// begin makes the namespace, starts the operator and declares a Fleet over the cluster's directory.
func (o *one) begin(t *testing.T) {
	t.Helper()
	o.Trial = shared.New(t, "trial-"+o.name)
	o.Point(o.steps[0].commit)
	o.Launch("./"+o.name, func(f *v1alpha1.Fleet) {
		f.Spec.Limits = v1alpha1.Limits{DeletedClusters: ptr.To[int32](1), PrunedPercent: ptr.To[int32](100)}
	})
}

func (o *one) handled(commit string) error {
	f := o.Fleet(trial.Fleet)
	if f.Status.LastAppliedRevision != o.Namespace+"@sha1:"+commit {
		return fmt.Errorf("the Fleet says %+v, failures %+v", f.Status.Conditions, f.Status.Failures)
	}
	return nil
}

// runs says whether a commit is carried out, with all machines.
func (o *one) runs(commit string) error {
	if err := o.handled(commit); err != nil {
		return err
	}
	c := o.Cluster(o.name)
	if err := rig.Has(c, v1alpha1.ReadyCondition, metav1.ConditionTrue, ""); err != nil {
		return err
	}
	if n := o.vms(); n != 2 || len(o.Machines(o.name)) != 2 {
		return fmt.Errorf("%d VMs, Machines %v", n, o.Machines(o.name))
	}
	if n := len(o.Objects("infrastructure.cluster.x-k8s.io/v1beta1", "NutanixMachineTemplate", o.name)); n != 2 {
		return fmt.Errorf("%d templates for one control plane and one pool", n)
	}
	return nil
}

func (o *one) gone(commit string) error {
	if err := o.handled(commit); err != nil {
		return err
	}
	if c := o.Cluster(o.name); c != nil {
		return fmt.Errorf("the mirror is there: %+v", c.Status.Conditions)
	}
	if n := o.vms(); n != 0 || len(o.Machines(o.name)) != 0 {
		return fmt.Errorf("%d VMs, Machines %v", n, o.Machines(o.name))
	}
	return nil
}

// vms counts the cluster's VMs.
func (o *one) vms() int {
	n := 0
	for _, vm := range o.World.Prism.Server.VMs() {
		if strings.HasPrefix(vm.Name, o.name+"-") {
			n++
		}
	}
	return n
}

// outcome of a step.
type outcome struct {
	rendered      trial.Dump
	created, live map[string]int
	kept          int // machines that were there before the step
	vms           int
}

func (o *one) outcome(before map[types.UID]string) outcome {
	now := outcome{rendered: o.Rendered(o.name, o.name, "<cluster>", o.endpoint, "<endpoint>"), vms: o.vms()}
	now.created, now.live = o.BirthsByKind()
	for uid := range o.Machines(o.name) {
		if _, ok := before[uid]; ok {
			now.kept++
		}
	}
	return now
}

// differs says how another outcome differs, nil when it does not.
func (a outcome) differs(b outcome) error {
	text := a.rendered.Diff(b.rendered)
	text += cmp.Diff(a.live, b.live) + cmp.Diff(a.created, b.created)
	if a.kept != b.kept || a.vms != b.vms {
		text += fmt.Sprintf("%d machines were kept and there are %d VMs, want %d and %d", b.kept, b.vms, a.kept, a.vms)
	}
	if text == "" {
		return nil
	}
	return errors.New(text)
}

var (
	outcomes = make([]outcome, 3)
	ready    = []chan struct{}{make(chan struct{}), make(chan struct{}), make(chan struct{})}
)

// after is what comes out of the i-th step of a life without crashes.
func after(t *testing.T, i int) outcome {
	t.Helper()
	late := time.NewTimer(rolled)
	defer late.Stop()
	select {
	case <-ready[i]:
	case <-late.C:
		t.Fatal("nothing to compare with: run TestCrash/Undisturbed as well, and see whether it failed")
	}
	return outcomes[i]
}

// TestCrash has the operator crash once in each step, and compares machines with those of a life without crashes.
func TestCrash(t *testing.T) {
	quiet := newOne(t, "live-000")
	t.Run("Undisturbed", func(t *testing.T) {
		t.Parallel()
		quiet.begin(t)
		quiet.Operate()
		for i, s := range quiet.steps {
			before := quiet.Machines(quiet.name)
			quiet.Point(s.commit)
			quiet.Within(rolled, s.name, func() error { return s.done(quiet) })
			quiet.Quiet(4)
			outcomes[i] = quiet.outcome(before)
			close(ready[i])
			t.Logf("%s: %d writes, %+v of %+v created live, %d machines kept", s.name, len(quiet.Door.Writes()), outcomes[i].live, outcomes[i].created, outcomes[i].kept)
		}
	})
	for k := range 10 {
		if !full && k%5 != 2 {
			continue
		}
		o := newOne(t, fmt.Sprintf("live-%03d", k+1))
		t.Run(fmt.Sprintf("Kill%02d", k+1), func(t *testing.T) {
			t.Parallel()
			o.killed(t, k)
		})
	}
}

// killed lives with a crash in each step, spread over its writes.
func (o *one) killed(t *testing.T, k int) {
	t.Helper()
	o.begin(t)
	o.Operate()
	spread := []int{3 + 3*k, 2 + k, 1 + 2*k}
	for i, s := range o.steps {
		before := o.Machines(o.name)
		o.Door.Trap(spread[i], k%2 == 0, func(write string) {
			t.Logf("%s: killed at write %d, %s, answer delivered: %v", s.name, spread[i], write, k%2 == 0)
			o.Kill()
		})
		o.Point(s.commit)
		o.Within(rolled, s.name, func() error { return s.done(o) })
		o.Quiet(2)
		want := after(t, i)
		o.Within(trial.Long, "the same as without crashes", func() error { return want.differs(o.outcome(before)) })
		o.Door.Untrap()
	}
	if all, killed := o.Ends(); all != killed {
		t.Errorf("the operator ended %d times, and was killed %d times", all, killed)
	}
}
