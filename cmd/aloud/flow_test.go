package main

import (
	"crypto/ed25519"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/proof"
	"aloud.example/aloud/signal"
)

// inDenver is a place in the middle of the test's territory.
const inDenverLat, inDenverLon = 39.7392, -104.9903

// bidRequest asks for a banner of 300 by 250 for a person, as an exchange does.
func bidRequest(buyerUID string) string {
	data, err := json.Marshal(map[string]any{
		"id": "auction-1", "tmax": 2000, "cur": []string{"USD"},
		"imp":  []any{map[string]any{"id": "1", "bidfloor": 0.5, "banner": map[string]any{"w": 300, "h": 250}}},
		"site": map[string]any{"domain": "news.example"},
		"user": map[string]any{"buyeruid": buyerUID},
	})
	if err != nil {
		panic(err)
	}
	return string(data)
}

// bidResponse is what the test reads of a response.
type bidResponse struct {
	SeatBid []struct {
		Bid []struct {
			ID, NURL, BURL, AdM string
			Price               float64
			ADomain             []string
		}
	}
}

// noBid demands a 204 and returns its reason.
func (s *service) noBid(t testing.TB, request string) string {
	t.Helper()
	return s.must(t, http.StatusNoContent, http.MethodPost, "/openrtb2/bid", request, nil).Get("X-Aloud-No-Bid")
}

// advertise puts an audience and a campaign to it in force, which each person
// may see so often a day.
func (s *service) advertise(t testing.TB, frequency int) (audience aloud.AudienceID) {
	t.Helper()
	var made struct{ ID string }
	s.must(t, http.StatusCreated, http.MethodPost, "/v1/audiences", map[string]any{
		"name": "New furnace, Denver", "category": "home.hvac", "stages": []string{"need", "research", "ready"}, "window_seconds": 7 * 86400,
		"territory": map[string]any{"lat": inDenverLat, "lon": inDenverLon, "miles": 10},
	}, &made)
	audience = aloud.AudienceID(made.ID)
	s.must(t, http.StatusCreated, http.MethodPost, "/v1/advertisers", map[string]any{"name": "Furnace Co", "domain": "furnace.example"}, &made)
	s.must(t, http.StatusCreated, http.MethodPost, "/v1/campaigns", map[string]any{
		"advertiser": made.ID, "name": "Winter", "lines": []any{map[string]any{
			"audience": audience, "cpm_micros": 5_000_000, "daily_budget_micros": 1_000_000_000_000, "frequency_cap": frequency,
			"creatives": []any{map[string]any{"html": "<b>Warm again</b>", "w": 300, "h": 250}},
		}},
	}, nil)
	return audience
}

// size is an audience's size in the server's words.
func (s *service) size(t testing.TB, id aloud.AudienceID) (size string, usable bool) {
	t.Helper()
	var a struct {
		Size   string
		Usable bool
	}
	s.must(t, http.StatusOK, http.MethodGet, "/v1/audiences/"+string(id), nil, &a)
	return a.Size, a.Usable
}

