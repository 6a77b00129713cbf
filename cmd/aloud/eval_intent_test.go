//go:build cgo

package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/category"
)

func evalIntent(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), append([]string{"eval", "intent"}, args...), &env{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, now: time.Now})
	return status, out.String(), errs.String()
}

func talkFile(t *testing.T, lines ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "talk.jsonl")
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const (
	furnaceTalk = `{"id":"a","kind":"in-market","turns":[{"speaker":"A","text":"The furnace died last night and we need a new one."},{"speaker":"B","text":"Oh no."}],
"intents":[{"turn":0,"speaker":"A","category":"home.hvac","stage":"need"}],"sensitive_turns":[]}`
	sickTalk = `{"id":"b","kind":"sensitive","turns":[{"speaker":"A","text":"They found a tumor."},{"speaker":"B","text":"I need a new mattress since the chemotherapy."}],"intents":[],"sensitive_turns":[0,1]}`
	labelled = `{"id":"c","turns":[{"speaker":"user","text":"I need to rent a car in Boston on Friday."}],"labels":["intent:car_rental"]}`
	unknown  = `{"id":"d","turns":[{"speaker":"user","text":"I need to rent a car in Boston on Friday."}],"labels":["intent:somebody_elses"]}`
	small    = `{"id":"e","turns":[{"speaker":"x","text":"It rained all day."},{"speaker":"y","text":"I need a new bicycle, mine was run over."}],"labels":["none"]}`
)

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", "") }

func TestEvalIntentCounts(t *testing.T) {
	predictions := filepath.Join(t.TempDir(), "found.jsonl")
	status, out, errs := evalIntent(t, "--data", talkFile(t, oneLine(furnaceTalk), sickTalk, labelled, unknown, small), "--predictions", predictions, "--json")
	var r struct {
		Written, Corpora score
		Plain            score `json:"small_talk"`
		Bars             []bar
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("exit %d: %v, %s", status, err, errs)
	}
	if w := r.Written; w.Right != 1 || w.Wrong != 0 || w.Missed != 0 || w.Leaks != 0 || w.StageRight != 1 || w.Suppressed != 2 || w.Blocked != 0 || w.BlockedOf != 2 {
		t.Errorf("written: %+v", w)
	}
	if c := r.Corpora; c.Talks != 2 || c.Right != 1 || c.Wrong != 0 || c.Unjudged != 1 {
		t.Errorf("corpora: %+v", c)
	}
	if p := r.Plain; p.Wrong != 1 || p.FalseHour < 1 {
		t.Errorf("small talk: %+v", p)
	}
	if status != 1 {
		t.Errorf("a bar is missed (false intents an hour), and the status is %d", status)
	}
	ids := map[string]bool{}
	for _, b := range r.Bars {
		ids[b.ID] = true
	}
	for _, id := range []string{"precision", "recall", "macro_f1", "stage", "leaks", "overblocked", "false_per_hour", "ms"} {
		if !ids["intent."+id] {
			t.Errorf("there is no intent.%s", id)
		}
	}
	text, err := os.ReadFile(predictions)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	var first predicted
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil || len(lines) != 5 || first.ID != "a" || len(first.Intents) != 1 ||
		first.Intents[0].Category != "home.hvac" || first.Intents[0].Speaker != "A" || first.Intents[0].Score <= 0 {
		t.Errorf("%d lines, the first %+v, %v", len(lines), first, err)
	}
	if lines[1] != `{"id":"b","intents":[]}` {
		t.Errorf("what is sensitive gives %s", lines[1])
	}
	if status, out, _ := evalIntent(t, "--data", talkFile(t, oneLine(furnaceTalk))); status != 0 || !strings.Contains(out, "intent.precision") || strings.Contains(out, "false_per_hour") {
		t.Errorf("exit %d:\n%s", status, out)
	}
}

