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
	// The tests wait more than they compute, so that four go side by side, however few the cores. Not more: the clusters of
	// all stand in line before one worker, and on a busy machine the last of them would not be made in time.
	if err := flag.Set("test.parallel", "4"); err != nil {
		os.Exit(1)
	}
	// Each test has a Prism Central or several. To read all of them each second takes more than all else together.
	os.Exit(fleets.Run(m, &shared, controllers.Options{Concurrent: 1, InventoryInterval: 3 * time.Second}))
}

// quiet fails if a password was shown to people anywhere so far.
func quiet(t *testing.T) {
	t.Helper()
	hand.Quiet(t, &shared, password, wrong, base64of(password), base64of(wrong))
}
