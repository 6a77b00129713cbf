//go:build cgo

package main

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
)

// noiseSNRs are the levels of the noisy set, in dB.
var noiseSNRs = []float64{0, 5, 10}

// noiseKinds are what it is made noisy with.
var noiseKinds = []string{"babble", "coloured"}

// talkers is how many others speak in the babble.
const talkers = 4

// noisy mixes one clip with noise at a level. The same seed, clip, kind and
// level give the same samples on every machine.
func noisy(clips []*clip, c *clip, kind string, snr float64) []float32 {
	h := fnv.New64a()
	fmt.Fprintf(h, "aloud noise 1 %s %s %g", c.Audio, kind, snr)
	r := rand.New(rand.NewPCG(h.Sum64(), 20260101))
	var noise []float32
	if kind == "babble" {
		noise = babble(clips, c, r)
	} else {
		noise = steadyNoise(len(c.samples), r)
	}
	gain := level(c.samples) / level(noise) * math.Pow(10, -snr/20)
	out := make([]float32, len(c.samples))
	peak := 0.0
	for i, v := range c.samples {
		out[i] = v + float32(gain)*noise[i]
		peak = max(peak, math.Abs(float64(out[i])))
	}
	if peak > 0.99 {
		for i := range out {
			out[i] *= float32(0.99 / peak)
		}
	}
	return out
}

// babble is several others talking at once, each equally loud.
func babble(clips []*clip, c *clip, r *rand.Rand) []float32 {
	var others []*clip
	for _, o := range clips {
		if o.Speaker != c.Speaker && cleanKinds[o.Kind] {
			others = append(others, o)
		}
	}
	out := make([]float32, len(c.samples))
	if len(others) == 0 {
		return steadyNoise(len(out), r)
	}
	for range talkers {
		o := others[r.IntN(len(others))].samples
		gain := 1 / level(o)
		at := r.IntN(len(o))
		for i := range out {
			out[i] += float32(gain) * o[(at+i)%len(o)]
		}
	}
	return out
}

// steadyNoise is noise whose power falls by 0, 3 or 6 dB an octave (white, pink,
// brown), chosen by chance.
func steadyNoise(n int, r *rand.Rand) []float32 {
	out := make([]float32, n)
	colour := r.IntN(3)
	var pink [7]float64
	brown := 0.0
	for i := range out {
		w := r.NormFloat64()
		switch colour {
		case 0:
			out[i] = float32(w)
		case 1: // Paul Kellet's filter
			pink[0] = 0.99886*pink[0] + w*0.0555179
			pink[1] = 0.99332*pink[1] + w*0.0750759
			pink[2] = 0.96900*pink[2] + w*0.1538520
			pink[3] = 0.86650*pink[3] + w*0.3104856
			pink[4] = 0.55000*pink[4] + w*0.5329522
			pink[5] = -0.7616*pink[5] - w*0.0168980
			out[i] = float32(pink[0] + pink[1] + pink[2] + pink[3] + pink[4] + pink[5] + pink[6] + w*0.5362)
			pink[6] = w * 0.115926
		default:
			brown = 0.995*brown + w
			out[i] = float32(brown)
		}
	}
	return out
}

// level is the root of the mean square, never zero.
func level(x []float32) float64 {
	sum := 1e-12
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(max(len(x), 1)))
}
