package listen

import (
	"math"
	"slices"
	"sync"
)

// What Near measures and by how much a voice may differ from the person's own.
// The figures come from 53 recordings of 14 people: at the microphone speech
// falls by 12 to 28 dB in 60 ms (9 to 14 telephone prompts), in a room that echoes
// for half a second, from as far as its critical distance or farther, by 6 to 10.
const (
	nearFrame = 160 // 10 ms: the step at which loudness is followed
	nearFall  = 6   // 60 ms: how fast a syllable falls silent

	faintest = -65.0 // dB under full scale: fainter speech is nobody's at the microphone
	dullest  = 10.0  // dB: a smaller fall, before there is a measure, is a room's echo

	fainterBy = 10.0 // dB: how much fainter than the person's own is too faint
	dullerBy  = 0.45 // by which share a smaller fall than the person's own is too distant
	bothBy    = 1.25 // what is somewhat of both: the shares of the two limits together

	ownSpeech = 3.0  // seconds of the person's first speech that set the measure
	driftBy   = 4.0  // dB: how far the measure may follow the person afterwards
	driftRate = 0.05 // by how much of the difference it does, an utterance
)

// Near is the gate of the mode "only me": an utterance that is fainter, or more
// distant by its reverberation, than the person at the microphone is dropped
// before anything recognises it. It measures loudness and echo, and nothing that
// tells one voice from another: there is no voiceprint. The person's own first
// speech of the session sets the measure; it must itself be near, or it is not
// admitted either. The zero value is ready; a session needs a new one.
//
// It is safe for concurrent use.
type Near struct {
	mu      sync.Mutex
	own     voice   // the measure
	first   voice   // as it was set, which drift may not leave far behind
	learned float64 // seconds of speech that it rests on
	levels  []float64
}

// voice is how far away somebody sounds.
type voice struct {
	level   float64 // dB under full scale, of the louder part of the speech
	fall    float64 // dB that the speech falls in 60 ms where it falls the fastest
	seconds float64 // of speech
}

// Admit implements Gate. Only a final utterance moves the measure.
func (n *Near) Admit(utterance []float32, final bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	v := n.measure(utterance)
	if !v.isNear() || (n.learned > 0 && n.distant(v)) {
		return false
	}
	if final {
		n.learn(v)
	}
	return true
}

// Calibrated reports whether the person has spoken long enough to set the
// measure.
func (n *Near) Calibrated() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.learned >= ownSpeech
}

// isNear is what can be said of a voice before there is one to compare with.
func (v voice) isNear() bool {
	return v.seconds > 0 && v.level > faintest && v.fall > dullest
}

// distant reports whether a voice is too much fainter or duller than the own.
func (n *Near) distant(v voice) bool {
	fainter := max(0, n.own.level-v.level) / fainterBy
	duller := max(0, 1-v.fall/n.own.fall) / dullerBy
	return fainter > 1 || duller > 1 || fainter+duller > bothBy
}

func (n *Near) learn(v voice) {
	if n.learned < ownSpeech { // the mean of the first speech, by its length
		share := v.seconds / (n.learned + v.seconds)
		n.own.level += share * (v.level - n.own.level)
		n.own.fall += share * (v.fall - n.own.fall)
		n.learned += v.seconds
		n.first = n.own
		return
	}
	follow := func(own *float64, first, now float64) {
		*own += driftRate * (now - *own)
		*own = max(first-driftBy, min(first+driftBy, *own))
	}
	follow(&n.own.level, n.first.level, v.level)
	follow(&n.own.fall, n.first.fall, v.fall)
}

// measure follows the loudness above 300 Hz, where rooms and desks hum less, in
// steps of 10 ms.
func (n *Near) measure(utterance []float32) voice {
	n.levels = n.levels[:0]
	var high highPass
	for len(utterance) >= nearFrame {
		var power float64
		for _, x := range utterance[:nearFrame] {
			y := high.next(float64(x))
			power += y * y
		}
		n.levels = append(n.levels, 10*math.Log10(power/nearFrame+1e-12))
		utterance = utterance[nearFrame:]
	}
	if len(n.levels) < 3*nearFall {
		return voice{}
	}
	sorted := slices.Clone(n.levels)
	slices.Sort(sorted)
	loud := quantile(sorted, 0.9)
	v := voice{level: loud}
	var falls []float64
	for i, level := range n.levels {
		if level < loud-20 {
			continue
		}
		v.seconds += float64(nearFrame) / Rate
		if i+nearFall < len(n.levels) && level > loud-12 {
			falls = append(falls, level-n.levels[i+nearFall])
		}
	}
	if len(falls) == 0 {
		return voice{}
	}
	slices.Sort(falls)
	v.fall = quantile(falls, 0.92)
	return v
}

func quantile(sorted []float64, q float64) float64 {
	return sorted[int(q*float64(len(sorted)-1))]
}

// highPass is a second-order Butterworth filter at 300 Hz.
type highPass struct{ x1, x2, y1, y2 float64 }

func (h *highPass) next(x float64) float64 {
	const (
		b0, b1, b2 = 0.9200662, -1.8401325, 0.9200662
		a1, a2     = -1.8337326, 0.8465323
	)
	y := b0*x + b1*h.x1 + b2*h.x2 - a1*h.y1 - a2*h.y2
	h.x1, h.x2 = x, h.x1
	h.y1, h.y2 = y, h.y1
	return y
}
