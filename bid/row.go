package bid

import (
	"context"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/campaign"
)

// State is how far a bid came.
type State string

// The states.
const (
	Open   State = "open"
	Won    State = "won"
	Billed State = "billed"
)

// Row is a bid as it is written down.
type Row struct {
	ID          aloud.BidID
	At          time.Time // to the second, as evidence says it
	Participant aloud.ParticipantID
	Audience    aloud.AudienceID
	Signal      aloud.SignalID
	Rule        string // the audience's rule at that time, as JSON
	Advertiser  aloud.AdvertiserID
	Campaign    aloud.CampaignID
	Line        aloud.LineID
	Creative    aloud.CreativeID
	CPM         campaign.Micros
	State       State
	Charged     campaign.Micros // CPM that it was billed at; before that, the price it won at
	BilledAt    time.Time
	Recorded    bool // its record is in the ledger's outbox
}

// Day is the day whose budget and caps the bid counts to.
func (r Row) Day() string { return dayOf(r.At) }

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// Journal is where bids are written down; *store.Store is one.
type Journal interface {
	AddBids(ctx context.Context, rows []Row) error
	// Bid finds a bid; ENOTFOUND if it was never written.
	Bid(ctx context.Context, id aloud.BidID) (Row, error)
	// WinBid notes the price that an open bid won at.
	WinBid(ctx context.Context, id aloud.BidID, price campaign.Micros) error
	// BillBid marks a bid as billed and adds its cost to what its line spent
	// that day, both or neither; false if it was billed before.
	BillBid(ctx context.Context, id aloud.BidID, price campaign.Micros, at time.Time) (bool, error)
	// SetRecorded says that the bid's record is in the ledger's outbox.
	SetRecorded(ctx context.Context, id aloud.BidID) error
	// Unrecorded lists billed bids whose record is not.
	Unrecorded(ctx context.Context, limit int) ([]Row, error)
}

// Purse is the durable side of the budgets; *store.Store is one.
type Purse interface {
	// Recover is called once at the start: it sets what each line has leased to
	// what it spent and what its bids since then may still cost, and returns
	// the bids of the day and all those since then, oldest first.
	Recover(ctx context.Context, day string, since time.Time) ([]Row, error)
	// Lease takes up to want of what a line may still spend on a day, and
	// returns what it got.
	Lease(ctx context.Context, line aloud.LineID, day string, want, limit campaign.Nanos) (campaign.Nanos, error)
}
