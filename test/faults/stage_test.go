package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/prismsim/simulator"
	"github.com/refract-dev/refract/test/rig"
)

// stage is a scene with one cluster, which has the scene's name, and an account with a user of its own.
type stage struct {
	*rig.Scene
	rules []*simulator.Rule
}

const password = "faults/4u" //nolint:gosec // of a simulator on the loopback network

func newStage(t *testing.T, cluster string) *stage {
	t.Helper()
	s := &stage{Scene: shared.NewScene(t, cluster)}
	s.World.Prism.Server.SetUser(simulator.User{Name: cluster, Password: password})
	s.Secret(cluster+"-credentials", map[string]string{"username": cluster, "password": password})
	return s
}

// as goes on with the cluster in another test.
func (s *stage) as(t *testing.T) *stage {
	if s == nil {
		return nil
	}
	scene := *s.Scene
	scene.T = t
	return &stage{Scene: &scene, rules: s.rules}
}

// let has something go wrong from now on.
func (s *stage) let(faults ...fault) {
	s.T.Helper()
	for _, f := range faults {
		rule, err := s.World.Prism.Server.AddFault(f(s.Namespace))
		if err != nil {
			s.T.Fatal(err)
		}
		s.rules = append(s.rules, rule)
	}
}

// struck fails unless everything that should go wrong did.
func (s *stage) struck() {
	s.T.Helper()
	for _, rule := range s.rules {
		if rule.Hits() == 0 {
			s.T.Errorf("never struck: %+v", rule.Fault())
		}
	}
}

// mend ends all that goes wrong.
func (s *stage) mend() {
	for _, rule := range s.rules {
		rule.Remove()
	}
}

// declare has a Fleet make the cluster.
func (s *stage) declare(workers int, domain string) {
	s.T.Helper()
	s.Push("a cluster", map[string]string{
		"fleet/account.yaml": rig.Account(s.Namespace, s.World.Prism.Host),
		"fleet/profile.yaml": rig.Profile("1.0.0", "v1.33.4"),
		"fleet/cluster.yaml": file(s.Namespace, s.World.Endpoint(), workers, domain),
	})
	s.NewFleet("production", func(f *v1alpha1.Fleet) { f.Spec.Interval = metav1.Duration{Duration: time.Hour} })
}

// ready waits until the cluster is up.
func (s *stage) ready() *v1alpha1.NutanixClusterSpec {
	s.T.Helper()
	return s.ClusterHas(s.Namespace, v1alpha1.ReadyCondition, metav1.ConditionTrue, "", patience)
}

// told waits until the cluster says that it is stuck, in these words, in which {cluster} stands for its name. It returns
// the whole message.
func (s *stage) told(words ...string) string {
	s.T.Helper()
	message := ""
	s.Within(patience, fmt.Sprintf("%s says %q", s.Namespace, words), func() error {
		c := s.Cluster(s.Namespace)
		if c == nil {
			return fmt.Errorf("there is no such cluster")
		}
		if err := rig.Has(c, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.RolloutStuckReason); err != nil {
			return err
		}
		message = messageOf(c, v1alpha1.ReadyCondition)
		for _, w := range words {
			if w = strings.ReplaceAll(w, "{cluster}", s.Namespace); !strings.Contains(message, w) {
				return fmt.Errorf("it does not say %q: %s", w, message)
			}
		}
		return nil
	})
	s.T.Log(message)
	return message
}

// alarms are the events that say that CAPX gave something up or got it wrong.
func (s *stage) alarms() []string {
	s.T.Helper()
	events := &corev1.EventList{}
	if err := s.Client.List(s.T.Context(), events, client.InNamespace(s.Namespace)); err != nil {
		s.T.Fatal(err)
	}
	var found []string
	for _, e := range events.Items {
		if e.Reason == v1alpha1.RolloutStuckReason && !strings.HasPrefix(e.Message, "no progress") {
			found = append(found, e.Message)
		}
	}
	return found
}

// machine waits for the one Machine of the control plane (kcp) or of pool workers, and returns its name.
func (s *stage) machine(of string) string {
	s.T.Helper()
	name := ""
	s.Within(patience, "there is a Machine of "+of, func() error {
		for _, machine := range s.Machines(s.Namespace) {
			if strings.HasPrefix(machine, s.Namespace+"-"+of+"-") {
				name = machine
				return nil
			}
		}
		return fmt.Errorf("%v", s.Machines(s.Namespace))
	})
	return name
}

// vms are the cluster's own, by name.
func (s *stage) vms() map[string]simulator.VM {
	found := map[string]simulator.VM{}
	for _, vm := range s.World.Prism.Server.VMs() {
		if strings.HasPrefix(vm.Name, s.Namespace+"-") {
			found[vm.Name] = vm
		}
	}
	return found
}

var quoted = regexp.MustCompile("`(kubectl [^`]*)`")

// commands are what a message tells a person to run, in order.
func commands(message string) []string {
	var found []string
	for _, match := range quoted.FindAllStringSubmatch(message, -1) {
		found = append(found, match[1])
	}
	return found
}

// run does what a message says, in a shell with the real kubectl.
func (s *stage) run(command string) {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(s.T.Context(), patience)
	defer cancel()
	bin := s.T.TempDir()
	if err := os.Symlink(s.World.Kubectl, filepath.Join(bin, "kubectl")); err != nil {
		s.T.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, "sh", "-c", command) //nolint:gosec // what our own message says
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "KUBECONFIG="+s.World.Kubeconfig)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.T.Fatalf("%s: %v: %s", command, err, out)
	}
	s.T.Logf("%s: %s", command, out)
}

func messageOf(o rig.Conditioned, condition string) string {
	for _, c := range o.GetConditions() {
		if c.Type == condition {
			return c.Message
		}
	}
	return ""
}
