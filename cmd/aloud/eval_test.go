//go:build cgo

package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aloud.example/aloud"
)

func TestWordsMeanTheSame(t *testing.T) {
	for _, same := range [][2]string{
		{"Press 5 to repeat.", "press five to repeat"},
		{"Mr. Hale, the 2nd of 42 lines", "mister hale the second of forty-two lines"},
		{"I don't know, um, what's there.", "i do not know what is there"},
		{"She's here; it's grey!", "she is here it is gray"},
		{"They’ll be OK", "they will be okay"},
		{"You can't. You cannot.", "you can not you can not"},
		{"the 31st, 12th and 20th", "the thirty first twelfth and twentieth"},
		{"Uh, hmm. Mm-hmm, yes", "yes"},
		{"Favourite colours & 50%", "favorite colors and fifty percent"},
		{"we're gonna", "we are going to"},
	} {
		if a, b := words(same[0]), words(same[1]); !slices.Equal(a, b) {
			t.Errorf("%q is %v, %q is %v", same[0], a, same[1], b)
		}
	}
	for _, differ := range [][2]string{{"five", "nine"}, {"I do", "I do not"}, {"2nd", "2"}, {"100", "one hundred and one"}, {"cat's", "dog's"}} {
		if slices.Equal(words(differ[0]), words(differ[1])) {
			t.Errorf("%q and %q count as the same", differ[0], differ[1])
		}
	}
	if got := words(" ♪ … !? "); len(got) != 0 {
		t.Errorf("no words became %v", got)
	}
}

func TestWordErrors(t *testing.T) {
	for _, c := range []struct {
		want, got string
		errors    int
	}{
		{"a b c", "a b c", 0},
		{"a b c", "", 3},
		{"", "a b", 2},
		{"a b c", "a x c", 1},
		{"a b c", "a c", 1},
		{"a b c", "a b b c", 1},
		{"a b c d", "b c d e", 2},
		{"a b", "c d e f g", 5},
	} {
		if got := wordErrors(strings.Fields(c.want), strings.Fields(c.got)); got != c.errors {
			t.Errorf("%q for %q: %d errors, want %d", c.got, c.want, got, c.errors)
		}
	}
}

// sound is a clip of a tone, for mixing.
func sound(name, speaker string, f float64) *clip {
	c := &clip{Audio: name, Kind: "read", Speaker: speaker, samples: make([]float32, 16000)}
	for i := range c.samples {
		c.samples[i] = float32(0.2 * math.Sin(f*float64(i)))
	}
	return c
}

func TestNoiseIsTheSameEachTimeAndAsLoudAsAsked(t *testing.T) {
	clips := []*clip{sound("a.wav", "a", 0.1), sound("b.wav", "b", 0.23), sound("c.wav", "c", 0.37)}
	for _, kind := range noiseKinds {
		for _, snr := range noiseSNRs {
			x := noisy(clips, clips[0], kind, snr)
			if !slices.Equal(x, noisy(clips, clips[0], kind, snr)) {
				t.Fatalf("%s at %g dB differs the second time", kind, snr)
			}
			// The mix may have been turned down as a whole; find by how much.
			var cross, own float64
			for i, v := range clips[0].samples {
				cross += float64(v) * float64(x[i])
				own += float64(v) * float64(v)
			}
			scale := cross / own
			rest := make([]float32, len(x))
			for i, v := range clips[0].samples {
				rest[i] = x[i] - float32(scale)*v
			}
			got := 20 * math.Log10(scale*level(clips[0].samples)/level(rest))
			if math.Abs(got-snr) > 1 {
				t.Errorf("%s: %.1f dB, want %g", kind, got, snr)
			}
		}
	}
}

func TestHalvesKeepCopiesTogether(t *testing.T) {
	for _, name := range []string{"commonvoice_en_6", "commonvoice_en_100", "x"} {
		a, b := &clip{Audio: name + ".wav"}, &clip{Audio: name + "__pink_noise_snr5.wav"}
		if a.half() != b.half() {
			t.Errorf("%s is in %s, its noisy copy in %s", name, a.half(), b.half())
		}
	}
}

