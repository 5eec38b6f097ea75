package input

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/utils/ptr"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/rig"
)

// TestANewProfileVersionCountsAsASum has the ranges of many clusters resolve to a new version: no one of them passes the
// limit, all together do, and each is held with its machines.
func TestANewProfileVersionCountsAsASum(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &here)
	var ranged []rig.Cluster
	for n := range 4 {
		c := fleets.Edge(fmt.Sprintf("edge-%02d", n+1))
		c.Profile = "1.0.x"
		ranged = append(ranged, c)
	}
	pinned := fleets.Edge("pinned")
	s.Launch(func(f *v1alpha1.Fleet) { f.Spec.Limits.RecreatedMachines = ptr.To[int32](7) }, append(ranged, pinned)...)

	pinned.Workers = 2
	s.Push("a new version", map[string]string{"fleet/profile-1.0.1.yaml": rig.Profile("1.0.1", "v1.33.5"), fleets.File(pinned): pinned.File()})
	s.Accepted(pinned)
	for _, c := range ranged {
		have := s.Refused(c.Name, v1alpha1.LimitExceededReason, "re-creates 2 machines", "Fleet 8", "recreatedMachines of the Fleet is 7")
		if v := have.Spec.Profiles[0].Version; v != "1.0.0" || have.Status.Profile != "standard@1.0.0" {
			t.Errorf("%s is at %s", c.Name, v)
		}
		if have.Status.Plan.Severity != v1alpha1.SeverityRollout || !strings.Contains(have.Status.Plan.Summary, "2 machines") {
			t.Errorf("plan %+v", have.Status.Plan)
		}
	}
	f := s.Fails(fleets.Production, v1alpha1.ClustersHeldReason, "4 clusters are held")
	if f.Status.Clusters.Held != 4 || !strings.Contains(f.Status.Plan.Summary, "8 machines") {
		t.Errorf("clusters %+v, plan %+v", f.Status.Clusters, f.Status.Plan)
	}
	s.Kstatus(append(ranged, pinned)...)

	s.Push("all of it\n\nRefract-Approve: "+f.Status.Plan.Digest, nil)
	s.Accepted(ranged...)
	s.Ready(fleets.Production)
	for _, c := range ranged {
		if v := s.Cluster(c.Name).Spec.Profiles[0].Version; v != "1.0.1" {
			t.Errorf("%s is at %s", c.Name, v)
		}
	}
	if v := s.Cluster(pinned.Name).Spec.Profiles[0].Version; v != "1.0.0" {
		t.Errorf("the pinned one is at %s", v)
	}
}

// TestAVersionNeverChanges edits a profile without a new version.
func TestAVersionNeverChanges(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &here)
	user, other := fleets.Edge("edge-01"), fleets.Edge("edge-02")
	other.Profile = "2.0.0"
	files := s.Files(user, other)
	files["fleet/profile-2.yaml"] = rig.Profile("2.0.0", "v1.33.4")
	s.Push("a fleet", files)
	s.Start(fleets.Production, nil)
	s.Accepted(user, other)
	kept := s.Inventory(user.Name)

	other.Workers = 2
	newcomer := fleets.Edge("edge-03")
	s.Push("the same version with another content", map[string]string{
		"fleet/profile.yaml": "# moved down\n" + strings.Replace(rig.Profile("1.0.0", "v1.33.4"), "v0.9.2", "v0.9.3", 1),
		fleets.File(other):   other.File(), fleets.File(newcomer): newcomer.File(),
	})
	have := s.Refused(user.Name, v1alpha1.InvalidReason, "standard@1.0.0", "make a new version")
	placed(t, have.Status.Failures, "fleet/profile.yaml")
	s.Accepted(other)
	s.Same(kept, s.Inventory(user.Name))
	f := s.Fails(fleets.Production, "", "fleet/profile.yaml:2")
	if s.Cluster(newcomer.Name) != nil {
		t.Error("a newcomer got the changed profile")
	}
	placed(t, f.Status.Failures, "fleet/profile.yaml")
	s.Kstatus(user, other)

	s.Push("as it was, in other words", map[string]string{"fleet/profile.yaml": "# a comment\n" + rig.Profile("1.0.0", "v1.33.4")})
	s.Ready(fleets.Production)
	s.Accepted(user, other, newcomer)
	s.Same(kept, s.Inventory(user.Name))
}
