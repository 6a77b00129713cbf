package bid

import (
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/campaign"
	"aloud.example/aloud/signal"
)

// Request is what a decision needs of a bid request, and no more.
type Request struct {
	ID         string
	BuyerUIDs  []string      // identifiers that may be ones that Aloud issued
	Imps       []Imp         // what is for sale
	Blocked    []string      // advertisers' domains that the publisher refuses
	Place      signal.Cell   // where the device says it is, if it knows; "" if not
	NotAllowed bool          // by a regulation or an opt-out that the request states
	Sensitive  bool          // the page is about a sensitive subject
	Foreign    bool          // another currency or kind of auction than ours
	Test       bool          // not billable
	Within     time.Duration // how long the exchange waits; 0 is not said
}

// Imp is one place for a banner.
type Imp struct {
	ID    string
	Sizes [][2]int        // width, height; none is any
	Floor campaign.Micros // CPM
}

// fits finds the creative of an offer for this place.
func (i Imp) fits(o *campaign.Offer) (campaign.Creative, bool) {
	for _, k := range o.Creatives {
		if len(i.Sizes) == 0 {
			return k, true
		}
		for _, s := range i.Sizes {
			if k.Width == s[0] && k.Height == s[1] {
				return k, true
			}
		}
	}
	return campaign.Creative{}, false
}

// Bid is one bid.
type Bid struct {
	ID       aloud.BidID
	Imp      string
	CPM      campaign.Micros
	Offer    *campaign.Offer
	Creative campaign.Creative
	Won      string // the address to call when it won (nurl)
	Shown    string // the address to call when it is billed (burl)
	Expires  time.Duration
}
