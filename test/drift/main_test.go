// Package drift shows who owns what: what another hand changes is put back, left alone, reported or gated. The webhooks
// of Cluster API and CAPX are real and their reconcilers stand still, so no cluster here ever comes up; what needs
// machines is in package live. The operator has one worker for all of it.
package drift

import (
	"os"
	"testing"

	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/drift/hand"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

var shared rig.Package

func TestMain(m *testing.M) {
	os.Exit(rig.Run(m, &shared, world.Options{
		Managers: true, NoReconcile: true, AuditPolicy: true, Manifests: hand.Policies(),
	}, controllers.Options{Concurrent: 1}))
}
