//go:build cgo && linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is wrong with a device, and how to mend it by commands that work.
func TestDoctorDevice(t *testing.T) {
	op, url := startOperator(t, true)
	dir := filepath.Join(t.TempDir(), "home")
	if _, errs, status := enrolByScript(t, url, dir); status != 0 {
		t.Fatal(errs)
	}
	for _, c := range []struct {
		name, check, says string
		harm              func() (mend func())
	}{
		{"open key", "key", "chmod 600", func() func() { return chmod(t, filepath.Join(dir, keyFile), 0o644) }},
		{"damaged key", "key", "aloud erase", func() func() { return replace(t, filepath.Join(dir, keyFile), []byte("x")) }},
		{"damaged receipt", "receipt", "without one run: aloud erase, and then enrol anew", func() func() { return replace(t, filepath.Join(dir, receiptFile), []byte("{}")) }},
		{"no receipt", "receipt", "run: aloud erase, and then enrol anew", func() func() { return replace(t, filepath.Join(dir, receiptFile), nil) }},
		{"no server", "server", "run: aloud erase", func() func() { return replace(t, filepath.Join(dir, serverFile), nil) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer c.harm()()
			exit, status, detail := examine(t, "--home", dir)
			if exit != 1 || status[c.check] != failure || !strings.Contains(detail[c.check], c.says) {
				t.Errorf("exit status %d, %s is %q: %s", exit, c.check, status[c.check], detail[c.check])
			}
		})
	}
	if _, status, detail := examine(t, "--home", dir); status["key"] != good || status["receipt"] != good || status["consent"] != good {
		t.Errorf("a sound device: %v", detail)
	}
	op.set(true)
	if _, errs, status := aloudRun(t, "withdraw", "measure", "--home", dir); status != 0 {
		t.Fatal(errs)
	}
	if exit, status, detail := examine(t, "--home", dir); exit != 1 || status["outbox"] != failure || !strings.Contains(detail["outbox"], "withdrawal") || !strings.Contains(detail["outbox"], "outbox send") {
		t.Errorf("an untold withdrawal: %d %v", exit, detail)
	}
	if _, errs, status := aloudRun(t, "erase", "--home", dir); status != 0 {
		t.Fatal(errs)
	}
	if exit, status, detail := examine(t, "--home", dir); exit != 1 || status["outbox"] != failure || !strings.Contains(detail["outbox"], "erasure") || !strings.Contains(detail["outbox"], "aloud erase") {
		t.Errorf("an untold erasure: %d %v", exit, detail)
	}
	op.set(false)
	if _, errs, status := aloudRun(t, "erase", "--home", dir); status != 0 {
		t.Fatal(errs)
	}
	if _, status, _ := examine(t, "--home", dir); status["consent"] != skipped || status["outbox"] != "" {
		t.Errorf("after the erasure was told: %v", status)
	}
	if _, err := os.Stat(filepath.Join(dir, outboxFile)); err == nil {
		t.Error("the outbox is still there")
	}
}

// A purpose that ended by itself is a failure whose mend works.
func TestDoctorExpired(t *testing.T) {
	_, url := startOperator(t, true)
	dir := filepath.Join(t.TempDir(), "home")
	if _, errs, status := enrolByScript(t, url, dir, "--days", "1"); status != 0 {
		t.Fatal(errs)
	}
	for days, want := range map[int]string{0: warning, 2: failure} {
		x := &examination{env: &env{stderr: os.Stderr, now: inDays(days)}}
		x.consents(home{dir: dir})
		if last := x.findings[len(x.findings)-1]; last.Check != "consent" || last.Status != want || !strings.Contains(last.Mend, "--renew") {
			t.Errorf("after %d days: %+v", days, last)
		}
	}
}
