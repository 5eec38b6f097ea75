package review

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	sdk "code.gitea.io/sdk/gitea"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/gitea"
	"github.com/refract-dev/refract/test/rig"
)

// TestKilled kills the operator when Gitea has its comment and before it hears so, and again after a status. It runs
// alone: calls for others would be lost.
func TestKilled(t *testing.T) {
	s := newStage(t, "killed")
	s.Push("one cluster", s.files(s.cluster))
	s.launch(nil)
	s.ready("killed-01")
	for name, when := range map[string]gitea.Match{
		"after-the-comment": gitea.Comments(s.refract.Name),
		"after-a-status":    gitea.Statuses(s.refract.Name),
	} {
		dead := make(chan struct{})
		s.door.Trap(when, func() {
			operator.kill()
			close(dead)
		})
		number, head := s.propose(name, s.edited(func(c *rig.Cluster) { c.WorkerMemory = "5Gi" }))
		select {
		case <-dead:
		case <-time.After(patience):
			t.Fatalf("%s: the operator did not come there", name)
		}
		if err := operator.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.comment(number, "1 machine re-created")
		s.status(head, sdk.StatusSuccess, "1 machine re-created")
		if n := s.door.Count(func(r gitea.Request) bool {
			return gitea.Comments(s.refract.Name)(r) && strings.Contains(r.Path, fmt.Sprintf("/%d/", number))
		}); n != 1 {
			t.Errorf("%s: %d comments were made", name, n)
		}
	}
}

// TestAway goes on with what is declared while Gitea is away, Git and all, and tells reviews afterwards.
func TestAway(t *testing.T) {
	t.Parallel()
	s := newStage(t, "away")
	s.Push("one cluster", s.files(s.cluster))
	s.launch(func(f *v1alpha1.Fleet) { f.Spec.Interval.Duration = 2 * time.Second })
	s.ready("away-01")

	s.door.Shut()
	number, head := s.propose("more-memory", s.edited(func(c *rig.Cluster) { c.WorkerMemory = "5Gi" }))
	s.FleetHas(fleetName, v1alpha1.ReviewsPostedCondition, metav1.ConditionFalse, v1alpha1.ForgeUnreachableReason, patience)
	s.FleetHas(fleetName, v1alpha1.ReadyCondition, metav1.ConditionFalse, v1alpha1.RepositoryUnreachableReason, patience)
	deployment := s.Object("cluster.x-k8s.io/v1beta2", "MachineDeployment", "away-01-workers")
	if err := s.Client.Patch(t.Context(), deployment, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"replicas":2}}`))); err != nil {
		t.Fatal(err)
	}
	s.Within(patience, "drift is corrected", func() error {
		d := s.Object("cluster.x-k8s.io/v1beta2", "MachineDeployment", "away-01-workers")
		if n, _, err := unstructured.NestedInt64(d.Object, "spec", "replicas"); err != nil || n != 1 {
			return errors.Join(fmt.Errorf("%d replicas", n), err)
		}
		return nil
	})
	s.ready("away-01")
	if n := s.door.Turned(func(r gitea.Request) bool { return strings.HasPrefix(r.Path, "/api/") }); n == 0 {
		t.Error("nobody asked for pull requests")
	}
	s.door.Open()
	s.comment(number, "1 machine re-created")
	s.status(head, sdk.StatusSuccess, "1 machine re-created")
	s.FleetHas(fleetName, v1alpha1.ReadyCondition, metav1.ConditionTrue, "", patience)
}
