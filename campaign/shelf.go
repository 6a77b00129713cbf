package campaign

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"aloud.example/aloud"
)

// Store keeps advertisers and campaigns, of which it is the truth; *store.Store
// is one.
type Store interface {
	AddAdvertiser(ctx context.Context, a Advertiser) error
	AddCampaign(ctx context.Context, c Campaign) error
	SetCampaignState(ctx context.Context, id aloud.CampaignID, s State) error
	Advertisers(ctx context.Context) ([]Advertiser, error)
	Campaigns(ctx context.Context) ([]Campaign, error)
}

// Shelf is where campaigns are made and found, with the Book of what runs.
type Shelf struct {
	store Store
	now   func() time.Time
	mu    sync.Mutex // one change at a time
	book  atomic.Pointer[Book]
}

// NewShelf reads what there is. now is time.Now if nil.
func NewShelf(ctx context.Context, s Store, now func() time.Time) (*Shelf, error) {
	if now == nil {
		now = time.Now
	}
	shelf := &Shelf{store: s, now: now}
	return shelf, shelf.reload(ctx)
}

// Book is what may run now.
func (s *Shelf) Book() *Book { return s.book.Load() }

// AddAdvertiser keeps an advertiser. It fills in the id where it is missing.
func (s *Shelf) AddAdvertiser(ctx context.Context, a Advertiser) (Advertiser, error) {
	if a.ID == "" {
		a.ID = aloud.NewAdvertiserID()
	}
	if err := a.Check(); err != nil {
		return Advertiser{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.store.AddAdvertiser(ctx, a); err != nil {
		return Advertiser{}, err
	}
	return a, s.reload(ctx)
}

// AddCampaign keeps a campaign and lets it run. It fills in ids, the state and
// the time where they are missing.
func (s *Shelf) AddCampaign(ctx context.Context, c Campaign) (Campaign, error) {
	c = s.complete(c)
	if err := c.Check(); err != nil {
		return Campaign{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known, err := s.store.Advertisers(ctx)
	if err != nil {
		return Campaign{}, err
	}
	if !slices.ContainsFunc(known, func(a Advertiser) bool { return a.ID == c.Advertiser }) {
		return Campaign{}, aloud.Errorf(aloud.ENOTFOUND, "there is no advertiser %s; add the advertiser first", c.Advertiser)
	}
	if err := s.store.AddCampaign(ctx, c); err != nil {
		return Campaign{}, err
	}
	return c, s.reload(ctx)
}

func (s *Shelf) complete(c Campaign) Campaign {
	if c.ID == "" {
		c.ID = aloud.NewCampaignID()
	}
	if c.State == "" {
		c.State = Active
	}
	if c.Created.IsZero() {
		c.Created = s.now().UTC()
	}
	c.Lines = slices.Clone(c.Lines)
	for i := range c.Lines {
		l := &c.Lines[i]
		if l.ID == "" {
			l.ID = aloud.NewLineID()
		}
		l.Creatives = slices.Clone(l.Creatives)
		for j := range l.Creatives {
			if l.Creatives[j].ID == "" {
				l.Creatives[j].ID = aloud.NewCreativeID()
			}
		}
	}
	return c
}

// SetState pauses a campaign, lets it run again, or ends it.
func (s *Shelf) SetState(ctx context.Context, id aloud.CampaignID, state State) error {
	if state != Active && state != Paused && state != Ended {
		return aloud.Errorf(aloud.EINVALID, "a campaign is active, paused or ended, not %.20q", state)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.store.SetCampaignState(ctx, id, state); err != nil {
		return err
	}
	return s.reload(ctx)
}

// Campaigns lists all, oldest first.
func (s *Shelf) Campaigns(ctx context.Context) ([]Campaign, error) { return s.store.Campaigns(ctx) }

// Advertisers lists all, oldest first.
func (s *Shelf) Advertisers(ctx context.Context) ([]Advertiser, error) {
	return s.store.Advertisers(ctx)
}

func (s *Shelf) reload(ctx context.Context) error {
	advertisers, err := s.store.Advertisers(ctx)
	if err != nil {
		return err
	}
	campaigns, err := s.store.Campaigns(ctx)
	if err != nil {
		return err
	}
	book, err := NewBook(advertisers, campaigns)
	if err != nil {
		return err
	}
	s.book.Store(book)
	return nil
}
