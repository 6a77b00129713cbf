package audience

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"aloud.example/aloud"
)

// Minimum is how many distinct people an audience needs before anybody uses it.
// Only a simulated server may ask for fewer.
const Minimum = 50

// Size is how big an audience is for others' eyes: rounded to 10 after adding
// noise that is fixed for the audience, so that asking again tells nothing new,
// and one person more or less can't be told apart.
type Size struct {
	Few   bool // fewer than the minimum; then About is 0
	About int
	least int
}

// Rounded hides a true count. The secret is the server's own.
func Rounded(secret []byte, a aloud.AudienceID, count, minimum int) Size {
	if minimum <= 0 {
		minimum = Minimum
	}
	if count < minimum {
		return Size{Few: true, least: minimum}
	}
	mac := hmac.New(sha256.New, secret)
	_, _ = mac.Write([]byte("aloud-size/1\x00" + string(a)))
	noise := int(binary.BigEndian.Uint64(mac.Sum(nil))%19) - 9 // -9 to 9
	about := (count + noise + 5) / 10 * 10
	least := (minimum + 9) / 10 * 10
	return Size{About: max(about, least), least: minimum}
}

// String says it in words.
func (s Size) String() string {
	if s.Few {
		return fmt.Sprintf("fewer than %d", s.least)
	}
	return fmt.Sprintf("about %d", s.About)
}
