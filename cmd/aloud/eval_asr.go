//go:build cgo

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"aloud.example/aloud"
	"aloud.example/aloud/listen"
	"aloud.example/aloud/listen/onnx"
)

// The limits of `aloud eval asr`.
const (
	maxCleanOverBare = 0.005
	minNoisyGain     = 0.15
	maxRTFBase       = 0.06
	maxRTFTiny       = 0.03
	maxFinalOverBare = 1.10
)

// asrOptions are the flags of `aloud eval asr`.
type asrOptions struct {
	manifest, model, modelDir, hypotheses, half string
	every                                       int
	noise, json                                 bool
}

func newEvalASRCommand(e *env) *cobra.Command {
	var o asrOptions
	cmd := &cobra.Command{
		Use:   "asr --manifest FILE",
		Short: "Measure word errors and speed against the bare model",
		Long: `Recognises every clip of a manifest with the whole pipeline and, in the same
run, with the bare model (one pass over the whole clip, its first token not
allowed to be the last). Word errors are counted by kind after a normaliser that
treats both sides alike (docs/asr.md). Clean clips are then mixed with babble and
coloured noise at 0, 5 and 10 dB, and measured again. Times are processor time,
so that a busy machine does not falsify them. Ends with status 0 only if every
bar holds.

The manifest has one JSON object a line: audio (a file relative to it), text,
kind, speaker. Clips without text are recognised, not scored.`,
		Example: `  aloud eval asr --manifest ../shared/data/speech/manifest.jsonl
  aloud eval asr --manifest clips.jsonl --model tiny --noise=false --hypotheses heard.jsonl --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runEvalASR(cmd.Context(), e, o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.manifest, "manifest", "", "the clips to recognise, one JSON object a line")
	modelFlag(cmd, &o.model)
	f.StringVar(&o.modelDir, "model-dir", "", "a folder with another Moonshine model")
	f.StringVar(&o.hypotheses, "hypotheses", "", "write what was recognised to this file, one JSON object a line")
	f.StringVar(&o.half, "half", "all", "only the clips that thresholds are chosen on (tune), the others (check), or all")
	f.IntVar(&o.every, "every", 1, "only each so-manieth clip, for a quick look")
	f.BoolVar(&o.noise, "noise", true, "measure the noisy set as well")
	f.BoolVar(&o.json, "json", false, "print one JSON object instead of tables")
	_ = cmd.MarkFlagRequired("manifest")
	return cmd
}

// tally adds up one kind of clips.
type tally struct {
	Clips      int     `json:"clips"`
	Words      int     `json:"words"`
	Errors     int     `json:"errors"`
	BareErrors int     `json:"bare_errors"`
	Empty      int     `json:"empty"`
	WER        float64 `json:"wer"`
	BareWER    float64 `json:"bare_wer"`
}

func (t *tally) add(want []string, got, bare string) {
	t.Clips++
	t.Words += len(want)
	t.Errors += wordErrors(want, words(got))
	t.BareErrors += wordErrors(want, words(bare))
	if got == "" && len(want) > 0 {
		t.Empty++
	}
	t.rates()
}

func (t *tally) merge(o *tally) {
	t.Clips += o.Clips
	t.Words += o.Words
	t.Errors += o.Errors
	t.BareErrors += o.BareErrors
	t.Empty += o.Empty
	t.rates()
}

func (t *tally) rates() {
	if t.Words > 0 {
		t.WER = round(float64(t.Errors) / float64(t.Words))
		t.BareWER = round(float64(t.BareErrors) / float64(t.Words))
	}
}

// effort adds up processor time, in seconds.
type effort struct {
	Audio   float64 `json:"audio_seconds"`
	VAD     float64 `json:"vad_seconds"`
	Final   float64 `json:"final_seconds"`
	Bare    float64 `json:"bare_same_segments_seconds"` // the bare model on the segments that Final recognised
	Partial float64 `json:"partial_seconds"`
	Looks   int     `json:"second_looks"`
	Finals  int     `json:"utterances"`
}

func (f *effort) rtf() float64 { return (f.VAD + f.Final) / f.Audio }

func (f *effort) overBare() float64 { return f.Final / f.Bare }

// asrReport is what `aloud eval asr --json` prints.
type asrReport struct {
	measured
	Model         string            `json:"model"`
	Kinds         map[string]*tally `json:"kinds"`
	Clean         *tally            `json:"clean"`
	Noisy         map[string]*tally `json:"noisy,omitempty"`
	NoisyAll      *tally            `json:"noisy_all,omitempty"`
	CleanEffort   *effort           `json:"clean_effort"`
	OverallEffort *effort           `json:"overall_effort"`
	NoisyEffort   *effort           `json:"noisy_effort,omitempty"`
}

// asrEval is one run of the command.
type asrEval struct {
	opts     asrOptions
	models   *onnx.Models
	rec      *sideBySide
	progress io.Writer
	terminal bool
	last     time.Time
	now      func() time.Time
}

func runEvalASR(ctx context.Context, e *env, o asrOptions) error {
	if o.half != "all" && o.half != "tune" && o.half != "check" {
		return aloud.Errorf(aloud.EINVALID, "--half %s: choose all, tune or check", o.half)
	}
	if o.every < 1 {
		return aloud.Errorf(aloud.EINVALID, "--every %d: choose 1 or more", o.every)
	}
	clips, err := loadClips(ctx, o.manifest, o.half)
	if err != nil {
		return err
	}
	n := 0
	clips = slices.DeleteFunc(clips, func(*clip) bool {
		n++
		return (n-1)%o.every != 0
	})
	models, err := onnx.Open(onnx.Config{Model: o.model, Dir: o.modelDir})
	if err != nil {
		return err
	}
	defer func() { _ = models.Close() }()
	ev := &asrEval{opts: o, models: models, rec: &sideBySide{Recogniser: models.Recogniser()}, progress: e.stderr, terminal: isTerminal(e.stderr), now: e.now}
	report, err := ev.run(ctx, clips)
	if err != nil {
		return err
	}
	if o.json {
		err = printJSON(e.stdout, report)
	} else {
		report.print(e.stdout)
	}
	if err != nil {
		return err
	}
	return verdict(report.Bars)
}

func (ev *asrEval) run(ctx context.Context, clips []*clip) (*asrReport, error) {
	var out *bufio.Writer
	if ev.opts.hypotheses != "" {
		f, err := os.OpenFile(ev.opts.hypotheses, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, aloud.Errorf(aloud.EINVALID, "writing the hypotheses: %w", err)
		}
		defer f.Close()
		out = bufio.NewWriter(f)
		defer out.Flush()
	}
	r := &asrReport{
		Model: ev.opts.model, Kinds: map[string]*tally{}, Clean: &tally{}, CleanEffort: &effort{}, OverallEffort: &effort{},
	}
	for i, c := range clips {
		ev.report("clips", i, len(clips))
		efforts := []*effort{r.OverallEffort}
		if cleanKinds[c.Kind] {
			efforts = append(efforts, r.CleanEffort)
		}
		text, bare, err := ev.recognise(ctx, c.samples, efforts)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Audio, err)
		}
		if out != nil {
			line, _ := json.Marshal(map[string]string{"audio": c.Audio, "text": text})
			if _, err := out.Write(append(line, '\n')); err != nil {
				return nil, aloud.Errorf(aloud.EUNAVAILABLE, "writing the hypotheses: %w", err)
			}
		}
		if c.Text != nil {
			tallyOf(r.Kinds, c.Kind).add(words(*c.Text), text, bare)
		}
	}
	for kind, t := range r.Kinds {
		if cleanKinds[kind] {
			r.Clean.merge(t)
		}
	}
	if ev.opts.noise {
		if err := ev.noisy(ctx, clips, r); err != nil {
			return nil, err
		}
	}
	ev.report("", 0, 0)
	r.measured = measured{
		Machine: machine(),
		Client:  "one process, one thread; times are processor time of this process",
		Dataset: fmt.Sprintf("%s (%s, one in %d: %d clips, %.0f s)", ev.opts.manifest, ev.opts.half, ev.opts.every, len(clips), r.OverallEffort.Audio),
		RSSMB:   residentMB(),
		Bars:    ev.bars(r),
	}
	return r, nil
}

func (ev *asrEval) noisy(ctx context.Context, clips []*clip, r *asrReport) error {
	r.Noisy, r.NoisyAll, r.NoisyEffort = map[string]*tally{}, &tally{}, &effort{}
	var clean []*clip
	for _, c := range clips {
		if cleanKinds[c.Kind] && c.Text != nil {
			clean = append(clean, c)
		}
	}
	ev.rec.off = true // word errors alone are of interest here
	n := 0
	for _, kind := range noiseKinds {
		for _, snr := range noiseSNRs {
			for _, c := range clean {
				ev.report("noisy clips", n, len(clean)*len(noiseKinds)*len(noiseSNRs))
				n++
				text, bare, err := ev.recognise(ctx, noisy(clean, c, kind, snr), []*effort{r.NoisyEffort})
				if err != nil {
					return fmt.Errorf("%s with %s at %g dB: %w", c.Audio, kind, snr, err)
				}
				tallyOf(r.Noisy, fmt.Sprintf("%s %2.0f dB", kind, snr)).add(words(*c.Text), text, bare)
			}
		}
	}
	for _, t := range r.Noisy {
		r.NoisyAll.merge(t)
	}
	return nil
}

// bars are the figures that have to hold, as far as the manifest has what they
// are about.
func (ev *asrEval) bars(r *asrReport) []bar {
	var bars []bar
	if r.Clean.Words > 0 {
		over := float64(r.Clean.Errors-r.Clean.BareErrors) / float64(r.Clean.Words)
		bars = append(bars,
			atMost("asr.clean_over_bare", over, maxCleanOverBare, "WER"),
			atMost("asr.clean_empty", float64(r.Clean.Empty), 0, "clips"))
	}
	for kind, t := range r.Kinds {
		if strings.HasPrefix(kind, "meeting") && t.Words > 0 {
			bars = append(bars, atMost("asr.meetings_over_bare", float64(t.Errors-t.BareErrors)/float64(t.Words), 0, "WER"))
		}
	}
	if r.NoisyAll != nil && r.NoisyAll.BareErrors > 0 {
		gain := 1 - float64(r.NoisyAll.Errors)/float64(r.NoisyAll.BareErrors)
		bars = append(bars, atLeast("asr.noisy_gain", gain, minNoisyGain, "share"))
	}
	if r.OverallEffort.Audio > 0 && ev.opts.modelDir == "" {
		limit := maxRTFBase
		if r.Model == "tiny" {
			limit = maxRTFTiny
		}
		bars = append(bars, atMost("asr.rtf_"+r.Model, r.OverallEffort.rtf(), limit, "s/s"))
	}
	effort := r.CleanEffort
	if effort.Bare == 0 {
		effort = r.OverallEffort
	}
	if effort.Bare > 0 {
		bars = append(bars, atMost("asr.final_over_bare", effort.overBare(), maxFinalOverBare, "times"))
	}
	return bars
}

// recognise gives what the pipeline and what the bare model make of a clip.
func (ev *asrEval) recognise(ctx context.Context, samples []float32, efforts []*effort) (text, bare string, err error) {
	h, err := ev.models.Recogniser().Recognise(ctx, bareRequest(samples))
	if err != nil {
		return "", "", err
	}
	ev.rec.reset()
	ev.models.VAD().Reset()
	l, err := listen.New(listen.Config{
		Recogniser: ev.rec, VAD: ev.models.VAD(), Clock: ev.rec.clock,
		Queue: min(600, math.Ceil(float64(len(samples))/listen.Rate)+1),
	})
	if err != nil {
		return "", "", err
	}
	feeding, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		_ = l.Feed(feeding, samples) // it fails only when this function is left
		l.Finish()
	}()
	var said []string
	err = l.Run(ctx, func(u aloud.Utterance) error {
		if u.Text != "" {
			said = append(said, u.Text)
		}
		return nil
	})
	s := l.Stats()
	for _, f := range efforts {
		f.Audio += s.AudioSeconds
		f.VAD += s.VADSeconds
		f.Final += s.FinalSeconds
		f.Partial += s.PartialSeconds
		f.Bare += ev.rec.bare.Seconds()
		f.Looks += s.SecondLook
		f.Finals += s.Utterances + s.Guarded
	}
	return strings.Join(said, " "), h.Text, err
}

// bareRequest is how the bare model is asked: one view, greedy, at most the
// tokens its makers allow, no guard but the mask on the first token.
func bareRequest(samples []float32) listen.Request {
	return listen.Request{
		Views: [][]float32{samples}, MaskEnd: true, Unguarded: true,
		MaxTokens: max(1, int(math.Ceil(float64(len(samples))/listen.Rate*6.5))),
	}
}

// sideBySide runs the bare model on every segment that the pipeline recognises,
// right before and right after it, and keeps that time apart: so a machine that
// becomes slower or faster meanwhile does so for both.
type sideBySide struct {
	listen.Recogniser
	beside time.Duration // spent on the bare model
	bare   time.Duration // the same for each segment once: the mean of before and after
	off    bool          // measure no bare model
}

func (s *sideBySide) reset() { s.bare = 0 }

// clock is processor time without what was spent beside the pipeline.
func (s *sideBySide) clock() time.Duration { return processCPU() - s.beside }

// Recognise implements listen.Recogniser.
func (s *sideBySide) Recognise(ctx context.Context, r listen.Request) (listen.Hypothesis, error) {
	if s.off || r.Again { // at a second look, the segment has been measured
		return s.Recogniser.Recognise(ctx, r)
	}
	plain := bareRequest(r.Views[0][r.Lead:])
	if err := s.measure(ctx, plain); err != nil {
		return listen.Hypothesis{}, err
	}
	h, err := s.Recogniser.Recognise(ctx, r)
	if err != nil {
		return listen.Hypothesis{}, err
	}
	return h, s.measure(ctx, plain)
}

func (s *sideBySide) measure(ctx context.Context, plain listen.Request) error {
	start := processCPU()
	_, err := s.Recogniser.Recognise(ctx, plain)
	took := processCPU() - start
	s.beside += took
	s.bare += took / 2
	return err
}

// report shows how far it is: each second on a terminal, each half minute in a
// log.
func (ev *asrEval) report(what string, n, of int) {
	every, line := 30*time.Second, "%s: %d of %d\n"
	if ev.terminal {
		every, line = time.Second, "\r%s: %d of %d "
	}
	now := ev.now()
	switch {
	case what == "" && ev.terminal:
		fmt.Fprintf(ev.progress, "\r%-40s\r", "")
	case what != "" && now.Sub(ev.last) >= every:
		ev.last = now
		fmt.Fprintf(ev.progress, line, what, n, of)
	}
}

func tallyOf(m map[string]*tally, key string) *tally {
	if m[key] == nil {
		m[key] = &tally{}
	}
	return m[key]
}

func (r *asrReport) print(w io.Writer) {
	fmt.Fprintf(w, "model %s on %s\n%s\n\n", r.Model, r.Dataset, r.Machine)
	fmt.Fprintf(w, "%-28s %6s %6s %8s %8s %6s\n", "kind", "clips", "words", "WER", "bare", "empty")
	printTallies(w, r.Kinds)
	printTally(w, "clean together", r.Clean)
	if r.NoisyAll != nil {
		printTallies(w, r.Noisy)
		printTally(w, "noisy together", r.NoisyAll)
	}
	fmt.Fprintf(w, "\n%-16s %8s %8s %8s %8s %10s %12s\n", "processor time", "audio s", "VAD", "final", "RTF", "over bare", "second looks")
	for _, row := range []struct {
		name string
		f    *effort
	}{{"clean", r.CleanEffort}, {"all clips", r.OverallEffort}, {"noisy", r.NoisyEffort}} {
		if row.f == nil || row.f.Audio == 0 {
			continue
		}
		over := "-"
		if row.f.Bare > 0 {
			over = fmt.Sprintf("%.3f", row.f.overBare())
		}
		fmt.Fprintf(w, "%-16s %8.1f %8.2f %8.2f %8.4f %10s %6d of %d\n", row.name, row.f.Audio, row.f.VAD, row.f.Final,
			row.f.rtf(), over, row.f.Looks, row.f.Finals)
	}
	printBars(w, r.Bars)
}

func printTallies(w io.Writer, m map[string]*tally) {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		printTally(w, k, m[k])
	}
}

func printTally(w io.Writer, name string, t *tally) {
	fmt.Fprintf(w, "%-28s %6d %6d %8.4f %8.4f %6d\n", name, t.Clips, t.Words, t.WER, t.BareWER, t.Empty)
}
