package listen_test

import (
	"bufio"
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aloud.example/aloud/listen"
	"aloud.example/aloud/listen/audio"
)

const demo = "../testdata/demo"

// spoken returns the demo's clips by voice.
func spoken(t testing.TB) map[string][][]float32 {
	t.Helper()
	f, err := os.Open(filepath.Join(demo, "clips.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // read only
	voices := map[string][][]float32{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var clip struct{ Audio, Voice string }
		if err := json.Unmarshal(lines.Bytes(), &clip); err != nil {
			t.Fatal(err)
		}
		voices[clip.Voice] = append(voices[clip.Voice], samples(t, filepath.Join(demo, clip.Audio)))
	}
	return voices
}

func samples(t testing.TB, path string) []float32 {
	t.Helper()
	r, err := audio.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }() // read only
	var out []float32
	buf := make([]float32, 4096)
	for {
		n, err := r.Read(context.Background(), buf)
		out = append(out, buf[:n]...)
		if err != nil {
			return out
		}
	}
}

// away is speech as a microphone hears it from farther away: fainter by gain
// dB, and in a room that echoes for so many seconds, whose echo is louder than
// the direct sound by so many dB.
func away(speech []float32, gain, echoes, louder float64) []float32 {
	r := rand.New(rand.NewPCG(7, uint64(len(speech))))
	h := make([]float64, int(echoes*listen.Rate))
	power := 1e-9
	for i := 80; i < len(h); i += 8 + r.IntN(16) { // a thousand a second: dense enough, and fast
		h[i] = r.NormFloat64() * math.Exp(-6.908*float64(i)/float64(len(h)))
		power += h[i] * h[i]
	}
	var echo []int
	for j, v := range h {
		if v != 0 {
			echo = append(echo, j)
		}
	}
	scale := math.Sqrt(math.Pow(10, louder/10) / power)
	volume := math.Pow(10, gain/20)
	out := make([]float32, len(speech))
	for i, x := range speech {
		v := volume * float64(x)
		out[i] += float32(v)
		for _, j := range echo {
			if i+j >= len(out) {
				break
			}
			out[i+j] += float32(v * scale * h[j])
		}
	}
	return out
}

// noisy adds what a quiet room and a cheap microphone add.
func noisy(speech []float32, level float64) []float32 {
	r := rand.New(rand.NewPCG(8, uint64(len(speech))))
	out := make([]float32, len(speech))
	for i, v := range speech {
		out[i] = v + float32(math.Pow(10, level/20)*r.NormFloat64())
	}
	return out
}

func TestNear(t *testing.T) {
	tests := []struct {
		name                 string
		gain, echoes, louder float64
		at                   float64 // the most of it that may be admitted
	}{
		{"fainter by 14 dB, no echo", -14, 0, 0, 0.1},
		{"fainter by 20 dB, no echo", -20, 0, 0, 0},
		{"two metres away in a living room", -6, 0.5, 2, 0.03},
		{"as loud, but across the room", 0, 0.6, 3, 0.03},
		{"a television next door", -18, 0.8, 8, 0},
		{"a shout in a bathroom", 6, 1.0, 5, 0.03},
	}
	admitted := make([]float64, len(tests))
	own, all, others := 0.0, 0.0, 0.0
	for _, clips := range spoken(t) {
		var n listen.Near
		for _, clip := range clips {
			all++
			clip = noisy(clip, -60)
			if n.Admit(clip, true) {
				own++
			}
			if !n.Calibrated() || int(all)%3 != 0 {
				continue
			}
			others++
			for i, test := range tests {
				if n.Admit(noisy(away(clip, test.gain, test.echoes, test.louder), -60), false) {
					admitted[i]++
				}
			}
		}
	}
	t.Logf("own speech admitted: %.0f of %.0f", own, all)
	if own < 0.95*all {
		t.Errorf("only %.0f of %.0f of the person's own utterances are admitted", own, all)
	}
	for i, test := range tests {
		t.Logf("%s: %.0f of %.0f admitted", test.name, admitted[i], others)
		if admitted[i] > test.at*others {
			t.Errorf("%s: %.0f of %.0f are admitted", test.name, admitted[i], others)
		}
	}
}

// What is distant from the start sets no measure: a television that happens to
// speak first is not the person.
func TestNearIsNotTaughtFromAfar(t *testing.T) {
	var n listen.Near
	for _, clips := range spoken(t) {
		for _, clip := range clips[:2] {
			if n.Admit(noisy(away(clip, -8, 0.7, 5), -60), true) {
				t.Error("distant speech was admitted before any other")
			}
		}
	}
	if n.Calibrated() {
		t.Error("distant speech set the measure")
	}
}

// Partial results don't move the measure, silence is nobody's, and drift is
// bounded however long the session is.
func TestNearMeasure(t *testing.T) {
	var clips [][]float32
	for voice, all := range spoken(t) {
		if strings.Contains(voice, "slt") {
			clips = all
		}
	}
	var n listen.Near
	for range 100 {
		n.Admit(clips[0], false)
	}
	if n.Calibrated() {
		t.Error("partial results set the measure")
	}
	if n.Admit(make([]float32, 16000), true) || n.Admit(nil, true) {
		t.Error("silence was admitted")
	}
	for !n.Calibrated() {
		if !n.Admit(clips[0], true) {
			t.Fatal("near speech is not admitted")
		}
	}
	fading := 0.0
	for range 500 { // somebody who walks away, a little at a time
		fading -= 0.1
		if !n.Admit(away(clips[0], fading, 0, 0), true) {
			break
		}
	}
	if fading < -20 {
		t.Errorf("the measure followed to %.0f dB", fading)
	}
}

func BenchmarkNear(b *testing.B) {
	for _, clips := range spoken(b) {
		var n listen.Near
		b.SetBytes(int64(4 * len(clips[0])))
		for b.Loop() {
			n.Admit(clips[0], true)
		}
		return
	}
}
