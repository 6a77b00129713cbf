package openrtb_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prebid/openrtb/v20/openrtb2"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/bid"
	"aloud.example/aloud/bid/openrtb"
	"aloud.example/aloud/campaign"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/identity"
	"aloud.example/aloud/store"
)

// record takes an impression's record and forgets it.
type record struct{}

func (record) Append(context.Context, aloud.ParticipantID, consent.Purpose, string, string, ...string) (int64, error) {
	return 1, nil
}

func (record) Find(context.Context, aloud.ParticipantID, string, string) ([]audience.Logged, error) {
	return nil, nil
}

// memory writes no bid down.
type memory struct{ bid.Journal }

func (memory) AddBids(context.Context, []bid.Row) error { return nil }

// people is how many participants there are; the first is the one in the cases.
const people = 2000

func uid(i int) string {
	if i == 0 {
		return "u_abcdefghijklmnopqrstuv"
	}
	return fmt.Sprintf("u_%022d", i)
}

// exchange is a bidder with participants near New York and one campaign at 5 dollars for 300 by 250.
func exchange(t testing.TB) openrtb.Exchange {
	const limit = campaign.MaxCap

	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	links := identity.NewIndex(0)
	index, err := audience.NewIndex(audience.IndexConfig{Links: links, Minimum: 1, Simulated: true, Now: clock})
	must(err)
	index.Beat()
	s, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "aloud.db"), Now: clock})
	must(err)
	t.Cleanup(func() { _ = s.Close() })
	circle, err := audience.NewTerritory(40.73, -73.98, 20)
	must(err)
	a := audience.Audience{ID: aloud.NewAudienceID(), Name: "heaters", Created: now, Rule: audience.Rule{Category: "home.hvac", Window: 24 * time.Hour, Territory: circle}}
	must(s.AddAudience(t.Context(), a))
	for i := range people {
		p := aloud.NewParticipantID()
		links.Put(identity.Link{Kind: collector.LinkBuyerUID, Value: uid(i), Participant: p, Source: "test", At: now})
		index.Set(p, []audience.Membership{{
			Audience: a.ID, Category: "home.hvac", Stage: aloud.StageReady, Signal: aloud.NewSignalID(), Heard: now, Until: now.Add(time.Hour),
		}})
	}
	shelf, err := campaign.NewShelf(t.Context(), s, clock)
	must(err)
	who, err := shelf.AddAdvertiser(t.Context(), campaign.Advertiser{Name: "Warm Homes", Domain: "warm.example"})
	must(err)
	_, err = shelf.AddCampaign(t.Context(), campaign.Campaign{Advertiser: who.ID, Name: "Heaters", Lines: []campaign.Line{{
		Audience: a.ID, CPM: 5_000_000, DailyBudget: campaign.MaxBudget, Cap: limit,
		Creatives: []campaign.Creative{{HTML: `<b>Warm & "cosy"</b>`, Width: 300, Height: 250, Landing: "https://warm.example/?a=1&b=2"}},
	}}})
	must(err)
	b, err := bid.New(t.Context(), bid.Config{
		Members: index, Audiences: &audience.Shelf{Store: s}, Books: shelf, Journal: memory{s}, Purse: s, Records: record{},
		NoticeKey: [32]byte{1}, Base: "https://bid.example", Now: clock,
	})
	must(err)
	t.Cleanup(b.Close)
	return openrtb.Exchange{Bidder: b}
}

// TestCases runs testdata/cases, which doubles as documentation.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*.json")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	x := exchange(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			var c struct {
				About   string
				Request json.RawMessage
				Want    struct {
					Bids  map[string]float64
					NoBid string `json:"no_bid"`
					Error string
				}
			}
			data, err := os.ReadFile(file)
			if err == nil {
				err = json.Unmarshal(data, &c)
			}
			if err != nil || c.About == "" {
				t.Fatal(err, "a case says what it is about")
			}
			response, noBid, err := x.Bid(t.Context(), c.Request)
			if c.Want.Error != "" {
				if aloud.ErrorCode(err) != aloud.EINVALID || !strings.Contains(err.Error(), c.Want.Error) {
					t.Errorf("error %v, want one with %q", err, c.Want.Error)
				}
				return
			}
			if err != nil || noBid != c.Want.NoBid || (response == nil) != (noBid != "") {
				t.Fatalf("no-bid %q, error %v, want no-bid %q", noBid, err, c.Want.NoBid)
			}
			if response != nil {
				checkResponse(t, response, c.Want.Bids)
			}
		})
	}
}

func checkResponse(t *testing.T, response []byte, want map[string]float64) {
	t.Helper()
	var r openrtb2.BidResponse
	if err := json.Unmarshal(response, &r); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, s := range r.SeatBid {
		for _, b := range s.Bid {
			got[b.ImpID] = b.Price
			if !aloud.BidID(b.ID).Valid() || b.W != 300 || b.H != 250 || len(b.ADomain) != 1 || b.ADomain[0] != "warm.example" || b.Exp != 300 ||
				b.MType != openrtb2.MarkupBanner || !aloud.CreativeID(b.CrID).Valid() || !aloud.CampaignID(b.CID).Valid() {
				t.Errorf("bid: %+v", b)
			}
			if !strings.HasPrefix(b.NURL, "https://bid.example/v1/win/"+b.ID+"?sig=") || !strings.HasPrefix(b.BURL, "https://bid.example/v1/imp/"+b.ID+"?sig=") ||
				!strings.HasSuffix(b.BURL, "&price=${AUCTION_PRICE}") {
				t.Errorf("notices: %s, %s", b.NURL, b.BURL)
			}
			if b.AdM != `<a href="https://warm.example/?a=1&amp;b=2" target="_blank" rel="noopener noreferrer sponsored"><b>Warm & "cosy"</b></a>` {
				t.Errorf("markup: %s", b.AdM)
			}
		}
	}
	if r.Cur != "USD" || r.ID != "auction-1" || len(got) != len(want) {
		t.Errorf("response: %s", response)
	}
	for imp, price := range want {
		if math.Abs(got[imp]-price) > 1e-9 {
			t.Errorf("imp %s: %v, want %v", imp, got[imp], price)
		}
	}
	if strings.Contains(string(response), "p_") || strings.Contains(string(response), "u_abc") {
		t.Error("the response names the participant")
	}
}

