package truth

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/test/leaf"
)

const infra = "infrastructure.cluster.x-k8s.io/v1beta1"

// Values of the file hand.yaml that scenarios change.
var (
	workers = []string{"spec", "nodePools", "[0]"}
	burst   = []string{"spec", "nodePools", "[1]"}
)

// TestByHand takes one cluster through what no single change of a field shows.
func TestByHand(t *testing.T) {
	t.Parallel()
	s := newStage(t, "hand", "by-hand")
	for _, step := range []struct {
		name string
		run  func(*testing.T, *stage)
	}{
		{"TwoChangesInOneCommit", twoChanges},
		{"AutoscalerMovedThePool", autoscaled},
		{"HalfWayThroughARoll", halfWay},
		{"EditedTemplateAndAnotherChange", editedTemplate},
		{"EditedTemplateOfTheChangedPool", editedTemplateOfPool},
		{"Paused", paused},
		{"OnePoolForAnother", onePoolForAnother},
		{"EvenControlPlane", evenControlPlane},
	} {
		t.Run(step.name, func(t *testing.T) { step.run(t, s) })
	}
}

// change is one value of the cluster's document.
type change struct {
	at    []string
	value any
}

func at(parent []string, steps ...string) []string {
	return append(append([]string{}, parent...), steps...)
}

// with is the file with some values changed.
func (s *stage) with(t *testing.T, changes ...change) string {
	t.Helper()
	file, err := leaf.Read([]byte(s.file.Text()))
	if err != nil {
		t.Fatal(err)
	}
	cluster := len(file.Docs()) - 1
	for _, c := range changes {
		if err := file.Set(cluster, leaf.Replace(file.Docs()[cluster], c.at, c.value, false)); err != nil {
			t.Fatal(err)
		}
	}
	return file.Text()
}

// apply runs a scenario and makes its file what Git holds.
func (s *stage) apply(t *testing.T, name string, changes ...change) outcome {
	t.Helper()
	text := s.with(t, changes...)
	actual := s.run(t, scenario{name: name, text: text})
	if actual.refused != "" {
		s.back()
		return actual
	}
	s.keep(text)
	return actual
}

// expect fails unless so many machines of an owner were re-created: a prediction that is right about nothing at all shows
// nothing.
func expect(t *testing.T, actual outcome, owner string, recreated int) {
	t.Helper()
	if have := actual.machines[owner]; have.recreated != recreated || actual.refused != "" {
		t.Errorf("of %s were re-created %d, want %d (refused: %q)", owner, have.recreated, recreated, actual.refused)
	}
}

func twoChanges(t *testing.T, s *stage) {
	t.Helper()
	actual := s.apply(t, "two changes",
		change{at(workers, "machine", "memory"), "6Gi"},
		change{[]string{"spec", "controlPlane", "machine", "vcpuSockets"}, int64(4)},
		change{at(burst, "labels", "[node.cluster.x-k8s.io/row]"), "2"},
	)
	expect(t, actual, "MachineDeployment/hand-workers", 1)
	expect(t, actual, "KubeadmControlPlane/hand-kcp", 1)
	expect(t, actual, "MachineDeployment/hand-burst", 0)
}

// autoscaled has a fake autoscaler scale a pool before a change of it, and before one of something else.
func autoscaled(t *testing.T, s *stage) {
	t.Helper()
	s.scale(t, "hand-burst", 2)
	expect(t, s.apply(t, "something else", change{at(workers, "labels", "[node.cluster.x-k8s.io/row]"), "2"}), "MachineDeployment/hand-burst", 0)
	expect(t, s.apply(t, "the pool", change{at(burst, "machine", "memory"), "6Gi"}), "MachineDeployment/hand-burst", 2)
	if size := s.count().size["MachineDeployment/hand-burst"]; size != 2 {
		t.Errorf("the pool has size %d, and the autoscaler chose 2", size)
	}
	s.scale(t, "hand-burst", 1)
}

// scale writes to the scale subresource, as the cluster autoscaler does, and waits.
func (s *stage) scale(t *testing.T, pool string, replicas int) {
	t.Helper()
	o := &unstructured.Unstructured{}
	o.SetAPIVersion(core)
	o.SetKind("MachineDeployment")
	o.SetNamespace(s.Namespace)
	o.SetName(pool)
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))
	if err := s.Client.SubResource("scale").Patch(t.Context(), o, patch); err != nil {
		t.Fatal(err)
	}
	s.Within(patience, "the pool is scaled", func() error {
		if n := len(s.count().machines["MachineDeployment/"+pool]); n != replicas {
			return fmt.Errorf("%d machines", n)
		}
		return nil
	})
	s.settle(s.decode(s.file.Text()))
}

