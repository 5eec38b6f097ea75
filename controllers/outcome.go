package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/refract-dev/refract/api/v1alpha1"
)

// kind of failure: there are three, and each leads to one form of conditions and requeue.
type kind int

const (
	stalled kind = iota // a person must act; looked at again when something changes or at the next interval
	waiting             // nothing is wrong; look again after a while
	failed              // retry with backoff
)

// stepError is an error of a step with the reason that users see. Steps return it; conclude alone maps it to
// conditions and requeue. An error of any other type counts as failed with reason ProgressingWithRetry.
type stepError struct {
	kind   kind
	reason string
	after  time.Duration
	err    error
}

// Error is the message, which says what is wrong, where, and what to do next.
func (f *stepError) Error() string { return f.err.Error() }

// Unwrap gives the cause.
func (f *stepError) Unwrap() error { return f.err }

// stall returns a failure that a person must mend. Nothing is retried before something changes.
func stall(reason, format string, args ...any) error {
	return &stepError{kind: stalled, reason: reason, err: fmt.Errorf(format, args...)}
}

// wait returns a failure that passes by itself; the step is looked at again after d.
func wait(reason string, d time.Duration, format string, args ...any) error {
	return &stepError{kind: waiting, reason: reason, after: d, err: fmt.Errorf(format, args...)}
}

// retry returns a failure that is retried with backoff.
func retry(reason string, err error) error {
	return &stepError{kind: failed, reason: reason, err: err}
}

// asFailure classifies any error.
func asFailure(err error) *stepError {
	if f := new(stepError); errors.As(err, &f) {
		return f
	}
	return &stepError{kind: failed, reason: v1alpha1.ProgressingWithRetryReason, err: err}
}

// conditioned is an object with conditions and a generation.
type conditioned interface {
	GetConditions() []metav1.Condition
	SetConditions(conditions []metav1.Condition)
	GetGeneration() int64
}

// conclude maps the outcome of a reconcile to Ready, Reconciling and Stalled and to the requeue: the one place where
// errors become conditions. progress is the message of work that goes on without a person ("" when all is done), ready
// the message of success, interval when to look again.
//
//	outcome            Ready     Reconciling            Stalled
//	nil, no progress   True      –                      –
//	nil, progress      Unknown   True/Progressing       –
//	stalled            False     –                      True/reason
//	waiting            Unknown   True/reason            –
//	failed             False     True/ProgressingWithRetry  –
func conclude(obj conditioned, err error, progress, ready string, interval time.Duration) (ctrl.Result, error) {
	switch f := asFailureOrNil(err); {
	case f == nil && progress == "":
		set(obj, v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.SucceededReason, ready)
		drop(obj, v1alpha1.ReconcilingCondition, v1alpha1.StalledCondition)
		return ctrl.Result{RequeueAfter: interval}, nil
	case f == nil:
		set(obj, v1alpha1.ReadyCondition, metav1.ConditionUnknown, v1alpha1.ProgressingReason, progress)
		set(obj, v1alpha1.ReconcilingCondition, metav1.ConditionTrue, v1alpha1.ProgressingReason, progress)
		drop(obj, v1alpha1.StalledCondition)
		return ctrl.Result{RequeueAfter: interval}, nil
	case f.kind == stalled:
		set(obj, v1alpha1.ReadyCondition, metav1.ConditionFalse, f.reason, f.Error())
		set(obj, v1alpha1.StalledCondition, metav1.ConditionTrue, f.reason, f.Error())
		drop(obj, v1alpha1.ReconcilingCondition)
		return ctrl.Result{RequeueAfter: interval}, nil
	case f.kind == waiting:
		set(obj, v1alpha1.ReadyCondition, metav1.ConditionUnknown, f.reason, f.Error())
		set(obj, v1alpha1.ReconcilingCondition, metav1.ConditionTrue, f.reason, f.Error())
		drop(obj, v1alpha1.StalledCondition)
		return ctrl.Result{RequeueAfter: f.after}, nil
	default:
		set(obj, v1alpha1.ReadyCondition, metav1.ConditionFalse, f.reason, f.Error())
		set(obj, v1alpha1.ReconcilingCondition, metav1.ConditionTrue, v1alpha1.ProgressingWithRetryReason, f.Error())
		drop(obj, v1alpha1.StalledCondition)
		return ctrl.Result{}, f
	}
}

// suspend leaves Ready as it was, for what was accepted still stands; an object that was never looked at says why.
func suspend(obj conditioned) {
	if have := conditionOf(obj, v1alpha1.ReadyCondition); have != nil {
		set(obj, have.Type, have.Status, have.Reason, have.Message)
	} else {
		set(obj, v1alpha1.ReadyCondition, metav1.ConditionUnknown, v1alpha1.SuspendedReason, "suspended before it was ever looked at")
	}
	drop(obj, v1alpha1.ReconcilingCondition)
}

func asFailureOrNil(err error) *stepError {
	if err == nil {
		return nil
	}
	return asFailure(err)
}

// set writes one condition for the current generation; its transition time moves only with its status.
func set(obj conditioned, condition string, status metav1.ConditionStatus, reason, message string) {
	conditions := obj.GetConditions()
	meta.SetStatusCondition(&conditions, metav1.Condition{
		Type: condition, Status: status, Reason: reason, Message: clip(message), ObservedGeneration: obj.GetGeneration(),
	})
	obj.SetConditions(conditions)
}

// drop removes conditions: Reconciling and Stalled are absent when they are not true, as kstatus wants.
func drop(obj conditioned, types ...string) {
	conditions := obj.GetConditions()
	for _, t := range types {
		meta.RemoveStatusCondition(&conditions, t)
	}
	obj.SetConditions(conditions)
}

// maxMessage is the API server's bound on a condition's message.
const maxMessage = 32768

func clip(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return message[:maxMessage-3] + "..."
}

// soon is when to look again after another hand wrote what was read.
const soon = 200 * time.Millisecond

// overtaken says whether a reconcile worked on something that another hand wrote meanwhile. It is begun anew, and nothing
// is said about it.
func overtaken(err error) bool { return err != nil && apierrors.IsConflict(err) }

// ignoreCanceled drops the error of a reconcile that was cut short by shutdown.
func ignoreCanceled(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}
