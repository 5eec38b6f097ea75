// Package fleets holds what the suites below it share: a stage is one test's namespace, repository and Fleet, in a world
// whose Cluster API webhooks are real while its reconcilers stand still, so that objects are applied and no machine comes.
package fleets

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions/check"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

// Soon is how long anything here may take on a busy machine.
const Soon = 30 * time.Second

// Production is the name of a stage's Fleet.
const Production = "production"

// API versions of what is looked at.
const (
	Core           = "cluster.x-k8s.io/v1beta2"
	ControlPlane   = "controlplane.cluster.x-k8s.io/v1beta2"
	Infrastructure = "infrastructure.cluster.x-k8s.io/v1beta1"
)

// Run starts the world of a package and runs its tests: call it from TestMain.
func Run(m *testing.M, p *rig.Package, c controllers.Options) int {
	log.SetOutput(io.Discard) // the Git servers log every request
	return rig.Run(m, p, world.Options{Managers: true, NoReconcile: true}, c)
}

// Group of an API version.
func Group(apiVersion string) string { return strings.Split(apiVersion, "/")[0] }

var stages, hosts atomic.Int32

// Stage is a scene with a Git server that can go away, and a Prism Central of its own, so that names are free.
type Stage struct {
	*rig.Scene
	// Prism is the address of the account pc-east.
	Prism string

	away  *atomic.Bool
	front *httptest.Server
}

var notLabel = regexp.MustCompile(`[^a-z0-9]+`)

// New makes a stage in a namespace named after the test.
func New(t *testing.T, p *rig.Package) *Stage {
	t.Helper()
	name := strings.Trim(notLabel.ReplaceAllString(strings.ToLower(t.Name()), "-"), "-")
	n := stages.Add(1)
	s := &Stage{Scene: p.NewScene(t, fmt.Sprintf("%s-%d", name[:min(len(name), 50)], n)), Prism: fmt.Sprintf("pc-%d.example.com", n), away: &atomic.Bool{}}
	to, err := url.Parse(s.Git.Server.HTTPAddress())
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	s.front = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.away.Load() {
			panic(http.ErrAbortHandler) // the connection breaks, as when a server is gone
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.front.Close)
	return s
}

// In is the stage as a subtest of its test sees it.
func (s *Stage) In(t *testing.T) *Stage {
	t.Helper()
	in, scene := *s, *s.Scene
	scene.T = t
	in.Scene = &scene
	return &in
}

// URL of the repository.
func (s *Stage) URL() string { return s.front.URL + "/fleet.git" }

// Away has the Git server go away, or come back.
func (s *Stage) Away(away bool) { s.away.Store(away) }

// Edge is a small cluster with an endpoint of its own.
func Edge(name string) rig.Cluster {
	n := hosts.Add(1)
	return rig.Cluster{Name: name, Endpoint: fmt.Sprintf("10.20.%d.%d", n/200, n%200+10), ControlPlanes: 1, Workers: 1}
}

// File is where a cluster's file is.
func File(c rig.Cluster) string { return "fleet/" + c.Name + ".yaml" }

// Files are the account, profile standard@1.0.0 and clusters.
func (s *Stage) Files(clusters ...rig.Cluster) map[string]string {
	files := map[string]string{
		"fleet/account.yaml": rig.Account("pc-east", s.Prism),
		"fleet/profile.yaml": rig.Profile("1.0.0", "v1.33.4"),
	}
	for _, c := range clusters {
		files[File(c)] = c.File()
	}
	return files
}

// Start creates a Fleet over ./fleet; change may be nil. It is deleted when the test is over.
func (s *Stage) Start(name string, change func(*v1alpha1.Fleet)) {
	s.T.Helper()
	s.NewFleet(name, func(f *v1alpha1.Fleet) {
		f.Spec.Git.URL = s.URL()
		f.Spec.Interval.Duration = time.Second
		if change != nil {
			change(f)
		}
		quiet := f.DeepCopy()
		s.T.Cleanup(func() { _ = s.Client.Delete(context.WithoutCancel(s.T.Context()), quiet) })
	})
}

// Launch pushes a fleet, has Fleet production take it up and waits until all of it is applied.
func (s *Stage) Launch(change func(*v1alpha1.Fleet), clusters ...rig.Cluster) string {
	s.T.Helper()
	commit := s.Push("a fleet", s.Files(clusters...))
	s.Start(Production, change)
	s.Accepted(clusters...)
	s.FleetHas(Production, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.SucceededReason, Soon)
	return commit
}

// Commit pushes files and waits until the Fleet has attempted that commit.
func (s *Stage) Commit(message string, files map[string]string) string {
	s.T.Helper()
	commit := s.Push(message, files)
	s.Handled(Production, commit, Soon)
	return commit
}

