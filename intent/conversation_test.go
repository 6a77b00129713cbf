package intent_test

import (
	"strings"
	"testing"

	"aloud.example/aloud"
	"aloud.example/aloud/intent"
)

func TestConversationGivesEachOnce(t *testing.T) {
	c := newEngine(t).NewConversation(nil)
	say := func(text string) intent.Finding { return c.Hear(aloud.Utterance{Text: text}) }
	if f := say("our furnace died last night"); len(f.Intents) != 1 || f.Intents[0].Category != "home.hvac" || f.Intents[0].Turn != 0 {
		t.Fatalf("first: %+v", f)
	}
	for range 20 { // longer than the window
		if f := say("the furnace died and that is all there is to say"); len(f.Intents) != 0 {
			t.Fatalf("the same again: %+v", f)
		}
	}
	if f := say("we are getting three quotes for a new furnace"); len(f.Intents) != 1 || f.Intents[0].Stage != aloud.StageResearch {
		t.Fatalf("a new stage: %+v", f)
	}
	if f := c.Hear(aloud.Utterance{Text: "we need a new couch", Partial: true}); len(f.Intents) != 0 {
		t.Fatalf("a partial utterance gave %+v", f)
	}
	c.Forget()
	if f := say("how much do they want for one of those"); len(f.Intents) != 0 {
		t.Fatalf("what was forgotten came back: %+v", f)
	}
}

// What a streaming caller was given already is taken back when the next
// utterance shows what it led up to.
func TestConversationTakesBack(t *testing.T) {
	c := newEngine(t).NewConversation(nil)
	if f := c.Hear(aloud.Utterance{Speaker: "A", Text: "we need a new mattress"}); len(f.Intents) != 1 || len(c.Retracted()) != 0 {
		t.Fatalf("first: %+v, retracted %+v", f, c.Retracted())
	}
	if f := c.Hear(aloud.Utterance{Speaker: "A", Text: "the tumor in my back is growing"}); f.Suppressed != 2 || len(f.Intents) != 0 {
		t.Fatalf("sensitive: %+v", f)
	}
	if got := c.Retracted(); len(got) != 1 || got[0].Category != "furniture.bed" {
		t.Fatalf("retracted %+v", got)
	}
	for range 8 {
		c.Hear(aloud.Utterance{Speaker: "A", Text: "anyway the weather is fine"})
	}
	if len(c.Retracted()) != 0 {
		t.Fatal("taken back twice")
	}
	if f := c.Hear(aloud.Utterance{Speaker: "A", Text: "we need a new mattress"}); len(f.Intents) != 1 {
		t.Fatalf("later, for another reason: %+v", f)
	}
}

func TestShadowOfSensitiveTalk(t *testing.T) {
	for _, c := range []struct {
		name, talk, want string
		suppressed       int
	}{
		{"what follows", "A: i am eleven weeks pregnant / B: oh wow / A: so we need a bigger car", "", 2},
		{"what led to it", "A: we need a new mattress / A: the tumor in my back is growing", "", 2},
		{"related, later", "A: i am pregnant / B: oh / A: yes / B: well / A: we need a new crib mattress and a bigger car", "", 2},
		{"unrelated, later", "A: i am pregnant / B: oh / A: yes / B: well / A: the toilet keeps overflowing", "home.plumbing", 1},
		{"a turn to something else", "A: the biopsy is on monday / B: i am sorry / A: anyway the dishwasher died and we need a new dishwasher", "appliances.large", 1},
		{"everything a child says", "A: what do you want / B: mommy can i get a bike / A: no / B: i need a new bike", "", 2},
		{"no speakers known", "the biopsy is on monday / yes / so / we need a new mattress", "", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newEngine(t).Detect(turns(c.talk), nil)
			got := ""
			if len(f.Intents) > 0 {
				got = string(f.Intents[0].Category)
			}
			if got != c.want || f.Suppressed != c.suppressed {
				t.Errorf("found %q, %d suppressed; want %q, %d", got, f.Suppressed, c.want, c.suppressed)
			}
		})
	}
}

