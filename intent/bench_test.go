package intent_test

import (
	"strings"
	"testing"

	"aloud.example/aloud"
	"aloud.example/aloud/intent"
)

// eight utterances of ordinary length, with two intents among them.
var eight = []aloud.Utterance{
	{Speaker: "A", Text: "So I got home and the house was boiling, I mean eighty five degrees in there."},
	{Speaker: "B", Text: "Again? Didn't they come out for that in the spring?"},
	{Speaker: "A", Text: "They did, and they said the compressor was fine. It just blows warm air all day long."},
	{Speaker: "B", Text: "I think your AC is on its last leg, to be honest with you."},
	{Speaker: "A", Text: "Yeah, I'm getting three quotes for a new one next week, and I dread it."},
	{Speaker: "B", Text: "Ask Maria who they used, theirs went in last summer and she was happy."},
	{Speaker: "A", Text: "I will. Are you still coming over on Saturday for the game with the boys?"},
	{Speaker: "B", Text: "If I can find somebody to watch the dog while we're out, then yes, we'll bring the chips."},
}

func BenchmarkDetect(b *testing.B) {
	e := newEngine(b)
	b.ReportAllocs()
	for b.Loop() {
		e.Detect(eight, nil)
	}
}

// BenchmarkFloor is the least that any engine must do: part the words.
func BenchmarkFloor(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		for _, u := range eight {
			strings.Fields(strings.ToLower(u.Text))
		}
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := intent.New(intent.Config{}); err != nil {
			b.Fatal(err)
		}
	}
}
