package faults

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/controlplane"
	"github.com/refract-dev/refract/test/prismsim/simulator"
	"github.com/refract-dev/refract/test/rig"
)

// stage is a scene with one cluster, which has the scene's name, and an account with a user of its own.
type stage struct {
	*rig.Scene
	rules []*simulator.Rule
	// message is what was told of it.
	message string
}

const password = "faults/4u"

func newStage(t *testing.T, cluster string) *stage {
	t.Helper()
	s := &stage{Scene: shared.NewScene(t, cluster)}
	s.World.Prism.Server.SetUser(simulator.User{Name: cluster, Password: password})
	s.Secret(cluster+"-credentials", map[string]string{"username": cluster, "password": password})
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the account says %+v", s.account().Status)
		}
	})
	return s
}

// as goes on with the cluster in another test.
func (s *stage) as(t *testing.T) *stage {
	t.Helper()
	scene := *s.Scene
	scene.T = t
	return &stage{Scene: &scene, message: s.message}
}

// account is the cluster's, as it says it is.
func (s *stage) account() *v1alpha1.CloudAccount {
	a := &v1alpha1.CloudAccount{}
	if err := s.Client.Get(context.WithoutCancel(s.T.Context()), client.ObjectKey{Namespace: s.Namespace, Name: s.Namespace}, a); err != nil {
		s.T.Error(err)
	}
	return a
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

// rests waits until nothing has gone wrong for so long.
func (s *stage) rests(pause time.Duration) {
	s.T.Helper()
	hits, since := -1, time.Now()
	s.Within(patience, "CAPX asks no more", func() error {
		now := 0
		for _, rule := range s.rules {
			now += rule.Hits()
		}
		if now != hits {
			hits, since = now, time.Now()
		}
		if quiet := time.Since(since); quiet < pause {
			return fmt.Errorf("it asked %d times, the last time %s ago", hits, quiet)
		}
		return nil
	})
}

// mend ends all that goes wrong.
func (s *stage) mend() {
	for _, rule := range s.rules {
		rule.Remove()
	}
	s.rules = nil
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
func (s *stage) ready() {
	s.T.Helper()
	s.ClusterHas(s.Namespace, v1alpha1.ReadyCondition, metav1.ConditionTrue, "", patience)
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
	return slices.DeleteFunc(s.events(v1alpha1.RolloutStuckReason), func(message string) bool { return strings.HasPrefix(message, "no progress") })
}

// events are the messages of the events with a reason.
func (s *stage) events(reason string) []string {
	s.T.Helper()
	list := &corev1.EventList{}
	if err := s.Client.List(s.T.Context(), list, client.InNamespace(s.Namespace)); err != nil {
		s.T.Fatal(err)
	}
	var found []string
	for _, e := range list.Items {
		if e.Reason == reason {
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

// oneVM fails unless the cluster has one VM: those of machines that were given up are gone.
func (s *stage) oneVM() {
	s.T.Helper()
	var found []string
	for _, vm := range s.World.Prism.Server.VMs() {
		if strings.HasPrefix(vm.Name, s.Namespace+"-") {
			found = append(found, vm.Name)
		}
	}
	if len(found) != 1 {
		s.T.Errorf("VMs %q, want one", found)
	}
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
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "KUBECONFIG="+s.World.Kubeconfig)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.T.Fatalf("%s: %v: %s", command, err, out)
	}
	s.T.Logf("%s: %s", command, out)
}

// restart runs the command of a message that restarts CAPX, and does to its process what the controller of Deployments
// would do.
func (s *stage) restart(message string) {
	s.T.Helper()
	const namespace, name = "capx-system", "capx-controller-manager"
	labels := map[string]string{"control-plane": name}
	s.Create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	s.Create(&appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "manager", Image: "capx"}}},
			},
		},
	})
	told := commands(message)
	i := slices.IndexFunc(told, func(c string) bool { return strings.Contains(c, "rollout restart") })
	if i < 0 {
		s.T.Fatalf("%q restart nothing", told)
	}
	s.run(told[i])
	s.World.StopManager(controlplane.CAPX)
	if err := s.World.StartManager(s.T.Context(), controlplane.CAPX); err != nil {
		s.T.Fatal(err)
	}
}

func messageOf(o rig.Conditioned, condition string) string {
	for _, c := range o.GetConditions() {
		if c.Type == condition {
			return c.Message
		}
	}
	return ""
}
