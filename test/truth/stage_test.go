package truth

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/render/plan"
	"github.com/refract-dev/refract/test/leaf"
	"github.com/refract-dev/refract/test/rig"
)

const (
	fleetName = "production"
	core      = "cluster.x-k8s.io/v1beta2"
	// declared is the file with the account, the profile and the cluster.
	declared = "fleet/fleet.yaml"
)

// stage is one cluster to which one scenario after the other happens.
type stage struct {
	*rig.Scene
	name string
	// file is what Git holds, others what lies beside it.
	file   leaf.File
	others map[string]string
	// version counts the profile's.
	version int
}

// newStage declares a shape in a namespace of its own and waits until it runs.
func newStage(t *testing.T, shape, namespace string) *stage {
	t.Helper()
	s := &stage{Scene: shared.NewScene(t, namespace), name: shape, others: map[string]string{}}
	for _, name := range []string{"pc-east-ca", "pc-east-ca-2"} {
		bundle := map[string]string{"ca.crt": string(s.World.Prism.CA)}
		s.Create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: bundle})
		s.Secret(name, bundle)
	}
	credentials := map[string]string{"username": s.World.Prism.Username, "password": s.World.Prism.Password}
	s.Secret("pc-east-credentials-2", credentials)
	known := maps.Clone(ids)
	known["HOST"], known["ENDPOINT"] = s.World.Prism.Host, s.World.Endpoint()
	s.file = read(t, shape, known)
	err := fs.WalkDir(os.DirFS("testdata/files"), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path.Join("testdata/files", name))
		s.others["fleet/"+name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Push("a cluster", s.tree(s.file.Text()))
	s.NewFleet(fleetName, func(f *v1alpha1.Fleet) {
		f.Spec.Interval = metav1.Duration{Duration: time.Second}
		f.Spec.Limits = v1alpha1.Limits{RecreatedMachines: ptr.To[int32](100), RemovedMachines: ptr.To[int32](100)}
	})
	s.ClusterHas(shape, v1alpha1.ReadyCondition, metav1.ConditionTrue, "", patience)
	s.settle(s.decode(s.file.Text()))
	return s
}

