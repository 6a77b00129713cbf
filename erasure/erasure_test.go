package erasure_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/internal/pipeline"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, dir string, key ed25519.PrivateKey) *pipeline.Pipeline {
	t.Helper()
	p, err := pipeline.Start(t.Context(), pipeline.Config{Dir: dir, ServerKey: key})
	must(t, err)
	return p
}

func enrol(t *testing.T, p *pipeline.Pipeline, key ed25519.PrivateKey) (*pipeline.Person, collector.Enrolment) {
	t.Helper()
	person := pipeline.NewPerson(key)
	signed, err := person.Agree(time.Now())
	must(t, err)
	answer, err := p.Collector.Consent(t.Context(), signed)
	must(t, err)
	person.Signed = answer.Receipt
	return person, answer
}

func say(t *testing.T, p *pipeline.Pipeline, person *pipeline.Person) string {
	t.Helper()
	now := time.Now()
	token, err := person.Signal(aloud.Intent{Category: "home.hvac", Stage: aloud.StageNeed, Score: 0.5}, now, now, "89c25c5")
	must(t, err)
	if r := p.Collector.Signals(t.Context(), []string{token})[0]; r.Status != collector.Accepted {
		t.Fatal(r.Err)
	}
	must(t, p.Settle(t.Context()))
	return token
}

func dump(t *testing.T, p *pipeline.Pipeline) string {
	t.Helper()
	var b strings.Builder
	must(t, p.Store.Dump(t.Context(), time.Now(), &b))
	return b.String()
}

// TestErasedEverywhere: within 5 seconds no file of the data directory can be
// read for the person, and nothing in it but ciphertext of a lost key is theirs.
func TestErasedEverywhere(t *testing.T) {
	dir := t.TempDir()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	p := start(t, dir, key)
	gone, ids := enrol(t, p, key)
	stays, _ := enrol(t, p, key)
	token := say(t, p, gone)
	say(t, p, stays)
	rows, err := p.KeyTable.Keys(t.Context(), gone.ID)
	must(t, err)

	from := time.Now()
	erase, err := gone.Erase(time.Now())
	must(t, err)
	must(t, p.Collector.Erase(t.Context(), erase))
	for findInFiles(t, dir, gone, ids, token, rows) != "" {
		if time.Since(from) > 5*time.Second {
			t.Fatalf("after 5 seconds there is still %s", findInFiles(t, dir, gone, ids, token, rows))
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Logf("erased everywhere after %s", time.Since(from).Round(time.Millisecond))
	if d := dump(t, p); strings.Contains(d, string(gone.ID)) || !strings.Contains(d, string(stays.ID)) {
		t.Errorf("the tables:\n%s", d)
	}
	pending, err := p.Records.Pending(t.Context(), 100)
	must(t, err)
	for _, r := range pending {
		if r.Field("participant") == string(gone.ID) {
			t.Error("a record of the erased person is left for the log")
		}
	}
	must(t, p.Close())
}

// findInFiles names what of a person is in a file of the data directory.
func findInFiles(t *testing.T, dir string, person *pipeline.Person, ids collector.Enrolment, token string, keys []collector.KeyRow) string {
	t.Helper()
	secrets := map[string][]byte{"the participant's id": []byte(person.ID), "the buyeruid": []byte(ids.BuyerUID), "the userId": []byte(ids.UserID), "a token": []byte(token)[:200]}
	for _, k := range keys {
		secrets["a key"+string(k.Purpose)] = k.Wrapped
	}
	found := ""
	must(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // files of the log come and go
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerr // as above
		}
		for name, secret := range secrets {
			if bytes.Contains(b, secret) {
				found = name + " in " + filepath.Base(path)
			}
		}
		return nil
	}))
	return found
}

// TestRestoreOfABackup: a database older than the forget list does not bring
// anybody back.
func TestRestoreOfABackup(t *testing.T) {
	dir := t.TempDir()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	p := start(t, dir, key)
	gone, ids := enrol(t, p, key)
	stays, stayIDs := enrol(t, p, key)
	say(t, p, gone)
	say(t, p, stays)
	must(t, p.Store.Truncate(t.Context()))
	backup, err := os.ReadFile(filepath.Join(dir, "aloud.db"))
	must(t, err)
	if !bytes.Contains(backup, []byte(gone.ID)) {
		t.Fatal("the backup lacks who is to be erased: the test tests nothing")
	}
	erase, err := gone.Erase(time.Now())
	must(t, err)
	must(t, p.Collector.Erase(t.Context(), erase))
	must(t, p.Close())

	for _, name := range []string{"aloud.db-wal", "aloud.db-shm"} {
		_ = os.Remove(filepath.Join(dir, name))
	}
	must(t, os.WriteFile(filepath.Join(dir, "aloud.db"), backup, 0o600))
	p = start(t, dir, key)
	if d := dump(t, p); strings.Contains(d, string(gone.ID)) || !strings.Contains(d, string(stays.ID)) {
		t.Errorf("after the restore:\n%s", d)
	}
	if _, ok := p.Index.Resolve(ids.BuyerUID); ok {
		t.Error("the pseudonym of the erased leads to them again")
	}
	if _, ok := p.Links.Resolve(collector.LinkUserID, ids.UserID); ok {
		t.Error("the userId of the erased leads to them again")
	}
	if _, ok := p.Index.Resolve(stayIDs.BuyerUID); !ok {
		t.Error("another's pseudonym is lost")
	}
	if n, err := p.Eraser.Restore(t.Context()); err != nil || n != 0 {
		t.Errorf("again: %d, %v", n, err)
	}
	must(t, p.Close())
}
