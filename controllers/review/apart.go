package review

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// toldApart is for how long Git and the forge may disagree on a pull request before that is said: a push reaches one of
// them before the other.
const toldApart = 2 * time.Minute

// pauses between two looks at a pull request that Git and the forge do not agree on.
var pauses = wait.Backoff{Duration: soon, Factor: 2, Steps: 10, Cap: 5 * time.Minute}

// ofMirrors is what to do about a copy that lacks what is proposed.
const ofMirrors = "if spec.git.url is a mirror, have it copy refs/pull/* as well and as often as branches, or put the forge's own URL there"

// disagreement of Git and the forge on what a pull request proposes.
type disagreement struct{ err error }

func disagree(format string, args ...any) error {
	return &disagreement{fmt.Errorf(format, args...)}
}

// Error says who says what, and what to do if it lasts.
func (d *disagreement) Error() string { return d.err.Error() }

// short is as much of a commit's id as people need. The forge may say anything in the place of one.
func short(commit string) string {
	const enough = 12
	if strings.Trim(commit, "0123456789abcdef") != "" {
		return "that is none"
	}
	return commit[:min(len(commit), enough)]
}

// Apart says whether nothing else went wrong in a pass than that Git and the forge disagree: trying again at once does
// not help.
func Apart(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if all, ok := err.(interface{ Unwrap() []error }); ok {
			return !slices.ContainsFunc(all.Unwrap(), func(one error) bool { return !Apart(one) })
		}
		if _, ok := err.(*disagreement); ok { //nolint:errorlint // this very one, not one of several
			return true
		}
	}
	return false
}

// apart is one that lasts.
type apart struct {
	since, next time.Time
	pause       wait.Backoff
	last        error
}

// again notes a look that found it as it was; a is nil the first time.
func (a *apart) again(found error, now time.Time) *apart {
	if a == nil {
		a = &apart{since: now, pause: pauses}
	}
	a.last, a.next = found, now.Add(a.pause.Step())
	return a
}

// told is what is said of it, nothing at first.
func (a *apart) told(now time.Time) error {
	if now.Sub(a.since) < toldApart {
		return nil
	}
	return a.last
}
