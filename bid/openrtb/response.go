package openrtb

import (
	"context"
	"encoding/json"
	"html"
	"regexp"
	"strings"

	"github.com/prebid/openrtb/v20/openrtb2"

	"aloud.example/aloud"
	"aloud.example/aloud/bid"
	"aloud.example/aloud/campaign"
)

// Decider is what answers; *bid.Bidder is one.
type Decider interface {
	Decide(ctx context.Context, r bid.Request) ([]bid.Bid, bid.Reason)
}

// Exchange answers requests in bytes.
type Exchange struct {
	Bidder Decider
}

// Bid answers one request. Without a bid the response is nil and noBid says why.
func (x Exchange) Bid(ctx context.Context, request []byte) (response []byte, noBid string, err error) {
	r, err := Parse(request)
	if err != nil {
		return nil, "", err
	}
	bids, why := x.Bidder.Decide(ctx, r)
	if len(bids) == 0 {
		return nil, string(why), nil
	}
	response, err = Response(r.ID, bids)
	return response, "", err
}

// Response writes bids, by advertiser.
func Response(id string, bids []bid.Bid) ([]byte, error) {
	out := openrtb2.BidResponse{ID: id, Cur: currency}
	seats := map[aloud.AdvertiserID]int{}
	for _, b := range bids {
		seat := b.Offer.Advertiser
		i, ok := seats[seat.ID]
		if !ok {
			i = len(out.SeatBid)
			seats[seat.ID] = i
			out.SeatBid = append(out.SeatBid, openrtb2.SeatBid{Seat: string(seat.ID)})
		}
		out.SeatBid[i].Bid = append(out.SeatBid[i].Bid, openrtb2.Bid{
			ID: string(b.ID), ImpID: b.Imp, Price: float64(b.CPM) / 1e6, NURL: b.Won, BURL: b.Shown,
			AdM: markup(b.Creative, seat), MType: openrtb2.MarkupBanner, ADomain: []string{seat.Domain},
			CID: string(b.Offer.Campaign), CrID: string(b.Creative.ID), W: int64(b.Creative.Width), H: int64(b.Creative.Height),
			Exp: int64(b.Expires.Seconds()),
		})
	}
	data, err := json.Marshal(out)
	if err != nil {
		return nil, aloud.Errorf(aloud.EINTERNAL, "write the bid response: %w", err)
	}
	return data, nil
}

// clickMacro is where an exchange counts clicks.
const clickMacro = "${CLICK_URL}"

// ownLink finds the start of a link in HTML.
var ownLink = regexp.MustCompile(`(?i)<a[\s/>]`)

// markup is the banner, which leads to its landing page: the advertiser's HTML
// inside a link, unless it has a link of its own (links can't be nested) or
// places the address itself by the macro ${LANDING_URL}.
func markup(k campaign.Creative, a campaign.Advertiser) string {
	landing := k.Landing
	if landing == "" {
		landing = "https://" + a.Domain
	}
	landing = html.EscapeString(landing)
	if strings.Contains(k.HTML, "${LANDING_URL}") || strings.Contains(k.HTML, clickMacro) {
		return strings.ReplaceAll(k.HTML, "${LANDING_URL}", landing)
	}
	if ownLink.MatchString(k.HTML) {
		return k.HTML
	}
	return `<a href="` + landing + `" target="_blank" rel="noopener noreferrer sponsored">` + k.HTML + `</a>`
}
