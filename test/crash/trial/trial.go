// Package trial runs the built operator as a process that is killed at one of its writes and started again, as a kubelet
// would, and says what a namespace holds in the end. Many trials share one world, each with an operator, a namespace and a
// branch of one repository.
package trial

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

// Setting is what the trials of a package share. Run fills it.
type Setting struct {
	rig.Package
	// Git serves the commits of all trials.
	Git *rig.Git

	binary  string
	listed  map[string]bool
	births  *births
	dynamic dynamic.Interface
}

// Fleet is the name of a trial's Fleet.
const Fleet = "production"

// Long is how long anything here may take on a busy machine.
const Long = 3 * time.Minute

// Run builds the operator, starts a world and runs the tests of a package: call it from TestMain.
func Run(m *testing.M, s *Setting, o world.Options) int {
	log.SetOutput(io.Discard) // the Git server logs every request
	ctrl.SetLogger(logr.Discard())
	ctx, cancel := context.WithCancel(context.Background()) //nolint:forbidigo // the root of a test binary
	defer cancel()
	dir, err := os.MkdirTemp("", "refract-crash-")
	if err != nil {
		return failed(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // nothing to do about it
	if err := s.open(ctx, dir, o); err != nil {
		return failed(err)
	}
	code := m.Run()
	s.Git.Close()
	if err := s.World.Failed(); err != nil {
		code = failed(err)
	}
	cancel()
	if err := s.World.Stop(); err != nil {
		code = failed(err)
	}
	return code
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func (s *Setting) open(ctx context.Context, dir string, o world.Options) error {
	var err error
	if s.binary, err = rig.Binary(ctx, dir); err != nil {
		return err
	}
	if s.Git, err = rig.NewGit(ctx, filepath.Join(dir, "git")); err != nil {
		return err
	}
	if err = s.Open(ctx, o); err != nil {
		return err
	}
	all, err := kinds(s.World.REST)
	if err != nil {
		return err
	}
	s.listed = listed(all)
	if s.dynamic, err = dynamic.NewForConfig(s.World.REST); err != nil {
		return err
	}
	s.births, err = watch(ctx, s.World.REST, all)
	return err
}

// Commit commits and pushes files (path to content; "" removes the file) for trials to come to.
func (s *Setting) Commit(t *testing.T, message string, files map[string]string) string {
	t.Helper()
	hash, err := s.Git.Push(t.Context(), message, files)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// Trial is one life of a fleet with an operator of its own.
type Trial struct {
	*rig.Scene
	*Operator

	setting *Setting
}

// New makes a namespace with the Secrets that a Fleet needs, and an operator that is to be started.
func (s *Setting) New(t *testing.T, namespace string) *Trial {
	t.Helper()
	x := &Trial{Scene: &rig.Scene{Package: &s.Package, T: t, Git: s.Git, Namespace: namespace}, setting: s}
	x.Create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	x.Secret("git-credentials", map[string]string{"username": s.Git.Username, "password": s.Git.Password})
	x.Secret("pc-east-credentials", map[string]string{"username": s.World.Prism.Username, "password": s.World.Prism.Password})
	x.Operator = x.Another("operator")
	return x
}

// Another makes one more operator for the trial's namespace, a replica of the first.
func (x *Trial) Another(name string) *Operator {
	x.T.Helper()
	user, err := x.World.User("refract", "system:masters")
	if err != nil {
		x.T.Fatal(err)
	}
	door, err := newDoor(user, x.Namespace, x.setting.listed)
	if err != nil {
		x.T.Fatal(err)
	}
	x.T.Cleanup(door.close)
	kubeconfig := filepath.Join(x.T.TempDir(), "kubeconfig")
	if err := door.kubeconfig(kubeconfig); err != nil {
		x.T.Fatal(err)
	}
	return &Operator{Door: door, t: x.T, world: x.World, name: name + "-" + x.Namespace, binary: x.setting.binary, args: []string{
		"manager", "--kubeconfig=" + kubeconfig, "--metrics-bind-address=0", "--health-probe-bind-address=0",
		"--allow-insecure-git", "--log-encoding=console",
	}}
}

// Launch starts a Fleet over a directory of the trial's branch; Point moves that branch. change may be nil.
func (x *Trial) Launch(path string, change func(*v1alpha1.Fleet)) {
	x.T.Helper()
	x.NewFleet(Fleet, func(f *v1alpha1.Fleet) {
		f.Spec.Git.Ref.Branch, f.Spec.Git.Path = x.Namespace, path
		f.Spec.Interval.Duration = time.Second
		if change != nil {
			change(f)
		}
	})
}

// Point has the trial's branch stand for a commit.
func (x *Trial) Point(commit string) {
	x.T.Helper()
	if err := x.Git.Point(x.T.Context(), x.Namespace, commit); err != nil {
		x.T.Fatal(err)
	}
}

// Dump is what the namespace holds.
func (x *Trial) Dump() Dump {
	x.T.Helper()
	d, err := dump(x.T.Context(), x.setting.dynamic, x.setting.births, x.Namespace)
	if err != nil {
		x.T.Fatal(err)
	}
	return d
}

// Births says how often each object of the namespace was created, by kind and name.
func (x *Trial) Births() map[string]int { return x.setting.births.counts(x.Namespace) }

// Alive are the UIDs of what lives in the namespace, by kind and name.
func (x *Trial) Alive() map[string]types.UID { return x.setting.births.alive(x.Namespace) }

// Quiet waits until the Fleet was looked at that often without a write.
func (x *Trial) Quiet(looks int) {
	x.T.Helper()
	x.Within(Long, "nothing is written any more", func() error {
		if n := x.Door.Looks(); n < looks {
			all := x.Door.Writes()
			return fmt.Errorf("%d looks since the last of %d writes: %v", n, len(all), all[max(0, len(all)-5):])
		}
		return nil
	})
}
