// Package accounts shows what an account proves before clusters get its credentials, what it tells of Prism Central, and
// what is checked there before anything is applied. The webhooks of Cluster API and CAPX are real and their reconcilers
// stand still, so no machine comes; what needs machines is in package live. Each test has a simulated Prism Central of
// its own. The operator has one worker for all of it, and none of them may hold up the others.
package accounts

import (
	"flag"
	"os"
	"testing"
	"time"

	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/drift/hand"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/rig"
)

var shared rig.Package

func TestMain(m *testing.M) {
	// The tests wait much more than they compute: all go side by side, however few the cores.
	if err := flag.Set("test.parallel", "32"); err != nil {
		os.Exit(1)
	}
	os.Exit(fleets.Run(m, &shared, controllers.Options{Concurrent: 1, InventoryInterval: time.Second}))
}

// quiet fails if a password was shown to people anywhere so far.
func quiet(t *testing.T) {
	t.Helper()
	hand.Quiet(t, &shared, password, wrong, base64of(password), base64of(wrong))
}
