//go:build cgo

package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"aloud.example/aloud"
)

// audienceView is what the demo reads of an audience.
type audienceView struct {
	ID     aloud.AudienceID `json:"id"`
	Size   string           `json:"size"`
	Usable bool             `json:"usable"`
}

// object is a JSON object of a request, as the API's own description has it.
type object = map[string]any

const (
	demoCategory = aloud.Category("home.hvac")
	demoWindow   = 14 * 24 * time.Hour
	demoCPM      = 8_000_000  // micros for 1000 impressions
	demoBudget   = 50_000_000 // micros a day
	demoCap      = 5          // impressions a person a day
)

// sell is the chapter in which an advertiser asks for an audience and puts a
// line on it.
func (d *demo) sell(ctx context.Context, f facts) error {
	var adv struct {
		ID aloud.AdvertiserID `json:"id"`
	}
	if _, _, err := d.server.call(ctx, http.MethodPost, "/v1/advertisers", object{"name": "Warm & Cool (simulated)", "domain": "warm-and-cool.example"}, &adv); err != nil {
		return err
	}
	d.story.say("Warm & Cool, who fit furnaces, ask for people heard in the last 14 days to be in the market for %s, within %d miles of %s:", demoCategory, territoryMiles, centreName)
	start := d.e.now()
	all, err := d.askAudience(ctx, adv.ID, "In the market", nil)
	if err != nil {
		return err
	}
	_, _, err = d.server.call(ctx, http.MethodPost, "/v1/campaigns", object{
		"advertiser": adv.ID, "name": "Winter (simulated)",
		"lines": []object{{
			"audience": all.ID, "cpm_micros": demoCPM, "daily_budget_micros": demoBudget, "frequency_cap": demoCap,
			"creatives": []object{{"html": `<a href="https://warm-and-cool.example/">A new furnace before winter (simulated)</a>`, "w": 300, "h": 250}},
		}},
	}, nil)
	if err != nil {
		return err
	}
	// Bids begin at 50 people, the shown size at 50 and a few more that are the
	// server's secret, so what is waited for is a bid.
	who := d.pick(false)
	if who == nil {
		return notHeld("somebody is in the audience")
	}
	err = until(ctx, 15*time.Second, "an audience of 50 or more", func() (bool, error) {
		_, reason, err := d.ask(ctx, who)
		return reason == "", err
	})
	if err != nil {
		return err
	}
	took := d.e.now().Sub(start)
	few, err := d.askAudience(ctx, adv.ID, "About to buy", []aloud.Stage{aloud.StageReady})
	if err != nil {
		return err
	}
	if _, _, err := d.server.call(ctx, http.MethodGet, "/v1/audiences/"+string(all.ID), nil, &all); err != nil {
		return err
	}
	near, away := d.sides()
	d.story.row("  need, research or ready   shown as %-16s  bid on after %.2f s", all.Size, took.Seconds())
	d.story.row("  ready only                shown as %-16s  not to be bid on", few.Size)
	d.story.say("Sizes are rounded to 10 with noise that is fixed for the rule, and shown only from 50 people and up to 9 more; nobody sees who is in it. (The story knows: %d were heard inside the circle, and %d live 40 miles away.)", near, away)
	if few.Usable {
		return notHeld("an audience of fewer than 50 people may not be used")
	}
	d.story.held("an audience of 50 or more; a line on it at $%.2f for 1000 impressions, $%.0f a day, at most %d a person", demoCPM/1e6, demoBudget/1e6, demoCap)
	f["size"], f["usable_seconds"], f["small_size"], f["inside"], f["outside"] = all.Size, took.Seconds(), few.Size, near, away
	return nil
}

func (d *demo) askAudience(ctx context.Context, who aloud.AdvertiserID, name string, stages []aloud.Stage) (view audienceView, err error) {
	rule := object{
		"name": name, "advertiser": who, "category": demoCategory, "window_seconds": int64(demoWindow / time.Second),
		"territory": object{"lat": centreLat, "lon": centreLon, "miles": territoryMiles},
	}
	if len(stages) > 0 {
		rule["stages"] = stages
	}
	_, _, err = d.server.call(ctx, http.MethodPost, "/v1/audiences", rule, &view)
	return view, err
}

// sides counts those whose signals were accepted, by where they live.
func (d *demo) sides() (near, away int) {
	for _, p := range d.people {
		switch {
		case p.accepted == 0:
		case p.away:
			away++
		default:
			near++
		}
	}
	return near, away
}

