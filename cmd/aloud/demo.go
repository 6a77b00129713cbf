//go:build cgo

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"aloud.example/aloud"
	"aloud.example/aloud/listen/onnx"
)

// demoOptions are the flags of aloud demo.
type demoOptions struct {
	clips string
	model string
	keep  bool
	json  bool
}

// demoTime bounds a demo, so that it ends by itself whatever happens.
const demoTime = 10 * time.Minute

func newDemoCommand(e *env) *cobra.Command {
	var o demoOptions
	c := &cobra.Command{
		Use:     "demo",
		Short:   "Show the whole way from speech to a bid, simulated",
		GroupID: "check",
		Long: `Demo starts a simulated server of its own, enrols 60 synthetic participants, lets
each one's device hear recorded synthetic speech, and tells what follows: the
intents, the signals, an audience, an auction won, its proof, a withdrawal and
the auction after it. Nothing of the way is left out or played: only the people
are. It ends by itself, with status 0 only if every step held.`,
		Example: `  aloud demo
  aloud demo --model tiny
  aloud demo --keep`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(c.Context(), demoTime)
			defer cancel()
			return runDemo(ctx, e, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.clips, "clips", filepath.Join("testdata", "demo"), "the folder with the clips and clips.jsonl")
	modelFlag(c, &o.model)
	f.BoolVar(&o.keep, "keep", false, "leave the server running, and print its addresses")
	f.BoolVar(&o.json, "json", false, "print one JSON object at the end in place of the story")
	return c
}

// demo is one run: what the chapters hand on to each other.
type demo struct {
	e       *env
	o       demoOptions
	dir     string
	story   *story
	report  demoReport
	people  []*person
	models  *onnx.Models
	server  *demoServer
	auction auction
}

// demoReport is the JSON form.
type demoReport struct {
	Simulated bool          `json:"simulated"` // always
	Steps     []demoStep    `json:"steps"`
	Seconds   float64       `json:"seconds"`
	Holds     bool          `json:"holds"`
	Server    *demoLeftover `json:"server,omitempty"`
}

// demoStep is one chapter.
type demoStep struct {
	Name    string         `json:"name"`
	Seconds float64        `json:"seconds"`
	Holds   bool           `json:"holds"`
	Problem string         `json:"problem,omitempty"`
	Facts   map[string]any `json:"facts,omitempty"`
}

// demoLeftover is a server that --keep left running.
type demoLeftover struct {
	URL      string `json:"url"`
	Operator string `json:"operator_token_file"`
	Homes    string `json:"device_homes"`
	PID      int    `json:"pid"`
}

// facts are what a step found out, by name, for the JSON form.
type facts = map[string]any

func runDemo(ctx context.Context, e *env, o demoOptions) (err error) {
	clips, err := readDemoClips(o.clips)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "aloud-demo-")
	if err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "make a folder for the demo: %w", bare(err))
	}
	out := e.stdout
	if o.json {
		out = io.Discard
	}
	d := &demo{e: e, o: o, dir: dir, story: newStory(out, e.now), report: demoReport{Simulated: true}}
	d.people = cast(dir, clips)
	defer d.close()
	d.opening()
	err = d.play(ctx)
	d.report.Seconds = e.now().Sub(d.story.start).Seconds()
	d.report.Holds = err == nil
	d.ending()
	if o.json {
		if err := json.NewEncoder(e.stdout).Encode(d.report); err != nil {
			return err
		}
	}
	if err != nil {
		return &exitError{status: 1}
	}
	return nil
}