// TestWholeFlow goes the whole way, over HTTP alone: 60 people agree and are
// heard, an auction is won, the proof holds, a withdrawal ends the bids, an
// erasure ends the rest. The audience is the real minimum of 50.
func TestWholeFlow(t *testing.T) {
	n := startNode(t, t.TempDir())
	s := serviceAt(t, n.URL, n.Config.Data, time.Now)
	audience := s.advertise(t, 10)
	cell, err := signal.CellAt(inDenverLat, inDenverLon)
	if err != nil {
		t.Fatal(err)
	}
	heard := func(p *participant, stage aloud.Stage, where signal.Cell) {
		t.Helper()
		now := time.Now()
		var r results
		s.must(t, http.StatusOK, http.MethodPost, "/v1/signals", batch(p.says(t, "home.hvac", stage, now, now, aloud.SourceFile, where)), &r)
		if r.Results[0].Status != "accepted" {
			t.Fatalf("%+v", r)
		}
	}
	people := make([]*participant, 60)
	for i := range people {
		people[i] = s.join(t)
		if people[i].buyerUID == "" {
			t.Fatal("no identifier was issued for ads")
		}
	}
	first := people[0]
	if why := s.noBid(t, bidRequest(first.buyerUID)); why != "no_match" {
		t.Fatalf("before anything was heard: %s", why)
	}
	for _, p := range people[:49] {
		heard(p, aloud.StageNeed, cell)
	}
	eventually(t, 5*time.Second, "49 members are too few", func() bool { return s.noBid(t, bidRequest(first.buyerUID)) == "below_minimum" })
	if size, usable := s.size(t, audience); size != "fewer than 60" || usable {
		t.Fatalf("an audience of 49 is %q, usable %v", size, usable)
	}
	far, err := signal.CellAt(41.8781, -87.6298)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, nowhere := s.join(t), s.join(t)
	heard(elsewhere, aloud.StageReady, far)
	heard(nowhere, aloud.StageReady, "")
	for _, p := range people[49:] {
		heard(p, aloud.StageResearch, cell)
	}
	eventually(t, 5*time.Second, "60 members", func() bool { _, usable := s.size(t, audience); return usable })
	for name, p := range map[string]*participant{"elsewhere": elsewhere, "who gave no place": nowhere} {
		if why := s.noBid(t, bidRequest(p.buyerUID)); why != "no_match" {
			t.Errorf("a participant %s: %s", name, why)
		}
	}

	evidence, bid := s.winAuction(t, first.buyerUID)
	trust := proof.Trust{ServerKeys: []ed25519.PublicKey{s.serverKey(t)}, LogVKey: s.notice.LogVKey}
	report, err := proof.Verify(evidence, trust)
	if err != nil {
		t.Fatalf("the evidence does not hold: %v\n%+v", err, report)
	}
	if report.Bid != bid || report.Category != "home.hvac" || !report.Simulated {
		t.Errorf("the report is about something else: %+v", report)
	}
	if strings.Contains(string(evidence), first.buyerUID) {
		t.Error("the evidence names the identifier that exchanges know")
	}
	for _, i := range []int{len(evidence) / 7, len(evidence) / 3, len(evidence) / 2, len(evidence) - 20} {
		flipped := append([]byte{}, evidence...)
		flipped[i] ^= 1
		if _, err := proof.Verify(flipped, trust); err == nil {
			t.Errorf("with byte %d flipped the evidence still holds", i)
		}
	}

	// Withdrawal: the next bid is not made, and nothing more is counted.
	s.must(t, http.StatusOK, http.MethodPost, "/v1/withdrawals", first.withdraws(t, consent.PurposePersonaliseAds, time.Now()), nil)
	if why := s.noBid(t, bidRequest(first.buyerUID)); why != "no_match" && why != "no_consent" {
		t.Fatalf("after the withdrawal: %s", why)
	}
	// Erasure: everything of the person is gone, evidence included.
	second := people[1]
	_, bid = s.winAuction(t, second.buyerUID)
	s.must(t, http.StatusOK, http.MethodPost, "/v1/erasures", second.erases(t, time.Now()), nil)
	if why := s.noBid(t, bidRequest(second.buyerUID)); why != "no_match" && why != "no_consent" {
		t.Fatalf("after the erasure: %s", why)
	}
	now := time.Now()
	s.refused(t, http.StatusForbidden, http.MethodPost, "/v1/signals", batch(second.says(t, "home.hvac", aloud.StageNeed, now, now, aloud.SourceFile, cell)), "erased")
	s.refused(t, http.StatusForbidden, http.MethodPost, "/v1/consents", second.receipt, "erased")
	s.refused(t, http.StatusNotFound, http.MethodGet, "/v1/evidence/"+string(bid), nil, "")
	eventually(t, 5*time.Second, "no file names the erased participant", func() bool { return !anyFileHolds(t, n.Config.Data, string(second.id)) })

	// What is left survives a restart.
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	again := startNode(t, n.Config.Data)
	s.url = again.URL
	if why := s.noBid(t, bidRequest(first.buyerUID)); why != "no_match" {
		t.Errorf("after a restart, the withdrawn participant: %s", why)
	}
	s.winAuction(t, people[2].buyerUID)
}

