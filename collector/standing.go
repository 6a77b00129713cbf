package collector

import (
	"context"
	"crypto/ed25519"
	"slices"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/signal"
)

// maxReceipts bounds how often one participant may renew their consent.
const maxReceipts = 64

// StandingRow is what the database knows of a participant's consent.
type StandingRow struct {
	Participant aloud.ParticipantID
	Receipts    []ReceiptRow               // oldest first
	Ended       map[consent.Purpose]uint64 // the stream sequence of a purpose's latest withdrawal
}

// ReceiptRow is one receipt: the envelope as it is in the stream.
type ReceiptRow struct {
	Hash     aloud.Hash
	Seq      uint64
	Envelope Envelope
}

// Standing is what a participant agreed to and withdrew, verified. It is not
// changed once made.
type Standing struct {
	Participant aloud.ParticipantID
	Device      ed25519.PublicKey
	held        []heldReceipt // oldest first
	ended       map[consent.Purpose]uint64
}

type heldReceipt struct {
	hash   aloud.Hash
	seq    uint64
	signed consent.Signed
	grants map[consent.Purpose]consent.Grant
}

// NewStanding opens and verifies a row. The newest receipt governs: what it
// doesn't grant is not granted.
func NewStanding(ctx context.Context, k *Keyring, serverKeys []ed25519.PublicKey, row StandingRow) (*Standing, error) {
	if len(row.Receipts) == 0 {
		return nil, aloud.Errorf(aloud.ENOTFOUND, "this participant has given no consent; run: aloud enrol")
	}
	s := &Standing{Participant: row.Participant, ended: row.Ended}
	for _, r := range row.Receipts {
		m, err := OpenMember(ctx, k, r.Envelope)
		if err != nil {
			return nil, err
		}
		held, err := hold(*m.Receipt, serverKeys)
		if err != nil {
			return nil, err
		}
		held.hash, held.seq = r.Hash, r.Seq
		s.held = append(s.held, held)
	}
	for _, g := range s.held[len(s.held)-1].grants {
		s.Device = g.DeviceKey()
	}
	return s, nil
}

func hold(signed consent.Signed, serverKeys []ed25519.PublicKey) (heldReceipt, error) {
	r, err := consent.Verify(signed, serverKeys...)
	if err != nil {
		return heldReceipt{}, err
	}
	held := heldReceipt{signed: signed, grants: map[consent.Purpose]consent.Grant{}}
	for _, g := range r.Purposes {
		grant, err := consent.Granted(signed, serverKeys, g.Purpose, r.Time)
		if err != nil {
			return heldReceipt{}, err
		}
		held.grants[g.Purpose] = grant
	}
	return held, nil
}

// Receipt returns a receipt by its hash, countersigned.
func (s *Standing) Receipt(h aloud.Hash) (consent.Signed, bool) {
	i := slices.IndexFunc(s.held, func(r heldReceipt) bool { return r.hash == h })
	if i < 0 {
		return consent.Signed{}, false
	}
	return s.held[i].signed, true
}

// Grant is the grant of a purpose in force at t under the newest receipt.
func (s *Standing) Grant(p consent.Purpose, t time.Time) (consent.Grant, error) {
	return s.grant(s.held[len(s.held)-1], p, t)
}

// GrantUnder is Grant under the receipt with a hash: what was signed under an
// earlier receipt stays valid while no withdrawal came between, and the newest
// receipt grants the purpose too.
func (s *Standing) GrantUnder(h aloud.Hash, p consent.Purpose, t time.Time) (consent.Grant, error) {
	if _, err := s.Grant(p, t); err != nil {
		return consent.Grant{}, err
	}
	for _, r := range s.held {
		if r.hash == h {
			return s.grant(r, p, t)
		}
	}
	return consent.Grant{}, aloud.Errorf(aloud.EFORBIDDEN, "the server has no such receipt; run: aloud enrol")
}

// Covers returns nil if a signal may be used at t: listening and sharing are
// agreed to now, and the signal's own receipt agreed to them when it was heard
// and when it was sent. What it lets through can be proved.
func (s *Standing) Covers(sig signal.Signal, t time.Time) error {
	for _, need := range []struct {
		purpose consent.Purpose
		at      []time.Time
	}{
		{consent.PurposeListen, []time.Time{sig.HeardAt}},
		{consent.PurposeShareSignals, []time.Time{sig.HeardAt, sig.SentAt}},
	} {
		g, err := s.GrantUnder(sig.Receipt, need.purpose, t)
		if err != nil {
			return err
		}
		for _, at := range need.at {
			if err := g.At(at); err != nil {
				return aloud.Errorf(aloud.EFORBIDDEN, "the signal was heard or sent outside of its consent: %w", err)
			}
		}
	}
	return nil
}

func (s *Standing) grant(r heldReceipt, p consent.Purpose, t time.Time) (consent.Grant, error) {
	g, ok := r.grants[p]
	if !ok {
		return consent.Grant{}, aloud.Errorf(aloud.EFORBIDDEN, "the participant did not agree to %s", p)
	}
	if s.ended[p] >= r.seq {
		return consent.Grant{}, aloud.Errorf(aloud.EFORBIDDEN, "the consent to %s was withdrawn; run: aloud enrol to give it again", p)
	}
	return g, g.At(t)
}

// InForce lists the purposes in force at t.
func (s *Standing) InForce(t time.Time) []consent.Purpose {
	var in []consent.Purpose
	for _, p := range consent.AllPurposes() {
		if _, err := s.Grant(p, t); err == nil {
			in = append(in, p)
		}
	}
	return in
}

// unended lists the purposes whose data is kept: granted and not withdrawn,
// expired or not.
func (s *Standing) unended() []consent.Purpose {
	newest := s.held[len(s.held)-1]
	var in []consent.Purpose
	for _, p := range consent.AllPurposes() {
		if _, ok := newest.grants[p]; ok && s.ended[p] < newest.seq {
			in = append(in, p)
		}
	}
	return in
}

// Ends lists what ends with a purpose: a purpose that means nothing without
// another ends with it.
func Ends(p consent.Purpose) []consent.Purpose {
	all := consent.AllPurposes()
	switch p {
	case consent.PurposeListen:
		return all
	case consent.PurposeShareSignals:
		return all[1:]
	}
	return []consent.Purpose{p}
}
