// Package posted shows what the operator says in pull requests of a real Gitea, against a real API server on which
// Cluster API's webhooks judge and its reconcilers stand still.
package posted

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/gitea"
	"github.com/refract-dev/refract/test/rig"
)

var (
	shared rig.Package
	host   *gitea.Server
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	var err error
	if host, err = gitea.Start(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := host.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	return fleets.Run(m, &shared, controllers.Options{})
}
