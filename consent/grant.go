package consent

import (
	"crypto/ed25519"
	"slices"
	"time"

	"aloud.example/aloud"
)

// Grant is the proof, in memory, that a participant agreed to one purpose: only
// Granted makes one, out of a receipt whose two signatures it checked. The zero
// Grant allows nothing. It doesn't know of withdrawals: whoever holds one asks
// its own record of them as well.
type Grant struct {
	purpose     Purpose
	participant aloud.ParticipantID
	receipt     aloud.Hash
	key         ed25519.PublicKey
	from, until time.Time
}

// Granted checks a receipt and returns the grant of one purpose, if it is in
// force at that time.
func Granted(s Signed, serverKeys []ed25519.PublicKey, p Purpose, at time.Time) (Grant, error) {
	if !p.Valid() {
		return Grant{}, aloud.Errorf(aloud.EINVALID, "there is no purpose %.40q", p)
	}
	r, err := Verify(s, serverKeys...)
	if err != nil {
		return Grant{}, err
	}
	until, ok := r.Expires(p)
	if !ok {
		return Grant{}, aloud.Errorf(aloud.EFORBIDDEN, "the participant did not agree to %s", p)
	}
	key, err := r.DeviceKey.Public()
	if err != nil {
		return Grant{}, err
	}
	g := Grant{purpose: p, participant: r.Participant, receipt: r.Hash(), key: key, from: r.Time, until: until}
	return g, g.At(at)
}

// At returns nil if the grant is in force at t.
func (g Grant) At(t time.Time) error {
	switch {
	case g.IsZero():
		return aloud.Errorf(aloud.EFORBIDDEN, "nobody agreed to this: there is no grant")
	case t.Before(g.from.Add(-MaxSkew)):
		return aloud.Errorf(aloud.EFORBIDDEN, "the consent to %s was given later than that; check the clock", g.purpose)
	case !t.Before(g.until):
		return aloud.Errorf(aloud.EEXPIRED, "the consent to %s ended on %s; run: aloud enrol --renew", g.purpose, g.until.Format("2006-01-02 15:04 UTC"))
	}
	return nil
}

// IsZero reports whether g is no grant at all.
func (g Grant) IsZero() bool {
	return g.purpose == "" || g.participant == "" || len(g.key) == 0 || g.receipt.IsZero()
}

// Purpose is what was agreed to.
func (g Grant) Purpose() Purpose { return g.purpose }

// Participant is who agreed.
func (g Grant) Participant() aloud.ParticipantID { return g.participant }

// Receipt is the hash of the receipt that says so.
func (g Grant) Receipt() aloud.Hash { return g.receipt }

// DeviceKey is the key of the device on which they agreed. It is a copy.
func (g Grant) DeviceKey() ed25519.PublicKey { return slices.Clone(g.key) }

// Expires is when the grant ends by itself.
func (g Grant) Expires() time.Time { return g.until }
