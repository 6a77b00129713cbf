package audience

import (
	"context"
	"encoding/json"
	"time"

	"golang.org/x/sync/errgroup"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
)

// AudienceStore keeps audiences, of which the database is the truth.
type AudienceStore interface {
	AddAudience(ctx context.Context, a Audience) error
	Audience(ctx context.Context, id aloud.AudienceID) (Audience, error)
	Audiences(ctx context.Context) ([]Audience, error)
	// Unpublished lists audiences whose rule is not in the stream yet.
	Unpublished(ctx context.Context) ([]Audience, error)
	SetPublished(ctx context.Context, id aloud.AudienceID) error
}

// Shelf is where audiences are made and found.
type Shelf struct {
	Store  AudienceStore
	Stream collector.Publisher
	Now    func() time.Time // nil is time.Now
}

// maxAudiences bounds the rules that every signal is held against.
const maxAudiences = 10_000

// Create keeps an audience and puts its rule in force in every partition. It
// fills in the id and the time where they are missing.
func (s *Shelf) Create(ctx context.Context, a Audience) (Audience, error) {
	if a.ID == "" {
		a.ID = aloud.NewAudienceID()
	}
	if a.Created.IsZero() {
		a.Created = s.now()
	}
	if err := a.Check(); err != nil {
		return Audience{}, err
	}
	all, err := s.Store.Audiences(ctx)
	if err != nil {
		return Audience{}, err
	}
	if len(all) >= maxAudiences {
		return Audience{}, aloud.Errorf(aloud.ELIMITED, "there are %d audiences already, which is the most there may be", maxAudiences)
	}
	if err := s.Store.AddAudience(ctx, a); err != nil {
		return Audience{}, err
	}
	return a, s.publish(ctx, a)
}

// PublishPending puts rules in force that a crash kept from it. It is called
// at each start.
func (s *Shelf) PublishPending(ctx context.Context) error {
	all, err := s.Store.Unpublished(ctx)
	if err != nil {
		return err
	}
	for _, a := range all {
		if err := s.publish(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

func (s *Shelf) publish(ctx context.Context, a Audience) error {
	rule, err := json.Marshal(a.Rule)
	if err != nil {
		return aloud.Errorf(aloud.EINTERNAL, "a rule can't be written: %w", err)
	}
	m := collector.Member{At: s.now(), Rule: &collector.RuleChange{Audience: a.ID, Rule: rule}}
	g, publishing := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for partition := range uint16(collector.Partitions) {
		g.Go(func() error {
			_, err := collector.PublishRule(publishing, s.Stream, partition, m)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return s.Store.SetPublished(ctx, a.ID)
}

// Get finds an audience.
func (s *Shelf) Get(ctx context.Context, id aloud.AudienceID) (Audience, error) {
	return s.Store.Audience(ctx, id)
}

// List lists all audiences, oldest first.
func (s *Shelf) List(ctx context.Context) ([]Audience, error) { return s.Store.Audiences(ctx) }

func (s *Shelf) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}
