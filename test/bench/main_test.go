package bench

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

var pack rig.Package

func TestMain(m *testing.M) {
	if len(os.Args) > 5 && os.Args[1] == operate {
		if err := runOperator(os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(run(m))
}

// run starts a world whose webhooks are real and whose reconcilers stand still, runs the tests and prints the table.
func run(m *testing.M) int {
	log.SetOutput(io.Discard) // the Git servers log every request
	ctx := context.Background()
	w, err := world.Start(ctx, world.Options{
		Managers: true, NoReconcile: true, CRDDirs: []string{filepath.Join(rig.Root(), "config", "crd", "bases")},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = w.Stop() }()
	scheme, err := controllers.NewScheme()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c, err := client.New(w.REST, client.Options{Scheme: scheme})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	pack = rig.Package{World: w, Client: c}
	code := m.Run()
	if full() {
		fmt.Printf("\n| what | measured | | target |\n| --- | --- | --- | --- |\n%s\n", strings.Join(table.rows, "\n"))
	}
	return code
}
