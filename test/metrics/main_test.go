// Package metrics shows what the real operator tells Prometheus while it works, over its own endpoint with TLS and
// access checks. The webhooks of Cluster API and CAPX are real and their reconcilers stand still.
package metrics

import (
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/drift/hand"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

var (
	shared  rig.Package
	address string
)

func TestMain(m *testing.M) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a free port, given up at once
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	address = listener.Addr().String()
	if err := listener.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(rig.Run(m, &shared, world.Options{
		Managers: true, NoReconcile: true, AuditPolicy: true, Manifests: hand.Policies(),
	}, controllers.Options{Concurrent: 1, MetricsAddress: address, MetricsSecure: true, Version: "v0.0.0-test"}))
}