func TestSuppressedIsCountedOnce(t *testing.T) {
	c := newEngine(t).NewConversation(nil)
	total := 0
	for range 3 {
		for _, text := range []string{"the oncologist called about the chemo", "i see", "it is raining"} {
			total += c.Hear(aloud.Utterance{Text: text, Speaker: "A"}).Suppressed
		}
	}
	if total != 3 {
		t.Errorf("three sensitive utterances counted as %d", total)
	}
}

func TestTopics(t *testing.T) {
	e := newEngine(t)
	topics := []intent.Topic{
		{Name: "whole-house fans", Category: "home.hvac", Phrases: []string{"whole house fan", "attic fans"}},
		{Name: "of no category", Category: "health.pills", Phrases: []string{"whole house fan"}},
	}
	for text, want := range map[string]int{
		"Have you heard about those Whole-House Fans?":                1,
		"they put an attic fan in":                                    1,
		"i don't want a whole house fan":                              0,
		"my asthma is so bad that the doctor wants a whole house fan": 0,
		"a whole new house":                                           0,
	} {
		if f := e.Detect([]aloud.Utterance{{Text: text}}, topics); len(f.Intents) != want {
			t.Errorf("%q: %+v, want %d", text, f.Intents, want)
		}
	}
}

func TestLimits(t *testing.T) {
	e := newEngine(t)
	long := strings.Repeat("we need a new furnace and ", 5000)
	if f := e.Detect([]aloud.Utterance{{Text: long}}, nil); len(f.Intents) != 1 {
		t.Errorf("a long utterance: %d intents", len(f.Intents))
	}
	window := make([]aloud.Utterance, 500)
	window[499].Text = "we need a new furnace"
	if f := e.Detect(window, nil); len(f.Intents) != 1 || f.Intents[0].Turn != 499 {
		t.Errorf("a long window: %+v", f)
	}
	if f := e.Detect(nil, nil); len(f.Intents) != 0 || f.Suppressed != 0 {
		t.Errorf("nothing: %+v", f)
	}
	for _, bad := range []float64{-1, 2} {
		if _, err := intent.New(intent.Config{Threshold: bad}); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("threshold %v: %v", bad, err)
		}
	}
}

// A word that is too unsure to go by still keeps what is sensitive from giving
// an intent.
func TestUnsureWordsSuppress(t *testing.T) {
	c := newEngine(t).NewConversation(nil)
	sure := aloud.Utterance{Text: "we need a new mattress"}
	if f := c.Hear(sure); len(f.Intents) != 1 || f.Suppressed != 0 {
		t.Fatalf("without the word: %+v", f)
	}
	c = newEngine(t).NewConversation(nil)
	f := c.Hear(aloud.Utterance{Text: sure.Text, Heard: "since the chemotherapy we need a new mattress"})
	if len(f.Intents) != 0 || f.Suppressed != 1 {
		t.Errorf("with it: %+v", f)
	}
	c = newEngine(t).NewConversation(nil)
	if f := c.Hear(aloud.Utterance{Text: "we need", Heard: "we need a new mattress"}); len(f.Intents) != 0 {
		t.Errorf("an intent from words that were left out: %+v", f)
	}
	c = newEngine(t).NewConversation(nil)
	if f := c.Hear(aloud.Utterance{Heard: "Chemotherapy."}); f.Suppressed != 1 {
		t.Errorf("nothing but an unsure word: %+v", f)
	}
	if f := c.Hear(sure); len(f.Intents) != 0 {
		t.Errorf("in the shadow of it: %+v", f)
	}
}

// A word that was left out may have said the opposite.
func TestUnsureWordsMayDeny(t *testing.T) {
	for text, heard := range map[string]string{
		"I need a new car.":  "I don't need a new car.",
		"We need a new car.": "My neighbour said: We need a new car.",
	} {
		if f := newEngine(t).NewConversation(nil).Hear(aloud.Utterance{Text: text, Heard: heard}); len(f.Intents) != 0 {
			t.Errorf("%q, heard as %q, gave %+v", text, heard, f.Intents)
		}
	}
	if f := newEngine(t).NewConversation(nil).Hear(aloud.Utterance{Text: "We need a new car.", Heard: "We really need a new car."}); len(f.Intents) != 1 {
		t.Errorf("a word that changes nothing: %+v", f)
	}
}
