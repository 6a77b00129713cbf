package server_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/server"
)

func open(t *testing.T, dir string, simulated bool) *server.Data {
	t.Helper()
	d, err := server.OpenData(dir, simulated)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func refuse(t *testing.T, dir string, simulated bool, code aloud.Code, says string) {
	t.Helper()
	d, err := server.OpenData(dir, simulated)
	if err == nil {
		d.Close()
		t.Fatalf("opened; want %s: %s", code, says)
	}
	if aloud.ErrorCode(err) != code || !strings.Contains(err.Error(), says) {
		t.Fatalf("%s: %v; want %s: %s", aloud.ErrorCode(err), err, code, says)
	}
}

// settle gives a directory the database that ends its being fresh.
func settle(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, server.DatabaseFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestKeysAreMadeOnceForTheOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first := open(t, dir, false)
	for _, name := range []string{"", server.KeyDir, server.ServerKey, server.LogKey, server.SecretKey, server.TokenFile, server.LockFile} {
		info, err := os.Stat(first.Path(name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%q has mode %04o", name, info.Mode().Perm())
		}
	}
	settle(t, dir)
	first.Close()
	again := open(t, dir, false)
	if !first.ServerKey.Equal(again.ServerKey) || first.LogSigner != again.LogSigner || first.LogVKey != again.LogVKey ||
		!bytes.Equal(first.Secret, again.Secret) || first.OperatorToken != again.OperatorToken {
		t.Error("another start made other keys")
	}
	if other := open(t, t.TempDir(), false); first.ServerKey.Equal(other.ServerKey) || first.OperatorToken == other.OperatorToken {
		t.Error("two servers share a key")
	}
}

func TestOneServerAtATime(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, false)
	refuse(t, dir, false, aloud.ECONFLICT, "another server")
	if _, err := server.Lock(dir); aloud.ErrorCode(err) != aloud.ECONFLICT {
		t.Errorf("the lock of a running server: %v", err)
	}
	d.Close()
	open(t, dir, false)
}

func TestStampIsForLife(t *testing.T) {
	for _, simulated := range []bool{true, false} {
		dir := t.TempDir()
		open(t, dir, simulated).Close()
		settle(t, dir)
		refuse(t, dir, !simulated, aloud.EINVALID, "simulated")
		open(t, dir, simulated)
	}
}

// A folder of somebody else's files is left as it is.
func TestForeignFolderIsRefused(t *testing.T) {
	for _, simulated := range []bool{true, false} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		refuse(t, dir, simulated, aloud.EINVALID, "thesis.txt")
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("something was written into it: %v %v", left, err)
		}
	}
	own := t.TempDir()
	open(t, own, true).Close()
	if err := os.WriteFile(filepath.Join(own, "notes.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, own, true)
}

func TestWritable(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "data"), false)
	now := time.Now()
	if err := d.Writable(now); err != nil {
		t.Fatal(err)
	}
	away := d.Dir + ".away"
	if err := os.Rename(d.Dir, away); err != nil {
		t.Fatal(err)
	}
	if err := d.Writable(now.Add(time.Second)); err != nil {
		t.Errorf("an answer is kept for a while: %v", err)
	}
	err := d.Writable(now.Add(2 * time.Second))
	if aloud.ErrorCode(err) != aloud.EUNAVAILABLE || strings.Contains(err.Error(), d.Dir) {
		t.Errorf("the directory is gone: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(away, ".new-*")); err != nil || len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// TestCutOffStart ends the first start after each of its files and starts again.
func TestCutOffStart(t *testing.T) {
	whole := t.TempDir()
	open(t, whole, true).Close()
	steps := []string{server.StampFile, server.ServerKey, server.LogKey, server.SecretKey, server.TokenFile}
	for n := range steps {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, server.KeyDir), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range steps[:n] {
			data, err := os.ReadFile(filepath.Join(whole, name))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		open(t, dir, true)
	}
}

func TestMissingAndDamagedKeysAreFound(t *testing.T) {
	for _, c := range []struct {
		name, says string
		harm       func(path string) error
	}{
		{server.ServerKey, "missing", os.Remove},
		{server.LogKey, "missing", os.Remove},
		{server.SecretKey, "missing", os.Remove},
		{server.ServerKey, "damaged", func(p string) error { return os.WriteFile(p, []byte("x"), 0o600) }},
		{server.LogKey, "damaged", func(p string) error { return os.WriteFile(p, []byte("x"), 0o600) }},
		{server.SecretKey, "damaged", func(p string) error { return os.WriteFile(p, []byte("x"), 0o600) }},
		{server.ServerKey, "chmod 600", func(p string) error { return os.Chmod(p, 0o640) }},
		{server.TokenFile, "chmod 600", func(p string) error { return os.Chmod(p, 0o644) }},
		{server.TokenFile, "delete it", func(p string) error { return os.WriteFile(p, []byte("\n"), 0o600) }},
	} {
		t.Run(strings.ReplaceAll(c.name+" "+c.says, "/", "_"), func(t *testing.T) {
			dir := t.TempDir()
			open(t, dir, false).Close()
			settle(t, dir)
			if failed := server.CheckKeys(dir); len(failed) > 0 {
				t.Fatalf("healthy keys: %v", failed)
			}
			if err := c.harm(filepath.Join(dir, c.name)); err != nil {
				t.Fatal(err)
			}
			code := aloud.EINVALID
			if c.says == "missing" {
				code = aloud.ENOTFOUND
			}
			_, err := server.OpenData(dir, false)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v, want %s: %s", err, code, c.says)
			}
			if c.says != "delete it" && len(server.CheckKeys(dir)) != 1 {
				t.Errorf("the check finds %v", server.CheckKeys(dir))
			}
			if _, err := os.Stat(filepath.Join(dir, c.name)); c.says == "missing" && err == nil {
				t.Error("the failed start made the key anew")
			}
		})
	}
	t.Run("token is made anew", func(t *testing.T) {
		dir := t.TempDir()
		first := open(t, dir, false)
		settle(t, dir)
		first.Close()
		if err := os.Remove(first.Path(server.TokenFile)); err != nil {
			t.Fatal(err)
		}
		if second := open(t, dir, false); second.OperatorToken == first.OperatorToken {
			t.Error("the token that was deleted is still in force")
		}
	})
}
