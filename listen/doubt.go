package listen

import (
	"context"
	"math"
	"slices"
	"strings"
)

// When an utterance gets a second look, and what is left out after it. How they
// were chosen is in docs/asr.md.
const (
	noisyBelow = 18    // dB between its loud half and its quietest tenth …
	noisySure  = -0.30 // … and a mean log-probability a token below this
	doubtful   = -0.60 // less sure than this, look again where there is no noise, too
	unsureWord = -1.80 // a word less sure than this is left out
)

// The suppressor may turn a frequency down by 20 dB, and takes the noise for
// twice as strong as it was measured.
const (
	noiseFloor = 0.1
	overNoise  = 2
)

// fasterBy is how many hundredths of a second the second look says in a
// hundred.
const fasterBy = 105

// heard is what is left of an utterance after the guards; an empty text means
// that nothing was said.
type heard struct {
	text       string
	all        string // with the words that were left out of it; "" where none were
	confidence float64
	again      bool // it was noisy or doubtful, and looked at a second time
}

// doubter recognises an utterance that may be hard to understand. At a second
// look, one that left doubt is heard as it was, a little faster and, where it
// is noisy, without its steady noise, all at once. Clear speech pays nothing
// for this. Words that nobody can be sure of are left out in the end.
//
// An utterance that the cap cut in the middle of speech is kept, without its
// last word, until the one that it runs on into is recognised, which is heard
// from its beginning.
type doubter struct {
	rec   Recogniser
	plain bool

	noise  *suppressor
	quiet  []float32 // the utterance without noise, overwritten after use
	faster *tempo

	before struct { // an utterance that goes on in the next one
		samples []float32
		at      int64
		said    []int32
	}
	joined []float32 // it and the next one, overwritten after use

	levels []float32
}

func newDoubter(rec Recogniser, plain bool) *doubter {
	d := &doubter{rec: rec, plain: plain, noise: newSuppressor(), faster: newTempo(fasterBy)}
	// Room for the most there can be: growing would leave a copy behind.
	d.before.samples = make([]float32, 0, bufferSize)
	d.joined = make([]float32, 0, 2*bufferSize)
	return d
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
	r := d.request(seg)
	h, err := d.rec.Recognise(ctx, r)
	if err != nil {
		return heard{}, err
	}
	noisy := d.loudness(seg.samples) < noisyBelow
	again := !d.plain && doubted(h, noisy)
	if again {
		x := r.Views[0]
		r.Again, r.Views = true, append(r.Views, d.faster.said(x))
		if noisy {
			r.Views = append(r.Views, d.quieted(x))
		}
		if h, err = d.rec.Recognise(ctx, r); err != nil {
			return heard{}, err
		}
	}
	d.forget()
	got := judged(seg, h)
	got.again = again
	if seg.open && !d.plain && len(h.Words) > 1 && got.text != "" {
		got.all = h.Text // what follows may never be recognised: the last word must not be lost to suppression
		h = withoutLast(h)
		got.text = sure(h)
		d.before.samples = append(d.before.samples[:0], seg.samples...)
		d.before.at, d.before.said = seg.at, h.Said
	}
	return got, nil
}

// withoutLast leaves the last word, which the cut may have broken off, to what
// is carried on.
func withoutLast(h Hypothesis) Hypothesis {
	last := h.Words[len(h.Words)-1]
	h.Said, h.Words = h.Said[:last.At], h.Words[:len(h.Words)-1]
	kept := make([]string, len(h.Words))
	for i, w := range h.Words {
		kept[i] = w.Text
	}
	h.Text = strings.Join(kept, " ")
	return h
}

// request asks for an utterance, and for all that it runs on from where the cap
// cut it.
func (d *doubter) request(seg segment) Request {
	r := request(seg)
	b := &d.before
	lead := int(seg.at - b.at)
	if len(b.said) == 0 || lead > len(b.samples) {
		return r
	}
	d.joined = append(append(d.joined[:0], b.samples[:lead]...), seg.samples...)
	r.Views[0], r.Before, r.Lead = d.joined, b.said, lead
	return r
}

// doubted reports whether an utterance needs a second look.
func doubted(h Hypothesis, noisy bool) bool {
	return h.Masked || h.Cut || h.LogProb < doubtful || noisy && h.LogProb < noisySure
}

// quieted is the utterance without its steady noise.
func (d *doubter) quieted(x []float32) []float32 {
	if cap(d.quiet) < len(x) {
		clear(d.quiet)
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

// forget overwrites what is left of the utterances so far.
func (d *doubter) forget() {
	clear(d.quiet[:cap(d.quiet)])
	d.noise.wipe()
	d.faster.wipe()
	clear(d.joined[:cap(d.joined)])
	clear(d.before.samples[:cap(d.before.samples)])
	clear(d.before.said)
	d.before.said = nil
}

func request(seg segment) Request {
	return Request{
		Views:     [][]float32{seg.samples},
		MaskEnd:   seg.speechSeconds() >= surelySpoken,
		MaxTokens: tokenCap(len(seg.samples)),
	}
}

func judged(seg segment, h Hypothesis) heard {
	if invented(seg, h) {
		return heard{}
	}
	got := heard{text: sure(h), confidence: math.Exp(h.LogProb)}
	if got.text != h.Text {
		got.all = h.Text
	}
	return got
}

// sure is the text without the words that nobody can be sure of.
func sure(h Hypothesis) string {
	var kept []string
	for _, w := range h.Words {
		if w.LogProb >= unsureWord {
			kept = append(kept, w.Text)
		}
	}
	if len(kept) == len(h.Words) {
		return h.Text
	}
	return strings.Join(kept, " ")
}
