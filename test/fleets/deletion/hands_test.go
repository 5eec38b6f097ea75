package deletion

import (
	"context"
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/rig"
)

// TestPolicyIsTheAcceptedOne edits the policy in the mirror while the file goes: what Git said counts. It stops the
// operator, which all tests of the package share, so it runs alone.
func TestPolicyIsTheAcceptedOne(t *testing.T) {
	s := fleets.New(t, &here)
	edge := fleets.Edge("edge-01")
	s.Launch(wide, edge)
	before, kept := s.Cluster(edge.Name), s.Inventory(edge.Name)
	if err := here.Operator.Stop(); err != nil {
		t.Fatal(err)
	}
	s.Edit(s.Cluster(edge.Name), `{"spec":{"deletionPolicy":"Orphan"}}`)
	s.Push("remove it", map[string]string{fleets.File(edge): ""})
	here.Operator.Start(context.WithoutCancel(t.Context()))
	s.Refused(edge.Name, v1alpha1.FileRemovedReason, "Protect")
	s.Within(fleets.Soon, "the edit is put back", func() error {
		if c := s.Cluster(edge.Name); c.UID != before.UID || c.Spec.DeletionPolicy != v1alpha1.DeletionProtect {
			return fmt.Errorf("policy %s", c.Spec.DeletionPolicy)
		}
		return nil
	})
	s.Same(kept, s.Inventory(edge.Name))
}

// TestMirrorDeletedByHand deletes the mirror with kubectl: what it stands for stays as it is, to the byte.
func TestMirrorDeletedByHand(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"Protect", "Orphan", "Delete"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			s := fleets.New(t, &here)
			edge := fleets.Edge("edge-01")
			edge.DeletionPolicy = policy
			s.Launch(nil, edge)
			before, kept := s.Cluster(edge.Name), s.Inventory(edge.Name)
			s.Remove(s.Cluster(edge.Name))
			s.Within(fleets.Soon, "there is a new mirror", func() error {
				if c := s.Cluster(edge.Name); c == nil || c.UID == before.UID {
					return fmt.Errorf("%s", s.Says(fleets.Production))
				}
				return nil
			})
			s.Accepted(edge)
			s.Same(kept, s.Inventory(edge.Name))
			s.PutBack(edge.Name)
		})
	}
}

// TestStampsWrittenByHandDeleteNothing writes the Fleet's stamps by hand before deleting the mirror.
func TestStampsWrittenByHandDeleteNothing(t *testing.T) {
	t.Parallel()
	for policy, stamp := range map[string]string{"Delete": v1alpha1.DeleteAtAnnotation, "Orphan": v1alpha1.ReleaseAtAnnotation} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			s := fleets.New(t, &here)
			edge := fleets.Edge("edge-01")
			edge.DeletionPolicy = policy
			s.Launch(func(f *v1alpha1.Fleet) { f.Spec.Suspend = false }, edge)
			before, kept := s.Cluster(edge.Name), s.Inventory(edge.Name)
			s.Edit(s.Cluster(edge.Name), fmt.Sprintf(`{"metadata":{"annotations":{%q:"main@sha1:0"}}}`, stamp))
			s.Remove(s.Cluster(edge.Name))
			s.Within(fleets.Soon, "there is a new mirror", func() error {
				if c := s.Cluster(edge.Name); c == nil || c.UID == before.UID {
					return fmt.Errorf("%s", s.Says(fleets.Production))
				}
				return nil
			})
			s.Accepted(edge)
			s.Same(kept, s.Inventory(edge.Name))
		})
	}
}

// TestRemovalTakenBackLeavesNoStamp has a removal stop between its stamp and the deletion, puts the file back, and then
// deletes the mirror by hand.
func TestRemovalTakenBackLeavesNoStamp(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &here)
	edge := fleets.Edge("edge-01")
	edge.DeletionPolicy = "Delete"
	s.Create(&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "no-delete"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"refract.dev"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "create", "update", "patch"}},
		{APIGroups: []string{"", fleets.Group(fleets.Core), fleets.Group(fleets.ControlPlane), fleets.Group(fleets.Infrastructure), "bootstrap.cluster.x-k8s.io", "addons.cluster.x-k8s.io"}, Resources: []string{"*"}, Verbs: []string{"*"}},
	}})
	s.Create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "no-delete"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: s.Namespace, Name: "deployer"}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "no-delete"},
	})
	s.Launch(func(f *v1alpha1.Fleet) {
		f.Spec.ServiceAccountName = "deployer"
		f.Spec.Limits = v1alpha1.Limits{DeletedClusters: ptr.To[int32](10), PrunedPercent: ptr.To[int32](100)}
	}, edge)
	before, kept := s.Cluster(edge.Name), s.Inventory(edge.Name)
	s.Push("remove it", map[string]string{fleets.File(edge): ""})
	s.Fails(fleets.Production, "", "cannot delete")
	if s.Cluster(edge.Name).Annotations[v1alpha1.DeleteAtAnnotation] == "" {
		t.Fatal("it was not stamped")
	}
	s.Push("no, keep it", map[string]string{fleets.File(edge): edge.File()})
	s.Ready(fleets.Production)
	s.Within(fleets.Soon, "the stamp is taken back", func() error {
		if a := s.Cluster(edge.Name).Annotations; a[v1alpha1.DeleteAtAnnotation] != "" {
			return fmt.Errorf("annotations %v", a)
		}
		return nil
	})
	s.Remove(s.Cluster(edge.Name))
	s.Within(fleets.Soon, "there is a new mirror", func() error {
		if c := s.Cluster(edge.Name); c == nil || c.UID == before.UID {
			return fmt.Errorf("%s", s.Says(fleets.Production))
		}
		return nil
	})
	s.Accepted(edge)
	s.Same(kept, s.Inventory(edge.Name))
}