func TestLinksAreNotNested(t *testing.T) {
	const open = `<a href="https://warm.example" target="_blank" rel="noopener noreferrer sponsored">`
	for html, want := range map[string]string{
		`<b>warm</b>`:                             open + `<b>warm</b></a>`,
		`<abbr>w</abbr>`:                          open + `<abbr>w</abbr></a>`,
		`<a href="https://warm.example/x">w</a>`:  `<a href="https://warm.example/x">w</a>`,
		"<div><A\nhref='https://x.example'>w</A>": "<div><A\nhref='https://x.example'>w</A>",
		`<a href="${LANDING_URL}">w</a>`:          `<a href="https://warm.example">w</a>`,
		`<a href="${CLICK_URL}">w</a>`:            `<a href="${CLICK_URL}">w</a>`,
	} {
		b := bid.Bid{Offer: &campaign.Offer{Advertiser: campaign.Advertiser{Domain: "warm.example"}}, Creative: campaign.Creative{HTML: html}}
		data, err := openrtb.Response("1", []bid.Bid{b})
		if err != nil {
			t.Fatal(err)
		}
		var r openrtb2.BidResponse
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatal(err)
		}
		if got := r.SeatBid[0].Bid[0].AdM; got != want {
			t.Errorf("%s became %s, want %s", html, got, want)
		}
	}
}

func TestLimits(t *testing.T) {
	many := func(n int, one string) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	for name, c := range map[string]struct {
		body string
		code aloud.Code
	}{
		"nothing":    {"", aloud.EINVALID},
		"cut short":  {`{"id":"a","imp":[{"id":"1"`, aloud.EINVALID},
		"too big":    {`{"id":"` + strings.Repeat("x", openrtb.MaxRequest) + `"}`, aloud.ETOOLARGE},
		"a long id":  {`{"id":"` + strings.Repeat("x", 300) + `","imp":[{"id":"1"}]}`, aloud.EINVALID},
		"many sizes": {`{"id":"a","imp":[{"id":"1","banner":{"format":[` + many(51, `{"w":1,"h":1}`) + `]}}]}`, aloud.EINVALID},
		"deep":       {strings.Repeat(`{"ext":`, 20_000) + "1" + strings.Repeat("}", 20_000), aloud.EINVALID},
		"a minus":    {`{"id":"a","imp":[{"id":"1","banner":{"w":-1,"h":1}}]}`, aloud.EINVALID},
	} {
		if _, err := openrtb.Parse([]byte(c.body)); aloud.ErrorCode(err) != c.code || len(err.Error()) > 300 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFloorsAreExact(t *testing.T) {
	for floor, want := range map[string]campaign.Micros{"5": 5_000_000, "0.1": 100_000, "0.07": 70_000, "1.1": 1_100_000, "4.9999999": 5_000_000, "0": 0, "2.3000001": 2_300_001} {
		r, err := openrtb.Parse([]byte(`{"id":"a","imp":[{"id":"1","banner":{},"bidfloor":` + floor + `}]}`))
		if err != nil || r.Imps[0].Floor != want {
			t.Errorf("floor %s: %d, %v, want %d", floor, r.Imps[0].Floor, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	if seeds, err := os.ReadDir("testdata/fuzz/FuzzParse"); err != nil || len(seeds) == 0 {
		f.Fatal("the seed corpus testdata/fuzz/FuzzParse is gone")
	}
	files, _ := filepath.Glob("testdata/cases/*.json")
	for _, file := range files {
		var c struct{ Request json.RawMessage }
		if data, err := os.ReadFile(file); err == nil && json.Unmarshal(data, &c) == nil {
			f.Add([]byte(c.Request))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := openrtb.Parse(body)
		if err != nil {
			if c := aloud.ErrorCode(err); c != aloud.EINVALID && c != aloud.ETOOLARGE {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		for _, i := range r.Imps {
			if i.Floor < 0 {
				t.Errorf("%q: a floor of %d", body, i.Floor)
			}
		}
	})
}

func benchmark(b *testing.B, x openrtb.Exchange, file, want string) {
	b.Helper()
	var c struct{ Request json.RawMessage }
	data, err := os.ReadFile("testdata/cases/" + file)
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	if err != nil {
		b.Fatal(err)
	}
	requests := make([][]byte, people)
	for i := range requests {
		requests[i] = bytes.ReplaceAll(c.Request, []byte(uid(0)), []byte(uid(i)))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_, noBid, err := x.Bid(b.Context(), requests[i%people])
		if err != nil || noBid != want {
			b.Fatal(noBid, err)
		}
	}
}

// empty decides nothing: what is left is reading and writing.
type empty struct{}

func (empty) Decide(context.Context, bid.Request) ([]bid.Bid, bid.Reason) { return nil, bid.NoMatch }

func BenchmarkBid(b *testing.B)   { benchmark(b, exchange(b), "site.json", "") }
func BenchmarkNoBid(b *testing.B) { benchmark(b, exchange(b), "no_bid_stranger.json", "no_match") }

func BenchmarkBidFloor(b *testing.B) {
	benchmark(b, openrtb.Exchange{Bidder: empty{}}, "site.json", "no_match")
}
