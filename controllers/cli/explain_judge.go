package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/refract-dev/refract/api/v1alpha1"
	"github.com/refract-dev/refract/controllers/kube"
	"github.com/refract-dev/refract/render/plan"
)

// cause is one thing that is wrong or waits.
type cause struct {
	// reasons of Ready that it stands behind.
	reasons []string
	since   time.Time
	text    string
	next    string
}

// judge finds what a cluster waits for or suffers from, the most pressing first.
func (k *knowledge) judge(problems []kube.Problem) []cause {
	if k.cluster == nil {
		return k.neverAccepted()
	}
	var all []cause
	for _, look := range []func() []cause{
		k.deleted, k.stopped, k.refused, k.waitingForWord, k.removed, k.unchecked,
		func() []cause { return k.machines(problems) }, k.accountDown, k.gitAway, k.differs,
	} {
		all = append(all, look()...)
	}
	ready := k.condition(v1alpha1.ReadyCondition)
	if ready != nil && ready.Status == metav1.ConditionTrue {
		return all
	}
	// What Ready names is the answer; the rest is told beside it.
	main := slices.IndexFunc(all, func(c cause) bool { return ready != nil && slices.Contains(c.reasons, ready.Reason) })
	if main < 0 {
		return append([]cause{k.notReady(ready)}, all...)
	}
	first := all[main]
	return append([]cause{first}, slices.Delete(all, main, main+1)...)
}

// condition of the cluster; nil when it has none of that type.
func (k *knowledge) condition(name string) *metav1.Condition {
	return meta.FindStatusCondition(k.cluster.Status.Conditions, name)
}

// failing is the condition if it has that status.
func (k *knowledge) failing(name string, bad metav1.ConditionStatus) *metav1.Condition {
	if c := k.condition(name); c != nil && c.Status == bad {
		return c
	}
	return nil
}

func causeOf(c *metav1.Condition, next string) cause {
	return cause{reasons: []string{c.Reason}, since: c.LastTransitionTime.Time, text: c.Message, next: next}
}

func (k *knowledge) neverAccepted() []cause {
	var all []cause
	for _, f := range k.fleet.Status.Failures {
		if k.concerns(f) {
			all = append(all, cause{text: "it was never accepted: " + failureLine(v1alpha1.Failure{File: f.File, Line: f.Line, Message: f.Message}), next: k.correct(f)})
		}
	}
	if digest := k.fleet.Status.Plan.Digest; digest != "" {
		all = append(all, cause{
			text: "the Fleet holds a plan: " + k.fleet.Status.Plan.Summary,
			next: "if it is what you want, `" + plan.ApproveCommand(k.key.Namespace, k.fleet.Name, "", digest) + "`",
		})
	}
	return all
}

func (k *knowledge) correct(f v1alpha1.Failure) string {
	if f.File == "" {
		return fmt.Sprintf("correct the files and push; try them first with `refract validate` or `refract plan --fleet %s -n %s`", k.fleet.Name, k.key.Namespace)
	}
	return fmt.Sprintf("correct %s and push; `refract validate` finds mistakes before", placeOf(f))
}

