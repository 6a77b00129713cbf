package audience

import (
	"context"
	"encoding/json"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
)

// RecordStore keeps the ledger's outbox; *store.Store is one.
type RecordStore interface {
	// PendingRecords lists those without a commitment, in order.
	PendingRecords(ctx context.Context, limit int) ([]KeptRecord, error)
	SetCommitted(ctx context.Context, done []collector.Committed) error
	// FindRecords lists a participant's records of a kind and reference.
	FindRecords(ctx context.Context, p aloud.ParticipantID, kind, ref string) ([]KeptRecord, error)
	SignalOf(ctx context.Context, id aloud.SignalID) (SignalRow, bool, error)
	// AppendRecord appends one that came after all that was applied so far.
	AppendRecord(ctx context.Context, r RecordRow) (seq int64, err error)
	Standing(ctx context.Context, p aloud.ParticipantID) (collector.StandingRow, error)
}

// KeptRecord is a RecordRow as it is in the outbox.
type KeptRecord struct {
	RecordRow
	Seq        int64
	Commitment aloud.Hash // zero until it is logged
	Leaf       int64      // -1 until it is logged
}

// Records is what the ledger drains and what evidence is made of.
type Records struct {
	Store RecordStore
	Keys  *collector.Keyring
}

// Pending lists records that the log does not hold yet, in order. Those that no
// key opens any more are marked as done with a zero commitment: there is
// nothing left to commit to.
func (r *Records) Pending(ctx context.Context, limit int) ([]collector.Record, error) {
	rows, err := r.Store.PendingRecords(ctx, limit)
	if err != nil {
		return nil, err
	}
	out := make([]collector.Record, 0, len(rows))
	for _, row := range rows {
		rec, err := r.open(ctx, row)
		if aloud.ErrorCode(err) == aloud.ENOTFOUND {
			continue // the ending that destroyed the key removes the row too
		}
		if err != nil {
			return nil, err
		}
		out = append(out, rec)
	}
	return out, nil
}

// Committed says where the log holds records. Saying it twice is no harm.
func (r *Records) Committed(ctx context.Context, done []collector.Committed) error {
	return r.Store.SetCommitted(ctx, done)
}

// Append puts a later stage's record about a participant into the outbox: the
// salts are made here, and kept under the purpose's key. The fields come as
// name, value, name, value ….
func (r *Records) Append(ctx context.Context, p aloud.ParticipantID, purpose consent.Purpose, kind, ref string, fields ...string) (seq int64, err error) {
	seed := collector.NewSeed()
	rec := collector.NewRecord(seed, kind, ref, fields...)
	plain, err := json.Marshal(rec.Fields)
	if err != nil {
		return 0, aloud.Errorf(aloud.EINTERNAL, "a record can't be written: %w", err)
	}
	handle, sealed, err := r.Keys.SealRow(ctx, p, purpose, recordLabel, plain)
	if err != nil {
		return 0, err
	}
	return r.Store.AppendRecord(ctx, RecordRow{
		ID: collector.RecordID(seed, kind, ref), Kind: kind, Participant: p, Purpose: purpose, Ref: ref, Handle: handle, Sealed: sealed,
	})
}

// Find reads a participant's records of a kind and reference back.
func (r *Records) Find(ctx context.Context, p aloud.ParticipantID, kind, ref string) ([]Logged, error) {
	rows, err := r.Store.FindRecords(ctx, p, kind, ref)
	if err != nil {
		return nil, err
	}
	out := make([]Logged, 0, len(rows))
	for _, row := range rows {
		rec, err := r.open(ctx, row)
		if err != nil {
			return nil, err
		}
		out = append(out, Logged{Record: rec, Commitment: row.Commitment, Leaf: row.Leaf})
	}
	return out, nil
}

