package bid_test

import (
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/bid"
	"aloud.example/aloud/campaign"
)

func TestBillingCountsOnce(t *testing.T) {
	w := newWorld(t, 1)
	line := w.campaign(5_000_000, 10_000_000, 9)
	b := w.bid()
	for range 3 {
		w.must(w.call(b.Won, "4.2"))
		w.must(w.call(b.Shown, "4.2"))
	}
	if got := w.spent(line); got != 4_200_000 {
		t.Errorf("spent %d nanos, want 4200000", got)
	}
	r := w.outbox.records[string(b.ID)]
	if len(r) != 1 {
		t.Fatalf("%d records of one impression", len(r))
	}
	for name, want := range map[string]string{
		"bid": string(b.ID), "line": string(line.ID), "participant": string(w.person), "audience": string(w.audience),
		"cpm_micros": "5000000", "charged_cpm_micros": "4200000",
		"rule": `{"category":"home.hvac","stages":[],"window_seconds":604800}`,
	} {
		if got := r[0].Field(name); got != want {
			t.Errorf("the record's %s is %q, want %q", name, got, want)
		}
	}
}

func TestPrices(t *testing.T) {
	for name, c := range map[string]struct {
		won, shown string
		want       campaign.Nanos
	}{
		"stated":               {"", "4.25", 4_250_000},
		"more than bid":        {"", "99", 5_000_000},
		"never stated":         {"", "", 5_000_000},
		"macro left in":        {"", "${AUCTION_PRICE}", 5_000_000},
		"stated when won":      {"4.1", "", 4_100_000},
		"the last one counts":  {"4.1", "4.2", 4_200_000},
		"below a micro":        {"", "4.2500009", 4_250_000},
		"won at more than bid": {"99", "", 5_000_000},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			line := w.campaign(5_000_000, 10_000_000, 9)
			b := w.bid()
			if c.won != "" {
				w.must(w.call(b.Won, c.won))
			}
			w.must(w.call(b.Shown, c.shown))
			if got := w.spent(line); got != c.want {
				t.Errorf("spent %d nanos, want %d", got, c.want)
			}
		})
	}
}

func TestParsePrice(t *testing.T) {
	for text, want := range map[string]campaign.Micros{"0": 0, "1": 1_000_000, "0.000001": 1, "12.345678": 12_345_678, "3.": 3_000_000} {
		if got, err := bid.ParsePrice(text); got != want || err != nil {
			t.Errorf("ParsePrice(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", ".5", "-1", "+1", "1e3", "NaN", "0x1", "1,5", "1.2.3", " 1", "99999999999999999999999999", "９"} {
		if got, err := bid.ParsePrice(text); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("ParsePrice(%q) = %d, %v", text, got, err)
		}
	}
}

func TestNoticesAreSigned(t *testing.T) {
	w := newWorld(t, 1)
	line := w.campaign(5_000_000, 10_000_000, 9)
	b, other := w.bid(), w.bid()
	won, _ := url.Parse(b.Won)
	for name, q := range map[string]url.Values{
		"nothing": {}, "made up": {"sig": {"AAAA"}}, "the win's": {"sig": {won.Query().Get("sig")}}, "another bid's": mustQuery(other.Shown),
	} {
		if err := w.bidder.Impression(t.Context(), b.ID, q); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := w.call(b.Shown, "a lot"); aloud.ErrorCode(err) != aloud.EINVALID {
		t.Errorf("a price that is none: %v", err)
	}
	if w.spent(line) != 0 {
		t.Error("money was spent on notices that nobody signed")
	}
}

func mustQuery(address string) url.Values {
	u, _ := url.Parse(address)
	return u.Query()
}

// However many bid at once, and whatever becomes of the bids, the day's budget
// holds, across restarts.
func TestNoBudgetIsOverspent(t *testing.T) {
	w := newWorld(t, 1)
	const cpm, impressions = 5_000_000, 150
	line := w.campaign(cpm, impressions*cpm/1000, campaign.MaxCap)
	var made, billed atomic.Int64
	round := func(workers, each int) {
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for range each {
					bids, _ := w.bidder.Decide(t.Context(), request())
					for _, b := range bids {
						made.Add(1)
						switch rand.IntN(3) {
						case 0:
							if err := w.call(b.Shown, "5"); err == nil {
								billed.Add(1)
							}
						case 1:
							if err := w.call(b.Won, "4.5"); err != nil {
								t.Error(err)
							}
						}
					}
				}
			})
		}
		wg.Wait()
	}
	round(8, 40)
	if made.Load() != impressions {
		t.Errorf("%d bids are open or billed, the budget is for %d", made.Load(), impressions)
	}
	for range 3 {
		w.bidder.Close()
		w.open()
		round(4, 10)
	}
	if made.Load() != impressions {
		t.Errorf("after restarts %d bids were made, the budget is for %d", made.Load(), impressions)
	}
	// What nobody billed is free again after Hold, and can be bid and billed.
	w.advance(bid.Hold + 2*time.Second)
	for range 20 {
		round(8, 40)
		w.advance(bid.Hold + 2*time.Second)
	}
	if got, limit := w.spent(line), campaign.Nanos(impressions*cpm); got > limit || got != campaign.Nanos(billed.Load())*cpm {
		t.Errorf("spent %d of %d; %d were billed", got, limit, billed.Load())
	}
	if billed.Load() != impressions {
		t.Errorf("only %d of %d were billed: money was lost", billed.Load(), impressions)
	}
}

