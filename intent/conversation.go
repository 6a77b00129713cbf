package intent

import "aloud.example/aloud"

// contextWindow is how many utterances a Conversation keeps.
const contextWindow = 8

// Conversation keeps the last utterances of one listening session and finds
// what is new with each. It is bounded however long it runs, gives the same
// category and stage once a session, and is for one goroutine.
type Conversation struct {
	engine *Engine
	topics []Topic
	window []aloud.Utterance
	hidden []bool // which of the window were counted as suppressed
	given  map[given]bool
}

// NewConversation begins a session. The topics are those the participant opted
// in to.
func (e *Engine) NewConversation(topics []Topic) *Conversation {
	return &Conversation{engine: e, topics: topics, given: map[given]bool{}}
}

// Hear takes the next utterance and returns what is new: an intent's Turn is
// always 0, the utterance itself, and Suppressed counts utterances that were not
// counted before. Partial utterances give nothing and are not kept.
func (c *Conversation) Hear(u aloud.Utterance) Finding {
	if u.Partial {
		return Finding{}
	}
	if len(c.window) == contextWindow {
		copy(c.window, c.window[1:])
		copy(c.hidden, c.hidden[1:])
		c.window, c.hidden = c.window[:contextWindow-1], c.hidden[:contextWindow-1]
	}
	c.window, c.hidden = append(c.window, u), append(c.hidden, false)
	all, s := c.engine.detect(c.window, c.topics)
	var f Finding
	for i := range s.turns {
		if (s.turns[i].sensitive || s.turns[i].withheld) && !c.hidden[i] {
			c.hidden[i] = true
			f.Suppressed++
		}
	}
	c.engine.release(s)
	for _, in := range all.Intents {
		g := given{c.engine.index[in.Category], in.Stage}
		if in.Turn != len(c.window)-1 || c.given[g] {
			continue
		}
		c.given[g] = true
		in.Turn = 0
		f.Intents = append(f.Intents, in)
	}
	return f
}

// Forget drops what was heard, so that nothing of it stays in memory; what was
// given stays known.
func (c *Conversation) Forget() {
	clear(c.window)
	c.window, c.hidden = c.window[:0], c.hidden[:0]
}
