package listen

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"aloud.example/aloud"
)

// Config says how to listen. VAD and Recogniser are needed; all else has a
// useful zero value.
type Config struct {
	Recogniser Recogniser
	VAD        VAD

	// Partials asks for utterances that still go on, about once in PartialEvery
	// of speech (one second when zero), marked Partial.
	Partials     bool
	PartialEvery time.Duration

	// Near drops what it does not admit before it is recognised; nil admits all.
	Near Gate

	// Queue is how many seconds of audio may wait to be heard; 30 when zero.
	Queue float64

	// Plain leaves out the second look at noisy and doubtful utterances.
	Plain bool

	Now    func() time.Time     // nil is time.Now
	Clock  func() time.Duration // measures compute; nil measures by Now
	Logger *slog.Logger         // counts only, never text; nil is silent
}

// Stats are the figures of one Listener so far.
type Stats struct {
	AudioSeconds   float64 // heard, dropped audio not included
	DroppedSeconds float64 // came too late or too fast, never heard
	GatedSeconds   float64 // not admitted by Near, never recognised

	VADSeconds     float64 // compute, by part
	PartialSeconds float64
	FinalSeconds   float64

	Utterances int // final ones given out
	Guarded    int // final ones thrown out as invented
	SecondLook int // final ones that were noisy or doubtful, and looked at a second time
}

// ComputeSeconds is what all parts took together.
func (s Stats) ComputeSeconds() float64 { return s.VADSeconds + s.PartialSeconds + s.FinalSeconds }

// RTF is the compute time for each second of audio; 0 when nothing was heard.
func (s Stats) RTF() float64 {
	if s.AudioSeconds == 0 {
		return 0
	}
	return s.ComputeSeconds() / s.AudioSeconds
}

// Listener turns one stream of samples into utterances. One goroutine calls
// Run; others call Feed or Offer, then Finish.
type Listener struct {
	cfg   Config
	queue *queue
	seg   *segmenter
	doubt *doubter

	mu    sync.Mutex
	stats Stats
}

// New makes a Listener for one stream.
func New(cfg Config) (*Listener, error) {
	if cfg.Recogniser == nil || cfg.VAD == nil {
		return nil, aloud.Errorf(aloud.EINVALID, "listening needs a recogniser and a voice activity detector: open them with listen/onnx")
	}
	if cfg.Queue == 0 {
		cfg.Queue = 30
	}
	if cfg.Queue < 1 || cfg.Queue > 600 {
		return nil, aloud.Errorf(aloud.EINVALID, "the queue holds %g s of audio: choose between 1 and 600", cfg.Queue)
	}
	if cfg.PartialEvery <= 0 {
		cfg.PartialEvery = time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Clock == nil {
		start := cfg.Now()
		cfg.Clock = func() time.Duration { return cfg.Now().Sub(start) }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Listener{
		cfg:   cfg,
		queue: newQueue(int(cfg.Queue * Rate)),
		seg:   newSegmenter(),
		doubt: newDoubter(cfg.Recogniser, cfg.Plain),
	}, nil
}

// Feed adds samples and blocks until there was room for all of them: for files
// and pipes, which can wait.
func (l *Listener) Feed(ctx context.Context, samples []float32) error {
	return l.queue.put(ctx, samples)
}

// Offer adds samples and never blocks: for microphones, which can't wait. What
// finds no room pushes out the oldest audio, which is counted as dropped.
func (l *Listener) Offer(samples []float32) { l.queue.push(samples) }

// Finish says that no more audio comes; Run hears what waits and returns.
func (l *Listener) Finish() { l.queue.close() }

// Stats returns the figures so far; it may be called at any time.
func (l *Listener) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.DroppedSeconds = float64(l.queue.droppedSamples()) / Rate
	return s
}
