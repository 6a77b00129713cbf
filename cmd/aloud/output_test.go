//go:build cgo && linux

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// toFull runs the binary with an output that takes nothing.
func toFull(t *testing.T, args ...string) (stderr string, status int) {
	t.Helper()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("needs /dev/full: ", err)
	}
	defer full.Close()
	cmd := exec.Command("aloud", args...)
	var errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = full, &errs
	_ = cmd.Run() // the status says it
	return errs.String(), cmd.ProcessState.ExitCode()
}

// What can't be written is an error of one line, never silence.
func TestFullOutput(t *testing.T) {
	_, url := startOperator(t, true)
	dir := filepath.Join(t.TempDir(), "home")
	script := []string{"enrol", "--server", url, "--home", dir, "--grant", "listen,share_signals", "--adult", "--yes-i-read-the-notice", noticePrefix(t, url)}
	for _, args := range [][]string{
		{"enrol", "--server", url, "--print-notice"},
		{"enrol", "--server", url, "--print-notice", "--json"},
		script,
		append(script, "--renew", "--json"),
		{"withdraw", "share_signals", "--home", dir},
		{"erase", "--home", dir},
	} {
		if errs, status := toFull(t, args...); status != 1 || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "can't write the output") {
			t.Errorf("%v: %d %q", args, status, errs)
		}
	}
}

// Listening stops when what is heard can't be written, and keeps what waits.
func TestListenToFullOutput(t *testing.T) {
	needModels(t)
	_, url := startOperator(t, true)
	dir := filepath.Join(t.TempDir(), "home")
	if _, errs, status := enrolByScript(t, url, dir); status != 0 {
		t.Fatal(errs)
	}
	id := addSignal(t, dir)
	for _, args := range [][]string{{"--json"}, {}} {
		args = append([]string{"listen", "--model", "tiny", "--home", dir, "--pace", spokenClip}, args...)
		if errs, status := toFull(t, args...); status != 1 || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, "can't write the output") {
			t.Errorf("%v: %d %q", args, status, errs)
		}
	}
	if out, _, _ := aloudRun(t, "outbox", "--home", dir); !strings.Contains(out, string(id)) {
		t.Errorf("what waited is gone: %s", out)
	}
}

// Who interrupts a recording is told how far it came, and no error.
func TestListenInterrupted(t *testing.T) {
	needModels(t)
	cmd := exec.Command("aloud", "listen", "--model", "tiny", "--home", t.TempDir(), "--pace", "--json", spokenClip)
	var out, errs bytes.Buffer
	ready := make(chan struct{})
	cmd.Stdout, cmd.Stderr = &notify{to: &out, text: `"ready"`, seen: ready}, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ready:
	case <-time.After(time.Minute):
		t.Error("not ready")
	}
	_ = cmd.Process.Signal(syscall.SIGINT)
	_ = cmd.Wait() // the status says it
	if cmd.ProcessState.ExitCode() != interrupted || errs.Len() != 0 || len(ofType(lines(t, out.String()), "summary")) != 1 {
		t.Errorf("%d %q\n%s", cmd.ProcessState.ExitCode(), errs.String(), out.String())
	}
}

// notify closes seen once a text was written.
type notify struct {
	to   *bytes.Buffer
	text string
	seen chan struct{}
}

func (n *notify) Write(b []byte) (int, error) {
	before := strings.Contains(n.to.String(), n.text)
	count, err := n.to.Write(b)
	if !before && strings.Contains(n.to.String(), n.text) {
		close(n.seen)
	}
	return count, err
}

func TestVersion(t *testing.T) {
	out, errs, status := aloudRun(t, "--version")
	if status != 0 || !strings.HasPrefix(out, "aloud ") || !strings.Contains(out, "go1.") || strings.Count(out, "\n") != 1 {
		t.Errorf("%d %q %s", status, out, errs)
	}
}

func TestCompletion(t *testing.T) {
	for want, args := range map[string][]string{
		"base\ntiny\n:4\n": {"listen", "--model", ""},
		"listen\nmatch_behaviour\npersonalise_ads\nmeasure\n:4\n": {"withdraw", "share_signals", ""},
	} {
		if out, _, status := aloudRun(t, append([]string{"__complete"}, args...)...); status != 0 || out != want {
			t.Errorf("%v: %d %q, want %q", args, status, out, want)
		}
	}
}
