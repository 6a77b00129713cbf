package store

import (
	"context"
	"database/sql"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/collector"
)

// PutRecord implements audience.SignalTx.
func (t *Tx) PutRecord(ctx context.Context, r audience.RecordRow) error {
	_, err := t.putRecord(ctx, r)
	return err
}

// putRecord appends a record once an id, and returns its place, or 0 for one
// that is there already.
func (t *Tx) putRecord(ctx context.Context, r audience.RecordRow) (int64, error) {
	seq, err := t.next(ctx, "commitments")
	if err != nil {
		return 0, err
	}
	var handle any
	if r.Participant != "" {
		handle = r.Handle[:]
	}
	n, err := t.change(ctx, `INSERT INTO commitments (seq, id, kind, participant, purpose, cause, ref, handle, sealed)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING`,
		seq, r.ID[:], r.Kind, null(r.Participant), null(r.Purpose), r.Cause, null(r.Ref), handle, r.Sealed)
	if n == 0 {
		seq = 0
	}
	return seq, err
}

// AppendRecord implements audience.RecordStore.
func (s *Store) AppendRecord(ctx context.Context, r audience.RecordRow) (seq int64, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		err = tx.row(ctx, []any{&r.Cause}, `SELECT COALESCE(MAX(seq), 0) FROM applied`)
		if err == nil {
			seq, err = tx.putRecord(ctx, r)
		}
		return err
	})
	return seq, err
}

const recordColumns = `seq, id, kind, participant, ref, handle, sealed, commitment, leaf_index`

func (t *Tx) records(ctx context.Context, query string, args ...any) ([]audience.KeptRecord, error) {
	var all []audience.KeptRecord
	err := t.each(ctx, func(r *sql.Rows) error {
		k := audience.KeptRecord{Leaf: -1}
		var id, handle, commitment []byte
		var participant, ref sql.NullString
		var leaf sql.NullInt64
		if err := r.Scan(&k.Seq, &id, &k.Kind, &participant, &ref, &handle, &k.Sealed, &commitment, &leaf); err != nil {
			return err
		}
		k.ID, k.Participant, k.Ref, k.Commitment = hash(id), aloud.ParticipantID(participant.String), ref.String, hash(commitment)
		copy(k.Handle[:], handle)
		if leaf.Valid {
			k.Leaf = leaf.Int64
		}
		all = append(all, k)
		return nil
	}, query, args...)
	return all, err
}

// PendingRecords implements audience.RecordStore.
func (s *Store) PendingRecords(ctx context.Context, limit int) (all []audience.KeptRecord, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		all, err = tx.records(ctx, `SELECT `+recordColumns+` FROM commitments WHERE leaf_index IS NULL ORDER BY seq LIMIT $1`, limit)
		return err
	})
	return all, err
}

// FindRecords implements audience.RecordStore.
func (s *Store) FindRecords(ctx context.Context, p aloud.ParticipantID, kind, ref string) (all []audience.KeptRecord, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		all, err = tx.records(ctx, `SELECT `+recordColumns+` FROM commitments
			WHERE participant = $1 AND kind = $2 AND ref = $3 ORDER BY seq`, p, kind, ref)
		return err
	})
	return all, err
}

// SetCommitted implements audience.RecordStore.
func (s *Store) SetCommitted(ctx context.Context, done []collector.Committed) error {
	return s.Update(ctx, func(tx *Tx) error {
		for _, c := range done {
			if err := tx.exec(ctx, `UPDATE commitments SET commitment = $2, leaf_index = $3 WHERE seq = $1`, c.Seq, c.Commitment[:], c.Leaf); err != nil {
				return err
			}
		}
		return nil
	})
}
