package intent_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aloud.example/aloud"
	"aloud.example/aloud/category"
	intent "aloud.example/aloud/models/intent"
)

// What every category has at least.
const (
	minPositives = 80
	minNegatives = 25
	minTalk      = 4000 // turns of everyday talk
	minSensitive = 2500 // turns on and around sensitive matters
	minJudging   = 1000 // validation conversations
)

func read(t *testing.T, file string) []intent.Block {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	blocks, err := intent.ReadBlocks(f)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return blocks
}

func files(t *testing.T, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	return names
}

// Every category has enough of both kinds, most of them without its name.
func TestEachCategoryHasEnough(t *testing.T) {
	stages := map[aloud.Stage]int{}
	for _, c := range category.All() {
		positive, negative, named := 0, 0, 0
		_, name, _ := strings.Cut(string(c.Slug), ".")
		for _, b := range read(t, filepath.Join("train", string(c.Slug)+".txt")) {
			own, any, said := false, false, false
			for _, turn := range b.Turns {
				for _, in := range turn.Intents {
					any = true
					if in.Category == c.Slug {
						own = true
						stages[in.Stage]++
					}
				}
				any = any || turn.Sensitive != ""
				said = said || strings.Contains(strings.ToLower(turn.Text), name)
			}
			switch {
			case own && said:
				named++
				fallthrough
			case own:
				positive++
			case !any:
				negative++
			}
		}
		if positive < minPositives || negative < minNegatives || 2*named > positive {
			t.Errorf("%s: %d with the intent, %d of them naming it, %d without any", c.Slug, positive, named, negative)
		}
	}
	for _, s := range []aloud.Stage{aloud.StageNeed, aloud.StageResearch, aloud.StageReady, aloud.StageBought, aloud.StageRejected} {
		if stages[s] < 500 {
			t.Errorf("only %d at the stage %s", stages[s], s)
		}
	}
}

// More of each category: longer exchanges, and what is said plainly.
func TestMoreLinesAreOfTheirCategory(t *testing.T) {
	for _, name := range append(files(t, "exchanges/*.txt"), files(t, "plain/*.txt")...) {
		own, positive := aloud.Category(strings.TrimSuffix(filepath.Base(name), ".txt")), 0
		for _, b := range read(t, name) {
			for _, turn := range b.Turns {
				for _, in := range turn.Intents {
					if in.Category == own {
						positive++
					}
				}
			}
		}
		if _, ok := category.BySlug(own); !ok || positive < 20 {
			t.Errorf("%s: %d with the intent", name, positive)
		}
	}
}

// The words of a category: a kind, then phrases, parted by tabs.
func TestWordsAreSound(t *testing.T) {
	kinds := map[string]bool{"goods": true, "brands": true, "parts": true, "faults": true, "doing": true}
	for _, name := range files(t, "words/*.tsv") {
		if _, ok := category.BySlug(aloud.Category(strings.TrimSuffix(filepath.Base(name), ".tsv"))); !ok {
			t.Errorf("%s is of no category", name)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		seen, count := map[string]bool{}, 0
		for line := range strings.Lines(string(text)) {
			f := strings.Split(strings.TrimRight(line, "\n"), "\t")
			if !kinds[f[0]] {
				t.Errorf("%s: %q is no kind", name, f[0])
			}
			for _, phrase := range f[1:] {
				count++
				if phrase == "" || phrase != strings.ToLower(strings.TrimSpace(phrase)) || seen[phrase] {
					t.Errorf("%s: %q", name, phrase)
				}
				seen[phrase] = true
			}
		}
		if count < 100 {
			t.Errorf("%s: %d phrases", name, count)
		}
	}
}

func TestThereIsEnoughOtherTalk(t *testing.T) {
	talk, sensitive := 0, 0
	for _, name := range files(t, "talk/*.txt") {
		for _, b := range read(t, name) {
			for _, turn := range b.Turns {
				talk++
				if len(turn.Intents) > 0 || turn.Sensitive != "" {
					t.Errorf("%s:%d: everyday talk has no tags", name, b.Line)
				}
			}
		}
	}
	for _, name := range files(t, "sensitive/*.txt") {
		for _, b := range read(t, name) {
			sensitive += len(b.Turns)
		}
	}
	if talk < minTalk || sensitive < minSensitive {
		t.Errorf("%d turns of everyday talk, %d of and around sensitive talk", talk, sensitive)
	}
}

// conversation is one of the validation set; see README.md.
type conversation struct {
	ID    string
	Kind  string
	Turns []struct{ Speaker, Text string }
	// Intents once for each speaker and category.
	Intents []struct {
		Turn     int
		Speaker  string
		Category aloud.Category
		Stage    aloud.Stage
	}
	Sensitive []int `json:"sensitive_turns"`
}

func validation(t *testing.T) []conversation {
	t.Helper()
	var out []conversation
	for _, name := range files(t, "validation/*.jsonl") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			var c conversation
			if err := json.Unmarshal([]byte(line), &c); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			out = append(out, c)
		}
	}
	return out
}