func TestEvalIntentRefusesBadFiles(t *testing.T) {
	for name, c := range map[string]struct{ line, says string }{
		"no JSON":             {"hello", "line 1"},
		"no turns":            {`{"id":"a"}`, "0 turns"},
		"an intent nowhere":   {`{"id":"a","turns":[{"speaker":"A","text":"x"}],"intents":[{"turn":1,"speaker":"A","category":"home.hvac","stage":"need"}]}`, "turn 1 of 1"},
		"a sensitive nowhere": {`{"id":"a","turns":[{"speaker":"A","text":"x"}],"sensitive_turns":[-1]}`, "turn -1"},
		"no such stage":       {`{"id":"a","turns":[{"speaker":"A","text":"x"}],"intents":[{"turn":0,"stage":"want"}]}`, "want"},
		"nothing at all":      {"", "no conversation"},
		"a line without end":  {`{"id":"` + strings.Repeat("a", maxTalkLine) + `"}`, "4 MB"},
	} {
		status, out, errs := evalIntent(t, "--data", talkFile(t, c.line))
		if status != 2 || out != "" || !strings.Contains(errs, c.says) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit %d, %q", name, status, errs)
		}
	}
	if status, _, errs := evalIntent(t, "--data", filepath.Join(t.TempDir(), "none")); status != 2 || !strings.Contains(errs, "no file") {
		t.Errorf("no file: exit %d, %q", status, errs)
	}
	if status, _, errs := evalIntent(t); status != 2 || !strings.Contains(errs, "data") {
		t.Errorf("no flag: exit %d, %q", status, errs)
	}
}

func TestEachLabelMeansACategory(t *testing.T) {
	known := readLabels(labelTable)
	if len(known) < 300 {
		t.Fatalf("%d labels", len(known))
	}
	for label, categories := range known {
		for _, c := range categories {
			if _, ok := category.BySlug(c); !ok && c != "?" {
				t.Errorf("%s means %q, which is no category", label, c)
			}
		}
	}
}

func TestCalibrationError(t *testing.T) {
	var s score
	for i := range 10 {
		s.bins[binOf(0.8)].add(0.8, i < 8)
	}
	if got := s.calibrationError(); math.Abs(got) > 1e-9 {
		t.Errorf("eight of ten at 0.8 are off by %f", got)
	}
	s.bins[binOf(1)].add(1, false)
	if got := s.calibrationError(); math.Abs(got-1.0/11) > 1e-9 {
		t.Errorf("one more at 1 that is wrong: %f", got)
	}
}

// A pair may be found at several stages; it counts in market if any of them is.
func TestPairsCountOnce(t *testing.T) {
	talk := &talk{ID: "x", Turns: make([]talkTurn, 3), Intents: &[]talkIntent{
		{Turn: 0, Speaker: "A", Category: "home.hvac", Stage: aloud.StageNeed}, {Turn: 2, Speaker: "A", Category: "auto.new", Stage: aloud.StageBought},
	}}
	got := heardTalk{suppressed: make([]bool, 3), intents: []talkIntent{
		{0, "A", "home.hvac", aloud.StageBought, 0.9},
		{1, "A", "home.hvac", aloud.StageNeed, 0.9},
		{1, "B", "home.hvac", aloud.StageNeed, 0.9},
		{2, "A", "auto.new", aloud.StageNeed, 0.9},
	}}
	var s score
	s.add(talk, labels{}.truthOf(talk), got)
	if s.Right != 1 || s.Wrong != 2 || s.Missed != 0 || s.StageRight != 1 || s.StageOf != 2 {
		t.Errorf("%+v", s)
	}
}

func FuzzTalks(f *testing.F) {
	if found, err := os.ReadDir(filepath.Join("testdata", "fuzz", "FuzzTalks")); err != nil || len(found) == 0 {
		f.Fatal("testdata/fuzz/FuzzTalks holds no seeds")
	}
	known := readLabels(labelTable)
	f.Fuzz(func(t *testing.T, text []byte) {
		talks, err := parseTalks(bytes.NewReader(text))
		if err != nil {
			if aloud.ErrorCode(err) != aloud.EINVALID {
				t.Errorf("%v", err)
			}
			return
		}
		var s score
		for _, c := range talks {
			s.add(c, known.truthOf(c), heardTalk{suppressed: make([]bool, len(c.Turns))})
		}
		s.rates()
	})
}
