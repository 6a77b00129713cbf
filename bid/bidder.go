package bid

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/campaign"
	"aloud.example/aloud/consent"
)

// Members is the membership in memory; *audience.Index is one.
type Members interface {
	Resolve(buyeruid string) (aloud.ParticipantID, bool)
	// Lookup is EUNAVAILABLE if a withdrawal might not be known, and EFORBIDDEN
	// if one is under way.
	Lookup(p aloud.ParticipantID) (audience.Found, error)
}

// Audiences finds rules, which never change; *audience.Shelf is one.
type Audiences interface {
	Get(ctx context.Context, id aloud.AudienceID) (audience.Audience, error)
}

// Books has the campaigns that run; *campaign.Shelf is one.
type Books interface {
	Book() *campaign.Book
}

// Records is the ledger's outbox; *audience.Records is one.
type Records interface {
	Append(ctx context.Context, p aloud.ParticipantID, purpose consent.Purpose, kind, ref string, fields ...string) (int64, error)
	// Find lists a participant's records of a kind and reference; ENOTFOUND if
	// nothing can open them any more.
	Find(ctx context.Context, p aloud.ParticipantID, kind, ref string) ([]audience.Logged, error)
}

// Config is what New needs. All of the stages are required.
type Config struct {
	Members   Members
	Audiences Audiences
	Books     Books
	Journal   Journal
	Purse     Purse
	Records   Records
	NoticeKey [32]byte // signs the notice addresses; secret, kept for life
	Base      string   // where notices go, such as https://bid.example; no slash at the end
	Now       func() time.Time
	Log       *slog.Logger
}

// Bidder decides. It is safe for concurrent use.
type Bidder struct {
	cfg    Config
	spend  *spend
	writer *writer

	settling sync.Mutex
	rules    sync.Map // aloud.AudienceID to rule
	stop     context.CancelFunc
	done     chan struct{}
}

// rule is an audience's rule and its text.
type rule struct {
	audience.Rule
	text string
}

// New takes up the bids that are open and starts writing. End it with Close.
func New(ctx context.Context, cfg Config) (*Bidder, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.NoticeKey == [32]byte{} {
		return nil, aloud.Errorf(aloud.EINVALID, "the bidder needs a key to sign its notices with")
	}
	if cfg.Base == "" || strings.HasSuffix(cfg.Base, "/") {
		return nil, aloud.Errorf(aloud.EINVALID, "the bidder needs the address at which exchanges reach this server, without a slash at its end")
	}
	b := &Bidder{cfg: cfg, spend: newSpend(cfg.Purse), writer: newWriter(cfg.Journal, cfg.Log), done: make(chan struct{})}
	now := cfg.Now().UTC()
	rows, err := cfg.Purse.Recover(ctx, dayOf(now), now.Add(-Hold-time.Second))
	if err != nil {
		return nil, err
	}
	b.spend.restore(rows, dayOf(now), now)
	if err := b.Sweep(ctx); err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.stop = stop
	go b.run(life)
	return b, nil
}

func (b *Bidder) run(ctx context.Context) {
	defer close(b.done)
	var wg sync.WaitGroup
	wg.Go(func() { b.writer.run(ctx) })
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			if err := b.Sweep(ctx); err != nil && ctx.Err() == nil {
				b.cfg.Log.Error("impressions' records wait", "error", err)
			}
		}
	}
	wg.Wait()
}

// Close writes down what is left and ends.
func (b *Bidder) Close() {
	b.stop()
	<-b.done
}

// Decide answers a request: one bid at most for each place, or the reason why
// there is none. What it bids is reserved.
func (b *Bidder) Decide(ctx context.Context, r Request) ([]Bid, Reason) {
	now := b.cfg.Now().UTC()
	if r.Within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Within)
		defer cancel()
	}
	if why := r.refused(); why != "" {
		return nil, why
	}
	if b.writer.full() {
		return nil, Unavailable
	}
	p, members, why := b.find(r.BuyerUIDs)
	if why != "" {
		return nil, why
	}
	d := decision{Bidder: b, request: r, participant: p, now: now}
	d.candidates(ctx, members)
	for _, imp := range r.Imps {
		d.place(ctx, imp)
	}
	if len(d.bids) > 0 && ctx.Err() != nil {
		for _, bid := range d.bids {
			b.spend.release(bid.ID)
		}
		return nil, Timeout
	}
	if len(d.bids) == 0 {
		if ctx.Err() != nil {
			return nil, Timeout
		}
		return nil, d.why
	}
	for _, row := range d.rows {
		b.writer.add(row)
	}
	return d.bids, ""
}

