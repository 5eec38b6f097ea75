// Package e2e holds whole-path tests: git push, plan, approve, apply, Ready, through the real Cluster API and CAPX.
package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

// scene is one world with a Git server, an operator and a namespace.
type scene struct {
	t      *testing.T
	world  *world.World
	git    *rig.Git
	client client.Client
	op     *rig.Operator
}

const namespace = "clusters"

func newScene(t *testing.T) *scene {
	t.Helper()
	ctx := t.Context()
	w, err := world.Start(ctx, world.Options{
		Out: t.Output(), Managers: true, AuditPolicy: true,
		CRDDirs: []string{"../../config/crd/bases"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Stop() })
	git, err := rig.NewGit(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(git.Close)
	ctrl.SetLogger(testr.NewWithOptions(t, testr.Options{}))
	scheme, err := controllers.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(w.REST, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t, world: w, git: git, client: c}
	s.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	s.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "git-credentials"}, StringData: map[string]string{"username": git.Username, "password": git.Password}})
	s.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "pc-east-credentials"}, StringData: map[string]string{"username": w.Prism.Username, "password": w.Prism.Password}})
	log := testr.NewWithOptions(t, testr.Options{Verbosity: 0})
	s.op = rig.NewOperator(w.REST, controllers.Options{Log: log})
	s.op.Start(ctx)
	t.Cleanup(func() {
		if err := s.op.Stop(); err != nil {
			t.Errorf("the operator ended with %v", err)
		}
	})
	return s
}

func (s *scene) create(o client.Object) {
	s.t.Helper()
	if err := s.client.Create(s.t.Context(), o); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) push(message string, files map[string]string) string {
	s.t.Helper()
	hash, err := s.git.Push(s.t.Context(), message, files)
	if err != nil {
		s.t.Fatal(err)
	}
	return hash
}

func (s *scene) fleet(name string) *v1alpha1.Fleet {
	f := &v1alpha1.Fleet{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.FleetSpec{
			Git:      v1alpha1.GitSource{URL: s.git.URL(), Path: "./fleet", SecretRef: &v1alpha1.LocalReference{Name: "git-credentials"}},
			Interval: metav1.Duration{Duration: 2 * time.Second},
			Limits:   v1alpha1.Limits{RecreatedMachines: ptr.To[int32](30)},
		},
	}
	s.create(f)
	return f
}

func (s *scene) cluster(name string) *v1alpha1.NutanixClusterSpec {
	c := &v1alpha1.NutanixClusterSpec{}
	if err := s.client.Get(s.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, c); err != nil {
		return nil
	}
	return c
}

func within(ctx context.Context, t *testing.T, d time.Duration, what string, check func() error) {
	t.Helper()
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	var err error
	for {
		if err = check(); err == nil {
			t.Logf("%s after %s", what, time.Since(begin).Round(100*time.Millisecond))
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %s: %v", d, what, err)
		case <-tick.C:
		}
	}
}

// TestLife takes one cluster from its first commit to the last by the real controllers: created, scaled, rolled,
// upgraded, a pool removed, deleted by two commits and an approval.
func TestLife(t *testing.T) {
	s := newScene(t)
	edge := rig.Cluster{Name: "edge-01", Endpoint: s.world.Endpoint(), ControlPlanes: 3, Workers: 2, Pools: map[string]int{"extra": 1}}
	s.push("one cluster", map[string]string{
		"fleet/account.yaml": rig.Account("pc-east", s.world.Prism.Host),
		"fleet/profile.yaml": rig.Profile("1.0.0", "v1.33.4"),
		"fleet/edge-01.yaml": edge.File(),
	})
	s.fleet("production")
	s.ready("edge-01", 4*time.Minute)
	s.vms(6)
	first := s.machines("edge-01")

	t.Run("ScaleUpMovesNoMachine", func(t *testing.T) {
		edge.Workers = 3
		s.change(t, "scale up", edge)
		s.vms(7)
		s.kept(t, first, 6)
	})
	before := s.machines("edge-01")
	t.Run("MoreMemoryRollsThePoolAlone", func(t *testing.T) {
		edge.WorkerMemory = "6Gi"
		s.change(t, "more memory for workers", edge)
		s.vms(7)
		s.kept(t, before, 3)
	})
	t.Run("KubernetesUpgradeRollsEverything", func(t *testing.T) {
		before := s.machines("edge-01")
		edge.Profile = "1.1.0"
		s.push("next minor", map[string]string{"fleet/profile-1.1.yaml": rig.Profile("1.1.0", "v1.34.1")})
		s.change(t, "upgrade", edge)
		s.vms(7)
		s.kept(t, before, 0)
		if v := s.cluster("edge-01").Status.KubernetesVersion; v != "v1.34.1" {
			t.Errorf("version %s", v)
		}
	})
	t.Run("RemovedPoolTakesItsMachines", func(t *testing.T) {
		before := s.machines("edge-01")
		edge.Pools = nil
		s.change(t, "remove a pool", edge)
		s.vms(6)
		s.kept(t, before, 6)
	})
	t.Run("DeletionTakesTwoCommitsAndAnApproval", func(t *testing.T) {
		edge.DeletionPolicy = "Delete"
		s.change(t, "may be deleted", edge)
		s.push("remove the cluster", map[string]string{"fleet/edge-01.yaml": ""})
		s.within(time.Minute, "the deletion is held", func() error {
			c := s.cluster("edge-01")
			if c == nil || c.Status.Plan.Digest == "" {
				return fmt.Errorf("not held: %+v", c)
			}
			return nil
		})
		s.approve("edge-01")
		s.within(3*time.Minute, "nothing is left", func() error { return s.gone("edge-01") })
		s.vms(0)
	})
}
