package reviewed

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/flow"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/controllers/review"
	"github.com/refract-dev/refract/gitsource"
	"github.com/refract-dev/refract/render/fleet"
	"github.com/refract-dev/refract/test/fleets"
	"github.com/refract-dev/refract/test/rig"
)

// desk is a stage whose pull requests are reviewed by hand: there is no forge, the branch is the pull request.
type desk struct {
	*fleets.Stage
	store review.Store
}

func newDesk(t *testing.T, change func(*v1alpha1.Fleet), clusters ...rig.Cluster) desk {
	t.Helper()
	s := fleets.New(t, &here)
	s.Launch(nil, clusters...)
	edit(s, change)
	return desk{Stage: s, store: review.Store{Client: here.Client, Reader: here.Client, Now: time.Now}}
}

// edit changes the Fleet once what it starts with is there: that was in no pull request. No look that began before goes on
// when it returns: that would read what is pushed next by what the Fleet was.
func edit(s *fleets.Stage, change func(*v1alpha1.Fleet)) {
	s.T.Helper()
	f := s.Fleet(fleets.Production)
	before := f.DeepCopy()
	change(f)
	if err := s.Client.Patch(s.T.Context(), f, client.MergeFrom(before)); err != nil {
		s.T.Fatal(err)
	}
	s.Within(fleets.Soon, "the Fleet is looked at as it is now", func() error {
		if now := s.Fleet(fleets.Production); now.Status.ObservedGeneration < f.Generation {
			return fmt.Errorf("generation %d was seen, and it is %d", now.Status.ObservedGeneration, f.Generation)
		}
		return nil
	})
}

func required(f *v1alpha1.Fleet) { f.Spec.Review = &v1alpha1.Review{Required: true} }

// tight holds every change that re-creates a machine.
func tight(f *v1alpha1.Fleet) {
	f.Spec.Review = &v1alpha1.Review{}
	f.Spec.Limits.RecreatedMachines = ptr.To[int32](0)
}

func (d desk) key() client.ObjectKey {
	return client.ObjectKey{Namespace: d.Namespace, Name: fleets.Production}
}

