// Package live shows what needs machines: one small cluster by the real controllers of Cluster API and CAPX, which is
// looked at, edited by hand, held, approved, and gets stuck.
package live

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers"
	"github.com/refract-dev/refract/test/drift/hand"
	"github.com/refract-dev/refract/test/rig"
	"github.com/refract-dev/refract/test/world"
)

var shared rig.Package

func TestMain(m *testing.M) {
	os.Exit(rig.Run(m, &shared, world.Options{
		Managers: true, AuditPolicy: true, Manifests: hand.Policies(),
	}, controllers.Options{StuckAfter: 20 * time.Second, InventoryInterval: time.Second}))
}

// cluster is the one that all of it happens to.
const cluster = "live-1"

// rolled is how long machines may take on a busy computer.
const rolled = 4 * time.Minute

// TestRunning takes one running cluster through everything that another hand may do to it.
func TestRunning(t *testing.T) {
	s := hand.NewScene(t, &shared, "live")
	c := s.Small(cluster)
	s.Declare(func(f *v1alpha1.Fleet) {
		f.Spec.Interval = metav1.Duration{Duration: 3 * time.Second}
		f.Spec.Limits.RecreatedMachines = ptr.To[int32](2)
	}, c)
	ready(s)
	steps := []struct {
		name string
		run  func(t *testing.T, s *hand.Scene, c rig.Cluster)
	}{
		{"Shown", shown},
		{"NothingWritten", idle},
		{"ReportOnly", reportOnly},
		{"TemplateIsRestoredInPlace", template},
		{"RollIsPutBackWithGitAway", roll},
		{"RollAboveTheLimitIsHeld", held},
		{"Stuck", stuck},
	}
	for _, step := range steps {
		passed := t.Run(step.name, func(t *testing.T) {
			on := *s
			scene := *s.Scene
			scene.T, on.Scene = t, &scene
			step.run(t, &on, c)
		})
		if !passed {
			t.FailNow()
		}
	}
	hand.Quiet(t, &shared, s.World.Prism.Password, s.Git.Password)
}

func ready(s *hand.Scene) {
	s.T.Helper()
	s.ClusterHas(cluster, v1alpha1.ReadyCondition, metav1.ConditionTrue, "", rolled)
}

// shown reads what a person sees of a running cluster.
func shown(t *testing.T, s *hand.Scene, _ rig.Cluster) {
	t.Helper()
	s.Within(hand.Soon, "the counts are complete", func() error {
		have := s.Cluster(cluster).Status
		one := v1alpha1.MachineCounts{Desired: 1, Available: 1, UpToDate: 1, Summary: "1/1"}
		if have.Phase != v1alpha1.PhaseRunning || have.ControlPlane != one || have.Workers != one {
			return fmt.Errorf("%+v", have)
		}
		return nil
	})
	have := s.Cluster(cluster).Status
	if have.KubeconfigSecretRef == nil || s.Object("v1", "Secret", have.KubeconfigSecretRef.Name) == nil {
		t.Errorf("kubeconfigSecretRef is %v", have.KubeconfigSecretRef)
	}
	columns(t, s.Kubectl("get", "nutanixclusterspecs"), map[string]string{
		"NAME": cluster, "READY": "True", "PHASE": "Running", "PROFILE": "standard@1.0.0", "VERSION": "v1.33.4",
		"CP": "1/1", "WORKERS": "1/1", "SYNC": "InSync", "REVISION": have.ShortRevision,
	})
	columns(t, s.Kubectl("get", "fleets"), map[string]string{"NAME": "production", "READY": "True"})
	s.KStatus(
		&v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Name: "production"}},
		&v1alpha1.NutanixClusterSpec{ObjectMeta: metav1.ObjectMeta{Name: cluster}},
		&v1alpha1.CloudAccount{ObjectMeta: metav1.ObjectMeta{Name: "pc-east"}},
	)
}

// columns checks a table of one row.
func columns(t *testing.T, table string, want map[string]string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(table), "\n")
	if len(lines) != 2 {
		t.Fatalf("not one row: %s", table)
	}
	names, values := strings.Fields(lines[0]), strings.Fields(lines[1])
	have := map[string]string{}
	for i, name := range names {
		if i < len(values) {
			have[name] = values[i]
		}
	}
	for name, value := range want {
		if have[name] != value {
			t.Errorf("column %s is %q, want %q:\n%s", name, have[name], value, table)
		}
	}
}

func idle(_ *testing.T, s *hand.Scene, _ rig.Cluster) { s.Idle(3) }