func TestValidationIsSound(t *testing.T) {
	all, ids, wanted := validation(t), map[string]bool{}, map[aloud.Category]int{}
	for _, c := range all {
		if c.ID == "" || ids[c.ID] {
			t.Errorf("the id %q is there twice", c.ID)
		}
		ids[c.ID] = true
		seen := map[string]bool{}
		for _, in := range c.Intents {
			key := in.Speaker + string(in.Category)
			_, known := category.BySlug(in.Category)
			if !known || !in.Stage.Valid() || in.Turn < 0 || in.Turn >= len(c.Turns) || c.Turns[in.Turn].Speaker != in.Speaker || seen[key] {
				t.Errorf("%s: %+v", c.ID, in)
				continue
			}
			for _, n := range c.Sensitive {
				if n == in.Turn {
					t.Errorf("%s: an intent out of a sensitive turn: %+v", c.ID, in)
				}
			}
			seen[key] = true
			wanted[in.Category]++
		}
		for _, n := range c.Sensitive {
			if n < 0 || n >= len(c.Turns) {
				t.Errorf("%s: turn %d is said to be sensitive", c.ID, n)
			}
		}
		if (len(c.Sensitive) > 0) != (c.Kind == "sensitive") || (c.Kind == "negative") && len(c.Intents) > 0 {
			t.Errorf("%s is %q, with %d intents and %d sensitive turns", c.ID, c.Kind, len(c.Intents), len(c.Sensitive))
		}
	}
	if len(all) < minJudging {
		t.Errorf("%d conversations", len(all))
	}
	for _, c := range category.All() {
		if wanted[c.Slug] < 3 {
			t.Errorf("%s is wanted %d times", c.Slug, wanted[c.Slug])
		}
	}
}

// Nothing is written twice: not in training, and not between it and validation.
func TestNothingIsWrittenTwice(t *testing.T) {
	seen := map[string]string{} // runs of words, and where they are
	repeats := func(where string, turns []string) {
		for _, text := range turns {
			words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r != '\'' && (r < 'a' || r > 'z') })
			const run = 9
			for i := 0; i+run <= len(words); i += run { // by steps: each turn is remembered by a few of its runs
				key := strings.Join(words[i:i+run], " ")
				if first, ok := seen[key]; ok && first != where {
					t.Errorf("%s and %s both say %q", first, where, key)
				}
				seen[key] = where
			}
		}
	}
	for _, pattern := range []string{"train/*.txt", "exchanges/*.txt", "plain/*.txt", "talk/*.txt", "sensitive/*.txt"} {
		for _, name := range files(t, pattern) {
			for _, b := range read(t, name) {
				var turns []string
				for _, turn := range b.Turns {
					turns = append(turns, turn.Text)
				}
				repeats(fmt.Sprintf("%s:%d", name, b.Line), turns)
			}
		}
	}
	for _, c := range validation(t) {
		var turns []string
		for _, turn := range c.Turns {
			turns = append(turns, turn.Text)
		}
		repeats(c.ID, turns)
	}
}

func TestMalformedBlocksAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"no speaker":                "hello there",
		"a speaker of two letters":  "AB: hello",
		"nothing said":              "A: [home.hvac need]",
		"no such category":          "A: it broke [home.furnace need]",
		"no such stage":             "A: it broke [home.hvac want]",
		"no such kind":              "A: oh dear [!money]",
		"a tag within":              "A: it [home.hvac need] broke",
		"sensitive with an intent":  "A: oh dear [!health] [home.hvac need]",
		"a line that never ends":    "A: " + strings.Repeat("a", 5000),
		"a bracket that never ends": "A: it broke [home.hvac need",
	} {
		if _, err := intent.ReadBlocks(strings.NewReader(text)); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("%s: %v", name, err)
		}
	}
	blocks, err := intent.ReadBlocks(strings.NewReader("A: it's cold\nB: call them [home.hvac ready] [home.repair need]\n\n\nA: oh [!health]\n"))
	if err != nil || len(blocks) != 2 || len(blocks[0].Turns) != 2 || len(blocks[0].Turns[1].Intents) != 2 ||
		blocks[0].Turns[1].Intents[0].Category != "home.hvac" || blocks[1].Turns[0].Sensitive != "health" || blocks[1].Line != 5 {
		t.Errorf("%+v, %v", blocks, err)
	}
}

func FuzzReadBlocks(f *testing.F) {
	f.Add("A: it's cold [home.hvac need]\n\nB: oh [!health]\n")
	f.Add("A: ]\nB: [\n")
	f.Fuzz(func(t *testing.T, text string) {
		blocks, err := intent.ReadBlocks(strings.NewReader(text))
		if err != nil && aloud.ErrorCode(err) != aloud.EINVALID {
			t.Fatal(err)
		}
		for _, b := range blocks {
			if len(b.Turns) == 0 || b.Turns[0].Text == "" {
				t.Fatalf("%+v", b)
			}
		}
	})
}
