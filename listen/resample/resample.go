package resample

import "math"

// The low-pass filter: a sinc of this many zero crossings on either side under
// a Kaiser window. It passes speech to 6.6 kHz within 0.1 dB and leaves less
// than -75 dB of what lies above 8.2 kHz.
const (
	crossings  = 32
	kaiserBeta = 7.86
	passShare  = 0.925 // the cut-off's share of the narrower band
	maxPhases  = 1024  // filter positions in the time of an output sample
	exactTaps  = 1 << 18
	block      = 2048 // input samples that All takes at once
)

// Resampler changes the rate by a ratio up/down with a polyphase FIR filter.
// Rates with a large common divisor (all the usual ones) have one exact filter
// for each position; others use the nearest of fewer, blended linearly.
type Resampler struct {
	up, down int
	half     int         // input samples on either side of an output sample
	phases   [][]float32 // [position][tap]; one more than positions, for blending
	exact    bool

	history []float32 // input that later output still needs
	pos     int       // where the next output lies in history: whole samples …
	frac    int       // … and up-ths of one
	primed  bool
	taken   int64 // input samples so far
	given   int64 // output samples so far
}

// New makes one for a stream.
func New(from, to int) *Resampler {
	g := gcd(from, to)
	r := &Resampler{up: to / g, down: from / g}
	// In units of an input sample: the narrower of the two bands counts.
	cut := passShare * min(1, float64(to)/float64(from))
	r.half = int(math.Ceil(crossings / min(1, float64(to)/float64(from))))
	r.exact = r.up*2*r.half <= exactTaps
	positions := r.up
	if !r.exact {
		// The slower the output, the slower the filter changes from one input
		// sample to the next.
		positions = max(16, int(math.Ceil(maxPhases*min(1, float64(to)/float64(from)))))
	}
	// Room for some blocks, so that growing leaves no copy of the sound behind.
	r.history = make([]float32, 0, 2*r.half+4*block)
	r.phases = make([][]float32, positions+1)
	for p := range r.phases {
		r.phases[p] = tapsAt(float64(p)/float64(positions), r.half, cut)
	}
	return r
}

// tapsAt is the filter for an output sample that lies frac after an input one;
// its taps sum to one, so that a constant stays what it is.
func tapsAt(frac float64, half int, cut float64) []float32 {
	taps := make([]float64, 2*half)
	sum := 0.0
	for i := range taps {
		x := float64(i-half+1) - frac
		taps[i] = sinc(cut*x) * kaiser(x/float64(half))
		sum += taps[i]
	}
	out := make([]float32, len(taps))
	for i, v := range taps {
		out[i] = float32(v / sum)
	}
	return out
}

// Push takes input and appends the output that it completes to dst.
func (r *Resampler) Push(dst, in []float32) []float32 {
	if !r.primed { // the filter starts in silence
		r.history = append(r.history[:0], make([]float32, r.half-1)...)
		r.pos, r.primed = r.half-1, true
	}
	r.history = append(r.history, in...)
	r.taken += int64(len(in))
	return r.run(dst, math.MaxInt64)
}

// Flush appends the output that was still waiting for input: the recording's
// length is kept, to the sample.
func (r *Resampler) Flush(dst []float32) []float32 {
	if !r.primed {
		return dst
	}
	r.history = append(r.history, make([]float32, r.half+1)...)
	total := (r.taken*int64(r.up) + int64(r.down) - 1) / int64(r.down)
	return r.run(dst, total)
}

func (r *Resampler) run(dst []float32, total int64) []float32 {
	for r.pos+r.half < len(r.history) && r.given < total {
		dst = append(dst, r.at(r.history[r.pos-r.half+1:r.pos+r.half+1]))
		r.given++
		r.frac += r.down
		r.pos += r.frac / r.up
		r.frac %= r.up
	}
	if drop := min(r.pos-r.half+1, len(r.history)); drop > 0 {
		kept := copy(r.history, r.history[drop:])
		r.history = r.history[:kept]
		r.pos -= drop
	}
	return dst
}

func (r *Resampler) at(window []float32) float32 {
	if r.exact {
		return dot(r.phases[r.frac], window)
	}
	where := float64(r.frac) / float64(r.up) * float64(len(r.phases)-1)
	p := int(where)
	blend := float32(where - float64(p))
	return (1-blend)*dot(r.phases[p], window) + blend*dot(r.phases[p+1], window)
}

// Wipe overwrites the input that is still held.
func (r *Resampler) Wipe() { clear(r.history[:cap(r.history)]) }

// All resamples one whole recording: it appends the output to dst and ends
// wiped, ready for another.
func (r *Resampler) All(dst, in []float32) []float32 {
	r.Reset()
	for len(in) > 0 {
		n := min(block, len(in))
		dst, in = r.Push(dst, in[:n]), in[n:]
	}
	dst = r.Flush(dst)
	r.Reset()
	return dst
}

// Reset wipes it for another stream.
func (r *Resampler) Reset() {
	r.Wipe()
	r.history, r.primed = r.history[:0], false
	r.pos, r.frac, r.taken, r.given = 0, 0, 0, 0
}

// dot keeps four sums, so that one multiplication need not wait for another.
func dot(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// kaiser is the window at x, -1 to 1.
func kaiser(x float64) float64 {
	if x < -1 || x > 1 {
		return 0
	}
	return bessel(kaiserBeta * math.Sqrt(1-x*x)) // tapsAt divides by the sum: no need to scale
}

// bessel is the modified Bessel function of the first kind, order zero.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= (x / 2 / k) * (x / 2 / k)
		sum += term
	}
	return sum
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
