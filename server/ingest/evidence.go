package ingest

import (
	"context"
	"crypto/ed25519"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/bid"
	"aloud.example/aloud/ledger"
	"aloud.example/aloud/proof"
)

// Bids finds a bid by its id.
type Bids interface {
	Bid(ctx context.Context, id aloud.BidID) (bid.Row, error)
}

// Records finds what stands behind a membership, and later records.
type Records interface {
	Evidence(ctx context.Context, p aloud.ParticipantID, a aloud.AudienceID, s aloud.SignalID) (audience.Evidence, error)
	Find(ctx context.Context, p aloud.ParticipantID, kind, ref string) ([]audience.Logged, error)
}

// Tree is the transparency log.
type Tree interface {
	Checkpoint(ctx context.Context) (signed []byte, size uint64, err error)
	Inclusion(ctx context.Context, leaf, size uint64) ([]aloud.Hash, error)
}

// Prover puts the evidence of one impression together and seals it.
type Prover struct {
	Bids    Bids
	Records Records
	Tree    Tree
	Key     ed25519.PrivateKey // the server's
}

// Evidence implements Evidence.
func (p *Prover) Evidence(ctx context.Context, id aloud.BidID) ([]byte, error) {
	row, err := p.Bids.Bid(ctx, id)
	if err != nil {
		return nil, err
	}
	switch {
	case row.Participant == "":
		return nil, aloud.Errorf(aloud.ENOTFOUND, "there is no evidence any more: the participant was erased")
	case row.State != bid.Billed:
		return nil, aloud.Errorf(aloud.EPENDING, "evidence is of an impression, and this bid is not billed yet: it is when its burl is called")
	}
	behind, err := p.Records.Evidence(ctx, row.Participant, row.Audience, row.Signal)
	if err != nil {
		return nil, err
	}
	shown, err := p.Records.Find(ctx, row.Participant, ledger.KindImpression.String(), string(id))
	if err != nil {
		return nil, err
	}
	if len(shown) == 0 {
		return nil, aloud.Errorf(aloud.EPENDING, "the impression's record is on its way to the log; ask again in a few seconds")
	}
	signed, size, err := p.Tree.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	e := proof.Evidence{
		Signal:     proof.Signal{Token: behind.Token},
		Receipt:    proof.Receipt{Signed: behind.Receipt},
		Checkpoint: string(signed),
	}
	for _, r := range []struct {
		from audience.Logged
		to   *proof.Record
	}{
		{shown[0], &e.Impression},
		{behind.MembershipRecord, &e.Membership},
		{behind.SignalRecord, &e.Signal.Record},
		{behind.ReceiptRecord, &e.Receipt.Record},
	} {
		if *r.to, err = p.record(ctx, r.from, size); err != nil {
			return nil, err
		}
	}
	return proof.Seal(e, p.Key)
}

// record shows one record with its place in the tree.
func (p *Prover) record(ctx context.Context, l audience.Logged, size uint64) (proof.Record, error) {
	if l.Leaf < 0 {
		return proof.Record{}, aloud.Errorf(aloud.EPENDING, "the log does not hold all of the evidence yet; ask again in a few seconds")
	}
	r := proof.Record{Kind: l.Kind, Leaf: uint64(l.Leaf)}
	for _, f := range l.Fields {
		field := ledger.Field{Name: f.Name, Value: f.Value}
		if len(f.Salt) != len(field.Salt) {
			return r, aloud.Errorf(aloud.EINTERNAL, "a record of kind %s has a salt of %d bytes", l.Kind, len(f.Salt))
		}
		field.Salt = aloud.Hash(f.Salt)
		r.Fields = append(r.Fields, field)
	}
	var err error
	r.Path, err = p.Tree.Inclusion(ctx, r.Leaf, size)
	return r, err
}
