package machines

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/machines/seen"
	"github.com/refract-dev/refract/test/prismsim/simulator"
	"github.com/refract-dev/refract/test/rig"
)

// agedFile is a cluster with all that a machine can have, in two pools. Nobody replaces machines of pool bare.
func agedFile(endpoint, drift string) string {
	return fmt.Sprintf(`apiVersion: refract.dev/v1alpha1
kind: NutanixClusterSpec
metadata: {name: %[1]s}
spec:
  accountRef: {name: pc-east}
  profiles:
    - {name: standard, version: 1.0.0}
  controlPlane:
    endpoint: {host: %[2]q}
    replicas: 1
    machine: %[4]s
  nodePools:
    - {name: general, replicas: 1, machine: %[4]s}
    - {name: bare, replicas: 1, machine: %[4]s, healthCheck: {enabled: false}}
  machineDefaults:
    prismElement: {name: PE-1}
    subnets: [{name: vlan-101}]
    categories: [{key: Environment, value: Production}]
    project: {name: platform}
  drift: {machines: %[3]s}
`, aged, endpoint, drift, "{vcpuSockets: 2, memory: 4Gi, systemDisk: 40Gi, dataDisks: [{size: 10Gi, storageContainer: {name: fast-container}}]}")
}

// site is a cluster whose VMs are changed, with what was ever shown about them.
type site struct {
	*rig.Scene
	endpoint string
	log      *seen.Log
}

// in is the site as a subtest sees it.
func (s *site) in(t *testing.T) *site {
	t.Helper()
	in, scene := *s, *s.Scene
	scene.T = t
	in.Scene = &scene
	return &in
}

// TestDrift changes the VMs of a running cluster in Prism Central.
func TestDrift(t *testing.T) {
	t.Parallel()
	scene := shared.NewScene(t, "drift")
	s := &site{Scene: scene, endpoint: scene.World.Endpoint(), log: seen.Watch(scene)}
	s.Push("a cluster", map[string]string{
		"fleet/account.yaml": rig.Account("pc-east", s.World.Prism.Host),
		"fleet/profile.yaml": rig.Profile("1.0.0", "v1.33.4"),
		agedPath:             agedFile(s.endpoint, v1alpha1.DriftReport),
	})
	s.NewFleet("production", func(f *v1alpha1.Fleet) { f.Spec.Limits.RecreatedMachines = ptr.To[int32](30) })
	s.ClusterHas(aged, v1alpha1.ReadyCondition, metav1.ConditionTrue, "", patience)
	seen.Readings(s.Scene, 2)
	for _, step := range []struct {
		name string
		run  func(*testing.T, *site)
	}{
		{"Fields", fields},
		{"NothingOfTheKind", nothing},
		{"Orphan", orphan},
		{"Double", double},
		{"OtherPrismElement", moved},
		{"Repair", repair},
		{"GrownDisk", grown},
		{"Missing", missing},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(t, s.in(t)) }) {
			break
		}
	}
	s.log.Complete(t)
}

const agedPath = "fleet/" + aged + ".yaml"

func (s *site) vms() []simulator.VM { return seen.VMs(s.Scene, aged) }

// vm is the one of the control plane (kcp) or of a pool.
func (s *site) vm(of string) simulator.VM {
	s.T.Helper()
	for _, vm := range s.vms() {
		if strings.HasPrefix(vm.Name, aged+"-"+of+"-") {
			return vm
		}
	}
	s.T.Fatalf("no VM of %s", of)
	return simulator.VM{}
}

func (s *site) edit(extID string, edit func(*simulator.VM)) {
	s.T.Helper()
	if err := s.World.Prism.Server.EditVM(extID, edit); err != nil {
		s.T.Fatal(err)
	}
}

