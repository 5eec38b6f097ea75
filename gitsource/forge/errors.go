package forge

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// The kinds of failure. Match them with errors.Is; the messages that carry them say what to do next and never hold
// credentials.
var (
	// ErrAuth says that credentials are malformed or were refused, or lack a permission. A person must act.
	ErrAuth = errors.New("credentials refused")
	// ErrNotFound says that there is no such repository, pull request or team, or that the credentials may not see it.
	ErrNotFound = errors.New("not found")
	// ErrUnreachable says that the host did not answer, or not with anything useful. Trying again later may help.
	ErrUnreachable = errors.New("host unreachable")
	// ErrLimit says that there is more of something than is ever read.
	ErrLimit = errors.New("limit exceeded")
	// ErrRefused says that an option, or what the host asks for, is never accepted. A person must act.
	ErrRefused = errors.New("refused")
	// ErrSignature says that a call is not from who knows the token.
	ErrSignature = errors.New("signature not accepted")
)

// RateLimited says that the host wants to be left alone. Until then nothing is sent to it, and every call ends at once
// with this error.
type RateLimited struct { //nolint:errname // It is a state of the host that passes, and no fault.
	// Until when.
	Until time.Time
}

// Error names the time.
func (e *RateLimited) Error() string {
	return "the host limits our requests until " + e.Until.UTC().Format(time.RFC3339) + "; nothing needs to be done"
}

// failure is an error with its kind.
type failure struct {
	kind error
	msg  string
}

func (f *failure) Error() string { return f.msg }

// Unwrap gives the kind.
func (f *failure) Unwrap() error { return f.kind }

func fail(kind error, format string, args ...any) error {
	return &failure{kind: kind, msg: fmt.Sprintf(format, args...)}
}

// clean makes text of a host's fit for a status: one short line.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 200 {
		return string(r[:200]) + "…"
	}
	return s
}
