package intent

import "aloud.example/aloud"

// turn is one utterance, read.
type turn struct {
	speaker   string
	partial   bool
	length    int16
	start     float64
	end       float64
	nouns     []hit
	faults    []hit
	signs     []hit
	cues      []hit
	gates     []hit
	shifts    []hit
	sensitive bool // holds sensitive talk, or a child speaks
	child     bool
	kinds     uint16 // the kinds of sensitive talk in it
	point     point
	open      bool
	near      uint16 // the kinds in whose shadow it stands
	far       uint16 // the kinds said a little longer ago
	light     int16  // the token from which the shadow no longer falls
	withheld  bool
	under     bool    // under a gate of scope window of a turn before
	ends      []int16 // sentence number of each token
}

// point is how clearly a turn points at something named before it.
type point uint8

const (
	pointNone  point = iota
	pointVague       // "it", "that"
	pointClear       // "one of those"
)

func (e *Engine) readTurns(window []aloud.Utterance, s *scratch) {
	for len(s.turns) < len(window) {
		s.turns = append(s.turns, turn{})
	}
	s.turns = s.turns[:len(window)]
	hits := s.hits
	for i, u := range window {
		t := &s.turns[i]
		*t = turn{
			speaker: u.Speaker, partial: u.Partial, start: u.Start, end: u.End,
			nouns: t.nouns[:0], faults: t.faults[:0], signs: t.signs[:0], cues: t.cues[:0],
			gates: t.gates[:0], shifts: t.shifts[:0], ends: t.ends[:0],
		}
		if u.Partial {
			continue
		}
		if u.Heard != "" { // a word may be too unsure to go by, and still be sensitive
			var whole turn
			e.matcher.read(u.Heard, s)
			hits = e.matcher.find(s, hits[:0])
			whole.sort(hits)
			t.sensitive, t.kinds, t.child = whole.sensitive, whole.kinds, whole.child
		}
		e.matcher.read(u.Text, s)
		t.length = int16(len(s.tokens))
		for _, tok := range s.tokens {
			t.ends = append(t.ends, tok.sentence)
		}
		hits = e.matcher.find(s, hits[:0])
		t.sort(hits)
	}
	s.hits = hits
	for i := range s.turns {
		for back := 1; back <= 2 && back <= i; back++ {
			s.turns[i].under = s.turns[i].under || s.turns[i-back].gatesWindow()
		}
	}
}

// gatesWindow reports whether the turns after t are still of what t gates:
// work, a story, a game.
func (t *turn) gatesWindow() bool {
	for _, g := range t.gates {
		if g.rule.scope == scopeWindow && !t.shifted(g.to, t.length) {
			return true
		}
	}
	return false
}

// sort puts each hit where it belongs and weighs the sensitive ones.
func (t *turn) sort(hits []hit) {
	var weak [16]int16 // end of the last weak hit of a kind, plus one
	animal := false
	for _, h := range hits {
		if h.rule.role == roleAnimal {
			animal = true
		}
	}
	for _, h := range hits {
		switch h.rule.role {
		case roleNoun, roleObject, roleThing:
			t.nouns = append(t.nouns, h)
		case roleFault:
			t.faults = append(t.faults, h)
		case roleSign:
			t.signs = append(t.signs, h)
		case roleCue:
			t.cues = append(t.cues, h)
		case roleGate:
			t.gates = append(t.gates, h)
		case roleShift:
			t.shifts = append(t.shifts, h)
		case rolePoint:
			if h.rule.weak {
				t.point = max(t.point, pointVague)
			} else {
				t.point = pointClear
			}
		case roleOpen:
			t.open = true
		case roleSensitive:
			if covered(hits, h, roleMask) {
				continue
			}
			k := h.rule.kind
			if animal && (h.rule.body || k == 0 && h.rule.weak) {
				continue
			}
			if h.rule.weak {
				if weak[k] == 0 || weak[k] > h.from+1 && weak[k] <= h.to+1 {
					weak[k] = h.to + 1
					continue
				}
				if weak[k] > h.from+1 {
					continue // the same words again
				}
			}
			t.sensitive = true
			t.kinds |= 1 << k
			t.child = t.child || h.rule.spoken
		}
	}
	t.nouns = longest(t.nouns, hits)
	t.cues = clearest(t.cues)
	t.signs = uncovered(t.signs, hits)
	t.faults = uncovered(t.faults, hits)
}

