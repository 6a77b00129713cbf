package intent

import (
	"embed"
	"io/fs"
	"path"
	"sort"
	"strings"

	"aloud.example/aloud"
	"aloud.example/aloud/category"
)

//go:embed lexicon
var lexicon embed.FS

// role is what a rule says about the words it found.
type role uint8

const (
	roleNone      role = iota
	roleNoun           // names what a category sells
	roleObject         // a thing people own, whose trouble is the category's work
	roleThing          // both
	roleFault          // trouble that only counts beside the category's noun or object
	roleSign           // says by itself that the category is wanted, at a stage
	roleNot            // words that look like the category's and are not
	roleCue            // says a stage, of whatever it stands beside
	roleGate           // takes back what stands in its scope
	roleSensitive      // invariant 4
	roleMask           // words that look sensitive and are not
	roleShift          // the talk turns to something else
	rolePoint          // points at something named before
	roleOpen           // asks for the thing that the next turn names
	roleAnimal         // the talk is of a pet, whose illness is not a person's
)

// scope is how far a gate reaches.
type scope uint8

const (
	scopeNext     scope = iota + 1 // the next words
	scopeNear                      // the next few words of its sentence
	scopeSentence                  // its sentence
	scopeTurn                      // its utterance
	scopeWindow                    // its utterance and the two after it
)

// cue is the stage that a roleCue or roleSign rule speaks for; trouble is a
// need only of something owned.
type cue uint8

const (
	cueNeed cue = iota
	cueTrouble
	cueResearch
	cueReady
	cueBought
	cueRejected
	cues
)

func (c cue) stage() aloud.Stage {
	return [...]aloud.Stage{
		aloud.StageNeed, aloud.StageNeed, aloud.StageResearch, aloud.StageReady, aloud.StageBought, aloud.StageRejected,
	}[c]
}

// rule is one line's meaning; all of its phrases share it.
type rule struct {
	role     role
	cue      cue
	scope    scope
	weak     bool
	spoken   bool // roleSensitive: the one who speaks is a child
	body     bool // roleSensitive: an ailment that a pet may have as well
	category int16
	kind     int8 // roleSensitive: which of the kinds
}

// The kinds of sensitive talk, in the order of invariant 4.
var sensitiveKinds = []string{
	"health", "pregnancy", "sexuality", "religion", "politics", "union",
	"immigration", "debt", "crime", "addiction", "violence", "children",
}

// lexical is one file's form: how a line's first fields name a rule.
type lexical func(b *book, fields []string) (rule, error)

// book is a lexicon while it is read.
type book struct {
	m     *matcher
	index map[aloud.Category]int16
	slugs []aloud.Category

	follows [][]bool // by kind of sensitive talk and category
}

func (e *Engine) load() error {
	b := &book{m: newMatcher(), index: map[aloud.Category]int16{}}
	for i, c := range category.All() {
		b.index[c.Slug] = int16(i)
		b.slugs = append(b.slugs, c.Slug)
	}
	for range sensitiveKinds {
		b.follows = append(b.follows, make([]bool, len(b.slugs)))
	}
	names, err := fs.Glob(lexicon, "lexicon/*.tsv")
	if err != nil {
		return aloud.Errorf(aloud.EINTERNAL, "list the lexicon: %w", err)
	}
	sort.Strings(names)
	for _, name := range names {
		text, err := lexicon.ReadFile(name)
		if err != nil {
			return aloud.Errorf(aloud.EINTERNAL, "read the lexicon: %w", err)
		}
		if err := b.read(strings.TrimSuffix(path.Base(name), ".tsv"), string(text)); err != nil {
			return err
		}
	}
	if err := b.m.contradictions(); err != nil {
		return err
	}
	e.matcher, e.slugs, e.index, e.follows = b.m, b.slugs, b.index, b.follows
	return nil
}

// read takes one file: comment lines start with #, the last field of a line is
// its phrases, parted by |.
func (b *book) read(name, text string) error {
	form, exact := lexical(categoryLine), false
	switch name {
	case "stages":
		form, exact = stageLine, true
	case "negatives":
		form, exact = negativeLine, true
	case "sensitive":
		form = sensitiveLine
	}
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, " \r")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) < 2 {
			return aloud.Errorf(aloud.EINVALID, "%s.tsv line %d: want fields parted by tabs, got %q", name, n+1, line)
		}
		if name == "follows" {
			if err := b.follow(fields); err != nil {
				return aloud.Errorf(aloud.EINVALID, "%s.tsv line %d: %w", name, n+1, err)
			}
			continue
		}
		last := len(fields) - 1
		r, err := form(b, fields[:last])
		if err != nil {
			return aloud.Errorf(aloud.EINVALID, "%s.tsv line %d: %w", name, n+1, err)
		}
		if err := b.phrases(r, fields[last], exact); err != nil {
			return aloud.Errorf(aloud.EINVALID, "%s.tsv line %d: %w", name, n+1, err)
		}
	}
	return nil
}

