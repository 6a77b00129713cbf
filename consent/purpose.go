package consent

// Purpose is one thing a participant may agree to. Each is asked apart, none is
// pre-ticked, and each ends by itself.
type Purpose string

// The five purposes. A participant may grant any subset; what a purpose allows
// happens only if what it rests on is granted too.
const (
	PurposeListen         Purpose = "listen"          // the device may listen and understand, and keep it to itself
	PurposeShareSignals   Purpose = "share_signals"   // signals may leave the device
	PurposeMatchBehaviour Purpose = "match_behaviour" // signals may be joined with what the participant did elsewhere
	PurposePersonaliseAds Purpose = "personalise_ads" // ads may be chosen by signals
	PurposeMeasure        Purpose = "measure"         // what followed an ad may be counted
)

// AllPurposes returns the five, in the order in which they are asked and
// written. The slice is the caller's.
func AllPurposes() []Purpose {
	return []Purpose{PurposeListen, PurposeShareSignals, PurposeMatchBehaviour, PurposePersonaliseAds, PurposeMeasure}
}

// Valid reports whether p is one of the five.
func (p Purpose) Valid() bool { return p.rank() >= 0 }

// rank is p's place in AllPurposes, -1 if it has none.
func (p Purpose) rank() int {
	for i, q := range AllPurposes() {
		if p == q {
			return i
		}
	}
	return -1
}
