//go:build cgo

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"aloud.example/aloud/consent"
	"aloud.example/aloud/listen"
)

// A view shows events to a person or a program. It may be called by many at
// once.
type view interface {
	show(event any)
	close()
}

// viewOf says what is viewed.
type viewOf struct {
	name       string
	text       bool // utterances may be written down; never for a microphone
	microphone bool
	deadline   time.Time
	mode       consent.Mode
	level      func() float64 // valid after the ready event
	near       *listen.Near
	indicator  io.Writer // the terminal, on which it must be seen that Aloud listens

	// failed ends the listening: what can't be shown must not be heard either.
	failed func(error)
}

// newView chooses JSON, a live view on a terminal, or plain lines.
func newView(e *env, o listenOptions, of viewOf) view {
	var v view
	switch {
	case o.json:
		v = &jsonView{out: json.NewEncoder(e.stdout), of: of}
	case isTerminal(e.stdout):
		return newLiveView(e, of)
	default:
		v = &plainView{out: e.stdout, of: of}
	}
	if of.microphone {
		v = newIndicator(v, e, of)
	}
	return v
}

// jsonView writes one event a line.
type jsonView struct {
	mu  sync.Mutex
	out *json.Encoder
	of  viewOf
}

func (v *jsonView) show(event any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if u, ok := event.(utteranceEvent); ok && !v.of.text {
		u.Text = ""
		event = u
	}
	if err := v.out.Encode(event); err != nil {
		v.of.failed(err)
	}
}

func (v *jsonView) close() {}

// plainView writes one line for each event that matters to a reader.
type plainView struct {
	mu  sync.Mutex
	out io.Writer
	of  viewOf
}

func (v *plainView) show(event any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	line := lineOf(event, v.of.text)
	if line == "" {
		return
	}
	if _, err := fmt.Fprintln(v.out, line); err != nil {
		v.of.failed(err)
	}
}

func (v *plainView) close() {}

// lineOf is an event in words, "" for one that needs none.
func lineOf(event any, text bool) string {
	switch ev := event.(type) {
	case utteranceEvent:
		if text && !ev.Partial {
			return fmt.Sprintf("%8s  %s", clock(ev.Start), ev.Text)
		}
	case intentEvent:
		return fmt.Sprintf("%8s  intent      %s, %s (%.2f)", clock(ev.Start), ev.Category, ev.Stage, ev.Score)
	case suppressedEvent:
		return fmt.Sprintf("%8s  suppressed  sensitive talk, kept out of everything", clock(ev.Start))
	case signalEvent:
		switch ev.State {
		case "waiting":
			return fmt.Sprintf("%8s  signal      %s waits until %s; veto: aloud outbox veto %s", "", ev.Category, ev.Due.Local().Format("15:04:05"), ev.ID)
		case "refused":
			return fmt.Sprintf("%8s  signal      %s refused: %s", "", ev.Category, ev.Reason)
		}
		return fmt.Sprintf("%8s  signal      %s %s", "", ev.Category, map[string]string{"accepted": "sent", "vetoed": "vetoed"}[string(ev.State)])
	case noticeEvent:
		return fmt.Sprintf("%8s  note        %s", "", ev.Message)
	case summaryEvent:
		return summaryLine(ev)
	}
	return ""
}

func summaryLine(s summaryEvent) string {
	line := fmt.Sprintf("%s of sound in %.1f s of work (%.3f of real time): %s, %s, %s", clock(s.AudioSeconds), s.ComputeSeconds, s.RTF,
		plural(s.Utterances, "utterance", "utterances"), plural(s.Intents, "intent", "intents"), plural(s.Signals, "signal", "signals"))
	if s.Suppressed > 0 {
		line += fmt.Sprintf(", %d suppressed", s.Suppressed)
	}
	if s.GatedSeconds > 0 {
		line += fmt.Sprintf("; %.1f s of distant speech dropped unheard", s.GatedSeconds)
	}
	if s.DroppedSeconds > 0 {
		line += fmt.Sprintf("; %.1f s came too fast and were dropped", s.DroppedSeconds)
	}
	return line
}

// indicator shows on the terminal that a microphone is heard, while the events
// themselves go somewhere else.
type indicator struct {
	view
	of      viewOf
	now     func() time.Time
	started time.Time
	ready   atomic.Bool
	stop    chan struct{}
	stopped sync.WaitGroup
}

func newIndicator(v view, e *env, of viewOf) *indicator {
	i := &indicator{view: v, of: of, now: e.now, started: e.now(), stop: make(chan struct{})}
	i.draw()
	i.stopped.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-i.stop:
				return
			case <-tick.C:
				i.draw()
			}
		}
	})
	return i
}

func (i *indicator) show(event any) {
	if _, ok := event.(readyEvent); ok {
		i.ready.Store(true)
		i.draw()
	}
	i.view.show(event)
}

func (i *indicator) draw() {
	now := i.now()
	if !i.ready.Load() {
		fmt.Fprintf(i.of.indicator, "\r\x1b[K%s starting", consent.Indicator)
		return
	}
	fmt.Fprintf(i.of.indicator, "\r\x1b[K%s %s, %s left, q stops", consent.Indicator, clock(now.Sub(i.started).Seconds()), clock(i.of.deadline.Sub(now).Seconds()))
}

func (i *indicator) close() {
	close(i.stop)
	i.stopped.Wait()
	fmt.Fprint(i.of.indicator, "\r\x1b[Kstopped listening\r\n")
	i.view.close()
}
