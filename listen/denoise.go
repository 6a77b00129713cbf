package listen

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/dsp/fourier"
)

// How the suppressor looks at sound: windows of 32 ms every 16 ms.
const (
	window = 512
	hop    = 256
	bins   = window/2 + 1
)

// suppressor takes steady noise out of an utterance: it takes what each
// frequency never falls below as noise, and turns down what does not stand out
// from it (a Wiener filter, its signal-to-noise ratio estimated as Ephraim and
// Malah do). Its buffers hold one utterance and are overwritten by wipe.
type suppressor struct {
	fft    *fourier.FFT
	shape  [window]float64
	frame  [window]float64
	spec   []complex128 // by window, then by bin
	power  []float64    // by bin, then by window
	sum    []float64
	sorted []float64
}

func newSuppressor() *suppressor {
	s := &suppressor{fft: fourier.NewFFT(window)}
	for i := range s.shape {
		s.shape[i] = math.Sqrt(0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/window)) // root of Hann: used before and after
	}
	return s
}

// suppress writes to dst, which is as long as x, the utterance with the noise
// turned down to floor at the most.
func (s *suppressor) suppress(dst, x []float32, floor, over float64) {
	count := (len(x)+hop-1)/hop + window/hop - 1
	s.power = resized(s.power, bins*count)
	if cap(s.spec) < bins*count {
		s.spec = make([]complex128, bins*count, bins*count*5/4)
	}
	s.spec = s.spec[:bins*count]
	s.sum = resized(s.sum, len(x))
	clear(s.sum)
	for t := range count {
		s.analyse(x, t)
		for k, c := range s.spec[t*bins : (t+1)*bins] {
			s.power[k*count+t] = real(c)*real(c) + imag(c)*imag(c)
		}
	}
	noise := s.noise(count)
	var before [bins]float64 // the share of speech in the window before
	for t := range count {
		spec := s.spec[t*bins : (t+1)*bins]
		for k := range spec {
			post := s.power[k*count+t] / (noise[k]*over + 1e-12)
			prior := 0.9*before[k] + 0.1*max(post-1, 0)
			gain := max(prior/(1+prior), floor)
			before[k] = gain * gain * post
			spec[k] *= complex(gain, 0)
		}
		s.fft.Sequence(s.frame[:], spec)
		at := (t - window/hop + 1) * hop
		for i, v := range s.frame {
			if j := at + i; j >= 0 && j < len(x) {
				s.sum[j] += v * s.shape[i]
			}
		}
	}
	const scale = window * (window / hop) / 2 // of the transform and of the overlapping windows
	for i, v := range s.sum {
		dst[i] = float32(v / scale)
	}
}

// analyse takes the spectrum of window t.
func (s *suppressor) analyse(x []float32, t int) {
	at := (t - window/hop + 1) * hop
	for i := range s.frame {
		s.frame[i] = 0
		if j := at + i; j >= 0 && j < len(x) {
			s.frame[i] = float64(x[j]) * s.shape[i]
		}
	}
	s.fft.Coefficients(s.spec[t*bins:(t+1)*bins], s.frame[:])
}

// noise is each bin's steady power: what a fifth of the windows stay below,
// made up for being the lower end, and smoothed over neighbours.
func (s *suppressor) noise(count int) [bins]float64 {
	var raw, smooth [bins]float64
	s.sorted = resized(s.sorted, count)
	for k := range raw {
		copy(s.sorted, s.power[k*count:(k+1)*count])
		slices.Sort(s.sorted)
		// the windows at either end are partly empty
		low := s.sorted[min(count-1, 2+(count-2)/5)]
		raw[k] = low / 0.223 // the 20 % quantile of an exponential distribution
	}
	for k := range smooth {
		n := 0.0
		for j := max(0, k-2); j <= min(bins-1, k+2); j++ {
			smooth[k] += raw[j]
			n++
		}
		smooth[k] /= n
	}
	return smooth
}

// wipe overwrites what the buffers still hold.
func (s *suppressor) wipe() {
	clear(s.power[:cap(s.power)])
	clear(s.sum[:cap(s.sum)])
	clear(s.sorted[:cap(s.sorted)])
	clear(s.frame[:])
	clear(s.spec[:cap(s.spec)])
}

func resized(buf []float64, n int) []float64 {
	if cap(buf) < n {
		return make([]float64, n, n+n/4)
	}
	return buf[:n]
}
