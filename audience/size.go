package audience

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"time"

	"aloud.example/aloud"
)

// Minimum is how many distinct people an audience needs before anybody uses it.
// Only a simulated server may ask for fewer.
const Minimum = 50

// Size is how big an audience is for others' eyes: rounded to 10 after noise
// was added, and not shown at all until the audience has the minimum and up to
// 9 people more. The noise and that surplus are fixed for the rule under the
// server's secret: asking again, or making the audience again, tells nothing
// new.
//
// It blurs one size. It does not stop who compares many: rules that differ
// (another stage, a window of another order, a circle elsewhere) have noise of
// their own, so the sizes of two rules, and their difference, still say
// roughly how many people are in one and not in the other, and a series of
// such rules says more. Nor does it hide that bids begin at the minimum itself.
type Size struct {
	Few   bool // fewer than are shown; then About is 0
	About int
	under int
}

// Rounded hides a true count. The secret is the server's own.
func Rounded(secret []byte, r Rule, count, minimum int) Size {
	if minimum <= 0 {
		minimum = Minimum
	}
	mac := hmac.New(sha256.New, secret)
	_, _ = mac.Write([]byte("aloud-size/2\x00" + r.noiseKey()))
	sum := mac.Sum(nil)
	// 0 to 9 of 50; a simulated server's lower minimum has less, or none.
	spread := min(max(minimum/5, 1), 10)
	surplus := int(binary.BigEndian.Uint64(sum[:8]) % uint64(spread))
	if count < minimum+surplus {
		under := minimum // the words are the same whatever the surplus is
		if spread > 1 {
			under += spread
		}
		return Size{Few: true, under: under}
	}
	noise := int(binary.BigEndian.Uint64(sum[8:16])%19) - 9 // -9 to 9
	about := (count + noise + 5) / 10 * 10
	least := (minimum + 9) / 10 * 10
	return Size{About: max(about, least)}
}

// noiseKey is the same for rules that ask for almost the same people, so that
// asking in a few hundred ways does not average the noise out: stages in any
// order, windows of one power of two in hours, centres in one tenth of a degree.
func (r Rule) noiseKey() string {
	var stages []string
	for _, s := range []aloud.Stage{aloud.StageNeed, aloud.StageResearch, aloud.StageReady} {
		if r.Qualifies(s) {
			stages = append(stages, string(s))
		}
	}
	key := fmt.Sprintf("%s|%s|%d", r.Category, strings.Join(stages, ","), bits.Len64(uint64(r.Window/time.Hour)))
	if t := r.Territory; t != nil {
		key += fmt.Sprintf("|%d,%d,%d", tenths(t.lat), tenths(t.lon), t.miles)
	}
	return key
}

func tenths(degrees float64) int { return int(math.Round(degrees * 10)) }

// String says it in words.
func (s Size) String() string {
	if s.Few {
		return fmt.Sprintf("fewer than %d", s.under)
	}
	return fmt.Sprintf("about %d", s.About)
}
