package review

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/test/gitea"
	"github.com/refract-dev/refract/test/rig"
)

// TestRequired holds what nobody reviewed, until it comes by a pull request; and lets nobody else's calls in.
func TestRequired(t *testing.T) {
	t.Parallel()
	s := newStage(t, "required")
	s.Push("no cluster yet", s.files())
	s.launch(func(f *v1alpha1.Fleet) { f.Spec.Review.Required = true })

	commit := s.Push("a cluster past all reviews", s.edited(func(*rig.Cluster) {}))
	s.Handled(fleetName, commit, time.Minute)
	s.Within(time.Minute, "the cluster is held", func() error {
		for _, f := range s.Fleet(fleetName).Status.Failures {
			if f.Cluster == "required-01" && strings.Contains(f.Message, "Nobody reviewed this") {
				return nil
			}
		}
		return fmt.Errorf("%+v", s.Fleet(fleetName).Status)
	})
	commit = s.Push("Revert it", map[string]string{"fleet/required-01.yaml": ""})
	s.Handled(fleetName, commit, time.Minute)
	if s.Cluster("required-01") != nil {
		t.Error("there is a cluster that nobody reviewed")
	}

	number, head := s.propose("a-cluster", s.edited(func(*rig.Cluster) {}))
	s.comment(number, "`required-01`", "goes on")
	s.status(head, sdk.StatusSuccess)
	s.accepted("required-01", s.merge(number, sdk.MergeStyleMerge))

	t.Run("ForgedAndReplayedCalls", func(t *testing.T) { s.calls(t) })
}

// calls sends to the operator what Gitea sent before, as it was and changed. None of it makes the operator look.
func (s *stage) calls(t *testing.T) {
	t.Helper()
	all := s.post.all()
	i := slices.IndexFunc(all, func(c call) bool { return c.header.Get("X-Gitea-Event") == "push" })
	if i < 0 {
		t.Fatal("Gitea told of no push")
	}
	push := all[i]
	if push.answer != http.StatusAccepted {
		t.Errorf("the call itself was answered with %d", push.answer)
	}
	change := func(edit func(*call)) call {
		c := call{header: push.header.Clone(), body: slices.Clone(push.body)}
		edit(&c)
		return c
	}
	unsigned := []string{"X-Hub-Signature-256", "X-Hub-Signature", "X-Gitea-Signature", "X-Gogs-Signature"}
	cases := map[string]struct {
		reason string
		call   call
		want   int
	}{
		"Replayed":     {"a call counts once", push, http.StatusConflict},
		"ReplayedByID": {"whatever it is called", change(func(c *call) { c.header.Set("X-Gitea-Delivery", "another") }), http.StatusConflict},
		"Forged": {"another body needs another signature", change(func(c *call) {
			c.body = bytes.Replace(c.body, []byte("refs/heads/main"), []byte("refs/heads/mine"), 1)
		}), http.StatusUnauthorized},
		"Unsigned": {"one without a signature is nobody's", change(func(c *call) {
			for _, name := range unsigned {
				c.header.Del(name)
			}
		}), http.StatusUnauthorized},
		"HalfSigned": {"one of two signatures is wrong", change(func(c *call) { c.header.Set("X-Gitea-Signature", strings.Repeat("0", 64)) }), http.StatusUnauthorized},
	}
	git := func(r gitea.Request) bool { return r.By == s.refract.Name }
	before := s.door.Count(git)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := s.post.send(t.Context(), c.call)
			if err != nil || got != c.want {
				t.Errorf("%s: answered %d, want %d: %v", c.reason, got, c.want, err)
			}
		})
	}
	if n := s.door.Count(git) - before; n != 0 {
		t.Errorf("the operator asked Gitea %d times after calls that it refused", n)
	}
}

// TestFork plans what comes from a fork from its files alone, keeps none of it for the merge, and hears nobody about it.
func TestFork(t *testing.T) {
	t.Parallel()
	s := newStage(t, "fork")
	s.Push("one cluster", s.files(s.cluster))
	s.launch(func(f *v1alpha1.Fleet) { f.Spec.Review.Required = true })
	eve := s.person("fork-eve")
	if err := s.repository.Allow(eve, sdk.AccessModeRead); err != nil {
		t.Fatal(err)
	}
	fork, err := s.repository.Fork(eve)
	if err != nil {
		t.Fatal(err)
	}
	git, err := fork.Clone(t.Context(), t.TempDir(), eve)
	if err != nil {
		t.Fatal(err)
	}
	head, err := git.PushTo(t.Context(), "mine", "main", "more memory", s.edited(func(c *rig.Cluster) { c.WorkerMemory = "5Gi" }))
	if err != nil {
		t.Fatal(err)
	}
	number, err := s.repository.Open(t.Context(), eve, "more memory", eve.Name+":mine")
	if err != nil {
		t.Fatal(err)
	}
	s.comment(number, "Predicted from the files", "comes from a fork", "1 machine re-created")
	s.status(head, sdk.StatusSuccess, "predicted from the files")
	reviews := func(r gitea.Request) bool { return r.By == s.refract.Name && strings.HasSuffix(r.Path, "/reviews") }
	s.approve(number, s.bob)
	number2, head2 := s.propose("another", map[string]string{"notes.md": "nothing of the Fleet"})
	s.status(head2, sdk.StatusSuccess, "nothing of this Fleet changes") // looked at after the approval
	if n := s.door.Count(reviews); n != 0 {
		t.Errorf("the operator read reviews %d times", n)
	}
	if all, err := s.repository.Comments(number2, s.refract.Name); err != nil || len(all) != 0 {
		t.Errorf("%d comments where nothing is to be said: %v", len(all), err)
	}
}
