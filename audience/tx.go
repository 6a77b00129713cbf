package audience

import (
	"context"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/identity"
	"aloud.example/aloud/profile"
)

// Tx is one transaction over everything that is derived from the stream, in
// the parts that the stages need.
type Tx interface {
	identity.Tx
	profile.Tx
	ConsentTx
	SignalTx
	MemberTx
	EndingTx
	PositionTx
}

// ConsentTx keeps receipts and withdrawals.
type ConsentTx interface {
	Standing(ctx context.Context, p aloud.ParticipantID) (collector.StandingRow, error)
	PutReceipt(ctx context.Context, p aloud.ParticipantID, r collector.ReceiptRow) error
	PutEnded(ctx context.Context, p aloud.ParticipantID, purpose consent.Purpose, seq uint64) error
}

// SignalTx keeps what counts once, and the records for the ledger.
type SignalTx interface {
	Signal(ctx context.Context, id aloud.SignalID) (SignalRow, bool, error)
	PutSignal(ctx context.Context, s SignalRow) error
	// PutSeen enters the id of an event or a withdrawal; false if it is there.
	PutSeen(ctx context.Context, kind collector.Kind, id aloud.Hash, p aloud.ParticipantID, at time.Time) (bool, error)
	// PutRecord appends to the ledger's outbox, once an id.
	PutRecord(ctx context.Context, r RecordRow) error
}

// MemberTx keeps rules and membership.
type MemberTx interface {
	PutRule(ctx context.Context, partition uint16, a aloud.AudienceID, seq uint64, r Rule) error
	MembersOf(ctx context.Context, p aloud.ParticipantID) ([]Membership, error)
	PutMember(ctx context.Context, m Member) error
	DropMember(ctx context.Context, p aloud.ParticipantID, a aloud.AudienceID) error
	// HeardIn lists the latest signals of a category in a partition, by
	// participant.
	HeardIn(ctx context.Context, partition uint16, c aloud.Category) ([]profile.Heard, error)
	// HeardOf lists a participant's latest signals in all categories.
	HeardOf(ctx context.Context, p aloud.ParticipantID) ([]profile.Heard, error)
}

// EndingTx removes what ends with a purpose or a person.
type EndingTx interface {
	// DropSignals removes signals, profile and membership.
	DropSignals(ctx context.Context, p aloud.ParticipantID) error
	DropMembers(ctx context.Context, p aloud.ParticipantID) error
	// DropBehaviour removes behavioural counts and the ids of events.
	DropBehaviour(ctx context.Context, p aloud.ParticipantID) error
	// DropRecords takes the content out of a participant's records under some
	// purposes that came before a sequence. What the log holds already keeps
	// its commitment, of nobody.
	DropRecords(ctx context.Context, p aloud.ParticipantID, ended []consent.Purpose, before uint64) error
	// Forgotten finds the participant that an erasure names.
	Forgotten(ctx context.Context, h aloud.Hash) (aloud.ParticipantID, bool, error)
	// DropParticipant removes every row of a participant.
	DropParticipant(ctx context.Context, p aloud.ParticipantID) error
}

// PositionTx keeps how far the stream was applied, and what could not be.
type PositionTx interface {
	PutApplied(ctx context.Context, partition uint16, seq uint64) error
	PutPosition(ctx context.Context, seq uint64) error
	PutDeadLetter(ctx context.Context, d DeadLetter) error
	// Try runs fn so that its changes are undone if it fails, and only they.
	Try(ctx context.Context, fn func() error) error
}

// SignalRow is a signal that was counted; its token is inside the envelope.
type SignalRow struct {
	ID          aloud.SignalID
	Participant aloud.ParticipantID
	Digest      aloud.Hash // SHA-256 of the token
	Expires     time.Time
	Envelope    collector.Envelope
}

// RecordRow is a record as the outbox keeps it, under the participant's key.
type RecordRow struct {
	ID          aloud.Hash
	Kind        string
	Participant aloud.ParticipantID // "" for an erasure
	Purpose     consent.Purpose     // of the key it is under
	Cause       uint64              // the stream's sequence that it came from
	Ref         string              // what finds it again: a jti, a receipt's hash
	Handle      collector.Handle    // zero for an erasure, which is in the clear
	Sealed      []byte
}

// DeadLetter says that a member of a group could not be applied, without its
// content.
type DeadLetter struct {
	Partition uint16
	Seq       uint64
	Member    int
	Kind      collector.Kind
	Code      aloud.Code
	Reason    string
	At        time.Time
}

// Position is how far the stream was applied.
type Position struct {
	All        uint64            // every partition up to here
	Partitions map[uint16]uint64 // each by itself
}

// PlacedRule is a rule in force in a partition.
type PlacedRule struct {
	Partition uint16
	Audience  aloud.AudienceID
	Rule      Rule
}

// Database is where the Keeper keeps things; *store.Store is one.
type Database interface {
	// Apply runs fn in one transaction. EUNAVAILABLE means that trying again
	// may help.
	Apply(ctx context.Context, fn func(Tx) error) error
	Position(ctx context.Context) (Position, error)
	Rules(ctx context.Context) ([]PlacedRule, error)
	EachMember(ctx context.Context, now time.Time, fn func(Member) error) error
	EachLink(ctx context.Context, fn func(identity.Link) error) error
	// Sweep deletes memberships that ended before ended, ids and signals that
	// expired before keep, and what names somebody who was erased.
	Sweep(ctx context.Context, now, ended, keep time.Time) error
}
