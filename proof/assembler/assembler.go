// Package assembler gathers the evidence of one impression from the places
// where a server keeps it.
//
// In: a bid's id. Out: evidence as package proof reads it, sealed by the
// server's key; EPENDING until a checkpoint covers all of it, ENOTFOUND if the
// bid was not billed, or if a withdrawal or an erasure ended what it rests on.
//
// It never hands out evidence that doesn't verify: it checks what it made.
package assembler

import (
	"context"
	"crypto/ed25519"
	"slices"
	"strconv"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/bid"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/ledger"
	"aloud.example/aloud/proof"
)

// Bids finds bids; *store.Store is one.
type Bids interface {
	Bid(ctx context.Context, id aloud.BidID) (bid.Row, error)
}

// Records finds what was committed to; *audience.Records is one.
type Records interface {
	Evidence(ctx context.Context, p aloud.ParticipantID, a aloud.AudienceID, s aloud.SignalID) (audience.Evidence, error)
	Find(ctx context.Context, p aloud.ParticipantID, kind, ref string) ([]audience.Logged, error)
	// Receipts lists a participant's receipts, oldest first.
	Receipts(ctx context.Context, p aloud.ParticipantID) ([]consent.Signed, error)
}

// Log is the transparency log; *tiles.Log is one.
type Log interface {
	Checkpoint(ctx context.Context) (signed []byte, size uint64, err error)
	Inclusion(ctx context.Context, leaf, size uint64) ([]aloud.Hash, error)
}

// Assembler makes evidence. All of it is required.
type Assembler struct {
	Bids    Bids
	Records Records
	Log     Log
	Key     ed25519.PrivateKey // the server's
	LogVKey string
}

// Evidence finds the proof of one billed impression.
func (a *Assembler) Evidence(ctx context.Context, id aloud.BidID) ([]byte, error) {
	row, err := a.Bids.Bid(ctx, id)
	switch {
	case aloud.ErrorCode(err) == aloud.ENOTFOUND || err == nil && row.State != bid.Billed:
		return nil, aloud.Errorf(aloud.ENOTFOUND, "no impression was billed for this bid, so there is nothing to prove")
	case err != nil:
		return nil, err
	case row.Participant == "":
		return nil, aloud.Errorf(aloud.ENOTFOUND, "the participant has erased what this impression rested on")
	}
	parts, err := a.gather(ctx, row)
	if err != nil {
		return nil, err
	}
	e, err := a.place(ctx, parts)
	if err != nil {
		return nil, err
	}
	data, err := proof.Seal(e, a.Key)
	if err != nil {
		return nil, err
	}
	trust := proof.Trust{ServerKeys: []ed25519.PublicKey{a.Key.Public().(ed25519.PublicKey)}, LogVKey: a.LogVKey}
	if _, err := proof.Verify(data, trust); err != nil {
		return nil, aloud.Errorf(aloud.EINTERNAL, "the evidence of %s does not hold: %w", id, err)
	}
	return data, nil
}

// parts are the records, not placed in the log yet.
type parts struct {
	audience.Evidence
	membership, impression audience.Logged

	renewed       consent.Signed // the receipt that governed at the bid, if another
	renewedRecord *audience.Logged
}

func (a *Assembler) gather(ctx context.Context, row bid.Row) (parts, error) {
	var p parts
	impressions, err := a.Records.Find(ctx, row.Participant, ledger.KindImpression.String(), string(row.ID))
	if err != nil {
		return p, err
	}
	if len(impressions) == 0 {
		if row.Recorded {
			return p, aloud.Errorf(aloud.ENOTFOUND, "a withdrawal has ended what this impression rested on")
		}
		return p, pending()
	}
	p.impression = impressions[0]
	if p.Evidence, err = a.Records.Evidence(ctx, row.Participant, row.Audience, row.Signal); err != nil {
		return p, err
	}
	// The membership may have been entered again since: the one meant is the
	// latest at the time of the bid.
	p.membership = p.MembershipRecord
	entered, err := a.Records.Find(ctx, row.Participant, collector.RecordMembership, string(row.Audience)+" "+string(row.Signal))
	if err != nil {
		return p, err
	}
	for _, m := range slices.Backward(entered) {
		at, err := strconv.ParseInt(m.Field("at"), 10, 64)
		if err == nil && m.Field("state") == "in" && at <= row.At.Unix() {
			p.membership = m
			break
		}
	}
	err = a.renewal(ctx, row, &p)
	return p, err
}

// renewal finds the receipt that governed when the bid was made.
func (a *Assembler) renewal(ctx context.Context, row bid.Row, p *parts) error {
	all, err := a.Records.Receipts(ctx, row.Participant)
	if err != nil {
		return err
	}
	for _, s := range slices.Backward(all) {
		if s.Countersigned().After(row.At) {
			continue
		}
		r, err := consent.VerifyDevice(s)
		if err != nil {
			return err
		}
		hash := r.Hash().String()
		if hash == p.ReceiptRecord.Field("receipt") {
			return nil
		}
		records, err := a.Records.Find(ctx, row.Participant, collector.RecordReceipt, hash)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return aloud.Errorf(aloud.ENOTFOUND, "the receipt of the time is not on record: an erasure has ended it")
		}
		p.renewed, p.renewedRecord = s, &records[len(records)-1]
		return nil
	}
	return nil
}

// place adds the proofs of inclusion, all under one checkpoint.
func (a *Assembler) place(ctx context.Context, p parts) (proof.Evidence, error) {
	var e proof.Evidence
	signed, size, err := a.Log.Checkpoint(ctx)
	if err != nil {
		return e, err
	}
	e.Checkpoint, e.Signal.Token, e.Receipt.Signed = string(signed), p.Token, p.Receipt
	type pair struct {
		to   *proof.Record
		from audience.Logged
	}
	all := []pair{
		{&e.Receipt.Record, p.ReceiptRecord},
		{&e.Signal.Record, p.SignalRecord},
		{&e.Membership, p.membership},
		{&e.Impression, p.impression},
	}
	if p.renewedRecord != nil {
		e.Renewed = &proof.Receipt{Signed: p.renewed}
		all = append(all, pair{&e.Renewed.Record, *p.renewedRecord})
	}
	for _, r := range all {
		if r.from.Leaf < 0 {
			return e, pending()
		}
		r.to.Kind, r.to.Leaf = r.from.Kind, uint64(r.from.Leaf)
		for _, f := range r.from.Fields {
			if len(f.Salt) != len(aloud.Hash{}) {
				return e, aloud.Errorf(aloud.EINTERNAL, "a %s record has a salt of %d bytes", r.from.Kind, len(f.Salt))
			}
			r.to.Fields = append(r.to.Fields, ledger.Field{Name: f.Name, Value: f.Value, Salt: aloud.Hash(f.Salt)})
		}
		if r.to.Path, err = a.Log.Inclusion(ctx, r.to.Leaf, size); err != nil {
			return e, err
		}
	}
	return e, nil
}

func pending() error {
	return aloud.Errorf(aloud.EPENDING, "the evidence is complete once the log's next checkpoint is signed; ask again in 2 seconds")
}
