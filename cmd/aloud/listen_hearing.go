//go:build cgo

package main

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/category"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/intent"
	"aloud.example/aloud/listen"
	"aloud.example/aloud/listen/audio"
	"aloud.example/aloud/listen/onnx"
	"aloud.example/aloud/signal"
	"aloud.example/aloud/signal/outbox"
	"aloud.example/aloud/signal/uplink"
)

// longestDrain is how long a command stays after the last word to see its
// signals leave; those that wait longer stay in the outbox.
const longestDrain = 15 * time.Second

// hearing is one run of `aloud listen`: sound comes in at listener, and events
// go to a view.
type hearing struct {
	e        *env
	source   aloud.Source
	opts     listenOptions
	listener *listen.Listener
	near     *listen.Near
	talk     *intent.Conversation

	// Without a box nothing is signed, for the reason in unsigned.
	box      *outbox.Outbox
	client   *uplink.Client
	home     home
	cell     signal.Cell
	unsigned string

	v       view
	mu      sync.Mutex
	signals map[aloud.SignalID]outbox.Entry // of this run, not known to have ended
	signed  map[aloud.Intent]aloud.SignalID // by category and stage alone, the last of each
	count   summaryEvent
	away    atomic.Bool // the server could not be reached; said once
}

func newHearing(ctx context.Context, e *env, o listenOptions, models *onnx.Models, source aloud.Source) (*hearing, error) {
	engine, err := intent.New(intent.Config{})
	if err != nil {
		return nil, err
	}
	h := &hearing{e: e, source: source, opts: o, talk: engine.NewConversation(nil), signals: map[aloud.SignalID]outbox.Entry{}, signed: map[aloud.Intent]aloud.SignalID{}}
	live := !o.json && isTerminal(e.stdout)
	cfg := listen.Config{Recogniser: models.Recogniser(), VAD: models.VAD(), Partials: o.partials || live}
	if o.mode == string(consent.OnlyMe) {
		h.near = &listen.Near{}
		cfg.Near = h.near
	}
	if h.listener, err = listen.New(cfg); err != nil {
		return nil, err
	}
	if err := h.openOutbox(ctx); err != nil {
		return nil, err
	}
	return h, nil
}

// openOutbox prepares to sign, or notes why nothing will be signed.
func (h *hearing) openOutbox(ctx context.Context) (err error) {
	if h.home, err = homeAt(h.opts.home); err != nil {
		return err
	}
	if !h.home.has(receiptFile) {
		if h.opts.waits {
			return aloud.Errorf(aloud.EINVALID, "--wait is for signals, and this device is not enrolled; run: aloud enrol --server URL")
		}
		h.unsigned = "this device is not enrolled (aloud enrol --server URL)"
		return nil
	}
	srv, err := h.home.server()
	if err != nil {
		return err
	}
	if h.opts.waits && !srv.Simulated {
		return aloud.Errorf(aloud.EINVALID, "--wait is for simulated servers; here a signal waits %s, in which you can veto it", signal.DefaultWait)
	}
	if h.source == aloud.SourceFile && !srv.Simulated {
		h.unsigned = "only a simulated server takes signals from a recording"
		return nil
	}
	wait := h.opts.wait
	if h.opts.waits && wait == 0 {
		wait = outbox.NoWait
	}
	quiet := *h.e // what fails is shown by reports
	quiet.stderr = io.Discard
	box, err := h.home.outbox(ctx, &quiet, wait)
	if err != nil {
		return err
	}
	if _, err := h.home.allowed(ctx, box, consent.PurposeShareSignals, h.e.now()); err != nil {
		h.unsigned = err.Error()
		return box.Close()
	}
	h.box = box
	if h.client, err = h.home.uplink(); err != nil {
		return err
	}
	h.cell, err = h.home.cell()
	return err
}

func (h *hearing) close() {
	h.talk.Forget()
	if h.box != nil {
		_ = h.box.Close() // what waits is on disk already
	}
}

