package soak

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/machines/seen"
	"github.com/refract-dev/refract/test/prismsim/simulator"
)

// event is one change of a round.
type event struct {
	cluster string
	vm      simulator.VM
	kind    kind
	finding seen.Finding
	// at is when it was made, and shown how often it had been shown before.
	at    time.Time
	shown int
}

// round changes some VMs, looks that each change is shown and nothing else, and has all put right again.
func (s *soak) round() {
	s.T.Helper()
	var events []event
	for _, p := range s.pick() {
		events = append(events, s.change(p))
	}
	for i := range events {
		e := &events[i]
		s.Within(patience, e.finding.String(), func() error {
			n, at := s.log.Times(e.finding)
			if n == e.shown {
				return fmt.Errorf("cluster %s shows %q", e.cluster, s.log.Now(e.cluster))
			}
			s.figures.found(e.kind.name, at.Sub(e.at))
			return nil
		})
	}
	s.nothingElse()
	// VMs are counted when a machine is to come again: an orphan must be gone by then.
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.kind.last(), b.kind.last()) })
	for _, e := range events {
		s.settle(e)
	}
	s.Within(patience, "nothing is shown any more", func() error {
		for _, cluster := range s.clusters() {
			if now := s.log.Now(cluster); len(now) > 0 {
				return fmt.Errorf("cluster %s shows %q", cluster, now)
			}
		}
		return nil
	})
	s.nothingElse()
}

// pick is a tenth of the VMs, by cluster, or as many as let each kind come once in all rounds, each with what is to be
// done to it.
func (s *soak) pick() []picked {
	var all []picked
	for _, cluster := range s.clusters() {
		for _, vm := range seen.VMs(s.Scene, cluster) {
			all = append(all, picked{cluster: cluster, vm: vm})
		}
	}
	s.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var chosen []picked
	for range max((len(all)+9)/10, (len(kinds)+size.rounds-1)/size.rounds) {
		name := s.deck.draw()
		i := slices.IndexFunc(all, func(p picked) bool { return !kinds[name].workers || worker(p) })
		if i < 0 {
			s.T.Fatalf("no VM is left for %s", name)
		}
		all[i].kind = name
		chosen = append(chosen, all[i])
		all = slices.Delete(all, i, i+1)
	}
	return chosen
}

type picked struct {
	cluster string
	vm      simulator.VM
	kind    string
}

// change does to a VM what was drawn for it.
func (s *soak) change(p picked) event {
	s.T.Helper()
	name := p.kind
	e := event{cluster: p.cluster, vm: p.vm, kind: kinds[name]}
	e.kind.name = name
	e.finding = e.kind.finding(p)
	e.finding.Cluster = p.cluster
	s.expected[e.finding] = true
	e.shown, _ = s.log.Times(e.finding)
	e.at = time.Now()
	if err := e.kind.do(s, p); err != nil {
		s.T.Fatal(err)
	}
	return e
}

// settle waits for a repair, or puts things right as a person would.
func (s *soak) settle(e event) {
	s.T.Helper()
	server := s.World.Prism.Server
	switch {
	case e.kind.repaired && s.policies[e.cluster] == v1alpha1.DriftRepair:
		s.Within(patience, "repaired: "+e.finding.String(), func() error {
			for _, vm := range seen.VMs(s.Scene, e.cluster) {
				if vm.ExtID == e.vm.ExtID && vm.PowerState == simulator.PowerOn && slices.Equal(vm.Categories, e.vm.Categories) {
					return nil
				}
			}
			return fmt.Errorf("it is not as it was")
		})
		s.figures.repairs++
	case e.kind.name == "Deleted":
		machine := s.Object("cluster.x-k8s.io/v1beta2", "Machine", e.vm.Name)
		if err := s.Client.Delete(s.T.Context(), machine); client.IgnoreNotFound(err) != nil {
			s.T.Fatal(err)
		}
		s.Within(patience, "a machine has come for "+e.vm.Name, func() error {
			if n := len(seen.VMs(s.Scene, e.cluster)); n != 1+size.workers {
				return fmt.Errorf("cluster %s has %d VMs", e.cluster, n)
			}
			// What happens to a VM before CAPX has switched it on is seen by nobody.
			for _, m := range s.Objects("cluster.x-k8s.io/v1beta2", "Machine", e.cluster) {
				if phase, _, _ := unstructured.NestedString(m.Object, "status", "phase"); phase != "Running" {
					return fmt.Errorf("machine %s is %s", m.GetName(), phase)
				}
			}
			return nil
		})
	case e.kind.name == "Orphan":
		if err := server.RemoveVM(e.finding.VM); err != nil {
			s.T.Fatal(err)
		}
	default:
		if err := server.EditVM(e.vm.ExtID, func(now *simulator.VM) { seen.Restore(now, e.vm) }); err != nil {
			s.T.Fatal(err)
		}
	}
}
