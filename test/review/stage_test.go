package review

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "code.gitea.io/sdk/gitea"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/gitea"
	"github.com/refract-dev/refract/test/rig"
)

// stage is one namespace with a Fleet over one repository of Gitea, and who works on it.
type stage struct {
	*rig.Scene
	repository *gitea.Repository
	// door is how the operator reaches Gitea.
	door *gitea.Door
	// post is how Gitea reaches the operator.
	post *post
	// alice proposes, bob reviews and may approve; refract is the operator's own user.
	alice, bob, refract *gitea.Person
	// cluster is what the files declare.
	cluster rig.Cluster
}

const (
	fleetName = "production"
	hookToken = "token-of-the-webhook"
)

// newStage makes a repository with one small cluster, which is not declared to the operator before launch.
func newStage(t *testing.T, name string) *stage {
	t.Helper()
	s := &stage{Scene: &rig.Scene{Package: &shared, T: t, Namespace: name}, door: host.NewDoor()}
	s.alice, s.bob = s.person(name+"-alice"), s.person(name+"-bob")
	s.refract = s.person(name+"-refract", "write:repository", "write:issue", "read:organization", "read:user")
	var err error
	if s.repository, err = s.alice.Repository("fleet"); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*gitea.Person{s.bob, s.refract} {
		if err = s.repository.Allow(p, sdk.AccessModeWrite); err != nil {
			t.Fatal(err)
		}
	}
	if s.Git, err = s.repository.Clone(t.Context(), t.TempDir(), s.alice); err != nil {
		t.Fatal(err)
	}
	s.cluster = rig.Cluster{Name: name + "-01", Endpoint: s.World.Endpoint(), ControlPlanes: 1, Workers: 1}
	s.Create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	s.Secret("git-credentials", map[string]string{"username": s.refract.Name, "password": s.refract.Token})
	s.Secret("forge-credentials", map[string]string{"token": s.refract.Token})
	s.Secret("webhook-token", map[string]string{"token": hookToken})
	s.Secret("pc-east-credentials", map[string]string{"username": s.World.Prism.Username, "password": s.World.Prism.Password})
	s.Create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "approvers"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "refract-approver"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "bob@example.com"}},
	})
	return s
}

func (s *stage) person(name string, scopes ...string) *gitea.Person {
	s.T.Helper()
	p, err := host.Person(s.T.Context(), name, scopes...)
	if err != nil {
		s.T.Fatal(err)
	}
	return p
}

// files of the Fleet.
func (s *stage) files(clusters ...rig.Cluster) map[string]string {
	files := map[string]string{
		"fleet/account.yaml": rig.Account("pc-east", s.World.Prism.Host),
		"fleet/profile.yaml": rig.Profile("1.0.0", "v1.33.4"),
	}
	for _, c := range clusters {
		files["fleet/"+c.Name+".yaml"] = c.File()
	}
	return files
}

// launch makes a Fleet that is told of news by a webhook and looks by itself once an hour, and waits until the operator
// takes calls for it. change may be nil.
func (s *stage) launch(change func(*v1alpha1.Fleet)) {
	s.T.Helper()
	s.Within(time.Minute, "Gitea knows that the repository is not empty", func() error {
		r, _, err := host.Admin.API.GetRepo(s.repository.Owner, s.repository.Name)
		if err == nil && r.Empty {
			err = errors.New("it takes it for empty") // and shows no pull requests
		}
		return err
	})
	s.NewFleet(fleetName, func(f *v1alpha1.Fleet) {
		f.Spec.Git.URL = s.repository.URLBy(s.door)
		f.Spec.Interval.Duration = time.Hour
		f.Spec.Webhook = &v1alpha1.Webhook{SecretRef: v1alpha1.LocalReference{Name: "webhook-token"}}
		f.Spec.Review = &v1alpha1.Review{
			Provider: v1alpha1.ReviewGitea, SecretRef: &v1alpha1.LocalReference{Name: "forge-credentials"},
			Approvers: []v1alpha1.ReviewApprover{
				{User: s.bob.Name, AsUser: "bob@example.com"},
				{User: s.alice.Name, AsUser: "bob@example.com"},
				{User: s.Namespace + "-carol", AsUser: "carol@example.com"},
			},
		}
		if change != nil {
			change(f)
		}
	})
	if s.Fleet(fleetName).Spec.Webhook != nil {
		s.FleetHas(fleetName, v1alpha1.WebhookReadyCondition, metav1.ConditionTrue, "", time.Minute)
	}
	s.FleetHas(fleetName, v1alpha1.ReviewsPostedCondition, metav1.ConditionTrue, "", time.Minute)
	s.post = newPost(s.T, "http://"+operator.address+"/hooks/"+s.Namespace+"/"+fleetName)
	if _, err := s.repository.Hook(s.post.URL, hookToken, "json"); err != nil {
		s.T.Fatal(err)
	}
}

// ready waits until a cluster is.
func (s *stage) ready(cluster string) {
	s.T.Helper()
	s.ClusterHas(cluster, v1alpha1.ReadyCondition, metav1.ConditionTrue, "", patience)
}

// branch pushes files to a branch that leaves main where it is now, or goes on where it was.
func (s *stage) branch(name, from string, files map[string]string) (head string) {
	s.T.Helper()
	head, err := s.Git.PushTo(s.T.Context(), name, from, "change "+name, files)
	if err != nil {
		s.T.Fatal(err)
	}
	return head
}

// propose opens a pull request with files.
func (s *stage) propose(name string, files map[string]string) (number int, head string) {
	s.T.Helper()
	head = s.branch(name, "main", files)
	number, err := s.repository.Open(s.T.Context(), s.alice, name, name)
	if err != nil {
		s.T.Fatal(err)
	}
	return number, head
}

