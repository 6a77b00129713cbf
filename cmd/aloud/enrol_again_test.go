//go:build cgo && linux

package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"aloud.example/aloud/signal"
)

// inDays is a clock.
func inDays(n int) func() time.Time {
	return func() time.Time { return time.Now().AddDate(0, 0, n) }
}

var hashShown = regexp.MustCompile(`SHA-256 ([0-9A-Za-z_-]+)`)

// The hash that a person is shown is the one that a script must give.
func TestEnrolTakesTheHashItShows(t *testing.T) {
	_, url := startOperator(t, true)
	printed, _, _ := aloudRun(t, "enrol", "--server", url, "--print-notice")
	asked, _ := atTerminal(t, []string{"no"}, "enrol", "--server", url, "--home", t.TempDir())
	hashes := map[string]string{"--print-notice --json": noticePrefix(t, url)}
	for name, shown := range map[string]string{"--print-notice": printed, "a terminal": asked} {
		found := hashShown.FindAllStringSubmatch(shown, -1)
		if len(found) == 0 {
			t.Fatalf("%s shows no hash:\n%s", name, shown)
		}
		hashes[name] = found[len(found)-1][1]
	}
	for name, hash := range hashes {
		_, errs, status := aloudRun(t, "enrol", "--server", url, "--home", filepath.Join(t.TempDir(), "home"), "--grant", "listen", "--adult", "--yes-i-read-the-notice", hash)
		if status != 0 {
			t.Errorf("%s shows %s: %s", name, hash, errs)
		}
	}
}

// A renewal keeps the area, and drops it only when told to.
func TestEnrolRenewKeepsTheArea(t *testing.T) {
	_, url := startOperator(t, true)
	dir := filepath.Join(t.TempDir(), "home")
	area := func() signal.Cell {
		t.Helper()
		c, err := (home{dir: dir}).cell()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if _, errs, status := enrolByScript(t, url, dir, "--place", "33.749,-84.388"); status != 0 {
		t.Fatal(errs)
	}
	first := area()
	if out, errs, status := enrolByScript(t, url, dir, "--renew"); status != 0 || area() != first || !first.Valid() || !strings.Contains(out, "as before") {
		t.Errorf("%q became %q: %s%s", first, area(), out, errs)
	}
	if shown, err := atTerminal(t, []string{"yes", "yes", "yes", "", "", "", ""}, "enrol", "--home", dir, "--renew"); err != nil || area() != first || !strings.Contains(shown, "keep "+string(first)) {
		t.Errorf("a person: %q became %q, %v\n%s", first, area(), err, shown)
	}
	if _, errs, status := enrolByScript(t, url, dir, "--renew", "--place", "40.7,-74"); status != 0 || area() == first || !area().Valid() {
		t.Errorf("not changed: %q %s", area(), errs)
	}
	if out, errs, status := enrolByScript(t, url, dir, "--renew", "--place", "none"); status != 0 || area() != "" || !strings.Contains(out, "none any more") {
		t.Errorf("not dropped: %q %s%s", area(), out, errs)
	}
}

// Return alone at the first question does not end it unasked.
func TestEnrolAsksTheAgeOnceMore(t *testing.T) {
	_, url := startOperator(t, false)
	dir := filepath.Join(t.TempDir(), "home")
	shown, err := atTerminal(t, []string{"", "yes", "yes", "", "", "", ""}, "enrol", "--server", url, "--home", dir)
	if err != nil || strings.Count(shown, "Are you 18") != 2 || !strings.Contains(shown, "To go on type yes") {
		t.Errorf("%v\n%s", err, shown)
	}
}

// With the server away, listening ends soon and says so in one plain line.
func TestListenWithoutServer(t *testing.T) {
	needModels(t)
	for _, wait := range []string{"0s", "10s"} {
		op, url := startOperator(t, true)
		dir := filepath.Join(t.TempDir(), "home")
		if _, errs, status := enrolByScript(t, url, dir); status != 0 {
			t.Fatal(errs)
		}
		op.set(true)
		out, errs, status := aloudWith(t, nil, "listen", "--json", "--model", "tiny", "--home", dir, "--wait", wait, spokenClip)
		if status != 0 || errs != "" {
			t.Errorf("%s: %d %q", wait, status, errs)
		}
		if said := ofType(lines(t, out), "notice"); len(said) != 1 || !strings.Contains(said[0]["message"].(string), "can't be reached") {
			t.Errorf("%s: %v", wait, said)
		}
		if list, _, _ := aloudRun(t, "outbox", "--home", dir); !strings.Contains(list, "home.hvac") {
			t.Errorf("%s: the signal is gone: %s", wait, list)
		}
	}
}

// An answer that is no evidence is nothing to check; evidence with anything
// after its end is evidence that fails.
func TestVerifyTellsAnswersFromEvidence(t *testing.T) {
	evidence, err := os.ReadFile(goodEvidence)
	if err != nil {
		t.Fatal(err)
	}
	problem := httptest.NewRecorder()
	problem.WriteHeader(http.StatusNotFound)
	problem.WriteString(`{"title":"Not Found","status":404,"detail":"there is no bid \"b_1\""}`)
	for name, c := range map[string]struct {
		data   []byte
		status int
		says   string
	}{
		"an error body": {problem.Body.Bytes(), 2, "there is no bid"},
		"other JSON":    {[]byte(`{"version":1}`), 2, "not evidence"},
		"one byte more": {append(bytes.Clone(evidence), '\n'), 1, "byte for byte"},
		"another name":  {bytes.Replace(evidence, []byte(`{"evidence"`), []byte(`{"evidencf"`), 1), 1, "the proof fails"},
	} {
		status, _, errs := verifyRun(t, string(c.data), "-", "--trust", goodTrust)
		if status != c.status || !strings.Contains(errs, c.says) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: status %d, %q", name, status, errs)
		}
	}
}