// reportOnly shows drift.objects: Report: what differs is listed, nothing is put back, and Ready does not change.
func reportOnly(t *testing.T, s *hand.Scene, c rig.Cluster) {
	t.Helper()
	c.Extra = "  drift: {objects: Report}\n"
	s.Change("report only", c)
	ready(s)
	s.Within(hand.Soon, "the accepted plan is carried out", func() error {
		if s.Cluster(cluster).Spec.Drift.Objects != v1alpha1.DriftReport {
			return fmt.Errorf("not mirrored")
		}
		return nil
	})
	s.Loosen(cluster+"-workers", "51%")
	have := s.ClusterHas(cluster, v1alpha1.InSyncCondition, metav1.ConditionFalse, v1alpha1.DriftedReason, hand.Soon)
	if d := have.Status.Drift; len(d) != 1 || d[0].Manager != "kubectl-patch" || d[0].Found != `"51%"` || d[0].Wanted != `"40%"` || d[0].Since.IsZero() {
		t.Errorf("status.drift is %+v", d)
	}
	s.Kubectl("annotate", "nutanixclusterspec", cluster, "reconcile.fluxcd.io/requestedAt=report")
	s.Within(hand.Soon, "the request is handled", func() error {
		if have = s.Cluster(cluster); have.Status.LastHandledReconcileAt != "report" {
			return fmt.Errorf("not yet")
		}
		return nil
	})
	if err := rig.Has(have, v1alpha1.ReadyCondition, metav1.ConditionTrue, ""); err != nil {
		t.Error(err)
	}
	if err := s.Looseness(cluster+"-workers", "51%"); err != nil {
		t.Error("put back although only to be reported:", err)
	}
	c.Extra = ""
	s.Change("correct again", c)
	s.Tight(cluster + "-workers")
	inSync(s)
	ready(s)
	if d := s.Cluster(cluster).Status.Drift; len(d) != 0 {
		t.Errorf("status.drift is still %+v", d)
	}
}

// template edits a NutanixMachineTemplate in place: it is restored under its name, and no machine moves.
func template(t *testing.T, s *hand.Scene, _ rig.Cluster) {
	t.Helper()
	machines := s.Machines(cluster)
	name := ""
	for _, o := range s.Objects(hand.Infra, "NutanixMachineTemplate", cluster) {
		if strings.Contains(o.GetName(), "workers") {
			name = o.GetName()
		}
	}
	was := s.Now(hand.Infra, "NutanixMachineTemplate", name)
	s.Edit("tuner", hand.Infra, "NutanixMachineTemplate", name, `{"spec":{"template":{"spec":{"memorySize":"16Gi"}}}}`)
	s.Until("restored", hand.Infra, "NutanixMachineTemplate", name, func(o hand.Live) error {
		if o.GetGeneration() == was.GetGeneration() {
			return fmt.Errorf("not edited")
		}
		return o.Is("spec/template/spec/memorySize", was.At("spec/template/spec/memorySize"))
	})
	s.Said(cluster, "DriftCorrected", "NutanixMachineTemplate", "memorySize", "tuner changed it")
	inSync(s)
	ready(s)
	if now := s.Machines(cluster); fmt.Sprint(now) != fmt.Sprint(machines) {
		t.Errorf("machines were %v and are %v", machines, now)
	}
}

const pool = cluster + "-workers"

func version(s *hand.Scene) string {
	return s.Now(hand.Core, "MachineDeployment", pool).At("spec/template/spec/version")
}

func upgradeByHand(s *hand.Scene) {
	s.T.Helper()
	s.Kubectl("patch", "machinedeployment", pool, "--type=merge", "-p", `{"spec":{"template":{"spec":{"version":"v1.33.3"}}}}`)
}

// roll changes by hand what machines are made from. Putting it back rolls them again, which the Fleet gates from API
// objects alone, since Git is away.
func roll(_ *testing.T, s *hand.Scene, _ rig.Cluster) {
	s.Door.Shut()
	defer s.Door.Open()
	upgradeByHand(s)
	s.Within(rolled, "put back", func() error {
		if v := version(s); v != `"v1.33.4"` {
			return fmt.Errorf("version %s, %+v", v, s.Cluster(cluster).Status.Conditions)
		}
		return nil
	})
	s.Said(cluster, "DriftCorrected", "MachineDeployment/"+pool, "spec.template.spec.version", "kubectl-patch")
	ready(s)
	inSync(s)
}

// inSync waits until nothing differs. CAPX forgets a machine that is deleted before it has noted its VM: the VM stays in
// Prism Central, Refract says so, and a person removes it.
func inSync(s *hand.Scene) {
	s.T.Helper()
	s.Within(rolled, "nothing differs", func() error {
		have := s.Cluster(cluster)
		for _, f := range have.Status.Drift {
			if name, ok := strings.CutPrefix(f.Object, "VM "); ok && strings.Contains(f.Found, "without a machine") {
				_ = s.World.Prism.Server.RemoveVM(name) // it may be gone already
			}
		}
		return rig.Has(have, v1alpha1.InSyncCondition, metav1.ConditionTrue, "")
	})
}

