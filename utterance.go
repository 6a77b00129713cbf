package aloud

// Utterance is what one person said in one go, as the recogniser heard it. It
// lives in the device's memory alone: it has no JSON form on purpose, and no
// package that the server links takes one.
type Utterance struct {
	Start, End float64 // seconds from the start of the session
	Text       string
	Heard      string  // Text with the words that were left out of it as unsure; "" where none were
	Confidence float64 // 0..1, the recogniser's own
	Speaker    string  // "A", "B", … where the turn is known, else ""
	Partial    bool    // more of it is still being said
}