// auction is the one that was won.
type auction struct {
	who *person
	bid wonBid
}

// wonBid is what the demo reads of a bid response, as any exchange would.
type wonBid struct {
	ID      aloud.BidID `json:"id"`
	Price   float64     `json:"price"`
	Markup  string      `json:"adm"`
	Domains []string    `json:"adomain"`
	WinURL  string      `json:"nurl"`
	ShowURL string      `json:"burl"`
}

// bid is the chapter of the auction that is won.
func (d *demo) bid(ctx context.Context, f facts) error {
	who, stranger := d.pick(false), d.pick(true)
	if who == nil {
		return notHeld("somebody is in the audience")
	}
	d.auction.who = who
	d.story.say("A page that %s reads has room for a 300 x 250 banner. The exchange sends an OpenRTB 2.6 request with the identifier that was issued to them for exchanges, and a floor of $2.00:", who)
	var won wonBid
	var reason string
	var took time.Duration
	err := until(ctx, 15*time.Second, "a bid", func() (bool, error) {
		start := d.e.now()
		var err error
		won, reason, err = d.ask(ctx, who)
		took = d.e.now().Sub(start)
		return reason == "", err
	})
	if err != nil {
		return fmt.Errorf("%w (the last reason: %s)", err, reason)
	}
	d.auction.bid = won
	d.story.row("  POST /openrtb2/bid  ->  200  $%.2f, %s  (%.1f ms)", won.Price, strings.Join(won.Domains, ", "), ms(took))
	if won.Price < 2 || won.Markup == "" {
		return notHeld("a bid is over the floor and brings a banner")
	}
	if stranger != nil {
		_, reason, err := d.ask(ctx, stranger)
		if err != nil {
			return err
		}
		if reason == "" {
			return notHeld("%s, who lives 40 miles away, is not bid on", stranger)
		}
		d.story.row("  the same for %s, who lives 40 miles away  ->  204  %s", stranger, reason)
		f["outside_reason"] = reason
	}
	price := strconv.FormatFloat(won.Price, 'f', -1, 64)
	for _, notice := range []string{won.WinURL, won.ShowURL} {
		url := d.server.here(strings.ReplaceAll(notice, "${AUCTION_PRICE}", price))
		if _, _, err := d.server.call(ctx, http.MethodGet, url, nil, nil); err != nil {
			return err
		}
	}
	d.story.held("bid, won, shown and billed: $%.4f for one impression", won.Price/1000)
	f["bid"], f["price"], f["bid_ms"] = won.ID, won.Price, ms(took)
	return nil
}

// pick returns the first person with an accepted signal who lives inside the
// territory, or outside of it.
func (d *demo) pick(away bool) *person {
	for _, p := range d.people {
		if p.accepted > 0 && p.away == away {
			return p
		}
	}
	return nil
}

// here turns the address in a bid into one on this machine: a server behind a
// proxy names its public one.
func (s *demoServer) here(address string) string {
	if i := strings.Index(address, "/v1/"); i >= 0 {
		return s.url + address[i:]
	}
	return address
}

// ask sends one bid request for a person. Without a bid the reason is not
// empty.
func (d *demo) ask(ctx context.Context, p *person) (won wonBid, reason string, err error) {
	request := map[string]any{
		"id": string(aloud.NewBidID()), "at": 1, "tmax": 200, "cur": []string{"USD"},
		"imp": []any{map[string]any{
			"id": "1", "secure": 1, "bidfloor": 2.0, "bidfloorcur": "USD",
			"banner": map[string]any{"w": 300, "h": 250, "format": []any{map[string]int{"w": 300, "h": 250}}},
		}},
		"site": map[string]any{"domain": "news.example", "page": "https://news.example/weather"},
		"user": map[string]any{"buyeruid": p.buyerUID},
	}
	var response struct {
		SeatBid []struct {
			Bid []wonBid `json:"bid"`
		} `json:"seatbid"`
	}
	status, header, err := d.server.call(ctx, http.MethodPost, "/openrtb2/bid", request, &response)
	switch {
	case err != nil:
		return wonBid{}, "", err
	case status == http.StatusNoContent:
		if reason = header.Get("X-Aloud-No-Bid"); reason == "" {
			reason = "no reason given"
		}
		return wonBid{}, reason, nil
	case len(response.SeatBid) == 0 || len(response.SeatBid[0].Bid) == 0:
		return wonBid{}, "", notHeld("an answer of 200 holds a bid")
	}
	return response.SeatBid[0].Bid[0], "", nil
}
