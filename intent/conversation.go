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
	hidden []bool           // which of the window were counted as suppressed
	gave   [][]aloud.Intent // what each of the window gave
	given  map[given]bool
	taken  []aloud.Intent // what the last Hear took back
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
		copy(c.gave, c.gave[1:])
		c.window, c.hidden, c.gave = c.window[:contextWindow-1], c.hidden[:contextWindow-1], c.gave[:contextWindow-1]
	}
	c.window, c.hidden, c.gave = append(c.window, u), append(c.hidden, false), append(c.gave, nil)
	c.taken = nil
	all, s := c.engine.detect(c.window, c.topics)
	var f Finding
	for i := range s.turns {
		if (s.turns[i].sensitive || s.turns[i].withheld) && !c.hidden[i] {
			c.hidden[i] = true
			f.Suppressed++
			for _, in := range c.gave[i] { // it led up to what is sensitive
				delete(c.given, given{c.engine.index[in.Category], in.Stage})
				c.taken = append(c.taken, in)
			}
			c.gave[i] = nil
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
	c.gave[len(c.gave)-1] = f.Intents
	return f
}

// Retracted returns the intents of earlier utterances that the last Hear showed
// to have led up to sensitive talk. Their signals, which still wait, must not be
// sent.
func (c *Conversation) Retracted() []aloud.Intent { return c.taken }

// Forget drops what was heard, so that nothing of it stays in memory; what was
// given stays known.
func (c *Conversation) Forget() {
	clear(c.window)
	clear(c.gave)
	c.window, c.hidden, c.gave, c.taken = c.window[:0], c.hidden[:0], c.gave[:0], nil
}
