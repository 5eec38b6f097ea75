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
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"
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
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if shared.World, err = world.Start(ctx, world.Options{Managers: true, AuditPolicy: true}); err != nil {
		return 1, err
	}
	defer func() {
		for _, replica := range replicas {
			replica.Kill()
		}
		if stopped := shared.World.Stop(); err == nil {
			err = stopped
		}
	}()
	if err = open(ctx); err != nil {
		return 1, err
	}
	if code = m.Run(); code != 0 {
		for _, replica := range replicas {
			rig.Tail(replica.Log())
		}
	}
	return code, shared.World.Failed()
}

// replicas of the operator; the first leads until somebody kills it.
var replicas []*world.Program

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
	if err = install.Kubeconfig(kubeconfig, account); err != nil {
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
	for _, name := range []string{"first", "second"} {
		// The second lists as it does where the API server cannot stream lists, before Kubernetes 1.34.
		args := append(append(slices.Clone(operator.Env), fmt.Sprintf("KUBE_FEATURE_WatchListClient=%t", name == "first")), local...)
		replica, err := shared.World.Launch(name, env, args...)
		if err != nil {
			return err
		}
		replicas = append(replicas, replica)
		if err := led(ctx); err != nil {
			return err
		}
	}
	return nil
}

// led waits until a replica leads.
func led(ctx context.Context) error {
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		lease := &coordinationv1.Lease{}
		err := shared.Client.Get(ctx, client.ObjectKey{Namespace: release.Namespace, Name: "refract.dev"}, lease)
		return err == nil && ptr.Deref(lease.Spec.HolderIdentity, "") != "", client.IgnoreNotFound(err)
	})
}