func (r *Records) open(ctx context.Context, row KeptRecord) (collector.Record, error) {
	rec := collector.Record{Seq: row.Seq, Kind: row.Kind}
	plain := row.Sealed
	if row.Participant != "" {
		var err error
		if plain, err = r.Keys.OpenRow(ctx, row.Handle, recordLabel, row.Sealed); err != nil {
			return rec, err
		}
	}
	if err := json.Unmarshal(plain, &rec.Fields); err != nil {
		return rec, aloud.Errorf(aloud.EINTERNAL, "a record in the outbox can't be read: %w", err)
	}
	return rec, nil
}

// Logged is a record with its place in the log.
type Logged struct {
	collector.Record
	Commitment aloud.Hash
	Leaf       int64 // -1 until the log holds it
}

// Evidence is what stands behind one membership.
type Evidence struct {
	Participant aloud.ParticipantID
	Receipt     consent.Signed // countersigned
	Token       string         // the signal as the device signed it
	Heard       time.Time      // collected at
	Cell        string

	ReceiptRecord    Logged
	SignalRecord     Logged
	MembershipRecord Logged
}

// Evidence finds what made a participant a member by a signal. ENOTFOUND means
// that it was never so, or that a withdrawal or an erasure ended it; EPENDING
// that the log does not hold all of it yet.
func (r *Records) Evidence(ctx context.Context, p aloud.ParticipantID, a aloud.AudienceID, s aloud.SignalID) (Evidence, error) {
	e := Evidence{Participant: p}
	row, ok, err := r.Store.SignalOf(ctx, s)
	if err != nil {
		return e, err
	}
	if !ok || row.Participant != p {
		return e, aloud.Errorf(aloud.ENOTFOUND, "the signal is not there: a withdrawal or an erasure has ended it")
	}
	m, err := collector.OpenMember(ctx, r.Keys, row.Envelope)
	if err != nil {
		return e, err
	}
	e.Token, e.Heard = m.Token, m.At
	if e.SignalRecord, err = r.one(ctx, p, collector.RecordSignal, string(s)); err != nil {
		return e, err
	}
	if e.MembershipRecord, err = r.one(ctx, p, collector.RecordMembership, membershipRef(a, s)); err != nil {
		return e, err
	}
	receipt := e.SignalRecord.Field("receipt")
	e.Cell = e.SignalRecord.Field("cell")
	if e.ReceiptRecord, err = r.one(ctx, p, collector.RecordReceipt, receipt); err != nil {
		return e, err
	}
	if e.Receipt, err = r.receipt(ctx, p, receipt); err != nil {
		return e, err
	}
	for _, l := range []Logged{e.ReceiptRecord, e.SignalRecord, e.MembershipRecord} {
		if l.Leaf < 0 {
			return e, aloud.Errorf(aloud.EPENDING, "the log does not hold all of the evidence yet; ask again in a few seconds")
		}
	}
	return e, nil
}

// one finds the latest record of a kind and reference; of a membership, the
// latest that let somebody in.
func (r *Records) one(ctx context.Context, p aloud.ParticipantID, kind, ref string) (Logged, error) {
	all, err := r.Find(ctx, p, kind, ref)
	if err != nil {
		return Logged{}, err
	}
	for i := len(all) - 1; i >= 0; i-- {
		if kind != collector.RecordMembership || all[i].Field("state") == "in" {
			return all[i], nil
		}
	}
	return Logged{}, aloud.Errorf(aloud.ENOTFOUND, "there is no %s on record: it never was, or a withdrawal or an erasure has ended it", kind)
}

func (r *Records) receipt(ctx context.Context, p aloud.ParticipantID, hash string) (consent.Signed, error) {
	row, err := r.Store.Standing(ctx, p)
	if err != nil {
		return consent.Signed{}, err
	}
	for _, rr := range row.Receipts {
		if rr.Hash.String() == hash {
			m, err := collector.OpenMember(ctx, r.Keys, rr.Envelope)
			if err != nil {
				return consent.Signed{}, err
			}
			return *m.Receipt, nil
		}
	}
	return consent.Signed{}, aloud.Errorf(aloud.ENOTFOUND, "the receipt is not there: an erasure has ended it")
}
