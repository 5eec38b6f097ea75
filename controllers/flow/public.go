package flow

import (
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/refract-dev/refract/render/build"
	"github.com/refract-dev/refract/render/plan"
)

// longestWords of others that a public report repeats, in letters.
const longestWords = 500

// refusedWords are those with which the API server refused a mirror for what it says.
func (s Scene) refusedWords(err error) string {
	if !s.Public {
		return err.Error()
	}
	if plan.Outsider(err.Error()) {
		return plan.Unshown
	}
	return shortened(err.Error())
}

// told is an error as it may stand in the report: in a public one without what the API server says of who may do what.
func (s Scene) told(err error) error {
	status, mistake := apierrors.APIStatus(nil), new(build.Error)
	if !s.Public || !errors.As(err, &status) || errors.As(err, &mistake) {
		return err
	}
	code := int(status.Status().Code)
	return fmt.Errorf("the API server refuses what has to be asked for a plan (%d %s): %s", code, http.StatusText(code), plan.Unshown)
}

// bounded leaves of a plan what fits into a public report: reasons may repeat others' words.
func (s Scene) bounded(p plan.Plan) plan.Plan {
	if s.Public {
		for i := range p.Changes {
			p.Changes[i].Reason = shortened(p.Changes[i].Reason)
		}
	}
	return p
}

func shortened(words string) string {
	if runes := []rune(words); len(runes) > longestWords {
		return string(runes[:longestWords]) + "…"
	}
	return words
}