// shows waits until a difference is shown, and looks that the cluster is as ready as it was.
func (s *site) shows(vm, field, wanted, found string) {
	s.T.Helper()
	want := seen.Finding{Cluster: aged, VM: vm, Field: field, Wanted: wanted, Found: found}
	s.Within(patience, "shown: "+want.String(), func() error {
		c := s.Cluster(aged)
		if !slices.Contains(seen.Of(c), want) {
			return fmt.Errorf("status.drift is %q", seen.Of(c))
		}
		if err := rig.Has(c, v1alpha1.InSyncCondition, metav1.ConditionFalse, v1alpha1.MachinesDriftedReason); err != nil {
			return err
		}
		return rig.Has(c, v1alpha1.ReadyCondition, metav1.ConditionTrue, "")
	})
}

// shownNoMore waits until nothing is shown of a VM.
func (s *site) shownNoMore(vm string) {
	s.T.Helper()
	s.Within(patience, "nothing is shown of "+vm, func() error {
		for _, f := range seen.Of(s.Cluster(aged)) {
			if f.VM == vm {
				return fmt.Errorf("%s", f)
			}
		}
		return nil
	})
}

// drifted waits for the event of a difference.
func (s *site) drifted(vm, field string) {
	s.T.Helper()
	s.Within(patience, "the event", func() error {
		said := s.log.Said(aged, "MachineDrifted")
		if !slices.ContainsFunc(said, func(m string) bool { return strings.Contains(m, strings.TrimSpace(vm+" "+field)+" is ") }) {
			return fmt.Errorf("said was %q", said)
		}
		return nil
	})
}

// inSync waits until nothing differs.
func (s *site) inSync() {
	s.T.Helper()
	s.ClusterHas(aged, v1alpha1.InSyncCondition, metav1.ConditionTrue, "", patience)
}

// silent fails if something new is shown while three inventories are read after a change.
func (s *site) silent(change func()) {
	s.T.Helper()
	s.inSync()
	before := len(s.log.Ever(aged))
	change()
	seen.Readings(s.Scene, 3)
	if all := s.log.Ever(aged); len(all) != before {
		s.T.Errorf("shown was %q", all[before:])
	}
}

// nothing does what is no drift of this cluster.
func nothing(t *testing.T, s *site) {
	t.Helper()
	vm := s.vm("general")
	foreign := func(name string) func(*site) {
		return func(s *site) {
			s.silent(func() { s.add(copied(vm, name)) })
			s.remove(name)
		}
	}
	for name, run := range map[string]func(*site){
		"HiddenFromAList": func(s *site) {
			s.silent(func() {
				rule, err := s.World.Prism.Server.AddFault(simulator.Fault{Path: seen.VMList, VM: vm.Name, Effect: simulator.EffectHide, Times: 2})
				if err != nil {
					s.T.Fatal(err)
				}
				if err := rule.Wait(s.T.Context(), 2); err != nil {
					s.T.Error(err)
				}
			})
		},
		"MoreCategories": func(s *site) {
			s.silent(func() { s.edit(vm.ExtID, func(vm *simulator.VM) { category(vm, "", "Team=Platform") }) })
			s.edit(vm.ExtID, func(vm *simulator.VM) { category(vm, "Team=Platform") })
		},
		"WorkerOfASameNamedCluster":       foreign(aged + "-general-zzzzz-zzzzz"),
		"ControlPlaneOfASameNamedCluster": foreign(aged + "-kcp-zzzzz"),
	} {
		t.Run(name, func(t *testing.T) { run(s.in(t)) })
	}
}

// copied is a VM like another, made by somebody else.
func copied(vm simulator.VM, name string) simulator.VM {
	vm.ExtID, vm.Name, vm.CustomAttributes, vm.PowerState, vm.IP, vm.Host = "", name, nil, simulator.PowerOff, "", ""
	return vm
}

func (s *site) add(vm simulator.VM) simulator.VM {
	s.T.Helper()
	made, err := s.World.Prism.Server.AddVM(vm)
	if err != nil {
		s.T.Fatal(err)
	}
	return made
}

