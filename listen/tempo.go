package listen

import "aloud.example/aloud/listen/resample"

// tempo says an utterance slower or faster, and so a little lower or higher:
// the recogniser makes other mistakes then. Its buffer is overwritten by wipe.
type tempo struct {
	resampler *resample.Resampler
	out       []float32
}

// newTempo makes one that turns so many hundredths of a second into a hundred.
func newTempo(hundredths int) *tempo {
	return &tempo{resampler: resample.New(hundredths, 100)}
}

// said returns the utterance at the tempo. It is valid until the next call.
func (t *tempo) said(x []float32) []float32 {
	if most := 2 * len(x); cap(t.out) < most { // room at once: growing would leave a copy behind
		t.wipe()
		t.out = make([]float32, 0, most)
	}
	t.out = t.resampler.All(t.out[:0], x)
	return t.out
}

func (t *tempo) wipe() { clear(t.out[:cap(t.out)]) }
