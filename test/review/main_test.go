// Package review shows whole lives of pull requests: a real Gitea with webhooks, the operator as the chart installs it,
// the real Cluster API and CAPX. What waits for something waits for what Gitea calls the operator for: most Fleets here
// look by themselves once an hour only.
package review

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/chart/install"
	"github.com/refract-dev/refract/test/gitea"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

// patience bounds how long the real controllers may take for one change on a busy machine.
const patience = 6 * time.Minute

// What all tests share.
var (
	shared   rig.Package
	release  *install.Release
	host     *gitea.Server
	operator process
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Tests mostly wait for machines and for Gitea.
	if err := flag.Set("test.parallel", "4"); err != nil {
		os.Exit(2)
	}
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
	if host, err = gitea.Start(ctx); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	if shared.World, err = world.Start(ctx, world.Options{Managers: true, AuditPolicy: true}); err != nil {
		return 1, err
	}
	defer func() {
		operator.kill()
		err = errors.Join(err, shared.World.Stop())
	}()
	if err = open(ctx); err != nil {
		return 1, err
	}
	if code = m.Run(); code == 0 {
		err = rights(ctx)
	} else {
		rig.Tail(operator.program.Log())
		fmt.Fprintln(os.Stderr, host.Tail())
	}
	return code, errors.Join(err, shared.World.Failed())
}

// rights compares what all tests had the operator ask of the API server with the chart's rules.
func rights(ctx context.Context) error {
	granted, err := release.Granted(ctx)
	if err != nil {
		return err
	}
	used, refused, err := release.Used()
	if err != nil {
		return err
	}
	var errs []error
	for _, request := range refused {
		errs = append(errs, fmt.Errorf("the operator was refused: %s", request))
	}
	for right := range used {
		if !granted[right] {
			errs = append(errs, fmt.Errorf("the operator asked for %q, which the chart does not grant", right))
		}
	}
	if flag.Lookup("test.run").Value.String() != "" {
		return errors.Join(errs...)
	}
	for _, right := range install.ForReviews() {
		if !used[right] {
			errs = append(errs, fmt.Errorf("the chart grants %q for reviews, and none used it", right))
		}
	}
	return errors.Join(errs...)
}

// open installs the chart, and runs its Deployment's pod as a process.
func open(ctx context.Context) error {
	scheme, err := controllers.NewScheme()
	if err != nil {
		return err
	}
	if shared.Client, err = client.New(shared.World.REST, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	release, err = install.Install(ctx, shared.World, install.Options{Values: map[string]any{
		"extraArgs": []string{"--allow-insecure-git"}, "webhook": map[string]any{"enabled": true},
	}})
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
	chart, err := release.Operator(ctx)
	if err != nil {
		return err
	}
	binary, err := rig.Binary(ctx, shared.World.Dir())
	if err != nil {
		return err
	}
	if operator.env, err = exec.LookPath("env"); err != nil {
		return err
	}
	operator.address = shared.World.Endpoint() + ":9292"
	operator.args = slices.Concat(chart.Env, []string{binary}, chart.Local(kubeconfig, "0", "0"), []string{"--webhook-address=" + operator.address})
	return operator.start(ctx)
}

// process is the operator.
type process struct {
	env     string
	args    []string
	address string // of the receiver of webhooks

	mu      sync.Mutex
	program *world.Program
}

// start starts the operator and waits until it leads: after a kill that takes as long as its lease.
func (p *process) start(ctx context.Context) error {
	program, err := shared.World.Launch("operator", p.env, p.args...)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.program = program
	p.mu.Unlock()
	var before string
	return wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		lease := &coordinationv1.Lease{}
		if err := shared.Client.Get(ctx, client.ObjectKey{Namespace: release.Namespace, Name: "refract.dev"}, lease); err != nil {
			return false, client.IgnoreNotFound(err)
		}
		// A holder that renews: the one that was killed does so no more.
		now := fmt.Sprint(ptr.Deref(lease.Spec.HolderIdentity, ""), lease.Spec.RenewTime)
		renewed := before != "" && now != before && ptr.Deref(lease.Spec.HolderIdentity, "") != ""
		before = now
		return renewed, nil
	})
}

// kill ends the operator as SIGKILL does.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.program != nil {
		p.program.Kill()
	}
}
