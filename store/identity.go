package store

import (
	"context"
	"database/sql"

	"aloud.example/aloud"
	"aloud.example/aloud/identity"
)

// Link implements identity.Tx.
func (t *Tx) Link(ctx context.Context, k identity.Key) (identity.Link, bool, error) {
	l := identity.Link{Kind: k.Kind, Value: k.Value}
	var at int64
	err := t.row(ctx, []any{&l.Participant, &l.Source, &at},
		`SELECT participant, source, at FROM links WHERE kind = $1 AND value = $2`, k.Kind, k.Value)
	l.At = fromMS(at)
	ok, err := found(err)
	return l, ok, err
}

// PutLink implements identity.Tx.
func (t *Tx) PutLink(ctx context.Context, l identity.Link) error {
	return t.exec(ctx, `INSERT INTO links (kind, value, participant, source, at) VALUES ($1, $2, $3, $4, $5)`,
		l.Kind, l.Value, l.Participant, l.Source, ms(l.At))
}

// DropLinks implements identity.Tx.
func (t *Tx) DropLinks(ctx context.Context, p aloud.ParticipantID, kinds ...string) error {
	for _, kind := range kinds {
		if err := t.exec(ctx, `DELETE FROM links WHERE participant = $1 AND kind = $2`, p, kind); err != nil {
			return err
		}
	}
	return nil
}

// EachLink implements audience.Database.
func (s *Store) EachLink(ctx context.Context, fn func(identity.Link) error) error {
	return s.View(ctx, func(tx *Tx) error {
		return tx.each(ctx, func(r *sql.Rows) error {
			var l identity.Link
			var at int64
			if err := r.Scan(&l.Kind, &l.Value, &l.Participant, &l.Source, &at); err != nil {
				return err
			}
			l.At = fromMS(at)
			return fn(l)
		}, `SELECT kind, value, participant, source, at FROM links ORDER BY participant, at`)
	})
}