// held does the same where no machine may be re-created: it waits, with a digest, for a person who may approve.
func held(t *testing.T, s *hand.Scene, _ rig.Cluster) {
	t.Helper()
	limit(s, 0)
	s.FleetHas("production", v1alpha1.ReadyCondition, metav1.ConditionTrue, "", hand.Soon)
	s.Door.Shut()
	defer s.Door.Open()
	before := s.Machines(cluster)
	// Put back within a moment, the edit would touch no living machine.
	s.Restart(func() {
		upgradeByHand(s)
		s.Within(rolled, "the hand's roll is over", func() error {
			kept := 0
			for uid := range s.Machines(cluster) {
				if _, ok := before[uid]; ok {
					kept++
				}
			}
			if kept != 1 || len(s.Machines(cluster)) != 2 {
				return fmt.Errorf("%d of %v kept: %v", kept, before, s.Machines(cluster))
			}
			return nil
		})
	})
	s.ClusterHas(cluster, v1alpha1.SourceAcceptedCondition, metav1.ConditionFalse, v1alpha1.LimitExceededReason, rolled)
	var have *v1alpha1.NutanixClusterSpec
	s.Within(hand.Soon, "held", func() error {
		have = s.Cluster(cluster)
		if have.Status.Plan.Digest == "" || have.Status.Plan.Severity != v1alpha1.SeverityRollout {
			return fmt.Errorf("plan %+v", have.Status.Plan)
		}
		return rig.Has(have, v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.LimitExceededReason)
	})
	s.KStatus(&v1alpha1.NutanixClusterSpec{ObjectMeta: metav1.ObjectMeta{Name: cluster}})
	if v := version(s); v != `"v1.33.3"` {
		t.Errorf("put back without approval: %s", v)
	}
	refused(t, s, have.Status.Plan.Digest)
	if err := s.Approve(have, have.Status.Plan.Digest); err != nil {
		t.Fatal(err)
	}
	s.Within(rolled, "put back", func() error {
		if v := version(s); v != `"v1.33.4"` {
			return fmt.Errorf("version %s, %+v", v, s.Cluster(cluster).Status)
		}
		return nil
	})
	ready(s)
	if by := s.Cluster(cluster).Annotations[v1alpha1.ApprovedPlanAnnotation]; by != "" {
		t.Errorf("the approval %s is not spent", by)
	}
	limit(s, 10)
}

func limit(s *hand.Scene, recreated int32) {
	s.T.Helper()
	s.Kubectl("patch", "fleet", "production", "--type=merge", "-p", fmt.Sprintf(`{"spec":{"limits":{"recreatedMachines":%d}}}`, recreated))
}

// refused tries approvals that do not count.
func refused(t *testing.T, s *hand.Scene, digest string) {
	t.Helper()
	for user, c := range map[string]struct{ role, by, says string }{
		"editor":   {"refract-editor", "editor", "may not approve"},
		"approver": {"refract-approver", "somebody-else", "set it to your own user name"},
	} {
		s.Create(&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: user},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: c.role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
		})
		config, err := s.World.User(user)
		if err != nil {
			t.Fatal(err)
		}
		as, err := client.New(config, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q,%q:%q}}}`, v1alpha1.ApprovedPlanAnnotation, digest, v1alpha1.ApprovedByAnnotation, c.by)
		err = s.TryEdit(as, user, hand.Refract, "NutanixClusterSpec", cluster, patch)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", user, err)
		}
	}
}

// stuck commits an image that does not exist: the cluster says at once what holds it back, since CAPX never tries again, and a
// commit mends it.
func stuck(t *testing.T, s *hand.Scene, c rig.Cluster) {
	t.Helper()
	s.FleetHas("production", v1alpha1.ReadyCondition, metav1.ConditionTrue, "", hand.Soon)
	// Else preflight would hold it.
	s.Kubectl("patch", "fleet", "production", "--type=merge", "-p", `{"spec":{"preflight":{"existence":"Off"}}}`)
	before := s.Machines(cluster)
	profile := rig.Profile("1.0.1", "v1.33.4")
	profile = strings.Replace(profile, "ubuntu-24.04-kube-v1.33.4", "no-such-image", 1)
	c.Profile = "1.0.1"
	hash := s.Push("a wrong image", map[string]string{"fleet/profile-1.0.1.yaml": profile, "fleet/" + cluster + ".yaml": c.File()})
	s.Handled("production", hash, hand.Soon)
	have := s.ClusterHas(cluster, v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.RolloutStuckReason, rolled)
	message := meta.FindStatusCondition(have.Status.Conditions, v1alpha1.StalledCondition).Message
	for _, word := range []string{"NutanixMachine", "no-such-image", "kubectl delete machine "} {
		if !strings.Contains(message, word) {
			t.Errorf("%q lacks %q", message, word)
		}
	}
	s.KStatus(&v1alpha1.NutanixClusterSpec{ObjectMeta: metav1.ObjectMeta{Name: cluster}})
	c.Profile = "1.0.0"
	hash = s.Push("the right image", map[string]string{"fleet/" + cluster + ".yaml": c.File()})
	s.Handled("production", hash, hand.Soon)
	ready(s)
	now := s.Machines(cluster)
	for uid, name := range before {
		if _, ok := now[uid]; !ok {
			t.Errorf("machine %s is gone although its replacement never came", name)
		}
	}
}
