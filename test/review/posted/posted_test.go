package posted

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	sdk "code.gitea.io/sdk/gitea"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/gitea"
	"github.com/refract-dev/refract/test/rig"
)

// least are the scopes that a token of Gitea needs.
var least = []string{"write:repository", "write:issue", "read:organization", "read:user"}

// stage is a Fleet in a repository of Gitea, with who works on it.
type stage struct {
	*rig.Scene
	repository          *gitea.Repository
	alice, bob, refract *gitea.Person
	one, two            rig.Cluster
}

// newStage has a Fleet with two clusters taken up. change may be nil.
func newStage(t *testing.T, name string, change func(f *v1alpha1.Fleet)) *stage {
	t.Helper()
	s := &stage{one: fleets.Edge(name + "-1"), two: fleets.Edge(name + "-2")}
	person := func(as string, scopes ...string) *gitea.Person {
		p, err := host.Person(t.Context(), name+"-"+as, scopes...)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	s.alice, s.bob, s.refract = person("alice"), person("bob"), person("refract", least...)
	var err error
	if s.repository, err = s.alice.Repository("fleet"); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*gitea.Person{s.bob, s.refract} {
		if err = s.repository.Allow(p, sdk.AccessModeWrite); err != nil {
			t.Fatal(err)
		}
	}
	git, err := s.repository.Clone(t.Context(), t.TempDir(), s.alice)
	if err != nil {
		t.Fatal(err)
	}
	s.Scene = &rig.Scene{Package: &shared, T: t, Git: git, Namespace: name}
	prism := shared.World.Prism
	s.Create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	s.Secret("git-credentials", map[string]string{"username": git.Username, "password": git.Password})
	s.Secret("pc-east-credentials", map[string]string{"username": prism.Username, "password": prism.Password})
	s.Secret("forge", map[string]string{"token": s.refract.Token})
	s.main(map[string]string{
		"fleet/account.yaml": rig.Account("pc-east", "pc-"+name+".example.com"), "fleet/profile.yaml": rig.Profile("1.0.0", "v1.33.4"),
		fleets.File(s.one): s.one.File(), fleets.File(s.two): s.two.File(), "README.md": "a fleet\n",
	})
	s.NewFleet(fleets.Production, func(f *v1alpha1.Fleet) {
		f.Spec.Git.URL = s.repository.URL()
		f.Spec.Interval.Duration = time.Second
		f.Spec.Review = &v1alpha1.Review{Provider: v1alpha1.ReviewGitea, SecretRef: &v1alpha1.LocalReference{Name: "forge"}}
		if change != nil {
			change(f)
		}
	})
	s.FleetHas(fleets.Production, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.SucceededReason, fleets.Soon)
	for _, c := range []rig.Cluster{s.one, s.two} {
		s.ClusterHas(c.Name, v1alpha1.InSyncCondition, metav1.ConditionTrue, v1alpha1.InSyncReason, fleets.Soon)
	}
	s.posted(metav1.ConditionTrue, v1alpha1.SucceededReason)
	return s
}

func (s *stage) posted(status metav1.ConditionStatus, reason string) {
	s.T.Helper()
	s.FleetHas(fleets.Production, v1alpha1.ReviewsPostedCondition, status, reason, fleets.Soon)
}

func (s *stage) push(branch, from string, files map[string]string) string {
	s.T.Helper()
	commit, err := s.Git.PushTo(s.T.Context(), branch, from, "change "+branch, files)
	if err != nil {
		s.T.Fatal(err)
	}
	return commit
}

func (s *stage) main(files map[string]string) string { return s.push("main", "", files) }

// propose opens a pull request from a branch of the repository.
func (s *stage) propose(branch string, files map[string]string) (number int, head string) {
	s.T.Helper()
	head = s.push(branch, "main", files)
	n, err := s.repository.Open(s.T.Context(), s.alice, branch, branch)
	if err != nil {
		s.T.Fatal(err)
	}
	return n, head
}

// comment is the only one that Refract made; empty when there is none.
func (s *stage) comment(number int) (string, error) {
	all, err := s.repository.Comments(number, s.refract.Name)
	if err != nil || len(all) == 0 {
		return "", err
	}
	if len(all) > 1 {
		s.T.Fatalf("%d comments", len(all))
	}
	return all[0].Body, nil
}

// says waits until the comment holds all words.
func (s *stage) says(number int, words ...string) {
	s.T.Helper()
	s.Within(fleets.Soon, fmt.Sprintf("the comment of #%d says %q", number, words), func() error {
		text, err := s.comment(number)
		if err != nil {
			return err
		}
		for _, w := range words {
			if !strings.Contains(text, w) {
				return fmt.Errorf("it does not say %q: %s", w, text)
			}
		}
		return nil
	})
}

// status waits until the newest status of a commit is this one.
func (s *stage) status(commit string, state sdk.StatusState, words string) {
	s.T.Helper()
	s.Within(fleets.Soon, fmt.Sprintf("commit %s has status %s: %s", commit[:7], state, words), func() error {
		all, err := s.repository.Statuses(commit, "refract/"+s.Namespace+"/"+fleets.Production)
		if err != nil {
			return err
		}
		if len(all) == 0 || all[0].State != state || !strings.Contains(all[0].Description, words) {
			return fmt.Errorf("of %d the newest is %+v", len(all), newest(all))
		}
		return nil
	})
}

func newest(all []*sdk.Status) sdk.Status {
	if len(all) == 0 {
		return sdk.Status{}
	}
	return *all[0]
}

// looks waits until the pull requests were listed several times more.
func (s *stage) looks(times int) {
	s.T.Helper()
	lists := func(r gitea.Request) bool {
		return r.By == s.refract.Name && r.Method == http.MethodGet && strings.HasSuffix(r.Path, "/pulls")
	}
	before := host.Door.Count(lists)
	s.Within(fleets.Soon, fmt.Sprintf("pull requests are listed %d times", times), func() error {
		if n := host.Door.Count(lists) - before; n < times {
			return fmt.Errorf("%d times so far", n)
		}
		return nil
	})
}

// asked are the requests of the API that Refract made.
func (s *stage) asked(r gitea.Request) bool {
	return r.By == s.refract.Name && strings.HasPrefix(r.Path, "/api/") && !strings.HasSuffix(r.Path, "/pulls")
}

// TestPosted leads a pull request through its life.
func TestPosted(t *testing.T) {
	s := newStage(t, "posted", nil)
	larger := s.one
	larger.WorkerMemory = "6Gi"
	number, head := s.propose("larger", map[string]string{fleets.File(s.one): larger.File()})
	s.says(number, s.one.Name, "re-created")
	s.status(head, sdk.StatusSuccess, "1 machine re-created")

	before := host.Door.Count(s.asked)
	s.looks(4)
	if n := host.Door.Count(s.asked) - before; n > 0 {
		t.Errorf("%d requests beside the list, although nothing changed: %+v", n, host.Door.Requests(s.asked)[before:])
	}

	larger.WorkerMemory = "8Gi"
	head = s.push("larger", "", map[string]string{fleets.File(s.one): larger.File()})
	s.says(number, "8Gi", head[:7])
	s.status(head, sdk.StatusSuccess, "1 machine re-created")

	other := s.two
	other.Workers = 2
	base := s.main(map[string]string{fleets.File(s.two): other.File()})
	s.says(number, base[:7], "8Gi")

	conflicting := s.one
	conflicting.WorkerMemory = "5Gi"
	s.main(map[string]string{fleets.File(s.one): conflicting.File()})
	s.says(number, "fleet/"+s.one.Name+".yaml", "merge main into the branch")
	s.status(head, sdk.StatusFailure, "conflicts")
	s.posted(metav1.ConditionTrue, v1alpha1.SucceededReason)
}

// TestDrift changes what is live under an open pull request. The cluster is paused, so that nobody puts it back.
func TestDrift(t *testing.T) {
	s := newStage(t, "drifting", nil)
	patch := func(kind, name, text string) {
		if err := s.Client.Patch(t.Context(), s.Object(fleets.Core, kind, name), client.RawPatch("application/merge-patch+json", []byte(text))); err != nil {
			t.Fatal(err)
		}
	}
	patch("Cluster", s.one.Name, `{"metadata":{"annotations":{"cluster.x-k8s.io/paused":"true"}}}`)
	s.ClusterHas(s.one.Name, v1alpha1.PausedCondition, metav1.ConditionTrue, v1alpha1.PausedByOtherReason, fleets.Soon)
	more := s.one
	more.Workers = 2
	number, head := s.propose("more", map[string]string{fleets.File(s.one): more.File()})
	s.says(number, s.one.Name)
	s.status(head, sdk.StatusSuccess, "no living machine touched")
	patch("MachineDeployment", s.one.Name+"-workers", `{"spec":{"replicas":4}}`)
	s.says(number, "removed")
	s.status(head, sdk.StatusSuccess, "2 machines removed")
}

// TestFork shows that the files of a stranger are looked at, and nothing else.
func TestFork(t *testing.T) {
	s := newStage(t, "forked", nil)
	carol, err := host.Person(t.Context(), "forked-carol")
	if err != nil {
		t.Fatal(err)
	}
	if err = s.repository.Allow(carol, sdk.AccessModeRead); err != nil {
		t.Fatal(err)
	}
	fork, err := s.repository.Fork(carol)
	if err != nil {
		t.Fatal(err)
	}
	git, err := fork.Clone(t.Context(), t.TempDir(), carol)
	if err != nil {
		t.Fatal(err)
	}
	larger := s.one
	larger.WorkerMemory = "6Gi"
	head, err := git.PushTo(t.Context(), "larger", "main", "larger", map[string]string{fleets.File(s.one): larger.File()})
	if err != nil {
		t.Fatal(err)
	}
	number, err := s.repository.Open(t.Context(), carol, "larger", carol.Name+":larger")
	if err != nil {
		t.Fatal(err)
	}
	s.says(number, "comes from a fork", "6Gi")
	s.status(head, sdk.StatusSuccess, "predicted from the files")
}

// TestForgeAway shows that a forge that does not answer delays nothing but what is said on it.
func TestForgeAway(t *testing.T) {
	s := newStage(t, "away", nil)
	api := func(r gitea.Request) bool {
		return r.By == s.refract.Name && strings.HasPrefix(r.Path, "/api/")
	}
	release := host.Door.Hold(api)
	t.Cleanup(release)
	more := s.two
	more.Workers = 2
	s.Handled(fleets.Production, s.main(map[string]string{fleets.File(s.two): more.File()}), fleets.Soon)
	s.FleetHas(fleets.Production, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.SucceededReason, fleets.Soon)
	s.posted(metav1.ConditionFalse, v1alpha1.ForgeUnreachableReason)
	release()
	s.posted(metav1.ConditionTrue, v1alpha1.SucceededReason)
}

// TestApproved has the approval of a pull request stand for the annotation.
func TestApproved(t *testing.T) {
	s := newStage(t, "approved", func(f *v1alpha1.Fleet) {
		none := int32(0)
		f.Spec.Limits.RecreatedMachines = &none
		f.Spec.Review.Approvers = []v1alpha1.ReviewApprover{{User: "approved-bob", AsUser: "bob@example.com"}}
	})
	larger := s.one
	larger.WorkerMemory = "6Gi"
	number, head := s.propose("larger", map[string]string{fleets.File(s.one): larger.File()})
	s.says(number, s.one.Name)
	s.status(head, sdk.StatusFailure, "approval needed")
	if _, err := s.repository.Review(s.bob, number, sdk.ReviewStateApproved, "fine"); err != nil {
		t.Fatal(err)
	}
	s.looks(3)
	s.status(head, sdk.StatusFailure, "approval needed") // bob may not, says Kubernetes
	for _, o := range []client.Object{
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "approver"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"refract.dev"}, Resources: []string{"fleets"}, ResourceNames: []string{fleets.Production}, Verbs: []string{"approve"}},
		}},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "approver"}, RoleRef: rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: "approver"},
			Subjects: []rbacv1.Subject{{APIGroup: "rbac.authorization.k8s.io", Kind: "User", Name: "bob@example.com"}},
		},
	} {
		s.Create(o)
	}
	s.status(head, sdk.StatusSuccess, "approved by approved-bob")
}
