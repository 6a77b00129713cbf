package campaign

import (
	"slices"

	"aloud.example/aloud"
)

// Offer is a line with all that a bid for it needs.
type Offer struct {
	Line
	Campaign   aloud.CampaignID
	Advertiser Advertiser
}

// Book holds every line of the active campaigns by audience, the dearest first.
// It never changes; a change makes a new one.
type Book struct {
	offers map[aloud.AudienceID][]*Offer
	lines  map[aloud.LineID]*Offer
}

// NewBook puts together what may run. A campaign whose advertiser is missing is
// an error.
func NewBook(advertisers []Advertiser, campaigns []Campaign) (*Book, error) {
	who := map[aloud.AdvertiserID]Advertiser{}
	for _, a := range advertisers {
		who[a.ID] = a
	}
	b := &Book{offers: map[aloud.AudienceID][]*Offer{}, lines: map[aloud.LineID]*Offer{}}
	for _, c := range campaigns {
		a, ok := who[c.Advertiser]
		if !ok {
			return nil, aloud.Errorf(aloud.ENOTFOUND, "the campaign %s has no such advertiser; add the advertiser first", c.ID)
		}
		if c.State != Active {
			continue
		}
		for _, l := range c.Lines {
			o := &Offer{Line: l, Campaign: c.ID, Advertiser: a}
			b.offers[l.Audience] = append(b.offers[l.Audience], o)
			b.lines[l.ID] = o
		}
	}
	for _, offers := range b.offers {
		slices.SortStableFunc(offers, func(x, y *Offer) int { return int(y.CPM - x.CPM) })
	}
	return b, nil
}

// For lists the offers for an audience, dearest first; not to be changed.
func (b *Book) For(a aloud.AudienceID) []*Offer { return b.offers[a] }

// Line finds an offer by its line.
func (b *Book) Line(id aloud.LineID) (*Offer, bool) {
	o, ok := b.lines[id]
	return o, ok
}

// Lines lists all offers in no order.
func (b *Book) Lines() []*Offer {
	out := make([]*Offer, 0, len(b.lines))
	for _, o := range b.lines {
		out = append(out, o)
	}
	return out
}
