package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	datadir "aloud.example/aloud/server"
)

// examine runs aloud doctor on a data directory as a child and returns the
// status of each check, worst first, with the details of failures.
func examine(t *testing.T, args ...string) (exit int, status, detail map[string]string) {
	t.Helper()
	t.Setenv("HOME", t.TempDir())
	t.Setenv("ALOUD_HOME", "")
	exit, out := runAloud(t, append([]string{"doctor", "--json"}, args...)...)
	var answer struct {
		OK       bool
		Findings []finding
	}
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatalf("doctor says %q: %v", out, err)
	}
	if answer.OK != (exit == 0) || exit > 1 {
		t.Fatalf("exit status %d, ok %v", exit, answer.OK)
	}
	status, detail = map[string]string{}, map[string]string{}
	for _, f := range answer.Findings {
		if status[f.Check] != failure {
			status[f.Check] = f.Status
		}
		detail[f.Check] += f.Detail + " " + f.Mend + "\n"
		if (f.Status == failure || f.Status == warning) && f.Mend == "" {
			t.Errorf("%s %s does not say how to mend it", f.Check, f.Status)
		}
	}
	return exit, status, detail
}

// TestDoctor breaks a data directory in each way that it looks for.
func TestDoctor(t *testing.T) {
	free, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	n := startNode(t, dir)
	s := serviceAt(t, n.URL, dir, n.Config.Now)
	s.join(t)
	exit, status, detail := examine(t, "--data", dir, "--server", n.URL, "--listen", free)
	for check, want := range map[string]string{
		"directory": good, "permissions": good, "disk": good, "stamp": good, "keys": good, "lock": good, "aloud.db": good,
		"stream": skipped, "reachable": good, "ready": good, "clocks": good, "clock": good,
	} {
		if status[check] != want && check != "disk" {
			t.Errorf("a healthy server: %s is %q: %s", check, status[check], detail[check])
		}
	}
	if exit != 0 {
		t.Errorf("a healthy server: exit status %d: %v", exit, detail)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	exit, status, detail = examine(t, "--data", dir, "--listen", free)
	if exit != 0 || status["stream"] != good || status["keys.db"] != good || status["port"] != good {
		t.Errorf("a healthy directory at rest: exit status %d: %v %v", exit, status, detail)
	}
	before := filesIn(t, dir)
	for _, c := range []struct {
		name, check, says string
		harm              func() (mend func())
		args              []string
	}{
		{"no server", "reachable", "aloud serve", nil, []string{"--server", n.URL}},
		{"open directory", "permissions", "chmod 700", func() func() { return chmod(t, dir, 0o755) }, nil},
		{"open key", "keys", "chmod 600", func() func() { return chmod(t, filepath.Join(dir, "keys", "server.key"), 0o644) }, nil},
		{"missing key", "keys", "missing", func() func() { return replace(t, filepath.Join(dir, "keys", "log.key"), nil) }, nil},
		{"missing server key", "keys", "missing", func() func() { return replace(t, filepath.Join(dir, "keys", "server.key"), nil) }, nil},
		{"damaged key", "keys", "damaged", func() func() { return replace(t, filepath.Join(dir, "keys", "server.key"), []byte("x")) }, nil},
		{"missing key-encryption key", "keys", "key-encryption", func() func() { return replace(t, filepath.Join(dir, "keys", "kek"), nil) }, nil},
		{"damaged database", "aloud.db", "Backups", func() func() {
			return replace(t, filepath.Join(dir, datadir.DatabaseFile), []byte(strings.Repeat("not a database ", 1000)))
		}, nil},
		{"no stream", "stream", "Backups", func() func() { return replace(t, filepath.Join(dir, datadir.StreamDir), nil) }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.harm != nil {
				defer c.harm()()
			}
			args := c.args
			if args == nil {
				args = []string{"--data", dir, "--listen", free}
			}
			exit, status, detail := examine(t, args...)
			if exit != 1 || status[c.check] != failure || !strings.Contains(detail[c.check], c.says) {
				t.Errorf("exit status %d, %s is %q: %s", exit, c.check, status[c.check], detail[c.check])
			}
		})
	}
	if after := filesIn(t, dir); before != after {
		t.Errorf("the doctor made or removed files:\n%s\nbefore:\n%s", after, before)
	}
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	if exit, status, _ := examine(t, "--data", dir, "--listen", busy.Addr().String()); exit != 1 || status["port"] != failure {
		t.Errorf("a taken port: exit status %d, %q", exit, status["port"])
	}
	if exit, status, _ := examine(t, "--data", filepath.Join(dir, "nowhere")); exit != 1 || status["directory"] != failure {
		t.Errorf("no directory: exit status %d, %q", exit, status["directory"])
	}
	startNode(t, dir) // what was mended still works
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func chmod(t *testing.T, path string, mode os.FileMode) (mend func()) {
	t.Helper()
	info, err := os.Stat(path)
	if err == nil {
		err = os.Chmod(path, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func() { _ = os.Chmod(path, info.Mode()) }
}

// replace puts other content in a file's place, or none.
func replace(t *testing.T, path string, with []byte) (mend func()) {
	t.Helper()
	kept := filepath.Join(t.TempDir(), "kept")
	if err := os.Rename(path, kept); err != nil {
		t.Fatal(err)
	}
	if with != nil {
		if err := os.WriteFile(path, with, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(kept, path); err != nil {
			t.Fatal(err)
		}
	}
}

// filesIn lists the names of a directory's files, but for those that come and
// go with every opening.
func filesIn(t *testing.T, dir string) string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasSuffix(path, "-shm") && !strings.HasSuffix(path, "-wal") && !strings.Contains(path, datadir.StreamDir) {
			names = append(names, strings.TrimPrefix(path, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, "\n")
}
