package listen

import "context"

// Rate is the sampling rate everything here works at. Samples are mono, in
// [-1, 1].
const Rate = 16000

// FrameSize is how many samples the voice activity detector judges at a time:
// 32 ms.
const FrameSize = 512

// A VAD says how likely each frame is to hold speech. It remembers what it
// heard before, so one VAD serves one stream.
type VAD interface {
	// Speech takes the next FrameSize samples and returns the probability, 0..1,
	// that somebody speaks in them.
	Speech(frame []float32) (float32, error)
	// Reset forgets what was heard; the next frame starts a new stream.
	Reset()
}

// A Recogniser writes down one utterance. It must not keep the samples of a
// Request after it returned: they are overwritten.
type Recogniser interface {
	Recognise(ctx context.Context, r Request) (Hypothesis, error)
}

// A Gate decides whether an utterance may be recognised at all; Near is the one
// for the mode in which only the person at the microphone is heard. It is asked
// before every recognition: with final false for an utterance that still goes
// on, with final true exactly once when it is over.
type Gate interface {
	Admit(utterance []float32, final bool) bool
}

// Request is one utterance to recognise.
type Request struct {
	// Views are the utterance as it was heard, and versions of it: mended, or
	// said slower or faster. Silence follows those that end before the longest.
	// With more than one, their opinions on each word are averaged.
	Views [][]float32
	// Before are the tokens of what the views begin with, Lead samples long,
	// where that was recognised already: the answer goes on from there.
	Before []int32
	Lead   int
	// Again says that the utterance was recognised before and left doubt.
	Again bool
	// MaskEnd forbids the end of the text as the very first token: set it where
	// somebody surely spoke.
	MaskEnd bool
	// MaxTokens bounds the answer; 0 leaves it to the recogniser.
	MaxTokens int
	// Unguarded leaves out the guard against repetition and whatever else the
	// recogniser adds to its model: to measure the bare one.
	Unguarded bool
}

// Hypothesis is what a recogniser made of a Request.
type Hypothesis struct {
	Text   string
	Words  []Word  // the same, word by word
	Said   []int32 // the same, as tokens that a Request's Before takes
	Tokens int     // how many, the end of the text included
	// LogProb is the mean log-probability of the tokens, the end of the text
	// included; 0 is certainty. FirstEnd is the log-probability that there was
	// nothing to write down, before MaskEnd had its say.
	LogProb  float64
	FirstEnd float64
	Masked   bool // the end of the text was the likeliest first token, and MaskEnd forbade it
	Cut      bool // it was stopped by MaxTokens or for repeating itself, not by an end of text
}

// Word is one word of a Hypothesis, with the punctuation after it.
type Word struct {
	Text    string
	LogProb float64 // of its least sure token
	At      int     // where it begins in Said
}