// halfWay changes a pool again while it rolls.
func halfWay(t *testing.T, s *stage) {
	t.Helper()
	text := s.with(t, change{at(workers, "machine", "memory"), "8Gi"})
	before := s.count().machines["MachineDeployment/hand-workers"]
	if refused := s.decided(s.Push("the first change", s.tree(text))); refused != "" {
		t.Fatal(refused)
	}
	s.keep(text)
	s.Within(patience, "a new machine is there", func() error {
		for uid := range s.count().machines["MachineDeployment/hand-workers"] {
			if !before[uid] {
				return nil
			}
		}
		return fmt.Errorf("none")
	})
	text = s.with(t, change{at(workers, "machine", "vcpuSockets"), int64(4)})
	expect(t, s.run(t, scenario{name: "the second change", text: text, underway: true}), "MachineDeployment/hand-workers", 1)
	s.keep(text)
}

// edit changes the memory of a pool's template by another hand.
func (s *stage) edit(t *testing.T, pool string) {
	t.Helper()
	md := s.Object(core, "MachineDeployment", pool)
	name, _, _ := unstructured.NestedString(md.Object, "spec", "template", "spec", "infrastructureRef", "name")
	o := s.Object(infra, "NutanixMachineTemplate", name)
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"template":{"spec":{"memorySize":"16Gi"}}}}`))
	if err := s.Client.Patch(t.Context(), o, patch, client.FieldOwner("kubectl-edit")); err != nil {
		t.Fatal(err)
	}
}

// editedTemplate puts a template back that somebody edited, in the commit of something else: no machine moves.
func editedTemplate(t *testing.T, s *stage) {
	t.Helper()
	s.apply(t, "drift is only reported", change{[]string{"spec", "drift", "objects"}, "Report"})
	s.edit(t, "hand-workers")
	actual := s.apply(t, "something else", change{at(burst, "labels", "[node.cluster.x-k8s.io/row]"), "3"})
	expect(t, actual, "MachineDeployment/hand-workers", 0)
}

// editedTemplateOfPool changes a pool whose template somebody edited.
func editedTemplateOfPool(t *testing.T, s *stage) {
	t.Helper()
	s.edit(t, "hand-workers")
	expect(t, s.apply(t, "the same pool", change{at(workers, "machine", "systemDisk"), "45Gi"}), "MachineDeployment/hand-workers", 1)
	s.apply(t, "drift is corrected", change{[]string{"spec", "drift", "objects"}, "Correct"})
}

// paused changes a pool while Cluster API is paused; machines move when it goes on.
func paused(t *testing.T, s *stage) {
	t.Helper()
	text := s.with(t, change{[]string{"spec", "paused"}, true})
	s.run(t, scenario{name: "pause", text: text, still: true})
	s.keep(text)
	base := s.decode(s.file.Text())
	changed := s.with(t, change{at(workers, "machine", "memory"), "10Gi"})
	offline := s.offline(t, base, s.decode(changed))
	exact, err := s.exact(t.Context(), base, s.decode(changed), s.look(t))
	if err != nil {
		t.Fatal(err)
	}
	before := s.count()
	watched := s.watchRoom()
	if refused := s.decided(s.Push("a change while paused", s.tree(changed))); refused != "" {
		t.Fatal(refused)
	}
	s.keep(changed)
	s.rest()
	if moved := s.count().since(before); len(moved) > 0 {
		t.Errorf("machines of a paused cluster moved: %v", moved)
	}
	on := s.with(t, change{[]string{"spec", "paused"}, false})
	hash := s.Push("go on", s.tree(on))
	if refused := s.decided(hash); refused != "" {
		t.Fatal(refused)
	}
	s.keep(on)
	s.settle(s.decode(on))
	actual := outcome{machines: s.count().since(before), room: watched()}
	wrong := slices.Concat(offline.differences("offline", actual), exact.differences("exact", actual), exact.short(actual.room))
	tally.add(offline, exact, actual, len(wrong))
	if len(wrong) > 0 {
		t.Errorf("a change while paused, seed %d: %s%s", seed, strings.Join(wrong, "; "), exact.says())
	}
	expect(t, actual, "MachineDeployment/hand-workers", 1)
}

// onePoolForAnother removes a pool and adds one in the same commit.
func onePoolForAnother(t *testing.T, s *stage) {
	t.Helper()
	extra := map[string]any{
		"name": "extra", "replicas": int64(1),
		"machine": map[string]any{"vcpuSockets": int64(2), "memory": "4Gi", "systemDisk": "40Gi"},
	}
	actual := s.apply(t, "one pool for another", change{workers, extra})
	if n := actual.machines["MachineDeployment/hand-workers"]; n.removed != 1 {
		t.Errorf("of the pool that went were removed %d", n.removed)
	}
}

// evenControlPlane is refused, and nothing moves.
func evenControlPlane(t *testing.T, s *stage) {
	t.Helper()
	if actual := s.apply(t, "two control planes", change{[]string{"spec", "controlPlane", "replicas"}, int64(2)}); actual.refused == "" {
		t.Error("it was not refused")
	}
}
