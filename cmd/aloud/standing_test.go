//go:build cgo && linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
)

// damage is something that happened to a device's folder.
type damage struct {
	name string
	do   func(t *testing.T, dir string)
}

func damages() []damage {
	put := func(name string, content []byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(t *testing.T, dir string, names ...string) {
		t.Helper()
		for _, name := range names {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return []damage{
		{"garbage outbox", put(outboxFile, bytes.Repeat([]byte{0xa5}, 4000))},
		{"receipt with an addition", func(t *testing.T, dir string) {
			t.Helper()
			data, err := os.ReadFile(filepath.Join(dir, receiptFile))
			if err != nil {
				t.Fatal(err)
			}
			put(receiptFile, append(data, "x\n"...))(t, dir)
		}},
		{"empty receipt", put(receiptFile, nil)},
		{"receipt of before its copy was kept, with an addition", func(t *testing.T, dir string) {
			t.Helper()
			data, err := os.ReadFile(filepath.Join(dir, receiptFile))
			if err != nil {
				t.Fatal(err)
			}
			put(receiptFile, append(data, "x\n"...))(t, dir)
			remove(t, dir, participantFile)
		}},
		{"no receipt", func(t *testing.T, dir string) { t.Helper(); remove(t, dir, receiptFile) }},
		{"no server", func(t *testing.T, dir string) { t.Helper(); remove(t, dir, serverFile) }},
		{"all of it", func(t *testing.T, dir string) {
			t.Helper()
			for _, name := range []string{outboxFile, receiptFile, serverFile} {
				put(name, []byte("x"))(t, dir)
			}
		}},
	}
}

// Who wants to leave can, whatever is damaged but the key.
func TestLeaveADamagedHome(t *testing.T) {
	for _, d := range damages() {
		t.Run(d.name, func(t *testing.T) {
			op, url := startOperator(t, true)
			dir := filepath.Join(t.TempDir(), "home")
			if _, errs, status := enrolByScript(t, url, dir); status != 0 {
				t.Fatal(errs)
			}
			d.do(t, dir)
			if out, errs, status := aloudRun(t, "withdraw", "share_signals", "--home", dir); status != 0 || !strings.Contains(out, "The server was told") {
				t.Errorf("withdraw: %d %s %s", status, out, errs)
			}
			if _, ended := op.knows(); fmt.Sprint(ended) != "[share_signals]" {
				t.Errorf("the server knows of %v", ended)
			}
			if out, errs, status := aloudRun(t, "erase", "--home", dir, "--json"); status != 0 || !strings.Contains(out, `"server_told":true`) {
				t.Errorf("erase: %d %s %s", status, out, errs)
			}
			if _, ended := op.knows(); fmt.Sprint(ended) != "[share_signals everything]" {
				t.Errorf("the server knows of %v", ended)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
				t.Errorf("%v is left, %v", left, err)
			}
		})
	}
}

// What was withdrawn past a damaged outbox stays withdrawn when that is moved
// away, as the doctor says to, and what runs then ends.
func TestWithdrawnPastTheOutbox(t *testing.T) {
	op, url := startOperator(t, true)
	dir := filepath.Join(t.TempDir(), "home")
	if _, errs, status := enrolByScript(t, url, dir); status != 0 {
		t.Fatal(errs)
	}
	h := home{dir: dir}
	g, err := h.grant(consent.PurposeListen, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := h.whileAllowed(t.Context(), &env{stderr: os.Stderr, now: time.Now}, g)
	defer stop()
	if _, errs, status := onFullDisk(t, "withdraw", "listen", "--home", dir); status != 0 || !strings.Contains(errs, "could not be queued") {
		t.Fatalf("%d %s", status, errs)
	}
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Second):
		t.Error("a session goes on")
	}
	if err := h.dropOutbox(); err != nil {
		t.Fatal(err)
	}
	if _, err := h.grant(consent.PurposeShareSignals, time.Now()); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
		t.Errorf("what rests on listening is still granted: %v", err)
	}
	if _, errs, status := enrolByScript(t, url, dir, "--renew"); status != 0 {
		t.Fatal(errs)
	}
	if _, err := h.grant(consent.PurposeListen, time.Now()); err != nil {
		t.Errorf("given again: %v", err)
	}
	op.set(true)
	if err := os.WriteFile(h.path(outboxFile), bytes.Repeat([]byte{1}, 4000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, status := aloudRun(t, "withdraw", "measure", "--home", dir); status != 1 || !strings.Contains(errs, "can't be queued") {
		t.Errorf("neither told nor queued: %d %s", status, errs)
	}
}

// onFullDisk runs the binary where no file can grow.
func onFullDisk(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	binary, err := exec.LookPath("aloud")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", slices.Concat([]string{"-c", `ulimit -f 0; exec "$@"`, "sh", binary}, args)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // the status says it
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// A full disk keeps nobody from erasing: the server is told directly, and where
// it can't be, the key stays to tell it.
func TestEraseOnAFullDisk(t *testing.T) {
	op, url := startOperator(t, true)
	dir := filepath.Join(t.TempDir(), "home")
	if _, errs, status := enrolByScript(t, url, dir); status != 0 {
		t.Fatal(errs)
	}
	addSignal(t, dir)
	op.set(true)
	if _, errs, status := onFullDisk(t, "erase", "--home", dir); status != 1 || !strings.Contains(errs, "the key stays to tell it") {
		t.Errorf("neither told nor queued: %d %s", status, errs)
	}
	h := home{dir: dir}
	if h.has(receiptFile) || h.has(placeFile) || !h.has(keyFile) || !h.has(participantFile) {
		t.Error("it must keep what tells the server, and nothing else")
	}
	if _, errs, status := aloudRun(t, "enrol", "--server", url, "--home", dir); status != 2 || !strings.Contains(errs, "aloud erase") {
		t.Errorf("enrolled past a participant who wants to be erased: %d %s", status, errs)
	}
	op.set(false)
	if out, errs, status := onFullDisk(t, "erase", "--home", dir); status != 0 || !strings.Contains(out, "The server was told") {
		t.Errorf("%d %s %s", status, out, errs)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	if _, ended := op.knows(); fmt.Sprint(ended) != "[everything]" {
		t.Errorf("told of %v", ended)
	}
}

// Without a connection, a new outbox takes the erasure that the damaged one
// could not.
func TestEraseOfflineWithADamagedOutbox(t *testing.T) {
	op, url := startOperator(t, true)
	dir := filepath.Join(t.TempDir(), "home")
	if _, errs, status := enrolByScript(t, url, dir); status != 0 {
		t.Fatal(errs)
	}
	if err := os.WriteFile(filepath.Join(dir, outboxFile), bytes.Repeat([]byte{1}, 4000), 0o600); err != nil {
		t.Fatal(err)
	}
	op.set(true)
	if out, errs, status := aloudRun(t, "erase", "--home", dir, "--json"); status != 0 || !strings.Contains(out, `"server_told":false`) {
		t.Errorf("%d %s %s", status, out, errs)
	}
	op.set(false)
	if out, errs, status := aloudRun(t, "erase", "--home", dir, "--json"); status != 0 || !strings.Contains(out, `"server_told":true`) {
		t.Errorf("%d %s %s", status, out, errs)
	}
	if _, ended := op.knows(); fmt.Sprint(ended) != "[everything]" {
		t.Errorf("told of %v", ended)
	}
}

// Without the key nothing can be signed, and nobody is told that it was.
func TestEraseWithoutTheKey(t *testing.T) {
	_, url := startOperator(t, true)
	dir := filepath.Join(t.TempDir(), "home")
	if _, errs, status := enrolByScript(t, url, dir); status != 0 {
		t.Fatal(errs)
	}
	if err := os.Remove(filepath.Join(dir, keyFile)); err != nil {
		t.Fatal(err)
	}
	if _, errs, status := aloudRun(t, "erase", "--home", dir); status == 0 || !strings.Contains(errs, "the server was not told") || !strings.Contains(errs, "p_") {
		t.Errorf("%d %s", status, errs)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}
