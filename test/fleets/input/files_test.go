package input

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/utils/ptr"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/rig"
)

// loose lets deletions go without a word, so that nothing but the rule under test keeps a cluster.
func loose(f *v1alpha1.Fleet) {
	f.Spec.Limits = v1alpha1.Limits{DeletedClusters: ptr.To[int32](10), PrunedPercent: ptr.To[int32](100)}
}

// TestNothingIsPrunedWhileAFileIsNotUnderstood breaks one file, removes another and changes a third in one commit.
func TestNothingIsPrunedWhileAFileIsNotUnderstood(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		broken func(string) string
		says   string
	}{
		"BrokenYAML": {func(f string) string { return strings.Replace(f, "spec:", "spec: [", 1) }, "fleet/edge-01.yaml:"},
		"TooDeep": {func(f string) string {
			return f + "  x: " + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + "\n"
		}, "fleet/edge-01.yaml:"},
		"TooLarge": {func(f string) string { return f + "#" + strings.Repeat("x", 2<<20) + "\n" }, "fleet/edge-01.yaml"},
		"NoKindOfOurs": {func(f string) string {
			return strings.Replace(f, "kind: NutanixClusterSpec", "kind: NutanixClusterSpecs", 1)
		}, "fleet/edge-01.yaml:2"},
		"MergeConflict":   {func(f string) string { return "<<<<<<< HEAD\n" + f + "=======\n>>>>>>> other\n" }, "fleet/edge-01.yaml:2: not valid YAML"},
		"NameNotReadable": {func(f string) string { return strings.Replace(f, "{name: edge-01}", "{}", 1) }, "fleet/edge-01.yaml:"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fleets.New(t, &here)
			broken, gone, changes := fleets.Edge("edge-01"), fleets.Edge("edge-02"), fleets.Edge("edge-03")
			gone.DeletionPolicy = "Delete"
			s.Launch(loose, broken, gone, changes)
			kept := s.Inventory("edge-01")
			spec := s.Cluster("edge-01").Spec

			changes.Workers = 2
			s.Push("one broken, one removed, one changed", map[string]string{
				fleets.File(broken): c.broken(broken.File()), fleets.File(gone): "", fleets.File(changes): changes.File(),
			})
			s.Fails(fleets.Production, "", c.says)
			if name != "TooLarge" { // the repository as a whole is refused
				s.Replicas(changes)
				s.Refused("edge-02", v1alpha1.SourceUnknownReason, "nothing is pruned")
				s.Refused("edge-01", "")
			}
			s.Same(kept, s.Inventory("edge-01"))
			if have := s.Cluster("edge-01").Spec; !equality.Semantic.DeepEqual(have, spec) {
				t.Errorf("the accepted spec changed to %+v", have)
			}
			if s.Object(fleets.Core, "Cluster", "edge-02") == nil {
				t.Error("edge-02 was pruned")
			}
			s.Kstatus(broken, gone, changes)

			s.Push("mended", map[string]string{fleets.File(broken): broken.File()})
			s.Ready(fleets.Production)
			s.Accepted(broken, changes)
			s.Within(fleets.Soon, "the removed one goes now", func() error { return pruned(s, gone) })
		})
	}
}

func pruned(s *fleets.Stage, c rig.Cluster) error {
	if s.Cluster(c.Name) != nil || s.Object(fleets.Core, "Cluster", c.Name) != nil {
		return fmt.Errorf("%s is there: %s", c.Name, s.Says(fleets.Production))
	}
	return nil
}
