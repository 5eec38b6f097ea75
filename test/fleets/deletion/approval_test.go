package deletion

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/rig"
)

// tight holds every change that re-creates a machine.
func tight(f *v1alpha1.Fleet) { f.Spec.Limits.RecreatedMachines = ptr.To[int32](0) }

// hold pushes more memory for the workers of a cluster and waits until that is held.
func hold(s *fleets.Stage, c *rig.Cluster, memory string) *v1alpha1.NutanixClusterSpec {
	s.T.Helper()
	c.WorkerMemory = memory
	s.Commit("memory "+memory, map[string]string{fleets.File(*c): c.File()})
	var held *v1alpha1.NutanixClusterSpec
	s.Within(fleets.Soon, "memory "+memory+" is held", func() error {
		held = s.Cluster(c.Name)
		if err := rig.Has(held, v1alpha1.SourceAcceptedCondition, "False", v1alpha1.LimitExceededReason); err != nil {
			return err
		}
		if held.Status.Plan.Digest == "" {
			return fmt.Errorf("no digest")
		}
		return nil
	})
	return held
}

// memory of the workers as accepted.
func memory(s *fleets.Stage, name string) string {
	return s.Cluster(name).Spec.NodePools[0].Machine.Memory.String()
}

func approve(s *fleets.Stage, name, digest string) {
	s.T.Helper()
	if err := s.Approve(s.Cluster(name), digest); err != nil {
		s.T.Fatal(err)
	}
}

// looked pushes an empty commit and waits until the Fleet has looked at it: whatever was written before was seen.
func looked(s *fleets.Stage) {
	s.T.Helper()
	s.Commit("nothing", nil)
}

func TestUnapprovedThenApproved(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &here)
	edge, other := fleets.Edge("edge-01"), fleets.Edge("edge-02")
	s.Launch(tight, edge, other)
	held := hold(s, &edge, "6Gi")
	looked(s)
	if memory(s, edge.Name) != "4Gi" {
		t.Fatal("accepted without a word")
	}
	s.Kstatus(edge, other)
	approve(s, edge.Name, held.Status.Plan.Digest)
	s.Accepted(edge)
	s.Ready(fleets.Production)
	if have := s.Cluster(edge.Name); memory(s, edge.Name) != "6Gi" || have.Annotations[v1alpha1.ApprovedPlanAnnotation] != "" {
		t.Errorf("memory %s, annotations %v", memory(s, edge.Name), have.Annotations)
	}
}

func TestApprovedByTheFleetsDigest(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &here)
	one, two := fleets.Edge("edge-01"), fleets.Edge("edge-02")
	s.Launch(tight, one, two)
	hold(s, &one, "6Gi")
	hold(s, &two, "6Gi")
	looked(s)
	f := s.Fails(fleets.Production, v1alpha1.ClustersHeldReason, "2 clusters are held")
	if f.Status.Clusters.Held != 2 || !strings.Contains(f.Status.Plan.Summary, "2") {
		t.Errorf("counts %+v, plan %+v", f.Status.Clusters, f.Status.Plan)
	}
	s.Push("approve all\n\nRefract-Approve: "+f.Status.Plan.Digest, nil)
	s.Accepted(one, two)
	s.Ready(fleets.Production)
	if memory(s, one.Name) != "6Gi" || memory(s, two.Name) != "6Gi" {
		t.Error("not accepted")
	}
}

