package resample

import (
	"math"
	"slices"
	"testing"
)

func tone(rate int, hz, seconds float64) []float32 {
	out := make([]float32, int(seconds*float64(rate)))
	for i := range out {
		out[i] = float32(0.5 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate)))
	}
	return out
}

func resampled(from int, in []float32, block int) []float32 {
	r := New(from, 16000)
	var out []float32
	for len(in) > 0 {
		n := min(block, len(in))
		out = r.Push(out, in[:n])
		in = in[n:]
	}
	return r.Flush(out)
}

// A tone below the cut-off keeps its place in time, its pitch and its level; one
// above it is gone.
func TestResampleTones(t *testing.T) {
	for _, from := range []int{8000, 11025, 12000, 22050, 24000, 31999, 32000, 44100, 44101, 48000, 96000, 192000, 383999, 767999} {
		for _, hz := range []float64{100, 1000, 3300} {
			out := resampled(from, tone(from, hz, 0.5), 1000)
			if len(out) != 8000 {
				t.Errorf("%d Hz: %d samples of half a second", from, len(out))
			}
			var noise, power float64
			for i := 1000; i < 7000; i++ {
				want := 0.5 * math.Sin(2*math.Pi*hz*float64(i)/16000)
				noise += (float64(out[i]) - want) * (float64(out[i]) - want)
				power += want * want
			}
			if db := 10 * math.Log10(noise/power); db > -60 {
				t.Errorf("a %g Hz tone from %d Hz: error %.1f dB", hz, from, db)
			}
		}
	}
	for _, from := range []int{22050, 44100, 48000, 96000} {
		out := resampled(from, tone(from, 9000, 0.5), 1000)
		var power float64
		for _, v := range out[1000:7000] {
			power += float64(v) * float64(v)
		}
		if db := 10 * math.Log10(power/6000/0.125); db > -65 {
			t.Errorf("a 9 kHz tone from %d Hz is left at %.1f dB", from, db)
		}
	}
}

// The blocks in which input comes don't change the output.
func TestResampleBlocks(t *testing.T) {
	in := tone(44100, 440, 0.3)
	whole := resampled(44100, in, len(in))
	for _, block := range []int{1, 7, 441, 2048} {
		got := resampled(44100, in, block)
		if len(got) != len(whole) {
			t.Fatalf("blocks of %d give %d samples, want %d", block, len(got), len(whole))
		}
		for i := range got {
			if got[i] != whole[i] {
				t.Fatalf("blocks of %d: sample %d differs", block, i)
			}
		}
	}
}

// One resampler serves one recording after another, and keeps nothing of any.
func TestResampleAll(t *testing.T) {
	r := New(15200, 16000)
	in := tone(15200, 440, 0.7)
	want := resampled(15200, in, 1000)
	for range 2 {
		got := r.All(nil, in)
		if !slices.Equal(got, want) {
			t.Fatalf("%d samples, not the %d of the stream", len(got), len(want))
		}
		for _, v := range r.history[:cap(r.history)] {
			if v != 0 {
				t.Fatal("sound is left in the filter")
			}
		}
	}
}

func TestResampleKeepsLittle(t *testing.T) {
	r := New(48000, 16000)
	var out []float32
	for range 1000 {
		out = r.Push(out[:0], make([]float32, 2048))
	}
	if len(r.history) > 1000 {
		t.Errorf("%d input samples are held", len(r.history))
	}
}

func BenchmarkResample48k(b *testing.B) {
	r := New(48000, 16000)
	in := tone(48000, 440, 1)
	var out []float32
	b.SetBytes(int64(4 * len(in)))
	for b.Loop() {
		out = r.Push(out[:0], in)
	}
}
