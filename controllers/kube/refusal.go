package kube

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/refract-dev/refract/render/plan"
)

// refusal are the words with which the API server, a webhook, an admission policy or a quota refused an object for what
// it says; empty when err is anything else. Words that may quote a secret are cut down, see discreet.
func refusal(o *unstructured.Unstructured, err error) string {
	var status apierrors.APIStatus
	if err == nil || !errors.As(err, &status) {
		return ""
	}
	s := status.Status()
	denied := s.Code == 403 && slices.ContainsFunc(denials, func(words string) bool { return strings.Contains(s.Message, words) })
	mistyped := strings.Contains(s.Message, "failed to create typed patch object") || strings.Contains(s.Message, "field not declared in schema")
	if s.Code != 422 && !denied && !mistyped && !apierrors.IsBadRequest(err) {
		return ""
	}
	switch {
	case mistyped:
		return discreet(o, typeMistakes(s.Message))
	case o.GetKind() == secretKind.Kind, mayHoldSecrets(o) && !denied:
		return discreet(o, causes(s.Details))
	}
	return s.Message
}

// refusal are the words that whoever reads the plan may see.
func (c Cluster) refusal(o *unstructured.Unstructured, err error) string {
	words := refusal(o, err)
	if words != "" && c.Public && plan.Outsider(err.Error()) {
		return plan.Unshown
	}
	return words
}

// denials are what a 403 says that is about the object and not about who asks: of webhooks, of admission policies (they
// say "denied request"), and of quotas.
var denials = []string{"denied the request", "denied request", "exceeded quota"}

// mayHoldSecrets says whether webhooks quote whole files and users of an object when one of them is wrong.
func mayHoldSecrets(o *unstructured.Unstructured) bool {
	return o.GetKind() == controlPlaneKind.Kind || o.GetKind() == configTemplateKind.Kind
}

// discreet says which fields are wrong and how, without a value.
func discreet(o *unstructured.Unstructured, mistakes []string) string {
	words := "the API server refuses this " + o.GetKind()
	if len(mistakes) == 0 {
		return words + "; its words may quote secrets and are not shown"
	}
	return words + ": " + strings.Join(mistakes, "; ")
}

// causes are fields and kinds of mistake, with the words of those that quote no value.
func causes(d *metav1.StatusDetails) []string {
	if d == nil {
		return nil
	}
	var mistakes []string
	for _, c := range d.Causes {
		what := string(c.Type)
		if c.Type == metav1.CauseTypeForbidden || c.Type == metav1.CauseTypeFieldValueRequired {
			what = c.Message
		}
		mistakes = append(mistakes, fmt.Sprintf("%s (%s)", c.Field, what))
	}
	return mistakes
}

var (
	typeMistake = regexp.MustCompile(`\.((?:\.?[\w-]+|\[[^\]]*\])+): (field not declared in schema|expected [a-z ]+)`)
	// itemByValue is the step to an item of a list without keys: the value itself.
	itemByValue = regexp.MustCompile(`\[=[^\]]*\]`)
)

// typeMistakes are the fields that a typed patch could not be made of; what was found in them is left out.
func typeMistakes(message string) []string {
	var mistakes []string
	for _, found := range typeMistake.FindAllStringSubmatch(message, -1) {
		mistakes = append(mistakes, fmt.Sprintf("%s (%s)", itemByValue.ReplaceAllString(found[1], "[]"), strings.TrimSpace(found[2])))
	}
	return mistakes
}
