//go:build unix

package consent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"aloud.example/aloud"
)

// The limits of a confirmation.
const (
	tries      = 3               // phrases a person may get wrong
	answerTime = 2 * time.Minute // for all that is typed
	maxLine    = 256             // bytes of an answer
)

// Indicator is what a terminal shows for as long as it listens.
const Indicator = "● LISTENING"

// ConfirmAtTerminal asks the person at the terminal to confirm a session, and
// is the only way to a Session.
//
// It opens the controlling terminal itself, so that no pipe, flag, file or
// environment variable can answer; refuses to run in the background; throws
// away what was typed before it asked; and asks for a phrase drawn afresh, so
// that a prepared answer doesn't fit. In Room mode each adult types one. A
// program that acts as the person's own terminal and reads the screen could
// still answer: it runs with all of the person's rights, the microphone's
// included, and the chime and the indicator are what reveals it.
//
// now is time.Now if nil.
func ConfirmAtTerminal(ctx context.Context, g Grant, r Request, now func() time.Time) (Session, error) {
	if now == nil {
		now = time.Now
	}
	r, err := r.check(g, now())
	if err != nil {
		return Session{}, err
	}
	t, err := openTerminal()
	if err != nil {
		return Session{}, err
	}
	defer t.file.Close()
	ctx, cancel := context.WithTimeout(ctx, answerTime*time.Duration(r.Adults))
	defer cancel()
	// A deadline in the past wakes a read that waits for a person.
	stop := context.AfterFunc(ctx, func() { _ = t.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()

	if err := t.announce(r, now()); err != nil {
		return Session{}, err
	}
	for i := range r.Adults {
		if err := t.confirm(ctx, i+1, r); err != nil {
			return Session{}, err
		}
	}
	s := r.session(g, now())
	return s, s.Check(s.confirmed)
}

// terminal is the controlling terminal of this process.
type terminal struct {
	file *os.File
}

func openTerminal() (*terminal, error) {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, aloud.Errorf(aloud.EFORBIDDEN, "listening starts only from a terminal at which a person confirms it; this process has none")
	}
	// Through SyscallConn and not Fd, which would make reads blocking: then
	// nothing could end the wait for a person.
	t := &terminal{file: f}
	err = t.control(func(fd int) error {
		if !term.IsTerminal(fd) {
			return aloud.Errorf(aloud.EFORBIDDEN, "listening starts only from a terminal; /dev/tty is something else here")
		}
		foreground, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		if err != nil || foreground != unix.Getpgrp() {
			return aloud.Errorf(aloud.EFORBIDDEN, "listening can't be started in the background; run it in the foreground of the terminal")
		}
		return nil
	})
	if err != nil {
		f.Close()
		return nil, err
	}
	return t, nil
}

// control runs f on the terminal's descriptor.
func (t *terminal) control(f func(fd int) error) error {
	conn, err := t.file.SyscallConn()
	if err != nil {
		return terminalError(err)
	}
	var inner error
	if err := conn.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return terminalError(err)
	}
	return inner
}

func (t *terminal) announce(r Request, at time.Time) error {
	var b strings.Builder
	fmt.Fprintf(&b, "\nAloud is about to listen with the microphone of this device.\n")
	fmt.Fprintf(&b, "  while it does, you see   %s, and hear a chime when it starts\n", Indicator)
	fmt.Fprintf(&b, "  for                      %s, until %s; Ctrl-C stops it at once\n", r.For, at.Add(r.For).Format("15:04:05"))
	fmt.Fprintf(&b, "  mode                     %s: %s\n", r.Mode, explain(r.Mode))
	if r.Mode == Room {
		fmt.Fprintf(&b, "Everyone who can be heard must be an adult and agree now, each by typing a phrase: %d people.\n", r.Adults)
		fmt.Fprintf(&b, "If anyone joins later, stop and start again. Children must not be present.\n")
	}
	_, err := io.WriteString(t.file, b.String())
	return terminalError(err)
}

func explain(m Mode) string {
	switch m {
	case PushToTalk:
		return "hears only while you hold the key"
	case OnlyMe:
		return "drops speech that is fainter or more distant than yours, unheard"
	}
	return "hears everyone present"
}

// confirm asks one person.
func (t *terminal) confirm(ctx context.Context, person int, r Request) error {
	for range tries {
		phrase, err := newPhrase()
		if err != nil {
			return aloud.Errorf(aloud.EINTERNAL, "draw a phrase: %w", err)
		}
		who := "To agree, type"
		if r.Mode == Room {
			who = fmt.Sprintf("Adult %d of %d: to agree, type", person, r.Adults)
		}
		if err := t.discard(); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(t.file, "%s:  %s\n> ", who, phrase); err != nil {
			return terminalError(err)
		}
		typed, err := t.line(ctx)
		if err != nil {
			return err
		}
		if samePhrase(typed, phrase) {
			return nil
		}
		if strings.TrimSpace(typed) == "" {
			break
		}
		fmt.Fprintln(t.file, "That is not the phrase.")
	}
	return aloud.Errorf(aloud.EFORBIDDEN, "not confirmed, so nothing was heard")
}

// line reads one line, drops what follows it, and stops when ctx ends.
func (t *terminal) line(ctx context.Context) (string, error) {
	var line []byte
	buf := make([]byte, 64)
	for {
		n, err := t.file.Read(buf)
		for _, c := range buf[:n] {
			if c == '\n' || c == '\r' {
				return string(line), nil
			}
			line = append(line, c)
		}
		switch {
		case len(line) > maxLine:
			return "", aloud.Errorf(aloud.EFORBIDDEN, "not confirmed: a line of over %d bytes is no phrase", maxLine)
		case ctx.Err() != nil:
			return "", aloud.Errorf(aloud.EFORBIDDEN, "not confirmed in time, so nothing was heard: %w", ctx.Err())
		case errors.Is(err, io.EOF):
			return "", aloud.Errorf(aloud.EFORBIDDEN, "not confirmed, so nothing was heard")
		case err != nil:
			return "", terminalError(err)
		}
	}
}

func terminalError(err error) error {
	if err == nil {
		return nil
	}
	return aloud.Errorf(aloud.EFORBIDDEN, "the terminal went away before the session was confirmed: %w", err)
}
