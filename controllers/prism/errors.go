package prism

import (
	"errors"
	"fmt"
)

// Reason says what kind of thing is wrong, in a word that fits a condition.
type Reason string

// Reasons of an [Error].
const (
	// AuthenticationFailed: Prism Central knows no such user with this password.
	AuthenticationFailed Reason = "AuthenticationFailed"
	// Forbidden: the user is known but may not do this.
	Forbidden Reason = "Forbidden"
	// UntrustedCertificate: who answers cannot prove to be this Prism Central.
	UntrustedCertificate Reason = "UntrustedCertificate"
	// NameNotFound: the address does not resolve.
	NameNotFound Reason = "NameNotFound"
	// Unreachable: nobody answers, or nobody answers in time.
	Unreachable Reason = "Unreachable"
	// TooOld: Prism Central does not speak the API that Refract needs.
	TooOld Reason = "TooOld"
	// Throttled: Prism Central asks to come back later.
	Throttled Reason = "Throttled"
	// Misbehaving: the answer is not one that a Prism Central gives.
	Misbehaving Reason = "Misbehaving"
	// NotFound: the object that was asked for does not exist.
	NotFound Reason = "NotFound"
	// TaskFailed: Prism Central took the order and did not carry it out.
	TaskFailed Reason = "TaskFailed"
)

// Error is why Prism Central could not be asked, or did not do what it was asked. It never holds a password, token or
// cookie: neither in the Message nor in what it wraps.
type Error struct {
	Reason Reason
	// Message says what is wrong and what to do next.
	Message string
	// Err is the cause, where there is one; context.Canceled and context.DeadlineExceeded can be found in it.
	Err error
}

// Error is the Message.
func (e *Error) Error() string { return e.Message }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// refusal is the HTTP status that Prism Central said no with.
type refusal int

func (s refusal) Error() string { return fmt.Sprintf("HTTP status %d", int(s)) }

// refusedWith says whether an error is an answer with this status.
func refusedWith(err error, status int) bool {
	var s refusal
	return errors.As(err, &s) && int(s) == status
}

// answered says whether Prism Central answered at all.
func answered(err error) bool {
	var s refusal
	return errors.As(err, &s)
}

func reasonOf(err error) Reason {
	if known, is := errors.AsType[*Error](err); is {
		return known.Reason
	}
	return ""
}
