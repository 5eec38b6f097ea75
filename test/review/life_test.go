package review

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"

	sdk "code.gitea.io/sdk/gitea"
	"k8s.io/utils/ptr"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/gitea"
	"github.com/refract-dev/refract/test/rig"
)

// TestLife takes three pull requests from their first commit to machines: one within the limits that is merged, one past
// them that is approved after the merge, and one that is approved in the forge. The repository is looked at for webhooks
// only.
func TestLife(t *testing.T) {
	t.Parallel()
	s := newStage(t, "life")
	s.cluster.Workers = 2
	s.Push("one cluster", s.files(s.cluster))
	s.launch(func(f *v1alpha1.Fleet) { f.Spec.Limits.RecreatedMachines = ptr.To[int32](2) })
	s.ready("life-01")

	number, head := s.propose("more-memory", s.edited(func(c *rig.Cluster) { c.WorkerMemory = "5Gi" }))
	first := s.comment(number, "2 machines re-created", "memorySize", "`5Gi`", "fleet/life-01.yaml:", "goes on")
	s.status(head, sdk.StatusSuccess, "2 machines re-created")
	head = s.branch("more-memory", "", s.edited(func(c *rig.Cluster) { c.WorkerMemory = "6Gi" }))
	if again := s.comment(number, "2 machines re-created", "`6Gi`"); again != first {
		t.Errorf("comment %d was updated as %d", first, again)
	}
	s.status(head, sdk.StatusSuccess, "2 machines re-created")
	before := s.Machines("life-01")
	s.accepted("life-01", s.merge(number, sdk.MergeStyleMerge))
	s.recreated("life-01", before, 2)

	t.Log("past the limits, approved by the digest that the comment shows")
	number, head = s.propose("everything", s.edited(func(c *rig.Cluster) { c.WorkerMemory, c.ControlPlaneMemory = "5Gi", "5Gi" }))
	s.comment(number, "3 machines re-created", "held", "limit recreatedMachines of the Fleet is 2")
	s.status(head, sdk.StatusFailure, "approval needed", "3 machines re-created")
	digest := s.digest(number)
	before = s.Machines("life-01")
	commit := s.merge(number, sdk.MergeStyleSquash)
	if said := s.held("life-01", commit, v1alpha1.LimitExceededReason); !strings.Contains(said, "re-creates 3 machines") {
		t.Errorf("held after the merge: %s", said)
	}
	if err := s.Approve(s.Fleet(fleetName), digest); err != nil {
		t.Fatal(err)
	}
	s.accepted("life-01", commit)
	s.recreated("life-01", before, 3)

	t.Log("past the limits, approved in the forge")
	carol := s.person("life-carol")
	if err := s.repository.Allow(carol, sdk.AccessModeWrite); err != nil {
		t.Fatal(err)
	}
	number, head = s.propose("back", s.edited(func(c *rig.Cluster) { c.WorkerMemory, c.ControlPlaneMemory = "4Gi", "4Gi" }))
	s.status(head, sdk.StatusFailure, "approval needed")
	s.heard(number, carol)
	s.status(head, sdk.StatusFailure, "approval needed") // she stands for nobody who may approve
	s.approve(number, s.bob)
	s.status(head, sdk.StatusSuccess, "approved by "+s.bob.Name+":", "3 machines re-created")
	before = s.Machines("life-01")
	s.accepted("life-01", s.merge(number, sdk.MergeStyleRebase))
	s.recreated("life-01", before, 3)

	for _, c := range s.post.all() {
		if c.answer != http.StatusAccepted {
			t.Errorf("the operator answered %d to %s", c.answer, c.header.Get("X-Gitea-Event"))
		}
	}
}

var approveCommand = regexp.MustCompile(`refract approve fleet/production (sha256:[0-9a-f]+) `)

// digest is what the operator's comment says is to be approved.
func (s *stage) digest(number int) string {
	s.T.Helper()
	all, err := s.repository.Comments(number, s.refract.Name)
	if err != nil || len(all) != 1 {
		s.T.Fatalf("%d comments: %v", len(all), err)
	}
	found := approveCommand.FindStringSubmatch(all[0].Body)
	if found == nil {
		s.T.Fatalf("no command to approve in %s", all[0].Body)
	}
	return found[1]
}

// heard approves a pull request and waits until the operator has read its reviews since.
func (s *stage) heard(number int, by *gitea.Person) {
	s.T.Helper()
	read := func(r gitea.Request) bool {
		return r.By == s.refract.Name && r.Status == http.StatusOK && strings.HasSuffix(r.Path, "/reviews")
	}
	before := s.door.Count(read)
	s.approve(number, by)
	s.Within(patience, "the operator reads the reviews", func() error {
		if s.door.Count(read) == before {
			return errors.New("not yet")
		}
		return nil
	})
}
