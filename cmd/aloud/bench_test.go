//go:build cgo && linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aloud.example/aloud/listen"
)

func TestSpeechEnd(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	sound := make([]float32, 4*listen.Rate)
	for i := range sound {
		sound[i] = float32(0.0005 * r.NormFloat64())
		if s := float64(i) / listen.Rate; s > 0.5 && s < 1.5 || s > 2.5 && s < 3 {
			sound[i] += float32(0.3 * math.Sin(float64(i)/5))
		}
	}
	for _, test := range []struct{ from, to, want float64 }{{0, 4, 3}, {0, 2.2, 1.5}, {2, 3.6, 3}, {-1, 99, 3}} {
		got := float64(speechEnd(sound, int(test.from*listen.Rate), int(test.to*listen.Rate))) / listen.Rate
		if math.Abs(got-test.want) > 0.02 {
			t.Errorf("from %g to %g: %.3f, want %.3f", test.from, test.to, got, test.want)
		}
	}
	if got := speechEnd(nil, 0, 100); got != 0 {
		t.Error(got)
	}
}

func TestSpread(t *testing.T) {
	var times []float64
	for i := range 100 {
		times = append(times, float64(100-i))
	}
	if s := spreadOf(times); s != (spread{N: 100, P50: 50, P95: 95, Max: 100}) {
		t.Errorf("%+v", s)
	}
	if s := spreadOf([]float64{2}); s != (spread{N: 1, P50: 2, P95: 2, Max: 2}) {
		t.Errorf("%+v", s)
	}
	if s := spreadOf(nil); s.N != 0 {
		t.Errorf("%+v", s)
	}
}

// A latency is counted from the speech that made the intent, not from the end of
// the clip.
func TestJudge(t *testing.T) {
	clip := &clip{samples: make([]float32, 3*listen.Rate)}
	for i := range listen.Rate { // speech in the first second
		clip.samples[i] = float32(0.3 * math.Sin(float64(i)/5))
	}
	start := time.Unix(1000, 0)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	lead := float64(leadIn) / listen.Rate
	events := []childEvent{
		{Type: "utterance", Start: lead, End: lead + 1.4, at: at(lead + 1.9)},
		{Type: "intent", Start: lead, End: lead + 1.4, Stage: "bought", at: at(lead + 1.9)},
		{Type: "intent", Start: lead, End: lead + 1.4, Stage: "need", at: at(lead + 1.9)},
		{Type: "signal", State: "waiting", at: at(lead + 1.95)},
	}
	one := (&e2eBench{}).judge(clip, events, start, at(lead+2))
	if !one.intent || math.Abs(one.text-0.9) > 0.02 || math.Abs(one.signal-0.95) > 0.02 || math.Abs(one.bid-1) > 0.02 {
		t.Errorf("%+v", one)
	}
	if one := (&e2eBench{}).judge(clip, events[:2], start, time.Time{}); one.intent || one.bid != 0 {
		t.Errorf("an intent that is not in market counts: %+v", one)
	}
}

// The report's figures decide the status, and its JSON has the agreed members.
func TestE2EReport(t *testing.T) {
	r := e2eReport{Lost: []string{}}
	r.Bars = []bar{atMost("e2e.p95_s", 1.1, maxToBid, "s"), atMost("e2e.rss_mb", 500, maxRSS, "MB")}
	var out bytes.Buffer
	var exit *exitError
	if err := report(&out, e2eOptions{json: true}, r); !errors.As(err, &exit) || exit.status != 1 {
		t.Errorf("a bar is missed, but %v", err)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for _, member := range []string{"machine", "client", "dataset", "rss_mb", "bars", "hang_over_s"} {
		if _, ok := got[member]; !ok {
			t.Errorf("no %q in %s", member, out.String())
		}
	}
	out.Reset()
	if err := report(&out, e2eOptions{}, e2eReport{measured: measured{Bars: r.Bars[:1]}}); err != nil || !strings.Contains(out.String(), "e2e.p95_s") {
		t.Errorf("%v %s", err, out.String())
	}
}

func TestBenchE2EBadInput(t *testing.T) {
	dir := t.TempDir()
	manifest := filepath.Join(dir, "m.jsonl")
	for name, test := range map[string]struct{ manifest, says string }{
		"no manifest":  {"", "read the manifest"},
		"empty":        {"\n", "lists no clips"},
		"not JSON":     {"hello\n", "line 1"},
		"no such clip": {`{"audio":"none.wav"}` + "\n", "there is no file"},
	} {
		if test.manifest != "" {
			if err := os.WriteFile(manifest, []byte(test.manifest), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		file := manifest
		if test.manifest == "" {
			file = filepath.Join(dir, "none.jsonl")
		}
		_, errs, status := aloudRun(t, "bench", "e2e", "--manifest", file)
		if status != 2 || !strings.Contains(errs, test.says) {
			t.Errorf("%s: %d %s", name, status, errs)
		}
	}
	for _, args := range [][]string{{"--clips", "-1"}, {"--soak", "3s"}, {"--soak", "-1h"}, {"--fast"}, {"extra"}} {
		if _, errs, status := aloudRun(t, append([]string{"bench", "e2e"}, args...)...); status != 2 || strings.Count(errs, "\n") != 1 {
			t.Errorf("%v: %d %s", args, status, errs)
		}
	}
}
