package main

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"aloud.example/aloud/consent"
)

// runAloud runs the binary as a child to its end and returns its exit status
// and what it wrote but log lines.
func runAloud(t testing.TB, args ...string) (status int, out string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "aloud", args...)
	b, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, "time=") {
			lines = append(lines, line)
		}
	}
	return cmd.ProcessState.ExitCode(), strings.Join(lines, "")
}

// child is a server in a process of its own, which a test can kill.
type child struct {
	cmd *exec.Cmd
	url string
}

// startChild starts `aloud serve --simulate` and waits until it listens.
func startChild(t testing.TB, dir string, args ...string) *child {
	t.Helper()
	c := &child{cmd: exec.Command("aloud", append([]string{
		"serve", "--simulate", "--wait", "0s", "--data", dir, "--listen", "127.0.0.1:0", "--log-level", "error",
		"--controller-name", "Test Ltd", "--controller-contact", "privacy@test.example",
	}, args...)...)}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var failure strings.Builder
	c.cmd.Stderr = &failure
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if url, ok := strings.CutPrefix(lines.Text(), "Aloud listens on "); ok {
			c.url = url
			go func() { // the pipe must not fill
				for lines.Scan() {
				}
			}()
			return c
		}
	}
	t.Fatalf("the server did not start: %s", failure.String())
	return nil
}

// TestServeEndsInOrder interrupts a server and finds what it took still there.
func TestServeEndsInOrder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	c := startChild(t, dir)
	waitReady(t, c.url)
	s := serviceAt(t, c.url, dir, time.Now)
	p := s.join(t)
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Wait(); err != nil {
		t.Fatalf("after an interrupt the server ended with: %v", err)
	}
	c = startChild(t, dir)
	waitReady(t, c.url)
	s = serviceAt(t, c.url, dir, time.Now)
	s.must(t, 200, "POST", "/v1/withdrawals", p.withdraws(t, consent.PurposeMeasure, time.Now()), nil)
}

// TestReadinessSeesTheDisk takes the data directory away from a server.
func TestReadinessSeesTheDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	c := startChild(t, dir)
	waitReady(t, c.url)
	s := serviceAt(t, c.url, dir, time.Now)
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "not ready without a disk", func() bool {
		status, _, body, err := s.call(t.Context(), http.MethodGet, "/readyz", nil)
		return err == nil && status == http.StatusServiceUnavailable && strings.Contains(string(body), "can't be written")
	})
	if err := os.Rename(dir+".away", dir); err != nil {
		t.Fatal(err)
	}
	waitReady(t, c.url)
}

// TestNamesWithoutControlCharacters gives names that a terminal would obey.
func TestNamesWithoutControlCharacters(t *testing.T) {
	n := startNode(t, t.TempDir())
	s := serviceAt(t, n.URL, n.Config.Data, time.Now)
	for _, name := range []string{"warm\x00", "warm\nagain", "\x1b[2Jwarm", "warm\u0085"} {
		s.refused(t, http.StatusBadRequest, http.MethodPost, "/v1/audiences",
			map[string]any{"name": name, "category": "home.hvac", "window_seconds": 3600}, "control characters")
		s.refused(t, http.StatusBadRequest, http.MethodPost, "/v1/advertisers",
			map[string]any{"name": name, "domain": "warm.example"}, "control characters")
	}
}
