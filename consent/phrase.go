package consent

import (
	"crypto/rand"
	_ "embed"
	"math/big"
	"strings"
)

//go:embed words.txt
var words string

// phraseWords is how many words a phrase has: with 256 words in the list, one
// guess in 16 million is right.
const phraseWords = 3

// newPhrase draws the words a person is asked to type, so that an answer
// prepared beforehand does not fit.
func newPhrase() (string, error) {
	list := strings.Fields(words)
	var chosen []string
	for range phraseWords {
		n, err := rand.Int(rand.Reader, big.NewInt(int64(len(list))))
		if err != nil {
			return "", err
		}
		chosen = append(chosen, list[n.Int64()])
	}
	return strings.Join(chosen, " "), nil
}

// samePhrase forgives case and spaces, nothing else.
func samePhrase(typed, phrase string) bool {
	return strings.EqualFold(strings.Join(strings.Fields(typed), " "), phrase)
}
