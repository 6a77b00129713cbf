package profile_test

import (
	"context"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"aloud.example/aloud"
	"aloud.example/aloud/category"
	"aloud.example/aloud/profile"
	"aloud.example/aloud/signal"
)

// memory is a transaction over maps.
type memory struct {
	weights map[aloud.Category]profile.Weight
	heard   map[aloud.Category]map[aloud.Stage]profile.Heard
}

func newMemory() *memory {
	return &memory{map[aloud.Category]profile.Weight{}, map[aloud.Category]map[aloud.Stage]profile.Heard{}}
}

func (m *memory) Weight(_ context.Context, _ aloud.ParticipantID, c aloud.Category) (profile.Weight, bool, error) {
	w, ok := m.weights[c]
	return w, ok, nil
}

func (m *memory) PutWeight(_ context.Context, w profile.Weight) error {
	m.weights[w.Category] = w
	return nil
}

func (m *memory) Heard(_ context.Context, _ aloud.ParticipantID, c aloud.Category) (all []profile.Heard, _ error) {
	for _, h := range m.heard[c] {
		all = append(all, h)
	}
	return all, nil
}

func (m *memory) PutHeard(_ context.Context, h profile.Heard) error {
	if m.heard[h.Category] == nil {
		m.heard[h.Category] = map[aloud.Stage]profile.Heard{}
	}
	m.heard[h.Category][h.Stage] = h
	return nil
}

func (m *memory) DropCategory(_ context.Context, _ aloud.ParticipantID, c aloud.Category) error {
	delete(m.weights, c)
	delete(m.heard, c)
	return nil
}
func (m *memory) AddEvent(context.Context, profile.EventCount) error { return nil }

var start = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func said(stage aloud.Stage, at time.Time, score float64) signal.Signal {
	return signal.Signal{ID: aloud.NewSignalID(), Participant: "p", Category: "home.hvac", Stage: stage, Score: score, HeardAt: at}
}

func apply(t interface{ Fatal(...any) }, m *memory, s signal.Signal) bool {
	counts, err := profile.Apply(context.Background(), m, s)
	if err != nil {
		t.Fatal(err)
	}
	return counts
}

func halfLife() time.Duration {
	c, _ := category.BySlug("home.hvac")
	return c.HalfLife
}

func TestWeightDecays(t *testing.T) {
	m := newMemory()
	apply(t, m, said(aloud.StageNeed, start, 0.8))
	w := m.weights["home.hvac"]
	if got := w.Now(start.Add(halfLife())); math.Abs(got-0.4) > 1e-12 {
		t.Errorf("after a half-life 0.8 is worth %v", got)
	}
	apply(t, m, said(aloud.StageReady, start.Add(halfLife()), 0.5))
	if got := m.weights["home.hvac"].Value; math.Abs(got-0.9) > 1e-12 {
		t.Errorf("0.8 after a half-life and 0.5 make %v", got)
	}
}

// TestOrderDoesNotMatter: late signals weigh what they would have in time.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "n")
		signals := make([]signal.Signal, n)
		for i := range signals {
			stage := []aloud.Stage{aloud.StageNeed, aloud.StageResearch, aloud.StageReady}[rapid.IntRange(0, 2).Draw(t, "stage")]
			at := start.Add(time.Duration(rapid.IntRange(0, 30*24*3600).Draw(t, "at")) * time.Second)
			signals[i] = said(stage, at, float64(rapid.IntRange(1, 1000).Draw(t, "score"))/1000)
		}
		one, two := newMemory(), newMemory()
		for _, s := range signals {
			apply(t, one, s)
		}
		for _, s := range rapid.Permutation(signals).Draw(t, "order") {
			apply(t, two, s)
		}
		at := start.Add(31 * 24 * time.Hour)
		a, b := one.weights["home.hvac"].Now(at), two.weights["home.hvac"].Now(at)
		if math.Abs(a-b) > 1e-9*math.Max(a, 1) {
			t.Fatalf("weights %v and %v", a, b)
		}
		for stage, h := range one.heard["home.hvac"] {
			if !two.heard["home.hvac"][stage].At.Equal(h.At) {
				t.Fatalf("the latest %s differs", stage)
			}
		}
	})
}

func TestBoughtClears(t *testing.T) {
	for _, end := range []aloud.Stage{aloud.StageBought, aloud.StageRejected} {
		m := newMemory()
		apply(t, m, said(aloud.StageNeed, start, 0.8))
		later := said(aloud.StageNeed, start.Add(2*time.Hour), 0.3)
		apply(t, m, later)
		apply(t, m, said(end, start.Add(time.Hour), 0.9))
		if len(m.weights) != 0 {
			t.Errorf("%s left the weight %v", end, m.weights)
		}
		if got := m.heard["home.hvac"][aloud.StageNeed]; got.Signal != later.ID {
			t.Errorf("%s took what was heard after it: %v", end, got)
		}
		if apply(t, m, said(aloud.StageReady, start.Add(time.Hour), 0.8)) {
			t.Errorf("a signal of the very moment of %s counts", end)
		}
		if !apply(t, m, said(aloud.StageReady, start.Add(3*time.Hour), 0.8)) || len(m.weights) != 1 {
			t.Errorf("after %s nothing can begin anew", end)
		}
	}
}

func TestUnknownCategory(t *testing.T) {
	s := said(aloud.StageNeed, start, 1)
	s.Category = "health.pills"
	if _, err := profile.Apply(t.Context(), newMemory(), s); aloud.ErrorCode(err) != aloud.EINVALID {
		t.Error(err)
	}
}
