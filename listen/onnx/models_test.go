package onnx_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aloud.example/aloud"
	"aloud.example/aloud/listen"
	"aloud.example/aloud/listen/onnx"
)

// open opens a model, or skips where the build has none.
func open(t testing.TB, model string) *onnx.Models {
	t.Helper()
	m, err := onnx.Open(onnx.Config{Model: model, CacheDir: cacheFolder(t)})
	if aloud.ErrorCode(err) == aloud.EUNAVAILABLE {
		t.Skipf("no models in this build: run `make models` first (%v)", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// cacheFolder is one for all tests of a run, so that models are unpacked once.
func cacheFolder(t testing.TB) string {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Skipf("no cache folder: %v", err)
	}
	return filepath.Join(dir, "aloud")
}

// speech reads a 16 kHz mono 16-bit WAV from testdata: synthetic voices of flite.
func speech(t testing.TB, name string) []float32 {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "speech", name))
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(data, []byte("data"))
	if at < 0 {
		t.Fatal("no data chunk")
	}
	var out []float32
	for d := data[at+8:]; len(d) >= 2; d = d[2:] {
		out = append(out, float32(int16(binary.LittleEndian.Uint16(d)))/32768)
	}
	return out
}

// run listens to audio and returns all text.
func run(t testing.TB, m *onnx.Models, audio []float32) (string, []aloud.Utterance) {
	t.Helper()
	l, err := listen.New(listen.Config{Recogniser: m.Recogniser(), VAD: m.VAD(), Queue: 120})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Feed(t.Context(), audio); err != nil {
		t.Fatal(err)
	}
	l.Finish()
	var got []aloud.Utterance
	var text []string
	if err := l.Run(t.Context(), func(u aloud.Utterance) error {
		got = append(got, u)
		text = append(text, u.Text)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(text, " "), got
}

func TestSpeechBecomesText(t *testing.T) {
	for _, model := range []string{"tiny", "base"} {
		m := open(t, model)
		for name, want := range map[string][]string{
			"jacket.wav": {"need", "buy", "new", "winter", "jacket", "skiing"},
			"car.wav":    {"where", "good", "second", "car"},
		} {
			text, got := run(t, m, speech(t, name))
			heard := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r < 'a' || r > 'z' })
			missing := 0
			for _, w := range want {
				if !slices.Contains(heard, w) {
					missing++
				}
			}
			if missing > 1 || len(got) != 1 {
				t.Errorf("%s, %s: %d utterances, %d of %d words missing", model, name, len(got), missing, len(want))
			}
			for _, u := range got {
				if u.Confidence <= 0.3 || u.Confidence > 1 || u.Start < 0 || u.End <= u.Start {
					t.Errorf("%s, %s: confidence %.2f from %.2f to %.2f", model, name, u.Confidence, u.Start, u.End)
				}
			}
		}
	}
}