func TestApprovalsThatAreRefused(t *testing.T) {
	t.Parallel()
	t.Run("OfAnotherCluster", func(t *testing.T) {
		t.Parallel()
		s := fleets.New(t, &here)
		one, two := fleets.Edge("edge-01"), fleets.Edge("edge-02")
		s.Launch(tight, one, two)
		first, second := hold(s, &one, "6Gi"), hold(s, &two, "6Gi")
		approve(s, one.Name, second.Status.Plan.Digest)
		approve(s, two.Name, first.Status.Plan.Digest)
		looked(s)
		if memory(s, one.Name) != "4Gi" || memory(s, two.Name) != "4Gi" {
			t.Error("accepted by another cluster's approval")
		}
		s.Refused(one.Name, v1alpha1.LimitExceededReason)
		s.Refused(two.Name, v1alpha1.LimitExceededReason)
	})
	t.Run("OfASmallerPlan", func(t *testing.T) {
		t.Parallel()
		s := fleets.New(t, &here)
		edge := fleets.Edge("edge-01")
		s.Launch(tight, edge)
		small := hold(s, &edge, "6Gi").Status.Plan.Digest
		edge.ControlPlaneMemory = "8Gi"
		s.Commit("the control plane, too", map[string]string{fleets.File(edge): edge.File()})
		s.Within(fleets.Soon, "the larger plan is held", func() error {
			if have := s.Cluster(edge.Name).Status.Plan.Digest; have == "" || have == small {
				return fmt.Errorf("digest %s", have)
			}
			return nil
		})
		approve(s, edge.Name, small)
		looked(s)
		s.Push("by trailer, too\n\nRefract-Approve: "+small, nil)
		looked(s)
		if memory(s, edge.Name) != "4Gi" {
			t.Error("accepted by the approval of a smaller plan")
		}
		s.Refused(edge.Name, v1alpha1.LimitExceededReason)
	})
	t.Run("Spent", func(t *testing.T) {
		t.Parallel()
		s := fleets.New(t, &here)
		edge := fleets.Edge("edge-01")
		s.Launch(tight, edge)
		first := hold(s, &edge, "6Gi").Status.Plan.Digest
		s.Push("go on\n\nRefract-Approve: "+first, nil)
		s.Accepted(edge)
		back := hold(s, &edge, "4Gi").Status.Plan.Digest
		approve(s, edge.Name, back)
		s.Accepted(edge)
		if memory(s, edge.Name) != "4Gi" {
			t.Fatal("not back")
		}
		again := hold(s, &edge, "6Gi").Status.Plan.Digest
		looked(s)
		if memory(s, edge.Name) != "4Gi" {
			t.Errorf("plan %s accepted by the spent approval %s", again, first)
		}
	})
	t.Run("WithoutTheVerb", func(t *testing.T) {
		t.Parallel()
		s := fleets.New(t, &here)
		edge := fleets.Edge("edge-01")
		s.Launch(tight, edge)
		digest := hold(s, &edge, "6Gi").Status.Plan.Digest
		name := "editor-of-" + s.Namespace
		s.Create(&rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"refract.dev"}, Resources: []string{"nutanixclusterspecs", "fleets"}, Verbs: []string{"get", "patch", "update"}}},
		})
		s.Create(&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: name}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
		})
		config, err := here.World.User(name)
		if err != nil {
			t.Fatal(err)
		}
		editor, err := client.New(config, client.Options{Scheme: s.Client.Scheme()})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range []client.Object{s.Cluster(edge.Name), s.Fleet(fleets.Production)} {
			body := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q,%q:%q}}}`, v1alpha1.ApprovedPlanAnnotation, digest, v1alpha1.ApprovedByAnnotation, name)
			err := editor.Patch(t.Context(), o, client.RawPatch(types.MergePatchType, body))
			if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "may not approve") {
				t.Errorf("%s: %v", o.GetName(), err)
			}
		}
		looked(s)
		if memory(s, edge.Name) != "4Gi" {
			t.Error("accepted by who may not approve")
		}
	})
}

// TestExpired moves the clock, which all tests of the package share, so it runs alone.
func TestExpired(t *testing.T) {
	s := fleets.New(t, &here)
	edge := fleets.Edge("edge-01")
	s.Launch(tight, edge)
	held := hold(s, &edge, "6Gi")
	if err := here.Operator.Stop(); err != nil {
		t.Fatal(err)
	}
	clock.Add(8 * 24 * time.Hour)
	approve(s, edge.Name, held.Status.Plan.Digest)
	s.Push("too late, too\n\nRefract-Approve: "+held.Status.Plan.Digest, nil)
	here.Operator.Start(context.WithoutCancel(t.Context()))
	looked(s)
	if memory(s, edge.Name) != "4Gi" {
		t.Error("accepted by an approval of a plan shown more than a week ago")
	}
	s.Refused(edge.Name, v1alpha1.LimitExceededReason)

	// The void approval is taken off, and the plan is shown anew and can be approved.
	s.Within(fleets.Soon, "the plan is shown anew", func() error {
		c := s.Cluster(edge.Name)
		if at := c.Status.Plan.RecordedAt; at == nil || at.Equal(held.Status.Plan.RecordedAt) || c.Annotations[v1alpha1.ApprovedPlanAnnotation] != "" {
			return fmt.Errorf("recorded at %v, annotations %v", at, c.Annotations)
		}
		return nil
	})
	approve(s, edge.Name, s.Cluster(edge.Name).Status.Plan.Digest)
	s.Accepted(edge)
	if memory(s, edge.Name) != "6Gi" {
		t.Error("not accepted")
	}
}
