package rig

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/world"
)

// Package is what all tests of a package share: one world and one operator.
type Package struct {
	// World that runs.
	World *world.World
	// Client acts as an administrator.
	Client client.Client
	// Operator in this process; tests that stop it start it again.
	Operator *Operator
	// Log of the operator.
	Log string
}

// Run starts a world with an operator, runs the tests of a package and stops both: call it from TestMain. p is filled
// before the tests run.
func Run(m *testing.M, p *Package, o world.Options, c controllers.Options) int {
	dir, err := os.MkdirTemp("", "refract-rig-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)                                 //nolint:errcheck // nothing to do about it
	ctx, cancel := context.WithCancel(context.Background()) //nolint:forbidigo // the root of a test binary
	defer cancel()
	if err := p.start(ctx, dir, o, c); err != nil {
		return fail(err)
	}
	code := m.Run()
	if err := p.Operator.Stop(); err != nil {
		code = fail(fmt.Errorf("the operator ended with %w", err))
	}
	if err := p.World.Stop(); err != nil {
		code = fail(err)
	}
	if code != 0 {
		Tail(p.Log)
	}
	return code
}

func (p *Package) start(ctx context.Context, dir string, o world.Options, c controllers.Options) error {
	p.Log = filepath.Join(dir, "operator.log")
	file, err := os.Create(p.Log)
	if err != nil {
		return err
	}
	c.Log = logTo(file)
	ctrl.SetLogger(c.Log)
	if err := p.Open(ctx, o); err != nil {
		return err
	}
	c.PrismDial = ToPrism(p.World.Prism)
	p.Operator = NewOperator(p.World.REST, c)
	p.Operator.Start(ctx)
	return nil
}

// Open starts a world with our CRDs and policies and connects to it, without an operator. The caller stops the world.
func (p *Package) Open(ctx context.Context, o world.Options) error {
	o.CRDDirs = append(o.CRDDirs, filepath.Join(Root(), "config", "crd", "bases"))
	for _, policy := range []string{"approval.yaml", "deletion.yaml"} {
		o.Manifests = append(o.Manifests, filepath.Join(Root(), "config", "policy", policy))
	}
	var err error
	if p.World, err = world.Start(ctx, o); err != nil {
		return err
	}
	scheme, err := controllers.NewScheme()
	if err != nil {
		return err
	}
	p.Client, err = client.New(p.World.REST, client.Options{Scheme: scheme})
	return err
}

func logTo(w io.Writer) logr.Logger { return zap.New(zap.WriteTo(w), zap.UseDevMode(true)) }

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// Tail shows the end of an operator's log after a failure.
func Tail(path string) {
	text, err := os.ReadFile(path) //nolint:gosec // our own log
	if err != nil {
		return
	}
	const shown = 16 << 10
	fmt.Fprintf(os.Stderr, "--- end of the operator's log\n%s\n", text[max(0, len(text)-shown):])
}

// Root is the directory of the module.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Scene is one test's namespace and Git repository.
type Scene struct {
	*Package
	// T is the test.
	T *testing.T
	// Git to push to.
	Git *Git
	// Namespace of the test.
	Namespace string
}

// NewScene makes a namespace with the Secrets that a fleet needs (git-credentials, pc-east-credentials), and a Git
// repository. Cluster names and endpoints must differ between scenes that use the same Prism Central.
func (p *Package) NewScene(t *testing.T, namespace string) *Scene {
	t.Helper()
	git, err := NewGit(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(git.Close)
	s := &Scene{Package: p, T: t, Git: git, Namespace: namespace}
	s.Create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	s.Secret("git-credentials", map[string]string{"username": git.Username, "password": git.Password})
	s.Secret("pc-east-credentials", map[string]string{"username": p.World.Prism.Username, "password": p.World.Prism.Password, "unused": "-"})
	return s
}

// Create creates an object as an administrator.
func (s *Scene) Create(o client.Object) {
	s.T.Helper()
	if err := s.Client.Create(s.T.Context(), o); err != nil {
		s.T.Fatal(err)
	}
}

// Secret creates a Secret.
func (s *Scene) Secret(name string, data map[string]string) {
	s.T.Helper()
	s.Create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name}, StringData: data})
}

// Push pushes files to main and returns the commit.
func (s *Scene) Push(message string, files map[string]string) string {
	s.T.Helper()
	hash, err := s.Git.Push(s.T.Context(), message, files)
	if err != nil {
		s.T.Fatal(err)
	}
	return hash
}

// NewFleet creates a Fleet over ./fleet of the repository that is looked at every two seconds. change may be nil.
func (s *Scene) NewFleet(name string, change func(*v1alpha1.Fleet)) {
	s.T.Helper()
	f := &v1alpha1.Fleet{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name},
		Spec: v1alpha1.FleetSpec{
			Git:      v1alpha1.GitSource{URL: s.Git.URL(), Ref: v1alpha1.GitRef{Branch: "main"}, Path: "./fleet", SecretRef: &v1alpha1.LocalReference{Name: "git-credentials"}},
			Interval: metav1.Duration{Duration: 2 * time.Second},
		},
	}
	if change != nil {
		change(f)
	}
	s.Create(f)
}

// Fleet reads a Fleet; nil when it does not exist.
func (s *Scene) Fleet(name string) *v1alpha1.Fleet {
	s.T.Helper()
	f := &v1alpha1.Fleet{}
	if !s.get(name, f) {
		return nil
	}
	return f
}

// Cluster reads a NutanixClusterSpec; nil when it does not exist.
func (s *Scene) Cluster(name string) *v1alpha1.NutanixClusterSpec {
	s.T.Helper()
	c := &v1alpha1.NutanixClusterSpec{}
	if !s.get(name, c) {
		return nil
	}
	return c
}

