package collector_test

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/store"
)

func keyring(t *testing.T, dir string) (*collector.Keyring, *store.Keys) {
	t.Helper()
	table, err := store.OpenKeys(t.Context(), store.Config{Path: filepath.Join(dir, "keys.db")})
	must(t, err)
	t.Cleanup(func() { _ = table.Close() })
	kek, err := collector.LoadKEK(filepath.Join(dir, "kek"), true)
	must(t, err)
	k, err := collector.NewKeyring(collector.KeyringConfig{Table: table, KEK: kek, Cache: 8})
	must(t, err)
	return k, table
}

func TestSealAndDestroy(t *testing.T) {
	dir := t.TempDir()
	k, table := keyring(t, dir)
	p := aloud.NewParticipantID()
	must(t, k.Ensure(t.Context(), p, consent.PurposeShareSignals, consent.PurposeMeasure))
	must(t, k.Ensure(t.Context(), p, consent.PurposeShareSignals)) // again
	e, err := k.Seal(t.Context(), collector.KindSignal, p, consent.PurposeShareSignals, []byte("intent"))
	must(t, err)
	if bytes.Contains(e.Ciphertext, []byte("intent")) || bytes.Contains(e.Ciphertext, []byte(p)) {
		t.Error("the envelope can be read")
	}
	plain, owner, purpose, err := k.Open(t.Context(), e)
	if err != nil || string(plain) != "intent" || owner != p || purpose != consent.PurposeShareSignals {
		t.Fatalf("opened as %q of %s for %s, %v", plain, owner, purpose, err)
	}
	for name, change := range map[string]func(*collector.Envelope){
		"partition": func(e *collector.Envelope) { e.Partition ^= 1 },
		"kind":      func(e *collector.Envelope) { e.Kind = collector.KindEvent },
		"text":      func(e *collector.Envelope) { e.Ciphertext[len(e.Ciphertext)-1] ^= 1 },
		"short":     func(e *collector.Envelope) { e.Ciphertext = e.Ciphertext[:5] },
	} {
		moved := e
		moved.Ciphertext = bytes.Clone(e.Ciphertext)
		change(&moved)
		if _, _, _, err := k.Open(t.Context(), moved); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("with another %s: %v", name, err)
		}
	}

	handles, err := k.Handles(t.Context(), p, consent.PurposeShareSignals)
	must(t, err)
	must(t, k.Destroy(t.Context(), handles))
	if _, _, _, err := k.Open(t.Context(), e); aloud.ErrorCode(err) != aloud.ENOTFOUND {
		t.Errorf("opened with a destroyed key: %v", err)
	}
	if _, err := k.Seal(t.Context(), collector.KindSignal, p, consent.PurposeShareSignals, nil); aloud.ErrorCode(err) != aloud.ENOTFOUND {
		t.Errorf("sealed with a destroyed key: %v", err)
	}
	must(t, k.Ensure(t.Context(), p, consent.PurposeShareSignals)) // agreed anew
	must(t, k.Destroy(t.Context(), handles))                       // the old ending, late
	if _, err := k.Seal(t.Context(), collector.KindSignal, p, consent.PurposeShareSignals, nil); err != nil {
		t.Errorf("a late ending destroyed the key of a new consent: %v", err)
	}
	if _, _, _, err := k.Open(t.Context(), e); aloud.ErrorCode(err) != aloud.ENOTFOUND {
		t.Errorf("a new consent opens what the old one sealed: %v", err)
	}

	must(t, k.Forget(t.Context(), p))
	if gone, err := k.Forgotten(t.Context(), p); err != nil || !gone {
		t.Errorf("forgotten: %v, %v", gone, err)
	}
	if n, err := table.Count(t.Context()); err != nil || n != 0 {
		t.Errorf("%d keys left, %v", n, err)
	}
}

// TestNothingLeftOnDisk looks for wrapped keys in the files' bytes.
func TestNothingLeftOnDisk(t *testing.T) {
	dir := t.TempDir()
	k, table := keyring(t, dir)
	var gone []collector.KeyRow
	for i := range 40 {
		p := aloud.NewParticipantID()
		must(t, k.Ensure(t.Context(), p, append(consent.AllPurposes(), collector.PurposeRecord)...))
		rows, err := table.Keys(t.Context(), p)
		must(t, err)
		if i%2 == 0 {
			gone = append(gone, rows...)
		}
	}
	for i, row := range gone {
		if i%6 == 0 {
			must(t, k.Forget(t.Context(), row.Participant))
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "keys.db*"))
	must(t, err)
	for _, name := range files {
		b, err := os.ReadFile(name)
		must(t, err)
		for _, row := range gone {
			if bytes.Contains(b, row.Wrapped) || bytes.Contains(b, row.Handle[:]) || bytes.Contains(b, []byte(row.Participant)) {
				t.Fatalf("%s still holds a destroyed key", filepath.Base(name))
			}
		}
	}
}

func TestKEK(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "kek")
	if _, err := collector.LoadKEK(path, false); aloud.ErrorCode(err) != aloud.EUNAVAILABLE {
		t.Errorf("a missing key: %v", err)
	}
	one, err := collector.LoadKEK(path, true)
	must(t, err)
	two, err := collector.LoadKEK(path, true)
	must(t, err)
	if !bytes.Equal(one, two) {
		t.Error("made anew")
	}
	must(t, os.Chmod(path, 0o644))
	if _, err := collector.LoadKEK(path, true); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
		t.Errorf("readable by others: %v", err)
	}
	must(t, os.Chmod(path, 0o600))
	must(t, os.WriteFile(path, []byte("short"), 0o600))
	if _, err := collector.LoadKEK(path, true); aloud.ErrorCode(err) != aloud.EINVALID {
		t.Errorf("too short: %v", err)
	}
	// Another key-encryption key opens nothing.
	k, table := keyring(t, t.TempDir())
	p := aloud.NewParticipantID()
	must(t, k.Ensure(t.Context(), p, consent.PurposeMeasure))
	other, err := collector.NewKeyring(collector.KeyringConfig{Table: table, KEK: one})
	must(t, err)
	if _, err := other.Seal(t.Context(), collector.KindEvent, p, consent.PurposeMeasure, nil); aloud.ErrorCode(err) != aloud.EINTERNAL {
		t.Errorf("with another key-encryption key: %v", err)
	}
}

func TestKeyringConcurrently(t *testing.T) {
	k, _ := keyring(t, t.TempDir())
	p := aloud.NewParticipantID()
	must(t, k.Ensure(t.Context(), p, consent.PurposeShareSignals))
	e, err := k.Seal(t.Context(), collector.KindSignal, p, consent.PurposeShareSignals, []byte("x"))
	must(t, err)
	handles, err := k.Handles(t.Context(), p, consent.PurposeShareSignals)
	must(t, err)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				_, _, _, _ = k.Open(t.Context(), e)
				_, _ = k.Seal(t.Context(), collector.KindSignal, p, consent.PurposeShareSignals, []byte("y"))
			}
		})
	}
	must(t, k.Destroy(t.Context(), handles))
	if _, _, _, err := k.Open(t.Context(), e); aloud.ErrorCode(err) != aloud.ENOTFOUND {
		t.Errorf("the destroyed key came back from a race: %v", err)
	}
	wg.Wait()
	if _, _, _, err := k.Open(t.Context(), e); aloud.ErrorCode(err) != aloud.ENOTFOUND {
		t.Errorf("the destroyed key came back from a race: %v", err)
	}
}
