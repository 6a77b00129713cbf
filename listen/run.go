package listen

import (
	"context"
	"strings"

	"aloud.example/aloud"
)

// Run hears what is fed or offered and calls emit with each utterance, in order
// and from this goroutine (one whose words are all unsure has no Text, but is
// Heard), until Finish was called and all is heard, ctx ends,
// or emit returns an error. All audio is overwritten before it returns.
func (l *Listener) Run(ctx context.Context, emit func(aloud.Utterance) error) error {
	defer l.seg.reset()
	defer l.queue.close()
	defer l.doubt.forget()
	l.cfg.VAD.Reset()
	defer l.cfg.VAD.Reset() // it holds the end of the audio

	var frame [FrameSize]float32
	defer clear(frame[:])
	next := int64(0)
	partial := partialClock{every: int(l.cfg.PartialEvery.Seconds() * Rate / FrameSize)}
	for {
		at, n, ok, err := l.queue.take(ctx, frame[:])
		if err != nil {
			return err
		}
		if !ok {
			return l.end(ctx, emit)
		}
		if at != next { // audio was dropped in between
			if err := l.end(ctx, emit); err != nil {
				return err
			}
			l.cfg.VAD.Reset()
		}
		next = at + int64(n)
		prob, err := l.judge(frame[:], n)
		if err != nil {
			return err
		}
		switch complete := l.seg.add(frame[:], at, prob); {
		case complete:
			partial.reset()
			err = l.final(ctx, emit)
		case l.cfg.Partials && partial.due(l.seg) && l.queue.waiting() < Rate/2:
			err = l.partial(ctx, emit)
		}
		if err != nil {
			return err
		}
	}
}

func (l *Listener) judge(frame []float32, n int) (float32, error) {
	start := l.cfg.Clock()
	prob, err := l.cfg.VAD.Speech(frame)
	took := l.cfg.Clock() - start
	l.mu.Lock()
	l.stats.VADSeconds += took.Seconds()
	l.stats.AudioSeconds += float64(n) / Rate
	l.mu.Unlock()
	return prob, err
}

// end flushes the utterance that goes on, if any.
func (l *Listener) end(ctx context.Context, emit func(aloud.Utterance) error) error {
	err := l.final(ctx, emit)
	l.seg.reset()
	l.doubt.forget()
	return err
}

func (l *Listener) final(ctx context.Context, emit func(aloud.Utterance) error) error {
	seg, ok := l.seg.done()
	ok = ok && l.admit(seg, true)
	defer l.seg.release(ok)
	if !ok {
		l.doubt.forget() // nothing runs on into what is not recognised
		return nil
	}
	start := l.cfg.Clock()
	heard, err := l.doubt.final(ctx, seg)
	took := l.cfg.Clock() - start
	if err != nil {
		return err
	}
	l.count(func(s *Stats) {
		s.FinalSeconds += took.Seconds()
		if heard.again {
			s.SecondLook++
		}
		if heard.text == "" {
			s.Guarded++
		} else {
			s.Utterances++
		}
	})
	if heard.text == "" && heard.all == "" {
		return nil
	}
	return emit(utterance(seg, heard, false))
}

func (l *Listener) partial(ctx context.Context, emit func(aloud.Utterance) error) error {
	seg := l.seg.sofar()
	if !l.admit(seg, false) {
		return nil
	}
	start := l.cfg.Clock()
	heard, err := l.doubt.partial(ctx, seg)
	took := l.cfg.Clock() - start
	if err != nil {
		return err
	}
	l.count(func(s *Stats) { s.PartialSeconds += took.Seconds() })
	if heard.text == "" {
		return nil
	}
	return emit(utterance(seg, heard, true))
}

func (l *Listener) admit(seg segment, final bool) bool {
	if l.cfg.Near == nil || l.cfg.Near.Admit(seg.samples, final) {
		return true
	}
	if final {
		l.count(func(s *Stats) { s.GatedSeconds += float64(len(seg.samples)) / Rate })
	}
	return false
}

func (l *Listener) count(change func(*Stats)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.stats)
}

func utterance(seg segment, heard heard, partial bool) aloud.Utterance {
	return aloud.Utterance{
		Start:      float64(seg.at) / Rate,
		End:        float64(seg.at+int64(len(seg.samples))) / Rate,
		Text:       strings.TrimSpace(heard.text),
		Heard:      strings.TrimSpace(heard.all),
		Confidence: heard.confidence,
		Partial:    partial,
	}
}

// partialClock says when a partial result is due, in frames of the utterance.
type partialClock struct {
	every int
	last  int
}

func (p *partialClock) reset() { p.last = 0 }

func (p *partialClock) due(s *segmenter) bool {
	if !s.open() || s.n-p.last < max(p.every, 1) || s.pause() > 0 {
		return false
	}
	p.last = s.n
	return true
}
