//go:build cgo

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"aloud.example/aloud"
	"aloud.example/aloud/category"
	"aloud.example/aloud/intent"
)

// What detect takes at most. Each line is one utterance.
const (
	maxDetectLine  = 4 << 10
	maxDetectLines = 100_000
)

func newDetectCommand(e *env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "detect [FILE]",
		GroupID: "device",
		Short:   "Find purchase intent in a written conversation",
		Long: `Reads a conversation, one utterance a line, from a file or from standard input,
and prints the intents found in it. A line is "A: text" where the speaker is
known, or text alone. Nothing is stored and nothing is sent; what was sensitive
is only counted.`,
		Example: `  aloud detect conversation.txt
  echo "A: our furnace died and we need a new one" | aloud detect --json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			in := e.stdin
			if len(args) == 1 && args[0] != "-" {
				f, err := openConversation(args[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			return detect(in, e.stdout, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

func openConversation(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "can't read the conversation: %w", err)
	}
	if st, err := f.Stat(); err != nil || st.IsDir() {
		f.Close()
		return nil, aloud.Errorf(aloud.EINVALID, "%s is a folder; name a text file with one utterance a line", path)
	}
	return f, nil
}

// detected is one finding as detect prints it.
type detected struct {
	Type     string         `json:"type"`
	Turn     int            `json:"turn"`
	Speaker  string         `json:"speaker,omitempty"`
	Category aloud.Category `json:"category"`
	IAB      int            `json:"iab"`
	Stage    aloud.Stage    `json:"stage"`
	Score    float64        `json:"score"`
}

func detect(in io.Reader, out io.Writer, asJSON bool) error {
	engine, err := intent.New(intent.Config{})
	if err != nil {
		return err
	}
	report := detectReport{out: bufio.NewWriter(out), json: asJSON}
	session := engine.NewConversation(nil)
	lines := bufio.NewReaderSize(in, maxDetectLine+64)
	for n := 0; ; n++ {
		u, err := readUtterance(lines, n+1)
		if errors.Is(err, io.EOF) {
			return report.end(n)
		}
		if err == nil && n == maxDetectLines {
			err = aloud.Errorf(aloud.ETOOLARGE, "the conversation has more than %d lines; split it", maxDetectLines)
		}
		if err != nil {
			return err
		}
		found := session.Hear(u)
		report.takeBack(session.Retracted())
		if err := report.add(n, u.Speaker, found); err != nil {
			return err
		}
	}
}

// readUtterance reads one line; io.EOF says that there is none.
func readUtterance(r *bufio.Reader, n int) (aloud.Utterance, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) || len(bytes.TrimRight(line, "\r\n")) > maxDetectLine {
		return aloud.Utterance{}, aloud.Errorf(aloud.ETOOLARGE, "line %d is longer than %d bytes; put one utterance on a line", n, maxDetectLine)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return aloud.Utterance{}, aloud.Errorf(aloud.EINVALID, "can't read line %d: %w", n, err)
	}
	if len(line) == 0 {
		return aloud.Utterance{}, io.EOF
	}
	line = bytes.TrimRight(line, "\r\n")
	if n == 1 {
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	}
	if bytes.IndexByte(line, 0) >= 0 {
		return aloud.Utterance{}, aloud.Errorf(aloud.EINVALID, "line %d holds binary data; give a text file with one utterance a line", n)
	}
	if !utf8.Valid(line) {
		return aloud.Utterance{}, aloud.Errorf(aloud.EINVALID, "line %d is not UTF-8; convert the file to UTF-8 first", n)
	}
	speaker, text := splitSpeaker(string(line))
	return aloud.Utterance{Speaker: speaker, Text: text, Confidence: 1}, nil
}

// splitSpeaker parts "A: text". A name is one word of at most 16 letters, so
// that a colon later in the line is part of the text.
func splitSpeaker(line string) (speaker, text string) {
	name, rest, ok := strings.Cut(line, ":")
	if name = strings.TrimSpace(name); !ok || name == "" || len(name) > 16 || strings.ContainsAny(name, " \t") {
		return "", line
	}
	return name, strings.TrimSpace(rest)
}

// settled is how many utterances later a finding can't be taken back any more.
const settled = 8

// detectReport prints findings once they are settled, as lines of JSON, or all
// at the end, as a table.
type detectReport struct {
	out        *bufio.Writer
	json       bool
	rows       []detected // not printed yet
	suppressed int
}

func (r *detectReport) add(turn int, speaker string, f intent.Finding) error {
	r.suppressed += f.Suppressed
	for _, in := range f.Intents {
		c, _ := category.BySlug(in.Category)
		r.rows = append(r.rows, detected{
			Type: "intent", Turn: turn, Speaker: speaker,
			Category: in.Category, IAB: c.IAB, Stage: in.Stage, Score: round3(in.Score),
		})
	}
	if !r.json || len(r.rows) == 0 || turn-r.rows[0].Turn < settled {
		return nil
	}
	return r.print(func(d detected) bool { return turn-d.Turn >= settled })
}

// takeBack drops what turned out to have led up to sensitive talk.
func (r *detectReport) takeBack(intents []aloud.Intent) {
	for _, in := range intents {
		for i := len(r.rows) - 1; i >= 0; i-- {
			if r.rows[i].Category == in.Category && r.rows[i].Stage == in.Stage {
				r.rows = slices.Delete(r.rows, i, i+1)
				break
			}
		}
	}
}

// print writes the rows that are ripe, the oldest first.
func (r *detectReport) print(ripe func(detected) bool) error {
	for len(r.rows) > 0 && ripe(r.rows[0]) {
		r.line(r.rows[0])
		r.rows = r.rows[1:]
	}
	return r.flush()
}

func (r *detectReport) line(v any) {
	b, _ := json.Marshal(v) // of plain fields: never an error
	r.out.Write(append(b, '\n'))
}

func (r *detectReport) end(turns int) error {
	if r.json {
		if err := r.print(func(detected) bool { return true }); err != nil {
			return err
		}
		r.line(struct {
			Type  string `json:"type"`
			Count int    `json:"count"`
		}{"suppressed", r.suppressed})
		return r.flush()
	}
	if len(r.rows) > 0 {
		w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "TURN\tSPEAKER\tCATEGORY\tIAB\tSTAGE\tSCORE")
		for _, d := range r.rows {
			fmt.Fprintf(w, "%d\t%s\t%s\t%d\t%s\t%.2f\n", d.Turn, d.Speaker, d.Category, d.IAB, d.Stage, d.Score)
		}
		w.Flush()
	}
	fmt.Fprintf(r.out, "%d of %d utterances suppressed, %d intents\n", r.suppressed, turns, len(r.rows))
	return r.flush()
}

func (r *detectReport) flush() error {
	if err := r.out.Flush(); err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "can't write the findings: %w", err)
	}
	return nil
}

func round3(x float64) float64 { return float64(int(x*1000+0.5)) / 1000 }
