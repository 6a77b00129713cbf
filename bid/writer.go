package bid

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"aloud.example/aloud"
)

// The limits of what waits to be written down.
const (
	maxWaiting = 16 << 10
	maxBatch   = 512
	writeEvery = 20 * time.Millisecond
)

// writer writes bids down in batches, in order.
type writer struct {
	journal Journal
	log     *slog.Logger

	mu      sync.Mutex
	waiting []Row
	idle    chan struct{} // closed when everything that waited was written
	wake    chan struct{}
	failing bool
}

func newWriter(j Journal, log *slog.Logger) *writer {
	idle := make(chan struct{})
	close(idle)
	return &writer{journal: j, log: log, idle: idle, wake: make(chan struct{}, 1)}
}

// full reports whether no more bids should be made.
func (w *writer) full() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.waiting) >= maxWaiting || w.failing
}

func (w *writer) add(r Row) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) == 0 {
		w.idle = make(chan struct{})
	}
	w.waiting = append(w.waiting, r)
}

// flush waits until all bids that were made before it are written.
func (w *writer) flush(ctx context.Context) error {
	w.mu.Lock()
	idle := w.idle
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return aloud.Errorf(aloud.EUNAVAILABLE, "the bids are not written down yet; ask again: %w", ctx.Err())
	}
}

// run writes until ctx ends, and then what is left.
func (w *writer) run(ctx context.Context) {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for {
		w.write(context.WithoutCancel(ctx))
		select {
		case <-ctx.Done():
			w.write(context.WithoutCancel(ctx))
			return
		case <-tick.C:
		case <-w.wake:
		}
	}
}

func (w *writer) write(ctx context.Context) {
	for {
		w.mu.Lock()
		batch := w.waiting[:min(len(w.waiting), maxBatch)]
		w.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		err := w.journal.AddBids(ctx, batch)
		w.mu.Lock()
		w.failing = err != nil
		if err == nil {
			w.waiting = w.waiting[len(batch):]
			if len(w.waiting) == 0 {
				w.waiting = nil
				close(w.idle)
			}
		}
		w.mu.Unlock()
		if err != nil {
			w.log.Error("bids can't be written down, so none are made", "error", err)
			return
		}
	}
}
