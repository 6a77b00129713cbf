package intent

import (
	"bufio"
	"io"
	"strings"

	"aloud.example/aloud"
	"aloud.example/aloud/category"
)

// kinds are what a turn may be sensitive about.
var kinds = []string{
	"health", "pregnancy", "sexuality", "religion", "politics", "union",
	"immigration", "debt", "crime", "addiction", "violence", "child",
}

// Block is one exchange: a few turns that belong together.
type Block struct {
	Line  int // in the file, from 1
	Turns []Turn
}

// Turn is what one speaker says, and what becomes clear by it.
type Turn struct {
	Speaker   string // A to D
	Text      string
	Intents   []Intent
	Sensitive string // one of the twelve kinds, or ""
}

// Intent is a tag: a category and a stage.
type Intent struct {
	Category aloud.Category
	Stage    aloud.Stage
}

// maxLine bounds a line, in bytes.
const maxLine = 4 << 10

// ReadBlocks reads blocks: lines "A: text [category stage] [!kind]", parted by
// empty lines. It is EINVALID, with the line, where one is malformed, names a
// category, stage or kind that there is not, or is sensitive and has an intent.
func ReadBlocks(r io.Reader) ([]Block, error) {
	var blocks []Block
	open := false
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			open = false
			continue
		}
		turn, err := parseTurn(line)
		if err != nil {
			return nil, aloud.Errorf(aloud.EINVALID, "line %d: %w", n, err)
		}
		if !open {
			blocks, open = append(blocks, Block{Line: n}), true
		}
		last := &blocks[len(blocks)-1]
		last.Turns = append(last.Turns, turn)
	}
	if err := lines.Err(); err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "%w (a line may have %d bytes)", err, maxLine)
	}
	return blocks, nil
}

func parseTurn(line string) (Turn, error) {
	speaker, text, ok := strings.Cut(line, ": ")
	if !ok || len(speaker) != 1 || speaker < "A" || speaker > "D" {
		return Turn{}, aloud.Errorf(aloud.EINVALID, "a turn begins with a speaker, as in %q", "A: what is said")
	}
	t := Turn{Speaker: speaker}
	for strings.HasSuffix(text, "]") {
		at := strings.LastIndex(text, "[")
		if at < 0 {
			break
		}
		if err := t.tag(text[at+1 : len(text)-1]); err != nil {
			return Turn{}, err
		}
		text = strings.TrimSpace(text[:at])
	}
	t.Text = text
	switch {
	case text == "" || strings.ContainsAny(text, "[]"):
		return Turn{}, aloud.Errorf(aloud.EINVALID, "tags stand at the end of a turn, after what is said")
	case t.Sensitive != "" && len(t.Intents) > 0:
		return Turn{}, aloud.Errorf(aloud.EINVALID, "a sensitive turn has no intent")
	}
	return t, nil
}

func (t *Turn) tag(tag string) error {
	if kind, ok := strings.CutPrefix(tag, "!"); ok {
		for _, k := range kinds {
			if k == kind {
				t.Sensitive = kind
				return nil
			}
		}
		return aloud.Errorf(aloud.EINVALID, "there is no kind of sensitive talk %q", kind)
	}
	slug, stage, _ := strings.Cut(tag, " ")
	in := Intent{aloud.Category(slug), aloud.Stage(stage)}
	if _, ok := category.BySlug(in.Category); !ok || !in.Stage.Valid() {
		return aloud.Errorf(aloud.EINVALID, "[%s] is no category and stage", tag)
	}
	t.Intents = append([]Intent{in}, t.Intents...)
	return nil
}
