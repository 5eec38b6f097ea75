package review

import (
	"strings"
	"testing"
	"time"

	sdk "code.gitea.io/sdk/gitea"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/gitea"
	"github.com/refract-dev/refract/test/rig"
)

// TestStale renews what a pull request shows when its branch moves on and when what is live does, all by looking: nothing
// calls this operator.
func TestStale(t *testing.T) {
	t.Parallel()
	s := newStage(t, "stale")
	other := rig.Cluster{Name: "stale-02", Endpoint: s.World.Endpoint(), ControlPlanes: 1, Workers: 1}
	s.Push("two clusters", s.files(s.cluster, other))
	s.launch(func(f *v1alpha1.Fleet) {
		f.Spec.Limits.RecreatedMachines = ptr.To[int32](1)
		f.Spec.Interval.Duration, f.Spec.Webhook = 2*time.Second, nil
	})
	s.ready("stale-01")
	s.ready("stale-02")

	number, head := s.propose("more-memory", s.edited(func(c *rig.Cluster) { c.WorkerMemory = "5Gi" }))
	first := s.comment(number, "1 machine re-created", "goes on")
	s.status(head, sdk.StatusSuccess, "1 machine re-created")

	t.Log("the branch moves on: its roll takes what the limit leaves")
	before := s.Machines("stale-02")
	other.WorkerMemory = "5Gi"
	base := s.Push("more memory for the other", map[string]string{"fleet/stale-02.yaml": other.File()})
	again := s.comment(number, base[:7], "with what else is new or unfinished in the Fleet 2")
	s.status(head, sdk.StatusFailure, "approval needed")

	t.Log("what is live moves on: that roll is over")
	s.accepted("stale-02", base)
	s.recreated("stale-02", before, 1)
	third := s.comment(number, base[:7], "| `stale-01` | 1 | 0 | Rollout | goes on |")
	s.status(head, sdk.StatusSuccess, "1 machine re-created")
	if again != first || third != first {
		t.Errorf("comment %d was renewed as %d and %d", first, again, third)
	}

	before = s.Machines("stale-01")
	commit := s.merge(number, sdk.MergeStyleMerge)
	s.accepted("stale-01", commit)
	s.recreated("stale-01", before, 1)
}

// TestWorse merges a pull request after what is live got worse than it showed, while the forge is too slow for the
// operator to notice before. The merge is held and says what is more; a look at the forge never delays that.
func TestWorse(t *testing.T) {
	t.Parallel()
	s := newStage(t, "worse")
	s.cluster.Extra = "  drift: {objects: Report}\n"
	s.Push("one cluster", s.files(s.cluster))
	s.launch(nil)
	s.ready("worse-01")
	number, head := s.propose("more-memory", s.edited(func(c *rig.Cluster) { c.WorkerMemory = "5Gi" }))
	s.comment(number, "1 machine re-created", "goes on")
	s.status(head, sdk.StatusSuccess, "1 machine re-created")

	api := func(r gitea.Request) bool { return r.By == s.refract.Name && strings.HasPrefix(r.Path, "/api/") }
	release := s.door.Hold(api)
	defer release()
	deployment := s.Object("cluster.x-k8s.io/v1beta2", "MachineDeployment", "worse-01-workers")
	if err := s.Client.Patch(t.Context(), deployment, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":3}}`))); err != nil {
		t.Fatal(err)
	}
	s.Within(patience, "somebody's two more machines are there", func() error { return s.count("worse-01", 4) })
	commit := s.merge(number, sdk.MergeStyleSquash)
	said := s.held("worse-01", commit, v1alpha1.ReviewedPlanExceededReason)
	for _, want := range []string{"more than pull request #1 showed", "2 machines"} {
		if !strings.Contains(said, want) {
			t.Errorf("the message lacks %q: %s", want, said)
		}
	}
	if err := s.count("worse-01", 4); err != nil {
		t.Error(err)
	}
	release()

	t.Log("a pull request that says what is there shows all of it, and goes on")
	s.FleetHas(fleetName, v1alpha1.ReviewsPostedCondition, metav1.ConditionTrue, "", patience)
	number, head = s.propose("as-it-is", s.edited(func(c *rig.Cluster) { c.Workers = 3 }))
	s.comment(number, "3 machines re-created")
	s.status(head, sdk.StatusSuccess, "3 machines re-created")
	commit = s.merge(number, sdk.MergeStyleSquash)
	s.accepted("worse-01", commit)
	s.ready("worse-01")
	if err := s.count("worse-01", 4); err != nil {
		t.Error(err)
	}
}
