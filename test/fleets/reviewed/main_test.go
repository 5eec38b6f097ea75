// Package reviewed shows what reviews mean at the merge: branches are planned against what is live, what was shown is
// kept in the cluster, and Git merges them in each of its ways.
package reviewed

import (
	"os"
	"testing"

	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/rig"
)

// here is the world of this package.
var here rig.Package

func TestMain(m *testing.M) { os.Exit(fleets.Run(m, &here, controllers.Options{})) }