// Accepted waits until clusters are what Git declares and applied.
func (s *Stage) Accepted(clusters ...rig.Cluster) {
	s.T.Helper()
	for _, c := range clusters {
		s.Within(Soon, c.Name+" is accepted and applied", func() error {
			have := s.Cluster(c.Name)
			if have == nil {
				return fmt.Errorf("there is no mirror: %s", s.Says(Production))
			}
			if err := rig.Has(have, v1alpha1.SourceAcceptedCondition, metav1.ConditionTrue, v1alpha1.AcceptedReason); err != nil {
				return err
			}
			if err := rig.Has(have, v1alpha1.InSyncCondition, metav1.ConditionTrue, v1alpha1.InSyncReason); err != nil {
				return err
			}
			if s.Object(Core, "Cluster", c.Name) == nil {
				return fmt.Errorf("there is no Cluster")
			}
			return s.replicas(c)
		})
	}
}

// Replicas waits until the MachineDeployment of pool workers has as many replicas as c says.
func (s *Stage) Replicas(c rig.Cluster) {
	s.T.Helper()
	s.Within(Soon, fmt.Sprintf("%s has %d workers", c.Name, c.Workers), func() error { return s.replicas(c) })
}

func (s *Stage) replicas(c rig.Cluster) error {
	md := s.Object(Core, "MachineDeployment", c.Name+"-workers")
	if md == nil {
		return fmt.Errorf("there is no MachineDeployment")
	}
	if have, _, _ := unstructured.NestedInt64(md.Object, "spec", "replicas"); have != int64(c.Workers) {
		return fmt.Errorf("MachineDeployment %s has %d replicas; %s", md.GetName(), have, s.Says(Production))
	}
	return nil
}

// Refused waits until a cluster's source is not accepted, for a reason and with these words in its message.
func (s *Stage) Refused(name, reason string, words ...string) *v1alpha1.NutanixClusterSpec {
	s.T.Helper()
	return s.Sourced(name, metav1.ConditionFalse, reason, words...)
}

// Sourced waits until SourceAccepted of a cluster has a status and reason, with these words in its message.
func (s *Stage) Sourced(name string, status metav1.ConditionStatus, reason string, words ...string) *v1alpha1.NutanixClusterSpec {
	s.T.Helper()
	var c *v1alpha1.NutanixClusterSpec
	s.Within(Soon, fmt.Sprintf("%s has SourceAccepted=%s/%s", name, status, reason), func() error {
		if c = s.Cluster(name); c == nil {
			return fmt.Errorf("there is no mirror: %s", s.Says(Production))
		}
		return has(c, v1alpha1.SourceAcceptedCondition, status, reason, words)
	})
	return c
}

// Fails waits until a Fleet is not Ready, for a reason and with these words in its message.
func (s *Stage) Fails(fleet, reason string, words ...string) *v1alpha1.Fleet {
	s.T.Helper()
	var f *v1alpha1.Fleet
	s.Within(Soon, fmt.Sprintf("Fleet %s is not Ready: %s %q", fleet, reason, words), func() error {
		if f = s.Fleet(fleet); f == nil {
			return fmt.Errorf("there is no Fleet")
		}
		return has(f, v1alpha1.ReadyCondition, metav1.ConditionFalse, reason, words)
	})
	return f
}

// Ready waits until a Fleet is Ready.
func (s *Stage) Ready(fleet string) *v1alpha1.Fleet {
	s.T.Helper()
	return s.FleetHas(fleet, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.SucceededReason, Soon)
}

// Stalls waits until a cluster is stalled for a reason and with these words in its message.
func (s *Stage) Stalls(name, reason string, words ...string) *v1alpha1.NutanixClusterSpec {
	s.T.Helper()
	var c *v1alpha1.NutanixClusterSpec
	s.Within(Soon, fmt.Sprintf("%s is stalled: %s %q", name, reason, words), func() error {
		if c = s.Cluster(name); c == nil {
			return fmt.Errorf("there is no mirror: %s", s.Says(Production))
		}
		return has(c, v1alpha1.StalledCondition, metav1.ConditionTrue, reason, words)
	})
	return c
}

func has(o rig.Conditioned, condition string, status metav1.ConditionStatus, reason string, words []string) error {
	if err := rig.Has(o, condition, status, reason); err != nil {
		return err
	}
	message := meta.FindStatusCondition(o.GetConditions(), condition).Message
	for _, w := range words {
		if !strings.Contains(message, w) {
			return fmt.Errorf("%s does not say %q: %s", condition, w, message)
		}
	}
	return nil
}

// Says is what a Fleet says, for failures of tests.
func (s *Stage) Says(fleet string) string {
	f := s.Fleet(fleet)
	if f == nil {
		return "no Fleet"
	}
	return fmt.Sprintf("%s: %+v, failures %+v, plan %+v", f.Status.LastAttemptedRevision, f.Status.Conditions, f.Status.Failures, f.Status.Plan)
}

