package input

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/rig"
)

func git(s *fleets.Stage, args ...string) string {
	s.T.Helper()
	out, err := exec.CommandContext(s.T.Context(), "git", args...).CombinedOutput()
	if err != nil {
		s.T.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestSourceAwayIsNotAnEmptyFleet takes the repository away in several ways: what was accepted stays and stays true,
// and once the repository is back its fleet goes on.
func TestSourceAwayIsNotAnEmptyFleet(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		away, back func(*fleets.Stage)
		reason     string
	}{
		"ServerGone": {
			away:   func(s *fleets.Stage) { s.Away(true) },
			back:   func(s *fleets.Stage) { s.Away(false) },
			reason: v1alpha1.RepositoryUnreachableReason,
		},
		"BranchGone": {
			away: func(s *fleets.Stage) {
				bare := git(s, "-C", s.Git.Clone(), "remote", "get-url", "origin")
				git(s, "-C", bare, "update-ref", "-d", "refs/heads/main")
			},
			back:   func(*fleets.Stage) {}, // the next push makes it again
			reason: v1alpha1.RefNotFoundReason,
		},
		"PathGone": {
			away: func(s *fleets.Stage) {
				git(s, "-C", s.Git.Clone(), "mv", "fleet", "elsewhere")
				s.Push("mistaken move", nil)
			},
			back:   func(s *fleets.Stage) { git(s, "-C", s.Git.Clone(), "mv", "elsewhere", "fleet") },
			reason: v1alpha1.PathNotFoundReason,
		},
		"PathMistyped": {
			away: func(s *fleets.Stage) {
				s.Edit(s.Fleet(fleets.Production), `{"spec":{"git":{"path":"./fleets"}}}`)
			},
			back: func(s *fleets.Stage) {
				s.Edit(s.Fleet(fleets.Production), `{"spec":{"git":{"path":"./fleet"}}}`)
			},
			reason: v1alpha1.PathNotFoundReason,
		},
		"CredentialsRevoked": {
			away: func(s *fleets.Stage) {
				s.Edit(s.Object("v1", "Secret", "git-credentials"), `{"stringData":{"password":"wrong"}}`)
			},
			back: func(s *fleets.Stage) {
				s.Edit(s.Object("v1", "Secret", "git-credentials"), fmt.Sprintf(`{"stringData":{"password":%q}}`, s.Git.Password))
			},
			reason: v1alpha1.AuthenticationFailedReason,
		},
		"SecretDeleted": {
			away: func(s *fleets.Stage) { s.Remove(s.Object("v1", "Secret", "git-credentials")) },
			back: func(s *fleets.Stage) {
				s.Secret("git-credentials", map[string]string{"username": s.Git.Username, "password": s.Git.Password})
			},
			reason: v1alpha1.SecretNotFoundReason,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fleets.New(t, &here)
			edge := fleets.Edge("edge-01")
			edge.DeletionPolicy = "Delete"
			s.Launch(loose, edge)
			kept := s.Inventory(edge.Name)
			before := s.Fleet(fleets.Production).Status.LastAppliedRevision
			c.away(s)
			f := s.Fails(fleets.Production, c.reason)
			// What passes by itself is retried with backoff; all else waits for a person, and for the interval.
			if c.reason == v1alpha1.RepositoryUnreachableReason {
				s.FleetHas(fleets.Production, v1alpha1.ReconcilingCondition, metav1.ConditionTrue, v1alpha1.ProgressingWithRetryReason, fleets.Soon)
			} else {
				s.FleetHas(fleets.Production, v1alpha1.StalledCondition, metav1.ConditionTrue, c.reason, fleets.Soon)
			}
			if f.Status.LastAppliedRevision != before {
				t.Errorf("applied %s", f.Status.LastAppliedRevision)
			}
			if strings.Contains(fmt.Sprint(f.Status), s.Git.Password) {
				t.Error("the status tells the password")
			}
			s.Kstatus(edge)
			s.PutBack(edge.Name)
			s.Fails(fleets.Production, c.reason)
			if s.Cluster(edge.Name).Annotations[v1alpha1.AcceptedDigestAnnotation] == "" || len(s.Inventory(edge.Name)) != len(kept) {
				t.Error("something was pruned")
			}
			c.back(s)
			edge.Workers = 2
			s.Push("it goes on", map[string]string{fleets.File(edge): edge.File()})
			s.Accepted(edge)
			s.Ready(fleets.Production)
		})
	}
}

