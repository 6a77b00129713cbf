package bid_test

import (
	"context"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/bid"
	"aloud.example/aloud/campaign"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/identity"
	"aloud.example/aloud/store"
)

// outbox takes records as the ledger's would, in memory.
type outbox struct {
	mu      sync.Mutex
	records map[string][]collector.Record // by ref
	err     error
}

func (o *outbox) Append(_ context.Context, _ aloud.ParticipantID, purpose consent.Purpose, kind, ref string, fields ...string) (int64, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return 0, o.err
	}
	if purpose != consent.PurposePersonaliseAds {
		return 0, aloud.Errorf(aloud.EINTERNAL, "an impression's record lives under %s", purpose)
	}
	o.records[ref] = append(o.records[ref], collector.NewRecord(collector.NewSeed(), kind, ref, fields...))
	return int64(len(o.records)), nil
}

func (o *outbox) Find(_ context.Context, _ aloud.ParticipantID, _, ref string) ([]audience.Logged, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []audience.Logged
	for _, r := range o.records[ref] {
		out = append(out, audience.Logged{Record: r, Leaf: -1})
	}
	return out, nil
}

// rules is the audiences' rules in memory.
type rules map[aloud.AudienceID]audience.Audience

func (r rules) Get(_ context.Context, id aloud.AudienceID) (audience.Audience, error) {
	a, ok := r[id]
	if !ok {
		return a, aloud.Errorf(aloud.ENOTFOUND, "no such audience")
	}
	return a, nil
}

// world is a bidder on a real database and a real index.
type world struct {
	t       testing.TB
	dir     string
	nanos   atomic.Int64
	store   *store.Store
	index   *audience.Index
	links   *identity.Index
	rules   rules
	shelf   *campaign.Shelf
	outbox  *outbox
	journal bid.Journal // the store's unless a test wraps it
	bidder  *bid.Bidder

	advertiser campaign.Advertiser
	audience   aloud.AudienceID
	person     aloud.ParticipantID
}

const uid = "u_abcdefghijklmnopqrstuv"

func (w *world) now() time.Time          { return time.Unix(0, w.nanos.Load()).UTC() }
func (w *world) advance(d time.Duration) { w.nanos.Add(int64(d)); w.index.Beat() }

func newWorld(t testing.TB, minimum int) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), rules: rules{}, outbox: &outbox{records: map[string][]collector.Record{}}}
	w.nanos.Store(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).UnixNano())
	w.links = identity.NewIndex(0)
	var err error
	w.index, err = audience.NewIndex(audience.IndexConfig{Links: w.links, Minimum: minimum, Simulated: true, Now: w.now})
	w.must(err)
	w.index.Beat()
	w.store, err = store.Open(t.Context(), store.Config{Path: filepath.Join(w.dir, "aloud.db"), Now: w.now})
	w.must(err)
	t.Cleanup(func() { _ = w.store.Close() })
	w.shelf, err = campaign.NewShelf(t.Context(), w.store, w.now)
	w.must(err)
	w.advertiser, err = w.shelf.AddAdvertiser(t.Context(), campaign.Advertiser{Name: "Warm Homes", Domain: "warm.example"})
	w.must(err)
	w.audience = w.addAudience(nil)
	w.person = w.addPerson(uid, w.audience)
	w.journal = w.store
	w.open()
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) open() {
	w.t.Helper()
	b, err := bid.New(w.t.Context(), bid.Config{
		Members: w.index, Audiences: w.rules, Books: w.shelf, Journal: w.journal, Purse: w.store, Records: w.outbox,
		NoticeKey: [32]byte{1, 2, 3}, Base: "https://bid.example", Now: w.now,
	})
	w.must(err)
	w.bidder = b
	w.t.Cleanup(b.Close)
}

func (w *world) addAudience(t *audience.Territory) aloud.AudienceID {
	id := aloud.NewAudienceID()
	w.rules[id] = audience.Audience{ID: id, Name: "test", Rule: audience.Rule{Category: "home.hvac", Window: 7 * 24 * time.Hour, Territory: t}}
	return id
}

func (w *world) addPerson(uid string, audiences ...aloud.AudienceID) aloud.ParticipantID {
	p := aloud.NewParticipantID()
	w.links.Put(identity.Link{Kind: collector.LinkBuyerUID, Value: uid, Participant: p, Source: "test", At: w.now()})
	var members []audience.Membership
	for _, a := range audiences {
		members = append(members, audience.Membership{
			Audience: a, Category: "home.hvac", Stage: aloud.StageReady, Signal: aloud.NewSignalID(), Heard: w.now(), Until: w.now().Add(72 * time.Hour),
		})
	}
	w.index.Set(p, members)
	return p
}

// campaign adds one with a line of the given CPM, daily budget and cap.
func (w *world) campaign(cpm, budget campaign.Micros, limit int, change ...func(*campaign.Campaign)) campaign.Line {
	w.t.Helper()
	c := campaign.Campaign{Advertiser: w.advertiser.ID, Name: "Heaters", Lines: []campaign.Line{{
		Audience: w.audience, CPM: cpm, DailyBudget: budget, Cap: limit,
		Creatives: []campaign.Creative{{HTML: "<b>Warm</b>", Width: 300, Height: 250, Landing: "https://warm.example/now"}},
	}}}
	for _, f := range change {
		f(&c)
	}
	c, err := w.shelf.AddCampaign(w.t.Context(), c)
	w.must(err)
	return c.Lines[0]
}

func request(change ...func(*bid.Request)) bid.Request {
	r := bid.Request{ID: "r1", BuyerUIDs: []string{uid}, Imps: []bid.Imp{{ID: "1", Sizes: [][2]int{{300, 250}}, Floor: 1_000_000}}}
	for _, f := range change {
		f(&r)
	}
	return r
}

// bid makes one bid or fails.
func (w *world) bid() bid.Bid {
	w.t.Helper()
	bids, why := w.bidder.Decide(w.t.Context(), request())
	if len(bids) != 1 {
		w.t.Fatalf("no bid: %s", why)
	}
	return bids[0]
}

// call does what an exchange does with a notice's address.
func (w *world) call(address, price string) error {
	w.t.Helper()
	u, err := url.Parse(strings.ReplaceAll(address, "${AUCTION_PRICE}", price))
	w.must(err)
	parts := strings.Split(u.Path, "/")
	id := aloud.BidID(parts[len(parts)-1])
	if parts[2] == "win" {
		return w.bidder.Win(w.t.Context(), id, u.Query())
	}
	return w.bidder.Impression(w.t.Context(), id, u.Query())
}

func (w *world) spent(l campaign.Line) campaign.Nanos {
	w.t.Helper()
	n, err := w.store.Spent(w.t.Context(), l.ID, w.now().Format(time.DateOnly))
	w.must(err)
	return n
}
