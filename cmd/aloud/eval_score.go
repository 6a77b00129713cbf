//go:build cgo

package main

import (
	"slices"

	"aloud.example/aloud"
)

// score adds up how well intents were found. A pair is a speaker and a category
// in market, once a conversation.
type score struct {
	Talks      int     `json:"conversations"`
	Utterances int     `json:"utterances"`
	Hours      float64 `json:"hours"` // at 150 words a minute
	Right      int     `json:"right"`
	Wrong      int     `json:"wrong"`
	Missed     int     `json:"missed"`
	Unjudged   int     `json:"unjudged"` // found where not all is known
	Precision  float64 `json:"precision"`
	Recall     float64 `json:"recall"`
	F1         float64 `json:"f1"`
	MacroF1    float64 `json:"macro_f1"`
	StageRight int     `json:"stage_right"` // in market or not, of the pairs found
	StageOf    int     `json:"stage_of"`
	Leaks      int     `json:"leaks"`      // intents out of sensitive turns
	Suppressed int     `json:"suppressed"` // turns
	Blocked    int     `json:"blocked"`    // turns that are not sensitive, of those judged
	BlockedOf  int     `json:"blocked_of"`
	FalseHour  float64 `json:"false_per_hour"`

	categories map[aloud.Category]*score
	bins       [calibrationBins]bin
}

const calibrationBins = 10

// bin is the intents given with about the same score.
type bin struct {
	n, right int
	sum      float64
}

// heardTalk is what the engine made of a conversation.
type heardTalk struct {
	intents    []talkIntent
	suppressed []bool // by turn
}

// add judges one conversation.
func (s *score) add(t *talk, known truth, got heardTalk) {
	s.Talks++
	s.Utterances += len(t.Turns)
	s.Hours += float64(t.words()) / 150 / 60
	for i, hidden := range got.suppressed {
		sensitive := slices.Contains(t.Sensitive, i)
		if hidden {
			s.Suppressed++
		}
		if t.Intents != nil && !sensitive {
			s.BlockedOf++
			if hidden {
				s.Blocked++
			}
		}
	}
	found := map[pair]talkIntent{}
	for _, in := range got.intents {
		if t.Intents != nil && slices.Contains(t.Sensitive, in.Turn) {
			s.Leaks++
		}
		p := pair{in.Speaker, in.Category}
		if old, ok := found[p]; !ok || !old.Stage.InMarket() && in.Stage.InMarket() {
			found[p] = in
		}
	}
	used := map[pair]bool{}
	for _, w := range known.wanted {
		s.want(w, found, used)
	}
	for p, in := range found {
		if used[p] || !in.Stage.InMarket() {
			continue
		}
		if known.open {
			s.Unjudged++
			continue
		}
		s.Wrong++
		s.of(p.category).Wrong++
		s.bins[binOf(in.Score)].add(in.Score, false)
	}
}

// want looks for one intent among those found.
func (s *score) want(w wanted, found map[pair]talkIntent, used map[pair]bool) {
	for _, c := range w.categories {
		p := pair{w.speaker, c}
		in, ok := found[p]
		if !ok || used[p] {
			continue
		}
		used[p] = true
		if w.stage != "" {
			s.StageOf++
			if in.Stage.InMarket() == w.inMarket() {
				s.StageRight++
			}
		}
		if !in.Stage.InMarket() {
			break
		}
		right := w.inMarket()
		s.bins[binOf(in.Score)].add(in.Score, right)
		if right {
			s.Right++
			s.of(c).Right++
			return
		}
		s.Wrong++
		s.of(c).Wrong++
		return
	}
	if w.inMarket() {
		s.Missed++
		s.of(w.categories[0]).Missed++
	}
}

// pair is a speaker and what they may buy.
type pair struct {
	speaker  string
	category aloud.Category
}

func (s *score) of(c aloud.Category) *score {
	if s.categories == nil {
		s.categories = map[aloud.Category]*score{}
	}
	if s.categories[c] == nil {
		s.categories[c] = &score{}
	}
	return s.categories[c]
}

func (s *score) merge(o *score) {
	s.Talks += o.Talks
	s.Utterances += o.Utterances
	s.Hours += o.Hours
	s.Right += o.Right
	s.Wrong += o.Wrong
	s.Missed += o.Missed
	s.Unjudged += o.Unjudged
	s.StageRight += o.StageRight
	s.StageOf += o.StageOf
	s.Leaks += o.Leaks
	s.Suppressed += o.Suppressed
	s.Blocked += o.Blocked
	s.BlockedOf += o.BlockedOf
	for i, b := range o.bins {
		s.bins[i].n += b.n
		s.bins[i].right += b.right
		s.bins[i].sum += b.sum
	}
	for c, of := range o.categories {
		s.of(c).merge(of)
	}
}

// rates works the shares out once all is added up. Macro F1 is the mean over the
// categories that are wanted or found.
func (s *score) rates() {
	s.Precision = round(share(s.Right, s.Right+s.Wrong))
	s.Recall = round(share(s.Right, s.Right+s.Missed))
	s.F1 = round(share(2*s.Right, 2*s.Right+s.Wrong+s.Missed))
	sum := 0.0
	for _, c := range s.categories {
		sum += share(2*c.Right, 2*c.Right+c.Wrong+c.Missed)
	}
	if len(s.categories) > 0 {
		s.MacroF1 = round(sum / float64(len(s.categories)))
	}
	if s.Hours > 0 {
		s.FalseHour = round(float64(s.Wrong) / s.Hours)
	}
	s.Hours = round(s.Hours)
}

// calibrationError is the expected calibration error: how far the scores are
// from the share that is right, by tenths, weighed by how many have them.
func (s *score) calibrationError() float64 {
	n, off := 0, 0.0
	for _, b := range s.bins {
		n += b.n
		off += max(b.sum-float64(b.right), float64(b.right)-b.sum)
	}
	if n == 0 {
		return 0
	}
	return off / float64(n)
}

func (b *bin) add(score float64, right bool) {
	b.n++
	b.sum += score
	if right {
		b.right++
	}
}

func binOf(score float64) int { return min(max(int(score*calibrationBins), 0), calibrationBins-1) }

func share(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}
