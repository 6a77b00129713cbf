//go:build cgo

package main

import (
	_ "embed"
	"slices"
	"strings"

	"aloud.example/aloud"
)

//go:embed eval_labels.tsv
var labelTable string

// truth is what is known of the intents in one conversation.
type truth struct {
	wanted []wanted
	// open says that more may be in it than is known: what else is found is not
	// counted as wrong.
	open bool
	// plain says that it is small talk or a meeting, in which an intent is most
	// probably a false one.
	plain bool
}

// wanted is one intent that should be found: a speaker's, in one of the
// categories.
type wanted struct {
	speaker    string
	categories []aloud.Category
	stage      aloud.Stage // "" where only that it is in market is known
}

func (w wanted) inMarket() bool { return w.stage == "" || w.stage.InMarket() }

// labels maps the labels of public corpora to categories; see eval_labels.tsv.
type labels map[string][]aloud.Category

func readLabels(table string) labels {
	m := labels{}
	for line := range strings.Lines(table) {
		label, meaning, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		var categories []aloud.Category
		if meaning != "-" {
			for c := range strings.SplitSeq(meaning, "|") {
				categories = append(categories, aloud.Category(c))
			}
		}
		m[label] = categories
	}
	return m
}

// truthOf is what is known of a conversation: from the intents written down with
// it, or else from the labels of its source, turn by turn where it has them.
func (m labels) truthOf(t *talk) truth {
	var known truth
	if t.Intents != nil {
		for _, in := range *t.Intents {
			known.wanted = append(known.wanted, wanted{in.Speaker, []aloud.Category{in.Category}, in.Stage})
		}
		return known
	}
	known.plain = slices.Contains(t.Labels, "none")
	byTurn := false
	for _, turn := range t.Turns {
		for _, label := range turn.Labels {
			byTurn = true
			m.learn(&known, label, turn.Speaker)
		}
	}
	judged := byTurn || known.plain
	for _, label := range t.Labels {
		if !strings.HasPrefix(label, "intent:") && !strings.HasPrefix(label, "vertical:") {
			continue
		}
		judged = true
		if !byTurn {
			m.learn(&known, label, t.Turns[0].Speaker)
		}
	}
	known.open = known.open || !judged
	return known
}

func (m labels) learn(known *truth, label, speaker string) {
	categories, ok := m[label]
	switch {
	case !ok || slices.Equal(categories, []aloud.Category{"?"}):
		known.open = true
	case len(categories) > 0:
		w := wanted{speaker: speaker, categories: categories}
		if !slices.ContainsFunc(known.wanted, func(o wanted) bool { return o.speaker == speaker && slices.Equal(o.categories, categories) }) {
			known.wanted = append(known.wanted, w)
		}
	}
}