// The decoder's last layer is multiplied in another way than in the package it
// comes from (models/decoder.mjs): that must not change what it thinks.
func TestLastLayerScoresAsThePackagesDoes(t *testing.T) {
	for _, model := range []string{"tiny", "base"} {
		dir := filepath.Join("..", "..", "models", "node_modules", "@usefulsensors", "moonshine-js", "dist", "model", model, "quantized")
		if _, err := os.Stat(dir); err != nil {
			t.Skipf("the package is not installed: run `make models` first (%v)", err)
		}
		theirs, err := onnx.Open(onnx.Config{Dir: dir, CacheDir: cacheFolder(t)})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = theirs.Close() }()
		ours := open(t, model)
		for _, name := range []string{"jacket.wav", "car.wav"} {
			r := listen.Request{Views: [][]float32{speech(t, name)}}
			want, err := theirs.Recogniser().Recognise(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ours.Recogniser().Recognise(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if got.Text != want.Text || math.Abs(got.LogProb-want.LogProb) > 0.01 || math.Abs(got.FirstEnd-want.FirstEnd) > 0.3 {
				t.Errorf("%s, %s: %q, %.4f and %.4f; the package's: %q, %.4f and %.4f", model, name,
					got.Text, got.LogProb, got.FirstEnd, want.Text, want.LogProb, want.FirstEnd)
			}
		}
	}
}

func TestNothingIsInventedForSilenceNoiseAndMusic(t *testing.T) {
	m := open(t, "base")
	r := rand.New(rand.NewPCG(1, 2))
	make10 := func(f func(i int) float64) []float32 {
		x := make([]float32, 10*listen.Rate)
		for i := range x {
			x[i] = float32(f(i))
		}
		return x
	}
	for name, audio := range map[string][]float32{
		"silence":     make10(func(int) float64 { return 0 }),
		"white noise": make10(func(int) float64 { return 0.1 * r.NormFloat64() }),
		"a hum":       make10(func(i int) float64 { return 0.3 * math.Sin(2*math.Pi*50*float64(i)/listen.Rate) }),
		"clicks":      make10(func(i int) float64 { return map[bool]float64{true: 0.9}[i%8000 < 20] }),
		"a chord": make10(func(i int) float64 {
			s := float64(i) / listen.Rate
			return 0.15 * (math.Sin(2*math.Pi*262*s) + math.Sin(2*math.Pi*330*s) + math.Sin(2*math.Pi*392*s)) * (0.6 + 0.4*math.Sin(2*math.Pi*3*s))
		}),
	} {
		if text, got := run(t, m, audio); len(got) != 0 {
			t.Errorf("%s became %q", name, text)
		}
	}
}

func TestFirstTokenMask(t *testing.T) {
	m := open(t, "tiny")
	quiet := make([]float32, listen.Rate)
	free, err := m.Recogniser().Recognise(t.Context(), listen.Request{Views: [][]float32{quiet}})
	if err != nil {
		t.Fatal(err)
	}
	masked, err := m.Recogniser().Recognise(t.Context(), listen.Request{Views: [][]float32{quiet}, MaskEnd: true, MaxTokens: 8})
	if err != nil {
		t.Fatal(err)
	}
	if free.Text != "" || free.Masked {
		t.Errorf("silence became text without a mask: %d tokens", free.Tokens)
	}
	if !masked.Masked || masked.Tokens < 2 {
		t.Errorf("with the mask: %d tokens, masked %v", masked.Tokens, masked.Masked)
	}
}

func TestViewsAgreeOnClearSpeech(t *testing.T) {
	m := open(t, "tiny")
	x := speech(t, "jacket.wav")
	var texts []string
	for _, r := range []listen.Request{
		{Views: [][]float32{x}, MaxTokens: 40},
		{Views: [][]float32{x, x}, MaxTokens: 40},
		{Views: [][]float32{x, x[:len(x)-800]}, MaxTokens: 40},
		{Views: [][]float32{x}, MaxTokens: 40}, // after the others: nothing of them is left
	} {
		h, err := m.Recogniser().Recognise(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if h.LogProb > 0 || h.LogProb < -0.5 || h.Tokens < 8 {
			t.Errorf("mean log-probability %.2f over %d tokens", h.LogProb, h.Tokens)
		}
		texts = append(texts, h.Text)
	}
	if texts[0] != texts[3] {
		t.Error("the same request gave another text the second time")
	}
	for i, text := range texts[1:] {
		if !strings.Contains(strings.ToLower(text), "jacket") {
			t.Errorf("variant %d lost the jacket", i+1)
		}
	}
}

// The answer goes on from what was recognised already, and tells its words and
// how sure each is.
func TestGoingOn(t *testing.T) {
	m := open(t, "tiny")
	x := speech(t, "jacket.wav")
	whole, err := m.Recogniser().Recognise(t.Context(), listen.Request{Views: [][]float32{x}, MaxTokens: 40})
	if err != nil {
		t.Fatal(err)
	}
	rest, err := m.Recogniser().Recognise(t.Context(), listen.Request{Views: [][]float32{x}, MaxTokens: 40, Before: whole.Said[:4]})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(rest.Said, whole.Said[4:]) {
		t.Errorf("it went on with %v, not with %v", rest.Said, whole.Said[4:])
	}
	rest, err = m.Recogniser().Recognise(t.Context(), listen.Request{Views: [][]float32{x, x, x}, MaxTokens: 40, Before: whole.Said[:4]})
	if err != nil || !strings.Contains(rest.Text, "jacket") {
		t.Errorf("with three views it went on with %q, %v", rest.Text, err)
	}
	var words []string
	for _, w := range whole.Words {
		words = append(words, w.Text)
		if w.LogProb > 0 || w.LogProb < -10 {
			t.Errorf("%q has a log-probability of %.2f", w.Text, w.LogProb)
		}
	}
	if got := strings.Join(words, " "); got != whole.Text {
		t.Errorf("the words are %q, the text is %q", got, whole.Text)
	}
}

func TestTokenCap(t *testing.T) {
	m := open(t, "tiny")
	h, err := m.Recogniser().Recognise(t.Context(), listen.Request{Views: [][]float32{speech(t, "jacket.wav")}, MaxTokens: 3})
	if err != nil || h.Tokens != 3 || !h.Cut {
		t.Errorf("%d tokens, cut %v, %v; want 3, cut", h.Tokens, h.Cut, err)
	}
}

func TestVeryShortAudio(t *testing.T) {
	m := open(t, "tiny")
	for _, n := range []int{1, 100, 500, 900, 4000} {
		if _, err := m.Recogniser().Recognise(t.Context(), listen.Request{Views: [][]float32{make([]float32, n)}}); err != nil {
			t.Errorf("%d samples: %v", n, err)
		}
	}
	if h, err := m.Recogniser().Recognise(t.Context(), listen.Request{}); err != nil || h.Text != "" {
		t.Errorf("no audio: %v", err)
	}
	if _, err := m.Recogniser().Recognise(t.Context(), listen.Request{Views: [][]float32{make([]float32, 9)}, Before: []int32{1 << 20}}); aloud.ErrorCode(err) != aloud.EINVALID {
		t.Errorf("a token that there is not: %v", err)
	}
	if _, err := m.VAD().Speech(make([]float32, 100)); aloud.ErrorCode(err) != aloud.EINVALID {
		t.Errorf("a short frame: %v", err)
	}
}

func TestModelFolder(t *testing.T) {
	open(t, "tiny") // skips where there are none
	dir := t.TempDir()
	_, err := onnx.Open(onnx.Config{Dir: dir, CacheDir: cacheFolder(t)})
	if aloud.ErrorCode(err) != aloud.ENOTFOUND || !strings.Contains(err.Error(), "encoder_model.onnx") {
		t.Errorf("an empty folder: %v", err)
	}
	for _, name := range []string{"encoder_model.onnx", "decoder_model_merged.onnx"} {
		data, err := os.ReadFile(filepath.Join("assets", "tiny", name))
		if errors.Is(err, os.ErrNotExist) {
			t.Skip("the assets are not in the source tree")
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := onnx.Open(onnx.Config{Dir: dir, CacheDir: cacheFolder(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if text, _ := run(t, m, speech(t, "jacket.wav")); !strings.Contains(strings.ToLower(text), "jacket") {
		t.Error("the model from a folder heard no jacket")
	}
	if err := os.WriteFile(filepath.Join(dir, "encoder_model.onnx"), []byte("no model"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := onnx.Open(onnx.Config{Dir: dir, CacheDir: cacheFolder(t)}); err == nil {
		t.Error("a damaged model was opened")
	}
}

func TestOpenRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, cfg := range []onnx.Config{{Model: "large"}, {Threads: -1}, {Threads: 1000}} {
		if _, err := onnx.Open(cfg); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

func BenchmarkVADFrame(b *testing.B) {
	m := open(b, "tiny")
	frame := speech(b, "jacket.wav")[8000 : 8000+listen.FrameSize]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.VAD().Speech(frame); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFinal(b *testing.B) {
	for _, model := range []string{"tiny", "base"} {
		b.Run(model, func(b *testing.B) {
			m := open(b, model)
			x := speech(b, "jacket.wav")
			r := listen.Request{Views: [][]float32{x}, MaskEnd: true, MaxTokens: 40}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Recogniser().Recognise(b.Context(), r); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/(float64(len(x))/listen.Rate), "rtf")
		})
	}
}

func BenchmarkPipeline(b *testing.B) {
	for _, model := range []string{"tiny", "base"} {
		b.Run(model, func(b *testing.B) {
			m := open(b, model)
			x := speech(b, "jacket.wav")
			for b.Loop() {
				run(b, m, x)
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/(float64(len(x))/listen.Rate), "rtf")
		})
	}
}
