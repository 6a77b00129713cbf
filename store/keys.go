package store

import (
	"context"
	"database/sql"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
)

// Keys is the key table: a database of its own.
type Keys struct{ s *Store }

var _ collector.KeyTable = (*Keys)(nil)

// OpenKeys opens or makes the key table.
func OpenKeys(ctx context.Context, cfg Config) (*Keys, error) {
	s, err := open(ctx, cfg, "keymigrations")
	if err != nil {
		return nil, err
	}
	return &Keys{s}, nil
}

// Close closes the key table.
func (k *Keys) Close() error { return k.s.Close() }

// Key implements collector.KeyTable.
func (k *Keys) Key(ctx context.Context, h collector.Handle) (collector.KeyRow, error) {
	row := collector.KeyRow{Handle: h}
	err := k.s.View(ctx, func(tx *Tx) error {
		return tx.row(ctx, []any{&row.Participant, &row.Purpose, &row.Wrapped},
			`SELECT participant, purpose, wrapped FROM keys WHERE handle = $1`, h[:])
	})
	if ok, err := found(err); err != nil {
		return row, err
	} else if !ok {
		return row, aloud.Errorf(aloud.ENOTFOUND, "there is no key: the purpose was withdrawn or the participant erased")
	}
	return row, nil
}

// Keys implements collector.KeyTable.
func (k *Keys) Keys(ctx context.Context, p aloud.ParticipantID) ([]collector.KeyRow, error) {
	var all []collector.KeyRow
	err := k.s.View(ctx, func(tx *Tx) error {
		return tx.each(ctx, func(r *sql.Rows) error {
			row := collector.KeyRow{Participant: p}
			var h []byte
			if err := r.Scan(&h, &row.Purpose, &row.Wrapped); err != nil {
				return err
			}
			copy(row.Handle[:], h)
			all = append(all, row)
			return nil
		}, `SELECT handle, purpose, wrapped FROM keys WHERE participant = $1 ORDER BY purpose`, p)
	})
	return all, err
}

// AddKeys implements collector.KeyTable.
func (k *Keys) AddKeys(ctx context.Context, rows []collector.KeyRow) error {
	return k.s.Update(ctx, func(tx *Tx) error {
		for _, r := range rows {
			if err := tx.exec(ctx, `INSERT INTO keys (handle, participant, purpose, wrapped) VALUES ($1, $2, $3, $4)
				ON CONFLICT (participant, purpose) DO NOTHING`, r.Handle[:], r.Participant, r.Purpose, r.Wrapped); err != nil {
				return err
			}
		}
		return nil
	})
}

// DropKeys implements collector.KeyTable.
func (k *Keys) DropKeys(ctx context.Context, handles []collector.Handle) error {
	var dropped int64
	err := k.s.Update(ctx, func(tx *Tx) error {
		for _, h := range handles {
			n, err := tx.change(ctx, `DELETE FROM keys WHERE handle = $1`, h[:])
			if err != nil {
				return err
			}
			dropped += n
		}
		return nil
	})
	if err != nil || dropped == 0 {
		return err
	}
	return k.s.truncate(ctx)
}

// Forget implements collector.KeyTable.
func (k *Keys) Forget(ctx context.Context, p aloud.ParticipantID, h aloud.Hash) error {
	err := k.s.Update(ctx, func(tx *Tx) error {
		if err := tx.exec(ctx, `DELETE FROM keys WHERE participant = $1`, p); err != nil {
			return err
		}
		return tx.exec(ctx, `INSERT INTO forgotten (hash, at) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING`, h[:], ms(k.s.cfg.Now()))
	})
	if err != nil {
		return err
	}
	return k.s.truncate(ctx)
}

// Forgotten implements collector.KeyTable.
func (k *Keys) Forgotten(ctx context.Context, h aloud.Hash) (bool, error) {
	var n int
	err := k.s.View(ctx, func(tx *Tx) error {
		return tx.row(ctx, []any{&n}, `SELECT COUNT(*) FROM forgotten WHERE hash = $1`, h[:])
	})
	return n > 0, err
}

// Count says how many keys there are.
func (k *Keys) Count(ctx context.Context) (int, error) {
	var n int
	err := k.s.View(ctx, func(tx *Tx) error { return tx.row(ctx, []any{&n}, `SELECT COUNT(*) FROM keys`) })
	return n, err
}
