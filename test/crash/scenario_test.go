package crash

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/crash/trial"
	"github.com/refract-dev/refract/test/rig"
)

// step of a fleet's life: what somebody does, and when the operator has followed.
type step struct {
	name string
	do   func(*trial.Trial)
	done func(*trial.Trial) error
}

// outcome of one step: what there is, how often each object was created so far, and what was written.
type outcome struct {
	dump   trial.Dump
	births map[string]int
	writes []string
}

// life of one cluster, and what comes out of each of its steps when nothing disturbs them.
type life struct {
	steps    []step
	outcomes []outcome
	ready    []chan struct{} // closed with each outcome
}

// reference is the life that all trials are compared with.
var reference *life

// most is how many writes any step may have.
const most = 50

const edge = "edge-01"

// newLife is created, changed, which is held and approved, let go of, adopted and deleted. The commits are the same for
// all trials.
func newLife(t *testing.T) *life {
	t.Helper()
	c := rig.Cluster{
		Name: edge, Endpoint: "10.20.0.10", ControlPlanes: 1, Workers: 2, Pools: map[string]int{"extra": 1}, DeletionPolicy: "Orphan",
	}
	layer := "    - name: %[1]s\n      type: AddOn\n      kustomize: {path: layers/%[1]s}\n"
	file := "fleet/" + edge + ".yaml"
	files := map[string]string{
		"fleet/account.yaml":       rig.Account("pc-east", shared.World.Prism.Host),
		"fleet/profile-1.0.0.yaml": rig.Profile("1.0.0", "v1.33.4") + fmt.Sprintf(layer, "one"),
		"fleet/profile-1.0.1.yaml": rig.Profile("1.0.1", "v1.33.4") + fmt.Sprintf(layer, "two"),
		file:                       c.File(),
	}
	for _, name := range []string{"one", "two"} {
		files["fleet/layers/"+name+"/kustomization.yaml"] = "resources: [map.yaml]\n"
		files["fleet/layers/"+name+"/map.yaml"] = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: default}\ndata: {a: b}\n"
	}
	create := shared.Commit(t, "a fleet", files)
	c.WorkerMemory, c.ControlPlaneMemory, c.Pools, c.Profile = "6Gi", "8Gi", map[string]int{"other": 1}, "1.0.1"
	change := shared.Commit(t, "more memory, another pool, a new profile", map[string]string{file: c.File()})
	release := shared.Commit(t, "let it go", map[string]string{file: ""})
	c.Extra, c.DeletionPolicy = "  adopt: true\n", "Delete"
	adopt := shared.Commit(t, "take it over", map[string]string{file: c.File()})
	remove := shared.Commit(t, "delete it", map[string]string{file: ""})
	l := &life{steps: []step{
		{"Create", func(x *trial.Trial) {
			x.Point(create)
			x.Launch("./fleet", func(f *v1alpha1.Fleet) {
				f.Spec.Limits = v1alpha1.Limits{RecreatedMachines: ptr.To[int32](0), DeletedClusters: ptr.To[int32](1), PrunedPercent: ptr.To[int32](100)}
			})
		}, applied(create)},
		{"Change", func(x *trial.Trial) { x.Point(change) }, held},
		{"Approve", approve, applied(change)},
		{"Release", func(x *trial.Trial) { x.Point(release) }, gone(release)},
		{"Adopt", func(x *trial.Trial) { x.Point(adopt) }, applied(adopt)},
		{"Delete", func(x *trial.Trial) { x.Point(remove) }, gone(remove)},
	}}
	l.outcomes = make([]outcome, len(l.steps))
	for range l.steps {
		l.ready = append(l.ready, make(chan struct{}))
	}
	return l
}

