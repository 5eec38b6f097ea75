package gitea

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	sdk "code.gitea.io/sdk/gitea"

	"github.com/refract-dev/refract/gitsource/forge"
	"github.com/refract-dev/refract/test/rig"
)

// stage is one repository with who works on it, and Refract's door to it.
type stage struct {
	*testing.T
	repository *Repository
	git        *rig.Git
	alice, bob *Person // may write
	refract    *Person
	forge      forge.Forge
}

// The scopes that docs/guides/review-setup.md asks for.
var least = []string{"write:repository", "write:issue", "read:organization", "read:user"}

func newStage(t *testing.T, name string) *stage {
	t.Helper()
	s := &stage{T: t}
	s.alice, s.bob = s.person(name+"-alice"), s.person(name+"-bob")
	s.refract = s.person(name+"-refract", least...)
	var err error
	if s.repository, err = s.alice.Repository("fleet"); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Person{s.bob, s.refract} {
		if err = s.repository.Allow(p, sdk.AccessModeWrite); err != nil {
			t.Fatal(err)
		}
	}
	if s.git, err = s.repository.Clone(t.Context(), t.TempDir(), s.alice); err != nil {
		t.Fatal(err)
	}
	s.push("main", "", map[string]string{"fleet/one.yaml": "one"})
	s.forge = s.open(s.repository.String(), s.refract.Token)
	return s
}

func (s *stage) person(name string, scopes ...string) *Person {
	s.Helper()
	p, err := host.Person(s.Context(), name, scopes...)
	if err != nil {
		s.Fatal(err)
	}
	return p
}

func (s *stage) open(repository, token string) forge.Forge {
	s.Helper()
	f, err := forge.Open(forge.Options{
		Provider: forge.Gitea, Address: host.URL(), Repository: repository, Auth: forge.Auth{Token: token},
		AllowInsecure: true, Now: time.Now,
	})
	if err != nil {
		s.Fatal(err)
	}
	return f
}

func (s *stage) push(branch, from string, files map[string]string) string {
	s.Helper()
	hash, err := s.git.PushTo(s.Context(), branch, from, "change "+branch, files)
	if err != nil {
		s.Fatal(err)
	}
	return hash
}

// propose pushes a branch from main and opens a pull request.
func (s *stage) propose(branch string, files map[string]string) (number int, head string) {
	s.Helper()
	head = s.push(branch, "main", files)
	n, err := s.repository.Open(s.Context(), s.alice, branch, branch)
	if err != nil {
		s.Fatal(err)
	}
	return n, head
}

// within waits until check returns nil.
func (s *stage) within(what string, check func() error) {
	s.Helper()
	if err := eventually(s.Context(), check); err != nil {
		s.Fatalf("not within %s: %s: %v", background, what, err)
	}
}

func (s *stage) pull(number int) forge.Pull {
	s.Helper()
	p, err := s.forge.Pull(s.Context(), number)
	if err != nil {
		s.Fatal(err)
	}
	return p
}

func (s *stage) merge(number int, style sdk.MergeStyle) string {
	s.Helper()
	commit, err := s.repository.Merge(s.Context(), s.bob, number, style)
	if err != nil {
		s.Fatal(err)
	}
	return commit
}

// remote is what a ref of the repository is.
func (s *stage) remote(ref string) string {
	s.Helper()
	out, err := exec.CommandContext(s.Context(), "git", "-C", s.git.Clone(), "ls-remote", "origin", ref).Output()
	if err != nil {
		s.Fatal(err)
	}
	hash, _, _ := strings.Cut(string(out), "\t")
	return hash
}
