package upgrade

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/rig"
)

const (
	cluster = "edge-01"
	pool    = cluster + "-workers"
	capi    = "cluster.x-k8s.io/v1beta2"
)

// TestUpgrade leads one cluster through upgrades, a rollback and the end of Refract.
func TestUpgrade(t *testing.T) {
	s := newSite(t)
	s.install(t, s.versions.before)
	scene := s.NewScene(t, "clusters")
	for _, step := range []struct {
		name string
		run  func(*life)
	}{
		{"OldVersionCreates", create},
		{"NewVersionTakesOver", takeOver},
		{"ChangedDefaultIsHeld", held},
		{"RollbackTakesThePlanBack", rollback},
		{"ApprovedMovesWhatItSaid", approved},
		{"InPlaceNeedsNoApproval", inPlace},
		{"UninstallLeavesAll", uninstall},
	} {
		passed := t.Run(step.name, func(t *testing.T) {
			on := *scene
			on.T = t
			step.run(&life{&on, s})
		})
		if !passed {
			t.Fatal("what comes after it goes on from there")
		}
	}
}

func create(l *life) {
	file := rig.Cluster{Name: cluster, Endpoint: l.World.Endpoint(), ControlPlanes: 1, Workers: 1}
	l.Push("one cluster", map[string]string{
		"fleet/account.yaml": rig.Account("pc-east", l.World.Prism.Host),
		"fleet/profile.yaml": rig.Profile("1.0.0", "v1.33.4"),
		"fleet/edge-01.yaml": file.File(),
	})
	l.NewFleet("production", nil)
	l.ready()
	l.settled()
	if n := l.made(); n != 2 {
		l.T.Errorf("the audit log tells of %d Machines that were made, want 2", n)
	}
}

// takeOver upgrades to this tree. A commit that changes a default on purpose may be held here, and moves nothing either.
func takeOver(l *life) {
	was := l.picture()
	l.site.upgrade(l.T, l.site.versions.this)
	var waits error
	l.Within(patience, "this tree has looked, and runs the cluster or holds what differs", func() error {
		l.looks(1)
		c := l.Cluster(cluster)
		if waits = rig.Has(c, v1alpha1.SourceAcceptedCondition, metav1.ConditionFalse, v1alpha1.ApprovalRequiredReason); waits == nil {
			return nil
		}
		return rig.Has(c, v1alpha1.ReadyCondition, metav1.ConditionTrue, "")
	})
	l.looks(2)
	l.kept(was)
	if waits == nil {
		l.T.Logf("this tree changes a default: %s", l.Cluster(cluster).Status.Plan.Summary)
		l.approve(l.hold())
	}
	l.ready()
	l.settled()
	l.foretold()
}

// foretold has a person ask the binary of the next version, by hand and from a checkout, what it would do.
func (l *life) foretold() {
	l.T.Helper()
	var code *exec.ExitError
	out, err := exec.CommandContext(l.T.Context(), l.site.versions.rolls.binary, "plan", filepath.Join(l.Git.Clone(), "fleet"), "--all",
		"--fleet", "production", "--namespace", l.Namespace, "--kubeconfig", l.World.Kubeconfig).CombinedOutput()
	if !errors.As(err, &code) || code.ExitCode() != 1 || !strings.Contains(string(out), recreated) {
		l.T.Errorf("want exit code 1 and %q, got %v: %s", recreated, err, out)
	}
}

// recreated is how the plan of the changed default is summed up.
const recreated = "1 machine re-created"

// held upgrades to a changed default: nothing at all changes in the cluster's objects.
func held(l *life) {
	was := l.picture()
	l.site.upgrade(l.T, l.site.versions.rolls)
	digest := l.hold()
	if says := l.Cluster(cluster).Status.Plan.Summary; says != recreated {
		l.T.Errorf("the plan says %q, want %q", says, recreated)
	}
	l.looks(3)
	if again := l.hold(); again != digest {
		l.T.Errorf("looked at again the plan is %s, it was %s: an approval would miss it", again, digest)
	}
	l.kept(was)
	l.same(was, false)
}

// hold waits until the cluster is held for the changed default alone, and returns the digest to approve.
func (l *life) hold() string {
	l.T.Helper()
	c := l.ClusterHas(cluster, v1alpha1.SourceAcceptedCondition, metav1.ConditionFalse, v1alpha1.ApprovalRequiredReason, patience)
	why := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.SourceAcceptedCondition).Message
	for _, words := range []string{"Git did not change", "a new version of Refract", "refract approve cluster/" + cluster} {
		if !strings.Contains(why, words) {
			l.T.Errorf("%q does not say %q", why, words)
		}
	}
	l.Within(patience, "the plan is shown", func() error {
		c = l.Cluster(cluster)
		if p := c.Status.Plan; p.Digest == "" || p.Severity != v1alpha1.SeverityRollout {
			return fmt.Errorf("%+v", p)
		}
		return rig.Has(c, v1alpha1.StalledCondition, metav1.ConditionTrue, v1alpha1.ApprovalRequiredReason)
	})
	return c.Status.Plan.Digest
}

