//go:build cgo

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"aloud.example/aloud"
)

// Limits on a file of conversations.
const (
	maxTalkLine  = 4 << 20
	maxTalks     = 1_000_000
	maxTalkTurns = 10_000
)

// talk is one conversation to judge the engine by, one line of a file.
type talk struct {
	ID        string        `json:"id"`
	Kind      string        `json:"kind"`
	Turns     []talkTurn    `json:"turns"`
	Intents   *[]talkIntent `json:"intents"` // nil where nobody wrote them down
	Sensitive []int         `json:"sensitive_turns"`
	Labels    []string      `json:"labels"` // the source's own
}

// talkTurn is what one person says before somebody else does.
type talkTurn struct {
	Speaker string   `json:"speaker"`
	Text    string   `json:"text"`
	Start   float64  `json:"start"`
	Labels  []string `json:"labels"`
}

// talkIntent is an intent: the one that was written down, or the one predicted.
type talkIntent struct {
	Turn     int            `json:"turn"`
	Speaker  string         `json:"speaker"`
	Category aloud.Category `json:"category"`
	Stage    aloud.Stage    `json:"stage"`
	Score    float64        `json:"score,omitempty"`
}

// check says what does not fit in a conversation.
func (t *talk) check() error {
	if len(t.Turns) == 0 || len(t.Turns) > maxTalkTurns {
		return aloud.Errorf(aloud.EINVALID, "it has %d turns; 1 to %d are taken", len(t.Turns), maxTalkTurns)
	}
	if t.Intents != nil {
		for _, in := range *t.Intents {
			if in.Turn < 0 || in.Turn >= len(t.Turns) {
				return aloud.Errorf(aloud.EINVALID, "an intent is at turn %d of %d", in.Turn, len(t.Turns))
			}
			if !in.Stage.Valid() {
				return aloud.Errorf(aloud.EINVALID, "an intent is at the stage %q, which is none of the five", in.Stage)
			}
		}
	}
	for _, n := range t.Sensitive {
		if n < 0 || n >= len(t.Turns) {
			return aloud.Errorf(aloud.EINVALID, "turn %d of %d is said to be sensitive", n, len(t.Turns))
		}
	}
	return nil
}

// words is how many words are said.
func (t *talk) words() int {
	n := 0
	for _, turn := range t.Turns {
		n += len(strings.Fields(turn.Text))
	}
	return n
}

// parseTalks reads one conversation a line.
func parseTalks(r io.Reader) ([]*talk, error) {
	var talks []*talk
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxTalkLine)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var t talk
		err := json.Unmarshal(line, &t)
		if err == nil {
			err = t.check()
		}
		if err == nil && len(talks) == maxTalks {
			err = errors.New("there are too many conversations; split the file")
		}
		if err != nil {
			return nil, aloud.Errorf(aloud.EINVALID, "line %d is no conversation, a JSON object with id and turns: %w", n, err)
		}
		talks = append(talks, &t)
	}
	if err := lines.Err(); err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "%w (a line may have 4 MB)", err)
	}
	if len(talks) == 0 {
		return nil, aloud.Errorf(aloud.EINVALID, "there is no conversation in it")
	}
	return talks, nil
}

// loadTalks reads a file of conversations.
func loadTalks(file string) ([]*talk, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, aloud.Errorf(aloud.EINVALID, "there is no file %s", file)
	} else if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "opening conversations: %w", bare(err))
	}
	defer f.Close()
	talks, err := parseTalks(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	return talks, nil
}
