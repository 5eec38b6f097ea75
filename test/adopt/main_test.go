// Package adopt shows how an existing cluster comes under Refract and leaves it again: one that CAPX's own template made
// by hand is planned, tuned, taken over, kept true, moved to another management cluster by the real clusterctl, taken
// over there and let go. Its machines are those of the first day throughout.
package adopt

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/drift/hand"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

var shared rig.Package

func TestMain(m *testing.M) {
	os.Exit(rig.Run(m, &shared, world.Options{
		Managers: true, AuditPolicy: true, Manifests: hand.Policies(),
	}, controllers.Options{}))
}

// cluster is the one that all of it happens to.
const cluster = "hand-1"

// patience bounds how long machines may take on a busy computer.
const patience = 6 * time.Minute

// life is the cluster under test, with the files that declare it.
type life struct {
	*hand.Scene
	files files
	// target of the move.
	target *target
	// machines and VMs of the first day, by UID and by id.
	machines, vms []string
}

// TestLife takes one cluster from kubectl through Git to another management cluster.
func TestLife(t *testing.T) {
	l := &life{Scene: hand.NewScene(t, &shared, "adopt")}
	l.files = files{central: l.World.Prism.Host, endpoint: l.World.Endpoint(), memory: "4Gi"}
	l.target = startTarget(context.WithoutCancel(t.Context()))
	t.Cleanup(l.target.stop)
	steps := []struct {
		name string
		run  func(l *life)
	}{
		{"MadeByHand", made},
		{"WithoutAdoptNotOneByteIsWritten", guarded},
		{"PlanSaysWhatWouldRoll", planned},
		{"TakenOverWithItsMachines", takenOver},
		{"DriftIsPutBack", drift},
		{"AdoptIsTakenOutAgain", settled},
		{"PoolMadeByHand", pool},
		{"MovedByClusterctl", moved},
		{"PickedUpOnTheTarget", pickedUp},
		{"LetGo", released},
	}
	for _, step := range steps {
		passed := t.Run(step.name, func(t *testing.T) {
			scene, inner := *l.Scene, *l.Scene.Scene
			inner.T, scene.Scene = t, &inner
			on := *l
			on.Scene = &scene
			step.run(&on)
			l.files, l.machines, l.vms = on.files, on.machines, on.vms
		})
		if !passed {
			t.FailNow()
		}
	}
	hand.Quiet(t, &shared, l.World.Prism.Password, l.Git.Password)
}