// rollback goes back to the version before while the new one's plan waits: the plan is gone, and nothing has moved.
func rollback(l *life) {
	was := l.picture()
	l.site.rollback(l.T, l.site.versions.before)
	l.ready()
	l.Within(patience, "no plan waits", l.waitsForNobody)
	l.kept(was)
	l.settled()
}

// approved has a person approve the changed default: the worker is re-created, once, and the control plane is not.
func approved(l *life) {
	was, machines := l.picture(), l.Machines(cluster)
	l.site.upgrade(l.T, l.site.versions.rolls)
	digest := l.hold()
	l.looks(1)
	l.kept(was)
	l.approve(digest)
	l.Within(patience, "the worker is re-created", func() error {
		if kept := survivors(machines, l.Machines(cluster)); len(kept) > 1 {
			return fmt.Errorf("still there: %v; %+v", kept, l.Cluster(cluster).Status.Conditions)
		}
		return nil
	})
	l.ready()
	l.settled()
	after := l.Machines(cluster)
	kept := survivors(machines, after)
	if len(after) != 2 || len(kept) != 1 || !strings.HasPrefix(kept[0], cluster+"-kcp-") {
		l.T.Errorf("machines were %v and are %v: want the control plane kept and one new worker", machines, after)
	}
	if n := l.made() - was.Made; n != 1 {
		l.T.Errorf("%d Machines were made, want 1 as the plan said", n)
	}
}

func survivors(before, after map[types.UID]string) (names []string) {
	for uid, name := range before {
		if _, ok := after[uid]; ok {
			names = append(names, name)
		}
	}
	return names
}

// approve gives a person's word for a plan, by the command that the message names.
func (l *life) approve(digest string) {
	l.T.Helper()
	out, err := exec.CommandContext(l.T.Context(), l.site.versions.this.binary, "approve", "cluster/"+cluster, digest,
		"--namespace", l.Namespace, "--kubeconfig", l.World.Kubeconfig).CombinedOutput()
	if err != nil {
		l.T.Fatalf("%v: %s", err, out)
	}
}

// inPlace upgrades to a default that touches no machine: it is applied, and an event says why.
func inPlace(l *life) {
	if !full {
		l.T.Skip("only with REFRACT_PROOF=full, since it takes another build")
	}
	was := l.picture()
	l.site.upgrade(l.T, l.site.versions.eased)
	l.Within(patience, "the health check has the new default", func() error {
		for _, check := range l.Objects(capi, "MachineHealthCheck", cluster) {
			if text := l.thing(&check).Content; !strings.Contains(text, `"timeoutSeconds":240`) || strings.Contains(text, `"timeoutSeconds":300`) {
				return errors.New(text)
			}
		}
		return nil
	})
	l.ready()
	l.settled()
	l.kept(was)
	l.Within(patience, "an event says why", func() error {
		events := &corev1.EventList{}
		if err := l.Client.List(l.T.Context(), events, client.InNamespace(l.Namespace)); err != nil {
			return err
		}
		for _, e := range events.Items {
			if e.Reason == "OperatorUpgrade" && e.InvolvedObject.Name == cluster {
				return nil
			}
		}
		return errors.New("no event OperatorUpgrade")
	})
}

// uninstall takes Refract away: every object stays as it is, and the cluster goes on without it.
func uninstall(l *life) {
	was := l.picture()
	if err := l.site.release.Uninstall(l.T.Context()); err != nil {
		l.T.Fatal(err)
	}
	end(l.T, l.site.replica)
	for _, kind := range []client.ObjectList{&v1alpha1.FleetList{}, &v1alpha1.CloudAccountList{}, &v1alpha1.ClusterProfileList{}, &v1alpha1.NutanixClusterSpecList{}} {
		if err := l.Client.List(l.T.Context(), kind, client.InNamespace(l.Namespace)); err != nil {
			l.T.Error(err)
		} else if meta.LenList(kind) == 0 {
			l.T.Errorf("no object is left of %T", kind)
		}
	}
	guarded := l.Object(capi, "Cluster", cluster)
	if err := l.Client.Delete(l.T.Context(), guarded, client.DryRunAll); err == nil || !strings.Contains(err.Error(), "is protected by Refract") {
		l.T.Errorf("the Cluster may be deleted: %v", err)
	}
	l.kept(was)
	l.same(was, true)

	// Cluster API obeys by hand now.
	machines := l.Machines(cluster)
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":2}}`))
	if err := l.Client.Patch(l.T.Context(), l.Object(capi, "MachineDeployment", pool), patch); err != nil {
		l.T.Fatal(err)
	}
	l.Within(patience, "all machines run, and one more", func() error {
		running := 0
		for _, m := range l.Objects(capi, "Machine", cluster) {
			if phase, _, _ := unstructured.NestedString(m.Object, "status", "phase"); phase == "Running" {
				running++
			}
		}
		if have := l.Machines(cluster); running != 3 || len(survivors(machines, have)) != 2 {
			return fmt.Errorf("%d run of %v", running, have)
		}
		return nil
	})
}