// feed reads a recording into the listener.
func (h *hearing) feed(ctx context.Context, r *audio.Reader, pace bool) error {
	defer h.listener.Finish()
	buf := make([]float32, audio.Rate/10)
	defer clear(buf)
	start, fed := time.Now(), 0
	for {
		n, err := r.Read(ctx, buf)
		if ferr := h.listener.Feed(ctx, buf[:n]); ferr != nil {
			return ferr
		}
		fed += n
		if errors.Is(err, io.EOF) && fed == 0 && h.opts.file == "-" {
			return aloud.Errorf(aloud.EINVALID, "standard input held no sound (0 bytes): check what was piped into it")
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if pace {
			due := start.Add(time.Duration(fed) * time.Second / audio.Rate)
			if err := pause(ctx, time.Until(due)); err != nil {
				return err
			}
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// run hears what source gives until it returns, shows it, and ends with a
// summary whatever happens.
func (h *hearing) run(ctx context.Context, v view, source func(context.Context) error) error {
	h.v = v
	defer v.close()
	if h.unsigned != "" {
		v.show(noticeEvent{Type: "notice", Message: "nothing will be signed: " + h.unsigned})
	}
	sending, stopSending := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSending()
	sender := h.send(sending)

	fed := make(chan error, 1)
	go func() { fed <- source(ctx) }()
	started := h.e.now()
	v.show(readyEvent{Type: "ready"})
	err := h.listener.Run(ctx, func(u aloud.Utterance) error { return h.hear(ctx, u, started) })
	if stopped := context.Canceled; h.source == aloud.SourceMicrophone && errors.Is(err, stopped) {
		err = nil // a key stopped it
	}
	if err == nil {
		select {
		case err = <-fed:
		case <-ctx.Done(): // a pipe that is silent can't be told
			err = ctx.Err()
		}
		if h.source == aloud.SourceMicrophone && errors.Is(err, context.Canceled) {
			err = nil
		}
	}
	if err == nil && ctx.Err() == nil {
		h.drain(ctx)
	}
	stopSending()
	err = firstOf(err, <-sender)
	h.summarise()
	return err
}

// hear takes one utterance through the rest of the device: intent, signal,
// outbox.
func (h *hearing) hear(ctx context.Context, u aloud.Utterance, started time.Time) error {
	ev := utteranceEvent{Type: "utterance", Start: seconds(u.Start), End: seconds(u.End), Text: u.Text, Confidence: seconds(u.Confidence), Partial: u.Partial}
	if u.Text != "" { // without, it was too unsure to show, and only what is sensitive counts
		h.v.show(ev)
	}
	if u.Partial {
		return nil
	}
	if u.Text != "" {
		h.count.Utterances++
	}
	found := h.talk.Hear(u)
	if found.Suppressed > 0 {
		h.count.Suppressed += found.Suppressed
		h.v.show(suppressedEvent{Type: "suppressed", Start: ev.Start, End: ev.End, Count: found.Suppressed})
	}
	for _, in := range h.talk.Retracted() {
		if id, ok := h.signed[aloud.Intent{Category: in.Category, Stage: in.Stage}]; ok && h.box != nil {
			h.veto(ctx, id) // what led up to sensitive talk is not sent either
		}
	}
	heardAt := h.e.now()
	if h.source == aloud.SourceMicrophone {
		if at := started.Add(time.Duration(u.End * float64(time.Second))); at.Before(heardAt) {
			heardAt = at
		}
	}
	for _, in := range found.Intents {
		h.count.Intents++
		iab := 0
		if c, ok := category.BySlug(in.Category); ok {
			iab = c.IAB
		}
		h.v.show(intentEvent{Type: "intent", Start: ev.Start, End: ev.End, Category: in.Category, IAB: iab, Stage: in.Stage, Score: seconds(in.Score)})
		if h.box == nil {
			continue
		}
		if err := h.sign(ctx, in, heardAt); err != nil {
			h.v.show(noticeEvent{Type: "notice", Message: "not signed: " + err.Error()})
		}
	}
	return nil
}

func (h *hearing) sign(ctx context.Context, in aloud.Intent, heardAt time.Time) error {
	grant, err := h.home.allowed(ctx, h.box, consent.PurposeShareSignals, h.e.now())
	if err != nil {
		return err
	}
	pending, err := signal.New(grant, in, heardAt, h.source, h.cell)
	if err != nil {
		return err
	}
	entry, err := h.box.Add(ctx, pending)
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.signals[entry.ID] = entry
	h.count.Signals++
	h.mu.Unlock()
	h.signed[aloud.Intent{Category: in.Category, Stage: in.Stage}] = entry.ID // hear's goroutine alone
	h.v.show(eventOf(entry))
	return nil
}

// send runs the outbox and follows what becomes of this run's signals; its
// channel gives one error, or nil, when it has ended.
func (h *hearing) send(ctx context.Context) <-chan error {
	ended := make(chan error, 1)
	if h.box == nil {
		ended <- nil
		return ended
	}
	ran := make(chan error, 1)
	go func() { ran <- h.box.Run(ctx, reports{h}) }()
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case err := <-ran:
				h.follow(context.WithoutCancel(ctx))
				ended <- err
				return
			case <-tick.C:
				h.follow(ctx)
			}
		}
	}()
	return ended
}

// follow shows each signal of this run that has come to its end.
func (h *hearing) follow(ctx context.Context) {
	if h.open() == 0 {
		return
	}
	list, err := h.box.List(ctx)
	if err != nil {
		return // the outbox itself ends the run with this error
	}
	now := map[aloud.SignalID]outbox.Entry{}
	for _, entry := range list {
		now[entry.ID] = entry
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, before := range h.signals {
		entry, there := now[id]
		switch {
		case !there:
			delete(h.signals, id)
			before.State = "vetoed"
			h.count.Vetoed++
			h.v.show(eventOf(before))
		case entry.State == outbox.Accepted || entry.State == outbox.Refused:
			delete(h.signals, id)
			h.v.show(eventOf(entry))
		default:
			h.signals[id] = entry
		}
	}
}

func (h *hearing) open() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.signals)
}

