package tiles

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	"k8s.io/klog/v2"

	"aloud.example/aloud"
	"aloud.example/aloud/ledger"
)

// Config is what Open needs.
type Config struct {
	Dir      string // of the log's files; made if absent
	Signer   string // the secret key that NewKey made
	Verifier string // and its public half
	Log      *slog.Logger

	Interval time.Duration // between checkpoints; 0 counts as a second, 10 s is the limit
	Batch    time.Duration // how long leaves wait for company; 0 counts as 50 ms
}

// UseLogger sends what Tessera itself logs to log. Its logger (klog's) is one for
// the whole process, so main calls this once, before Open.
func UseLogger(log *slog.Logger) {
	klog.SetSlogLogger(slog.New(newborn{log.With("from", "tessera").Handler()}))
}

// Log is an open log. It has one writer: whoever opened the folder.
type Log struct {
	dir      string
	log      *slog.Logger
	verifier note.Verifier

	appender *tessera.Appender
	reader   tessera.LogReader
	shutdown func(context.Context) error
	stop     context.CancelFunc

	mu    sync.Mutex            // one drain at a time
	known map[aloud.Hash]uint64 // commitments whose mark is not certain
	ready bool                  // known was filled
}

// Open opens the log in a folder, or starts one.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	if cfg.Interval == 0 {
		cfg.Interval = time.Second
	}
	if cfg.Batch == 0 {
		cfg.Batch = 50 * time.Millisecond
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Interval > 10*time.Second {
		return nil, aloud.Errorf(aloud.EINVALID, "the log's checkpoint is at most 10 s old, so its interval can't be %s", cfg.Interval)
	}
	signer, err := note.NewSigner(cfg.Signer)
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "the log's key is not one that aloud made: %w", err)
	}
	verifier, err := note.NewVerifier(cfg.Verifier)
	if err != nil || verifier.Name() != signer.Name() || verifier.KeyHash() != signer.KeyHash() {
		return nil, aloud.Errorf(aloud.EINVALID, "the log's public key does not belong to its secret one")
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, aloud.Errorf(aloud.EUNAVAILABLE, "the log's folder: %w", err)
	}
	l := &Log{dir: cfg.Dir, log: cfg.Log, verifier: verifier, known: map[aloud.Hash]uint64{}}
	return l, l.open(ctx, cfg, signer)
}

func (l *Log) open(ctx context.Context, cfg Config, signer note.Signer) error {
	driver, err := posix.New(ctx, posix.Config{Path: cfg.Dir})
	if err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the log: %w", err)
	}
	opts := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithCheckpointInterval(cfg.Interval).
		WithCheckpointRepublishInterval(0).
		WithBatching(tessera.DefaultBatchMaxSize, cfg.Batch)
	// The appender lives until Close, whatever becomes of the caller's context.
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	appender, shutdown, reader, err := tessera.NewAppender(life, driver, opts)
	if err != nil {
		stop()
		return aloud.Errorf(aloud.EUNAVAILABLE, "the log in %s: %w", filepath.Base(cfg.Dir), err)
	}
	l.appender, l.shutdown, l.reader, l.stop = appender, shutdown, reader, stop
	return nil
}

// Close waits until a checkpoint covers every leaf, and ends the log's work.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.shutdown(ctx)
	l.stop()
	if err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the log's last checkpoint: %w", err)
	}
	return nil
}

// add appends leaves in order and returns where they are. It returns after they
// are on disk; the next checkpoint covers them.
func (l *Log) add(ctx context.Context, leaves []ledger.Leaf) ([]uint64, error) {
	futures := make([]tessera.IndexFuture, len(leaves))
	for i, leaf := range leaves {
		futures[i] = l.appender.Add(ctx, tessera.NewEntry(leaf.Bytes()))
	}
	at := make([]uint64, len(leaves))
	var failed error
	for i, future := range futures {
		index, err := future()
		if err != nil && failed == nil {
			failed = aloud.Errorf(aloud.EUNAVAILABLE, "the log did not take a leaf: %w", err)
		}
		at[i] = index.Index
	}
	return at, failed
}

// Checkpoint returns the newest signed checkpoint and the size of its tree. It
// is EPENDING before the first.
func (l *Log) Checkpoint(ctx context.Context) (signed []byte, size uint64, err error) {
	signed, err = l.reader.ReadCheckpoint(ctx)
	if errors.Is(err, os.ErrNotExist) {
		return nil, 0, aloud.Errorf(aloud.EPENDING, "the log has no checkpoint yet; ask again in a second")
	}
	if err != nil {
		return nil, 0, aloud.Errorf(aloud.EUNAVAILABLE, "read the log's checkpoint: %w", err)
	}
	c, err := ledger.OpenCheckpoint(signed, l.verifier)
	if err != nil {
		return nil, 0, err
	}
	return signed, c.Size, nil
}

// Inclusion returns the path from one leaf to the root of the tree of that
// size. A leaf that the tree does not cover yet is EPENDING.
func (l *Log) Inclusion(ctx context.Context, leaf, size uint64) ([]aloud.Hash, error) {
	if leaf >= size {
		return nil, aloud.Errorf(aloud.EPENDING, "the checkpoint does not cover the leaf yet; ask again in a second")
	}
	builder, err := client.NewProofBuilder(ctx, size, l.reader.ReadTile)
	if err != nil {
		return nil, aloud.Errorf(aloud.EUNAVAILABLE, "read the log's tiles: %w", err)
	}
	path, err := builder.InclusionProof(ctx, leaf)
	if err != nil {
		return nil, aloud.Errorf(aloud.EUNAVAILABLE, "read the log's tiles: %w", err)
	}
	hashes := make([]aloud.Hash, len(path))
	for i, h := range path {
		if copy(hashes[i][:], h) != len(hashes[i]) {
			return nil, aloud.Errorf(aloud.EINTERNAL, "the log has a hash of %d bytes", len(h))
		}
	}
	return hashes, nil
}

// Ready returns an error if the log can't be read.
func (l *Log) Ready(ctx context.Context) error {
	if _, err := l.reader.IntegratedSize(ctx); err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the log's state can't be read: %w", err)
	}
	return nil
}
