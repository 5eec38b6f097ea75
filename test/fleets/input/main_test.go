// Package input tests what bad input, sources that are away and changed profiles get, whole path: from a push to what
// the management cluster holds and says.
package input

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
