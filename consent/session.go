package consent

import (
	"time"

	"aloud.example/aloud"
)

// Mode says whose speech a session may hear.
type Mode string

// The modes. The first two are the defaults of an honest installation.
const (
	PushToTalk Mode = "push-to-talk" // only while a key is held
	OnlyMe     Mode = "only-me"      // speech fainter or more distant than the participant's own is dropped unheard
	Room       Mode = "room"         // everyone present is an adult and confirmed this session
)

// Valid reports whether m is one of the three.
func (m Mode) Valid() bool { return m == PushToTalk || m == OnlyMe || m == Room }

// MaxSession is the longest a session may be.
const MaxSession = 4 * time.Hour

// Session is the right to hear for a while. Only a confirmation by a person
// makes one: ConfirmAtTerminal. The zero Session allows nothing.
type Session struct {
	grant     Grant
	mode      Mode
	adults    int
	confirmed time.Time
	deadline  time.Time
}

// Check returns nil while the session allows to hear: at t it is neither over
// nor was its grant. Times from time.Now carry a monotonic reading, so that
// setting the clock back doesn't lengthen a session.
func (s Session) Check(t time.Time) error {
	if s.IsZero() {
		return aloud.Errorf(aloud.EFORBIDDEN, "nobody confirmed this session: there is none")
	}
	if !t.Before(s.deadline) {
		return aloud.Errorf(aloud.EEXPIRED, "the session is over; start another to go on")
	}
	if t.Before(s.confirmed) {
		return aloud.Errorf(aloud.EFORBIDDEN, "the session was confirmed later than that; check the clock")
	}
	return s.grant.At(t)
}

// IsZero reports whether s is no session at all.
func (s Session) IsZero() bool {
	return s.grant.IsZero() || s.grant.purpose != PurposeListen || !s.mode.Valid() || s.adults < 1 || s.confirmed.IsZero() || s.deadline.IsZero()
}

// Grant is the consent to listen that the session rests on.
func (s Session) Grant() Grant { return s.grant }

// Mode says whose speech may be heard.
func (s Session) Mode() Mode { return s.mode }

// Adults is how many people confirmed: 1 except in a room.
func (s Session) Adults() int { return s.adults }

// Confirmed is when the last of them did.
func (s Session) Confirmed() time.Time { return s.confirmed }

// Deadline is when the session ends by itself.
func (s Session) Deadline() time.Time { return s.deadline }

// Request is the session a person is asked to confirm.
type Request struct {
	Mode   Mode          // "" is OnlyMe
	For    time.Duration // at most MaxSession; it must be given
	Adults int           // in a Room, how many adults are present, 2 to MaxAdults; else 0 or 1
}

// MaxAdults bounds a Room.
const MaxAdults = 12

// check fills in defaults and refuses what can't be confirmed.
func (r Request) check(g Grant, now time.Time) (Request, error) {
	if r.Mode == "" {
		r.Mode = OnlyMe
	}
	if r.Adults == 0 && r.Mode != Room {
		r.Adults = 1
	}
	switch {
	case g.IsZero() || g.purpose != PurposeListen:
		return r, aloud.Errorf(aloud.EFORBIDDEN, "listening needs the consent to listen; run: aloud enrol --renew")
	case !r.Mode.Valid():
		return r, aloud.Errorf(aloud.EINVALID, "the mode must be push-to-talk, only-me or room, not %.20q", r.Mode)
	case r.For < time.Second || r.For > MaxSession:
		return r, aloud.Errorf(aloud.EINVALID, "a session needs a length from 1s to %s, such as --for 30m", MaxSession)
	case r.Mode == Room && (r.Adults < 2 || r.Adults > MaxAdults):
		return r, aloud.Errorf(aloud.EINVALID, "room mode needs the number of adults present, 2 to %d", MaxAdults)
	case r.Mode != Room && r.Adults != 1:
		return r, aloud.Errorf(aloud.EINVALID, "only room mode takes other adults than yourself")
	}
	return r, g.At(now)
}

// session is made here and nowhere else; ConfirmAtTerminal calls it after the
// last confirmation.
func (r Request) session(g Grant, confirmed time.Time) Session {
	deadline := confirmed.Add(r.For)
	if g.until.Before(deadline) {
		deadline = g.until
	}
	return Session{grant: g, mode: r.Mode, adults: r.Adults, confirmed: confirmed, deadline: deadline}
}
