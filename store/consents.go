package store

import (
	"context"
	"database/sql"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
)

// Standing implements audience.ConsentTx.
func (t *Tx) Standing(ctx context.Context, p aloud.ParticipantID) (collector.StandingRow, error) {
	row := collector.StandingRow{Participant: p, Ended: map[consent.Purpose]uint64{}}
	err := t.each(ctx, func(r *sql.Rows) error {
		var rec collector.ReceiptRow
		var digest, handle []byte
		if err := r.Scan(&digest, &rec.Seq, &handle, &rec.Envelope.Ciphertext); err != nil {
			return err
		}
		rec.Hash = hash(digest)
		rec.Envelope.Kind, rec.Envelope.Partition = collector.KindReceipt, collector.PartitionOf(p)
		copy(rec.Envelope.Handle[:], handle)
		row.Receipts = append(row.Receipts, rec)
		return nil
	}, `SELECT hash, seq, handle, sealed FROM receipts WHERE participant = $1 ORDER BY seq`, p)
	if err != nil {
		return row, err
	}
	err = t.each(ctx, func(r *sql.Rows) error {
		var purpose consent.Purpose
		var seq uint64
		if err := r.Scan(&purpose, &seq); err != nil {
			return err
		}
		row.Ended[purpose] = seq
		return nil
	}, `SELECT purpose, seq FROM ended WHERE participant = $1`, p)
	return row, err
}

// PutReceipt implements audience.ConsentTx.
func (t *Tx) PutReceipt(ctx context.Context, p aloud.ParticipantID, r collector.ReceiptRow) error {
	forget := collector.ForgetHash(p)
	if err := t.exec(ctx, `INSERT INTO participants (participant, partition_no, forget) VALUES ($1, $2, $3)
		ON CONFLICT (participant) DO NOTHING`, p, collector.PartitionOf(p), forget[:]); err != nil {
		return err
	}
	return t.exec(ctx, `INSERT INTO receipts (participant, hash, seq, handle, sealed) VALUES ($1, $2, $3, $4, $5)`,
		p, r.Hash[:], r.Seq, r.Envelope.Handle[:], r.Envelope.Ciphertext)
}

// PutEnded implements audience.ConsentTx.
func (t *Tx) PutEnded(ctx context.Context, p aloud.ParticipantID, purpose consent.Purpose, seq uint64) error {
	return t.exec(ctx, `INSERT INTO ended (participant, purpose, seq) VALUES ($1, $2, $3)
		ON CONFLICT (participant, purpose) DO UPDATE SET seq = excluded.seq`, p, purpose, seq)
}

// Standing implements collector.Facts.
func (s *Store) Standing(ctx context.Context, p aloud.ParticipantID) (row collector.StandingRow, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		row, err = tx.Standing(ctx, p)
		return err
	})
	return row, err
}

// Participants lists everybody, in pages after a given id.
func (s *Store) Participants(ctx context.Context, after aloud.ParticipantID, limit int) ([]aloud.ParticipantID, error) {
	var all []aloud.ParticipantID
	err := s.View(ctx, func(tx *Tx) error {
		return tx.each(ctx, func(r *sql.Rows) error {
			var p aloud.ParticipantID
			if err := r.Scan(&p); err != nil {
				return err
			}
			all = append(all, p)
			return nil
		}, `SELECT participant FROM participants WHERE participant > $1 ORDER BY participant LIMIT $2`, after, limit)
	})
	return all, err
}
