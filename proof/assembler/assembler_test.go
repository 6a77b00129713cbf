package assembler_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/bid"
	"aloud.example/aloud/campaign"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/internal/pipeline"
	"aloud.example/aloud/ledger/tiles"
	"aloud.example/aloud/proof"
	"aloud.example/aloud/proof/assembler"
	"aloud.example/aloud/signal"
)

// world is the server's whole way from a signal to evidence.
type world struct {
	t testing.TB
	*pipeline.Pipeline
	nanos     atomic.Int64
	key       ed25519.PrivateKey
	log       *tiles.Log
	bidder    *bid.Bidder
	assembler *assembler.Assembler
	trust     proof.Trust
	person    *pipeline.Person
	uid       string
}

func (w *world) now() time.Time { return time.Unix(0, w.nanos.Load()).UTC() }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestMain(m *testing.M) {
	tiles.UseLogger(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

func newWorld(t testing.TB, purposes ...consent.Purpose) *world {
	t.Helper()
	dir := t.TempDir()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	w := &world{t: t, key: key}
	w.must(err)
	w.nanos.Store(time.Now().Truncate(time.Second).UnixNano())
	w.Pipeline, err = pipeline.Start(t.Context(), pipeline.Config{Dir: dir, ServerKey: key, Now: w.now})
	w.must(err)
	t.Cleanup(func() { _ = w.Close() })
	skey, vkey, err := tiles.NewKey("aloud.example/log")
	w.must(err)
	w.log, err = tiles.Open(t.Context(), tiles.Config{Dir: filepath.Join(dir, "log"), Signer: skey, Verifier: vkey, Interval: 100 * time.Millisecond, Batch: 5 * time.Millisecond})
	w.must(err)
	t.Cleanup(func() { _ = w.log.Close(context.WithoutCancel(t.Context())) })

	shelf, err := campaign.NewShelf(t.Context(), w.Store, w.now)
	w.must(err)
	circle, err := audience.NewTerritory(40.73, -73.98, 20)
	w.must(err)
	a, err := w.Shelf.Create(t.Context(), audience.Audience{Name: "heaters", Rule: audience.Rule{Category: "home.hvac", Window: 24 * time.Hour, Territory: circle}})
	w.must(err)
	who, err := shelf.AddAdvertiser(t.Context(), campaign.Advertiser{Name: "Warm Homes", Domain: "warm.example"})
	w.must(err)
	_, err = shelf.AddCampaign(t.Context(), campaign.Campaign{Advertiser: who.ID, Name: "Heaters", Lines: []campaign.Line{{
		Audience: a.ID, CPM: 5_000_000, DailyBudget: 10_000_000, Cap: 9, Creatives: []campaign.Creative{{HTML: "<b>Warm</b>", Width: 300, Height: 250}},
	}}})
	w.must(err)
	w.bidder, err = bid.New(t.Context(), bid.Config{
		Members: w.Index, Audiences: w.Shelf, Books: shelf, Journal: w.Store, Purse: w.Store, Records: w.Records,
		NoticeKey: [32]byte{1}, Base: "https://bid.example", Now: w.now,
	})
	w.must(err)
	t.Cleanup(w.bidder.Close)
	w.assembler = &assembler.Assembler{Bids: w.Store, Records: w.Records, Log: w.log, Key: key, LogVKey: vkey}
	w.trust = proof.Trust{ServerKeys: []ed25519.PublicKey{key.Public().(ed25519.PublicKey)}, LogVKey: vkey}
	w.speak(purposes...)
	return w
}

// speak enrols somebody who says that they need a heater.
func (w *world) speak(purposes ...consent.Purpose) {
	w.t.Helper()
	w.person = pipeline.NewPerson(w.key)
	signed, err := w.person.Agree(w.now(), purposes...)
	w.must(err)
	answer, err := w.Collector.Consent(w.t.Context(), signed)
	w.must(err)
	w.person.Signed, w.uid = answer.Receipt, answer.BuyerUID
	w.nanos.Add(int64(time.Minute))
	heard := w.now()
	w.nanos.Add(int64(time.Minute))
	cell, err := signal.CellAt(40.7128, -74.0060)
	w.must(err)
	token, err := w.person.Signal(aloud.Intent{Category: "home.hvac", Stage: aloud.StageReady, Score: 0.9}, heard, w.now(), cell)
	w.must(err)
	if r := w.Collector.Signals(w.t.Context(), []string{token})[0]; r.Err != nil {
		w.t.Fatal(r.Err)
	}
	w.must(w.Settle(w.t.Context()))
	w.nanos.Add(int64(time.Second))
}

// bid makes one bid, and says why if it can't.
func (w *world) bid() (bid.Bid, bid.Reason) {
	w.t.Helper()
	w.Index.Beat()
	bids, why := w.bidder.Decide(w.t.Context(), bid.Request{ID: "r", BuyerUIDs: []string{w.uid}, Imps: []bid.Imp{{ID: "1"}}})
	if len(bids) == 0 {
		return bid.Bid{}, why
	}
	return bids[0], ""
}

func (w *world) bill(b bid.Bid) {
	w.t.Helper()
	u, err := url.Parse(strings.ReplaceAll(b.Shown, "${AUCTION_PRICE}", "4.2"))
	w.must(err)
	w.must(w.bidder.Impression(w.t.Context(), b.ID, u.Query()))
}

// evidence waits until it is complete.
func (w *world) evidence(id aloud.BidID) []byte {
	w.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		_, err := w.log.Drain(w.t.Context(), w.Records)
		w.must(err)
		data, err := w.assembler.Evidence(w.t.Context(), id)
		if err == nil {
			return data
		}
		if aloud.ErrorCode(err) != aloud.EPENDING {
			w.t.Fatal(err)
		}
	}
	w.t.Fatal("the evidence is not complete after 10 s")
	return nil
}

func TestFromSignalToProof(t *testing.T) {
	w := newWorld(t)
	b, why := w.bid()
	if why != "" {
		t.Fatal(why)
	}
	if _, err := w.assembler.Evidence(t.Context(), b.ID); aloud.ErrorCode(err) != aloud.ENOTFOUND {
		t.Errorf("before it is billed: %v", err)
	}
	w.bill(b)
	if _, err := w.assembler.Evidence(t.Context(), b.ID); aloud.ErrorCode(err) != aloud.EPENDING {
		t.Errorf("before it is logged: %v", err)
	}
	data := w.evidence(b.ID)
	report, err := proof.Verify(data, w.trust)
	if err != nil || report.Bid != b.ID || len(report.Steps) != 10 {
		t.Fatalf("%+v, %v", report, err)
	}
	if len(data) > 24<<10 {
		t.Errorf("the evidence has %d bytes", len(data))
	}
	for i := 0; i < len(data); i += 37 {
		bad := bytes.Clone(data)
		bad[i] ^= 4
		if _, err := proof.Verify(bad, w.trust); err == nil {
			t.Fatalf("byte %d was changed, and it passes", i)
		}
	}
}

func TestAMembershipEnteredAgainDoesNotSpoilOlderEvidence(t *testing.T) {
	w := newWorld(t)
	b, _ := w.bid()
	w.bill(b)
	// A renewed consent ends later, so the membership is entered again.
	w.nanos.Add(int64(time.Hour))
	signed, err := w.person.Agree(w.now())
	w.must(err)
	_, err = w.Collector.Consent(t.Context(), signed)
	w.must(err)
	w.must(w.Settle(t.Context()))
	if _, err := proof.Verify(w.evidence(b.ID), w.trust); err != nil {
		t.Error(err)
	}
	later, why := w.bid()
	if why != "" {
		t.Fatal(why)
	}
	w.bill(later)
	if _, err := proof.Verify(w.evidence(later.ID), w.trust); err != nil {
		t.Error(err)
	}
}

// Who agreed to ads only later is bid for under the renewed receipt, and the
// evidence has both.
func TestConsentToAdsGivenLater(t *testing.T) {
	w := newWorld(t, consent.PurposeListen, consent.PurposeShareSignals)
	if _, why := w.bid(); why != bid.NoMatch {
		t.Fatalf("without consent to ads: %q", why)
	}
	w.nanos.Add(int64(time.Minute))
	signed, err := w.person.Agree(w.now())
	w.must(err)
	answer, err := w.Collector.Consent(t.Context(), signed)
	w.must(err)
	w.uid = answer.BuyerUID
	w.must(w.Settle(t.Context()))
	w.nanos.Add(int64(time.Second))
	b, why := w.bid()
	if why != "" {
		t.Fatal(why)
	}
	w.bill(b)
	data := w.evidence(b.ID)
	if _, err := proof.Verify(data, w.trust); err != nil || !bytes.Contains(data, []byte(`"renewed":`)) {
		t.Error(err)
	}
	for i := 0; i < len(data); i += 41 {
		bad := bytes.Clone(data)
		bad[i] ^= 4
		if _, err := proof.Verify(bad, w.trust); err == nil {
			t.Fatalf("byte %d was changed, and it passes", i)
		}
	}
}

func TestWithdrawalAndErasureEndIt(t *testing.T) {
	for name, end := range map[string]func(w *world) error{
		"withdrawal": func(w *world) error {
			token, err := w.person.Withdraw(consent.PurposePersonaliseAds, w.now())
			w.must(err)
			return w.Collector.Withdraw(w.t.Context(), token)
		},
		"erasure": func(w *world) error {
			token, err := w.person.Erase(w.now())
			w.must(err)
			return w.Collector.Erase(w.t.Context(), token)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			b, _ := w.bid()
			open, _ := w.bid()
			w.bill(b)
			w.evidence(b.ID)
			w.must(end(w))
			if _, why := w.bid(); why == "" {
				t.Error("it bids although consent was withdrawn")
			}
			w.must(w.Settle(t.Context()))
			if _, err := w.assembler.Evidence(t.Context(), b.ID); aloud.ErrorCode(err) != aloud.ENOTFOUND {
				t.Errorf("the evidence is still there: %v", err)
			}
			w.bill(open) // shown before the withdrawal; it costs, but proves nothing about anyone
			if _, err := w.assembler.Evidence(t.Context(), open.ID); aloud.ErrorCode(err) != aloud.ENOTFOUND {
				t.Errorf("the open bid has evidence: %v", err)
			}
			if row, err := w.Store.Bid(t.Context(), b.ID); err != nil || name == "erasure" && (row.Participant != "" || row.Signal != "") {
				t.Errorf("the billed line names the participant: %+v, %v", row, err)
			}
		})
	}
}
