package listen

import (
	"context"
	"math"
)

// When a hypothesis is doubted, in mean log-probability a token. Chosen on half
// of the clips; docs/asr.md has the figures.
const (
	doubtful   = -0.22 // less sure than this: look again
	unbelieved = -0.80 // less sure than this after that: nobody said it
)

// The suppressor may turn a frequency down by 20 dB, and takes the noise for
// twice as strong as it was measured.
const (
	noiseFloor = 0.1
	overNoise  = 2
)

// heard is what is left of an utterance after the guards; an empty text means
// that nothing was said.
type heard struct {
	text       string
	confidence float64
	again      bool // it was doubtful and looked at a second time
}

// doubter recognises an utterance, doubts what came out, and looks again where
// that is worth the time: at the utterance as it was together with a version
// without its steady noise.
type doubter struct {
	rec   Recogniser
	plain bool

	noise *suppressor
	quiet []float32 // the utterance without noise, overwritten after use
}

func newDoubter(rec Recogniser, plain bool) *doubter {
	return &doubter{rec: rec, plain: plain, noise: newSuppressor()}
}

// partial recognises an utterance that goes on, in one look.
func (d *doubter) partial(ctx context.Context, seg segment) (heard, error) {
	h, err := d.rec.Recognise(ctx, request(seg))
	if err != nil {
		return heard{}, err
	}
	return judged(seg, h), nil
}

// final recognises a complete utterance, in two looks where one leaves doubt.
func (d *doubter) final(ctx context.Context, seg segment) (heard, error) {
	first := request(seg)
	h, err := d.rec.Recognise(ctx, first)
	if err != nil {
		return heard{}, err
	}
	if d.plain || !doubted(h) {
		return judged(seg, h), nil
	}
	if cap(d.quiet) < len(seg.samples) {
		d.quiet = make([]float32, len(seg.samples))
	}
	d.quiet = d.quiet[:len(seg.samples)]
	defer d.forget()
	d.noise.suppress(d.quiet, seg.samples, noiseFloor, overNoise)
	second := first
	second.Views = [][]float32{seg.samples, d.quiet}
	h, err = d.rec.Recognise(ctx, second)
	if err != nil {
		return heard{}, err
	}
	got := judged(seg, h)
	if h.LogProb < unbelieved {
		got = heard{}
	}
	got.again = true
	return got, nil
}

// forget overwrites what is left of the last utterance.
func (d *doubter) forget() {
	clear(d.quiet[:cap(d.quiet)])
	d.noise.wipe()
}

func request(seg segment) Request {
	return Request{
		Views:     [][]float32{seg.samples},
		MaskEnd:   seg.speechSeconds() >= surelySpoken,
		MaxTokens: tokenCap(len(seg.samples)),
	}
}

func doubted(h Hypothesis) bool { return h.LogProb < doubtful || h.Masked || h.Cut }

func judged(seg segment, h Hypothesis) heard {
	if invented(seg, h) {
		return heard{}
	}
	return heard{text: h.Text, confidence: math.Exp(h.LogProb)}
}
