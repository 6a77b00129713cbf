package intent

import (
	"strings"

	"aloud.example/aloud"
)

// Limits on topics; what is over them is passed over.
const (
	MaxTopics       = 64
	MaxTopicPhrases = 32
	maxPhrase       = 200 // bytes
	topicScore      = 0.6
)

// Topic is an advertiser's own topic, signed by the operator: phrases that are
// matched as they stand, under a category of the catalogue.
type Topic struct {
	Name     string
	Category aloud.Category
	Phrases  []string
}

// matchTopics gives an intent for each topic with a phrase in the text. It goes
// through suppression and the gates as every other.
func (e *Engine) matchTopics(text string, topics []Topic, s *scratch, at int, give func(aloud.Intent, int16, int16)) {
	if len(topics) == 0 {
		return
	}
	t := &s.turns[at]
	line := normal(&s.split, text)
	for _, topic := range topics[:min(len(topics), MaxTopics)] {
		index, ok := e.index[topic.Category]
		if !ok {
			continue
		}
		for _, phrase := range topic.Phrases[:min(len(topic.Phrases), MaxTopicPhrases)] {
			if len(phrase) > maxPhrase {
				continue
			}
			p := normal(&s.split, phrase)
			if len(p) < 3 {
				continue
			}
			where := strings.Index(line, p)
			if where < 0 {
				continue
			}
			from := int16(strings.Count(line[:where+1], " ") - 1)
			to := from + int16(strings.Count(p, " ")-1)
			if to > t.length || t.gated(from, to) {
				continue
			}
			give(aloud.Intent{Category: topic.Category, Stage: t.stageNear(from, to), Score: topicScore}, index, from)
			break
		}
	}
}

// normal writes text as its normalised words, a space before and after each.
func normal(sp *splitter, text string) string {
	var b strings.Builder
	b.WriteByte(' ')
	sp.split(text, func(w []byte) { b.Write(stem(w)); b.WriteByte(' ') }, func() {})
	return b.String()
}

// stageNear is the stage of the nearest cue, or research.
func (t *turn) stageNear(from, to int16) aloud.Stage {
	best, stage := int16(1<<14), aloud.StageResearch
	for _, c := range t.cues {
		if d := distance(c, hit{from: from, to: to}); d < best && c.rule.cue != cueTrouble {
			best, stage = d, c.rule.cue.stage()
		}
	}
	return stage
}
