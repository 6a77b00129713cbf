package intent

import (
	"strings"

	"aloud.example/aloud"
)

// maxGap is how many words ".." in a rule may stand for.
const maxGap = 5

// matcher finds every rule in a line of tokens in one pass. Rules share a trie
// over word numbers; a rule with ".." is several pieces that must follow each
// other within maxGap words.
type matcher struct {
	raws, stems map[string]int32 // word to number; stems are odd, raws even
	sounds      map[string]heard // how a distinctive word sounds, to its stem
	next        map[uint64]int32 // node<<32 | word to node
	ends        [][]piece        // node to the pieces that end there
	rules       []rule
}

// heard is a word that may be meant by another that sounds the same.
type heard struct {
	stem   int32
	length int
}

// piece is a part of a rule.
type piece struct {
	rule int32
	part int8
	last bool
}

// token is one word of an utterance.
type token struct {
	raw, stem int32
	sentence  int16
}

// hit is a rule that was found at tokens [from, to).
type hit struct {
	rule     *rule
	from, to int16
}

// pending is a rule with a gap of which the first parts were found.
type pending struct {
	rule     int32
	part     int8
	from, to int16
}

func newMatcher() *matcher {
	return &matcher{
		raws: map[string]int32{}, stems: map[string]int32{}, sounds: map[string]heard{},
		next: map[uint64]int32{}, ends: make([][]piece, 1),
	}
}

// add compiles one phrase of a rule file: words, (a/b/c) for a choice, (a/) for
// an optional word, and ".." for a gap.
func (m *matcher) add(phrase string, r rule, exact bool) error {
	forms, err := expand(phrase)
	if err != nil {
		return err
	}
	for _, form := range forms {
		id := int32(len(m.rules))
		m.rules = append(m.rules, r)
		parts := strings.Split(form, "..")
		for i, part := range parts {
			node, n := int32(0), 0
			var sp splitter
			sp.split(part, func(w []byte) {
				n++
				node = m.child(node, m.number(w, exact))
			}, func() {})
			if n == 0 {
				return aloud.Errorf(aloud.EINVALID, "rule %q has a part without words; write words on both sides of \"..\"", phrase)
			}
			m.ends[node] = append(m.ends[node], piece{rule: id, part: int8(i), last: i == len(parts)-1})
		}
	}
	return nil
}

// soundsLike lets a word that no rule knows be taken for w where both sound the
// same.
func (m *matcher) soundsLike(w string) {
	if len(w) < 6 || strings.ContainsAny(w, " ./()") {
		return
	}
	st := string(stem([]byte(w)))
	id, ok := m.stems[st]
	if !ok {
		return
	}
	if key := string(sound([]byte(st), nil)); len(key) >= 4 {
		m.sounds[key] = heard{stem: id, length: len(st)}
	}
}

func (m *matcher) number(w []byte, exact bool) int32 {
	table, odd := m.stems, int32(1)
	if exact {
		table, odd = m.raws, 0
	} else {
		w = stem(w)
	}
	id, ok := table[string(w)]
	if !ok {
		id = int32(len(table)+1)<<1 | odd
		table[string(w)] = id
	}
	return id
}

func (m *matcher) child(node, word int32) int32 {
	key := uint64(node)<<32 | uint64(uint32(word))
	to, ok := m.next[key]
	if !ok {
		to = int32(len(m.ends))
		m.ends = append(m.ends, nil)
		m.next[key] = to
	}
	return to
}

// expand writes out the choices of a phrase.
func expand(phrase string) ([]string, error) {
	open := strings.IndexByte(phrase, '(')
	if open < 0 {
		if strings.ContainsAny(phrase, ")/") {
			return nil, aloud.Errorf(aloud.EINVALID, "rule %q has a choice without its opening bracket", phrase)
		}
		return []string{phrase}, nil
	}
	end := strings.IndexByte(phrase[open:], ')')
	if end < 0 {
		return nil, aloud.Errorf(aloud.EINVALID, "rule %q has a bracket that is never closed", phrase)
	}
	tails, err := expand(phrase[open+end+1:])
	if err != nil {
		return nil, err
	}
	var out []string
	for _, choice := range strings.Split(phrase[open+1:open+end], "/") {
		for _, tail := range tails {
			out = append(out, phrase[:open]+choice+tail)
		}
	}
	if len(out) > 4096 {
		return nil, aloud.Errorf(aloud.EINVALID, "rule %q has more than 4096 forms; split it", phrase)
	}
	return out, nil
}

// read turns text into tokens.
func (m *matcher) read(text string, s *scratch) {
	s.tokens = s.tokens[:0]
	sentence := int16(0)
	s.split.split(text, func(w []byte) {
		if len(s.tokens) >= maxTokens {
			return
		}
		t := token{raw: m.raws[string(w)], sentence: sentence}
		var form [32]byte
		if len(w) <= len(form) {
			st := stem(append(form[:0], w...))
			t.stem = m.stems[string(st)]
			if t.stem == 0 && t.raw == 0 && len(w) >= 6 {
				s.key = sound(st, s.key)
				if h, ok := m.sounds[string(s.key)]; ok && abs(h.length-len(st)) <= 2 {
					t.stem = h.stem
				}
			}
		}
		s.tokens = append(s.tokens, t)
	}, func() { sentence++ })
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

// find appends every rule that the tokens hold to hits.
func (m *matcher) find(s *scratch, hits []hit) []hit {
	s.pending = s.pending[:0]
	for i := range s.tokens {
		hits = m.walk(s, hits, 0, i, i)
	}
	return hits
}

func (m *matcher) walk(s *scratch, hits []hit, node int32, from, at int) []hit {
	for _, p := range m.ends[node] {
		hits = m.arrive(s, hits, p, int16(from), int16(at))
	}
	if at == len(s.tokens) || at > from && s.tokens[at].sentence != s.tokens[from].sentence {
		return hits
	}
	base := uint64(node) << 32
	if id := s.tokens[at].stem; id != 0 {
		if to, ok := m.next[base|uint64(uint32(id))]; ok {
			hits = m.walk(s, hits, to, from, at+1)
		}
	}
	if id := s.tokens[at].raw; id != 0 {
		if to, ok := m.next[base|uint64(uint32(id))]; ok {
			hits = m.walk(s, hits, to, from, at+1)
		}
	}
	return hits
}

// arrive notes a piece that ends before token to.
func (m *matcher) arrive(s *scratch, hits []hit, p piece, from, to int16) []hit {
	start := from
	if p.part > 0 {
		found := false
		for _, w := range s.pending {
			if w.rule == p.rule && w.part == p.part-1 && from >= w.to && from-w.to <= maxGap &&
				s.tokens[w.from].sentence == s.tokens[from].sentence {
				start, found = w.from, true
			}
		}
		if !found {
			return hits
		}
	}
	if p.last {
		return append(hits, hit{rule: &m.rules[p.rule], from: start, to: to})
	}
	s.pending = append(s.pending, pending{rule: p.rule, part: p.part, from: start, to: to})
	return hits
}
