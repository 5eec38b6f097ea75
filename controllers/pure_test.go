package controllers

import (
	"errors"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render/plan"
)

func TestTrailersOf(t *testing.T) {
	for name, c := range map[string]struct {
		message string
		want    []string
		reason  string
	}{
		"LastParagraph":     {"Grow\n\nMore memory.\n\nRefract-Approve: sha256:aa\n", []string{"sha256:aa"}, "trailers stand in the last paragraph"},
		"AmongOthers":       {"Grow\n\nSigned-off-by: A <a@example.com>\nrefract-approve:  sha256:aa \nRefract-Approve: sha256:bb", []string{"sha256:aa", "sha256:bb"}, "keys are compared without case, as Git does"},
		"WindowsLineEnds":   {"Grow\r\n\r\nRefract-Approve: sha256:aa\r\n", []string{"sha256:aa"}, "line ends are no part of a digest"},
		"EarlierParagraph":  {"Grow\n\nRefract-Approve: sha256:aa\n\nThat line is a quotation.", nil, "a quotation approves nothing"},
		"WithoutAValue":     {"Grow\n\nRefract-Approve:", nil, "an empty approval approves nothing"},
		"SubjectMentionsIt": {"Explain Refract-Approve", nil, "a mention approves nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := trailersOf(c.message); !slices.Equal(got, c.want) {
				t.Errorf("%s: got %q, want %q", c.reason, got, c.want)
			}
		})
	}
}

func TestPointer(t *testing.T) {
	for name, c := range map[string]struct{ field, want string }{
		"Plain":          {"spec.replicas", "/spec/replicas"},
		"NameWithSlash":  {"metadata.annotations[example.com/x].y", "/metadata/annotations/example.com~1x/y"},
		"Position":       {"spec.files[0].content", "/spec/files"},
		"TildeIsEscaped": {"spec.a~b", "/spec/a~0b"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := pointer(c.field); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// The design's rule: a field that one manager changes 3 times in 10 minutes is left alone for an hour.
func TestContest(t *testing.T) {
	var c contest
	key := client.ObjectKey{Namespace: "clusters", Name: "edge-01"}
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	edit := func(manager string, at time.Time) kube.Edit {
		return kube.Edit{Object: plan.Ref{Kind: "MachineHealthCheck", Name: "edge-01-kcp"}, Field: "spec.remediation.maxUnhealthy", Manager: manager, At: metav1.NewTime(at)}
	}
	changed := func(manager string, after time.Duration) bool {
		return c.changed(key, edit(manager, at.Add(after)), at.Add(after))
	}
	c.under(key, "one revision")
	if changed("one", 0) || changed("one", time.Minute) || changed("other", 2*time.Minute) || changed("one", 11*time.Minute) {
		t.Error("contested before one manager made three changes in ten minutes")
	}
	for range 2 {
		if changed("one", 12*time.Minute) {
			t.Error("a change that is seen twice counts twice")
		}
	}
	if !changed("one", 13*time.Minute) {
		t.Error("three changes in ten minutes are not contested")
	}
	if got := c.fields(key, at.Add(14*time.Minute)); len(got) != 1 || got[0].Manager != "one" {
		t.Errorf("contested are %v", got)
	}
	if got := c.ignored(key, at.Add(14*time.Minute)); len(got) != 1 || got[0].Paths[0] != "/spec/remediation/maxUnhealthy" {
		t.Errorf("the contested field is not left alone: %v", got)
	}
	if got := c.fields(key, at.Add(74*time.Minute)); len(got) != 0 {
		t.Errorf("after an hour it is still contested: %v", got)
	}
	c.under(key, "one revision")
	if got := c.fields(key, at.Add(14*time.Minute)); len(got) != 1 {
		t.Errorf("the same revision ends the contest: %v", got)
	}
	c.under(key, "the next revision")
	if got := c.fields(key, at.Add(14*time.Minute)); len(got) != 0 {
		t.Errorf("the next revision does not end the contest: %v", got)
	}
}

func TestConclude(t *testing.T) {
	const interval = time.Minute
	for name, c := range map[string]struct {
		err                         error
		progress                    string
		ready, reconciling, stalled metav1.ConditionStatus
		after                       time.Duration
		retried                     bool
	}{
		"Done":     {ready: metav1.ConditionTrue, after: interval},
		"Progress": {progress: "rolling", ready: metav1.ConditionUnknown, reconciling: metav1.ConditionTrue, after: interval},
		"Stalled":  {err: stall("X", "do this"), ready: metav1.ConditionFalse, stalled: metav1.ConditionTrue, after: interval},
		"Waiting":  {err: wait("X", time.Second, "soon"), ready: metav1.ConditionUnknown, reconciling: metav1.ConditionTrue, after: time.Second},
		"Failed":   {err: retry("X", errors.New("no")), ready: metav1.ConditionFalse, reconciling: metav1.ConditionTrue, retried: true},
		"Unknown":  {err: errors.New("no"), ready: metav1.ConditionFalse, reconciling: metav1.ConditionTrue, retried: true},
	} {
		t.Run(name, func(t *testing.T) {
			obj := &v1alpha1.Fleet{}
			set(obj, v1alpha1.StalledCondition, metav1.ConditionTrue, "Old", "from before")
			set(obj, v1alpha1.ReconcilingCondition, metav1.ConditionTrue, "Old", "from before")
			result, err := conclude(obj, c.err, c.progress, "fine", interval)
			if (err != nil) != c.retried || result.RequeueAfter != c.after {
				t.Errorf("requeue %s, %v", result.RequeueAfter, err)
			}
			for condition, want := range map[string]metav1.ConditionStatus{
				v1alpha1.ReadyCondition: c.ready, v1alpha1.ReconcilingCondition: c.reconciling, v1alpha1.StalledCondition: c.stalled,
			} {
				have := conditionOf(obj, condition)
				if (have == nil) != (want == "") || (have != nil && have.Status != want) {
					t.Errorf("%s is %+v, want %q", condition, have, want)
				}
			}
		})
	}
}
