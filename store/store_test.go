package store_test

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/profile"
	"aloud.example/aloud/store"
	"aloud.example/aloud/store/storetest"
)

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store {
		s, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "aloud.db")})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPragmas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a folder with spaces & signs?", "aloud.db")
	must(t, os.Mkdir(filepath.Dir(path), 0o700))
	s, err := store.Open(t.Context(), store.Config{Path: path})
	must(t, err)
	defer func() { must(t, s.Close()) }()
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v", info.Mode())
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "secure_delete": "1", "foreign_keys": "1"} {
		if got, err := s.Pragma(t.Context(), pragma); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", pragma, got, err, want)
		}
	}
}

// TestScrubbed looks for a deleted row in the files' bytes.
func TestScrubbed(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(t.Context(), store.Config{Path: filepath.Join(dir, "aloud.db")})
	must(t, err)
	defer func() { must(t, s.Close()) }()
	var people []aloud.ParticipantID
	for range 200 {
		p := aloud.NewParticipantID()
		people = append(people, p)
		must(t, s.Apply(t.Context(), func(tx audience.Tx) error {
			return tx.PutHeard(t.Context(), profile.Heard{Participant: p, Category: "home.hvac", Stage: "need", Signal: "s_1", At: time.Now()})
		}))
	}
	must(t, s.Apply(t.Context(), func(tx audience.Tx) error {
		for _, p := range people[:100] {
			must(t, tx.DropParticipant(t.Context(), p))
		}
		return nil
	}))
	must(t, s.Truncate(t.Context()))
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	must(t, err)
	for _, name := range files {
		b, err := os.ReadFile(name)
		must(t, err)
		for _, p := range people[:100] {
			if bytes.Contains(b, []byte(p)) {
				t.Fatalf("%s still holds a deleted row", filepath.Base(name))
			}
		}
	}
}

func TestRefused(t *testing.T) {
	if _, err := store.Open(t.Context(), store.Config{}); aloud.ErrorCode(err) != aloud.EINVALID {
		t.Errorf("without a path: %v", err)
	}
	if _, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "none", "x.db")}); aloud.ErrorCode(err) != aloud.EUNAVAILABLE {
		t.Errorf("in no folder: %v", err)
	}
	path := filepath.Join(t.TempDir(), "garbage.db")
	must(t, os.WriteFile(path, bytes.Repeat([]byte("garbage "), 1000), 0o600))
	if _, err := store.Open(t.Context(), store.Config{Path: path}); err == nil {
		t.Error("garbage was opened")
	}
	path = filepath.Join(t.TempDir(), "newer.db")
	s, err := store.Open(t.Context(), store.Config{Path: path})
	must(t, err)
	must(t, s.Close())
	db, err := sql.Open("sqlite", path)
	must(t, err)
	_, err = db.Exec(`INSERT INTO migrations (name, at) VALUES ('9999_future.sql', 0)`)
	must(t, err)
	must(t, db.Close())
	if _, err := store.Open(t.Context(), store.Config{Path: path}); aloud.ErrorCode(err) != aloud.EINVALID {
		t.Errorf("of a newer version: %v", err)
	}
}
