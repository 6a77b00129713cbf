//go:build cgo

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"aloud.example/aloud"
	"aloud.example/aloud/intent"
)

// The limits of `aloud eval intent`.
const (
	minIntentPrecision = 0.80
	minIntentRecall    = 0.65
	minIntentMacroF1   = 0.65
	minIntentStage     = 0.92
	maxIntentOverBlock = 0.10
	maxIntentFalseHour = 0.5
	maxIntentMillis    = 1
	minCorpusPrecision = 0.90
	minCorpusRecall    = 0.85
)

// maxTalkFiles is how many files one run takes.
const maxTalkFiles = 64

// intentOptions are the flags of `aloud eval intent`.
type intentOptions struct {
	data        []string
	predictions string
	json        bool
}

func newEvalIntentCommand(e *env) *cobra.Command {
	var o intentOptions
	cmd := &cobra.Command{
		Use:   "intent --data FILE…",
		Short: "Measure how well intents are found in conversations",
		Long: `Plays each conversation to the intent engine, utterance by utterance, and
compares what it finds with what is written down: precision, recall and F1 over
pairs of speaker and category in market, in each conversation; whether the stage
is in market or not; false intents for each hour of talk (150 words a minute);
intents out of sensitive turns; turns suppressed that are not sensitive; how far
scores are from the share that is right; time. Ends with status 0 only if every
bar holds.

A file has one JSON object a line: id, turns (speaker, text), and where known
intents (turn, speaker, category, stage) and sensitive_turns; or labels, the
source's own, of which SGD's, SLURP's, CLINC150's, BANKING77's and "none" are
known (docs/intent.md). Where a label is not known, what is found is not judged.`,
		Example: `  aloud eval intent --data ../shared/data/intent/conversations.jsonl
  aloud eval intent --data a.jsonl,b.jsonl --predictions found.jsonl --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runEvalIntent(cmd.Context(), e, o)
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.data, "data", nil, "files of conversations, one JSON object a line")
	f.StringVar(&o.predictions, "predictions", "", "write what was found to this file, one JSON object a line")
	f.BoolVar(&o.json, "json", false, "print one JSON object instead of tables")
	_ = cmd.MarkFlagRequired("data")
	return cmd
}

// intentReport is what `aloud eval intent --json` prints.
type intentReport struct {
	measured
	Files       []*intentFile `json:"files"`
	Written     *score        `json:"written"`    // conversations whose intents were written down
	Corpora     *score        `json:"corpora"`    // those with labels of their source
	Plain       *score        `json:"small_talk"` // those that are small talk
	Calibration float64       `json:"calibration_error"`
	MillisEach  float64       `json:"ms_per_utterance"`
}

// intentFile is one file's share of the report.
type intentFile struct {
	Name string `json:"name"`
	score
}

// predicted is one line of --predictions.
type predicted struct {
	ID      string       `json:"id"`
	Intents []talkIntent `json:"intents"`
}

func runEvalIntent(ctx context.Context, e *env, o intentOptions) error {
	if len(o.data) > maxTalkFiles {
		return aloud.Errorf(aloud.EINVALID, "%d files: give %d at most", len(o.data), maxTalkFiles)
	}
	var files [][]*talk
	for _, name := range o.data {
		talks, err := loadTalks(name)
		if err != nil {
			return err
		}
		files = append(files, talks)
	}
	engine, err := intent.New(intent.Config{})
	if err != nil {
		return err
	}
	out := io.Discard
	if o.predictions != "" {
		f, err := os.OpenFile(o.predictions, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return aloud.Errorf(aloud.EINVALID, "writing the predictions: %w", bare(err))
		}
		defer f.Close()
		out = f
	}
	ev := &intentEval{engine: engine, labels: readLabels(labelTable), out: bufio.NewWriter(out)}
	r := &intentReport{Written: &score{}, Corpora: &score{}, Plain: &score{}}
	for i, talks := range files {
		file := &intentFile{Name: filepath.Base(o.data[i])}
		r.Files = append(r.Files, file)
		if err := ev.file(ctx, talks, file, r); err != nil {
			return err
		}
	}
	if err := ev.out.Flush(); err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "writing the predictions: %w", err)
	}
	ev.finish(r)
	if o.json {
		err = printJSON(e.stdout, r)
	} else {
		err = r.print(e.stdout)
	}
	if err != nil {
		return err
	}
	return verdict(r.Bars)
}

// intentEval is one run of the command.
type intentEval struct {
	engine *intent.Engine
	labels labels
	out    *bufio.Writer
	took   time.Duration
	heard  int
}

func (ev *intentEval) file(ctx context.Context, talks []*talk, file *intentFile, r *intentReport) error {
	var byKind struct{ written, corpora, plain score }
	for _, t := range talks {
		if err := ctx.Err(); err != nil {
			return err
		}
		got := ev.hear(t)
		line, _ := json.Marshal(predicted{t.ID, got.intents})
		if _, err := ev.out.Write(append(line, '\n')); err != nil {
			return aloud.Errorf(aloud.EUNAVAILABLE, "writing the predictions: %w", err)
		}
		known := ev.labels.truthOf(t)
		part := &byKind.corpora
		switch {
		case t.Intents != nil:
			part = &byKind.written
		case known.plain:
			part = &byKind.plain
		}
		part.add(t, known, got)
	}
	for _, p := range []struct{ of, all *score }{{&byKind.written, r.Written}, {&byKind.corpora, r.Corpora}, {&byKind.plain, r.Plain}} {
		p.all.merge(p.of)
		file.merge(p.of)
	}
	return nil
}

// hear plays a conversation to the engine as it would hear it.
func (ev *intentEval) hear(t *talk) heardTalk {
	got := heardTalk{intents: []talkIntent{}, suppressed: make([]bool, len(t.Turns))}
	session := ev.engine.NewConversation(nil)
	start := processCPU()
	for i, turn := range t.Turns {
		f := session.Hear(aloud.Utterance{Speaker: turn.Speaker, Text: turn.Text, Start: turn.Start})
		got.takeBack(session.Retracted())
		for _, in := range f.Intents {
			got.intents = append(got.intents, talkIntent{i, turn.Speaker, in.Category, in.Stage, round(in.Score)})
		}
		for j := i; j >= 0 && j > i-f.Suppressed; j-- { // what led up to it is suppressed with it
			got.suppressed[j] = true
		}
	}
	ev.took += processCPU() - start
	ev.heard += len(t.Turns)
	return got
}

// takeBack removes intents that turned out to have led up to sensitive talk.
func (h *heardTalk) takeBack(gone []aloud.Intent) {
	for _, g := range gone {
		for i := len(h.intents) - 1; i >= 0; i-- {
			if h.intents[i].Category == g.Category && h.intents[i].Stage == g.Stage {
				h.intents = append(h.intents[:i], h.intents[i+1:]...)
				break
			}
		}
	}
}

func (ev *intentEval) finish(r *intentReport) {
	var all score
	for _, s := range []*score{r.Written, r.Corpora, r.Plain} {
		all.merge(s)
		s.rates()
	}
	for _, f := range r.Files {
		f.rates()
	}
	r.Calibration = round(all.calibrationError())
	if ev.heard > 0 {
		r.MillisEach = round(ev.took.Seconds() * 1000 / float64(ev.heard))
	}
	r.measured = measured{
		Machine: machine(), Client: "one process, one thread; times are processor time of this process",
		Dataset: fmt.Sprintf("%d conversations in %d files", all.Talks, len(r.Files)), RSSMB: residentMB(), Bars: r.bars(),
	}
}

// bars are the figures that have to hold, as far as the files have what they are
// about.
func (r *intentReport) bars() []bar {
	bars := []bar{atMost("intent.ms", r.MillisEach, maxIntentMillis, "ms")}
	if w := r.Written; w.Talks > 0 {
		bars = append(bars,
			atLeast("intent.precision", w.Precision, minIntentPrecision, "share"),
			atLeast("intent.recall", w.Recall, minIntentRecall, "share"),
			atLeast("intent.macro_f1", w.MacroF1, minIntentMacroF1, "F1"),
			atLeast("intent.stage", share(w.StageRight, w.StageOf), minIntentStage, "share"),
			atMost("intent.leaks", float64(w.Leaks), 0, "intents"),
			atMost("intent.overblocked", share(w.Blocked, w.BlockedOf), maxIntentOverBlock, "share"))
	}
	if r.Plain.Talks > 0 {
		bars = append(bars, atMost("intent.false_per_hour", r.Plain.FalseHour, maxIntentFalseHour, "1/h"))
	}
	if c := r.Corpora; c.Right+c.Missed > 0 {
		bars = append(bars,
			atLeast("intent.corpora_precision", c.Precision, minCorpusPrecision, "share"),
			atLeast("intent.corpora_recall", c.Recall, minCorpusRecall, "share"))
	}
	return bars
}

func (r *intentReport) print(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%s\n%s\n\n", r.Dataset, r.Machine)
	fmt.Fprintf(out, "%-28s %6s %6s %6s %6s %6s %9s %7s %6s %9s %6s %8s\n", "file", "talks", "turns", "right", "wrong", "missed",
		"precision", "recall", "F1", "macro F1", "leaks", "false/h")
	row := func(name string, s *score) {
		fmt.Fprintf(out, "%-28s %6d %6d %6d %6d %6d %9.3f %7.3f %6.3f %9.3f %6d %8.2f\n", name, s.Talks, s.Utterances, s.Right, s.Wrong, s.Missed,
			s.Precision, s.Recall, s.F1, s.MacroF1, s.Leaks, s.FalseHour)
	}
	for _, f := range r.Files {
		row(f.Name, &f.score)
	}
	for _, part := range []struct {
		name string
		s    *score
	}{{"all with intents", r.Written}, {"all with labels", r.Corpora}, {"all small talk", r.Plain}} {
		if part.s.Talks > 0 {
			row(part.name, part.s)
		}
	}
	fmt.Fprintf(out, "\ncalibration error %.3f; %.3f ms of processor time an utterance\n", r.Calibration, r.MillisEach)
	printBars(out, r.Bars)
	if err := out.Flush(); err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "writing the result: %w", err)
	}
	return nil
}
