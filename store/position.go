package store

import (
	"context"
	"database/sql"

	"aloud.example/aloud/audience"
)

var _ audience.Tx = (*Tx)(nil)

// everywhere is the row of table applied that says up to where all partitions
// were applied.
const everywhere = -1

// Apply implements audience.Database: Update for a stage.
func (s *Store) Apply(ctx context.Context, fn func(audience.Tx) error) error {
	return s.Update(ctx, func(tx *Tx) error { return fn(tx) })
}

// PutApplied implements audience.PositionTx.
func (t *Tx) PutApplied(ctx context.Context, partition uint16, seq uint64) error {
	return t.putApplied(ctx, int(partition), seq)
}

// PutPosition implements audience.PositionTx.
func (t *Tx) PutPosition(ctx context.Context, seq uint64) error {
	return t.putApplied(ctx, everywhere, seq)
}

func (t *Tx) putApplied(ctx context.Context, partition int, seq uint64) error {
	return t.exec(ctx, `INSERT INTO applied (partition_no, seq) VALUES ($1, $2)
		ON CONFLICT (partition_no) DO UPDATE SET seq = excluded.seq`, partition, seq)
}

// Position implements audience.Database.
func (s *Store) Position(ctx context.Context) (audience.Position, error) {
	pos := audience.Position{Partitions: map[uint16]uint64{}}
	err := s.View(ctx, func(tx *Tx) error {
		return tx.each(ctx, func(r *sql.Rows) error {
			var partition int
			var seq uint64
			if err := r.Scan(&partition, &seq); err != nil {
				return err
			}
			if partition == everywhere {
				pos.All = seq
			} else {
				pos.Partitions[uint16(partition)] = seq
			}
			return nil
		}, `SELECT partition_no, seq FROM applied`)
	})
	return pos, err
}

// PutDeadLetter implements audience.PositionTx.
func (t *Tx) PutDeadLetter(ctx context.Context, d audience.DeadLetter) error {
	return t.exec(ctx, `INSERT INTO dead_letters (partition_no, seq, member, kind, code, reason, at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (partition_no, seq, member) DO NOTHING`,
		d.Partition, d.Seq, d.Member, d.Kind.String(), string(d.Code), d.Reason, ms(d.At))
}

// DeadLetters counts what could not be applied.
func (s *Store) DeadLetters(ctx context.Context) (n int, err error) {
	err = s.View(ctx, func(tx *Tx) error { return tx.row(ctx, []any{&n}, `SELECT COUNT(*) FROM dead_letters`) })
	return n, err
}

// derived are the tables that a rebuild empties.
var derived = []string{
	"participants", "receipts", "ended", "links", "signals", "seen", "event_counts", "weights", "heard", "rules", "members", "applied", "dead_letters",
}

// Wipe empties every table that is derived from the stream, for a rebuild.
func (s *Store) Wipe(ctx context.Context) error {
	return s.Update(ctx, func(tx *Tx) error {
		for _, table := range derived {
			if err := tx.exec(ctx, `DELETE FROM `+table); err != nil {
				return err
			}
		}
		return nil
	})
}
