// Package soak changes the VMs of many clusters at random, round after round, every kind of change at least once, and
// looks that each is found, that nothing else is, and that what may be repaired is. The short form has 10 small clusters; REFRACT_SOAK=50 has so many of
// five machines each. REFRACT_SOAK_SEED repeats a run.
package soak

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/machines/seen"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

var (
	shared rig.Package
	size   = form()
)

// scale is how much is run.
type scale struct {
	clusters, workers, rounds int
	// interval between readings of Prism Central.
	interval time.Duration
}

func form() scale {
	if n, err := strconv.Atoi(os.Getenv("REFRACT_SOAK")); err == nil && n > 0 {
		return scale{clusters: n, workers: 4, rounds: 10, interval: 10 * time.Second}
	}
	return scale{clusters: 10, workers: 1, rounds: 5, interval: 2 * time.Second}
}

func TestMain(m *testing.M) {
	os.Exit(rig.Run(m, &shared, world.Options{Managers: true}, controllers.Options{InventoryInterval: size.interval}))
}

// patience bounds how long anything may take on a busy machine.
const patience = 20 * time.Minute

// soak is a fleet whose VMs are changed.
type soak struct {
	*rig.Scene
	log    *seen.Log
	random *rand.Rand
	deck   *deck
	// policies are what is done about drift, by cluster.
	policies map[string]string
	// expected is everything that was to be shown so far.
	expected map[seen.Finding]bool
	figures  *figures
}

func TestSoak(t *testing.T) {
	seed := rand.Uint64()
	if n, err := strconv.ParseUint(os.Getenv("REFRACT_SOAK_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("to repeat this, set REFRACT_SOAK_SEED=%d", seed)
	scene := shared.NewScene(t, "soak")
	s := &soak{
		Scene: scene, log: seen.Watch(scene), random: rand.New(rand.NewPCG(seed, 0)),
		policies: map[string]string{}, expected: map[seen.Finding]bool{}, figures: &figures{interval: size.interval},
	}
	s.deck = newDeck(s.random)
	s.start()
	for n := range size.rounds {
		if !t.Run(fmt.Sprintf("Round%d", n+1), func(t *testing.T) { s.in(t).round() }) {
			break
		}
	}
	seen.Readings(s.Scene, 3)
	s.log.Complete(t)
	s.nothingElse()
	s.figures.clusters, s.figures.vms, s.figures.rounds = size.clusters, len(s.World.Prism.Server.VMs()), size.rounds
	for name := range kinds {
		if s.figures.kinds[name] == 0 && !t.Failed() {
			t.Errorf("%s was never drawn in %d changes", name, len(s.figures.took))
		}
	}
	t.Log(s.figures.String())
}

// in is the soak as a subtest sees it.
func (s *soak) in(t *testing.T) *soak {
	t.Helper()
	in, scene := *s, *s.Scene
	scene.T = t
	in.Scene = &scene
	return &in
}

// start makes the clusters; every second one has drift repaired.
func (s *soak) start() {
	s.T.Helper()
	files := map[string]string{
		"fleet/account.yaml": rig.Account("pc-east", s.World.Prism.Host),
		"fleet/profile.yaml": rig.Profile("1.0.0", "v1.33.4"),
	}
	for n := range size.clusters {
		name := fmt.Sprintf("soak-%d", n+1) // soak-1 begins the names of soak-10
		s.policies[name] = []string{v1alpha1.DriftReport, v1alpha1.DriftRepair}[n%2]
		c := rig.Cluster{
			Name: name, Endpoint: s.World.Endpoint(), ControlPlanes: 1, Workers: size.workers,
			Extra: fmt.Sprintf("  drift: {machines: %s}\n", s.policies[name]),
		}
		// Nobody else is to replace a machine whose VM is deleted before that is found.
		files["fleet/"+name+".yaml"] = strings.Replace(c.File(), "\n      machine: {", "\n      healthCheck: {enabled: false}\n      machine: {", 1)
	}
	s.Push("a fleet", files)
	s.NewFleet("production", nil)
	s.Within(patience, "all clusters run", func() error {
		for _, name := range s.clusters() {
			c := s.Cluster(name)
			if c == nil {
				return fmt.Errorf("cluster %s is not there", name)
			}
			if err := rig.Has(c, v1alpha1.ReadyCondition, metav1.ConditionTrue, ""); err != nil {
				return fmt.Errorf("cluster %s: %w", name, err)
			}
		}
		return nil
	})
	seen.Readings(s.Scene, 2) // all machines are compared
	s.nothingElse()
}

func (s *soak) clusters() []string { return slices.Sorted(maps.Keys(s.policies)) }

// nothingElse fails if anything was ever shown that was not to be.
func (s *soak) nothingElse() {
	s.T.Helper()
	for _, f := range s.log.Ever("") {
		if !s.expected[f] {
			s.T.Errorf("shown although it is not so: %s", f)
		}
	}
}
