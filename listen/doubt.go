package listen

import (
	"context"
	"math"
)

// heard is what is left of an utterance after the guards; an empty text means
// that nothing was said.
type heard struct {
	text       string
	confidence float64
	again      bool // it was doubtful and looked at a second time
}

// doubter recognises an utterance, doubts what came out, and looks again where
// that is worth the time.
type doubter struct {
	rec   Recogniser
	plain bool
}

func newDoubter(rec Recogniser, plain bool) *doubter { return &doubter{rec: rec, plain: plain} }

func (d *doubter) request(seg segment) Request {
	return Request{
		Views:     [][]float32{seg.samples},
		MaskEnd:   seg.speechSeconds() >= surelySpoken,
		MaxTokens: tokenCap(len(seg.samples)),
	}
}

func (d *doubter) partial(ctx context.Context, seg segment) (heard, error) {
	h, err := d.rec.Recognise(ctx, d.request(seg))
	return judged(seg, h), err
}

func (d *doubter) final(ctx context.Context, seg segment) (heard, error) {
	h, err := d.rec.Recognise(ctx, d.request(seg))
	return judged(seg, h), err
}

// forget overwrites what is left of the last utterance.
func (d *doubter) forget() {}

func judged(seg segment, h Hypothesis) heard {
	if invented(seg, h) {
		return heard{}
	}
	return heard{text: h.Text, confidence: math.Exp(h.LogProb)}
}
