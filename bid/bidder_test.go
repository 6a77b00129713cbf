package bid_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/bid"
	"aloud.example/aloud/campaign"
	"aloud.example/aloud/signal"
)

func TestBid(t *testing.T) {
	w := newWorld(t, 1)
	line := w.campaign(5_000_000, 10_000_000, 3)
	b := w.bid()
	if b.CPM != 5_000_000 || b.Offer.ID != line.ID || b.Creative.ID != line.Creatives[0].ID || b.Imp != "1" || !b.ID.Valid() {
		t.Errorf("bid: %+v", b)
	}
	if again := w.bid(); again.ID == b.ID || again.Won == b.Won {
		t.Error("two bids have one id")
	}
}

// refusing answers Lookup with an error.
type refusing struct {
	bid.Members
	err error
}

func (r refusing) Lookup(aloud.ParticipantID) (audience.Found, error) {
	return audience.Found{}, r.err
}

// broken can't write.
type broken struct{ bid.Journal }

func (broken) AddBids(context.Context, []bid.Row) error { return errors.New("the disk is full") }

func TestEveryReason(t *testing.T) {
	here, _ := signal.CellAt(40.7128, -74.0060)
	far, _ := signal.CellAt(42.3601, -71.0589)
	run := func(w *world) { w.campaign(5_000_000, 10_000_000, 3) }
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	cases := []struct {
		why     bid.Reason
		name    string
		minimum int
		set     func(w *world)
		change  func(r *bid.Request)
		ctx     context.Context
	}{
		{why: bid.Regs, set: run, change: func(r *bid.Request) { r.NotAllowed = true }},
		{why: bid.Test, set: run, change: func(r *bid.Request) { r.Test = true }},
		{why: bid.Auction, set: run, change: func(r *bid.Request) { r.Foreign = true }},
		{why: bid.Suppressed, set: run, change: func(r *bid.Request) { r.Sensitive = true }},
		{why: bid.NoMatch, name: "nobody named", set: run, change: func(r *bid.Request) { r.BuyerUIDs = nil }},
		{why: bid.NoMatch, name: "a stranger", set: run, change: func(r *bid.Request) { r.BuyerUIDs = []string{"u_stranger"} }},
		{why: bid.NoMatch, name: "in no audience", set: func(w *world) { run(w); w.index.Set(w.person, nil) }},
		{why: bid.NoMatch, name: "withdrawn", set: func(w *world) { run(w); w.index.Stop(w.person, "w1"); w.links.DropAll(w.person) }},
		{why: bid.NoMatch, name: "no member any more", set: func(w *world) { run(w); w.advance(73 * time.Hour) }},
		{why: bid.NoConsent, set: func(w *world) {
			run(w)
			w.reopen(refusing{w.index, aloud.Errorf(aloud.EFORBIDDEN, "a withdrawal is under way")})
		}},
		{why: bid.Stale, set: func(w *world) { run(w); w.nanos.Add(int64(audience.Heartbeat) + 1) }},
		{why: bid.BelowMinimum, minimum: 2, set: run},
		{why: bid.NoCampaign, name: "none"},
		{why: bid.NoCampaign, name: "paused", set: func(w *world) {
			w.campaign(5_000_000, 10_000_000, 3, func(c *campaign.Campaign) { c.State = campaign.Paused })
		}},
		{why: bid.NoCampaign, name: "not yet", set: func(w *world) {
			w.campaign(5_000_000, 10_000_000, 3, func(c *campaign.Campaign) { c.Lines[0].Start = w.now().Add(time.Second) })
		}},
		{why: bid.NoCampaign, name: "over", set: func(w *world) {
			w.campaign(5_000_000, 10_000_000, 3, func(c *campaign.Campaign) { c.Lines[0].End = w.now() })
		}},
		{why: bid.OutOfTerritory, set: func(w *world) { w.bind(); run(w) }, change: func(r *bid.Request) { r.Place = far }},
		{why: "", name: "in the territory", set: func(w *world) { w.bind(); run(w) }, change: func(r *bid.Request) { r.Place = here }},
		{why: bid.Blocked, name: "the domain", set: run, change: func(r *bid.Request) { r.Blocked = []string{"other.example", "WARM.example"} }},
		{why: bid.Blocked, name: "above it", set: run, change: func(r *bid.Request) { r.Blocked = []string{"example"} }},
		{why: "", name: "another's domain", set: run, change: func(r *bid.Request) { r.Blocked = []string{"arm.example"} }},
		{why: bid.Size, name: "another size", set: run, change: func(r *bid.Request) { r.Imps[0].Sizes = [][2]int{{728, 90}} }},
		{why: bid.Size, name: "no banner", set: run, change: func(r *bid.Request) { r.Imps = nil }},
		{why: bid.Floor, set: run, change: func(r *bid.Request) { r.Imps[0].Floor = 5_000_001 }},
		{why: "", name: "at the floor", set: run, change: func(r *bid.Request) { r.Imps[0].Floor = 5_000_000 }},
		{why: bid.Cap, set: func(w *world) { w.campaign(5_000_000, 10_000_000, 1); w.bid() }},
		{why: bid.Budget, set: func(w *world) { w.campaign(5_000_000, 5_000, 9); w.bid() }},
		{why: bid.Timeout, set: run, ctx: ended},
		{why: bid.Unavailable, set: func(w *world) {
			run(w)
			w.journal = broken{w.store}
			w.reopen(w.index)
			w.bid() // whose writing fails
			for range 400 {
				if _, why := w.bidder.Decide(w.t.Context(), request()); why == bid.Unavailable {
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		}},
	}
	seen := map[bid.Reason]bool{}
	for _, c := range cases {
		seen[c.why] = true
		t.Run(string(c.why)+" "+c.name, func(t *testing.T) {
			w := newWorld(t, max(c.minimum, 1))
			if c.set != nil {
				c.set(w)
			}
			r := request()
			if c.change != nil {
				c.change(&r)
			}
			ctx := t.Context()
			if c.ctx != nil {
				ctx = c.ctx
			}
			bids, why := w.bidder.Decide(ctx, r)
			if why != c.why || (len(bids) > 0) != (why == "") {
				t.Errorf("got %q with %d bids, want %q", why, len(bids), c.why)
			}
		})
	}
	for _, r := range bid.Reasons() {
		if !seen[r] {
			t.Errorf("no test gives the reason %q", r)
		}
	}
}

// bind ties the audience to a circle around New York.
func (w *world) bind() {
	w.t.Helper()
	circle, err := audience.NewTerritory(40.73, -73.98, 20)
	w.must(err)
	w.audience = w.addAudience(circle)
	w.person = w.addPerson(uid, w.audience)
	w.links.DropAll(w.person)
	w.person = w.addPerson(uid, w.audience)
}

// reopen starts another bidder, on other members.
func (w *world) reopen(m bid.Members) {
	w.t.Helper()
	w.bidder.Close()
	b, err := bid.New(w.t.Context(), bid.Config{
		Members: m, Audiences: w.rules, Books: w.shelf, Journal: w.journal, Purse: w.store, Records: w.outbox,
		NoticeKey: [32]byte{1, 2, 3}, Base: "https://bid.example", Now: w.now,
	})
	w.must(err)
	w.bidder = b
	w.t.Cleanup(b.Close)
}

func TestTheDearestOfferThatCanBePaidWins(t *testing.T) {
	w := newWorld(t, 1)
	w.campaign(3_000_000, 10_000_000, 9)
	dear := w.campaign(7_000_000, 7_000, 9) // pays for one
	if b := w.bid(); b.Offer.ID != dear.ID {
		t.Error("the dearest offer did not bid first")
	}
	if b := w.bid(); b.CPM != 3_000_000 {
		t.Error("with the dearest spent, the next did not bid")
	}
}

func TestSeveralPlaces(t *testing.T) {
	w := newWorld(t, 1)
	w.campaign(5_000_000, 10_000_000, 2)
	r := request(func(r *bid.Request) {
		r.Imps = append(r.Imps, bid.Imp{ID: "2"}, bid.Imp{ID: "3"}, bid.Imp{ID: "4", Floor: 9_000_000})
	})
	bids, why := w.bidder.Decide(t.Context(), r)
	if why != "" || len(bids) != 2 || bids[0].Imp != "1" || bids[1].Imp != "2" {
		t.Errorf("%d bids, %q: the cap of 2 holds within a request too", len(bids), why)
	}
}

func TestNewRefuses(t *testing.T) {
	w := newWorld(t, 1)
	for name, cfg := range map[string]bid.Config{
		"no key":     {Base: "https://x.example"},
		"no address": {NoticeKey: [32]byte{1}},
		"a slash":    {NoticeKey: [32]byte{1}, Base: "https://x.example/"},
	} {
		cfg.Purse, cfg.Journal = w.store, w.store
		if _, err := bid.New(t.Context(), cfg); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// memory writes nothing down: how fast the disk is, is the journal's matter.
type memory struct{ bid.Journal }

func (memory) AddBids(context.Context, []bid.Row) error { return nil }

func BenchmarkDecide(b *testing.B) {
	w := newWorld(b, 1)
	w.journal = memory{w.store}
	w.reopen(w.index)
	w.campaign(5_000_000, 1_000_000_000_000, 1000)
	r := request(func(r *bid.Request) { r.Imps[0].Floor = 0 })
	uids := make([]string, 5000)
	for i := range uids {
		uids[i] = string(aloud.NewParticipantID())
		w.addPerson(uids[i], w.audience)
	}
	w.bid()
	b.ReportAllocs()
	i, none := 0, 0
	for b.Loop() {
		if i%10_000 == 9_999 {
			w.advance(bid.Hold / 10) // so that reservations come and go
		}
		r.BuyerUIDs[0] = uids[i%len(uids)]
		if bids, _ := w.bidder.Decide(b.Context(), r); len(bids) == 0 {
			none++
		}
		i++
	}
	b.ReportMetric(float64(none)/float64(i), "no-bids/op")
}

// The floor of the above: the lookups that no decision can do without.
func BenchmarkDecideNoMatch(b *testing.B) {
	w := newWorld(b, 1)
	r := request(func(r *bid.Request) { r.BuyerUIDs[0] = "u_stranger" })
	b.ReportAllocs()
	for b.Loop() {
		if _, why := w.bidder.Decide(b.Context(), r); why != bid.NoMatch {
			b.Fatal(why)
		}
	}
}
