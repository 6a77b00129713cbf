package listen

import (
	"math"
	"strings"
	"unicode"
)

// surelySpoken is how much speech the VAD must have heard before "nothing was
// said" is not believed.
const surelySpoken = 0.5

// tokenCap is the most tokens that audio of so many samples can hold: people
// say under six a second, and the end of the text is one more.
func tokenCap(samples int) int { return int(math.Ceil(float64(samples)/Rate*6.5)) + 4 }

// blank are the texts that recognisers of this kind give for silence, noise and
// music when they are not allowed to say nothing.
var blank = map[string]bool{
	"": true, "you": true, "thank you": true, "thanks for watching": true, "bye": true, "music": true, "applause": true,
	"laughter": true, "silence": true, "blank audio": true, "the": true, "i": true, "a": true, "hmm": true, "mm": true, "so": true,
}

// invented reports whether a hypothesis says what nobody said.
func invented(seg segment, h Hypothesis) bool {
	words := plain(h.Text)
	if words == "" {
		return true
	}
	if blank[words] && (h.Masked || seg.speechSeconds() < surelySpoken/2) {
		return true
	}
	sure := math.Exp(h.LogProb)
	return sure < 0.2 && (h.Cut || h.Masked || seg.surety < 0.7)
}

// plain keeps letters, digits, apostrophes and single spaces, in lower case.
func plain(text string) string {
	var b strings.Builder
	space := false
	for _, r := range strings.ToLower(text) {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '\'':
			if space && b.Len() > 0 {
				b.WriteByte(' ')
			}
			space = false
			b.WriteRune(r)
		default:
			space = true
		}
	}
	return b.String()
}

// Loop reports whether the tokens end in one n-gram said over and over, and how
// many tokens to keep so that it is said once. Recognisers stop there.
func Loop(tokens []int32) (keep int, looping bool) {
	for n := 1; n <= 16; n++ {
		times := 3
		switch n {
		case 1: // people do say "no, no, no, no"
			times = 5
		case 2:
			times = 4
		}
		if len(tokens) < n*times {
			continue
		}
		if repeats(tokens, n, times) {
			return len(tokens) - n*(times-1), true
		}
	}
	return len(tokens), false
}

func repeats(tokens []int32, n, times int) bool {
	end := len(tokens)
	for i := end - n*times; i < end-n; i++ {
		if tokens[i] != tokens[i+n] {
			return false
		}
	}
	return true
}