// play tells the chapters in order and stops at the first that does not hold.
func (d *demo) play(ctx context.Context) error {
	chapters := []struct {
		name, title string
		tell        func(context.Context, facts) error
	}{
		{"server", "A server starts", d.startServer},
		{"consent", fmt.Sprintf("%d people agree", len(d.people)), d.enrolAll},
		{"listen", "They talk, and their own devices listen", d.hearAll},
		{"audience", "An advertiser asks for an audience", d.sell},
		{"auction", "An auction is won", d.bid},
		{"proof", "Anyone can check why", d.prove},
		{"withdrawal", "The person changes their mind", d.withdraw},
	}
	for _, c := range chapters {
		d.story.chapter(c.title)
		step := demoStep{Name: c.name, Facts: facts{}}
		start := d.e.now()
		err := c.tell(ctx, step.Facts)
		step.Seconds = d.e.now().Sub(start).Seconds()
		step.Holds = err == nil
		if err != nil {
			step.Problem = err.Error()
			d.story.broke("%v", err)
		}
		d.report.Steps = append(d.report.Steps, step)
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) opening() {
	s := d.story
	fmt.Fprintln(s.out, s.paint(bold, "Aloud: from speech to a bid, by consent alone"))
	fmt.Fprintln(s.out, s.paint(faint, "Simulated: synthetic voices, made-up people, an advertiser that does not exist."))
	fmt.Fprintln(s.out, s.paint(faint, "Everything between them is the real thing: models, signatures, server, log."))
}

func (d *demo) ending() {
	s := d.story
	held := 0
	for _, step := range d.report.Steps {
		if step.Holds {
			held++
		}
	}
	s.chapter("The end")
	if d.report.Holds {
		s.held("all %d steps held, in %.0f s; everything above was simulated", held, d.report.Seconds)
	} else {
		s.broke("%d steps held, then one did not; see above", held)
	}
	if left := d.report.Server; left != nil {
		s.say("")
		s.row("The server is still running (--keep):")
		s.row("  API              %s   (see /openapi.json)", left.URL)
		s.row("  health, metrics  %s/healthz  /readyz  /metrics", left.URL)
		s.row("  log              %s/log/checkpoint", left.URL)
		s.row("  operator token   %s", left.Operator)
		s.row("  device homes     %s   (aloud outbox --home …/01)", left.Homes)
		s.row("  to stop it       kill %d   (then remove the folder %s)", left.PID, d.dir)
	}
}

// close ends the server and removes what the demo made, unless it is to be kept.
func (d *demo) close() {
	if d.models != nil {
		_ = d.models.Close()
	}
	if d.report.Server != nil {
		return
	}
	if d.server != nil {
		d.server.stop()
	}
	_ = os.RemoveAll(d.dir)
}

// startServer is the first chapter.
func (d *demo) startServer(ctx context.Context, f facts) error {
	start := d.e.now()
	srv, err := startServer(ctx, d.dir)
	if err != nil {
		return err
	}
	d.server = srv
	took := d.e.now().Sub(start)
	if d.o.keep {
		d.report.Server = &demoLeftover{
			URL: srv.url, Operator: filepath.Join(srv.data, "operator.token"), Homes: filepath.Join(d.dir, "devices"), PID: srv.cmd.Process.Pid,
		}
	}
	f["url"], f["ready_seconds"] = srv.url, took.Seconds()
	d.story.row("  $ aloud serve --simulate --wait 0s")
	d.story.say("Its data folder is stamped as simulated for life. Only such a server takes synthetic speech, without the wait of 60 s that a person has to veto a signal.")
	d.story.held("ready at %s in %.2f s", srv.url, took.Seconds())
	return nil
}

// quietly runs one of this program's own commands, as a person would type it.
func (d *demo) quietly(ctx context.Context, args ...string) error {
	var out, bad tail
	code := run(ctx, args, &env{stdin: eof{}, stdout: &out, stderr: &bad, now: d.e.now})
	if code != 0 {
		return aloud.Errorf(aloud.EUNAVAILABLE, "aloud %s ended with status %d: %s%s", args[0], code, out.String(), bad.String())
	}
	return nil
}

// tail keeps the first kilobyte that is written to it.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	if room := 1024 - len(t.kept); room > 0 {
		t.kept = append(t.kept, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.kept) }

// eof is an empty input.
type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// errNotHeld is in the chain of what a step says when a fact is not as it must
// be, rather than that something failed.
var errNotHeld = errors.New("did not hold")

func notHeld(format string, args ...any) error {
	return aloud.Errorf(aloud.EINTERNAL, "%s: %w", fmt.Sprintf(format, args...), errNotHeld)
}
