//go:build cgo

package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/lipgloss"
	"golang.org/x/term"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/signal/outbox"
)

// liveView is what a person sees: a log that scrolls, and under it a block that
// is drawn again and again. Words from a microphone appear in the block alone,
// so that they don't stay behind in the terminal.
type liveView struct {
	of      viewOf
	out     io.Writer
	width   func() int
	now     func() time.Time
	started time.Time
	style   liveStyle

	mu      sync.Mutex
	ready   bool
	block   int // lines drawn
	speech  string
	partial bool
	waiting []signalEvent
	stop    chan struct{}
	stopped sync.WaitGroup
}

type liveStyle struct{ on, dim, mark, good, bad lipgloss.Style }

func newLiveView(e *env, of viewOf) *liveView {
	r := lipgloss.NewRenderer(e.stdout) // colours only where the terminal has them
	v := &liveView{
		of: of, out: e.stdout, now: e.now, started: e.now(), stop: make(chan struct{}),
		width: func() int { return terminalWidth(e.stdout) },
		style: liveStyle{
			on: r.NewStyle().Bold(true).Foreground(lipgloss.Color("9")), dim: r.NewStyle().Faint(true),
			mark: r.NewStyle().Bold(true), good: r.NewStyle().Foreground(lipgloss.Color("10")), bad: r.NewStyle().Foreground(lipgloss.Color("11")),
		},
	}
	v.stopped.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-v.stop:
				return
			case <-tick.C:
				v.mu.Lock()
				v.draw("")
				v.mu.Unlock()
			}
		}
	})
	return v
}

func terminalWidth(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 20 {
			return width
		}
	}
	return 80
}

func (v *liveView) show(event any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	line := lineOf(event, v.of.text)
	switch ev := event.(type) {
	case readyEvent:
		v.ready = true
	case utteranceEvent:
		v.speech, v.partial = ev.Text, ev.Partial
		if !ev.Partial && v.of.text {
			v.speech = ""
		}
	case intentEvent:
		line = v.style.mark.Render(line)
	case suppressedEvent, noticeEvent:
		line = v.style.bad.Render(line)
	case signalEvent:
		v.waiting = slices.DeleteFunc(v.waiting, func(s signalEvent) bool { return s.ID == ev.ID })
		switch ev.State {
		case outbox.Waiting:
			v.waiting = append(v.waiting, ev)
			line = "" // the block counts down
		case outbox.Accepted:
			line = v.style.good.Render(line)
		default:
			line = v.style.bad.Render(line)
		}
	}
	v.draw(line)
}

// vetoable returns the signals that can be vetoed, as the block numbers them.
func (v *liveView) vetoable() []aloud.SignalID {
	v.mu.Lock()
	defer v.mu.Unlock()
	var ids []aloud.SignalID
	for _, s := range v.waiting {
		ids = append(ids, s.ID)
	}
	return ids
}

// draw replaces the block, after a line of the log if there is one. The cursor
// stays under the block; every line ends in CR LF, because the terminal may be
// in raw mode.
func (v *liveView) draw(line string) {
	var b strings.Builder
	if v.block > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.block)
	}
	b.WriteString("\r\x1b[J")
	if line != "" {
		b.WriteString(line + "\r\n")
	}
	lines := v.lines()
	for _, l := range lines {
		b.WriteString(l + "\r\n")
	}
	v.block = len(lines)
	_, _ = io.WriteString(v.out, b.String()) // a terminal that went away hangs the process up
}

func (v *liveView) lines() []string {
	width := v.width() - 1
	now := v.now()
	lines := []string{v.header(now, width)}
	if v.speech != "" {
		text := v.speech
		if v.partial {
			text += " …"
		}
		lines = append(lines, v.style.dim.Render(shorten("  "+text, width)))
	}
	for i, s := range v.waiting {
		left := max(0, int(math.Ceil(s.Due.Sub(now).Seconds())))
		line := fmt.Sprintf("  %d  %s, %s: leaves in %ds; veto: %s", i+1, s.Category, s.Stage, left, v.vetoBy(i, s.ID))
		lines = append(lines, v.style.mark.Render(shorten(line, width)))
	}
	return lines
}

// vetoBy says how to stop a signal: by a key, or where no session holds the
// terminal, by a command.
func (v *liveView) vetoBy(i int, id aloud.SignalID) string {
	switch {
	case !v.of.microphone:
		return "aloud outbox veto " + string(id)
	case i == len(v.waiting)-1:
		return "press v"
	}
	return fmt.Sprintf("press %d", i+1)
}

func (v *liveView) header(now time.Time, width int) string {
	elapsed := clock(now.Sub(v.started).Seconds())
	if !v.of.microphone {
		return v.style.mark.Render(shorten(fmt.Sprintf("▶ HEARING %s  %s", v.of.name, elapsed), width))
	}
	rest := "  starting"
	if v.ready {
		rest = fmt.Sprintf("  %s, %s left, q stops  %s  %s", elapsed, clock(v.of.deadline.Sub(now).Seconds()), meter(v.of.level()), v.how())
	}
	return v.style.on.Render(consent.Indicator) + shorten(rest, width-len([]rune(consent.Indicator)))
}

// how says what the person has to do to be heard.
func (v *liveView) how() string {
	switch {
	case v.of.mode == consent.PushToTalk:
		return "hold space to be heard"
	case v.of.near != nil && !v.of.near.Calibrated():
		return "only-me: say something"
	}
	return string(v.of.mode)
}

// meter draws a level in decibels under full scale.
func meter(db float64) string {
	const cells = 6
	if math.IsInf(db, 0) || math.IsNaN(db) {
		db = -60
	}
	n := max(0, min(cells, int((db+60)/8)))
	return strings.Repeat("▮", n) + strings.Repeat("▯", cells-n)
}

func shorten(s string, width int) string {
	r := []rune(s)
	if len(r) <= width || width < 2 {
		return s
	}
	return string(r[:width-1]) + "…"
}

func (v *liveView) close() {
	close(v.stop)
	v.stopped.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.speech = ""
	if v.block > 0 { // the log stays, the block goes
		_, _ = fmt.Fprintf(v.out, "\x1b[%dA\r\x1b[J", v.block)
	}
	v.block = 0
}
