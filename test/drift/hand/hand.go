// Package hand is the other hand of drift tests: it edits live objects as somebody else would, stands between the
// operator and Git, and reads what the operator said and wrote.
package hand

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/fluxcd/pkg/runtime/conditions/check"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/rig"
)

// Versions of what is read and edited.
const (
	Core         = "cluster.x-k8s.io/v1beta2"
	ControlPlane = "controlplane.cluster.x-k8s.io/v1beta2"
	Bootstrap    = "bootstrap.cluster.x-k8s.io/v1beta2"
	Infra        = "infrastructure.cluster.x-k8s.io/v1beta1"
	Refract      = "refract.dev/v1alpha1"
)

// Soon is how long anything that needs no machine may take on a busy computer.
const Soon = 2 * time.Minute

// Scene is one test's namespace and repository, with a door in front of the repository.
type Scene struct {
	*rig.Scene
	// Door that the Fleets of the scene come through.
	Door *Door
}

// NewScene makes a scene.
func NewScene(t *testing.T, p *rig.Package, namespace string) *Scene {
	t.Helper()
	s := &Scene{Scene: p.NewScene(t, namespace)}
	s.Door = newDoor(t, s.Git.Server.HTTPAddress())
	return s
}

// Policies are the files of the admission policies and roles, for the options of a world.
func Policies() []string {
	var files []string
	for _, name := range []string{"policy/approval.yaml", "policy/deletion.yaml", "rbac/editor_role.yaml", "rbac/approver_role.yaml"} {
		files = append(files, filepath.Join(rig.Root(), "config", filepath.FromSlash(name)))
	}
	return files
}

// Small is a cluster file with one control plane and one worker, on an address of its own.
func (s *Scene) Small(name string) rig.Cluster {
	return rig.Cluster{Name: name, Endpoint: s.World.Endpoint(), ControlPlanes: 1, Workers: 1}
}

// Declare pushes clusters with an account and a profile, and makes Fleet production over them. change may be nil.
func (s *Scene) Declare(change func(*v1alpha1.Fleet), clusters ...rig.Cluster) {
	s.T.Helper()
	files := map[string]string{
		"fleet/account.yaml": rig.Account("pc-east", s.prism()),
		"fleet/profile.yaml": rig.Profile("1.0.0", "v1.33.4"),
	}
	for _, c := range clusters {
		files["fleet/"+c.Name+".yaml"] = c.File()
	}
	s.Push("declare", files)
	s.NewFleet("production", func(f *v1alpha1.Fleet) {
		f.Spec.Git.URL = s.Door.URL() + "/fleet.git"
		if change != nil {
			change(f)
		}
	})
	s.T.Cleanup(func() {
		// Its repository goes with the test.
		_ = s.Client.DeleteAllOf(context.WithoutCancel(s.T.Context()), &v1alpha1.Fleet{}, client.InNamespace(s.Namespace))
	})
}

// prism is the address of Prism Central; any will do where machines do not run. It differs between namespaces, so that
// names need not.
func (s *Scene) prism() string {
	if s.World.Prism.Host != "" {
		return s.World.Prism.Host
	}
	return s.Namespace + ".example.com"
}

// Change pushes a cluster's file and waits until the Fleet has dealt with the commit.
func (s *Scene) Change(message string, c rig.Cluster) {
	s.T.Helper()
	hash := s.Push(message, map[string]string{"fleet/" + c.Name + ".yaml": c.File()})
	s.Handled("production", hash, Soon)
}

// InSync waits until a cluster's live objects are as wanted.
func (s *Scene) InSync(name string) *v1alpha1.NutanixClusterSpec {
	s.T.Helper()
	return s.ClusterHas(name, v1alpha1.InSyncCondition, metav1.ConditionTrue, "", Soon)
}

// Edit writes a JSON merge patch as a field manager of that name.
func (s *Scene) Edit(manager, apiVersion, kind, name, patch string) {
	s.T.Helper()
	if err := s.TryEdit(s.Client, manager, apiVersion, kind, name, patch); err != nil {
		s.T.Fatal(err)
	}
}

