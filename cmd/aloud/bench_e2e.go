//go:build cgo

package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"aloud.example/aloud"
	"aloud.example/aloud/listen"
)

// The limits of `aloud bench e2e`.
const (
	maxToBid     = 1.2 // seconds
	maxRSS       = 450 // MB
	maxRSSGrowth = 10  // MB
	hangOver     = 0.64
)

// e2eOptions are the flags of `aloud bench e2e`.
type e2eOptions struct {
	manifest, soakManifest, model string
	clips, real                   int
	soak                          time.Duration
	json                          bool
}

func newBenchE2ECommand(e *env) *cobra.Command {
	var o e2eOptions
	cmd := &cobra.Command{
		Use:   "e2e",
		Short: "From the last sample of speech to the first bid that uses it",
		Long: `Starts a simulated server of its own (no wait, and one person is audience enough)
with an audience and a line for each of the catalogue's categories. Then, for
each clip: a new participant enrols, their own "aloud listen -" is started, hears
the clip at the pace it was spoken, and a bid is asked for every 10 ms. What
counts is the time from the last sample of the speech that made the intent to the
first bid; the listener's 640 ms of pause that end an utterance are part of it.
Clips that hold no intent bring no bid and are counted apart. The clips that come
with Aloud are synthetic voices; real recordings of people who want to buy
something are not to be had, so some recordings of real speech are heard as well,
at the pace they were spoken, and timed to their text.

After that one listener hears an hour of sound, as fast as it can, in a process
of its own; its memory is read from /proc. Ends with status 0 only if every bar
holds.`,
		Example: `  aloud bench e2e --json
  aloud bench e2e --manifest clips.jsonl --clips 10 --soak 5m`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runBenchE2E(cmd.Context(), e, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.manifest, "manifest", "testdata/demo/clips.jsonl", "the clips, one JSON object a line with audio, relative to the file")
	f.StringVar(&o.soakManifest, "soak-manifest", "", "the clips that the hour is made of (default ../shared/data/speech/manifest.jsonl, or --manifest without it)")
	modelFlag(cmd, &o.model)
	f.IntVar(&o.clips, "clips", 0, "at most so many clips; 0 means all")
	f.IntVar(&o.real, "real", 20, "time so many recordings of --soak-manifest to their text")
	f.DurationVar(&o.soak, "soak", time.Hour, "how much sound the listener hears while its memory is watched; 0 leaves it out")
	f.BoolVar(&o.json, "json", false, "print one JSON object instead of a table")
	return cmd
}

// e2eReport is what `aloud bench e2e --json` prints.
type e2eReport struct {
	measured
	Model    string     `json:"model"`
	HangOver float64    `json:"hang_over_s"` // part of every latency
	Clips    int        `json:"clips"`
	Bids     int        `json:"bids"`
	NoIntent int        `json:"clips_without_intent"`
	Lost     []string   `json:"clips_with_intent_without_bid"`
	ToBid    spread     `json:"to_bid_s"`
	ToSignal spread     `json:"to_signal_s"`    // the signal is durable on the device
	ToText   spread     `json:"to_text_s"`      // of all clips, those without intent included
	RealText spread     `json:"real_to_text_s"` // of recordings of real speech
	Soak     soakReport `json:"soak"`
}

// spread describes how times are spread.
type spread struct {
	N   int     `json:"n"`
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	Max float64 `json:"max"`
}

func spreadOf(times []float64) spread {
	if len(times) == 0 {
		return spread{}
	}
	s := slices.Sorted(slices.Values(times))
	at := func(q float64) float64 { return round(s[max(0, int(math.Ceil(q*float64(len(s))))-1)]) }
	return spread{N: len(s), P50: at(0.5), P95: at(0.95), Max: at(1)}
}

func runBenchE2E(ctx context.Context, e *env, o e2eOptions) error {
	if o.clips < 0 || o.real < 0 || o.soak < 0 || o.soak > 0 && o.soak < time.Minute {
		return aloud.Errorf(aloud.EINVALID, "--clips and --real must not be negative, and --soak at least 1m (or 0)")
	}
	if o.soakManifest == "" {
		o.soakManifest = filepath.FromSlash("../shared/data/speech/manifest.jsonl")
		if _, err := os.Stat(o.soakManifest); err != nil {
			o.soakManifest = o.manifest
		}
	}
	clips, err := benchClips(ctx, o.manifest)
	if err != nil {
		return err
	}
	if o.clips > 0 && o.clips < len(clips) {
		clips = clips[:o.clips]
	}
	dir, err := os.MkdirTemp("", "aloud-bench-")
	if err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "make a folder for the bench: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary folder
	b := &e2eBench{e: e, o: o, dir: dir, progress: e.stderr}
	if b.server, err = startServer(ctx, dir, "--min-audience", "1"); err != nil {
		return err
	}
	defer b.server.stop()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	r, err := b.run(ctx, clips)
	if err != nil {
		return err
	}
	return report(e.stdout, o, r)
}

func report(w io.Writer, o e2eOptions, r e2eReport) error {
	if o.json {
		if err := printJSON(w, r); err != nil {
			return err
		}
		return verdict(r.Bars)
	}
	fmt.Fprintf(w, "%s\n%s\n%s\n\n", r.Machine, r.Client, r.Dataset)
	fmt.Fprintf(w, "%d clips: %d bids, %d without an intent, %d with an intent and no bid\n\n", r.Clips, r.Bids, r.NoIntent, len(r.Lost))
	fmt.Fprintf(w, "%-42s %6s %8s %8s %8s\n", "seconds after the last sample of speech", "n", "p50", "p95", "max")
	for _, row := range []struct {
		name string
		s    spread
	}{{"to the text", r.ToText}, {"to the signal, on the device's disk", r.ToSignal}, {"to the first bid", r.ToBid}, {"to the text, recordings of real speech", r.RealText}} {
		fmt.Fprintf(w, "%-42s %6d %8.3f %8.3f %8.3f\n", row.name, row.s.N, row.s.P50, row.s.P95, row.s.Max)
	}
	fmt.Fprintf(w, "(%.2f s of each are the pause that ends an utterance)\n", r.HangOver)
	if r.Soak.AudioSeconds > 0 {
		fmt.Fprintf(w, "\n%s of sound in %s: %.0f MB after half of it, %.0f MB at the end, %.0f MB at most\n",
			clock(r.Soak.AudioSeconds), clock(r.Soak.WallSeconds), r.Soak.HalfMB, r.Soak.EndMB, r.Soak.PeakMB)
	}
	printBars(w, r.Bars)
	return verdict(r.Bars)
}

// e2eBench is one run of the command.
type e2eBench struct {
	e        *env
	o        e2eOptions
	dir      string
	server   *demoServer
	notice   string // the hash a participant states to have read
	progress io.Writer
}

func (b *e2eBench) run(ctx context.Context, clips []*clip) (r e2eReport, err error) {
	r = e2eReport{Model: b.o.model, HangOver: hangOver, Lost: []string{}}
	r.Machine = machine()
	r.Client = "each clip piped in 20 ms blocks at the pace of speech into an \"aloud listen -\" of a new participant; a bid asked for every 10 ms over loopback; server (--simulate --wait 0s --min-audience 1) and listener are processes on this machine"
	r.Dataset = fmt.Sprintf("%d clips of %s; the soak: %s", len(clips), b.o.manifest, b.o.soakManifest)
	var toBid, toSignal, toText []float64
	for i, c := range clips {
		one, err := b.clip(ctx, i, c)
		if err != nil {
			return r, fmt.Errorf("%s: %w", c.Audio, err)
		}
		r.Clips++
		if one.text > 0 {
			toText = append(toText, one.text)
		}
		switch {
		case !one.intent:
			r.NoIntent++
		case one.bid == 0:
			r.Lost = append(r.Lost, c.Audio)
			toBid = append(toBid, givenUp.Seconds())
		default:
			r.Bids++
			toBid = append(toBid, one.bid)
			toSignal = append(toSignal, one.signal)
		}
		fmt.Fprintf(b.progress, "\r\x1b[K%d of %d clips, %d bids", i+1, len(clips), r.Bids)
	}
	fmt.Fprintln(b.progress)
	if r.RealText, err = b.realText(ctx); err != nil {
		return r, err
	}
	r.ToBid, r.ToSignal, r.ToText = spreadOf(toBid), spreadOf(toSignal), spreadOf(toText)
	if r.ToBid.N == 0 {
		return r, aloud.Errorf(aloud.EINVALID, "no clip of %s holds an intent, so there is nothing to bid for: choose clips in which somebody wants to buy something", b.o.manifest)
	}
	r.Bars = []bar{atMost("e2e.p95_s", r.ToBid.P95, maxToBid, "s")}
	if b.o.soak > 0 {
		soak, err := b.soak(ctx)
		if err != nil {
			return r, err
		}
		r.Soak = soak
		r.RSSMB = soak.EndMB
		r.Bars = append(r.Bars, atMost("e2e.rss_mb", soak.EndMB, maxRSS, "MB"), atMost("e2e.rss_growth_mb", soak.EndMB-soak.HalfMB, maxRSSGrowth, "MB"))
	}
	return r, nil
}

// realText times recordings of real speech to their text: evenly taken out of
// the soak's, one first utterance each.
func (b *e2eBench) realText(ctx context.Context) (spread, error) {
	if b.o.real == 0 || b.o.soakManifest == b.o.manifest {
		return spread{}, nil
	}
	clips, err := benchClips(ctx, b.o.soakManifest)
	if err != nil {
		return spread{}, err
	}
	// Clean speech alone: in meetings nobody pauses, so utterances are cut at 10 s.
	clips = slices.DeleteFunc(clips, func(c *clip) bool { return !cleanKinds[c.Kind] })
	var toText []float64
	n := min(b.o.real, len(clips))
	for i := range n {
		one, err := b.clip(ctx, 1000+i, clips[i*len(clips)/n])
		if err != nil {
			return spread{}, err
		}
		if one.text > 0 {
			toText = append(toText, one.text)
		}
		fmt.Fprintf(b.progress, "\r\x1b[K%d of %d recordings", i+1, n)
	}
	fmt.Fprintln(b.progress)
	return spreadOf(toText), nil
}

// speechEnd is the end of the speech in samples[from:to]: of the last 10 ms that
// are within 35 dB of the loudest and 10 dB over the clip's quiet places.
func speechEnd(samples []float32, from, to int) int {
	const step = listen.Rate / 100
	var powers []float64
	for at := 0; at+step <= len(samples); at += step {
		p := 0.0
		for _, v := range samples[at : at+step] {
			p += float64(v) * float64(v)
		}
		powers = append(powers, p)
	}
	first, last := max(0, from/step), min(len(powers), to/step)
	if first >= last {
		return max(0, min(to, len(samples)))
	}
	quiet := slices.Sorted(slices.Values(powers))[len(powers)/10]
	over := max(slices.Max(powers[first:last])*math.Pow(10, -3.5), 10*quiet)
	for i := last - 1; i > first; i-- {
		if powers[i] > over {
			return (i + 1) * step
		}
	}
	return last * step
}

// firstOfKind finds an event that a listener wrote.
func firstOfKind(events []childEvent, kind string, ok func(childEvent) bool) (childEvent, bool) {
	for _, ev := range events {
		if ev.Type == kind && (ok == nil || ok(ev)) {
			return ev, true
		}
	}
	return childEvent{}, false
}

func inMarket(ev childEvent) bool { return aloud.Stage(ev.Stage).InMarket() }