func (s *site) remove(nameOrExtID string) {
	s.T.Helper()
	if err := s.World.Prism.Server.RemoveVM(nameOrExtID); err != nil {
		s.T.Fatal(err)
	}
}

// orphan has a VM of the cluster's own machines that no machine knows.
func orphan(_ *testing.T, s *site) {
	s.T.Helper()
	vm := s.vm("general")
	name := vm.Name[:len(vm.Name)-5] + "zzzzz"
	s.add(copied(vm, name))
	s.shows(name, "", "owned by a machine, or gone", "without a machine, with category KubernetesClusterName="+aged+" on PE-1")
	s.drifted(name, "")
	s.remove(name)
	s.shownNoMore(name)
	s.inSync()
}

// double has a second VM of a machine's name.
func double(_ *testing.T, s *site) {
	s.T.Helper()
	vm := s.vm("kcp")
	other := copied(vm, vm.Name)
	other.PrismElement, other.Categories = "PE-2", nil
	other = s.add(other)
	s.shows(vm.Name, "name", "that of "+vm.ExtID+" alone", "also that of "+other.ExtID+" on PE-2")
	s.remove(other.ExtID)
	s.shownNoMore(vm.Name)
	s.inSync()
}

// moved has a VM on another Prism Element, which has a container of the same name.
func moved(_ *testing.T, s *site) {
	s.T.Helper()
	vm := s.vm("general")
	s.edit(vm.ExtID, func(vm *simulator.VM) { vm.PrismElement = "PE-2" })
	s.shows(vm.Name, "cluster", "PE-1", "PE-2")
	s.edit(vm.ExtID, func(vm *simulator.VM) { vm.PrismElement = "PE-1" })
	s.shownNoMore(vm.Name)
	s.inSync()
}

// grown has a disk grow, which cannot be taken back: the way out is a new machine.
func grown(_ *testing.T, s *site) {
	s.T.Helper()
	vm := s.vm("general")
	s.edit(vm.ExtID, func(vm *simulator.VM) { vm.DiskBytes, vm.DataDisks[0].SizeBytes = gib(50), gib(11) })
	s.shows(vm.Name, "systemDiskSize", "40Gi", "50Gi")
	s.shows(vm.Name, "dataDisks[0].diskSize", "10Gi", "11Gi")
	s.replace(vm)
}

// missing has a VM deleted whose machine nobody else replaces.
func missing(_ *testing.T, s *site) {
	s.T.Helper()
	vm := s.vm("bare")
	s.remove(vm.ExtID)
	want := seen.Finding{Cluster: aged, VM: vm.Name, Wanted: "there", Found: "deleted"}
	s.Within(patience, "shown: "+want.String(), func() error {
		if found := seen.Of(s.Cluster(aged)); !slices.Contains(found, want) {
			return fmt.Errorf("status.drift is %q", found)
		}
		return nil
	})
	seen.Readings(s.Scene, 3)
	if !slices.Contains(s.log.Now(aged), want) {
		s.T.Errorf("it is still missing, and shown is %q", s.log.Now(aged))
	}
	if n, _ := s.log.Times(want); n != 1 {
		s.T.Errorf("it was shown %d times anew", n)
	}
	s.replace(vm)
}

// replace deletes a VM's Machine, as a person is told to: another one comes, and all is well.
func (s *site) replace(vm simulator.VM) {
	s.T.Helper()
	machine := s.Object("cluster.x-k8s.io/v1beta2", "Machine", vm.Name)
	if err := s.Client.Delete(s.T.Context(), machine, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		s.T.Fatal(err)
	}
	s.Within(patience, "another machine has come", func() error {
		if vms := s.vms(); len(vms) != 3 || slices.ContainsFunc(vms, func(v simulator.VM) bool { return v.ExtID == vm.ExtID }) {
			return fmt.Errorf("%d VMs", len(vms))
		}
		return rig.Has(s.Cluster(aged), v1alpha1.ReadyCondition, metav1.ConditionTrue, "")
	})
	s.inSync()
	s.silent(func() {})
}