// drain waits for signals that are about to leave.
func (h *hearing) drain(ctx context.Context) {
	until := time.Now().Add(longestDrain)
	if h.open() > 0 && h.soon() {
		h.probe(ctx)
	}
	for h.open() > 0 && !h.away.Load() && time.Now().Before(until) && h.soon() {
		if pause(ctx, 20*time.Millisecond) != nil {
			return
		}
	}
	if n := h.open(); n > 0 && !h.away.Load() {
		h.v.show(noticeEvent{Type: "notice", Message: plural(n, "signal waits", "signals wait") + " in the outbox: \"aloud outbox\" shows them, \"aloud outbox send\" sends them"})
	}
}

// soon reports whether a signal of this run will leave while one may wait.
func (h *hearing) soon() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, entry := range h.signals {
		if entry.Due.Sub(h.e.now()) < longestDrain {
			return true
		}
	}
	return false
}

// veto stops a signal of this run.
func (h *hearing) veto(ctx context.Context, id aloud.SignalID) {
	certain, err := h.box.Veto(ctx, id)
	switch {
	case err != nil:
		h.v.show(noticeEvent{Type: "notice", Message: err.Error()})
	case !certain:
		h.v.show(noticeEvent{Type: "notice", Message: "it was on its way and may have arrived; to end what follows from it: aloud withdraw share_signals"})
	}
}

func (h *hearing) summarise() {
	s := h.listener.Stats()
	h.count.Type = "summary"
	h.count.Model = h.opts.model
	h.count.AudioSeconds = seconds(s.AudioSeconds)
	h.count.ComputeSeconds = seconds(s.ComputeSeconds())
	h.count.RTF = round(s.RTF())
	h.count.DroppedSeconds = seconds(s.DroppedSeconds)
	h.count.GatedSeconds = seconds(s.GatedSeconds)
	h.v.show(h.count)
}
