package gitea

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	sdk "code.gitea.io/sdk/gitea"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/refract-dev/refract/gitsource/forge"
)

// anyID: whose word it is, and about what, but not its number.
// anyID ignores what the host chooses; when somebody approved is looked at apart.
var anyID = cmpopts.IgnoreFields(forge.Approval{}, "ID", "At")

// TestApprovals counts the last word of each who may give one, and no approval of something older.
func TestApprovals(t *testing.T) {
	t.Parallel()
	s := newStage(t, "approvals")
	reader := s.person("approvals-reader")
	if err := s.repository.Allow(reader, sdk.AccessModeRead); err != nil {
		t.Fatal(err)
	}
	number, head := s.propose("change", map[string]string{"fleet/two.yaml": "two"})
	want := func(why string, commit string, users ...*Person) {
		t.Helper()
		all, err := s.forge.Approvals(t.Context(), number, nil)
		if err != nil {
			t.Fatalf("%s: %v", why, err)
		}
		var approvals []forge.Approval
		for _, u := range users {
			approvals = append(approvals, forge.Approval{User: u.Name, Commit: commit})
		}
		if diff := cmp.Diff(approvals, all, anyID); diff != "" {
			t.Errorf("%s: %s", why, diff)
		}
		for _, a := range all {
			if age := time.Since(a.At); age < -time.Second || age > 5*time.Minute {
				t.Errorf("%s: %s approved at %s", why, a.User, a.At)
			}
		}
	}
	review := func(who *Person, state sdk.ReviewStateType) *sdk.PullReview {
		t.Helper()
		r, err := s.repository.Review(who, number, state, "words")
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	want("nobody said anything", head)
	for range 6 { // talk fills pages
		review(s.bob, sdk.ReviewStateComment)
	}
	want("talk is no approval", head)
	review(reader, sdk.ReviewStateApproved)
	want("who may not write gives no approval that counts", head)
	approval := review(s.bob, sdk.ReviewStateApproved)
	want("bob approves", head, s.bob)
	review(s.bob, sdk.ReviewStateComment)
	want("talk takes nothing back", head, s.bob)
	if _, err := s.alice.API.DismissPullReview(s.repository.Owner, s.repository.Name, int64(number), approval.ID, sdk.DismissPullReviewOptions{Message: "no"}); err != nil {
		t.Fatal(err)
	}
	want("alice dismisses it", head)
	review(s.bob, sdk.ReviewStateApproved)
	want("bob approves again", head, s.bob)
	review(s.bob, sdk.ReviewStateRequestChanges)
	want("bob thinks better of it", head)
	review(s.bob, sdk.ReviewStateApproved)
	want("and again", head, s.bob)

	head = s.push("change", "", map[string]string{"fleet/two.yaml": "worse"})
	s.within("a push makes it stale", func() error {
		all, err := s.forge.Approvals(t.Context(), number, nil)
		if err == nil && len(all) > 0 {
			err = fmt.Errorf("%+v", all)
		}
		return err
	})
	review(s.bob, sdk.ReviewStateApproved)
	want("what is there now is approved", head, s.bob)
	s.merge(number, sdk.MergeStyleSquash)
	want("also after the merge", head, s.bob)
}

// TestTeams finds out who is in a team, as a member of it and as somebody who may not know.
func TestTeams(t *testing.T) {
	t.Parallel()
	s := newStage(t, "teams")
	const org = "teams-org"
	for i := range 6 { // others fill pages
		if err := host.Team(org, fmt.Sprintf("other-%d", i), sdk.AccessModeRead); err != nil {
			t.Fatal(err)
		}
	}
	carol := s.person("teams-carol")
	for team, members := range map[string][]*Person{"operators": {s.bob, s.refract}, "writers": {carol, s.refract, s.bob, s.alice}} {
		if err := host.Team(org, team, sdk.AccessModeWrite, members...); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if s.repository, err = host.OrgRepository(org, "fleet"); err != nil {
		t.Fatal(err)
	}
	if s.git, err = s.repository.Clone(t.Context(), t.TempDir(), s.alice); err != nil {
		t.Fatal(err)
	}
	s.push("main", "", map[string]string{"fleet/one.yaml": "one"})
	s.forge = s.open(s.repository.String(), s.refract.Token)
	number, head := s.propose("change", map[string]string{"fleet/two.yaml": "two"})
	for _, who := range []*Person{s.bob, carol} {
		if _, err = s.repository.Review(who, number, sdk.ReviewStateApproved, ""); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.forge.Approvals(t.Context(), number, []string{org + "/Operators", org + "/writers"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]forge.Approval{
		{User: s.bob.Name, Commit: head, Teams: []string{org + "/Operators", org + "/writers"}},
		{User: carol.Name, Commit: head, Teams: []string{org + "/writers"}},
	}, all, anyID); diff != "" {
		t.Error(diff)
	}
	for _, team := range []string{org + "/nobody", "no-such-org/team"} {
		if _, err := s.forge.Approvals(t.Context(), number, []string{team}); !errors.Is(err, forge.ErrNotFound) || !strings.Contains(err.Error(), team) {
			t.Errorf("team %s: %v", team, err)
		}
	}
	beside := s.person("teams-beside", least...)
	if err := host.Team(org, "beside", sdk.AccessModeWrite, beside); err != nil {
		t.Fatal(err)
	}
	if all, err := s.open(s.repository.String(), beside.Token).Approvals(t.Context(), number, []string{org + "/writers"}); err == nil {
		t.Errorf("somebody of another team was told of this one: %+v", all)
	} else {
		t.Log(err)
	}
	outside := s.person("teams-outside", least...)
	if err := s.repository.Allow(outside, sdk.AccessModeWrite); err != nil {
		t.Fatal(err)
	}
	if _, err := s.open(s.repository.String(), outside.Token).Approvals(t.Context(), number, []string{org + "/writers"}); err == nil {
		t.Error("somebody outside of the organization was told of its teams")
	} else {
		t.Log(err)
	}
}
