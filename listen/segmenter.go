package listen

// How the segmenter cuts, in frames of 32 ms. The thresholds are Silero's own
// advice; the lengths are those that Moonshine works best with.
const (
	speechOn   = 0.5  // a frame this likely starts speech
	speechOff  = 0.35 // one less likely than this is a pause
	preRoll    = 10   // 320 ms before the first speech frame are kept
	hangOver   = 20   // 640 ms of pause end an utterance
	keepTail   = 15   // of which 480 ms are kept
	minSpeech  = 3    // an utterance with fewer speech frames is dropped
	maxFrames  = 312  // just under 10 s: longer ones are cut
	cutSearch  = 125  // at the quietest place of the last 4 s
	cutSmooth  = 5    // measured over 160 ms
	cutShare   = 2    // both sides get the 64 ms before and after it
	bufferSize = maxFrames * FrameSize
)

// segment is one utterance's audio. It is valid until the segmenter is told to
// release it.
type segment struct {
	samples []float32
	at      int64 // position of the first sample in the stream
	speech  int   // frames that held speech
	surety  float64
	open    bool // it was cut at the cap, and no pause was there to cut it in
}

// speechSeconds is how long somebody was heard to speak.
func (s segment) speechSeconds() float64 { return float64(s.speech*FrameSize) / Rate }

// segmenter cuts a stream of frames into utterances. It holds one utterance at
// most, in a buffer that never grows.
type segmenter struct {
	buf    [bufferSize]float32
	prob   [maxFrames]float32
	energy [maxFrames]float32
	n      int // frames held
	at     int64

	speaking bool
	first    int // index of the first speech frame, while speaking
	last     int // index of the last speech frame, while speaking
}

func newSegmenter() *segmenter { return &segmenter{} }

// add takes one frame at a position and its probability of speech. It returns
// true when an utterance is complete: take it with done, then release it.
func (s *segmenter) add(frame []float32, at int64, prob float32) bool {
	if s.n == 0 {
		s.at = at
	}
	copy(s.buf[s.n*FrameSize:], frame)
	s.prob[s.n] = prob
	s.energy[s.n] = meanSquare(frame)
	s.n++

	if !s.speaking {
		if prob < speechOn {
			if s.n > preRoll {
				s.discard(s.n - preRoll)
			}
			return false
		}
		s.speaking, s.first = true, s.n-1
	}
	if prob >= speechOff {
		s.last = s.n - 1
	}
	return s.pause() >= hangOver || s.n == maxFrames
}

// pause is how many frames have passed since speech was last heard.
func (s *segmenter) pause() int { return s.n - 1 - s.last }

// open reports whether an utterance goes on that is long enough to count.
func (s *segmenter) open() bool { return s.speaking && s.spoken(s.n) >= minSpeech }

// sofar is the utterance that goes on, as it would be if it ended here.
func (s *segmenter) sofar() segment { return s.upto(min(s.n, s.last+1+keepTail)) }

// done is the complete utterance; ok is false where it held too little speech.
func (s *segmenter) done() (segment, bool) {
	if !s.open() {
		return segment{}, false
	}
	if s.capped() {
		at := s.quietest()
		seg := s.upto(at + cutShare)
		seg.open = mean(s.prob[at-cutSmooth/2:at+cutSmooth/2+1]) >= speechOn
		return seg, true
	}
	return s.sofar(), true
}

// capped reports whether the utterance is complete because it is as long as
// one may be.
func (s *segmenter) capped() bool { return s.pause() < hangOver && s.n == maxFrames }

// release overwrites the utterance that done returned. What came after it is
// kept: the pre-roll of the next one, or its beginning where the cap cut it. The
// next one gets a share of what lies before the cut only where this one was
// heard: what a gate refused stays unheard.
func (s *segmenter) release(heard bool) {
	if !s.speaking {
		return
	}
	if s.capped() {
		if at := s.quietest(); heard {
			s.discard(at - cutShare)
		} else {
			s.discard(at + cutShare)
		}
		if s.last < 0 { // all speech was before the cut
			s.speaking, s.last = false, 0
			s.discard(max(0, s.n-preRoll))
		}
		return
	}
	s.speaking = false
	s.discard(max(s.last+1, s.n-preRoll))
	s.first, s.last = 0, 0
}

// reset overwrites everything: the stream has a gap or is over.
func (s *segmenter) reset() {
	s.discard(s.n)
	s.speaking, s.first, s.last = false, 0, 0
}

// discard overwrites the first n frames and moves the others to the front.
func (s *segmenter) discard(n int) {
	copy(s.buf[:], s.buf[n*FrameSize:s.n*FrameSize])
	clear(s.buf[(s.n-n)*FrameSize : s.n*FrameSize])
	copy(s.prob[:], s.prob[n:s.n])
	copy(s.energy[:], s.energy[n:s.n])
	s.n -= n
	s.at += int64(n) * FrameSize
	s.first = max(0, s.first-n)
	s.last -= n
}

func (s *segmenter) upto(n int) segment {
	seg := segment{samples: s.buf[:n*FrameSize], at: s.at, speech: s.spoken(n)}
	for _, p := range s.prob[:n] {
		if p >= speechOff {
			seg.surety += float64(p)
		}
	}
	if seg.speech > 0 {
		seg.surety /= float64(seg.speech)
	}
	return seg
}

func (s *segmenter) spoken(n int) int {
	c := 0
	for _, p := range s.prob[:n] {
		if p >= speechOff {
			c++
		}
	}
	return c
}

// quietest is the frame before which an utterance at the cap is cut: the one
// around which the least is heard, weighing the VAD's view in.
func (s *segmenter) quietest() int {
	best, at := float32(-1), s.n-cutSmooth
	for i := max(s.first+minSpeech, s.n-cutSearch); i < s.n-cutSmooth; i++ {
		var level float32
		for j := i - cutSmooth/2; j <= i+cutSmooth/2; j++ {
			level += s.energy[j] * (0.1 + s.prob[j])
		}
		if best < 0 || level < best {
			best, at = level, i
		}
	}
	return at
}

func meanSquare(x []float32) float32 {
	var sum float32
	for _, v := range x {
		sum += v * v
	}
	return sum / float32(len(x))
}

func mean(x []float32) float32 {
	var sum float32
	for _, v := range x {
		sum += v
	}
	return sum / float32(len(x))
}
