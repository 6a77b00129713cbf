package intent

// Limits on what one utterance may hold; the rest of a longer one is ignored.
const (
	MaxText   = 4096 // bytes of text
	maxTokens = 400  // words after normalisation
)

// contractions are spelt out on both sides, in rules and in talk, so that a
// rule written "i'm getting" also meets "im getting" and "I am getting". An
// empty value drops a word that carries nothing.
var contractions = map[string][]string{
	"im": {"i", "am"}, "ive": {"i", "have"}, "i'd": {"i", "would"}, "i'll": {"i", "will"}, "ill": {"i", "will"},
	"we're": {"we", "are"}, "we've": {"we", "have"}, "weve": {"we", "have"}, "we'd": {"we", "would"}, "we'll": {"we", "will"},
	"you're": {"you", "are"}, "youre": {"you", "are"}, "you've": {"you", "have"}, "youve": {"you", "have"}, "you'd": {"you", "would"}, "you'll": {"you", "will"}, "youll": {"you", "will"},
	"they're": {"they", "are"}, "theyre": {"they", "are"}, "they've": {"they", "have"}, "theyve": {"they", "have"}, "they'll": {"they", "will"}, "theyll": {"they", "will"}, "they'd": {"they", "would"},
	"he's": {"he", "is"}, "hes": {"he", "is"}, "he'll": {"he", "will"}, "he'd": {"he", "would"},
	"she's": {"she", "is"}, "shes": {"she", "is"}, "she'll": {"she", "will"}, "she'd": {"she", "would"},
	"it's": {"it", "is"}, "its": {"it", "is"}, "it'll": {"it", "will"}, "itll": {"it", "will"}, "it'd": {"it", "would"},
	"that's": {"that", "is"}, "thats": {"that", "is"}, "what's": {"what", "is"}, "whats": {"what", "is"}, "there's": {"there", "is"}, "theres": {"there", "is"},
	"where's": {"where", "is"}, "wheres": {"where", "is"}, "who's": {"who", "is"}, "whos": {"who", "is"}, "how's": {"how", "is"}, "hows": {"how", "is"},
	"let's": {"let", "us"}, "lets": {"let", "us"},
	"dont": {"do", "not"}, "doesnt": {"does", "not"}, "didnt": {"did", "not"}, "cant": {"can", "not"}, "cannot": {"can", "not"}, "wont": {"will", "not"},
	"isnt": {"is", "not"}, "arent": {"are", "not"}, "aint": {"is", "not"}, "wasnt": {"was", "not"}, "werent": {"were", "not"},
	"wouldnt": {"would", "not"}, "couldnt": {"could", "not"}, "shouldnt": {"should", "not"}, "havent": {"have", "not"}, "hasnt": {"has", "not"}, "hadnt": {"had", "not"},
	"gonna": {"going", "to"}, "wanna": {"want", "to"}, "gotta": {"got", "to"}, "hafta": {"have", "to"}, "gimme": {"give", "me"}, "lemme": {"let", "me"},
	"whatre": {"what", "are"}, "ya": {"you"}, "em": {"them"}, "bout": {"about"}, "cause": {"because"}, "til": {"until"}, "an": {"a"},
	"uh": {}, "um": {}, "er": {}, "erm": {}, "hmm": {}, "mhm": {}, "just": {}, "really": {}, "actually": {}, "probably": {}, "definitely": {},
	"honestly": {}, "basically": {}, "literally": {}, "totally": {}, "seriously": {}, "also": {}, "even": {}, "kinda": {}, "sorta": {}, "very": {}, "super": {}, "finally": {}, "pretty": {},
}

// splitter cuts text into normalised words. It works in one buffer that is used
// again, so that a window costs no allocation.
type splitter struct {
	buf  []byte
	form []byte
}

