// Package e2e holds whole-path tests: git push, plan, gate, apply, Ready, through the real Cluster API and CAPX. The
// operator is the built binary, installed by the chart with the real helm: two replicas with the Deployment's arguments
// and environment, under its service account and no other right. No kubelet starts them, so the image is left aside.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/chart/install"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

// shared is the world and an administrator's connection; release is the chart in it.
var (
	shared  rig.Package
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
	ctx, cancel := context.WithCancel(context.Background()) //nolint:forbidigo // the root of a test binary
	defer cancel()
	if shared.World, err = world.Start(ctx, world.Options{Managers: true, AuditPolicy: true}); err != nil {
		return 1, err
	}
	defer func() {
		if stopped := shared.World.Stop(); err == nil {
			err = stopped
		}
	}()
	if err = open(ctx); err != nil {
		return 1, err
	}
	if code = m.Run(); code != 0 {
		for _, replica := range replicas {
			rig.Tail(filepath.Join(shared.World.Dir(), replica+".log"))
		}
	}
	return code, shared.World.Failed()
}

var replicas = []string{"operator-a", "operator-b"}

// open installs the chart and runs its Deployment's pods as processes.
func open(ctx context.Context) error {
	scheme, err := controllers.NewScheme()
	if err != nil {
		return err
	}
	if shared.Client, err = client.New(shared.World.REST, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	release, err = install.Install(ctx, shared.World, install.Options{Values: map[string]any{"extraArgs": []string{"--allow-insecure-git"}}})
	if err != nil {
		return err
	}
	account, err := release.Account(ctx)
	if err != nil {
		return err
	}
	kubeconfig := filepath.Join(shared.World.Dir(), "operator.kubeconfig")
	if err := install.Kubeconfig(kubeconfig, account); err != nil {
		return err
	}
	operator, err := release.Operator(ctx)
	if err != nil {
		return err
	}
	binary, err := rig.Binary(ctx, shared.World.Dir())
	if err != nil {
		return err
	}
	env, err := exec.LookPath("env")
	if err != nil {
		return err
	}
	local := append([]string{binary}, operator.Local(kubeconfig, "0", "0")...)
	for i, replica := range replicas {
		// The second lists as it does where the API server cannot stream lists, before Kubernetes 1.34.
		args := append(append(slices.Clone(operator.Env), fmt.Sprintf("KUBE_FEATURE_WatchListClient=%t", i == 0)), local...)
		if err := shared.World.Run(ctx, replica, env, args, func(context.Context) error { return nil }); err != nil {
			return err
		}
	}
	return nil
}
