package tiles

import (
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/ledger"
)

// Outbox holds the records that the log has not taken yet.
type Outbox interface {
	// Pending returns up to limit records without a leaf, in order.
	Pending(ctx context.Context, limit int) ([]collector.Record, error)
	// Committed marks records with their commitment and their leaf. What it
	// returned nil for is never pending again.
	Committed(ctx context.Context, done []collector.Committed) error
}

// batch is how many records one pass of Drain takes: one tile's worth of leaves.
const batch = 256

// Drain moves what is pending into the log until nothing is, and returns how
// many records it marked.
//
// After it marks a pass it notes how many leaves the log then had (the mark
// file): every leaf below is marked. When it starts again it reads the leaves
// from there on, so that a record that was appended but not marked finds its
// leaf instead of getting a second one. A mark file that is too old, or gone,
// costs only reading.
func (l *Log) Drain(ctx context.Context, from Outbox) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.recall(ctx); err != nil {
		return 0, err
	}
	total := 0
	for {
		records, err := from.Pending(ctx, batch)
		if err != nil || len(records) == 0 {
			return total, err
		}
		done, err := l.commit(ctx, records)
		if err != nil {
			return total, err
		}
		if err := from.Committed(ctx, done); err != nil {
			return total, err
		}
		if err := l.mark(ctx); err != nil {
			return total, err
		}
		total += len(done)
	}
}

// Run drains at each beat until ctx ends. What fails is tried again at the next.
func (l *Log) Run(ctx context.Context, from Outbox, every time.Duration) error {
	if every <= 0 {
		every = 200 * time.Millisecond
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if _, err := l.Drain(ctx, from); err != nil && ctx.Err() == nil {
			l.log.Error("the ledger is behind", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// commit finds or appends the leaf of each record.
func (l *Log) commit(ctx context.Context, records []collector.Record) ([]collector.Committed, error) {
	done := make([]collector.Committed, len(records))
	var leaves []ledger.Leaf
	for i, r := range records {
		leaf, err := LeafOf(r)
		if err != nil {
			return nil, err
		}
		done[i] = collector.Committed{Seq: r.Seq, Commitment: leaf.Commitment}
		if _, ok := l.known[leaf.Commitment]; !ok {
			leaves = append(leaves, leaf)
			l.known[leaf.Commitment] = 0 // two records alike get one leaf
		}
	}
	at, err := l.add(ctx, leaves)
	if err != nil {
		// Some may be in the log all the same: read it again before the next try.
		l.ready = false
		return nil, err
	}
	for i, leaf := range leaves {
		l.known[leaf.Commitment] = at[i]
	}
	for i := range done {
		done[i].Leaf = int64(l.known[done[i].Commitment])
	}
	return done, nil
}

// LeafOf is the leaf that commits to a record.
func LeafOf(r collector.Record) (ledger.Leaf, error) {
	kind, err := ledger.ParseKind(r.Kind)
	if err != nil {
		return ledger.Leaf{}, err
	}
	fields, err := Fields(r)
	if err != nil {
		return ledger.Leaf{}, err
	}
	commitment, err := ledger.Commit(kind, fields)
	return ledger.Leaf{Kind: kind, Commitment: commitment}, err
}

// Fields are a record's fields as the ledger writes them.
func Fields(r collector.Record) ([]ledger.Field, error) {
	fields := make([]ledger.Field, len(r.Fields))
	for i, f := range r.Fields {
		if len(f.Salt) != len(fields[i].Salt) {
			return nil, aloud.Errorf(aloud.EINTERNAL, "record %d of kind %s has a salt of %d bytes", r.Seq, r.Kind, len(f.Salt))
		}
		fields[i] = ledger.Field{Name: f.Name, Value: f.Value, Salt: aloud.Hash(f.Salt)}
	}
	return fields, nil
}

// markFile says how many leaves are marked in the outbox for certain.
const markFile = "marked"

func (l *Log) markPath() string { return filepath.Join(l.dir, ".state", markFile) }

// mark notes the present size and forgets the commitments below it.
func (l *Log) mark(ctx context.Context) error {
	size, err := l.reader.IntegratedSize(ctx)
	if err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the log's size: %w", err)
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], size)
	tmp := l.markPath() + ".new"
	if err := os.WriteFile(tmp, b[:], 0o644); err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "note the log's progress: %w", err)
	}
	if err := os.Rename(tmp, l.markPath()); err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "note the log's progress: %w", err)
	}
	clear(l.known)
	return nil
}

// recall reads the leaves since the last mark.
func (l *Log) recall(ctx context.Context) error {
	if l.ready {
		return nil
	}
	size, err := l.reader.IntegratedSize(ctx)
	if err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the log's size: %w", err)
	}
	var from uint64
	if b, err := os.ReadFile(l.markPath()); err == nil && len(b) == 8 {
		from = min(binary.BigEndian.Uint64(b), size)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the log's progress: %w", err)
	}
	clear(l.known)
	for i := from - from%batch; i < size; i += batch {
		if err := l.recallBundle(ctx, i/batch, from, size); err != nil {
			return err
		}
	}
	l.ready = true
	return nil
}

func (l *Log) recallBundle(ctx context.Context, bundle, from, size uint64) error {
	b, err := client.GetEntryBundle(ctx, l.reader.ReadEntryBundle, bundle, size)
	if err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "read the log's leaves: %w", err)
	}
	return l.learn(b, bundle*batch, from)
}

func (l *Log) learn(b api.EntryBundle, first, from uint64) error {
	for i, entry := range b.Entries {
		index := first + uint64(i)
		if index < from {
			continue
		}
		leaf, err := ledger.ParseLeaf(entry)
		if err != nil {
			return aloud.Errorf(aloud.EINTERNAL, "leaf %d of the log: %w", index, err)
		}
		l.known[leaf.Commitment] = index
	}
	return nil
}