func placeOf(f v1alpha1.Failure) string {
	if f.Line > 0 {
		return fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	return f.File
}

func (k *knowledge) deleted() []cause {
	if k.cluster.DeletionTimestamp.IsZero() {
		return nil
	}
	c := cause{since: k.cluster.DeletionTimestamp.Time, text: "it is being deleted", next: "wait; " + k.treeCommand()}
	if ready := k.condition(v1alpha1.ReadyCondition); ready != nil {
		c.reasons = []string{ready.Reason}
		c.text += ": " + ready.Message
		if ready.Reason == v1alpha1.DeletionBlockedReason {
			c.next = "do what the message says; " + k.treeCommand()
		}
	}
	return []cause{c}
}

func (k *knowledge) treeCommand() string {
	return fmt.Sprintf("`refract tree cluster/%s -n %s` shows how far it is", k.key.Name, k.key.Namespace)
}

// stopped: somebody said that nothing is to happen.
func (k *knowledge) stopped() []cause {
	var all []cause
	if k.cluster.Spec.Suspend {
		all = append(all, cause{reasons: []string{v1alpha1.SuspendedReason}, text: "spec.suspend is set: nothing is applied or corrected", next: k.inFile("spec.suspend: false")})
	}
	if p := k.failing(v1alpha1.PausedCondition, metav1.ConditionTrue); p != nil {
		next := "ask who paused it; nothing is applied before"
		if p.Reason == v1alpha1.PausedBySpecReason {
			next = k.inFile("spec.paused: false")
		}
		all = append(all, causeOf(p, next))
	}
	if k.fleet != nil && k.fleet.Spec.Suspend {
		all = append(all, cause{reasons: []string{v1alpha1.SuspendedReason}, text: "Fleet " + k.fleet.Name + " is suspended: no commit is read", next: "set spec.suspend of the Fleet to false"})
	}
	return all
}

func (k *knowledge) inFile(change string) string {
	if file := k.cluster.Annotations[v1alpha1.FileAnnotation]; file != "" {
		return fmt.Sprintf("commit %s at %s", change, file)
	}
	return "set " + change + " in the NutanixClusterSpec"
}

// refused: the files of the cluster are wrong.
func (k *knowledge) refused() []cause {
	accepted := k.failing(v1alpha1.SourceAcceptedCondition, metav1.ConditionFalse)
	if accepted == nil || len(k.cluster.Status.Failures) == 0 {
		return nil
	}
	first := k.cluster.Status.Failures[0]
	c := causeOf(accepted, k.correct(first))
	c.text = "what Git declares was not accepted, and the cluster is kept as it was: " + failureLine(v1alpha1.Failure{File: first.File, Line: first.Line, Message: first.Message})
	return []cause{c}
}

// waitingForWord: a plan is held until somebody approves it, or asks for less.
func (k *knowledge) waitingForWord() []cause {
	p, accepted := k.cluster.Status.Plan, k.condition(v1alpha1.SourceAcceptedCondition)
	if p.Digest == "" {
		return nil
	}
	command := plan.ApproveCommand(k.key.Namespace, "", k.key.Name, p.Digest)
	c := cause{text: "a plan is held (" + p.Summary + ")", next: "look at it; if it is what you want, `" + command + "`, otherwise commit less"}
	if removal(k.cluster) {
		command = plan.ApproveCommand(k.key.Namespace, k.cluster.Annotations[v1alpha1.FleetAnnotation], "", p.Digest)
		c.text = "its file is gone, and its removal waits for an approval (" + p.Summary + ")"
		c.next = "to let it go, `" + command + "`; to keep it, put the file back by `git revert`"
	}
	if accepted != nil && accepted.Status != metav1.ConditionTrue {
		c.reasons, c.since = []string{accepted.Reason}, accepted.LastTransitionTime.Time
		if why, _, _ := strings.Cut(accepted.Message, " To go on run "); why != "" && why != p.Summary {
			c.text += ": " + why
		}
		if accepted.Reason == v1alpha1.ForbiddenReason {
			c.next = "commit what the message says; this cannot be approved"
		}
	}
	if p.RecordedAt != nil {
		c.since = p.RecordedAt.Time
	}
	c.reasons = append(c.reasons, v1alpha1.LimitExceededReason, v1alpha1.ApprovalRequiredReason)
	return []cause{c}
}

// removed: what else keeps the object from being what Git says, a removed file above all.
func (k *knowledge) removed() []cause {
	accepted := k.failing(v1alpha1.SourceAcceptedCondition, metav1.ConditionFalse)
	if accepted == nil || k.cluster.Status.Plan.Digest != "" || len(k.cluster.Status.Failures) > 0 {
		return nil
	}
	c := causeOf(accepted, "do what the message says")
	switch accepted.Reason {
	case v1alpha1.FileRemovedReason:
		c.text, _, _ = strings.Cut(c.text, " Put the file back")
		c.next = "to have it managed again, put the file back by `git revert`; to let it go, put it back with deletionPolicy Delete or Orphan and remove it after that"
	case v1alpha1.PreflightFailedReason, v1alpha1.CapacityShortReason:
		return nil // Told with its findings.
	}
	return []cause{c}
}

// unchecked: preflight holds the change.
func (k *knowledge) unchecked() []cause {
	p := k.failing(v1alpha1.PreflightPassedCondition, metav1.ConditionFalse)
	if p == nil {
		return nil
	}
	c := causeOf(p, "mend it in Prism Central or in the files; it is checked again by itself")
	c.reasons = append(c.reasons, v1alpha1.PreflightFailedReason, v1alpha1.CapacityShortReason)
	if findings := k.cluster.Status.Preflight; len(findings) > 0 {
		f := findings[0]
		c.text = fmt.Sprintf("preflight holds the change: %s (%s): %s", f.Check, f.Verdict, f.Message)
		if file := k.cluster.Annotations[v1alpha1.FileAnnotation]; file != "" && f.Field != "" {
			c.next = fmt.Sprintf("mend %s of %s, or what it names in Prism Central; it is checked again by itself", f.Field, file)
		}
	}
	return []cause{c}
}

// machines: what Cluster API and the Nutanix provider say, when the cluster is not ready.
func (k *knowledge) machines(problems []kube.Problem) []cause {
	ready := k.condition(v1alpha1.ReadyCondition)
	if len(problems) == 0 || ready == nil || ready.Status == metav1.ConditionTrue {
		return nil
	}
	p := problems[0]
	since := ready.LastTransitionTime.Time
	if s := k.sinceOf(p); !s.IsZero() {
		since = s
	}
	without := p
	without.Help = ""
	return []cause{{
		reasons: []string{v1alpha1.RolloutStuckReason, v1alpha1.UnhealthyReason}, since: since, text: without.String(),
		next: cmp.Or(p.Help, fmt.Sprintf("`kubectl describe %s %s -n %s`", strings.ToLower(p.Object.Kind), p.Object.Name, k.key.Namespace)),
	}}
}

func (k *knowledge) accountDown() []cause {
	if k.account == nil {
		return nil
	}
	c := meta.FindStatusCondition(k.account.Status.Conditions, v1alpha1.ReadyCondition)
	if c == nil || c.Status == metav1.ConditionTrue {
		return nil
	}
	down := causeOf(c, fmt.Sprintf("`kubectl describe cloudaccount %s -n %s`", k.account.Name, k.key.Namespace))
	down.text = "CloudAccount " + k.account.Name + ": " + c.Message
	return []cause{down}
}

// sourceReasons of a Fleet's Ready say that no revision could be read; the others are about clusters.
var sourceReasons = []string{
	v1alpha1.AuthenticationFailedReason, v1alpha1.RepositoryUnreachableReason, v1alpha1.RefNotFoundReason,
	v1alpha1.PathNotFoundReason, v1alpha1.SourceRefusedReason, v1alpha1.SecretNotFoundReason, v1alpha1.DecodeFailedReason,
	v1alpha1.ProgressingWithRetryReason,
}

// gitAway: new commits are not read, and the cluster is kept as it was last accepted; or what was read has mistakes.
func (k *knowledge) gitAway() []cause {
	c := k.sourceTrouble()
	if c == nil {
		return nil
	}
	away := causeOf(c, fmt.Sprintf("mend what the message says; `kubectl describe fleet %s -n %s`", k.fleet.Name, k.key.Namespace))
	away.text = "its Fleet reads no new commits, and the cluster is kept as it was last accepted: " + c.Message
	if c.Reason == v1alpha1.DecodeFailedReason {
		// A mistake that names no cluster may be about any of them.
		if len(k.cluster.Status.Failures) > 0 || !slices.ContainsFunc(k.fleet.Status.Failures, func(f v1alpha1.Failure) bool { return f.Cluster == "" || k.concerns(f) }) {
			return nil // said by refused, or of others alone
		}
		away.text = "its Fleet found mistakes in the files; where one concerns this cluster, it is kept as it was last accepted: " + c.Message
	}
	return []cause{away}
}

func (k *knowledge) sourceTrouble() *metav1.Condition {
	if k.fleet == nil {
		return nil
	}
	c := meta.FindStatusCondition(k.fleet.Status.Conditions, v1alpha1.ReadyCondition)
	if c == nil || c.Status == metav1.ConditionTrue || !slices.Contains(sourceReasons, c.Reason) {
		return nil
	}
	return c
}

func (k *knowledge) differs() []cause {
	c := k.failing(v1alpha1.InSyncCondition, metav1.ConditionFalse)
	if c == nil {
		return nil
	}
	return []cause{causeOf(c, "see below what differs; "+k.treeCommand())}
}

// notReady is what Ready says itself, when nothing else stands behind it.
func (k *knowledge) notReady(c *metav1.Condition) cause {
	switch {
	case c == nil:
		return cause{text: "the operator has not looked at it yet", next: "see whether the pods of the operator run"}
	case c.Status == metav1.ConditionUnknown:
		return causeOf(c, "wait; "+k.treeCommand())
	}
	return causeOf(c, "do what the message says; "+k.treeCommand())
}
