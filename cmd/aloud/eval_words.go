//go:build cgo

package main

import (
	"strconv"
	"strings"
	"unicode"
)

// The normaliser makes two texts comparable: what a reader would call the same
// words becomes the same words. Both sides go through it alike; docs/asr.md
// lists its rules.

// spoken are words that are replaced by what is said, or by one spelling.
var spoken = map[string]string{
	// titles
	"mr": "mister", "mrs": "missus", "mistress": "missus", "ms": "miss", "dr": "doctor", "prof": "professor", "st": "saint", "sr": "senior",
	"jr": "junior", "vs": "versus",
	// contractions that the endings below don't undo
	"can't": "can not", "cannot": "can not", "won't": "will not", "shan't": "shall not", "ain't": "is not", "let's": "let us",
	"'twas": "it was", "'tis": "it is", "y'all": "you all", "gonna": "going to", "wanna": "want to", "gotta": "got to", "gimme": "give me",
	"lemme": "let me", "kinda": "kind of", "dunno": "do not know", "'em": "them", "'cause": "because", "'bout": "about", "o'clock": "oclock",
	// spelling pairs
	"okay": "ok", "'kay": "ok", "kay": "ok", "alright": "all right", "colour": "color", "colours": "colors", "grey": "gray", "favour": "favor",
	"favours": "favors", "favourite": "favorite", "honour": "honor", "honours": "honors", "neighbour": "neighbor", "neighbours": "neighbors",
	"centre": "center", "theatre": "theater", "metre": "meter", "litre": "liter", "realise": "realize", "realised": "realized",
	"recognise": "recognize", "recognised": "recognized", "organise": "organize", "organised": "organized", "travelling": "traveling",
	"travelled": "traveled", "towards": "toward", "afterwards": "afterward", "storey": "story", "programme": "program", "cheque": "check",
	"plough": "plow", "mould": "mold", "draught": "draft", "till": "until", "whilst": "while", "upstair": "upstairs", "voicemail": "voice mail",
	"email": "mail", "mailbox": "mail box", "someone": "some one", "anyone": "any one", "everyone": "every one", "anymore": "any more",
	"&": "and", "%": "percent",
}

// fillers are said, but nobody misses them in writing.
var fillers = map[string]bool{
	"uh": true, "um": true, "uhm": true, "umm": true, "er": true, "erm": true, "ah": true, "hm": true, "hmm": true, "mm": true, "mmm": true,
	"mhm": true, "mm-hmm": true, "uh-huh": true, "huh": true,
}

// endings are contractions by how they end.
var endings = []struct{ from, to string }{
	{"n't", " not"}, {"'ll", " will"}, {"'re", " are"}, {"'ve", " have"}, {"'m", " am"}, {"'d", " would"},
}

// isWords are the words after which 's stands for "is".
var isWords = map[string]bool{
	"it": true, "that": true, "he": true, "she": true, "what": true, "there": true, "here": true, "who": true, "where": true, "how": true,
}

var (
	ones = strings.Fields("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen")
	tens = strings.Fields("_ _ twenty thirty forty fifty sixty seventy eighty ninety")
	nth  = map[string]string{
		"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth", "twelve": "twelfth",
	}
)

// words normalises a text and splits it into words.
func words(text string) []string {
	text = strings.NewReplacer("’", "'", "‘", "'", "´", "'", "`", "'", "&", " & ", "%", " % ").Replace(strings.ToLower(text))
	var out []string
	for _, w := range strings.FieldsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\'' && r != '&' && r != '%'
	}) {
		out = append(out, word(w)...)
	}
	return out
}

func word(w string) []string {
	if to, ok := spoken[w]; ok {
		return strings.Fields(to)
	}
	if fillers[w] {
		return nil
	}
	if stem, ok := strings.CutSuffix(w, "'s"); ok && isWords[stem] {
		return []string{stem, "is"}
	}
	for _, e := range endings {
		if stem, ok := strings.CutSuffix(w, e.from); ok && stem != "" {
			return append([]string{stem}, strings.Fields(e.to)...)
		}
	}
	w = strings.ReplaceAll(w, "'", "")
	if to, ok := spoken[w]; ok {
		return strings.Fields(to)
	}
	if fillers[w] || w == "" {
		return nil
	}
	return number(w)
}

// number spells out 0 to 99 and 1st to 99th.
func number(w string) []string {
	digits := strings.TrimRight(w, "stndrh")
	ordinal := digits != w
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || n > 99 || (ordinal && w[len(digits):] != suffix(n)) || (len(digits) > 1 && digits[0] == '0') {
		return []string{w}
	}
	var said []string
	switch {
	case n < 20:
		said = []string{ones[n]}
	case n%10 == 0:
		said = []string{tens[n/10]}
	default:
		said = []string{tens[n/10], ones[n%10]}
	}
	if ordinal {
		last := &said[len(said)-1]
		if to, ok := nth[*last]; ok {
			*last = to
		} else if stem, ok := strings.CutSuffix(*last, "y"); ok {
			*last = stem + "ieth"
		} else {
			*last += "th"
		}
	}
	return said
}

func suffix(n int) string {
	if n/10 != 1 {
		switch n % 10 {
		case 1:
			return "st"
		case 2:
			return "nd"
		case 3:
			return "rd"
		}
	}
	return "th"
}

// wordErrors is the fewest words that have to be replaced, left out or put in to
// make one text of the other (Levenshtein).
func wordErrors(want, got []string) int {
	row := make([]int, len(got)+1)
	for j := range row {
		row[j] = j
	}
	for i, w := range want {
		diagonal := row[0]
		row[0] = i + 1
		for j, g := range got {
			cost := diagonal
			if w != g {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(got)]
}