// read reads the file of a shape and puts in what is known of its world.
func read(t *testing.T, shape string, known ...map[string]string) leaf.File {
	t.Helper()
	data, err := os.ReadFile(path.Join("testdata", shape+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, m := range known {
		for name, value := range m {
			text = strings.ReplaceAll(text, "${"+name+"}", value)
		}
	}
	file, err := leaf.Read([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func (s *stage) tree(text string) map[string]string {
	out := maps.Clone(s.others)
	out[declared] = text
	return out
}

// decode reads the files as the Fleet controller does; mistakes are in the Fleet.
func (s *stage) decode(text string) fleet.Fleet {
	files := fstest.MapFS{}
	for name, content := range s.tree(text) {
		files[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o600}
	}
	decoded, _ := fleet.Decode(files, "fleet", fleet.Options{Namespace: s.Namespace}) // its error joins decoded.Errors
	return decoded
}

// outcome is what a change came to.
type outcome struct {
	// refused is what the Fleet says about a revision that it did not accept.
	refused  string
	machines map[string]count
	// room is the most that machines took beyond what they took before.
	room room
}

func (o outcome) total() count { return total(o.machines) }

// census is the machines of one moment.
type census struct {
	// of each control plane and pool, by UID.
	machines map[string]map[types.UID]bool
	// size that each is to have.
	size map[string]int
}

// count looks at the machines. It is false while a control plane or pool has no size yet.
func (s *stage) count() census {
	s.T.Helper()
	out := census{machines: map[string]map[types.UID]bool{}, size: map[string]int{}}
	for _, m := range s.Objects(core, "Machine", s.name) {
		owner := "MachineDeployment/" + m.GetLabels()["cluster.x-k8s.io/deployment-name"]
		if _, first := m.GetLabels()["cluster.x-k8s.io/control-plane"]; first {
			owner = "KubeadmControlPlane/" + m.GetLabels()["cluster.x-k8s.io/control-plane-name"]
		}
		if out.machines[owner] == nil {
			out.machines[owner] = map[types.UID]bool{}
		}
		out.machines[owner][m.GetUID()] = true
	}
	owners := s.Objects(core, "MachineDeployment", s.name)
	for _, o := range append(owners, s.Objects("controlplane.cluster.x-k8s.io/v1beta2", "KubeadmControlPlane", s.name)...) {
		n, _, _ := unstructured.NestedInt64(o.Object, "spec", "replicas")
		out.size[o.GetKind()+"/"+o.GetName()] = int(n)
	}
	return out
}

// since says what became of the machines of an earlier census: who went for good, and who was replaced. Those beyond the
// size of their pool were about to go already.
func (c census) since(before census) map[string]count {
	out := map[string]count{}
	for owner, machines := range before.machines {
		gone := 0
		for uid := range machines {
			if !c.machines[owner][uid] {
				gone++
			}
		}
		removed := max(0, before.size[owner]-c.size[owner])
		surplus := max(0, len(machines)-before.size[owner])
		n := count{recreated: max(0, gone-removed-surplus), removed: min(removed, gone)}
		if n.recreated+n.removed > 0 {
			out[owner] = n
		}
	}
	return out
}

// scenario is one change of the files.
type scenario struct {
	name string
	// text is the file to push.
	text string
	// still: nothing is carried out, since the cluster is paused or suspended.
	still bool
	// underway: another rollout is. Cluster API counts its machines no more once they are being deleted, and what their VMs
	// take till they are gone comes on top of what a plan says.
	underway bool
}

// run plans a change, pushes it, waits until it is carried out or refused, and compares.
func (s *stage) run(t *testing.T, sc scenario) outcome {
	t.Helper()
	on := *s
	scene := *s.Scene
	scene.T, on.Scene = t, &scene
	base, head := on.decode(on.file.Text()), on.decode(sc.text)
	offline := on.offline(t, base, head)
	watched := on.watchRoom()
	exact, err := on.exact(t.Context(), base, head, on.look(t))
	if err != nil {
		t.Fatal(err)
	}
	before := on.count()
	begin := time.Now()
	hash := on.Push(sc.name, on.tree(sc.text))
	actual := outcome{refused: on.decided(hash)}
	switch {
	case actual.refused != "" || sc.still:
		on.rest()
	default:
		on.settle(head)
	}
	after := on.count()
	actual.machines = after.since(before)
	actual.room = watched()
	wrong := append(offline.differences("offline", actual), exact.differences("exact", actual)...)
	if actual.refused == "" && !sc.still && !sc.underway {
		wrong = append(wrong, exact.short(actual.room)...)
	}
	tally.add(offline, exact, actual, len(wrong))
	t.Logf("%s: offline %s, exact %s, actual %s%s; GiB at the peak: offline %d, exact %d, actual %d (%s)", sc.name, offline.total(), exact.total(),
		actual.total(), map[bool]string{true: ", refused"}[actual.refused != ""], offline.room().memory(), exact.room().memory(), actual.room.memory(),
		time.Since(begin).Round(time.Second))
	for _, w := range wrong {
		t.Errorf("%s on %s, seed %d: %s\nexact plan:%s\noffline plan:%s", sc.name, on.name, seed, w, exact.says(), offline.says())
	}
	return actual
}

// decided waits until the Fleet has accepted a commit for the cluster, and says why it did not.
func (s *stage) decided(hash string) (refused string) {
	s.T.Helper()
	s.Handled(fleetName, hash, patience)
	s.Within(patience, "the Fleet has decided", func() error {
		c := s.Cluster(s.name)
		if strings.HasSuffix(c.Annotations[v1alpha1.RevisionAnnotation], hash) {
			refused = ""
			return nil
		}
		for _, condition := range c.Status.Conditions {
			if condition.Type == v1alpha1.SourceAcceptedCondition && condition.Status == metav1.ConditionFalse {
				refused = condition.Reason + ": " + condition.Message
				return nil
			}
		}
		return fmt.Errorf("%s is at %q: %+v", s.name, c.Annotations[v1alpha1.RevisionAnnotation], c.Status.Conditions)
	})
	return refused
}

// rest waits until the Fleet has looked twice more, so that whatever were to happen would have begun.
func (s *stage) rest() {
	s.T.Helper()
	for range 2 {
		hash, err := s.Git.Commit(s.T.Context(), "nothing")
		if err != nil {
			s.T.Fatal(err)
		}
		s.Handled(fleetName, hash, patience)
	}
}

// settle waits until nothing is left to do.
func (s *stage) settle(head fleet.Fleet) {
	s.T.Helper()
	var looked time.Time
	var last error
	s.Within(patience, "the change is carried out", func() error {
		if time.Since(looked) > time.Second {
			last, looked = s.settled(head), time.Now()
		}
		return last
	})
}

// settled says what is left to do, by the machines, by Cluster API and by a plan.
func (s *stage) settled(head fleet.Fleet) error {
	c := s.Cluster(s.name)
	if err := rig.Has(c, v1alpha1.ReadyCondition, metav1.ConditionTrue, ""); err != nil {
		return err
	}
	now := s.count()
	for owner, size := range now.size {
		if len(now.machines[owner]) != size {
			return fmt.Errorf("%s has %d machines of %d", owner, len(now.machines[owner]), size)
		}
	}
	h, err := s.cluster(c).Health(s.T.Context())
	if err != nil {
		return err
	}
	if !h.Done {
		return fmt.Errorf("waiting for %v", h.Waiting)
	}
	left, err := s.exact(s.T.Context(), head, head, nil)
	if err != nil {
		return err
	}
	for _, one := range left.report.Clusters {
		for _, change := range one.Plan.Changes {
			if change.Action != plan.Delete && plan.Rank(change.Severity) > plan.Rank(v1alpha1.SeverityNone) {
				return fmt.Errorf("left to do: %s %s from %q to %q", change.Object, change.Field, change.From, change.To)
			}
		}
	}
	return nil
}

// keep makes a text what Git holds.
func (s *stage) keep(text string) {
	s.T.Helper()
	file, err := leaf.Read([]byte(text))
	if err != nil {
		s.T.Fatal(err)
	}
	s.file = file
}

// back pushes what Git held before a change that was refused.
func (s *stage) back() {
	s.T.Helper()
	s.Handled(fleetName, s.Push("back", s.tree(s.file.Text())), patience)
}