func FuzzClips(f *testing.F) {
	if found, err := os.ReadDir(filepath.Join("testdata", "fuzz", "FuzzClips")); err != nil || len(found) == 0 {
		f.Fatal("testdata/fuzz/FuzzClips holds no seeds")
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		clips, err := parseManifest(bytes.NewReader(text))
		if err != nil {
			if aloud.ErrorCode(err) != aloud.EINVALID {
				t.Errorf("%v", err)
			}
			return
		}
		for _, c := range clips {
			if c.Audio == "" || c.Kind == "" {
				t.Errorf("accepted %+v", c)
			}
			_ = c.half()
			if c.Text != nil {
				words(*c.Text)
			}
		}
	})
}

func TestEvalSaysWhatIsWrongWithItsInput(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	write("empty.wav", "")
	write("text.wav", "this is no recording")
	for name, args := range map[string][]string{
		"no manifest given":   {},
		"no such manifest":    {"--manifest", filepath.Join(dir, "none")},
		"an empty manifest":   {"--manifest", write("a", "\n\n")},
		"no JSON":             {"--manifest", write("b", "hello")},
		"no audio":            {"--manifest", write("c", `{"text":"x"}`)},
		"audio is missing":    {"--manifest", write("d", `{"audio":"gone.wav"}`)},
		"audio is empty":      {"--manifest", write("e", `{"audio":"empty.wav"}`)},
		"audio is a text":     {"--manifest", write("f", `{"audio":"text.wav"}`)},
		"an unknown half":     {"--manifest", write("g", `{"audio":"text.wav"}`), "--half", "both"},
		"a folder":            {"--manifest", dir},
		"a line that is huge": {"--manifest", write("h", strings.Repeat("x", 2<<20))},
	} {
		var out, errs bytes.Buffer
		e := &env{stdin: strings.NewReader(""), stdout: &out, stderr: &errs}
		if code := run(t.Context(), append([]string{"eval", "asr"}, args...), e); code != 2 {
			t.Errorf("%s: exit status %d, want 2 (%s)", name, code, errs.String())
		}
		if lines := strings.Count(errs.String(), "\n"); lines != 1 || !strings.HasPrefix(errs.String(), "aloud: ") {
			t.Errorf("%s: said %q", name, errs.String())
		}
	}
}

// TestEvalOnSharedSpeech runs the command on a few real clips.
func TestEvalOnSharedSpeech(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes: left out by -short")
	}
	data := filepath.Join("..", "..", "..", "shared", "data", "speech")
	all, err := os.ReadFile(filepath.Join(data, "manifest.jsonl"))
	if err != nil {
		t.Skip("no shared speech data beside the repository")
	}
	dir := t.TempDir()
	var lines []string
	for line := range strings.Lines(string(all)) {
		var c map[string]any
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		if len(lines) < 4 && c["kind"] == "telephone-prompt" {
			path, err := filepath.Abs(filepath.Join(data, c["audio"].(string)))
			if err != nil {
				t.Fatal(err)
			}
			if c["audio"], err = filepath.Rel(dir, path); err != nil {
				t.Fatal(err)
			}
			if len(lines) == 3 {
				delete(c, "text") // recognised, not scored
			}
			text, _ := json.Marshal(c)
			lines = append(lines, string(text))
		}
	}
	manifest, out := filepath.Join(dir, "m.jsonl"), filepath.Join(dir, "heard.jsonl")
	if err := os.WriteFile(manifest, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	e := &env{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, now: time.Now}
	code := run(t.Context(), []string{"eval", "asr", "--manifest", manifest, "--model", "tiny", "--noise=false", "--hypotheses", out, "--json"}, e)
	if strings.Contains(stderr.String(), "make models") {
		t.Skip("no models in this build: run `make models` first")
	}
	var report asrReport
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		t.Fatalf("exit %d, %v: %s %s", code, err, stdout.String(), stderr.String())
	}
	k := report.Kinds["telephone-prompt"]
	if k == nil || k.Clips != 3 || k.Words < 15 || k.WER > 0.2 {
		t.Errorf("telephone prompts: %+v", k)
	}
	heard, err := os.ReadFile(out)
	if err != nil || strings.Count(string(heard), "\n") != 4 || !strings.Contains(string(heard), `"text":"`) {
		t.Errorf("%d hypotheses, want 4 (%v)", strings.Count(string(heard), "\n"), err)
	}
	for _, b := range report.Bars {
		if b.ID == "asr.clean_over_bare" && !b.Holds {
			t.Errorf("%+v", b)
		}
	}
}
