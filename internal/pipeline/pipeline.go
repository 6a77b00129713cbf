// Package pipeline puts the server's data path together for tests, in a
// folder, as the server does: stream, database, keys, keeper and collector.
package pipeline

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/erasure"
	"aloud.example/aloud/identity"
	"aloud.example/aloud/store"
	"aloud.example/aloud/stream"
)

// Config is what a test may choose.
type Config struct {
	Dir       string
	ServerKey ed25519.PrivateKey
	Now       func() time.Time
	Minimum   int  // of an audience; 0 counts as 1
	Strict    bool // a server that is not simulated
	Linger    time.Duration
	Log       *slog.Logger

	// Keeper may put something between the keeper and what it is given.
	Keeper func(*audience.KeeperConfig)
}

// Pipeline is a running data path.
type Pipeline struct {
	Stream    *stream.Stream
	Store     *store.Store
	KeyTable  *store.Keys
	Keys      *collector.Keyring
	Links     *identity.Index
	Index     *audience.Index
	Keeper    *audience.Keeper
	Collector *collector.Collector
	Shelf     *audience.Shelf
	Records   *audience.Records
	Eraser    *erasure.Eraser

	cancel context.CancelFunc
	done   chan error
}

// Notice is what the pipeline's participants agree to.
func Notice() consent.Notice {
	return consent.EnglishNotice(consent.Controller{Name: "Test Controller", Contact: "privacy@controller.example"})
}

// Start opens everything and returns once the stream is applied.
func Start(ctx context.Context, cfg Config) (p *Pipeline, err error) {
	p = &Pipeline{done: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	if p.Stream, err = stream.Open(ctx, stream.Config{Dir: filepath.Join(cfg.Dir, "stream"), Log: cfg.Log, Tick: 50 * time.Millisecond}); err != nil {
		return p, err
	}
	if p.Store, err = store.Open(ctx, store.Config{Path: filepath.Join(cfg.Dir, "aloud.db"), Now: cfg.Now, Log: cfg.Log}); err != nil {
		return p, err
	}
	if p.KeyTable, err = store.OpenKeys(ctx, store.Config{Path: filepath.Join(cfg.Dir, "keys.db"), Now: cfg.Now, Log: cfg.Log}); err != nil {
		return p, err
	}
	kek, err := collector.LoadKEK(filepath.Join(cfg.Dir, "kek"), true)
	if err != nil {
		return p, err
	}
	if p.Keys, err = collector.NewKeyring(collector.KeyringConfig{Table: p.KeyTable, KEK: kek}); err != nil {
		return p, err
	}
	if p.Eraser, err = erasure.New(erasure.Config{Database: p.Store, Keys: p.Keys, Log: cfg.Log}); err != nil {
		return p, err
	}
	if _, err = p.Eraser.Restore(ctx); err != nil {
		return p, err
	}
	if cfg.Minimum == 0 {
		cfg.Minimum = 1
	}
	p.Links = identity.NewIndex(0)
	if p.Index, err = audience.NewIndex(audience.IndexConfig{Links: p.Links, Minimum: cfg.Minimum, Simulated: true, Now: cfg.Now}); err != nil {
		return p, err
	}
	public := cfg.ServerKey.Public().(ed25519.PublicKey)
	keeper := audience.KeeperConfig{
		Stream: p.Stream, Database: p.Store, Keys: p.Keys, ServerKeys: []ed25519.PublicKey{public},
		Eraser: p.Eraser, Index: p.Index, Links: p.Links, Now: cfg.Now, Log: cfg.Log,
	}
	if cfg.Keeper != nil {
		cfg.Keeper(&keeper)
	}
	if p.Keeper, err = audience.NewKeeper(keeper); err != nil {
		return p, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.cancel = cancel
	go func() { p.done <- p.Keeper.Run(running) }()
	if err = p.ready(ctx); err != nil {
		return p, err
	}
	p.Shelf = &audience.Shelf{Store: p.Store, Stream: p.Stream, Now: cfg.Now}
	p.Records = &audience.Records{Store: p.Store, Keys: p.Keys}
	if err = p.Shelf.PublishPending(ctx); err != nil {
		return p, err
	}
	p.Collector, err = collector.New(collector.Config{
		Stream: p.Stream, Facts: p.Store, Progress: p.Keeper, Directory: p.Links, Stopper: p.Index, Keys: p.Keys,
		ServerKey: cfg.ServerKey, Notices: []aloud.Hash{Notice().Hash()}, Simulated: !cfg.Strict, NoWait: !cfg.Strict,
		Now: cfg.Now, Log: cfg.Log, Linger: cfg.Linger,
	})
	return p, err
}

func (p *Pipeline) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ready := make(chan error, 1)
	go func() { ready <- p.Keeper.WaitReady(ctx) }()
	select {
	case err := <-ready:
		return err
	case err := <-p.done:
		p.done <- err
		return errors.Join(errors.New("the keeper ended"), err)
	}
}

// Settle returns once everything in the stream is applied.
func (p *Pipeline) Settle(ctx context.Context) error {
	last, err := p.Stream.Last(ctx)
	if err != nil {
		return err
	}
	for p.Keeper.Position() < last {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Close ends everything, in the order in which a server does.
func (p *Pipeline) Close() error {
	var errs []error
	if p.Collector != nil {
		p.Collector.Close()
	}
	if p.cancel != nil {
		p.cancel()
		errs = append(errs, <-p.done)
	}
	if p.Stream != nil {
		p.Stream.Close()
	}
	if p.Store != nil {
		errs = append(errs, p.Store.Close())
	}
	if p.KeyTable != nil {
		errs = append(errs, p.KeyTable.Close())
	}
	return errors.Join(errs...)
}
