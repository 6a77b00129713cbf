package aloud

import (
	"errors"
	"fmt"
)

// Code says what kind of failure an Error is. Every adapter maps codes in one
// table of its own (HTTP status, exit status), so that a stage never knows how
// it is called.
type Code string

// The codes. EINTERNAL is what an error without a code counts as.
const (
	EINVALID      Code = "invalid"      // the input is malformed or out of range
	EUNAUTHORIZED Code = "unauthorized" // nobody proved who they are
	EFORBIDDEN    Code = "forbidden"    // known, but not allowed: no grant, wrong key
	ENOTFOUND     Code = "not_found"    // there is no such thing
	ECONFLICT     Code = "conflict"     // it exists already, or was counted already
	EEXPIRED      Code = "expired"      // it was valid once
	ETOOEARLY     Code = "too_early"    // the wait of invariant 5 is not over
	ETOOLARGE     Code = "too_large"    // over a stated limit
	ELIMITED      Code = "limited"      // too many; try again later
	EPENDING      Code = "pending"      // accepted, not complete yet; ask again
	EUNAVAILABLE  Code = "unavailable"  // a part it needs is not there now
	EINTERNAL     Code = "internal"     // our fault
)

// Error is the one error type that carries a Code. Message is shown to people
// and says what to do; it never holds an utterance, an identifier or a key.
type Error struct {
	Code    Code
	Message string
	Err     error // the cause, or nil
}

// Error returns the message; causes wrapped by %w are already part of it.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause, so that errors.Is and errors.As see it.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes a coded error. The format takes %w like fmt.Errorf.
func Errorf(code Code, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Err: errors.Unwrap(err)}
}

// ErrorCode returns the outermost code in err's chain, EINTERNAL where there
// is none, and "" for nil.
func ErrorCode(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return EINTERNAL
}
