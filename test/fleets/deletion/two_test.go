package deletion

import (
	"fmt"
	"testing"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/fleets"
)

// TestTwoFleetsOfANamespaceClaimOneCluster refuses the second, which takes over once the first is gone.
func TestTwoFleetsOfANamespaceClaimOneCluster(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &here)
	edge := fleets.Edge("edge-01")
	s.Launch(nil, edge)
	before, kept := s.Cluster(edge.Name), s.Inventory(edge.Name)
	theirs := edge
	theirs.Workers = 3
	s.Push("another claims it", map[string]string{
		"other/account.yaml": s.Files()["fleet/account.yaml"], "other/profile.yaml": s.Files()["fleet/profile.yaml"], "other/edge-01.yaml": theirs.File(),
	})
	s.Start("second", func(f *v1alpha1.Fleet) { f.Spec.Git.Path = "./other" })
	f := s.Fails("second", v1alpha1.ClustersHeldReason, "Fleet "+fleets.Production)
	if len(f.Status.Failures) == 0 || f.Status.Failures[0].Cluster != edge.Name {
		t.Errorf("failures %+v", f.Status.Failures)
	}
	s.Same(kept, s.Inventory(edge.Name))
	s.Accepted(edge)

	s.Remove(s.Fleet(fleets.Production))
	s.Within(fleets.Soon, "the second takes over", func() error {
		if c := s.Cluster(edge.Name); c.UID != before.UID || c.Annotations[v1alpha1.FleetAnnotation] != "second" {
			return fmt.Errorf("annotations %v; %s", c.Annotations, s.Says("second"))
		}
		return nil
	})
	s.Ready("second")
	s.Accepted(theirs)
}

// TestTwoNamespacesClaimOneName refuses a name that lives on the same Prism Central, while it lives there.
func TestTwoNamespacesClaimOneName(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		endpoint, prism bool // the same
		says            string
	}{
		"SameNameSamePrism":     {prism: true, says: "names are identities"},
		"SameEndpointSamePrism": {prism: true, endpoint: true, says: "endpoint"},
		"OtherPrism":            {endpoint: true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := fleets.New(t, &here), fleets.New(t, &here)
			edge, newcomer := fleets.Edge("edge-01"), fleets.Edge("edge-01")
			edge.DeletionPolicy = "Orphan"
			first.Launch(wide, edge)
			if c.prism {
				second.Prism = first.Prism
			}
			if c.endpoint {
				newcomer.Endpoint, newcomer.Name = edge.Endpoint, "edge-07"
			}
			second.Push("a fleet", second.Files(newcomer))
			second.Start(fleets.Production, nil)
			if c.says == "" {
				second.Accepted(newcomer)
				return
			}
			second.Fails(fleets.Production, v1alpha1.ClustersHeldReason, c.says, first.Namespace)
			if second.Cluster(newcomer.Name) != nil {
				t.Error("it was made")
			}
			first.Push("let it go", map[string]string{fleets.File(edge): ""})
			first.Within(fleets.Soon, "the first is gone", gone(first, edge))
			second.Accepted(newcomer)
		})
	}
}

// TestFleetsThatStartTogether has Fleets of several namespaces declare the same names on one Prism Central at the same
// moment: each name is made once.
func TestFleetsThatStartTogether(t *testing.T) {
	t.Parallel()
	var stages []*fleets.Stage
	names := []string{"edge-01", "edge-02", "edge-03"}
	for range 4 {
		s := fleets.New(t, &here)
		if len(stages) > 0 {
			s.Prism = stages[0].Prism
		}
		files := s.Files()
		for _, n := range names {
			c := fleets.Edge(n)
			files[fleets.File(c)] = c.File()
		}
		s.Push("a fleet", files)
		stages = append(stages, s)
	}
	for _, s := range stages {
		s.Start(fleets.Production, nil)
	}
	for _, s := range stages {
		s.Within(fleets.Soon, "the Fleet has made up its mind", func() error {
			if f := s.Fleet(fleets.Production); f.Status.LastAttemptedRevision == "" {
				return fmt.Errorf("%s", s.Says(fleets.Production))
			}
			return nil
		})
	}
	for _, n := range names {
		made := 0
		for _, s := range stages {
			if s.Cluster(n) != nil {
				made++
			}
		}
		if made != 1 {
			t.Errorf("%s was made %d times", n, made)
		}
	}
}
