package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/collector"
)

// Signal implements audience.SignalTx.
func (t *Tx) Signal(ctx context.Context, id aloud.SignalID) (audience.SignalRow, bool, error) {
	s := audience.SignalRow{ID: id}
	var digest, handle []byte
	var expires int64
	err := t.row(ctx, []any{&s.Participant, &s.Envelope.Partition, &digest, &expires, &handle, &s.Envelope.Ciphertext},
		`SELECT participant, partition_no, digest, expires, handle, sealed FROM signals WHERE signal = $1`, id)
	s.Digest, s.Expires, s.Envelope.Kind = hash(digest), fromMS(expires), collector.KindSignal
	copy(s.Envelope.Handle[:], handle)
	ok, err := found(err)
	return s, ok, err
}

// PutSignal implements audience.SignalTx.
func (t *Tx) PutSignal(ctx context.Context, s audience.SignalRow) error {
	return t.exec(ctx, `INSERT INTO signals (signal, participant, partition_no, digest, expires, handle, sealed)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		s.ID, s.Participant, s.Envelope.Partition, s.Digest[:], ms(s.Expires), s.Envelope.Handle[:], s.Envelope.Ciphertext)
}

// PutSeen implements audience.SignalTx.
func (t *Tx) PutSeen(ctx context.Context, kind collector.Kind, id aloud.Hash, p aloud.ParticipantID, at time.Time) (bool, error) {
	n, err := t.change(ctx, `INSERT INTO seen (id, kind, participant, at) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING`,
		id[:], int(kind), p, ms(at))
	return n > 0, err
}

// SignalOf implements audience.RecordStore.
func (s *Store) SignalOf(ctx context.Context, id aloud.SignalID) (row audience.SignalRow, ok bool, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		row, ok, err = tx.Signal(ctx, id)
		return err
	})
	return row, ok, err
}

// SignalDigests implements collector.Facts.
func (s *Store) SignalDigests(ctx context.Context, ids []aloud.SignalID) (map[aloud.SignalID]aloud.Hash, error) {
	all := map[aloud.SignalID]aloud.Hash{}
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = string(id)
	}
	err := s.lookup(ctx, `SELECT signal, digest FROM signals WHERE signal IN (%s)`, args, func(r *sql.Rows) error {
		var id aloud.SignalID
		var digest []byte
		if err := r.Scan(&id, &digest); err != nil {
			return err
		}
		all[id] = hash(digest)
		return nil
	})
	return all, err
}

// SeenIDs implements collector.Facts.
func (s *Store) SeenIDs(ctx context.Context, ids []aloud.Hash) (map[aloud.Hash]bool, error) {
	all := map[aloud.Hash]bool{}
	args := make([]any, len(ids))
	for i := range ids {
		args[i] = ids[i][:]
	}
	err := s.lookup(ctx, `SELECT id FROM seen WHERE id IN (%s)`, args, func(r *sql.Rows) error {
		var id []byte
		if err := r.Scan(&id); err != nil {
			return err
		}
		all[hash(id)] = true
		return nil
	})
	return all, err
}

// lookup runs a query with a list of values, at most 256 at a time.
func (s *Store) lookup(ctx context.Context, query string, args []any, fn func(*sql.Rows) error) error {
	return s.View(ctx, func(tx *Tx) error {
		for len(args) > 0 {
			n := min(len(args), 256)
			marks := make([]string, n)
			for i := range marks {
				marks[i] = fmt.Sprintf("$%d", i+1)
			}
			if err := tx.each(ctx, fn, fmt.Sprintf(query, strings.Join(marks, ", ")), args[:n]...); err != nil {
				return err
			}
			args = args[n:]
		}
		return nil
	})
}
