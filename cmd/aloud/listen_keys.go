//go:build cgo

package main

import (
	"context"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"aloud.example/aloud"
	"aloud.example/aloud/listen/mic"
)

// keys are the terminal's, one press at a time, while a microphone is heard.
type keys struct {
	terminal *os.File
	before   *term.State
}

// openKeys opens the terminal at which the session was confirmed.
func openKeys() (*keys, error) {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, aloud.Errorf(aloud.EFORBIDDEN, "listening needs a terminal on which it can be seen and stopped")
	}
	before, err := term.MakeRaw(int(f.Fd()))
	if err != nil {
		_ = f.Close() // it was not used
		return nil, aloud.Errorf(aloud.EFORBIDDEN, "the terminal gives no single keys (%w); listening needs one key to stop it", err)
	}
	return &keys{terminal: f, before: before}, nil
}

func (k *keys) close() {
	_ = term.Restore(int(k.terminal.Fd()), k.before) // the terminal may be gone
	_ = k.terminal.Close()
}

// The keys.
const (
	ctrlC  = 3
	escape = 27
)

// watch obeys the keys until the microphone is closed: q, Esc or Ctrl-C stop, v
// vetoes the last signal, a digit another, and space is the key to talk.
func (k *keys) watch(ctx context.Context, v view, h *hearing, stream *mic.Stream) {
	pressed := make(chan byte)
	go k.read(ctx, pressed)
	hold := time.NewTimer(time.Hour)
	defer hold.Stop()
	talking := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-stream.Done():
			return
		case <-hold.C:
			talking = false
			stream.Talk(false)
		case key, ok := <-pressed:
			switch {
			case !ok, key == 'q', key == 'Q', key == ctrlC, key == escape:
				stream.Close()
				return
			case key == ' ':
				// A terminal tells only of presses: a key that is held is
				// pressed again, after half a second and then many times one.
				wait := 700 * time.Millisecond
				if talking {
					wait = 300 * time.Millisecond
				}
				talking = true
				stream.Talk(true)
				hold.Reset(wait)
			case key == 'v' || key == 'V' || key >= '1' && key <= '9':
				k.veto(ctx, v, h, key)
			}
		}
	}
}

func (k *keys) read(ctx context.Context, pressed chan<- byte) {
	defer close(pressed)
	buf := make([]byte, 1)
	for {
		if _, err := io.ReadFull(k.terminal, buf); err != nil {
			return
		}
		select {
		case pressed <- buf[0]:
		case <-ctx.Done():
			return
		}
	}
}

func (k *keys) veto(ctx context.Context, v view, h *hearing, key byte) {
	live, ok := v.(*liveView)
	if !ok || h.box == nil {
		return
	}
	ids := live.vetoable()
	at := len(ids) - 1
	if key >= '1' && key <= '9' {
		at = int(key - '1')
	}
	if at >= 0 && at < len(ids) {
		h.veto(ctx, ids[at])
	}
}
