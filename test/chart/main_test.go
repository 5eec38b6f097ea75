// Package chart tests charts/refract with the real helm against a real API server. No operator runs, and no kubelet.
package chart

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/refract-dev/refract/test/chart/install"
	"github.com/refract-dev/refract/test/controlplane"
	"github.com/refract-dev/refract/test/world"
)

// The world of this package, and the release that is installed in it.
var (
	here    *world.World
	release *install.Release
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx := context.Background()
	here, err = world.Start(ctx, world.Options{Out: os.Stderr, ProviderCRDs: true, AuditPolicy: true})
	if err != nil {
		return 1, err
	}
	defer func() {
		if stopped := here.Stop(); err == nil {
			err = stopped
		}
	}()
	if err = aggregate(ctx); err != nil {
		return 1, err
	}
	if release, err = install.Install(ctx, here, install.Options{}); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// aggregate starts the controller that fills Kubernetes' own ClusterRoles view, edit and admin.
func aggregate(ctx context.Context) error {
	builder, err := controlplane.New(ctx, os.Stderr)
	if err != nil {
		return err
	}
	built, err := builder.Build(ctx, controlplane.KubeControllerManager)
	if err != nil {
		return err
	}
	args := []string{
		"--controllers=clusterrole-aggregation-controller,namespace-controller", "--leader-elect=false", "--kubeconfig=" + here.Kubeconfig,
		"--bind-address=" + here.Endpoint(), "--secure-port=6443", "--cert-dir=" + here.Dir(), "--authentication-skip-lookup=true",
	}
	return here.Run(ctx, controlplane.KubeControllerManager, built[0].Path, args, func(context.Context) error { return nil })
}
