//go:build cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/listen/audio"
	"aloud.example/aloud/listen/mic"
	"aloud.example/aloud/listen/onnx"
)

// listenOptions are the flags of `aloud listen`.
type listenOptions struct {
	file     string // "" is the microphone, "-" standard input
	home     string
	device   string
	list     bool
	length   time.Duration
	mode     string
	adults   int
	model    string
	modelDir string
	wait     time.Duration
	waits    bool // --wait was given
	json     bool
	partials bool
	pace     bool
	raw      audio.Format
	encoding string
}

func newListenCommand(e *env) *cobra.Command {
	var o listenOptions
	c := &cobra.Command{
		Use:     "listen [FILE | -]",
		Short:   "Hear, and turn what is said into signals that you can veto",
		GroupID: "device",
		Long: `Listen hears the microphone, a recording (WAV, FLAC, MP3 or Ogg Vorbis of any
rate and channel count), or raw PCM on standard input ("-"). It recognises what
is said on this device, finds what somebody wants to buy, and keeps each such
signal in the outbox, where it can be vetoed, before it is sent. Sound and words
stay in memory and are overwritten.

The microphone needs a length (--for) and, each time, a phrase that a person
types at the terminal: no flag, variable or pipe can start it. A chime sounds
first, "● LISTENING" is shown all the while, and one key stops it.

A recording needs no session. Its signals say that they come from a recording,
and only a simulated server takes those.`,
		Example: `  aloud listen --for 30m
  aloud listen --for 10m --mode room --adults 3 --device "USB"
  aloud listen talk.mp3
  arecord -q -f S16_LE -r 44100 -c 2 | aloud listen - --rate 44100 --channels 2 --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.file = args[0]
			}
			o.waits = c.Flags().Changed("wait")
			o.raw.Encoding = audio.Encoding(o.encoding)
			return runListen(c.Context(), e, o, c.Flags().Changed)
		},
	}
	homeFlag(c, &o.home)
	f := c.Flags()
	f.StringVar(&o.device, "device", "", "the microphone, by its name or a part of it (default: the system's)")
	f.BoolVar(&o.list, "list-devices", false, "list the microphones and stop")
	f.DurationVar(&o.length, "for", 0, "how long to hear the microphone, such as 30m")
	f.StringVar(&o.mode, "mode", "", "who may be heard: push-to-talk, only-me or room (default only-me for the microphone, room for a recording)")
	f.IntVar(&o.adults, "adults", 0, "in a room: how many adults are present; each confirms")
	modelFlag(c, &o.model)
	f.StringVar(&o.modelDir, "model-dir", "", "a folder with another Moonshine model")
	f.DurationVar(&o.wait, "wait", 0, "simulated servers only: how long a signal waits before it is sent")
	f.BoolVar(&o.json, "json", false, "print one event a line as JSON")
	f.BoolVar(&o.partials, "partials", false, "show also what is still being said")
	f.BoolVar(&o.pace, "pace", false, "hear a file no faster than it was spoken")
	f.IntVar(&o.raw.Rate, "rate", audio.Rate, "of raw PCM: samples a second")
	f.IntVar(&o.raw.Channels, "channels", 1, "of raw PCM: channels")
	f.StringVar(&o.encoding, "format", string(audio.S16LE), "of raw PCM: "+strings.Join(audio.Encodings(), ", "))
	return c
}

// check refuses flags that don't go together, before anything is opened.
func (o listenOptions) check(given func(string) bool) error {
	microphone := o.file == ""
	for _, name := range []string{"for", "device", "adults"} {
		if !microphone && given(name) {
			return aloud.Errorf(aloud.EINVALID, "--%s is for the microphone; leave it out for a recording", name)
		}
	}
	for _, name := range []string{"rate", "channels", "format"} {
		if o.file != "-" && given(name) {
			return aloud.Errorf(aloud.EINVALID, "--%s describes raw PCM on standard input (\"-\"); a file says it itself", name)
		}
	}
	switch {
	case microphone && o.length == 0 && !o.list:
		return aloud.Errorf(aloud.EINVALID, "say for how long to listen, such as --for 30m, or name a recording")
	case microphone && o.pace:
		return aloud.Errorf(aloud.EINVALID, "--pace is for recordings")
	case o.mode != "" && !consent.Mode(o.mode).Valid():
		return aloud.Errorf(aloud.EINVALID, "--mode must be push-to-talk, only-me or room, not %.20q", o.mode)
	case !microphone && o.mode == string(consent.PushToTalk):
		return aloud.Errorf(aloud.EINVALID, "--mode push-to-talk is for the microphone; a recording has no key")
	case given("rate") && o.raw.Rate < 1, given("channels") && o.raw.Channels < 1:
		return aloud.Errorf(aloud.EINVALID, "--rate and --channels must be 1 or more")
	case o.waits && o.wait < 0:
		return aloud.Errorf(aloud.EINVALID, "--wait must not be negative")
	case o.model != "base" && o.model != "tiny":
		return aloud.Errorf(aloud.EINVALID, "there is no model %.20q: choose base or tiny", o.model)
	}
	return nil
}

func runListen(ctx context.Context, e *env, o listenOptions, given func(string) bool) error {
	if err := o.check(given); err != nil {
		return err
	}
	if o.list {
		return listDevices(e, o.json)
	}
	if o.file == "" {
		return listenToMicrophone(ctx, e, o)
	}
	return listenToRecording(ctx, e, o)
}

func listDevices(e *env, asJSON bool) error {
	devices, err := mic.Devices(mic.Config{})
	if err != nil {
		return err
	}
	if asJSON {
		type row struct {
			Name    string `json:"name"`
			Default bool   `json:"default"`
		}
		rows := []row{}
		for _, d := range devices {
			rows = append(rows, row(d))
		}
		return unwritten(printJSON(e.stdout, map[string]any{"devices": rows}))
	}
	if len(devices) == 0 {
		_, err := fmt.Fprintln(e.stdout, "This machine has no microphone.")
		return unwritten(err)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	for _, d := range devices {
		fmt.Fprintf(w, "%s\t%s\n", d.Name, map[bool]string{true: "(default)"}[d.Default])
	}
	return unwritten(w.Flush())
}

func (o listenOptions) models() (*onnx.Models, error) {
	return onnx.Open(onnx.Config{Model: o.model, Dir: o.modelDir})
}

// listenToRecording hears a file or standard input to its end.
func listenToRecording(ctx context.Context, e *env, o listenOptions) error {
	r, err := o.openRecording(e)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // it was only read
	models, err := o.models()
	if err != nil {
		return err
	}
	defer func() { _ = models.Close() }() // the process is about to end
	h, err := newHearing(ctx, e, o, models, aloud.SourceFile)
	if err != nil {
		return err
	}
	defer h.close()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	v := newView(e, o, viewOf{name: o.recordingName(), text: true, failed: func(err error) { end(unwritten(err)) }})
	err = h.run(ctx, v, func(ctx context.Context) error { return h.feed(ctx, r, o.pace) })
	if err = firstOf(endedBy(ctx), err); errors.Is(err, context.Canceled) {
		return &exitError{interrupted} // interrupted: the summary said how far it came
	}
	return err
}

// endedBy is why a session had to end, nil if it came to its end or a person
// ended it.
func endedBy(ctx context.Context) error {
	cause := context.Cause(ctx)
	if _, coded := errors.AsType[*aloud.Error](cause); coded {
		return cause
	}
	return nil
}

func (o listenOptions) openRecording(e *env) (*audio.Reader, error) {
	if o.file != "-" {
		return audio.Open(o.file)
	}
	if f, ok := e.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return nil, aloud.Errorf(aloud.EINVALID, "standard input is a terminal: pipe raw PCM into it, such as: ffmpeg -i IN -f s16le -ar 16000 -ac 1 - | aloud listen -")
	}
	return audio.Raw(e.stdin, o.raw)
}

func (o listenOptions) recordingName() string {
	if o.file == "-" {
		return "standard input"
	}
	return o.file
}

// listenToMicrophone hears until the session ends: by a key, at its deadline, or
// because the microphone went away.
func listenToMicrophone(ctx context.Context, e *env, o listenOptions) error {
	h, err := homeAt(o.home)
	if err != nil {
		return err
	}
	if !h.has(receiptFile) {
		return notEnrolled()
	}
	box, err := h.outbox(ctx, e, 0)
	if err != nil {
		return err
	}
	grant, err := h.allowed(ctx, box, consent.PurposeListen, e.now())
	if err = firstOf(err, box.Close()); err != nil {
		return err
	}
	if err := knownDevice(o.device); err != nil {
		return err
	}
	models, err := o.models()
	if err != nil {
		return err
	}
	defer func() { _ = models.Close() }() // the process is about to end

	if o.mode == "" {
		o.mode = string(consent.OnlyMe)
	}
	hear, err := newHearing(ctx, e, o, models, aloud.SourceMicrophone)
	if err != nil {
		return err
	}
	defer hear.close()
	session, err := consent.ConfirmAtTerminal(ctx, grant, consent.Request{Mode: consent.Mode(o.mode), For: o.length, Adults: o.adults}, e.now)
	if err != nil {
		return err
	}

	keys, err := openKeys()
	if err != nil {
		return err
	}
	defer keys.close()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	ctx, stop := h.whileAllowed(ctx, e, grant) // aloud withdraw and aloud erase end it
	defer stop()
	// The indicator is there before the microphone is open.
	var stream *mic.Stream
	v := newView(e, o, viewOf{
		name: "microphone", microphone: true, deadline: session.Deadline(), mode: session.Mode(),
		level: func() float64 { return stream.Level() }, near: hear.near, indicator: keys.terminal,
		failed: func(err error) { end(unwritten(err)) },
	})
	stream, err = mic.Open(ctx, session, mic.Config{Device: o.device, Deliver: hear.listener.Offer, Bell: keys.terminal, Now: e.now})
	if err != nil {
		v.close()
		return err
	}
	defer stream.Close()
	go keys.watch(ctx, v, hear, stream)
	err = hear.run(ctx, v, func(context.Context) error {
		defer hear.listener.Finish()
		return sessionEnd(stream.Err())
	})
	return firstOf(endedBy(ctx), err)
}

// sessionEnd is what a session's end means: to be stopped by a key or by its
// deadline is no failure.
func sessionEnd(err error) error {
	if err == nil || aloud.ErrorCode(err) == aloud.EEXPIRED {
		return nil
	}
	return err
}

// knownDevice finds a microphone's name before a person is asked to confirm.
func knownDevice(name string) error {
	if name == "" {
		return nil
	}
	return mic.Known(mic.Config{Device: name})
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// isTerminal reports whether something written there is seen by a person.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