func (b *book) phrases(r rule, text string, exact bool) error {
	for _, phrase := range strings.Split(text, "|") {
		phrase = strings.TrimSpace(phrase)
		if phrase == "" {
			continue
		}
		form, literal := strings.CutPrefix(phrase, "=")
		if err := b.m.add(form, r, exact || literal); err != nil {
			return err
		}
		if !r.weak && (r.role == roleNoun || r.role == roleThing || r.role == roleObject) {
			b.m.soundsLike(phrase)
		}
	}
	return nil
}

// categoryLine reads "slug kind" of a category file. A kind that ends in "?" is
// weak: its words have other meanings, and need better company.
func categoryLine(b *book, f []string) (rule, error) {
	if len(f) != 2 {
		return rule{}, aloud.Errorf(aloud.EINVALID, "want category, kind and phrases")
	}
	index, ok := b.index[aloud.Category(f[0])]
	if !ok {
		return rule{}, aloud.Errorf(aloud.EINVALID, "the catalogue has no category %q", f[0])
	}
	r := rule{category: index}
	kind, weak := strings.CutSuffix(f[1], "?")
	r.weak = weak
	switch kind {
	case "noun":
		r.role = roleNoun
	case "object":
		r.role = roleObject
	case "thing":
		r.role = roleThing
	case "fault":
		r.role = roleFault
	case "not":
		r.role = roleNot
	case "need", "research", "ready", "bought", "rejected":
		r.role = roleSign
		r.cue, _ = cueOf(kind)
	default:
		return rule{}, aloud.Errorf(aloud.EINVALID, "unknown kind %q; want noun, object, thing, fault, not or a stage", f[1])
	}
	return r, nil
}

// follow reads "kind" and the categories that talk of that kind often leads to;
// "auto.*" is a whole group.
func (b *book) follow(f []string) error {
	for i, k := range sensitiveKinds {
		if k != f[0] {
			continue
		}
		for _, name := range strings.Split(f[1], "|") {
			name = strings.TrimSpace(name)
			group, all := strings.CutSuffix(name, "*")
			found := false
			for c, slug := range b.slugs {
				if string(slug) == name || all && strings.HasPrefix(string(slug), group) {
					b.follows[i][c], found = true, true
				}
			}
			if !found {
				return aloud.Errorf(aloud.EINVALID, "the catalogue has no category %q", name)
			}
		}
		return nil
	}
	return aloud.Errorf(aloud.EINVALID, "unknown kind %q", f[0])
}

func cueOf(name string) (cue, bool) {
	for i, n := range []string{"need", "trouble", "research", "ready", "bought", "rejected"} {
		if n == name {
			return cue(i), true
		}
	}
	return 0, false
}

// stageLine reads "cue" of stages.tsv; a "?" makes it weak.
func stageLine(_ *book, f []string) (rule, error) {
	name, weak := strings.CutSuffix(f[0], "?")
	switch name {
	case "point":
		return rule{role: rolePoint, weak: weak}, nil
	case "open":
		return rule{role: roleOpen}, nil
	}
	c, ok := cueOf(name)
	if !ok {
		return rule{}, aloud.Errorf(aloud.EINVALID, "unknown cue %q", f[0])
	}
	return rule{role: roleCue, cue: c, weak: weak}, nil
}

// negativeLine reads "name scope" of negatives.tsv; the name is for readers.
func negativeLine(_ *book, f []string) (rule, error) {
	if len(f) != 2 {
		return rule{}, aloud.Errorf(aloud.EINVALID, "want name, scope and phrases")
	}
	scopes := map[string]scope{"next": scopeNext, "near": scopeNear, "sentence": scopeSentence, "turn": scopeTurn, "window": scopeWindow}
	s, ok := scopes[f[1]]
	if !ok {
		return rule{}, aloud.Errorf(aloud.EINVALID, "unknown scope %q; want next, near, sentence, turn or window", f[1])
	}
	return rule{role: roleGate, scope: s}, nil
}

// sensitiveLine reads "kind" of sensitive.tsv; a "?" means that it takes two.
func sensitiveLine(_ *book, f []string) (rule, error) {
	name, weak := strings.CutSuffix(f[0], "?")
	switch name {
	case "not":
		return rule{role: roleMask}, nil
	case "shift":
		return rule{role: roleShift}, nil
	case "animal":
		return rule{role: roleAnimal}, nil
	case "ailment":
		return rule{role: roleSensitive, body: true}, nil
	case "child-speaks":
		return rule{role: roleSensitive, kind: int8(len(sensitiveKinds) - 1), spoken: true, weak: weak}, nil
	}
	for i, k := range sensitiveKinds {
		if k == name {
			return rule{role: roleSensitive, kind: int8(i), weak: weak}, nil
		}
	}
	return rule{}, aloud.Errorf(aloud.EINVALID, "unknown kind %q", f[0])
}
