package aloud

// Category is a slug of the in-market catalogue, such as "home.hvac".
type Category string

// Stage says how far along a purchase is.
type Stage string

// The five stages. Only the first three are in market.
const (
	StageNeed     Stage = "need"     // a problem or a wish
	StageResearch Stage = "research" // looking, comparing, asking
	StageReady    Stage = "ready"    // decided, about to buy or book
	StageBought   Stage = "bought"
	StageRejected Stage = "rejected"
)

// Valid reports whether s is one of the five.
func (s Stage) Valid() bool {
	switch s {
	case StageNeed, StageResearch, StageReady, StageBought, StageRejected:
		return true
	}
	return false
}

// InMarket reports whether a person at this stage may still buy.
func (s Stage) InMarket() bool {
	return s == StageNeed || s == StageResearch || s == StageReady
}

// Intent is one purchase intent found in talk: a category, a stage and how
// sure the engine is. It holds none of the words.
type Intent struct {
	Category Category `json:"category"`
	Stage    Stage    `json:"stage"`
	Score    float64  `json:"score"` // 0..1
	Turn     int      `json:"turn"`  // index in the window of the utterance that made it clear
}

// Source says where the speech behind a signal came from.
type Source string

// The two sources. Only a server started with --simulate takes SourceFile.
const (
	SourceMicrophone Source = "mic"
	SourceFile       Source = "file" // a recording, synthetic speech, or standard input
)

// Valid reports whether s is one of the two.
func (s Source) Valid() bool { return s == SourceMicrophone || s == SourceFile }
