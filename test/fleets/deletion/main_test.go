// Package deletion tests the design's deletion table row by row, approvals, and Fleets that claim the same cluster.
package deletion

import (
	"os"
	"testing"

	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/rig"
)

// here is the world of this package; moved is its operator's clock.
var (
	here  rig.Package
	clock = &fleets.Clock{}
)

func TestMain(m *testing.M) { os.Exit(fleets.Run(m, &here, controllers.Options{Clock: clock})) }