// A bid whose write a crash prevented can't be billed, and its money is free.
func TestCrashBeforeTheWrite(t *testing.T) {
	w := newWorld(t, 1)
	w.campaign(5_000_000, 5_000, 9)
	w.journal = broken{w.store}
	w.reopen(w.index)
	lost := w.bid()
	w.journal = w.store
	w.reopen(w.index)
	if err := w.call(lost.Shown, "5"); aloud.ErrorCode(err) != aloud.ENOTFOUND {
		t.Errorf("a bid without a record was billed: %v", err)
	}
	w.must(w.call(w.bid().Shown, "5"))
}

// A bid that is on record survives a restart: it can be billed, and holds its
// money and its place under the cap until then.
func TestRestartKeepsOpenBids(t *testing.T) {
	w := newWorld(t, 1)
	line := w.campaign(5_000_000, 1_000_000, 1)
	b := w.bid()
	w.reopen(w.index)
	if _, why := w.bidder.Decide(t.Context(), request()); why != bid.Cap {
		t.Errorf("the open bid does not count to the cap: %q", why)
	}
	w.must(w.call(b.Shown, "5"))
	w.reopen(w.index)
	w.must(w.call(b.Shown, "5"))
	if _, why := w.bidder.Decide(t.Context(), request()); why != bid.Cap || w.spent(line) != 5_000_000 {
		t.Errorf("%q, spent %d", why, w.spent(line))
	}
}

func TestLateBillingIsRefused(t *testing.T) {
	w := newWorld(t, 1)
	line := w.campaign(5_000_000, 10_000_000, 9)
	b := w.bid()
	w.advance(bid.Hold + time.Second)
	if err := w.call(b.Shown, "5"); aloud.ErrorCode(err) != aloud.EEXPIRED {
		t.Errorf("billed after %s: %v", bid.Hold, err)
	}
	if w.spent(line) != 0 {
		t.Error("money was spent")
	}
}

func TestCapAndBudgetAreOfADay(t *testing.T) {
	w := newWorld(t, 1)
	w.campaign(5_000_000, 5_000, 1)
	w.must(w.call(w.bid().Shown, "5"))
	if _, why := w.bidder.Decide(t.Context(), request()); why != bid.Cap {
		t.Errorf("got %q", why)
	}
	w.advance(12*time.Hour + time.Second)
	w.bid()
}

// An impression is billed though its record fails; the record follows.
func TestTheRecordFollows(t *testing.T) {
	w := newWorld(t, 1)
	w.campaign(5_000_000, 10_000_000, 9)
	b := w.bid()
	w.outbox.err = aloud.Errorf(aloud.EUNAVAILABLE, "the outbox is full")
	w.must(w.call(b.Shown, "5"))
	w.outbox.err = nil
	if len(w.outbox.records) != 0 {
		t.Fatal("it was recorded")
	}
	w.reopen(w.index)
	if n := len(w.outbox.records[string(b.ID)]); n != 1 {
		t.Errorf("%d records after the restart", n)
	}
	w.must(w.bidder.Sweep(t.Context()))
	if n := len(w.outbox.records[string(b.ID)]); n != 1 {
		t.Errorf("%d records after another sweep", n)
	}
}

func TestConcurrentNoticesOfOneBid(t *testing.T) {
	w := newWorld(t, 1)
	line := w.campaign(5_000_000, 10_000_000, 9)
	b := w.bid()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if err := w.call(b.Shown, "5"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := w.spent(line); got != 5_000_000 {
		t.Errorf("spent %d", got)
	}
	if n := len(w.outbox.records[string(b.ID)]); n != 1 {
		t.Errorf("%d records", n)
	}
}
