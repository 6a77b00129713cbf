package intent

// How far the shadow of sensitive talk reaches.
const (
	shadowTurns   = 2   // utterances after it, whatever they are about
	shadowUnknown = 3   // the same where speakers are unknown: one turn may be cut in several
	shadowRelated = 5   // utterances after it, for what usually follows from such talk
	shadowPause   = 180 // seconds of silence that end it
)

// suppress marks sensitive turns and the shadow that they throw: suppression
// comes before anything else.
func suppress(turns []turn) {
	for i := range turns {
		t := &turns[i]
		if !t.child || t.speaker == "" {
			continue
		}
		for j := range turns { // all that a child says
			if turns[j].speaker == t.speaker && !turns[j].partial {
				turns[j].sensitive = true
				turns[j].kinds |= t.kinds
			}
		}
	}
	for i := range turns {
		t := &turns[i]
		if !t.sensitive {
			continue
		}
		if i > 0 && !turns[i-1].sensitive { // what led up to it
			turns[i-1].near |= t.kinds
		}
		reach := shadowTurns
		if t.speaker == "" {
			reach = shadowUnknown
		}
		for d := 1; d <= shadowRelated && i+d < len(turns); d++ {
			n := &turns[i+d]
			if n.start > 0 && t.end > 0 && n.start-t.end > shadowPause {
				break
			}
			if d <= reach {
				n.near |= t.kinds
			}
			n.far |= t.kinds
			if len(n.shifts) > 0 && !n.sensitive { // the talk turned to something else
				n.light = n.shifts[0].to
				break
			}
		}
	}
}

// shadows reports whether an intent of category c, heard from token from on,
// follows from sensitive talk.
func (t *turn) shadows(follows [][]bool, c int, from int16) bool {
	if t.near == 0 && t.far == 0 || t.light > 0 && from >= t.light-1 {
		return false
	}
	if t.near != 0 {
		return true
	}
	for k := range sensitiveKinds {
		if t.far&(1<<k) != 0 && follows[k][c] {
			return true
		}
	}
	return false
}