// split calls word for each word of text and stop at each end of a sentence.
// Anything that is no letter or digit parts words; an apostrophe inside one is
// dropped after contractions were spelt out, and a possessive loses its "'s".
func (s *splitter) split(text string, word func([]byte), stop func()) {
	if len(text) > MaxText {
		text = text[:MaxText]
	}
	s.buf = s.buf[:0]
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			s.buf = append(s.buf, c)
		case c >= 'A' && c <= 'Z':
			s.buf = append(s.buf, c+'a'-'A')
		case c == '\'' && len(s.buf) > 0:
			s.buf = append(s.buf, c)
		case c == 0xe2 && i+2 < len(text) && text[i+1] == 0x80 && (text[i+2] == 0x99 || text[i+2] == 0x98):
			if len(s.buf) > 0 { // a typographic apostrophe
				s.buf = append(s.buf, '\'')
			}
			i += 2
		case c == 0xc3 && i+1 < len(text): // Latin letters with an accent
			if l := latin(text[i+1]); l != 0 {
				s.buf = append(s.buf, l)
			}
			i++
		case c == '.' && len(s.buf) > 0 && i+1 < len(text) && letter(text[i+1]):
			// "a.c." and "3.5" stay one word
		case c == '.' || c == '?' || c == '!' || c == ';':
			// the point that closes an abbreviation such as "a.c." ends no sentence
			abbreviation := c == '.' && i >= 2 && text[i-2] == '.'
			s.flush(word)
			if !abbreviation {
				stop()
			}
		default:
			s.flush(word)
		}
	}
	s.flush(word)
}

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// latin maps the second byte of a Latin-1 letter in UTF-8 to its plain letter.
func latin(c byte) byte {
	switch {
	case c >= 0x80 && c <= 0x85, c >= 0xa0 && c <= 0xa5:
		return 'a'
	case c == 0x87, c == 0xa7:
		return 'c'
	case c >= 0x88 && c <= 0x8b, c >= 0xa8 && c <= 0xab:
		return 'e'
	case c >= 0x8c && c <= 0x8f, c >= 0xac && c <= 0xaf:
		return 'i'
	case c == 0x91, c == 0xb1:
		return 'n'
	case c >= 0x92 && c <= 0x96, c >= 0xb2 && c <= 0xb6:
		return 'o'
	case c >= 0x99 && c <= 0x9c, c >= 0xb9 && c <= 0xbc:
		return 'u'
	}
	return 0
}

func (s *splitter) flush(word func([]byte)) {
	w := s.buf
	s.buf = s.buf[:0]
	for len(w) > 0 && w[len(w)-1] == '\'' {
		w = w[:len(w)-1]
	}
	if len(w) == 0 {
		return
	}
	if parts, ok := contractions[string(w)]; ok {
		emitParts(parts, &s.form, word)
		return
	}
	plain, apostrophe := s.form[:0], false
	for _, c := range w {
		if c == '\'' {
			apostrophe = true
			continue
		}
		plain = append(plain, c)
	}
	s.form = plain
	if apostrophe {
		if parts, ok := contractions[string(plain)]; ok {
			var own []byte
			emitParts(parts, &own, word)
			return
		}
		if len(w) > 2 && w[len(w)-2] == '\'' && w[len(w)-1] == 's' {
			plain = plain[:len(plain)-1]
		}
	}
	word(plain)
}

func emitParts(parts []string, form *[]byte, word func([]byte)) {
	for _, p := range parts {
		*form = append((*form)[:0], p...)
		word(*form)
	}
}

// whole are words whose ending only looks like one.
var whole = map[string]bool{
	"tired": true, "need": true, "bed": true, "red": true, "shed": true, "speed": true, "feed": true, "seed": true, "weed": true, "wedding": true, "ring": true,
	"king": true, "thing": true, "string": true, "spring": true, "bring": true, "morning": true, "evening": true, "ceiling": true, "clothing": true, "plumbing": true,
	"gas": true, "bus": true, "news": true, "glasses": true, "this": true, "his": true, "is": true, "was": true, "has": true, "does": true, "us": true, "yes": true,
	"used": true, "during": true, "nothing": true, "something": true, "anything": true, "everything": true, "building": true, "tennis": true, "christmas": true,
	"lens": true, "canvas": true, "indeed": true, "hundred": true, "housing": true, "going": true, "heating": true, "cooling": true, "roofing": true,
	"flooring": true, "lighting": true, "camping": true, "fishing": true, "skiing": true, "wing": true, "swing": true, "sing": true, "sling": true, "outing": true,
	"earring": true, "awning": true, "pudding": true, "married": true, "bored": true, "united": true, "wicked": true, "naked": true, "sacred": true, "kindred": true,
	"texas": true, "kansas": true, "vegas": true, "dallas": true, "paris": true, "dress": true, "ass": true, "gaming": true, "banking": true, "training": true,
	"cleaning": true, "painting": true, "storage": true, "boxing": true, "parking": true, "carpeting": true, "shipping": true, "streaming": true, "catering": true,
	"siding": true, "wiring": true, "meeting": true, "being": true, "seeing": true, "sterling": true, "duckling": true, "sibling": true, "blessed": true, "alas": true,
	"jeans": true, "pants": true, "shorts": true, "mass": true, "process": true, "access": true, "wireless": true, "mattress": true, "fitness": true,
	"business": true, "express": true, "dentist": true, "media": true, "series": true, "species": true, "yes'": true, "asking": true, "bleeding": true,
	"wanted": true, "rated": true, "times": true, "hers": true, "ours": true, "yours": true, "theirs": true, "always": true, "as": true, "goods": true,
}