// git runs a command in the clone.
func (d desk) git(args ...string) string {
	d.T.Helper()
	args = append([]string{"-C", d.Git.Clone(), "-c", "user.name=ada", "-c", "user.email=ada@example.com"}, args...)
	out, err := exec.CommandContext(d.T.Context(), "git", args...).CombinedOutput()
	if err != nil {
		d.T.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// branch pushes files to branch change, from main as it is now.
func (d desk) branch(files map[string]string) string {
	d.T.Helper()
	commit, err := d.Git.PushTo(d.T.Context(), "change", "main", "change", files)
	if err != nil {
		d.T.Fatal(err)
	}
	return commit
}

// plan makes what a pull request of branch change shows when it is merged into main as it is now.
func (d desk) plan() review.Reviewed {
	d.T.Helper()
	ctx := d.T.Context()
	repo, err := gitsource.Open(gitsource.Options{
		URL: d.URL(), Path: "fleet", Auth: gitsource.Auth{Username: d.Git.Username, Password: d.Git.Password}, AllowInsecure: true,
	})
	if err != nil {
		d.T.Fatal(err)
	}
	fork := d.git("merge-base", "origin/main", "origin/change")
	snaps, err := repo.Snapshots(ctx, gitsource.Ref{Branch: "change"}, gitsource.Ref{Branch: "main"}, gitsource.Ref{Commit: fork})
	if err != nil {
		d.T.Fatal(err)
	}
	head, conflicts, err := gitsource.Merge(snaps[2], snaps[1], snaps[0])
	if err != nil || len(conflicts) > 0 {
		d.T.Fatal(err, conflicts)
	}
	report, err := flow.Review(ctx, decode(d.T, head, d.Namespace), decode(d.T, snaps[1], d.Namespace), d.scene(ctx))
	if err != nil || len(report.Mistakes) > 0 {
		d.T.Fatal(err, report.Mistakes)
	}
	shown := review.Of(report)
	if shown.Tree, err = head.Tree("fleet"); err != nil {
		d.T.Fatal(err)
	}
	shown.Number, shown.Head, shown.Base = 7, snaps[0].Revision.Hash, snaps[1].Revision.Hash
	return shown
}

func decode(t *testing.T, s gitsource.Snapshot, namespace string) *fleet.Fleet {
	t.Helper()
	f, err := fleet.Decode(s.Files, "fleet", fleet.Options{Namespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	return &f
}

// scene is what is live.
func (d desk) scene(ctx context.Context) flow.Scene {
	clusters, profiles, accounts := &v1alpha1.NutanixClusterSpecList{}, &v1alpha1.ClusterProfileList{}, &v1alpha1.CloudAccountList{}
	for _, list := range []client.ObjectList{clusters, profiles, accounts} {
		if err := d.Client.List(ctx, list, client.InNamespace(d.Namespace)); err != nil {
			d.T.Fatal(err)
		}
	}
	mirrors := map[string]*v1alpha1.NutanixClusterSpec{}
	for i := range clusters.Items {
		mirrors[clusters.Items[i].Name] = &clusters.Items[i]
	}
	answers := &kube.Answers{}
	return flow.Scene{
		Namespace: d.Namespace, Fleet: d.Fleet(fleets.Production), Mirrors: mirrors,
		Mirrored: flow.Mirrored{Namespace: d.Namespace, Clusters: clusters.Items, Profiles: profiles.Items, Accounts: accounts.Items},
		Gather: func(c *v1alpha1.NutanixClusterSpec) flow.Gatherer {
			return kube.Cluster{Client: d.Client, Reader: d.Client, Namespace: d.Namespace, Name: c.Name, Ignore: c.Spec.DriftIgnore, Answers: answers}
		},
	}
}

// show plans branch change and keeps what it shows.
func (d desk) show() review.Reviewed {
	d.T.Helper()
	shown := d.plan()
	d.put(shown)
	return shown
}

func (d desk) put(shown review.Reviewed) {
	d.T.Helper()
	if err := d.store.Put(d.T.Context(), d.key(), shown); err != nil {
		d.T.Fatal(err)
	}
}

// approve has the forge tell that what was shown is merged, and that alice approved it.
func (d desk) approve(shown review.Reviewed) {
	d.T.Helper()
	word := review.Approval{User: "alice", AsUser: "alice@example.com", Commit: shown.Head, Proved: true}
	if err := d.store.Merge(d.T.Context(), d.key(), shown.Tree, shown.Number, []review.Approval{word}); err != nil {
		d.T.Fatal(err)
	}
}

// merge brings branch change into main, in one of Git's ways, and returns the commit.
func (d desk) merge(way string) string {
	d.T.Helper()
	d.git("fetch", "--quiet", "origin")
	d.git("checkout", "--quiet", "--force", "-B", "landing", "origin/main")
	switch way {
	case "squash":
		d.git("merge", "--quiet", "--squash", "origin/change")
		d.git("commit", "--quiet", "-m", "change (#7)")
	case "rebase":
		d.git("checkout", "--quiet", "-B", "rebased", "origin/change")
		d.git("rebase", "--quiet", "--force-rebase", "origin/main")
	default:
		d.git("merge", "--quiet", "--no-ff", "-m", "Merge pull request #7", "origin/change")
	}
	d.git("push", "--quiet", "origin", "HEAD:main")
	return d.git("rev-parse", "HEAD")
}

// merged waits until the Fleet has attempted the merge.
func (d desk) merged(way string) string {
	d.T.Helper()
	commit := d.merge(way)
	d.Handled(fleets.Production, commit, fleets.Soon)
	return commit
}

// memory of a cluster's workers as accepted.
func (d desk) memory(name string) string {
	return d.Cluster(name).Spec.NodePools[0].Machine.Memory.String()
}

// more asks for 6 GiB for the workers of a cluster, which have 4.
func more(c *rig.Cluster) map[string]string {
	c.WorkerMemory = "6Gi"
	return map[string]string{fleets.File(*c): c.File()}
}
