// Package erasure says what goes when a purpose is withdrawn or a person
// erased, and makes sure that it went.
//
// In: the endings that the keeper applies in the stream's order, and at each
// start the forget list. Out: rows removed, files scrubbed, and after a restore
// everything that was forgotten meanwhile removed again before anybody serves.
//
// The keys end first, in the collector, so that what a file or a backup still
// holds can't be read; this package removes what is readable without keys. It
// never removes what is about nobody: counts of advertisers, money, and the
// commitments in the log.
package erasure

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/identity"
)

// Database is what erasing needs beside a transaction; *store.Store is one.
type Database interface {
	Apply(ctx context.Context, fn func(audience.Tx) error) error
	// Participants lists everybody, in pages after a given id.
	Participants(ctx context.Context, after aloud.ParticipantID, limit int) ([]aloud.ParticipantID, error)
	// Truncate empties the database's write-ahead log, so that no old version
	// of a row is left in it.
	Truncate(ctx context.Context) error
}

// Keys is what Restore asks; *collector.Keyring is one.
type Keys interface {
	Forgotten(ctx context.Context, p aloud.ParticipantID) (bool, error)
	Forget(ctx context.Context, p aloud.ParticipantID) error
	Handles(ctx context.Context, p aloud.ParticipantID, purposes ...consent.Purpose) ([]collector.Handle, error)
}

// Config is what an Eraser needs.
type Config struct {
	Database Database
	Keys     Keys
	Log      *slog.Logger
}

// Eraser removes. It is safe for concurrent use.
type Eraser struct {
	db   Database
	keys Keys
	log  *slog.Logger
}

// New makes an eraser.
func New(cfg Config) (*Eraser, error) {
	if cfg.Database == nil || cfg.Keys == nil {
		return nil, aloud.Errorf(aloud.EINVALID, "an eraser needs a database and keys")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Eraser{db: cfg.Database, keys: cfg.Keys, log: cfg.Log}, nil
}

// Withdraw removes what lives under the ended purposes: signals, profile and
// membership under share_signals; membership under personalise_ads; behaviour
// under match_behaviour; the identifiers of each.
func (e *Eraser) Withdraw(ctx context.Context, tx audience.Tx, p aloud.ParticipantID, ended []consent.Purpose) error {
	if slices.Contains(ended, consent.PurposeShareSignals) {
		if err := tx.DropSignals(ctx, p); err != nil {
			return err
		}
	}
	if slices.Contains(ended, consent.PurposePersonaliseAds) {
		if err := tx.DropMembers(ctx, p); err != nil {
			return err
		}
	}
	if slices.Contains(ended, consent.PurposeMatchBehaviour) {
		if err := tx.DropBehaviour(ctx, p); err != nil {
			return err
		}
	}
	if kinds := identity.Kinds(ended); len(kinds) > 0 {
		return tx.DropLinks(ctx, p, kinds...)
	}
	return nil
}

// Erase removes every row of a participant.
func (e *Eraser) Erase(ctx context.Context, tx audience.Tx, p aloud.ParticipantID) error {
	return tx.DropParticipant(ctx, p)
}

// Scrub leaves no old version of a removed row in the database's files. It
// tries for a second, as a reader may be holding the log.
func (e *Eraser) Scrub(ctx context.Context) error {
	var err error
	for range 20 {
		if err = e.db.Truncate(ctx); err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
	return err
}

// Restore removes everybody on the forget list from a database that may be
// older than the list, and says how many there were. It runs before anything
// is served.
func (e *Eraser) Restore(ctx context.Context) (int, error) {
	removed := 0
	after := aloud.ParticipantID("")
	for {
		page, err := e.db.Participants(ctx, after, 1000)
		if err != nil {
			return removed, err
		}
		if len(page) == 0 {
			break
		}
		after = page[len(page)-1]
		n, err := e.removeForgotten(ctx, page)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	if removed == 0 {
		return 0, nil
	}
	e.log.Warn("the database was older than the forget list; the forgotten were removed again", "participants", removed)
	return removed, e.Scrub(ctx)
}

// removeForgotten removes those of a page that must not be there: on the list,
// or without the key that an erasure alone destroys.
func (e *Eraser) removeForgotten(ctx context.Context, page []aloud.ParticipantID) (int, error) {
	var gone []aloud.ParticipantID
	for _, p := range page {
		forgotten, err := e.keys.Forgotten(ctx, p)
		if err != nil {
			return 0, err
		}
		handles, err := e.keys.Handles(ctx, p, collector.PurposeRecord)
		if err != nil {
			return 0, err
		}
		if forgotten || len(handles) == 0 {
			gone = append(gone, p)
		}
	}
	if len(gone) == 0 {
		return 0, nil
	}
	err := e.db.Apply(ctx, func(tx audience.Tx) error {
		for _, p := range gone {
			if err := tx.DropParticipant(ctx, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, p := range gone {
		if err := e.keys.Forget(ctx, p); err != nil {
			return len(gone), err
		}
	}
	return len(gone), nil
}
