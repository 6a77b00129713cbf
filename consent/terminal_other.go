//go:build !unix

package consent

import (
	"context"
	"time"

	"aloud.example/aloud"
)

// ConfirmAtTerminal confirms nothing on a system without a terminal that it can
// open itself.
func ConfirmAtTerminal(context.Context, Grant, Request, func() time.Time) (Session, error) {
	return Session{}, aloud.Errorf(aloud.EFORBIDDEN, "this system has no terminal at which a session can be confirmed")
}
