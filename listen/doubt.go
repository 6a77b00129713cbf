package listen

import (
	"context"
	"math"
	"slices"
)

// When an utterance gets a view without its noise. Chosen on half of the clips;
// docs/asr.md has the figures.
const (
	noisyBelow = 14    // dB between its loud half and its quietest tenth
	doubtful   = -0.60 // mean log-probability a token: less sure than this, look again
	unbelieved = -1.10 // less sure than this after that: nobody said it
)

// silence is put before and after each utterance, 200 ms: the recogniser is
// surest of a first and a last word that it hears begin and end.
const silence = Rate / 5

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
	again      bool // it was noisy or doubtful, and heard without its noise as well
}

// doubter recognises an utterance that may be hard to understand. A noisy
// one is heard as it was and without its steady noise at once, and so, at a
// second look, is one that the first left doubtful; the likelier text is kept.
// Clean speech pays nothing for this.
type doubter struct {
	rec   Recogniser
	plain bool

	noise *suppressor
	quiet []float32 // the utterance without noise, overwritten after use

	levels []float32
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

// final recognises a complete utterance.
func (d *doubter) final(ctx context.Context, seg segment) (heard, error) {
	r := request(seg)
	if d.plain {
		h, err := d.rec.Recognise(ctx, r)
		if err != nil {
			return heard{}, err
		}
		return judged(seg, h), nil
	}
	defer d.forget()
	hard := d.loudness(seg.samples) < noisyBelow
	if hard {
		r.Views = append(r.Views, d.quieted(seg.samples))
	}
	h, err := d.rec.Recognise(ctx, r)
	if err != nil {
		return heard{}, err
	}
	if !hard && doubted(h) {
		hard = true
		r.Again, r.Views = true, append(r.Views, d.quieted(seg.samples))
		again, err := d.rec.Recognise(ctx, r)
		if err != nil {
			return heard{}, err
		}
		if h.Masked && !again.Masked || again.LogProb > h.LogProb {
			h = again
		}
	}
	got := judged(seg, h)
	if hard && h.LogProb < unbelieved {
		got = heard{}
	}
	got.again = hard
	return got, nil
}

// quieted is the utterance without its steady noise.
func (d *doubter) quieted(x []float32) []float32 {
	if cap(d.quiet) < len(x) {
		d.quiet = make([]float32, len(x))
	}
	d.quiet = d.quiet[:len(x)]
	d.noise.suppress(d.quiet, x, noiseFloor, overNoise)
	return d.quiet
}

// loudness is by how many dB the louder half of an utterance stands out from
// its quietest tenth: over 20 for speech in a quiet room.
func (d *doubter) loudness(x []float32) float64 {
	d.levels = d.levels[:0]
	for i := 0; i+FrameSize <= len(x); i += FrameSize {
		d.levels = append(d.levels, meanSquare(x[i:i+FrameSize]))
	}
	slices.Sort(d.levels)
	n := len(d.levels)
	if n == 0 {
		return 0
	}
	loud := 0.0
	for _, v := range d.levels[n/2:] {
		loud += float64(v)
	}
	loud /= float64(n - n/2)
	return 10 * math.Log10((loud+1e-10)/(float64(d.levels[n/10])+1e-10))
}

// forget overwrites what is left of the last utterance.
func (d *doubter) forget() {
	clear(d.quiet[:cap(d.quiet)])
	d.noise.wipe()
}

func request(seg segment) Request {
	return Request{
		Views:     [][]float32{seg.samples},
		Pad:       silence,
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
