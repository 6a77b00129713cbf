package intent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aloud.example/aloud"
	"aloud.example/aloud/category"
	"aloud.example/aloud/intent"
)

// lines reads a table of testdata.
func lines(t testing.TB, name string, fields int) [][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for n, line := range strings.Split(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != fields {
			t.Fatalf("%s:%d: %d fields, want %d", name, n+1, len(f), fields)
		}
		out = append(out, f)
	}
	return out
}

// turns parts what somebody says into utterances.
func turns(text string) []aloud.Utterance {
	var out []aloud.Utterance
	for _, part := range strings.Split(text, " / ") {
		u := aloud.Utterance{Text: part}
		if speaker, rest, ok := strings.Cut(part, ": "); ok && len(speaker) == 1 {
			u.Speaker, u.Text = speaker, rest
		}
		out = append(out, u)
	}
	return out
}

// plain is text as a recogniser without punctuation or capitals gives it.
func plain(text string) string {
	return strings.ToLower(strings.NewReplacer(".", "", ",", "", "?", "", "!", "", "'", "").Replace(text))
}

func TestEveryCategoryIsFound(t *testing.T) {
	e := newEngine(t)
	count := map[aloud.Category]int{}
	for _, l := range lines(t, "positives.tsv", 3) {
		want := aloud.Category(l[0])
		count[want]++
		for _, text := range []string{l[2], plain(l[2])} {
			f := e.Detect(turns(text), nil)
			stage := aloud.Stage("")
			for _, in := range f.Intents {
				if in.Category == want {
					stage = in.Stage
				}
				if in.Score < intent.DefaultThreshold || in.Score > 1 {
					t.Errorf("score %v of %q", in.Score, text)
				}
			}
			if !stage.InMarket() || f.Suppressed != 0 {
				t.Errorf("%s: found %v, %d suppressed, in %q", want, f.Intents, f.Suppressed, text)
			} else if string(stage) != l[1] {
				t.Errorf("%s: stage %s, want %s, in %q", want, stage, l[1], text)
			}
		}
	}
	for _, c := range category.All() {
		if count[c.Slug] < 2 {
			t.Errorf("%s has %d sentences of its own, want at least 2", c.Slug, count[c.Slug])
		}
	}
}

func TestHardNegatives(t *testing.T) {
	e := newEngine(t)
	for _, l := range lines(t, "negatives.tsv", 2) {
		for _, text := range []string{l[1], plain(l[1])} {
			for _, in := range e.Detect(turns(text), nil).Intents {
				if in.Stage.InMarket() {
					t.Errorf("%s: %v out of %q", l[0], in, text)
				}
			}
		}
	}
}

func TestSensitiveTalkGivesNothing(t *testing.T) {
	e := newEngine(t)
	kinds := map[string]int{}
	for _, l := range lines(t, "sensitive.tsv", 2) {
		kinds[l[0]]++
		for _, text := range []string{l[1], plain(l[1])} {
			f := e.Detect(turns(text), []intent.Topic{{Name: "everything", Category: "home.hvac", Phrases: strings.Fields(l[1])}})
			if len(f.Intents) != 0 || f.Suppressed != 1 {
				t.Errorf("%s: %v, %d suppressed, out of %q", l[0], f.Intents, f.Suppressed, text)
			}
		}
	}
	if len(kinds) != 12 {
		t.Errorf("%d kinds of sensitive talk are tested, want 12: %v", len(kinds), kinds)
	}
}

func TestWhatOnlyLooksSensitive(t *testing.T) {
	e := newEngine(t)
	for _, l := range lines(t, "nearmiss.tsv", 2) {
		f := e.Detect(turns(l[1]), nil)
		if len(f.Intents) == 0 || string(f.Intents[0].Category) != l[0] {
			t.Errorf("%s: %v, %d suppressed, in %q", l[0], f.Intents, f.Suppressed, l[1])
		}
	}
}