// covered reports whether h lies within a hit of that role.
func covered(hits []hit, h hit, by role) bool {
	for _, m := range hits {
		if m.rule.role == by && m.from < h.to && h.from < m.to && m.from <= h.from && m.to >= h.to {
			return true
		}
	}
	return false
}

// longest drops nouns within a longer noun of another category: the "car" of
// "car insurance", and those that a "not" of their own category covers.
func longest(nouns, all []hit) []hit {
	kept := nouns[:0]
	n := len(nouns)
	for i := range n {
		h := nouns[i]
		drop := false
		for _, o := range all {
			switch o.rule.role {
			case roleNoun, roleObject, roleThing:
				if o.from <= h.from && o.to >= h.to && o.to-o.from > h.to-h.from && (o.rule.category != h.rule.category || o.rule.weak == h.rule.weak) {
					drop = true
				}
			case roleNot:
				if o.rule.category == h.rule.category && o.from < h.to && h.from < o.to {
					drop = true
				}
			}
		}
		if !drop {
			kept = append(kept, h)
		}
	}
	return kept
}

// clearest drops a cue that lies within a longer one of another stage, and one
// that overlaps such a one and ends first: "we got" of "got two estimates".
func clearest(cues []hit) []hit {
	var lost [64]bool
	for i, h := range cues[:min(len(cues), len(lost))] {
		for _, o := range cues {
			if o.rule.cue == h.rule.cue || o.from >= h.to || h.from >= o.to {
				continue
			}
			within := o.from <= h.from && o.to >= h.to && o.to-o.from > h.to-h.from
			if within || o.from > h.from && o.to > h.to {
				lost[i] = true
			}
		}
	}
	kept := cues[:0]
	for i, h := range cues {
		if i >= len(lost) || !lost[i] {
			kept = append(kept, h)
		}
	}
	return kept
}

func uncovered(list, all []hit) []hit {
	kept := list[:0]
	for _, h := range list {
		drop := false
		for _, o := range all {
			if o.rule.role == roleNot && o.rule.category == h.rule.category && o.from < h.to && h.from < o.to {
				drop = true
			}
		}
		if !drop {
			kept = append(kept, h)
		}
	}
	return kept
}

// gated reports whether a gate takes back evidence at tokens [from, to).
func (t *turn) gated(from, to int16) bool {
	if t.under && !t.shifted(0, from) {
		return true
	}
	for _, g := range t.gates {
		if t.reaches(g, from, to) {
			return true
		}
	}
	return false
}

// How many words a gate looks ahead.
const (
	nextReach = 2
	nearReach = 7
)

func (t *turn) reaches(g hit, from, to int16) bool {
	switch g.rule.scope {
	case scopeNext:
		return g.to <= from && from-g.to <= nextReach && t.same(g.from, from)
	case scopeNear:
		return g.from < from && from-g.to <= nearReach && t.same(g.from, from) && !t.shifted(g.to, from)
	case scopeSentence:
		return (t.same(g.from, from) || t.same(g.from, to-1)) && !t.shifted(g.to, from)
	default:
		return !t.shifted(g.to, from)
	}
}

// same reports whether two tokens are of one sentence.
func (t *turn) same(a, b int16) bool {
	if int(a) >= len(t.ends) || int(b) >= len(t.ends) || b < 0 {
		return false
	}
	return t.ends[a] == t.ends[b]
}

// shifted reports whether the talk turned to something else between two tokens.
func (t *turn) shifted(after, before int16) bool {
	for _, h := range t.shifts {
		if h.from >= after && h.to <= before+1 {
			return true
		}
	}
	return false
}