// kinds of an inventory.
var kinds = [][2]string{
	{Core, "Cluster"}, {Core, "MachineDeployment"}, {Core, "MachineHealthCheck"}, {ControlPlane, "KubeadmControlPlane"},
	{"bootstrap.cluster.x-k8s.io/v1beta2", "KubeadmConfigTemplate"}, {"addons.cluster.x-k8s.io/v1beta2", "ClusterResourceSet"},
	{Infrastructure, "NutanixCluster"}, {Infrastructure, "NutanixMachineTemplate"}, {"v1", "Secret"}, {"v1", "ConfigMap"},
}

// Inventory is the JSON of every object that Cluster API counts to a cluster, by kind and name, to the byte.
func (s *Stage) Inventory(cluster string) map[string]string {
	s.T.Helper()
	all := map[string]string{}
	for _, k := range kinds {
		for _, o := range s.Objects(k[0], k[1], cluster) {
			raw, err := json.Marshal(o.Object)
			if err != nil {
				s.T.Fatal(err)
			}
			all[k[1]+"/"+o.GetName()] = string(raw)
		}
	}
	return all
}

// Same fails unless two inventories are equal.
func (s *Stage) Same(before, after map[string]string) {
	s.T.Helper()
	for name, was := range before {
		if is, ok := after[name]; !ok {
			s.T.Errorf("%s is gone", name)
		} else if is != was {
			s.T.Errorf("%s changed\nfrom %s\nto   %s", name, was, is)
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			s.T.Errorf("%s is new", name)
		}
	}
}

// Patch merges JSON into an object of the namespace as another hand.
func (s *Stage) Patch(o client.Object, body string) error {
	return s.Client.Patch(s.T.Context(), o, client.RawPatch(types.MergePatchType, []byte(body)), client.FieldOwner("somebody"))
}

// Edit is Patch, and fails the test when it is refused.
func (s *Stage) Edit(o client.Object, body string) {
	s.T.Helper()
	if err := s.Patch(o, body); err != nil {
		s.T.Fatal(err)
	}
}

// Remove deletes an object.
func (s *Stage) Remove(o client.Object) {
	s.T.Helper()
	if err := s.Client.Delete(s.T.Context(), o); err != nil {
		s.T.Fatal(err)
	}
}

// Namespaced reads the namespace.
func (s *Stage) Namespaced() *corev1.Namespace {
	s.T.Helper()
	ns := &corev1.Namespace{}
	if err := s.Client.Get(s.T.Context(), client.ObjectKey{Name: s.Namespace}, ns); err != nil {
		s.T.Fatal(err)
	}
	return ns
}

// PutBack edits the health check of a cluster's control plane and waits until that is undone.
func (s *Stage) PutBack(cluster string) {
	s.T.Helper()
	read := func() (*unstructured.Unstructured, string) {
		o := s.Object(Core, "MachineHealthCheck", cluster+"-kcp")
		if o == nil {
			s.T.Fatal("there is no MachineHealthCheck")
		}
		return o, o.GetLabels()["example.com/edited"] + fmt.Sprint(o.Object["spec"])
	}
	o, wanted := read()
	s.Edit(o, `{"spec":{"remediation":{"triggerIf":{"unhealthyLessThanOrEqualTo":"77%"}}}}`)
	if _, now := read(); now == wanted {
		s.T.Fatal("the edit changed nothing")
	}
	s.Within(Soon, "an edit of "+o.GetName()+" is put back", func() error {
		if _, now := read(); now != wanted {
			return fmt.Errorf("it is %s, want %s", now, wanted)
		}
		return nil
	})
}

// Kstatus checks a Fleet and clusters by the rules of kstatus.
func (s *Stage) Kstatus(clusters ...rig.Cluster) {
	s.T.Helper()
	conditions := &check.Conditions{NegativePolarity: []string{v1alpha1.StalledCondition, v1alpha1.ReconcilingCondition}}
	s.Within(Soon, "kstatus holds", func() error {
		if f := s.Fleet(Production); f != nil {
			if err := checkOne(s, f, conditions); err != nil {
				return err
			}
		}
		for _, c := range clusters {
			if have := s.Cluster(c.Name); have != nil {
				if err := checkOne(s, have, conditions); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

type conditioned interface {
	client.Object
	rig.Conditioned
}

func checkOne(s *Stage, o conditioned, conditions *check.Conditions) error {
	checker := check.NewChecker(s.Client, conditions)
	if meta.IsStatusConditionTrue(o.GetConditions(), v1alpha1.ReconcilingCondition) {
		checker = check.NewInProgressChecker(s.Client)
	}
	checker.DisableFetch = true
	if fail, _ := checker.Check(s.T.Context(), o); fail != nil {
		return fmt.Errorf("%s: %w", o.GetName(), fail)
	}
	return nil
}
