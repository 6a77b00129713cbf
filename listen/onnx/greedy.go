package onnx

import (
	"context"

	"aloud.example/aloud/listen"
)

// greedy takes the likeliest token each time, over the average of the views'
// log-probabilities.
func (m *moonshine) greedy(ctx context.Context, r listen.Request, hidden []float32) (listen.Hypothesis, error) {
	views := len(r.Views)
	d, err := m.start(hidden, views)
	if err != nil {
		return listen.Hypothesis{}, err
	}
	defer d.finish()

	var h listen.Hypothesis
	var tokens []int32
	var sure []float64 // each token's log-probability
	mean := make([]float32, vocabSize)
	begin := []int64{tokenStart}
	for _, t := range r.Before {
		begin = append(begin, int64(t))
	}
	d.feed(begin...)
	for {
		if err := ctx.Err(); err != nil {
			return listen.Hypothesis{}, err
		}
		if err := d.next(hidden); err != nil {
			return listen.Hypothesis{}, err
		}
		scores, norm := d.logits, 0.0
		if views == 1 {
			norm = logSumExp(scores)
		} else {
			average(mean, d.logits, views)
			scores = mean
		}
		best := argmax(scores, -1)
		if len(tokens) == 0 {
			h.FirstEnd = float64(scores[tokenEnd]) - norm
			if best == tokenEnd && r.MaskEnd {
				h.Masked = true
				best = argmax(scores, tokenEnd)
			}
		}
		h.Tokens++
		logProb := float64(scores[best]) - norm
		h.LogProb += logProb
		if best == tokenEnd {
			break
		}
		tokens, sure = append(tokens, int32(best)), append(sure, logProb)
		if !r.Unguarded {
			if keep, looping := listen.Loop(tokens); looping {
				tokens, h.Cut = tokens[:keep], true
				break
			}
		}
		if len(tokens) >= r.MaxTokens {
			h.Cut = true
			break
		}
		d.feed(int64(best))
	}
	h.LogProb /= float64(h.Tokens)
	h.Text, h.Said = m.vocab.text(tokens), tokens
	h.Words = m.vocab.words(tokens, sure[:len(tokens)])
	return h, nil
}

// average writes the mean of the rows' log-probabilities to mean.
func average(mean, logits []float32, rows int) {
	n := len(mean)
	clear(mean)
	for r := range rows {
		row := logits[r*n : (r+1)*n]
		norm := float32(logSumExp(row))
		for i, v := range row {
			mean[i] += (v - norm) / float32(rows)
		}
	}
}

// argmax is the index of the largest value, but not the index skip.
func argmax(x []float32, skip int) int {
	best := -1
	for i, v := range x {
		if i != skip && (best < 0 || v > x[best]) {
			best = i
		}
	}
	return best
}
