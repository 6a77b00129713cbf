package intent

import (
	"slices"
	"strings"

	"aloud.example/aloud"
	"aloud.example/aloud/category"
)

// maxGap is how many words ".." in a rule may stand for.
const maxGap = 5

// maxPending is how many rules may be half found in one utterance.
const maxPending = 512

// matcher finds every rule in a line of tokens in one pass. Rules share a trie
// over word numbers; a rule with ".." is several pieces that must follow each
// other within maxGap words.
type matcher struct {
	raws, stems map[string]int32 // word to number; stems are odd, raws even
	sounds      map[string]heard // how a distinctive word sounds, to its stem
	next        map[uint64]int32 // node<<32 | word to node
	masks       []uint64         // node to a bit for each word that goes on, to spare a look into next
	ends        [][]piece        // node to the pieces that end there
	joins       [][]int32        // node to the nodes where a choice goes on
	rules       []rule
	texts       []string // the phrases of the rules
}

// heard is a word that may be meant by another that sounds the same.
type heard struct {
	stem int32
	word string
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
		next: map[uint64]int32{}, masks: make([]uint64, 1), ends: make([][]piece, 1), joins: make([][]int32, 1),
	}
}

// add compiles one phrase of a rule file: words, (a/b/c) for a choice, (a/) for
// an optional word, and ".." for a gap.
func (m *matcher) add(phrase string, r rule, exact bool) error {
	id := int32(len(m.rules))
	m.rules = append(m.rules, r)
	m.texts = append(m.texts, phrase)
	parts := strings.Split(phrase, "..")
	for i, part := range parts {
		nodes, err := m.compile(part, exact)
		if err != nil {
			return aloud.Errorf(aloud.EINVALID, "rule %q: %w", phrase, err)
		}
		for _, node := range nodes {
			m.end(node, piece{rule: id, part: int8(i), last: i == len(parts)-1})
		}
	}
	return nil
}

// maxNodes is how many nodes of the trie a rule may stand at side by side; one
// with more choices goes on from a node where they join.
const maxNodes = 16

// compile adds a part of a rule to the trie and returns the nodes it ends at.
func (m *matcher) compile(part string, exact bool) ([]int32, error) {
	nodes := []int32{0}
	var sp splitter
	for _, element := range elements(part) {
		forms, err := expand(element)
		if err != nil {
			return nil, err
		}
		var next []int32
		seen := map[int32]bool{}
		for _, from := range nodes {
			for _, form := range forms {
				node := from
				sp.split(form, func(w []byte) { node = m.child(node, m.number(w, exact)) }, func() {})
				if node == from && len(forms) > 1 && strings.TrimSpace(form) != "" && !slices.Contains(forms, "") {
					return nil, aloud.Errorf(aloud.EINVALID, "%q is dropped from talk, so a choice of it is always met; take it out, or add an empty choice", form)
				}
				if !seen[node] {
					seen[node] = true
					next = append(next, node)
				}
			}
		}
		if len(next) > maxNodes {
			joint := m.node()
			for _, n := range next {
				m.joins[n] = append(m.joins[n], joint)
			}
			next = []int32{joint}
		}
		nodes = next
	}
	for _, n := range nodes {
		if n == 0 {
			return nil, aloud.Errorf(aloud.EINVALID, "a part has no words; write some on both sides of \"..\", and none that are dropped")
		}
	}
	return nodes, nil
}

// elements parts a phrase at the spaces outside of brackets.
func elements(s string) []string {
	var out []string
	depth, from := 0, 0
	for i := 0; i <= len(s); i++ {
		if i == len(s) || s[i] == ' ' && depth == 0 {
			if i > from {
				out = append(out, s[from:i])
			}
			from = i + 1
			continue
		}
		switch s[i] {
		case '(':
			depth++
		case ')':
			depth--
		}
	}
	return out
}

// end notes that a piece ends at a node, once.
func (m *matcher) end(node int32, p piece) {
	for _, old := range m.ends[node] {
		if old == p || old.last && p.last && old.part == 0 && p.part == 0 && m.rules[old.rule] == m.rules[p.rule] {
			return
		}
	}
	m.ends[node] = append(m.ends[node], p)
}