// stem cuts the endings of plural and tense, lightly, in place: "leaks",
// "leaking" and "leaked" meet in "leak". Both rules and talk pass through it.
func stem(w []byte) []byte {
	if len(w) < 4 || whole[string(w)] {
		return w
	}
	n := len(w)
	switch {
	case hasEnd(w, "ies") && n > 4:
		w = w[:n-2]
		return w
	case hasEnd(w, "sses"), hasEnd(w, "shes"), hasEnd(w, "ches"), hasEnd(w, "xes"), hasEnd(w, "zes"):
		w = w[:n-2]
	case hasEnd(w, "ss"), hasEnd(w, "us"), hasEnd(w, "is"):
	case hasEnd(w, "s"):
		w = w[:n-1]
	case hasEnd(w, "ing") && n > 5 && vowel(w[:n-3]):
		w = undouble(w[:n-3])
	case hasEnd(w, "ied") && n > 4:
		return w[:n-2]
	case hasEnd(w, "ed") && n > 4 && vowel(w[:n-2]):
		w = undouble(w[:n-2])
	}
	n = len(w)
	switch {
	case n > 3 && w[n-1] == 'e':
		w = w[:n-1]
	case n > 3 && w[n-1] == 'y' && !isVowel(w[n-2]):
		w[n-1] = 'i'
	}
	return w
}

func hasEnd(w []byte, end string) bool {
	return len(w) >= len(end) && string(w[len(w)-len(end):]) == end
}

func isVowel(c byte) bool {
	return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' || c == 'y'
}

func vowel(w []byte) bool {
	for _, c := range w {
		if isVowel(c) {
			return true
		}
	}
	return false
}

func undouble(w []byte) []byte {
	n := len(w)
	if n > 3 && w[n-1] == w[n-2] && !isVowel(w[n-1]) && w[n-1] != 'l' && w[n-1] != 's' && w[n-1] != 'z' {
		return w[:n-1]
	}
	return w
}

// sound is a rough spelling of how a word sounds, without its vowels, so that
// a recogniser's "furniss" meets "furnace".
func sound(w, key []byte) []byte {
	key = key[:0]
	add := func(c byte) {
		if len(key) == 0 || key[len(key)-1] != c {
			key = append(key, c)
		}
	}
	for i := 0; i < len(w); i++ {
		c, next := w[i], byte(0)
		if i+1 < len(w) {
			next = w[i+1]
		}
		soft := next == 'e' || next == 'i' || next == 'y'
		switch c {
		case 'a', 'e', 'i', 'o', 'u', 'y':
			if i == 0 {
				add('a')
			}
		case 'h', 'w':
			if i == 0 {
				add(c)
			}
		case 'c':
			switch {
			case next == 'h':
				add('x')
				i++
			case soft:
				add('s')
			default:
				add('k')
			}
		case 'g':
			switch {
			case next == 'h':
				i++
			case soft:
				add('j')
			default:
				add('g')
			}
		case 'p':
			if next == 'h' {
				add('f')
				i++
			} else {
				add('p')
			}
		case 's':
			if next == 'h' {
				add('x')
				i++
			} else {
				add('s')
			}
		case 'z':
			add('s')
		case 'd':
			add('t')
		case 'v':
			add('f')
		case 'q':
			add('k')
		case 'x':
			add('k')
			add('s')
		default:
			add(c)
		}
	}
	return key
}
