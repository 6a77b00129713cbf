package store

import (
	"context"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
)

// DropSignals implements audience.EndingTx.
func (t *Tx) DropSignals(ctx context.Context, p aloud.ParticipantID) error {
	return t.all(ctx, p,
		`DELETE FROM signals WHERE participant = $1`,
		`DELETE FROM weights WHERE participant = $1`,
		`DELETE FROM heard WHERE participant = $1`,
		`DELETE FROM members WHERE participant = $1`)
}

// DropMembers implements audience.EndingTx.
func (t *Tx) DropMembers(ctx context.Context, p aloud.ParticipantID) error {
	return t.all(ctx, p, `DELETE FROM members WHERE participant = $1`)
}

// DropBehaviour implements audience.EndingTx.
func (t *Tx) DropBehaviour(ctx context.Context, p aloud.ParticipantID) error {
	if err := t.exec(ctx, `DELETE FROM seen WHERE participant = $1 AND kind = $2`, p, int(collector.KindEvent)); err != nil {
		return err
	}
	return t.all(ctx, p, `DELETE FROM event_counts WHERE participant = $1`)
}

// DropRecords implements audience.EndingTx.
func (t *Tx) DropRecords(ctx context.Context, p aloud.ParticipantID, ended []consent.Purpose, before uint64) error {
	for _, purpose := range ended {
		if err := t.exec(ctx, `DELETE FROM commitments
			WHERE participant = $1 AND purpose = $2 AND cause < $3 AND leaf_index IS NULL`, p, purpose, before); err != nil {
			return err
		}
		if err := t.exec(ctx, `UPDATE commitments SET participant = NULL, ref = NULL, sealed = NULL, handle = NULL
			WHERE participant = $1 AND purpose = $2 AND cause < $3`, p, purpose, before); err != nil {
			return err
		}
	}
	return nil
}

// Forgotten implements audience.EndingTx.
func (t *Tx) Forgotten(ctx context.Context, h aloud.Hash) (aloud.ParticipantID, bool, error) {
	var p aloud.ParticipantID
	err := t.row(ctx, []any{&p}, `SELECT participant FROM participants WHERE forget = $1`, h[:])
	ok, err := found(err)
	return p, ok, err
}

// DropParticipant implements audience.EndingTx.
func (t *Tx) DropParticipant(ctx context.Context, p aloud.ParticipantID) error {
	if err := t.DropSignals(ctx, p); err != nil {
		return err
	}
	return t.all(ctx, p,
		`DELETE FROM event_counts WHERE participant = $1`,
		`DELETE FROM seen WHERE participant = $1`,
		`DELETE FROM links WHERE participant = $1`,
		`DELETE FROM ended WHERE participant = $1`,
		`DELETE FROM receipts WHERE participant = $1`,
		`DELETE FROM participants WHERE participant = $1`,
		`UPDATE bids SET participant = '', signal = '' WHERE participant = $1`,
		`UPDATE bids SET participant = '', signal = '' WHERE participant = $1`,
		`DELETE FROM commitments WHERE participant = $1 AND leaf_index IS NULL`,
		`UPDATE commitments SET participant = NULL, ref = NULL, sealed = NULL, handle = NULL WHERE participant = $1`)
}

// all runs statements about one participant.
func (t *Tx) all(ctx context.Context, p aloud.ParticipantID, queries ...string) error {
	for _, q := range queries {
		if err := t.exec(ctx, q, p); err != nil {
			return err
		}
	}
	return nil
}
