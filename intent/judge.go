package intent

import "aloud.example/aloud"

// What evidence is worth. A score is a product of these: how clear the words
// for the thing are, how clear the words for the stage are, and how near they
// stand. It orders findings and has a threshold; it is no probability.
const (
	strongNoun = 1.0
	weakNoun   = 0.62
	strongCue  = 0.9
	weakCue    = 0.62
	signScore  = 0.8
	weakSign   = 0.55
	faultScore = 0.85
	weakFault  = 0.55

	acrossSentence = 0.7  // cue and noun in two sentences of one turn
	cueAfter       = 0.85 // "a furnace … we need", except of trouble
	notNearest     = 0.6  // another thing stands nearer to the cue
	fromContext    = 0.85 // the noun is in the turn before, less for each turn more
	sameBreath     = 0.9  // cue ends one utterance, noun begins the speaker's next
	asked          = 0.65 // the turn before asked for the thing
	contextTurns   = 4
)

// judge gives what turn at holds, best stage a category.
func (e *Engine) judge(s *scratch, at int, give func(aloud.Intent, int16, int16)) {
	t := &s.turns[at]
	s.touched = s.touched[:0]
	first := int16(0)
	note := func(c int16, k cue, score float64, from int16) {
		b := &s.best[c]
		if *b == (stageScores{}) {
			s.touched = append(s.touched, c)
		}
		if score > b[k] {
			b[k] = score
		}
		first = max(first, from)
	}
	for _, h := range t.signs {
		if t.gated(h.from, h.to) && h.rule.cue != cueRejected {
			continue
		}
		note(h.rule.category, h.rule.cue, weight(h.rule.weak, weakSign, signScore), h.from)
	}
	for _, c := range t.cues {
		e.bind(t, c, note)
	}
	e.faults(s, at, note)
	e.context(s, at, note)
	for _, c := range s.touched {
		b := s.best[c]
		s.best[c] = stageScores{}
		if k, score := verdict(b); score >= e.threshold {
			give(aloud.Intent{Category: e.slugs[c], Stage: k.stage(), Score: min(score, 1)}, c, first)
		}
	}
}

func weight(weak bool, w, strong float64) float64 {
	if weak {
		return w
	}
	return strong
}

// bind scores a cue with the nouns of its own turn.
func (e *Engine) bind(t *turn, c hit, note func(int16, cue, float64, int16)) {
	nearest := int16(1 << 14)
	for _, n := range t.nouns {
		if fits(n, c) {
			nearest = min(nearest, distance(c, n))
		}
	}
	for _, n := range t.nouns {
		if !fits(n, c) || t.gatedPair(c, n) {
			continue
		}
		d := distance(c, n)
		score := weight(c.rule.weak, weakCue, strongCue) * weight(n.rule.weak, weakNoun, strongNoun) * decay(d)
		if !t.same(c.from, n.from) {
			score *= acrossSentence
		}
		if n.to <= c.from && c.rule.cue != cueTrouble {
			score *= cueAfter
		}
		if d > nearest+2 {
			score *= notNearest
		}
		note(n.rule.category, c.rule.cue, score, min(c.from, n.from))
	}
}

// gatedPair reports whether a gate takes back a cue or its noun. What says that
// something was bought or given up stands in spite of gates.
func (t *turn) gatedPair(c, n hit) bool {
	if c.rule.cue == cueRejected {
		return false
	}
	return t.gated(c.from, c.to) || t.gated(n.from, n.to)
}

// fits reports whether a cue can speak of such a noun: trouble of objects,
// anything else of what is sold.
func fits(n, c hit) bool {
	switch n.rule.role {
	case roleThing:
		return true
	case roleObject:
		return c.rule.cue == cueTrouble
	default:
		return c.rule.cue != cueTrouble
	}
}

// distance is how many words stand between two hits.
func distance(a, b hit) int16 {
	return max(0, max(a.from-b.to, b.from-a.to))
}

func decay(d int16) float64 {
	switch {
	case d <= 3:
		return 1
	case d <= 6:
		return 0.9
	case d <= 10:
		return 0.75
	case d <= 16:
		return 0.6
	}
	return 0.4
}