// winAuction asks for a bid, wins, shows the ad, and waits for the evidence.
func (s *service) winAuction(t testing.TB, buyerUID string) (evidence []byte, id aloud.BidID) {
	t.Helper()
	var r bidResponse
	s.must(t, http.StatusOK, http.MethodPost, "/openrtb2/bid", bidRequest(buyerUID), &r)
	if len(r.SeatBid) != 1 || len(r.SeatBid[0].Bid) != 1 {
		t.Fatalf("the response: %+v", r)
	}
	b := r.SeatBid[0].Bid[0]
	id = aloud.BidID(b.ID)
	if b.Price != 5 || b.ADomain[0] != "furnace.example" || !strings.Contains(b.AdM, "Warm again") {
		t.Fatalf("the bid: %+v", b)
	}
	for _, address := range []string{b.NURL, b.BURL} {
		u, err := url.Parse(strings.ReplaceAll(address, "${AUCTION_PRICE}", "4.25"))
		if err != nil || !strings.HasPrefix(address, s.url+"/v1/") {
			t.Fatalf("the notice address %s: %v", address, err)
		}
		path := u.Path + "?" + u.RawQuery
		s.must(t, http.StatusNoContent, http.MethodGet, path, nil, nil)
		s.must(t, http.StatusNoContent, http.MethodGet, path, nil, nil) // once or twice is the same
		s.refused(t, http.StatusForbidden, http.MethodGet, strings.Replace(path, "sig=", "sig=x", 1), nil, "signature")
	}
	took := eventually(t, 10*time.Second, "the evidence is complete", func() bool {
		status, header, data, err := s.call(t.Context(), http.MethodGet, "/v1/evidence/"+b.ID, nil)
		if err != nil || status != http.StatusOK && (status != http.StatusAccepted || header.Get("Retry-After") == "") {
			t.Fatalf("evidence: %d %v %s", status, err, data)
		}
		evidence = data
		return status == http.StatusOK
	})
	t.Logf("the evidence (%d bytes) was complete after %s", len(evidence), took.Round(time.Millisecond))
	return evidence, id
}

// anyFileHolds looks through every file of a data directory.
func anyFileHolds(t testing.TB, dir, text string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // a file that went away meanwhile holds nothing
		}
		data, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(data), text) {
			found = true
			t.Logf("%s still holds it", filepath.Base(path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestBehaviour sends Segment calls for a participant who agreed to be matched,
// for one who did not, and for nobody, and reads the counts.
func TestBehaviour(t *testing.T) {
	n := startNode(t, t.TempDir())
	s := serviceAt(t, n.URL, n.Config.Data, time.Now)
	var source struct {
		WriteKey string `json:"write_key"`
	}
	s.must(t, http.StatusCreated, http.MethodPost, "/v1/sources", map[string]string{"name": "shop"}, &source)
	matched := s.join(t)
	private := s.join(t, consent.PurposeListen, consent.PurposeShareSignals, consent.PurposePersonaliseAds)
	track := func(user, message string) {
		t.Helper()
		body, err := json.Marshal(map[string]any{"event": "Order Completed", "userId": user, "messageId": message, "properties": map[string]any{"total": 5}})
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.URL+"/v1/track", strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.SetBasicAuth(source.WriteKey, "")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("track: %d", res.StatusCode)
		}
	}
	for _, message := range []string{"m1", "m2", "m1"} {
		track(matched.userID, message)
	}
	if matched.userID == matched.buyerUID || private.userID != "" {
		t.Error("the userId is not one issued for matching alone")
	}
	track(matched.buyerUID, "m3")
	track(private.buyerUID, "m4")
	track("nobody", "m5")
	_, _, metrics, err := s.call(t.Context(), http.MethodGet, "/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`aloud_events_total{result="accepted"} 2`, `aloud_events_total{result="duplicate"} 1`, `aloud_events_total{result="dropped"} 3`} {
		if !strings.Contains(string(metrics), line) {
			t.Errorf("the metrics lack %s", line)
		}
	}
	eventually(t, 5*time.Second, "the events are counted in the profile", func() bool {
		_, events, err := n.db.Profile(t.Context(), matched.id)
		if err != nil {
			t.Fatal(err)
		}
		return len(events) == 1 && events[0].Name == "Order Completed" && events[0].Count == 2
	})
}
