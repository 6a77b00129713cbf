//go:build cgo

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// detectRun runs `aloud detect` on text from standard input.
func detectRun(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), append([]string{"detect"}, args...), &env{stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs, now: time.Now})
	return status, out.String(), errs.String()
}

func TestDetectJSON(t *testing.T) {
	talk := "A: the furnace quit on us last night, no heat at all\n" +
		"B: that stinks\n" +
		"A: the oncologist called, the chemo starts monday\n" +
		"we are getting three quotes for a new roof next week by the way\n"
	status, out, errs := detectRun(t, talk, "--json")
	if status != 0 || errs != "" {
		t.Fatalf("exit %d, %s", status, errs)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var first, last map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	if first["type"] != "intent" || first["category"] != "home.hvac" || first["iab"] != 1439.0 || first["stage"] != "need" || first["turn"] != 0.0 {
		t.Errorf("first line %s", lines[0])
	}
	if last["type"] != "suppressed" || last["count"].(float64) < 1 {
		t.Errorf("last line %s", lines[len(lines)-1])
	}
	if strings.Contains(out, "chemo") || strings.Contains(out, "oncologist") {
		t.Error("findings hold what was said")
	}
}

func TestDetectTable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "talk.txt")
	if err := os.WriteFile(file, []byte("\xef\xbb\xbfA: We need a new mattress, ours sags in the middle.\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, errs := detectRun(t, "", file)
	if status != 0 || !strings.Contains(out, "furniture.bed") || !strings.Contains(out, "0 of 1 utterances suppressed") {
		t.Fatalf("exit %d\n%s%s", status, out, errs)
	}
}

func TestDetectBadInput(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name, stdin, want string
		args              []string
	}{
		{"invalid UTF-8", "A: fine\nA: caf\xe9 with no encoding\n", "line 2 is not UTF-8", nil},
		{"binary", "RIFF\x00\x00WAVE\n", "line 1 holds binary data", nil},
		{"a long line", strings.Repeat("word ", 1000) + "\n", "line 1 is longer than 4096 bytes", nil},
		{"no end of line for ever", strings.Repeat("x", 1<<20), "line 1 is longer", nil},
		{"too many lines", strings.Repeat("a\n", maxDetectLines+1), "more than 100000 lines", nil},
		{"no such file", "", "can't read the conversation", []string{filepath.Join(dir, "none.txt")}},
		{"a folder", "", "is a folder", []string{dir}},
		{"two files", "", "accepts at most 1 arg", []string{"a", "b"}},
		{"an unknown flag", "", "unknown flag", []string{"--transcript"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, _, errs := detectRun(t, c.stdin, c.args...)
			if status != 2 || !strings.Contains(errs, c.want) || strings.Count(strings.TrimSpace(errs), "\n") != 0 {
				t.Errorf("exit %d, %q; want exit 2 and one line with %q", status, errs, c.want)
			}
		})
	}
	t.Run("empty input is an empty conversation", func(t *testing.T) {
		if status, out, _ := detectRun(t, ""); status != 0 || !strings.Contains(out, "0 of 0 utterances") {
			t.Errorf("exit %d, %s", status, out)
		}
	})
	t.Run("lines without a colon, and colons without a name", func(t *testing.T) {
		if status, _, errs := detectRun(t, "no colon here\n: nothing before\nhe said that: no\n::::\n\n", "--json"); status != 0 {
			t.Errorf("exit %d, %s", status, errs)
		}
	})
}

// A need that led up to sensitive talk is not printed, though it came first.
func TestDetectTakesBack(t *testing.T) {
	talk := "A: we need a new mattress\nA: the tumor in my back is growing\n"
	for _, args := range [][]string{nil, {"--json"}} {
		if status, out, _ := detectRun(t, talk, args...); status != 0 || strings.Contains(out, "furniture.bed") {
			t.Errorf("detect %v: status %d, %s", args, status, out)
		}
	}
}