// TestClusterDeletedElsewhere deletes the Cluster by another hand: nothing is made again without a word.
func TestClusterDeletedElsewhere(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &here)
	edge := fleets.Edge("edge-01")
	edge.DeletionPolicy = "Delete" // so that the policy on Clusters lets it
	s.Launch(nil, edge)
	s.Remove(s.Object(fleets.Core, "Cluster", edge.Name)) // at once: it was applied, though nobody has looked at it since
	c := s.Stalls(edge.Name, v1alpha1.ClusterDeletedElsewhereReason, "approve")
	if c.Status.Plan.Digest == "" || c.Status.Plan.Severity != v1alpha1.SeverityDestroy {
		s.Within(fleets.Soon, "the re-creation is planned", func() error {
			if c = s.Cluster(edge.Name); c.Status.Plan.Digest == "" || c.Status.Plan.Severity != v1alpha1.SeverityDestroy {
				return fmt.Errorf("plan %+v, conditions %+v", c.Status.Plan, c.Status.Conditions)
			}
			return nil
		})
	}
	// Another commit is no word for it either.
	edge.Workers = 2
	s.Commit("a change", map[string]string{fleets.File(edge): edge.File()})
	s.Refused(edge.Name, v1alpha1.ApprovalRequiredReason)
	if s.Object(fleets.Core, "Cluster", edge.Name) != nil {
		t.Fatal("re-created without a word")
	}
	s.Kstatus(edge)
	if err := s.Approve(s.Cluster(edge.Name), s.Cluster(edge.Name).Status.Plan.Digest); err != nil {
		t.Fatal(err)
	}
	s.Accepted(edge)
	s.Ready(fleets.Production)
}

// TestPausedOrMovedByAnotherHand stops everything until the other hand is done.
func TestPausedOrMovedByAnotherHand(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ set, unset, reason, who string }{
		"Paused": {`{"spec":{"paused":true}}`, `{"spec":{"paused":null}}`, v1alpha1.PausedByOtherReason, "somebody"},
		"Moved": {
			`{"metadata":{"annotations":{"clusterctl.cluster.x-k8s.io/block-move":""}},"spec":{"paused":true}}`,
			`{"metadata":{"annotations":{"clusterctl.cluster.x-k8s.io/block-move":null}},"spec":{"paused":null}}`, "", "somebody",
		},
		"DeleteForMove": {
			`{"metadata":{"annotations":{"clusterctl.cluster.x-k8s.io/delete-for-move":""}}}`,
			`{"metadata":{"annotations":{"clusterctl.cluster.x-k8s.io/delete-for-move":null}}}`, v1alpha1.MovingReason, "somebody",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fleets.New(t, &here)
			edge := fleets.Edge("edge-01")
			s.Launch(nil, edge)
			s.Edit(s.Object(fleets.Core, "Cluster", edge.Name), c.set)
			s.Within(fleets.Soon, "it says who paused it", func() error {
				have := s.Cluster(edge.Name)
				if err := rig.Has(have, v1alpha1.PausedCondition, metav1.ConditionTrue, c.reason); err != nil {
					return err
				}
				for _, condition := range have.Status.Conditions {
					if condition.Type == v1alpha1.PausedCondition && !strings.Contains(condition.Message, c.who) {
						return fmt.Errorf("it does not say who: %s", condition.Message)
					}
				}
				return nil
			})
			mhc := s.Object(fleets.Core, "MachineHealthCheck", edge.Name+"-kcp")
			s.Edit(mhc, `{"spec":{"remediation":{"triggerIf":{"unhealthyLessThanOrEqualTo":"77%"}}}}`)
			kept := s.Inventory(edge.Name)
			edge.Workers = 2
			commit := s.Commit("a change", map[string]string{fleets.File(edge): edge.File()})
			s.Within(fleets.Soon, "the change was looked at", func() error {
				have := s.Cluster(edge.Name)
				if !strings.HasSuffix(have.Status.Revision, commit) || have.Status.ObservedGeneration != have.Generation {
					return fmt.Errorf("revision %s, %+v", have.Status.Revision, have.Status.Conditions)
				}
				return nil
			})
			s.Same(kept, s.Inventory(edge.Name))
			s.Kstatus(edge)
			s.Edit(s.Object(fleets.Core, "Cluster", edge.Name), c.unset)
			s.Accepted(edge)
			s.Within(fleets.Soon, "the edit is put back", func() error {
				mhc := s.Object(fleets.Core, "MachineHealthCheck", edge.Name+"-kcp")
				if strings.Contains(fmt.Sprint(mhc.Object["spec"]), "77%") {
					return fmt.Errorf("%v", mhc.Object["spec"])
				}
				return nil
			})
		})
	}
}
