//go:build cgo

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// The layout of the story: a clock in the margin, then text.
const (
	storyWidth  = 80
	storyMargin = 10
)

// story tells the demo as it happens: chapters with a clock in the margin.
type story struct {
	out    io.Writer
	colour bool
	now    func() time.Time
	start  time.Time
}

func newStory(out io.Writer, now func() time.Time) *story {
	return &story{out: out, colour: coloured(out), now: now, start: now()}
}

// coloured reports whether out is a terminal whose owner takes colours.
func coloured(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// The looks of a piece of text.
const (
	bold  = "1"
	faint = "2"
	green = "32"
	red   = "31"
	cyan  = "36"
)

func (s *story) paint(look, text string) string {
	if !s.colour || look == "" || text == "" {
		return text
	}
	return "\x1b[" + look + "m" + text + "\x1b[0m"
}

// chapter begins the next part, with the time since the start beside it.
func (s *story) chapter(title string) {
	clock := fmt.Sprintf("%6.1f s  ", s.now().Sub(s.start).Seconds())
	fmt.Fprintf(s.out, "\n%s%s\n", s.paint(faint, clock), s.paint(bold, title))
}

// say writes a paragraph, wrapped to the width.
func (s *story) say(format string, args ...any) { s.indented("", "", fmt.Sprintf(format, args...)) }

// quote writes what was heard.
func (s *story) quote(text string) { s.indented("  ", cyan, "\""+text+"\"") }

// held writes a thing that was checked, and found to be so.
func (s *story) held(format string, args ...any) {
	s.marked(s.paint(green, "ok"), fmt.Sprintf(format, args...))
}

// broke writes the thing that was not so.
func (s *story) broke(format string, args ...any) {
	s.marked(s.paint(red, "NO"), fmt.Sprintf(format, args...))
}

func (s *story) marked(mark, text string) {
	for i, line := range wrap(text, storyWidth-storyMargin-4) {
		if i > 0 {
			mark = "  "
		}
		fmt.Fprintf(s.out, "%*s%s  %s\n", storyMargin, "", mark, line)
	}
}

func (s *story) indented(indent, look, text string) {
	for _, line := range wrap(text, storyWidth-storyMargin-len(indent)) {
		fmt.Fprintf(s.out, "%*s%s%s\n", storyMargin, "", indent, s.paint(look, line))
	}
}

// row writes a line of a table as it is.
func (s *story) row(format string, args ...any) {
	line := fmt.Sprintf("%*s%s", storyMargin, "", fmt.Sprintf(format, args...))
	fmt.Fprintln(s.out, strings.TrimRight(line, " "))
}

// wrap breaks text into lines of at most width letters, at spaces; a word that
// is longer than a line has one of its own.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
