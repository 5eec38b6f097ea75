// Package upgrade shows that an upgrade moves no machine: the chart and binary of the version before create a cluster
// by the real Cluster API and CAPX, this tree's take over, then this tree's with a changed default, back and forth, and
// in the end all is uninstalled.
package upgrade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/chart/install"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

// full has another build, for the step InPlaceNeedsNoApproval.
var full = os.Getenv("REFRACT_PROOF") == "full"

// version is a chart and a binary.
type version struct{ chart, binary string }

// versions of Refract, from old to new.
type versions struct {
	before, this version
	// rolls is this tree with a default changed that workers are made from.
	rolls version
	// eased has one more changed, which touches no machine; only in a full proof.
	eased version
}

// site is a management cluster with a release of Refract, whose Deployment runs one replica.
type site struct {
	rig.Package
	versions versions
	release  *install.Release
	replica  *world.Program
}

// newSite builds all versions while the world starts.
func newSite(t *testing.T) *site {
	t.Helper()
	log.SetOutput(io.Discard) // the Git server logs every request
	ctrl.SetLogger(logr.Discard())
	s, dir := &site{}, t.TempDir()
	group, ctx := errgroup.WithContext(t.Context())
	group.Go(func() (err error) {
		s.World, err = world.Start(t.Context(), world.Options{Managers: true, AuditPolicy: true})
		return err
	})
	var from string
	group.Go(func() (err error) {
		from, err = s.versions.build(ctx, dir)
		return err
	})
	err := group.Wait()
	t.Cleanup(func() { s.close(t) })
	if err != nil {
		t.Fatal(err)
	}
	t.Log("upgrading from ", from)
	scheme, err := controllers.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	if s.Client, err = client.New(s.World.REST, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	if s.release, err = install.New(t.Context(), s.World, "refract", "refract-system"); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) close(t *testing.T) {
	t.Helper()
	if s.World == nil {
		return
	}
	if s.replica != nil {
		s.replica.Kill()
		if t.Failed() {
			t.Logf("the end of the operators' log\n%s", s.replica.Tail(60))
		}
	}
	if err := s.World.Failed(); err != nil {
		t.Error(err)
	}
	if err := s.World.Stop(); err != nil {
		t.Error(err)
	}
}

// build makes the versions ready and says which the old one is. Without a history it is this one: then the take-over
// shows little, and all that comes after it shows what it always does.
func (v *versions) build(ctx context.Context, dir string) (string, error) {
	commit, why, err := before(ctx)
	if err != nil {
		return "", err
	}
	v.this = version{install.Chart(), filepath.Join(dir, "this")}
	if err = build(ctx, rig.Root(), v.this.binary); err != nil {
		return "", err
	}
	v.before = v.this
	from := fmt.Sprintf("this tree itself: %s", why)
	if commit != "" {
		if commit, v.before, err = buildBefore(ctx, commit, dir); err != nil {
			return "", err
		}
		from = fmt.Sprintf("%s: %s, or the first before it that builds", commit, why)
	}
	v.rolls, v.eased = v.this, v.this
	if v.rolls.binary, err = buildEdited(ctx, dir, "rolls", workersRoll); err != nil {
		return "", err
	}
	if !full {
		return from, nil
	}
	v.eased.binary, err = buildEdited(ctx, dir, "eased", workersRoll, checksChange)
	return from, err
}

// buildBefore builds a commit, or the first before it that builds: a commit that did not build was nobody's version.
func buildBefore(ctx context.Context, commit, dir string) (string, version, error) {
	var failed error
	for range 5 {
		tree := filepath.Join(dir, commit)
		if err := unpack(ctx, commit, tree); err != nil {
			return "", version{}, err
		}
		v := version{filepath.Join(tree, "charts", "refract"), filepath.Join(dir, "before")}
		err := build(ctx, tree, v.binary)
		if err == nil {
			return commit, v, nil
		}
		failed = errors.Join(failed, fmt.Errorf("%s: %w", commit, err))
		if commit, err = git(ctx, "rev-parse", "--verify", commit+"^"); err != nil {
			break
		}
	}
	return "", version{}, failed
}

// values of the release: the Git server of these tests speaks HTTP on loopback.
var values = map[string]any{"extraArgs": []string{"--allow-insecure-git"}}

// install puts a version in, as helm install does.
func (s *site) install(t *testing.T, v version) {
	t.Helper()
	if err := s.release.Install(t.Context(), v.chart, values); err != nil {
		t.Fatal(err)
	}
	s.roll(t, v)
}

// upgrade replaces the version that runs, as helm upgrade does.
func (s *site) upgrade(t *testing.T, v version) {
	t.Helper()
	if err := s.release.Upgrade(t.Context(), v.chart, values); err != nil {
		t.Fatal(err)
	}
	s.roll(t, v)
}

// rollback goes back to the release's first revision, which was this version.
func (s *site) rollback(t *testing.T, v version) {
	t.Helper()
	if _, err := s.release.Helm(t.Context(), "rollback", s.release.Name, "1"); err != nil {
		t.Fatal(err)
	}
	s.roll(t, v)
}

// roll does as a kubelet does with the Deployment: the new pod comes up, then the old one is asked to end.
func (s *site) roll(t *testing.T, v version) {
	t.Helper()
	old := s.replica
	account, err := s.release.Account(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err = install.Kubeconfig(kubeconfig, account); err != nil {
		t.Fatal(err)
	}
	operator, err := s.release.Operator(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	env, err := exec.LookPath("env")
	if err != nil {
		t.Fatal(err)
	}
	args := append(append(operator.Env, v.binary), operator.Local(kubeconfig, "0", "0")...)
	if s.replica, err = s.World.Launch("operator", env, args...); err != nil {
		t.Fatal(err)
	}
	end(t, old)
}

// end has a replica end by itself.
func end(t *testing.T, replica *world.Program) {
	t.Helper()
	if replica == nil {
		return
	}
	if err := replica.Interrupt(); err != nil {
		t.Fatalf("the operator did not run any more: %v\n%s", err, replica.Tail(40))
	}
	<-replica.Exited()
}

// patience bounds how long the real controllers may take for one change on a busy machine.
const patience = 6 * time.Minute

// life is the cluster under test, in one step of it.
type life struct {
	*rig.Scene
	site *site
}

func (l *life) ready() {
	l.T.Helper()
	l.ClusterHas(cluster, v1alpha1.ReadyCondition, metav1.ConditionTrue, "", patience)
}
