package intent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aloud.example/aloud"
	"aloud.example/aloud/intent"
)

// FuzzDetect feeds any text, cut into turns at line ends: nothing panics, every
// intent is well formed, and a line that is sensitive alone gives none within
// its conversation.
func FuzzDetect(f *testing.F) {
	seeds, err := filepath.Glob(filepath.Join("testdata", "fuzz", "FuzzDetect", "*"))
	if err != nil || len(seeds) == 0 {
		f.Fatal("the seed folder testdata/fuzz/FuzzDetect is empty; it must hold seeds")
	}
	for _, name := range []string{"positives.tsv", "sensitive.tsv", "negatives.tsv"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text[:min(len(text), 2000)]))
	}
	e, err := intent.New(intent.Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<16 {
			text = text[:1<<16]
		}
		var window []aloud.Utterance
		for i, line := range strings.Split(text, "\n") {
			if len(window) == 20 {
				break
			}
			window = append(window, aloud.Utterance{Text: line, Speaker: string(rune('A' + i%3))})
		}
		found := e.Detect(window, []intent.Topic{{Name: "own", Category: "home.hvac", Phrases: []string{"a thing", text}}})
		for _, in := range found.Intents {
			if in.Turn < 0 || in.Turn >= len(window) || in.Score < intent.DefaultThreshold || in.Score > 1 || !in.Stage.Valid() {
				t.Fatalf("malformed intent %+v", in)
			}
			alone := e.Detect(window[in.Turn:in.Turn+1], nil)
			if alone.Suppressed > 0 && len(alone.Intents) == 0 {
				t.Fatalf("%+v came out of a turn that is sensitive by itself", in)
			}
		}
		session := e.NewConversation(nil)
		for _, u := range window {
			session.Hear(u)
		}
	})
}
