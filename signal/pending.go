package signal

import (
	"crypto/ed25519"
	"math"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/category"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/consent/jws"
)

// Pending is a signal that may still be vetoed. It is made under a grant and
// signs only under one: the zero Pending is refused.
type Pending struct {
	grant  consent.Grant
	claims claims
}

// New makes a signal of an intent. It refuses the zero grant, a grant of
// another purpose, one that was not in force when the intent was heard, and an
// intent that is not in the catalogue.
func New(g consent.Grant, in aloud.Intent, heardAt time.Time, src aloud.Source, cell Cell) (Pending, error) {
	if err := shares(g, heardAt); err != nil {
		return Pending{}, err
	}
	cat, ok := category.BySlug(in.Category)
	if !ok {
		return Pending{}, aloud.Errorf(aloud.EINVALID, "there is no category %.40q", in.Category)
	}
	if math.IsNaN(in.Score) || math.IsInf(in.Score, 0) {
		return Pending{}, aloud.Errorf(aloud.EINVALID, "an intent's score must be a number from 0 to 1")
	}
	p := Pending{grant: g, claims: claims{
		JTI: aloud.NewSignalID(), Sub: g.Participant(), Rcp: g.Receipt(), Cat: cat.Slug, IAB: cat.IAB, Stg: in.Stage,
		Scr: round3(in.Score), Hat: heardAt.Unix(), Src: src, Cel: cell,
	}}
	return p, p.claims.checkIntent()
}

// Restore reads what Encode wrote. It demands a grant again, of the same
// participant and receipt, because what waits on a disk proves nothing.
func Restore(g consent.Grant, data []byte) (Pending, error) {
	var c claims
	if err := jws.Unmarshal(data, &c); err != nil {
		return Pending{}, aloud.Errorf(aloud.EINVALID, "the waiting signal: %w", err)
	}
	if c.IAT != 0 || c.Exp != 0 {
		return Pending{}, aloud.Errorf(aloud.EINVALID, "the waiting signal was sent already")
	}
	if err := c.checkIntent(); err != nil {
		return Pending{}, err
	}
	if err := shares(g, unix(c.Hat)); err != nil {
		return Pending{}, err
	}
	if g.Participant() != c.Sub || g.Receipt() != c.Rcp {
		return Pending{}, aloud.Errorf(aloud.EFORBIDDEN, "the waiting signal was made under another consent than the one in force")
	}
	return Pending{grant: g, claims: c}, nil
}

func shares(g consent.Grant, at time.Time) error {
	if g.IsZero() || g.Purpose() != consent.PurposeShareSignals {
		return aloud.Errorf(aloud.EFORBIDDEN, "a signal needs the consent to share signals; run: aloud enrol --renew")
	}
	return g.At(at)
}

// Encode writes the signal for Restore.
func (p Pending) Encode() ([]byte, error) {
	if p.grant.IsZero() {
		return nil, aloud.Errorf(aloud.EFORBIDDEN, "there is no signal to keep")
	}
	return jws.Marshal(p.claims)
}

// Sign makes the token to send. The key must be the one the grant names; the
// grant must still be in force. Under the same key and time the token is the
// same, byte for byte.
func (p Pending) Sign(key ed25519.PrivateKey, sentAt time.Time) (token string, err error) {
	if err := shares(p.grant, sentAt); err != nil {
		return "", err
	}
	if len(key) != ed25519.PrivateKeySize || !key.Public().(ed25519.PublicKey).Equal(p.grant.DeviceKey()) {
		return "", aloud.Errorf(aloud.EFORBIDDEN, "the signal must be signed by the device that holds the consent")
	}
	c := p.claims
	c.IAT = sentAt.Unix()
	c.Exp = c.IAT + int64(MaxLife/time.Second)
	if err := c.check(); err != nil {
		return "", err
	}
	payload, err := jws.Marshal(c)
	if err != nil {
		return "", err
	}
	return jws.Sign(typ, payload, key)
}

// Signal is what would be sent, without the times that sending sets.
func (p Pending) Signal() Signal {
	s := p.claims.signal()
	s.SentAt, s.Expires = time.Time{}, time.Time{}
	return s
}

// ID is the future token's jti.
func (p Pending) ID() aloud.SignalID { return p.claims.JTI }

// IsZero reports whether p is no signal at all.
func (p Pending) IsZero() bool { return p.grant.IsZero() }

// Peek reads what Encode wrote to show it. It is no Pending: nothing can be
// signed from it.
func Peek(data []byte) (Signal, error) {
	var c claims
	if err := jws.Unmarshal(data, &c); err != nil {
		return Signal{}, aloud.Errorf(aloud.EINVALID, "the waiting signal: %w", err)
	}
	if err := c.checkIntent(); err != nil {
		return Signal{}, err
	}
	s := c.signal()
	s.SentAt, s.Expires = time.Time{}, time.Time{}
	return s, nil
}
