// Package profile keeps what a participant is in the market for: one weight for
// each category, which decays, and the latest signal of each stage.
//
// In: verified signals and behavioural events. Out: weights and stages, in the
// same transaction as the stream's sequence, so that a replay gives the same.
//
// A signal that says "bought" or "rejected" clears its category, and older
// signals that arrive after it count for nothing. Behavioural events are
// counted by name and never make anybody a member of anything. Time here is the
// time that was heard, never the clock's.
package profile

import (
	"context"
	"math"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/category"
	"aloud.example/aloud/signal"
)

// Weight is how much a participant is in the market for a category, as of At.
type Weight struct {
	Participant aloud.ParticipantID
	Category    aloud.Category
	Value       float64
	At          time.Time
}

// At is the weight decayed to t by the category's half-life.
func (w Weight) decayed(t time.Time, halfLife time.Duration) float64 {
	return w.Value * math.Exp2(-t.Sub(w.At).Hours()/halfLife.Hours())
}

// Now is what the weight is worth at t.
func (w Weight) Now(t time.Time) float64 {
	c, ok := category.BySlug(w.Category)
	if !ok || w.Value == 0 {
		return 0
	}
	return w.decayed(t, c.HalfLife)
}

// Heard is the latest signal of one participant, category and stage.
type Heard struct {
	Participant aloud.ParticipantID
	Category    aloud.Category
	Stage       aloud.Stage
	Signal      aloud.SignalID
	At          time.Time // when it was heard
	Cell        signal.Cell
}

// EventCount is how often a participant did something, by the event's name.
type EventCount struct {
	Participant  aloud.ParticipantID
	Source, Name string
	Count        int64
	Last         time.Time
}

// Tx is what profiles need of a transaction.
type Tx interface {
	Weight(ctx context.Context, p aloud.ParticipantID, c aloud.Category) (Weight, bool, error)
	PutWeight(ctx context.Context, w Weight) error
	Heard(ctx context.Context, p aloud.ParticipantID, c aloud.Category) ([]Heard, error)
	PutHeard(ctx context.Context, h Heard) error
	DropCategory(ctx context.Context, p aloud.ParticipantID, c aloud.Category) error
	AddEvent(ctx context.Context, e EventCount) error
}

// Apply adds a signal to its participant's profile. It reports false if the
// signal is older than the one that ended the category, and so counts for
// nothing.
func Apply(ctx context.Context, tx Tx, s signal.Signal) (bool, error) {
	cat, ok := category.BySlug(s.Category)
	if !ok {
		return false, aloud.Errorf(aloud.EINVALID, "a signal in the unknown category %.40q", s.Category)
	}
	heard, err := tx.Heard(ctx, s.Participant, s.Category)
	if err != nil {
		return false, err
	}
	for _, h := range heard {
		if !h.Stage.InMarket() && !s.HeardAt.After(h.At) {
			return false, nil
		}
	}
	if !s.Stage.InMarket() {
		if err := end(ctx, tx, s, heard); err != nil {
			return false, err
		}
		return true, nil
	}
	for _, h := range heard {
		if h.Stage == s.Stage && h.At.After(s.HeardAt) {
			return true, addWeight(ctx, tx, s, cat.HalfLife) // counts, but is not the latest
		}
	}
	if err := tx.PutHeard(ctx, heardOf(s)); err != nil {
		return false, err
	}
	return true, addWeight(ctx, tx, s, cat.HalfLife)
}

// end clears a category up to the moment of a "bought" or "rejected". What was
// heard after it stays.
func end(ctx context.Context, tx Tx, s signal.Signal, heard []Heard) error {
	if err := tx.DropCategory(ctx, s.Participant, s.Category); err != nil {
		return err
	}
	for _, h := range heard {
		if h.Stage.InMarket() && h.At.After(s.HeardAt) {
			if err := tx.PutHeard(ctx, h); err != nil {
				return err
			}
		}
	}
	return tx.PutHeard(ctx, heardOf(s))
}

func heardOf(s signal.Signal) Heard {
	return Heard{Participant: s.Participant, Category: s.Category, Stage: s.Stage, Signal: s.ID, At: s.HeardAt, Cell: s.Cell}
}

// addWeight adds a signal's score, both decayed to the later of their times.
func addWeight(ctx context.Context, tx Tx, s signal.Signal, halfLife time.Duration) error {
	w, ok, err := tx.Weight(ctx, s.Participant, s.Category)
	if err != nil {
		return err
	}
	add := Weight{Participant: s.Participant, Category: s.Category, Value: s.Score, At: s.HeardAt}
	switch {
	case !ok:
		w = add
	case s.HeardAt.After(w.At):
		add.Value += w.decayed(s.HeardAt, halfLife)
		w = add
	default:
		w.Value += add.decayed(w.At, halfLife)
	}
	return tx.PutWeight(ctx, w)
}
