// Package forge speaks with the host of a Git repository about what Git does not know: pull requests, their comments,
// commit statuses and approvals, and the calls that a host makes when something was pushed. One file a host.
//
// It knows nothing of Refract and of Kubernetes. Nothing here waits: a host that asks to be left alone for a while is an
// error that says until when.
package forge

import (
	"context"
	"strconv"
	"time"
)

// Forge is one repository on one host. It is safe for use by several goroutines.
type Forge interface {
	// Pulls lists the open pull requests onto a branch, oldest first. MergeBase may be empty in what it returns, where
	// the host tells it for single ones only.
	Pulls(ctx context.Context, branch string) ([]Pull, error)
	// Pull returns one pull request, also a closed or merged one.
	Pull(ctx context.Context, number int) (Pull, error)
	// Approvals lists the standing ones: by each user the last word, if it was to approve and was neither dismissed nor
	// replaced. Each says in which of teams, written organization/team, the user is.
	Approvals(ctx context.Context, number int, teams []string) ([]Approval, error)
	// Comment creates or updates in place our one comment that begins with marker, which people do not see. A comment of
	// somebody else is never touched, whatever it holds. What is so already is not sent.
	Comment(ctx context.Context, number int, marker, body string) error
	// SetStatus sets the status of a commit, given by its full id. Nothing is sent when it is so already.
	SetStatus(ctx context.Context, commit string, s Status) error
}

// Pull is a pull request. Commits are full ids.
type Pull struct {
	// Number within the repository.
	Number int
	// Title, URL for people and Author's login.
	Title, URL, Author string
	// Head is the last commit proposed, and HeadBranch its branch, in a fork the branch there.
	Head, HeadBranch string
	// Base is the branch to merge into, MergeBase the commit at which head left it.
	Base, MergeBase string
	// MergeCommit is what the merge made on Base: a merge commit, a squashed one or the last that was rebased. Empty
	// unless Merged.
	MergeCommit string
	// Ref in the base repository that holds Head, also that of a fork: refs/pull/7/head.
	Ref string
	// Fork: Head was pushed by somebody who need not have the right to push to the base repository.
	Fork bool
	// Draft: not yet meant to be merged.
	Draft bool
	// Merged and Closed: a merged one is also closed.
	Merged, Closed bool
	// Updated last, by whatever it was.
	Updated time.Time
}

// Approval is a standing approval of a pull request.
type Approval struct {
	// ID of the review: who approves the same commit once more gives another word.
	ID int64
	// User's login.
	User string
	// Commit that was approved.
	Commit string
	// At is when it was given, by the host's clock and at the end of that second; zero where the host does not tell.
	At time.Time
	// Teams, of those asked for, that the user is in, spelled as they were asked for.
	Teams []string
}

// Status of a commit.
type Status struct {
	State State
	// Context tells statuses of one commit from each other.
	Context string
	// Description is one line for people; hosts take 140 characters, and what is longer is cut.
	Description string
	// URL for details; may be empty.
	URL string
}

// State of a Status.
type State string

// The states.
const (
	// Pending: not known yet.
	Pending State = "pending"
	// Success: may be merged.
	Success State = "success"
	// Failure: a person has to look.
	Failure State = "failure"
	// Error: it could not be found out.
	Error State = "error"
)

// Provider is a kind of host.
type Provider string

// The providers.
const (
	// GitHub is github.com or GitHub Enterprise.
	GitHub Provider = "GitHub"
	// Gitea is Gitea or a host with its API, such as Forgejo.
	Gitea Provider = "Gitea"
)

// Observer is told when a request to a host begins, and calls back what it returns when the answer is there. It is called
// from several goroutines.
type Observer func(method string) (done func(err error))

// Options of Open.
type Options struct {
	// Provider of the host.
	Provider Provider
	// Address that people open: https://github.com. Locate finds it.
	Address string
	// Repository as owner/name. Locate finds it.
	Repository string
	// Auth of our own user or App.
	Auth Auth
	// Timeout of one request. Default 20 s.
	Timeout time.Duration
	// AllowInsecure takes http:// addresses of this machine, for tests and demos.
	AllowInsecure bool
	// Now is the clock. Required.
	Now func() time.Time
	// Observe every request; may be nil.
	Observe Observer
}

const defaultTimeout = 20 * time.Second

// Open returns the repository on its host. Nothing is asked of the host yet. Errors are ErrAuth for what is wrong with
// the credentials and ErrRefused for the rest.
func Open(o Options) (Forge, error) {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	r, err := parseRepository(o.Repository)
	if err != nil {
		return nil, err
	}
	base, err := parseHost(o.Address, o.AllowInsecure)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		return nil, fail(ErrRefused, "no clock")
	}
	switch o.Provider {
	case GitHub:
		return openGitHub(o, base, r)
	case Gitea:
		return openGitea(o, base, r)
	}
	return nil, fail(ErrRefused, "provider: %q is not known; write GitHub or Gitea", clean(string(o.Provider)))
}

// pullRef is where both hosts keep the head of a pull request.
func pullRef(number int) string { return "refs/pull/" + strconv.Itoa(number) + "/head" }