// refused is what the request itself rules out.
func (r Request) refused() Reason {
	switch {
	case r.NotAllowed:
		return Regs
	case r.Test:
		return Test
	case r.Foreign:
		return Auction
	case r.Sensitive:
		return Suppressed
	case len(r.Imps) == 0:
		return Size
	}
	return ""
}

// find is the participant whom one of the identifiers names, and where they
// are a member.
func (b *Bidder) find(uids []string) (aloud.ParticipantID, []audience.Membership, Reason) {
	for _, uid := range uids {
		p, ok := b.cfg.Members.Resolve(uid)
		if !ok {
			continue
		}
		found, err := b.cfg.Members.Lookup(p)
		switch {
		case aloud.ErrorCode(err) == aloud.EFORBIDDEN:
			return "", nil, NoConsent
		case err != nil:
			return "", nil, Stale
		case len(found.Members) > 0:
			return p, found.Members, ""
		case found.TooSmall > 0:
			return "", nil, BelowMinimum
		}
		return "", nil, NoMatch
	}
	return "", nil, NoMatch
}

// decision is one answer under way.
type decision struct {
	*Bidder
	request     Request
	participant aloud.ParticipantID
	now         time.Time

	offers []candidate
	bids   []Bid
	rows   []Row
	why    Reason
}

// candidate is an offer with the membership it may be made by.
type candidate struct {
	*campaign.Offer
	member audience.Membership
	rule   *rule
}

// candidates collects what may be offered to the participant, dearest first.
func (d *decision) candidates(ctx context.Context, members []audience.Membership) {
	book := d.cfg.Books.Book()
	d.why = NoCampaign
	for _, m := range members {
		offers := book.For(m.Audience)
		if len(offers) == 0 {
			continue
		}
		rule, err := d.ruleOf(ctx, m.Audience)
		if err != nil {
			d.why = furthest(d.why, Unavailable)
			continue
		}
		if rule.Territory != nil && d.request.Place != "" && !rule.Territory.Contains(d.request.Place) {
			d.why = furthest(d.why, OutOfTerritory)
			continue
		}
		for _, o := range offers {
			switch {
			case !o.Flies(d.now):
			case slices.ContainsFunc(d.request.Blocked, func(x string) bool { return covers(x, o.Advertiser.Domain) }):
				d.why = furthest(d.why, Blocked)
			default:
				d.offers = append(d.offers, candidate{o, m, rule})
			}
		}
	}
	slices.SortStableFunc(d.offers, func(x, y candidate) int { return int(y.CPM - x.CPM) })
}

// covers reports whether blocking one domain blocks another.
func covers(blocked, domain string) bool {
	return strings.EqualFold(blocked, domain) || strings.HasSuffix(domain, "."+strings.ToLower(blocked))
}

// place makes the dearest bid for one impression that can be paid for.
func (d *decision) place(ctx context.Context, imp Imp) {
	for _, c := range d.offers {
		creative, ok := imp.fits(c.Offer)
		if !ok {
			d.why = furthest(d.why, Size)
			continue
		}
		if c.CPM < imp.Floor {
			d.why = furthest(d.why, Floor)
			continue
		}
		id := aloud.NewBidID()
		if why := d.spend.reserve(ctx, id, d.participant, c.Offer, d.now); why != "" {
			d.why = furthest(d.why, why)
			continue
		}
		d.bids = append(d.bids, Bid{
			ID: id, Imp: imp.ID, CPM: c.CPM, Offer: c.Offer, Creative: creative,
			Won: d.notice("win", id), Shown: d.notice("imp", id), Expires: Expiry,
		})
		d.rows = append(d.rows, Row{
			ID: id, At: d.now.Truncate(time.Second), Participant: d.participant, Audience: c.member.Audience, Signal: c.member.Signal,
			Rule: c.rule.text, Advertiser: c.Advertiser.ID, Campaign: c.Campaign, Line: c.ID, Creative: creative.ID, CPM: c.CPM, State: Open,
		})
		return
	}
}

// ruleOf finds a rule; the database is asked once for each.
func (b *Bidder) ruleOf(ctx context.Context, id aloud.AudienceID) (*rule, error) {
	if r, ok := b.rules.Load(id); ok {
		return r.(*rule), nil
	}
	a, err := b.cfg.Audiences.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	r := &rule{Rule: a.Rule}
	if r.text, err = ruleText(a.Rule); err != nil {
		return nil, err
	}
	b.rules.Store(id, r)
	return r, nil
}
