// Package fleets holds what the suites below it share: a stage is one test's namespace, repository and Fleet, in a world
// whose Cluster API webhooks are real while its reconcilers stand still, so that objects are applied and no machine comes.
package fleets

import (
	"context"
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

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

// Soon is how long anything here may take on a busy machine.
const Soon = 2 * time.Minute

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
			hangUp(w)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.front.Close)
	return s
}

// hangUp breaks the connection, as when a server is gone.
func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
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
