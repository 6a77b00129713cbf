package onnx

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"aloud.example/aloud"
	"aloud.example/aloud/listen"
)

// maxVocab bounds what a token table may hold.
const maxVocab = 1 << 17

// vocab turns token ids into text. Index is the id.
type vocab struct {
	pieces []string
}

// parseVocab reads a JSON list of tokens: "<0xNN>" is one byte, "▁" a space,
// the empty string a token that is never written down.
func parseVocab(text []byte) (*vocab, error) {
	var list []string
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "the token table is not a JSON list of strings: %w", err)
	}
	if len(list) < 3 || len(list) > maxVocab {
		return nil, aloud.Errorf(aloud.EINVALID, "the token table has %d entries: expected 3 to %d", len(list), maxVocab)
	}
	for i, piece := range list {
		if hex, ok := strings.CutPrefix(piece, "<0x"); ok && len(piece) == 6 && piece[5] == '>' {
			b, err := strconv.ParseUint(hex[:2], 16, 8)
			if err != nil {
				return nil, aloud.Errorf(aloud.EINVALID, "entry %d of the token table is not a byte", i)
			}
			list[i] = string([]byte{byte(b)})
			continue
		}
		list[i] = strings.ReplaceAll(piece, "▁", " ")
	}
	return &vocab{pieces: list}, nil
}

// text joins tokens; bytes that make no letter are left out.
func (v *vocab) text(tokens []int32) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(v.piece(t))
	}
	s := b.String()
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "")
	}
	return strings.TrimSpace(s)
}

// words splits tokens where a space begins one; sure holds each token's
// log-probability.
func (v *vocab) words(tokens []int32, sure []float64) []listen.Word {
	var all []listen.Word
	for from := 0; from < len(tokens); {
		to, least := from+1, sure[from]
		for ; to < len(tokens) && !strings.HasPrefix(v.piece(tokens[to]), " "); to++ {
			least = min(least, sure[to])
		}
		if text := v.text(tokens[from:to]); text != "" {
			all = append(all, listen.Word{Text: text, LogProb: least, At: from})
		}
		from = to
	}
	return all
}

func (v *vocab) piece(t int32) string {
	if t < 0 || int(t) >= len(v.pieces) {
		return ""
	}
	return v.pieces[t]
}