// TestEverythingVanishesFromGit removes or renames what a Fleet declares: the old ones stay and say so, the newcomers
// are held, and nothing is pruned without a word.
func TestEverythingVanishesFromGit(t *testing.T) {
	t.Parallel()
	cases := map[string]func(old []rig.Cluster) (files map[string]string, newcomers []string){
		"DirectoryEmpty": func(old []rig.Cluster) (map[string]string, []string) {
			files := map[string]string{"fleet/.gitkeep": "\n", "fleet/account.yaml": "", "fleet/profile.yaml": ""}
			for _, c := range old {
				files[fleets.File(c)] = ""
			}
			return files, nil
		},
		"HalfRenamed": func(old []rig.Cluster) (map[string]string, []string) {
			files, names := map[string]string{}, []string(nil)
			for _, c := range old[:2] {
				files[fleets.File(c)] = ""
				c.Name = "new-" + c.Name
				files[fleets.File(c)] = c.File()
				names = append(names, c.Name)
			}
			return files, names
		},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := fleets.New(t, &here)
			old := []rig.Cluster{fleets.Edge("edge-01"), fleets.Edge("edge-02"), fleets.Edge("edge-03"), fleets.Edge("edge-04")}
			old[0].DeletionPolicy, old[1].DeletionPolicy = "Delete", "Orphan"
			// Deletions are free here: what holds them is the share of the Fleet that vanishes.
			s.Launch(func(f *v1alpha1.Fleet) { f.Spec.Limits.DeletedClusters = ptr.To[int32](10) }, old...)
			kept := map[string]map[string]string{}
			for _, c := range old {
				kept[c.Name] = s.Inventory(c.Name)
			}
			files, newcomers := change(old)
			s.Push("a mistake", files)
			s.Refused("edge-01", v1alpha1.LimitExceededReason, "prunedPercent")
			s.Refused("edge-02", v1alpha1.LimitExceededReason, "prunedPercent")
			f := s.Fails(fleets.Production, v1alpha1.ClustersHeldReason)
			if f.Status.Plan.Digest == "" {
				t.Error("the Fleet shows nothing to approve")
			}
			for _, n := range newcomers {
				if s.Cluster(n) != nil || s.Object(fleets.Core, "Cluster", n) != nil {
					t.Errorf("newcomer %s was made", n)
				}
				if !strings.Contains(fmt.Sprint(f.Status.Failures), n) {
					t.Errorf("nothing is said about %s: %+v", n, f.Status.Failures)
				}
			}
			for _, c := range old {
				s.Same(kept[c.Name], s.Inventory(c.Name))
			}
			s.Kstatus(old...)
		})
	}
}

// TestSuspendedFleet neither fetches nor mirrors, and still corrects drift.
func TestSuspendedFleet(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &here)
	edge := fleets.Edge("edge-01")
	s.Launch(nil, edge)
	s.Edit(s.Fleet(fleets.Production), `{"spec":{"suspend":true}}`)
	s.Within(fleets.Soon, "it says so", func() error {
		f := s.Fleet(fleets.Production)
		return rig.Has(f, v1alpha1.ReadyCondition, metav1.ConditionTrue, "")
	})
	before := s.Fleet(fleets.Production).Status
	edge.Workers = 2
	s.Push("while suspended", map[string]string{fleets.File(edge): edge.File()})
	s.PutBack(edge.Name)
	request(s, "1")
	f := s.Fleet(fleets.Production)
	if f.Status.LastAttemptedRevision != before.LastAttemptedRevision || len(s.Cluster(edge.Name).Spec.NodePools) != 1 || *s.Cluster(edge.Name).Spec.NodePools[0].Replicas != 1 {
		t.Errorf("fetched while suspended: %+v", f.Status)
	}
	s.Kstatus(edge)
	s.Edit(s.Fleet(fleets.Production), `{"spec":{"suspend":false}}`)
	s.Accepted(edge)
}

// request asks for a reconcile and waits until that was handled.
func request(s *fleets.Stage, token string) {
	s.T.Helper()
	s.Edit(s.Fleet(fleets.Production), fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, fluxmeta.ReconcileRequestAnnotation, token))
	s.Within(fleets.Soon, "request "+token+" is handled", func() error {
		if have := s.Fleet(fleets.Production).Status.LastHandledReconcileAt; have != token {
			return fmt.Errorf("handled %q", have)
		}
		return nil
	})
}

// TestRequestedReconcile looks at the repository at once, however long the interval.
func TestRequestedReconcile(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &here)
	edge, other := fleets.Edge("edge-01"), fleets.Edge("edge-02")
	s.Launch(func(f *v1alpha1.Fleet) { f.Spec.Interval.Duration = 24 * time.Hour }, edge, other)
	request(s, "1")
	untouched := s.Cluster(other.Name)
	edge.Workers = 2
	commit := s.Push("only edge-01", map[string]string{fleets.File(edge): edge.File()})
	request(s, "2")
	s.Accepted(edge)
	s.Within(fleets.Soon, "the touched cluster shows the revision", func() error {
		if c := s.Cluster(edge.Name); !strings.HasSuffix(c.Status.Revision, commit) || c.Status.ShortRevision != commit[:7] {
			return fmt.Errorf("revision %s", c.Status.Revision)
		}
		return nil
	})
	// A commit that does not touch a cluster writes nothing to it.
	if diff := cmp.Diff(written(untouched), written(s.Cluster(other.Name))); diff != "" {
		t.Errorf("the untouched cluster was written (-before +after):\n%s", diff)
	}
}

// written is all that a Fleet writes of a cluster, and when. How the cluster gets on is not the Fleet's.
func written(c *v1alpha1.NutanixClusterSpec) []any {
	all := []any{c.Generation, c.Labels, c.Annotations, c.Status.Revision, c.Status.Plan, c.Status.Failures, meta.FindStatusCondition(c.Status.Conditions, v1alpha1.SourceAcceptedCondition)}
	for _, e := range c.ManagedFields {
		if e.Manager == v1alpha1.FleetFieldManager {
			all = append(all, e.Time)
		}
	}
	return all
}

// TestServiceAccount lets a Fleet do no more than its account may.
func TestServiceAccount(t *testing.T) {
	t.Parallel()
	s := fleets.New(t, &here)
	edge := fleets.Edge("edge-01")
	s.Push("a fleet", s.Files(edge))
	s.Start(fleets.Production, func(f *v1alpha1.Fleet) { f.Spec.ServiceAccountName = "deployer" })
	s.Fails(fleets.Production, "", "system:serviceaccount:"+s.Namespace+":deployer", "cannot")
	if s.Cluster(edge.Name) != nil || s.Object(fleets.Core, "Cluster", edge.Name) != nil {
		t.Error("made without the right to")
	}
	s.Kstatus(edge)
	s.Create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "deployer"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: s.Namespace, Name: "deployer"}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
	})
	request(s, "rights")
	s.Accepted(edge)
	s.Ready(fleets.Production)
}