// Object reads any object of the namespace; nil when it does not exist.
func (s *Scene) Object(apiVersion, kind, name string) *unstructured.Unstructured {
	s.T.Helper()
	o := &unstructured.Unstructured{}
	o.SetAPIVersion(apiVersion)
	o.SetKind(kind)
	if !s.get(name, o) {
		return nil
	}
	return o
}

func (s *Scene) get(name string, o client.Object) bool {
	s.T.Helper()
	err := s.Client.Get(s.T.Context(), client.ObjectKey{Namespace: s.Namespace, Name: name}, o)
	if client.IgnoreNotFound(err) != nil {
		s.T.Fatal(err)
	}
	return err == nil
}

// Objects lists the objects of one kind of the namespace that Cluster API counts to a cluster.
func (s *Scene) Objects(apiVersion, kind, cluster string) []unstructured.Unstructured {
	s.T.Helper()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.FromAPIVersionAndKind(apiVersion, kind+"List"))
	if err := s.Client.List(s.T.Context(), list, client.InNamespace(s.Namespace), client.MatchingLabels{"cluster.x-k8s.io/cluster-name": cluster}); err != nil {
		s.T.Fatal(err)
	}
	return list.Items
}

// Machines are the names of a cluster's Machines by UID.
func (s *Scene) Machines(cluster string) map[types.UID]string {
	s.T.Helper()
	all := map[types.UID]string{}
	for _, m := range s.Objects("cluster.x-k8s.io/v1beta2", "Machine", cluster) {
		all[m.GetUID()] = m.GetName()
	}
	return all
}

// Within waits until check returns nil, and fails the test with its last error after d.
func (s *Scene) Within(d time.Duration, what string, check func() error) {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(s.T.Context(), d)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			s.T.Log(what)
			return
		}
		select {
		case <-ctx.Done():
			s.T.Fatalf("not within %s: %s: %v", d, what, err)
		case <-tick.C:
		}
	}
}

// Conditioned has conditions.
type Conditioned interface {
	GetConditions() []metav1.Condition
	GetGeneration() int64
}

// Has fails unless a condition has this status and reason ("" for any) for the current generation.
func Has(o Conditioned, condition string, status metav1.ConditionStatus, reason string) error {
	have := meta.FindStatusCondition(o.GetConditions(), condition)
	if have == nil {
		return fmt.Errorf("no condition %s among %+v", condition, o.GetConditions())
	}
	if have.Status != status || (reason != "" && have.Reason != reason) || have.ObservedGeneration != o.GetGeneration() {
		return fmt.Errorf("condition %s is %s/%s for generation %d of %d: %s", condition, have.Status, have.Reason, have.ObservedGeneration, o.GetGeneration(), have.Message)
	}
	return nil
}

// ClusterHas waits until a cluster has a condition, and returns the cluster.
func (s *Scene) ClusterHas(name, condition string, status metav1.ConditionStatus, reason string, d time.Duration) *v1alpha1.NutanixClusterSpec {
	s.T.Helper()
	var c *v1alpha1.NutanixClusterSpec
	s.Within(d, fmt.Sprintf("cluster %s has %s=%s/%s", name, condition, status, reason), func() error {
		if c = s.Cluster(name); c == nil {
			return fmt.Errorf("there is no such cluster; the Fleets say %s", s.fleetsSay())
		}
		return Has(c, condition, status, reason)
	})
	return c
}

// FleetHas waits until a Fleet has a condition, and returns the Fleet.
func (s *Scene) FleetHas(name, condition string, status metav1.ConditionStatus, reason string, d time.Duration) *v1alpha1.Fleet {
	s.T.Helper()
	var f *v1alpha1.Fleet
	s.Within(d, fmt.Sprintf("Fleet %s has %s=%s/%s", name, condition, status, reason), func() error {
		if f = s.Fleet(name); f == nil {
			return fmt.Errorf("there is no such Fleet")
		}
		return Has(f, condition, status, reason)
	})
	return f
}

// Handled waits until a Fleet has attempted a commit.
func (s *Scene) Handled(fleet, commit string, d time.Duration) *v1alpha1.Fleet {
	s.T.Helper()
	var f *v1alpha1.Fleet
	s.Within(d, "commit "+commit[:7]+" is attempted", func() error {
		if f = s.Fleet(fleet); f == nil || f.Status.LastAttemptedRevision != "main@sha1:"+commit {
			return fmt.Errorf("the Fleets say %s", s.fleetsSay())
		}
		return nil
	})
	return f
}

func (s *Scene) fleetsSay() string {
	list := &v1alpha1.FleetList{}
	if err := s.Client.List(s.T.Context(), list, client.InNamespace(s.Namespace)); err != nil {
		return err.Error()
	}
	var text strings.Builder
	for i := range list.Items {
		f := &list.Items[i]
		fmt.Fprintf(&text, "%s at %s: %+v %+v; ", f.Name, f.Status.LastAttemptedRevision, f.Status.Conditions, f.Status.Failures)
	}
	return text.String()
}

// adminName is the user that a world's administrator is.
const adminName = "refract-test-admin"

// Approve approves a digest on an object, as the test's administrator.
func (s *Scene) Approve(o client.Object, digest string) error {
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q,%q:%q}}}`, v1alpha1.ApprovedPlanAnnotation, digest, v1alpha1.ApprovedByAnnotation, adminName)
	return s.Client.Patch(s.T.Context(), o, client.RawPatch(types.MergePatchType, patch))
}
