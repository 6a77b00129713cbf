package listen

import (
	"math"
	"math/rand/v2"
	"testing"
)

// buzz is a loud tone that comes and goes, every half second, over noise.
func buzz(noise float64) (clean, mixed []float32) {
	r := rand.New(rand.NewPCG(3, 4))
	clean, mixed = make([]float32, 5*Rate), make([]float32, 5*Rate)
	for i := range clean {
		if i/(Rate/2)%2 == 0 {
			clean[i] = float32(0.3 * math.Sin(2*math.Pi*440*float64(i)/Rate))
		}
		mixed[i] = clean[i] + float32(noise*r.NormFloat64())
	}
	return clean, mixed
}

func apart(a, b []float32) float64 {
	sum := 0.0
	for i := range a {
		sum += math.Pow(float64(a[i]-b[i]), 2)
	}
	return sum / float64(len(a))
}

func TestSteadyNoiseIsTurnedDown(t *testing.T) {
	clean, mixed := buzz(0.05)
	got := make([]float32, len(mixed))
	newSuppressor().suppress(got, mixed, noiseFloor, overNoise)
	if gain := 10 * math.Log10(apart(clean, mixed)/apart(clean, got)); gain < 8 {
		t.Errorf("the noise is %.1f dB weaker, want 8 at least", gain)
	}
}

func TestCleanSoundStaysAsItIs(t *testing.T) {
	clean, _ := buzz(0)
	got := make([]float32, len(clean))
	newSuppressor().suppress(got, clean, noiseFloor, overNoise)
	if d := 10 * math.Log10(float64(meanSquare(clean))/apart(clean, got)); d < 20 {
		t.Errorf("the sound itself was changed by -%.1f dB, want -20 at most", d)
	}
}

func TestSuppressorTakesAnyLengthAndForgets(t *testing.T) {
	s := newSuppressor()
	for _, n := range []int{0, 1, 100, hop, window, window + 1, Rate, 10 * Rate, 300} {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(i%7) / 10
		}
		got := make([]float32, n)
		s.suppress(got, x, noiseFloor, overNoise)
		for i, v := range got {
			if math.IsNaN(float64(v)) || math.Abs(float64(v)) > 4 {
				t.Fatalf("%d samples: sample %d became %v", n, i, v)
			}
		}
	}
	s.wipe()
	for _, buf := range [][]float64{s.power[:cap(s.power)], s.sum[:cap(s.sum)], s.sorted[:cap(s.sorted)], s.frame[:]} {
		for _, v := range buf {
			if v != 0 {
				t.Fatal("something of the utterance is left")
			}
		}
	}
}

func BenchmarkSuppress(b *testing.B) {
	_, x := buzz(0.05)
	got := make([]float32, len(x))
	s := newSuppressor()
	b.ReportAllocs()
	for b.Loop() {
		s.suppress(got, x, noiseFloor, overNoise)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/5, "ns/audio-s")
}
