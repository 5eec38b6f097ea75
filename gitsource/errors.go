package gitsource

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// The kinds of failure. Match them with errors.Is; the messages that carry them
// say what to do next and never hold credentials.
var (
	// ErrAuth says that credentials are malformed, missing or were refused.
	// A person must correct the Secret.
	ErrAuth = errors.New("credentials refused")
	// ErrNotFound says that there is no Git repository at the URL, or that
	// the credentials may not see it.
	ErrNotFound = errors.New("repository not found")
	// ErrRefNotFound says that the branch, tag or commit does not exist. It
	// is never to be read as an empty repository.
	ErrRefNotFound = errors.New("ref not found")
	// ErrUnreachable says that the server did not answer, or not with
	// anything useful. Trying again later may help.
	ErrUnreachable = errors.New("repository unreachable")
	// ErrHostKey says that the SSH host key is not the one in known_hosts.
	ErrHostKey = errors.New("host key not accepted")
	// ErrTLS says that the server's certificate was not accepted.
	ErrTLS = errors.New("certificate not accepted")
	// ErrLimit says that the repository passes one of the Limits.
	ErrLimit = errors.New("limit exceeded")
	// ErrRefused says that the repository, its URL or a file in it asks for
	// something that is never done. A person must change it.
	ErrRefused = errors.New("refused")
)

// kinds is every kind, for those who map an error to one.
var kinds = []error{
	ErrAuth, ErrNotFound, ErrRefNotFound, ErrUnreachable,
	ErrHostKey, ErrTLS, ErrLimit, ErrRefused,
}

// FileError is one file that a Snapshot refuses. Several are joined; find them
// with Problems.
type FileError struct {
	// Path of the file, slash-separated from the repository's root.
	Path string
	// Kind is ErrRefused or ErrLimit.
	Kind error
	// Msg says what is wrong and what to do.
	Msg string
}

// Error gives the path and what is wrong there.
func (e *FileError) Error() string { return e.Path + ": " + e.Msg }

// Unwrap returns the kind.
func (e *FileError) Unwrap() error { return e.Kind }

// Problems returns every FileError in the tree of err, in order, or nil.
func Problems(err error) []*FileError {
	if fe, ok := err.(*FileError); ok { //nolint:errorlint // The tree is walked here by hand.
		return []*FileError{fe}
	}
	switch e := err.(type) { //nolint:errorlint // The tree is walked here by hand.
	case interface{ Unwrap() error }:
		return Problems(e.Unwrap())
	case interface{ Unwrap() []error }:
		var all []*FileError
		for _, sub := range e.Unwrap() {
			all = append(all, Problems(sub)...)
		}
		return all
	}
	return nil
}

// failure is an error of one kind whose whole text is our own.
type failure struct {
	kind  error
	msg   string
	cause error // Context errors only: others may quote what they were given.
}

func (f *failure) Error() string { return f.msg }

func (f *failure) Unwrap() []error {
	if f.cause == nil {
		return []error{f.kind}
	}
	return []error{f.kind, f.cause}
}

func fail(kind error, format string, args ...any) error {
	return &failure{kind: kind, msg: fmt.Sprintf(format, args...)}
}

// kindOf returns the kind of err, or nil.
func kindOf(err error) error {
	for _, k := range kinds {
		if errors.Is(err, k) {
			return k
		}
	}
	return nil
}

// ended says how ctx ended: a deadline is a server that does not answer, a
// cancellation is the caller's own doing and no failure of the repository.
func ended(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &failure{
			kind: ErrUnreachable, cause: context.DeadlineExceeded,
			msg: "no complete answer in the time allowed; check the network path to the server",
		}
	}
	return ctx.Err()
}

// cut ends a text that was longer.
const cut = "…"

// clean makes text of a remote's fit for a status: one short line.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + cut
	}
	return s
}