// contradictions reports a phrase that is both a category's noun and one of its
// "not" phrases, which would make the noun useless.
func (m *matcher) contradictions() error {
	for _, pieces := range m.ends {
		for _, p := range pieces {
			if r := m.rules[p.rule]; r.role != roleNot || !p.last || p.part > 0 {
				continue
			}
			for _, o := range pieces {
				n := m.rules[o.rule]
				if o.last && o.part == 0 && n.category == m.rules[p.rule].category && (n.role == roleNoun || n.role == roleThing || n.role == roleObject) {
					return aloud.Errorf(aloud.EINVALID, "%s has %q as a noun and %q as a \"not\", which meet by their endings; take one out", category.All()[n.category].Slug, m.texts[o.rule], m.texts[p.rule])
				}
			}
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
		m.sounds[key] = heard{stem: id, word: st}
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
		to = m.node()
		m.next[key] = to
		m.masks[node] |= maskOf(word)
	}
	return to
}

func maskOf(word int32) uint64 { return 1 << (uint32(word) * 0x9e3779b1 >> 26) }

func (m *matcher) node() int32 {
	m.masks, m.ends, m.joins = append(m.masks, 0), append(m.ends, nil), append(m.joins, nil)
	return int32(len(m.ends) - 1)
}

// expand writes out the choices of a phrase, which may stand in each other.
func expand(phrase string) ([]string, error) {
	out, rest, err := sequence(phrase, false)
	if err == nil && rest != "" {
		err = aloud.Errorf(aloud.EINVALID, "rule %q has a choice without its opening bracket", phrase)
	}
	return out, err
}

// sequence reads words and choices up to the end, or inside a bracket up to the
// next "/" or ")".
func sequence(s string, inside bool) (out []string, rest string, err error) {
	out = []string{""}
	for s != "" {
		i := strings.IndexAny(s, "(/)")
		if i < 0 {
			i = len(s)
		}
		for k := range out {
			out[k] += s[:i]
		}
		if s = s[i:]; s == "" || s[0] != '(' {
			break
		}
		var options []string
		for s[0] != ')' {
			var some []string
			some, s, err = sequence(s[1:], true)
			if err != nil {
				return nil, "", err
			}
			options = append(options, some...)
		}
		s = s[1:]
		if len(out)*len(options) > 16384 {
			return nil, "", aloud.Errorf(aloud.EINVALID, "a part of a rule has more than 16384 forms; split it")
		}
		longer := make([]string, 0, len(out)*len(options))
		for _, head := range out {
			for _, o := range options {
				longer = append(longer, head+o)
			}
		}
		out = longer
	}
	if inside && s == "" {
		return nil, "", aloud.Errorf(aloud.EINVALID, "a rule has a bracket that is never closed")
	}
	return out, s, nil
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
				if h, ok := m.sounds[string(s.key)]; ok && alike(st, h.word) {
					t.stem = h.stem
				}
			}
		}
		s.tokens = append(s.tokens, t)
	}, func() { sentence++ })
}

// alike reports whether two words differ by few letters: two, or three of a
// long word.
func alike(a []byte, b string) bool {
	allowed := 2
	if len(a) >= 7 {
		allowed = 3
	}
	if len(a) > 31 || len(b) > 31 || len(a)-len(b) > allowed || len(b)-len(a) > allowed {
		return false
	}
	var row [32]int
	for j := range len(b) + 1 {
		row[j] = j
	}
	for i := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)] <= allowed
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
	for _, to := range m.joins[node] {
		hits = m.walk(s, hits, to, from, at)
	}
	if at == len(s.tokens) || at > from && s.tokens[at].sentence != s.tokens[from].sentence {
		return hits
	}
	mask := m.masks[node]
	if mask == 0 {
		return hits
	}
	base := uint64(node) << 32
	if id := s.tokens[at].stem; id != 0 && mask&maskOf(id) != 0 {
		if to, ok := m.next[base|uint64(uint32(id))]; ok {
			hits = m.walk(s, hits, to, from, at+1)
		}
	}
	if id := s.tokens[at].raw; id != 0 && mask&maskOf(id) != 0 {
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
	if len(s.pending) == maxPending {
		return hits
	}
	s.pending = append(s.pending, pending{rule: p.rule, part: p.part, from: start, to: to})
	return hits
}
