package gitea

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/refract-dev/refract/gitsource/forge"
)

const marker = "refract.dev/review clusters/production"

// TestComment keeps one comment, whatever else is said.
func TestComment(t *testing.T) {
	t.Parallel()
	s := newStage(t, "comment")
	number, _ := s.propose("change", map[string]string{"fleet/two.yaml": "two"})
	say := func(who *Person, text string) *sdk.Comment {
		c, _, err := who.API.CreateIssueComment(s.repository.Owner, s.repository.Name, int64(number), sdk.CreateIssueCommentOption{Body: text})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	foreign := say(s.bob, "<!-- "+marker+" -->\nnot ours")
	for i := range 6 {
		say(s.alice, fmt.Sprintf("talk %d", i))
	}
	comment := func(body string) {
		t.Helper()
		if err := s.forge.Comment(t.Context(), number, marker, body); err != nil {
			t.Fatal(err)
		}
	}
	ours := func() *sdk.Comment {
		t.Helper()
		all, err := s.repository.Comments(number, s.refract.Name)
		if err != nil || len(all) != 1 {
			t.Fatalf("%d comments of ours: %v", len(all), err)
		}
		return all[0]
	}
	writes := func() int { return host.Door.Count(Writes(s.refract.Name)) }

	comment("**one** machine\n")
	first := ours()
	if !strings.Contains(first.Body, "**one** machine") || !strings.HasPrefix(first.Body, "<!-- "+marker) {
		t.Errorf("the comment says %q", first.Body)
	}
	for i := range 6 {
		say(s.alice, fmt.Sprintf("more talk %d", i))
	}
	before := writes()
	comment("**one** machine\n")
	if n := writes() - before; n != 0 {
		t.Errorf("%d writes to say the same", n)
	}
	comment("**two** machines\n")
	if again := ours(); again.ID != first.ID || !strings.Contains(again.Body, "**two** machines") {
		t.Errorf("comment %d was %d: %q", again.ID, first.ID, again.Body)
	}
	s.forge = s.open(s.repository.String(), s.refract.Token) // as after a restart
	comment("**three** machines\n")
	if again := ours(); again.ID != first.ID || !strings.Contains(again.Body, "**three** machines") {
		t.Errorf("comment %d was %d: %q", again.ID, first.ID, again.Body)
	}
	comment(strings.Repeat("a long line of a plan\r\n", 6000))
	long := ours()
	if len(long.Body) > 65536 || !strings.Contains(long.Body, "The rest was cut") {
		t.Errorf("%d bytes, ending %q", len(long.Body), long.Body[len(long.Body)-100:])
	}
	before = writes()
	comment(strings.Repeat("a long line of a plan\r\n", 6000))
	if n := writes() - before; n != 0 {
		t.Errorf("%d writes to say the same at length", n)
	}

	if have, _, err := s.bob.API.GetIssueComment(s.repository.Owner, s.repository.Name, foreign.ID); err != nil || have.Body != foreign.Body {
		t.Errorf("somebody's comment was changed: %+v: %v", have, err)
	}
	if _, err := s.alice.API.DeleteIssueComment(s.repository.Owner, s.repository.Name, first.ID); err != nil {
		t.Fatal(err)
	}
	comment("anew")
	if again := ours(); again.ID == first.ID {
		t.Error("a comment that was deleted is there")
	}
}

// TestStatus sends a status when it changes, and only then.
func TestStatus(t *testing.T) {
	t.Parallel()
	s := newStage(t, "status")
	_, head := s.propose("change", map[string]string{"fleet/two.yaml": "two"})
	const context = "refract/clusters/production"
	for i := range 6 { // others' fill pages
		if _, _, err := s.alice.API.CreateStatus(s.repository.Owner, s.repository.Name, head, sdk.CreateStatusOption{State: sdk.StatusPending, Context: fmt.Sprintf("ci/%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	all := []forge.Status{
		{State: forge.Pending, Context: context, Description: "planning"},
		{State: forge.Success, Context: context, Description: "2 machines re-created", URL: "https://git.example.com/pulls/1"},
		{State: forge.Failure, Context: context, Description: strings.Repeat("é", 200)},
		{State: forge.Error, Context: context, Description: "Prism Central is away"},
		{State: forge.Success, Context: context, Description: "2 machines re-created", URL: "https://git.example.com/pulls/1"},
	}
	for i, status := range all {
		for range 2 {
			if err := s.forge.SetStatus(t.Context(), head, status); err != nil {
				t.Fatal(err)
			}
		}
		have, err := s.repository.Statuses(head, context)
		if err != nil || len(have) != i+1 {
			t.Fatalf("%d statuses after %d were set twice each: %v", len(have), i+1, err)
		}
		if have[0].State != sdk.StatusState(status.State) || have[0].TargetURL != status.URL || !strings.HasPrefix(status.Description, strings.TrimSuffix(have[0].Description, "…")) {
			t.Errorf("set %+v, there is %+v", status, have[0])
		}
	}
	combined, _, err := s.bob.API.GetCombinedStatus(s.repository.Owner, s.repository.Name, head)
	if err != nil || combined.State != sdk.StatusPending { // others' are pending
		t.Errorf("%+v: %v", combined, err)
	}
	if n := host.Door.Count(Statuses(s.refract.Name)); n != len(all) {
		t.Errorf("%d statuses were sent, want %d", n, len(all))
	}
}

// TestRefused says what is wrong with credentials, and never shows them.
func TestRefused(t *testing.T) {
	t.Parallel()
	s := newStage(t, "refused")
	number, head := s.propose("change", map[string]string{"fleet/two.yaml": "two"})
	token := func(p *Person, scopes ...string) string {
		made, err := p.NewToken(t.Context(), scopes...)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	reader := s.person("refused-reader")
	if err := s.repository.Allow(reader, sdk.AccessModeRead); err != nil {
		t.Fatal(err)
	}
	stranger := s.person("refused-stranger")
	cases := map[string]struct {
		reason     string
		repository string
		token      string
		do         func(forge.Forge) error
		want       error
	}{
		"WrongToken":      {"an unknown token is refused", s.repository.String(), strings.Repeat("a1", 20), pulls(s), forge.ErrAuth},
		"Stranger":        {"a private repository is not there for strangers", s.repository.String(), stranger.Token, pulls(s), forge.ErrNotFound},
		"NoRepository":    {"nor one that does not exist", s.alice.Name + "/nothing", s.refract.Token, pulls(s), forge.ErrNotFound},
		"NoPull":          {"a number without a pull request", s.repository.String(), s.refract.Token, func(f forge.Forge) error { _, err := f.Pull(t.Context(), 99); return err }, forge.ErrNotFound},
		"NoScopeToRead":   {"a token for something else", s.repository.String(), token(s.refract, "read:user"), pulls(s), forge.ErrAuth},
		"NoScopeToSpeak":  {"comments need write:issue", s.repository.String(), token(s.refract, "write:repository", "read:user"), comment(s, number), forge.ErrAuth},
		"NoScopeForUser":  {"our own user needs read:user", s.repository.String(), token(s.refract, "write:repository", "write:issue"), comment(s, number), forge.ErrAuth},
		"NoScopeToJudge":  {"statuses need write:repository", s.repository.String(), token(s.refract, "read:repository", "write:issue", "read:user"), status(s, head, "scope"), forge.ErrAuth},
		"NoRightToJudge":  {"and a user who may write", s.repository.String(), reader.Token, status(s, head, "reader"), forge.ErrAuth},
		"NoSuchCommit":    {"a commit that is not there", s.repository.String(), s.refract.Token, status(s, strings.Repeat("ab", 20), "refract"), forge.ErrNotFound},
		"ReaderMaySpeak":  {"who reads may comment", s.repository.String(), reader.Token, comment(s, number), nil},
		"LeastCanDoItAll": {"the scopes of the guide are enough", s.repository.String(), s.refract.Token, status(s, head, "refract"), nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := c.do(s.open(c.repository, c.token))
			if !errors.Is(err, c.want) {
				t.Fatalf("%s: %v, want %v", c.reason, err, c.want)
			}
			if err != nil {
				t.Log(err)
				if strings.Contains(err.Error(), c.token) {
					t.Error("the token is in the error")
				}
			}
		})
	}
}

func pulls(s *stage) func(forge.Forge) error {
	return func(f forge.Forge) error { _, err := f.Pulls(s.Context(), "main"); return err }
}

func comment(s *stage, number int) func(forge.Forge) error {
	return func(f forge.Forge) error { return f.Comment(s.Context(), number, marker, "text") }
}

func status(s *stage, commit, context string) func(forge.Forge) error {
	return func(f forge.Forge) error {
		return f.SetStatus(s.Context(), commit, forge.Status{State: forge.Pending, Context: context, Description: "text"})
	}
}
