//go:build cgo

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"aloud.example/aloud/audience"
	"aloud.example/aloud/signal"
)

const demoClips = "../../testdata/demo"

func TestWrapKeepsWordsAndWidth(t *testing.T) {
	text := "a bb ccc dddd " + strings.Repeat("x", 30) + " é é é"
	lines := wrap(text, 10)
	if got := strings.Join(lines, " "); got != text {
		t.Errorf("wrapped and joined again: %q, want %q", got, text)
	}
	for _, l := range lines {
		if utf8.RuneCountInString(l) > 10 && strings.Contains(l, " ") {
			t.Errorf("%q is longer than 10 letters", l)
		}
	}
	if wrap("  ", 10) != nil {
		t.Error("nothing has no lines")
	}
}

// TestDemoClips checks what the demo stands on: 60 people by five voices or
// more, enough of them who speak of a purchase, and each clip there.
func TestDemoClips(t *testing.T) {
	clips, err := readDemoClips(demoClips)
	if err != nil {
		t.Fatal(err)
	}
	people, buyers, voices := map[int]bool{}, map[int]bool{}, map[string]bool{}
	for _, c := range clips {
		people[c.Participant], voices[c.Voice] = true, true
		if c.buys() {
			buyers[c.Participant] = true
		}
		if info, err := os.Stat(c.Audio); err != nil || info.Size() < 4000 {
			t.Errorf("%s is missing or too small: %v", c.Audio, err)
		}
		if c.Expected != "none" && c.Expected != "suppressed" && !c.buys() {
			t.Errorf("%s expects %q", c.Audio, c.Expected)
		}
	}
	if len(people) != 60 || len(buyers) < audience.Minimum+5 || len(voices) < 5 {
		t.Errorf("%d people, %d buyers, %d voices", len(people), len(buyers), len(voices))
	}
}

func TestDemoClipsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":        "",
		"not JSON":       "clip",
		"no audio":       `{"participant":1}`,
		"no participant": `{"audio":"a.ogg"}`,
		"another folder": `{"audio":"../a.ogg","participant":1}`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "clips.jsonl"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readDemoClips(dir); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := readDemoClips(t.TempDir()); err == nil || !strings.Contains(err.Error(), "--clips") {
		t.Errorf("a folder without clips: %v", err)
	}
}

// TestCast puts people where the story says: the territory holds the whole cell
// of all but a few.
func TestCast(t *testing.T) {
	clips, err := readDemoClips(demoClips)
	if err != nil {
		t.Fatal(err)
	}
	circle, err := audience.NewTerritory(centreLat, centreLon, territoryMiles)
	if err != nil {
		t.Fatal(err)
	}
	away := 0
	for _, p := range cast(t.TempDir(), clips) {
		cell, err := signal.CellAt(p.lat, p.lon)
		if err != nil {
			t.Fatal(err)
		}
		if circle.Contains(cell) == p.away {
			t.Errorf("%s: away is %v, inside the territory is %v", p, p.away, circle.Contains(cell))
		}
		if p.away {
			away++
		}
	}
	if away == 0 || away > 4 {
		t.Errorf("%d people live away", away)
	}
}

// TestDemo runs the whole demo as a process and reads its report.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("the demo takes the better part of a minute")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "aloud", "demo", "--json", "--clips", demoClips)
	var bad bytes.Buffer
	cmd.Stderr = &bad
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("aloud demo: %v\n%s", err, bad.Bytes())
	}
	var report demoReport
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("the report is not JSON: %v\n%s", err, out)
	}
	names := []string{}
	for _, s := range report.Steps {
		names = append(names, s.Name)
		if !s.Holds {
			t.Errorf("%s: %s", s.Name, s.Problem)
		}
	}
	want := []string{"server", "consent", "listen", "audience", "auction", "proof", "withdrawal"}
	if !report.Holds || !report.Simulated || !slices.Equal(names, want) {
		t.Errorf("holds %v, simulated %v, steps %v; want %v", report.Holds, report.Simulated, names, want)
	}
}
