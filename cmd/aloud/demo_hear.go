//go:build cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/intent"
	"aloud.example/aloud/listen"
	"aloud.example/aloud/listen/audio"
	"aloud.example/aloud/listen/onnx"
	"aloud.example/aloud/signal"
	"aloud.example/aloud/signal/outbox"
)

// heardTotals sums up a chapter of listening.
type heardTotals struct {
	clips      int
	voices     map[string]bool
	audio, cpu float64
	stages     map[aloud.Stage]int
	sensitive  int // clips that hold something sensitive
	suppressed int // those of them that were found out
	withheld   int // others that were suppressed with them
	wrong      int // clips without a purchase that gave an intent all the same
	missed     []missedClip
	signals    int
	delays     []time.Duration // from the end of a clip to the server's answer
	shown      map[string]bool // kinds of examples that were told
}

// missedClip speaks of a purchase and gave no intent.
type missedClip struct {
	Clip  string `json:"clip"`
	Heard string `json:"heard"` // it is a file's
}

// hearAll is the chapter in which each device hears its person.
func (d *demo) hearAll(ctx context.Context, f facts) error {
	start := d.e.now()
	models, err := onnx.Open(onnx.Config{Model: d.o.model, Threads: 2})
	if err != nil {
		return err
	}
	d.models = models
	engine, err := intent.New(intent.Config{})
	if err != nil {
		return err
	}
	d.story.say("Silero finds the speech, Moonshine %s writes it down, the intent engine reads it: on the device, in memory. What was heard is shown here only because these are files.", d.o.model)
	t := &heardTotals{voices: map[string]bool{}, stages: map[aloud.Stage]int{}, shown: map[string]bool{}}
	for _, p := range d.people {
		if err := d.hear(ctx, p, engine, t); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	return d.tellHeard(f, t, d.e.now().Sub(start))
}

// hear lets one device hear its person's clips, and sends what follows.
func (d *demo) hear(ctx context.Context, p *person, engine *intent.Engine, t *heardTotals) error {
	box, err := p.home.outbox(ctx, d.e, 0)
	if err != nil {
		return err
	}
	defer box.Close()
	client, err := p.home.uplink()
	if err != nil {
		return err
	}
	cell, err := p.home.cell()
	if err != nil {
		return err
	}
	if _, err := p.home.allowed(ctx, box, consent.PurposeListen, d.e.now()); err != nil {
		return err
	}
	talk := engine.NewConversation(nil)
	defer talk.Forget()
	for _, c := range p.clips {
		grant, err := p.home.allowed(ctx, box, consent.PurposeShareSignals, d.e.now())
		if err != nil {
			return err
		}
		heard, err := d.hearClip(ctx, c, t)
		if err != nil {
			return err
		}
		ended := d.e.now()
		var found intent.Finding
		for _, u := range heard {
			one := talk.Hear(u)
			for _, in := range talk.Retracted() { // it led up to sensitive talk
				found.Intents = slices.DeleteFunc(found.Intents, func(f aloud.Intent) bool {
					return f.Category == in.Category && f.Stage == in.Stage
				})
			}
			found.Intents = append(found.Intents, one.Intents...)
			found.Suppressed += one.Suppressed
		}
		d.tellClip(p, c, heard, found, t)
		for _, in := range found.Intents {
			pending, err := signal.New(grant, in, ended, aloud.SourceFile, cell)
			if err != nil {
				return err
			}
			if _, err := box.Add(ctx, pending); err != nil {
				return err
			}
		}
		if len(found.Intents) == 0 {
			continue
		}
		done, err := box.Step(ctx, client)
		if err != nil {
			return err
		}
		t.delays = append(t.delays, d.e.now().Sub(ended))
		if done.Accepted != len(found.Intents) {
			return refusal(ctx, box, len(found.Intents)-done.Accepted)
		}
		p.accepted += done.Accepted
		t.signals += done.Accepted
	}
	return nil
}

// refusal says why the server did not take what it was sent.
func refusal(ctx context.Context, box *outbox.Outbox, missing int) error {
	list, err := box.List(ctx)
	if err != nil {
		return err
	}
	for _, entry := range list {
		if entry.Reason != "" {
			return aloud.Errorf(aloud.EUNAVAILABLE, "%d signals were not accepted: %s", missing, entry.Reason)
		}
	}
	return notHeld("the server answered for every signal, %d are missing", missing)
}

// hearClip is the listener on one clip: voice activity, recognition, guards.
func (d *demo) hearClip(ctx context.Context, c demoClip, t *heardTotals) ([]aloud.Utterance, error) {
	d.models.VAD().Reset()
	l, err := listen.New(listen.Config{Recogniser: d.models.Recogniser(), VAD: d.models.VAD(), Now: d.e.now})
	if err != nil {
		return nil, err
	}
	file, err := audio.Open(c.Audio)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	fed := make(chan error, 1)
	go func() {
		defer l.Finish()
		fed <- feed(ctx, l, file)
	}()
	var heard []aloud.Utterance
	err = l.Run(ctx, func(u aloud.Utterance) error {
		heard = append(heard, u)
		return nil
	})
	if err := errors.Join(err, <-fed); err != nil {
		return nil, err
	}
	stats := l.Stats()
	t.clips++
	t.voices[c.Voice] = true
	t.audio += stats.AudioSeconds
	t.cpu += stats.ComputeSeconds()
	return heard, nil
}

// feed gives a listener a whole recording.
func feed(ctx context.Context, l *listen.Listener, file *audio.Reader) error {
	buf := make([]float32, audio.Rate/10)
	defer clear(buf)
	for {
		n, err := file.Read(ctx, buf)
		if err := l.Feed(ctx, buf[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// tellClip counts what came of a clip, and tells the first of each kind.
func (d *demo) tellClip(p *person, c demoClip, heard []aloud.Utterance, found intent.Finding, t *heardTotals) {
	kind, text := c.Expected, ""
	for _, u := range heard {
		text += u.Text + " "
	}
	text = strings.TrimSpace(text)
	for _, in := range found.Intents {
		t.stages[in.Stage]++
		kind = string(in.Stage)
	}
	switch {
	case found.Suppressed > 0 && c.Expected == "suppressed":
		t.suppressed++
	case found.Suppressed > 0:
		t.withheld++
	}
	if c.Expected == "suppressed" {
		t.sensitive++
	}
	switch {
	case c.buys() && len(found.Intents) == 0:
		t.missed = append(t.missed, missedClip{filepath.Base(c.Audio), text})
		kind = "missed"
	case !c.buys() && len(found.Intents) > 0:
		t.wrong++
	}
	if t.shown[kind] {
		return
	}
	t.shown[kind] = true
	d.story.row("%s", d.story.paint(faint, fmt.Sprintf("%s, %s", p, c.Voice)))
	if found.Suppressed > 0 {
		d.story.row("  (sensitive: suppressed on the device, not shown even here)")
		return
	}
	if c.Expected == "suppressed" {
		d.story.row("  (sensitive, and not noticed; not shown here)")
		return
	}
	d.story.quote(text)
	for _, in := range found.Intents {
		d.story.row("  -> %s, %s, score %.2f", in.Category, in.Stage, in.Score)
	}
	switch {
	case kind == "missed":
		d.story.row("  -> nothing: heard wrongly, and not guessed at")
	case len(found.Intents) == 0:
		d.story.row("  -> nothing to buy, nothing leaves the device")
	}
}

// tellHeard sums the chapter up and checks it.
func (d *demo) tellHeard(f facts, t *heardTotals, took time.Duration) error {
	people, signalled := 0, 0
	for _, p := range d.people {
		if slices.ContainsFunc(p.clips, demoClip.buys) {
			people++
		}
		if p.accepted > 0 {
			signalled++
		}
	}
	rtf := t.cpu / max(t.audio, 1)
	slices.Sort(t.delays)
	median, p95 := at(t.delays, 0.5), at(t.delays, 0.95)
	d.story.row("")
	d.story.held("%d clips, %d voices, %.0f s of speech heard in %.1f s (%.3f s for each second)", t.clips, len(t.voices), t.audio, took.Seconds(), rtf)
	d.story.held("%d of %d people who spoke of buying were understood: %d need, %d research, %d ready", signalled, people,
		t.stages[aloud.StageNeed], t.stages[aloud.StageResearch], t.stages[aloud.StageReady])
	if t.wrong > 0 {
		return notHeld("only talk of a purchase makes a signal; %d other clips did", t.wrong)
	}
	nearby := ""
	if t.withheld > 0 {
		nearby = fmt.Sprintf(", with %d more beside them", t.withheld)
	}
	d.story.held("%d of %d sensitive sentences suppressed%s; none made a signal", t.suppressed, t.sensitive, nearby)
	d.story.held("%d signals sent, all accepted; from the intent to the server's answer: median %.0f ms, 95%% in %.0f ms", t.signals, ms(median), ms(p95))
	d.story.say("A signal is a category, a stage, a score, two times, a coarse area and a pseudonym, signed by the device. No sound and no word ever leaves.")
	f["clips"], f["audio_seconds"], f["rtf"] = t.clips, t.audio, rtf
	f["missed"] = t.missed
	f["understood"], f["people"], f["suppressed"] = signalled, people, t.suppressed
	f["signals_accepted"], f["median_ms"], f["p95_ms"] = t.signals, ms(median), ms(p95)
	if t.signals == 0 {
		return notHeld("somebody's signal was accepted")
	}
	return nil
}

// at is the q-quantile of sorted times.
func at(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