// TryEdit does what Edit does, through any client, and returns the answer.
func (s *Scene) TryEdit(c client.Client, manager, apiVersion, kind, name, patch string) error {
	s.T.Helper()
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(gvk(apiVersion, kind))
	o.Namespace, o.Name = s.Namespace, name
	return c.Patch(s.T.Context(), o, client.RawPatch(types.MergePatchType, []byte(patch)), client.FieldOwner(manager))
}

// Kubectl runs the real kubectl as an administrator in the scene's namespace and returns what it prints.
func (s *Scene) Kubectl(args ...string) string {
	s.T.Helper()
	args = append([]string{"--kubeconfig", s.World.Kubeconfig, "--namespace", s.Namespace}, args...)
	out, err := exec.CommandContext(s.T.Context(), s.World.Kubectl, args...).CombinedOutput() //nolint:gosec // the arguments are a test's own
	if err != nil {
		s.T.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Until waits until an object satisfies check.
func (s *Scene) Until(what, apiVersion, kind, name string, check func(o Live) error) {
	s.T.Helper()
	s.Within(Soon, what, func() error {
		o := s.Object(apiVersion, kind, name)
		if o == nil {
			return fmt.Errorf("there is no %s %s", kind, name)
		}
		return check(Live{o})
	})
}

// Said waits for an event about an object whose reason is as given and whose message holds all the words.
func (s *Scene) Said(object, reason string, words ...string) {
	s.T.Helper()
	s.Within(Soon, fmt.Sprintf("event %s %q", reason, words), func() error {
		var others []string
		for _, e := range s.Events(object) {
			missing := slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(e.Message, w) })
			if e.Reason == reason && !missing {
				return nil
			}
			others = append(others, e.Reason+": "+e.Message)
		}
		return fmt.Errorf("the events say %q", others)
	})
}

// Events about an object of the namespace.
func (s *Scene) Events(object string) []corev1.Event {
	s.T.Helper()
	list := &corev1.EventList{}
	if err := s.Client.List(s.T.Context(), list, client.InNamespace(s.Namespace)); err != nil {
		s.T.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(e corev1.Event) bool { return e.InvolvedObject.Name != object })
}

// Restart stops the operator, calls between, and starts the operator again.
func (s *Scene) Restart(between func()) {
	s.T.Helper()
	if err := s.Operator.Stop(); err != nil {
		s.T.Fatal(err)
	}
	if between != nil {
		between()
	}
	s.Operator.Start(context.WithoutCancel(s.T.Context()))
}

// KStatus checks objects of ours against the rules that kstatus readers rely on.
func (s *Scene) KStatus(objects ...client.Object) {
	s.T.Helper()
	for _, o := range objects {
		name := types.NamespacedName{Namespace: s.Namespace, Name: o.GetName()}
		if err := s.Client.Get(s.T.Context(), name, o); err != nil {
			s.T.Fatal(err)
		}
		o, ok := o.(conditions.Getter)
		if !ok {
			s.T.Fatalf("%T has no conditions", o)
		}
		checker := check.NewChecker(s.Client, &check.Conditions{NegativePolarity: []string{v1alpha1.StalledCondition, v1alpha1.ReconcilingCondition}})
		if conditions.IsTrue(o, v1alpha1.ReconcilingCondition) {
			checker = check.NewInProgressChecker(s.Client)
		}
		checker.DisableFetch = true
		if fail, _ := checker.Check(s.T.Context(), o); fail != nil {
			s.T.Errorf("%T %s: %v: %+v", o, o.GetName(), fail, o.GetConditions())
		}
	}
}

// Key of an object of the namespace.
func (s *Scene) Key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: s.Namespace, Name: name}
}

// Apply has the real kubectl apply a manifest.
func (s *Scene) Apply(manifest string) {
	s.T.Helper()
	file := filepath.Join(s.T.TempDir(), "manifest.yaml")
	if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
		s.T.Fatal(err)
	}
	s.Kubectl("apply", "-f", file)
}