// edited is the cluster's file after a change.
func (s *stage) edited(change func(*rig.Cluster)) map[string]string {
	change(&s.cluster)
	return map[string]string{"fleet/" + s.cluster.Name + ".yaml": s.cluster.File()}
}

func (s *stage) merge(number int, style sdk.MergeStyle) (commit string) {
	s.T.Helper()
	commit, err := s.repository.Merge(s.T.Context(), s.alice, number, style)
	if err != nil {
		s.T.Fatal(err)
	}
	return commit
}

func (s *stage) approve(number int, as *gitea.Person) {
	s.T.Helper()
	if _, err := s.repository.Review(as, number, sdk.ReviewStateApproved, "fine"); err != nil {
		s.T.Fatal(err)
	}
}

// comment waits until the operator's only comment holds all of these, and returns its number.
func (s *stage) comment(number int, holds ...string) (id int64) {
	s.T.Helper()
	s.Within(patience, fmt.Sprintf("#%d says %q", number, holds), func() error {
		all, err := s.repository.Comments(number, s.refract.Name)
		if err != nil {
			return err
		}
		if len(all) != 1 {
			return fmt.Errorf("%d comments; the Fleet says %s", len(all), s.posted())
		}
		id = all[0].ID
		for _, text := range holds {
			if !strings.Contains(all[0].Body, text) {
				return fmt.Errorf("it says %s; the Fleet says %s", all[0].Body, s.posted())
			}
		}
		return nil
	})
	return id
}

// status waits until the newest status of a commit is this and holds all of these.
func (s *stage) status(head string, state sdk.StatusState, holds ...string) {
	s.T.Helper()
	s.Within(patience, fmt.Sprintf("%s has status %s %q", head[:7], state, holds), func() error {
		all, err := s.repository.Statuses(head, "refract/"+s.Namespace+"/"+fleetName)
		if err != nil || len(all) == 0 {
			return errors.Join(fmt.Errorf("no status; the Fleet says %s", s.posted()), err)
		}
		for _, text := range holds {
			if !strings.Contains(all[0].Description, text) {
				return fmt.Errorf("it is %s %q; the Fleet says %s", all[0].State, all[0].Description, s.posted())
			}
		}
		if all[0].State != state {
			return fmt.Errorf("it is %s %q; the Fleet says %s", all[0].State, all[0].Description, s.posted())
		}
		return nil
	})
}

// posted is what the Fleet says of its reviews.
func (s *stage) posted() string {
	for _, c := range s.Fleet(fleetName).Status.Conditions {
		if c.Type == v1alpha1.ReviewsPostedCondition {
			return fmt.Sprintf("%s/%s: %s", c.Status, c.Reason, c.Message)
		}
	}
	return "nothing of reviews"
}

// accepted waits until a commit is what a cluster was accepted from.
func (s *stage) accepted(cluster, commit string) {
	s.T.Helper()
	s.Within(time.Minute, "cluster "+cluster+" is accepted as of "+commit[:7], func() error {
		c := s.Cluster(cluster)
		if c == nil {
			return errors.New("it is not there")
		}
		if !strings.HasSuffix(c.Annotations[v1alpha1.RevisionAnnotation], commit) {
			return fmt.Errorf("it is as of %s: %+v", c.Annotations[v1alpha1.RevisionAnnotation], c.Status.Conditions)
		}
		return nil
	})
}

// held waits until a cluster is held for a reason at a commit, and returns the message.
func (s *stage) held(cluster, commit, reason string) string {
	s.T.Helper()
	s.Handled(fleetName, commit, time.Minute)
	c := s.ClusterHas(cluster, v1alpha1.SourceAcceptedCondition, metav1.ConditionFalse, reason, time.Minute)
	for _, have := range c.Status.Conditions {
		if have.Type == v1alpha1.SourceAcceptedCondition {
			return have.Message
		}
	}
	return ""
}

// recreated waits until a cluster is Ready after a change, and fails unless exactly so many of its machines were made anew.
func (s *stage) recreated(cluster string, before map[types.UID]string, want int) {
	s.T.Helper()
	s.ready(cluster)
	after, gone := s.Machines(cluster), 0
	for uid := range before {
		if _, ok := after[uid]; !ok {
			gone++
		}
	}
	if gone != want || len(after) != len(before) {
		s.T.Errorf("%d of %d machines are gone and there are %d now, want %d re-created", gone, len(before), len(after), want)
	}
}

// post takes Gitea's calls and hands them to the operator, whose answer Gitea gets. It keeps them.
type post struct {
	*httptest.Server
	to string

	mu    sync.Mutex
	calls []call
}

type call struct {
	header http.Header
	body   []byte
	answer int
}

func newPost(t *testing.T, to string) *post {
	t.Helper()
	p := &post{to: to}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c := call{header: r.Header.Clone(), body: body}
		c.answer, err = p.send(r.Context(), c)
		if err != nil {
			c.answer = http.StatusBadGateway // Gitea notes it and goes on
		}
		p.mu.Lock()
		p.calls = append(p.calls, c)
		p.mu.Unlock()
		w.WriteHeader(c.answer)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *post) send(ctx context.Context, c call) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.to, bytes.NewReader(c.body))
	if err != nil {
		return 0, err
	}
	req.Header = c.header.Clone()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// all calls so far.
func (p *post) all() []call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.calls)
}

// count fails unless a cluster has so many machines.
func (s *stage) count(cluster string, want int) error {
	s.T.Helper()
	if have := len(s.Machines(cluster)); have != want {
		return fmt.Errorf("%d machines, want %d", have, want)
	}
	return nil
}
