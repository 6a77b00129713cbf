package onnx

import (
	"context"
	"sort"

	"aloud.example/aloud/listen"
)

// text is one of the texts that a beam search follows.
type text struct {
	tokens   []int32
	sum      float64 // of the log-probabilities
	from     int     // the row it grew from
	ended    bool
	cut      bool
	firstEnd float64
	masked   bool
}

func (t text) score() float64 { return t.sum / float64(len(t.tokens)+1) }

// beam follows the r.Beam likeliest texts at once and returns the one with the
// best mean log-probability a token.
func (m *moonshine) beam(ctx context.Context, r listen.Request, hidden []float32) (listen.Hypothesis, error) {
	views, width := len(r.Views), r.Beam
	size := len(hidden) / views
	wide := make([]float32, 0, size*views*width)
	for range width {
		wide = append(wide, hidden...)
	}
	defer clear(wide)
	d, err := m.start(wide, views*width, views*width)
	if err != nil {
		return listen.Hypothesis{}, err
	}
	defer d.finish()

	live := []text{{}}
	var ended []text
	mean := make([]float32, vocabSize)
	for i := range d.tokens {
		d.tokens[i] = tokenStart
	}
	for len(live) > 0 && len(live[0].tokens) < r.MaxTokens {
		if err := ctx.Err(); err != nil {
			return listen.Hypothesis{}, err
		}
		if err := d.next(wide); err != nil {
			return listen.Hypothesis{}, err
		}
		var grown []text
		for i, t := range live {
			average(mean, d.logits[i*views*vocabSize:], views)
			best := top(mean, width+1)
			if len(t.tokens) == 0 {
				t.firstEnd, t.masked = float64(mean[tokenEnd]), r.MaskEnd && best[0] == tokenEnd
			}
			for _, b := range best {
				if b == tokenEnd && len(t.tokens) == 0 && r.MaskEnd {
					continue
				}
				g := text{tokens: t.tokens, sum: t.sum + float64(mean[b]), from: i, firstEnd: t.firstEnd, masked: t.masked}
				if b == tokenEnd {
					g.ended = true
				} else {
					g.tokens = append(t.tokens[:len(t.tokens):len(t.tokens)], int32(b))
				}
				grown = append(grown, g)
			}
		}
		sort.SliceStable(grown, func(i, j int) bool { return grown[i].sum > grown[j].sum })
		live = live[:0:0]
		for _, g := range grown[:min(len(grown), 2*width)] {
			if keep, looping := listen.Loop(g.tokens); looping {
				g.tokens, g.ended, g.cut = g.tokens[:keep], true, true
			}
			switch {
			case g.ended:
				ended = append(ended, g)
			case len(live) < width:
				live = append(live, g)
			}
		}
		if len(ended) >= width && (len(live) == 0 || best(ended).score() > live[0].score()) {
			break
		}
		from := make([]int, d.rows)
		for i := range from {
			from[i] = i
		}
		for i, t := range live {
			for v := range views {
				from[i*views+v] = t.from*views + v
				d.tokens[i*views+v] = int64(t.tokens[len(t.tokens)-1])
			}
		}
		d.reorder(from)
	}
	for _, t := range live {
		if len(t.tokens) >= r.MaxTokens {
			t.cut = true
			ended = append(ended, t)
		}
	}
	won := best(ended)
	return listen.Hypothesis{
		Text: m.vocab.text(won.tokens), Tokens: len(won.tokens) + 1,
		LogProb: won.score(), FirstEnd: won.firstEnd, Masked: won.masked, Cut: won.cut,
	}, nil
}

func best(texts []text) text {
	b := texts[0]
	for _, t := range texts[1:] {
		if t.score() > b.score() {
			b = t
		}
	}
	return b
}

// top returns the indices of the n largest values, largest first.
func top(x []float32, n int) []int {
	found := make([]int, 0, n+1)
	for i, v := range x {
		if len(found) == n && v <= x[found[n-1]] {
			continue
		}
		at := sort.Search(len(found), func(j int) bool { return x[found[j]] < v })
		found = append(found, 0)
		copy(found[at+1:], found[at:])
		found[at] = i
		if len(found) > n {
			found = found[:n]
		}
	}
	return found
}