// faults scores trouble that is a category's own with the thing in this turn or
// in the two before it.
func (e *Engine) faults(s *scratch, at int, note func(int16, cue, float64, int16)) {
	t := &s.turns[at]
	for _, f := range t.faults {
		if t.gated(f.from, f.to) {
			continue
		}
		score := weight(f.rule.weak, weakFault, faultScore)
		for back := 0; back <= 2 && back <= at; back++ {
			o := &s.turns[at-back]
			if o.sensitive || o.partial {
				continue
			}
			if n, ok := o.names(f.rule.category); ok && (back > 0 || !t.gated(n.from, n.to)) {
				value := score * decay(distanceIn(back, f, n))
				if back > 0 {
					value = score * fromContext
				}
				note(f.rule.category, cueTrouble, value, f.from)
				break
			}
		}
	}
}

func distanceIn(back int, a, b hit) int16 {
	if back > 0 {
		return 0
	}
	return distance(a, b) / 2 // what is said of the thing itself may stand further off
}

// names finds the category's noun in a turn.
func (t *turn) names(c int16) (hit, bool) {
	for _, n := range t.nouns {
		if n.rule.category == c {
			return n, true
		}
	}
	return hit{}, false
}

// context scores the cues of a turn that names nothing with what was named
// before it: "how much do they want for one of those?"
func (e *Engine) context(s *scratch, at int, note func(int16, cue, float64, int16)) {
	t := &s.turns[at]
	named := len(t.nouns) > 0
	if !named && len(t.cues) > 0 {
		e.recall(s, at, note)
	}
	if !named || at == 0 {
		return
	}
	before := &s.turns[at-1]
	if before.sensitive || before.partial {
		return
	}
	for _, n := range t.nouns {
		if n.rule.role == roleObject || n.rule.weak || t.gated(n.from, n.to) {
			continue
		}
		if before.open && n.from <= 8 {
			note(n.rule.category, cueNeed, asked, n.from)
		}
		if before.speaker != t.speaker {
			continue
		}
		for _, c := range before.cues { // one breath, cut by the recogniser
			if c.rule.cue != cueTrouble && before.length-c.to <= 2 && n.from <= 4 && !before.gated(c.from, c.to) {
				note(n.rule.category, c.rule.cue, weight(c.rule.weak, weakCue, strongCue)*sameBreath, n.from)
			}
		}
	}
}

func (e *Engine) recall(s *scratch, at int, note func(int16, cue, float64, int16)) {
	t := &s.turns[at]
	factor := fromContext
	for back := 1; back <= contextTurns && back <= at; back++ {
		o := &s.turns[at-back]
		if o.partial {
			continue
		}
		if o.sensitive || o.near != 0 {
			return
		}
		if len(o.nouns) == 0 {
			factor *= 0.9
			continue
		}
		if t.point == pointNone || back > 2 && t.point != pointClear {
			return
		}
		for _, n := range o.nouns {
			if o.gated(n.from, n.to) {
				continue
			}
			for _, c := range t.cues {
				if c.rule.cue == cueNeed && t.point != pointClear || n.rule.weak || !fits(n, c) || c.rule.cue != cueRejected && t.gated(c.from, c.to) || c.rule.weak && t.point != pointClear {
					continue
				}
				note(n.rule.category, c.rule.cue, weight(c.rule.weak, weakCue+0.08, strongCue)*factor, c.from)
			}
		}
		return
	}
}

// verdict picks the stage: what ends a purchase before what leads to one, and
// of these the furthest along that is nearly the best.
func verdict(b stageScores) (cue, float64) {
	need := max(b[cueNeed], b[cueTrouble])
	best := max(need, b[cueResearch], b[cueReady])
	switch {
	case b[cueRejected] > 0 && b[cueRejected] >= best-0.1:
		return cueRejected, b[cueRejected]
	case b[cueBought] > 0 && b[cueBought] >= best-0.05:
		return cueBought, b[cueBought]
	case b[cueReady] > 0 && b[cueReady] >= best-0.15:
		return cueReady, best
	case b[cueResearch] > 0 && b[cueResearch] >= best-0.15:
		return cueResearch, best
	}
	return cueNeed, need
}
