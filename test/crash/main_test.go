// Package crash shows that a crash at any point is repaired by the next start: the built operator is killed at each of
// its writes, loses its lease, the API server, and has a slow etcd. The webhooks of Cluster API and CAPX are real and
// their reconcilers stand still; what needs machines is in package live.
package crash

import (
	"flag"
	"os"
	"testing"

	"github.com/refract-dev/refract/test/crash/trial"
	"github.com/refract-dev/refract/test/world"
)

var shared trial.Setting

// full has every write be killed at, both before and after the operator hears of it; else it is a sample.
var full = os.Getenv("REFRACT_PROOF") == "full"

func TestMain(m *testing.M) {
	flag.Parse()
	// Trials mostly wait for the operator's next look.
	if err := flag.Set("test.parallel", "6"); err != nil {
		os.Exit(2)
	}
	os.Exit(trial.Run(m, &shared, world.Options{Managers: true, NoReconcile: true}))
}
