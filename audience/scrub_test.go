package audience_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"aloud.example/aloud/audience"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/erasure"
	"aloud.example/aloud/store"
)

// stubborn is an eraser whose scrub takes until it is cut off, but for the last.
type stubborn struct {
	*erasure.Eraser
	began    chan struct{}
	finished int
}

func (s *stubborn) Scrub(ctx context.Context) error {
	if s.began != nil {
		close(s.began)
		s.began = nil
		<-ctx.Done()
		return ctx.Err()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.finished++
	return s.Eraser.Scrub(ctx)
}

// TestTheEndFinishesTheScrub ends a keeper in the middle of a scrub.
func TestTheEndFinishesTheScrub(t *testing.T) {
	w := newWorld(t)
	p, _ := w.enrol()
	token, err := p.Withdraw(consent.PurposePersonaliseAds, w.clock.Now())
	must(t, err)
	must(t, w.Collector.Withdraw(w.ctx, token))
	must(t, w.Settle(w.ctx))

	// Another keeper applies the same stream to a database of its own.
	db, err := store.Open(w.ctx, store.Config{Path: filepath.Join(t.TempDir(), "aloud.db"), Now: w.clock.Now})
	must(t, err)
	defer db.Close()
	eraser, err := erasure.New(erasure.Config{Database: db, Keys: w.Keys})
	must(t, err)
	index, err := audience.NewIndex(audience.IndexConfig{Now: w.clock.Now})
	must(t, err)
	s := &stubborn{Eraser: eraser, began: make(chan struct{})}
	began := s.began
	var out bytes.Buffer
	k, err := audience.NewKeeper(audience.KeeperConfig{
		Stream: w.Stream, Database: db, Keys: w.Keys, ServerKeys: []ed25519.PublicKey{w.key.Public().(ed25519.PublicKey)},
		Eraser: s, Index: index, Now: w.clock.Now, Log: slog.New(slog.NewTextHandler(&out, nil)),
	})
	must(t, err)
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	select {
	case <-began:
	case err := <-ended:
		t.Fatal("the keeper ended by itself: ", err)
	}
	cancel()
	must(t, <-ended)
	if s.finished != 1 || strings.Contains(out.String(), "removed rows") {
		t.Errorf("%d scrubs were finished; the log: %s", s.finished, out.String())
	}
}