// undisturbed lives it without crashes.
func (l *life) undisturbed(t *testing.T) {
	t.Helper()
	x := shared.New(t, "trial-undisturbed")
	x.Operate()
	before := 0
	for i, s := range l.steps {
		s.do(x)
		x.Within(trial.Long, s.name, func() error { return s.done(x) })
		x.Quiet(4)
		writes := x.Door.Writes()
		l.outcomes[i] = outcome{dump: x.Dump(), births: x.Births(), writes: writes[before:]}
		close(l.ready[i])
		t.Logf("%s: %d writes", s.name, len(writes)-before)
		if len(writes)-before > most {
			t.Errorf("a step has more than %d writes: raise most", most)
		}
		before = len(writes)
	}
}

// after is what comes out of the i-th step.
func (l *life) after(t *testing.T, i int) outcome {
	t.Helper()
	if l == nil {
		t.Fatal("nothing to compare with: run TestCrash/Undisturbed as well")
	}
	late := time.NewTimer(trial.Long)
	defer late.Stop()
	select {
	case <-l.ready[i]:
	case <-late.C:
		t.Fatal("nothing to compare with: run TestCrash/Undisturbed as well, and see whether it failed")
	}
	return l.outcomes[i]
}

// needs skips the test when no step comes near so many writes, which vary a little: two changes of a status may be written
// as one.
func (l *life) needs(t *testing.T, n int) {
	t.Helper()
	if !full {
		return
	}
	longest := 0
	for i := range l.steps {
		longest = max(longest, len(l.after(t, i).writes))
	}
	if n > longest+2 {
		t.Skipf("no step has more than %d writes", longest)
	}
}

// enough says whether the short form ends before a step: the change is applied by then.
func (s step) enough() bool { return !full && s.name == "Release" }

// same waits until there is what there is after the i-th step of a life without crashes. looks is how often an operator
// looked at the Fleet since its last write.
func (l *life) same(x *trial.Trial, i int, looks func() int) {
	x.T.Helper()
	want, name := l.after(x.T, i), l.steps[i].name
	x.Within(trial.Long, name, func() error {
		if n := looks(); n < 2 {
			return fmt.Errorf("%d looks since the last write", n)
		}
		if differs := want.dump.Diff(x.Dump()); differs != "" {
			return errors.New(differs)
		}
		if differs := cmp.Diff(want.births, x.Births()); differs != "" {
			return fmt.Errorf("objects were created more or less often: %s", differs)
		}
		return nil
	})
}

// handled says whether the Fleet is through with a commit.
func handled(x *trial.Trial, commit string) error {
	f := x.Fleet(trial.Fleet)
	if f.Status.LastAppliedRevision != x.Namespace+"@sha1:"+commit {
		return fmt.Errorf("the Fleet says %+v, failures %+v", f.Status.Conditions, f.Status.Failures)
	}
	return rig.Has(f, v1alpha1.ReadyCondition, metav1.ConditionTrue, "")
}

func applied(commit string) func(*trial.Trial) error {
	return func(x *trial.Trial) error {
		if err := handled(x, commit); err != nil {
			return err
		}
		c := x.Cluster(edge)
		if err := rig.Has(c, v1alpha1.SourceAcceptedCondition, metav1.ConditionTrue, v1alpha1.AcceptedReason); err != nil {
			return err
		}
		return rig.Has(c, v1alpha1.InSyncCondition, metav1.ConditionTrue, v1alpha1.InSyncReason)
	}
}

func held(x *trial.Trial) error {
	c := x.Cluster(edge)
	if c.Status.Plan.Digest == "" {
		return fmt.Errorf("nothing is held: %+v", c.Status.Conditions)
	}
	return rig.Has(c, v1alpha1.SourceAcceptedCondition, metav1.ConditionFalse, v1alpha1.LimitExceededReason)
}

func approve(x *trial.Trial) {
	c := x.Cluster(edge)
	if err := x.Approve(c, c.Status.Plan.Digest); err != nil {
		x.T.Fatal(err)
	}
}

func gone(commit string) func(*trial.Trial) error {
	return func(x *trial.Trial) error {
		if c := x.Cluster(edge); c != nil {
			return fmt.Errorf("the mirror is there: %+v", c.Status.Conditions)
		}
		return handled(x, commit)
	}
}
