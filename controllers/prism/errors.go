package prism

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
	// TooOld: Prism Central speaks no API that Refract knows.
	TooOld Reason = "TooOld"
	// Throttled: Prism Central asks to come back later.
	Throttled Reason = "Throttled"
	// Misbehaving: the answer is not one that a Prism Central gives.
	Misbehaving Reason = "Misbehaving"
)

// Error is why Prism Central could not be asked. It never holds a password, token or cookie.
type Error struct {
	Reason Reason
	// Message says what is wrong and what to do next.
	Message string
	// Err is the cause, where there is one.
	Err error
}

// Error is the Message.
func (e *Error) Error() string { return e.Message }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }
