package intent

import (
	"slices"
	"sync"

	"aloud.example/aloud"
)

// MaxWindow is how many utterances of a window are looked at, the last ones.
const MaxWindow = 64

// DefaultThreshold is the score from which an intent is given.
const DefaultThreshold = 0.5

// Config says how an Engine works. The zero value is the default.
type Config struct {
	Threshold float64 // score from which an intent is given, 0 for DefaultThreshold
}

// Finding is what a window holds.
type Finding struct {
	Intents    []aloud.Intent
	Suppressed int // utterances that were sensitive, or gave an intent that follows from sensitive talk
}

// Engine finds intents. It is immutable, and safe for use by many at once.
type Engine struct {
	threshold float64
	matcher   *matcher
	slugs     []aloud.Category
	index     map[aloud.Category]int16
	follows   [][]bool // by kind of sensitive talk and category
	scratches sync.Pool
}

// New compiles the embedded lexicon.
func New(cfg Config) (*Engine, error) {
	if cfg.Threshold < 0 || cfg.Threshold > 1 || cfg.Threshold != cfg.Threshold {
		return nil, aloud.Errorf(aloud.EINVALID, "a threshold of %v makes no sense; give one from 0 to 1", cfg.Threshold)
	}
	e := &Engine{threshold: cfg.Threshold}
	if e.threshold == 0 {
		e.threshold = DefaultThreshold
	}
	if err := e.load(); err != nil {
		return nil, err
	}
	e.scratches.New = func() any { return newScratch(len(e.slugs)) }
	return e, nil
}

// scratch is what one Detect works in; it is used again.
type scratch struct {
	split   splitter
	key     []byte
	tokens  []token
	pending []pending
	hits    []hit
	turns   []turn
	best    []stageScores // by category
	touched []int16
	given   []given
}

func newScratch(categories int) *scratch {
	return &scratch{best: make([]stageScores, categories)}
}

// stageScores is the best score of a category for each cue in one turn.
type stageScores [cues]float64

type given struct {
	category int16
	stage    aloud.Stage
}

// Detect finds the intents in the last utterances of a conversation. An intent's
// Turn is the index in window of the utterance that made it clear; the same
// category and stage is given once, at the first. Partial utterances are passed
// over. A caller that slides a window along takes as new only what has the last
// index, or uses a Conversation.
func (e *Engine) Detect(window []aloud.Utterance, topics []Topic) Finding {
	f, s := e.detect(window, topics)
	e.release(s)
	return f
}

// release wipes what was said before the scratch is used again.
func (e *Engine) release(s *scratch) {
	clear(s.tokens[:cap(s.tokens)])
	clear(s.split.buf[:cap(s.split.buf)])
	clear(s.split.form[:cap(s.split.form)])
	clear(s.key[:cap(s.key)])
	e.scratches.Put(s)
}

func (e *Engine) detect(window []aloud.Utterance, topics []Topic) (Finding, *scratch) {
	f, s := e.detectIn(window, topics)
	if len(f.Intents) == 0 || !slices.ContainsFunc(window, unsure) {
		return f, s
	}
	// A word that was left out may have been the "don't" of "I don't need one":
	// an intent stands only if it stands with those words as well.
	whole := slices.Clone(window)
	for i, u := range whole {
		if unsure(u) {
			whole[i].Text, whole[i].Heard = u.Heard, ""
		}
	}
	also, spare := e.detectIn(whole, topics)
	e.release(spare)
	clear(whole)
	f.Intents = slices.DeleteFunc(f.Intents, func(in aloud.Intent) bool {
		return !slices.ContainsFunc(also.Intents, func(o aloud.Intent) bool { return o.Category == in.Category && o.Stage == in.Stage })
	})
	return f, s
}

func unsure(u aloud.Utterance) bool { return u.Heard != "" }

func (e *Engine) detectIn(window []aloud.Utterance, topics []Topic) (Finding, *scratch) {
	s := e.scratches.Get().(*scratch)
	s.given = s.given[:0]
	offset := max(0, len(window)-MaxWindow)
	window = window[offset:]
	e.readTurns(window, s)
	suppress(s.turns)
	var f Finding
	for i := range s.turns {
		t := &s.turns[i]
		if t.partial {
			continue
		}
		if t.sensitive {
			f.Suppressed++
			continue
		}
		withheld := false
		give := func(in aloud.Intent, c int16, from int16) {
			if t.shadows(e.follows, int(c), from) {
				withheld = true
				return
			}
			g := given{c, in.Stage}
			for _, old := range s.given {
				if old == g {
					return
				}
			}
			s.given = append(s.given, g)
			in.Turn = offset + i
			f.Intents = append(f.Intents, in)
		}
		e.judge(s, i, give)
		e.matchTopics(window[i].Text, topics, s, i, give)
		t.withheld = withheld
		if withheld {
			f.Suppressed++
		}
	}
	return f, s
}
