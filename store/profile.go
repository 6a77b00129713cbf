package store

import (
	"context"
	"database/sql"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/profile"
)

// Weight implements profile.Tx.
func (t *Tx) Weight(ctx context.Context, p aloud.ParticipantID, c aloud.Category) (profile.Weight, bool, error) {
	w := profile.Weight{Participant: p, Category: c}
	var at int64
	err := t.row(ctx, []any{&w.Value, &at}, `SELECT weight, at FROM weights WHERE participant = $1 AND category = $2`, p, c)
	w.At = fromMS(at)
	ok, err := found(err)
	return w, ok, err
}

// PutWeight implements profile.Tx.
func (t *Tx) PutWeight(ctx context.Context, w profile.Weight) error {
	return t.exec(ctx, `INSERT INTO weights (participant, category, weight, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (participant, category) DO UPDATE SET weight = excluded.weight, at = excluded.at`,
		w.Participant, w.Category, w.Value, ms(w.At))
}

const heardColumns = `participant, category, stage, signal, at, cell`

// Heard implements profile.Tx.
func (t *Tx) Heard(ctx context.Context, p aloud.ParticipantID, c aloud.Category) ([]profile.Heard, error) {
	return t.heard(ctx, `SELECT `+heardColumns+` FROM heard WHERE participant = $1 AND category = $2 ORDER BY stage`, p, c)
}

// HeardOf implements audience.MemberTx.
func (t *Tx) HeardOf(ctx context.Context, p aloud.ParticipantID) ([]profile.Heard, error) {
	return t.heard(ctx, `SELECT `+heardColumns+` FROM heard WHERE participant = $1 ORDER BY category, stage`, p)
}

// HeardIn implements audience.MemberTx.
func (t *Tx) HeardIn(ctx context.Context, partition uint16, c aloud.Category) ([]profile.Heard, error) {
	return t.heard(ctx, `SELECT `+heardColumns+` FROM heard WHERE partition_no = $1 AND category = $2 ORDER BY participant, stage`, partition, c)
}

func (t *Tx) heard(ctx context.Context, query string, args ...any) ([]profile.Heard, error) {
	var all []profile.Heard
	err := t.each(ctx, func(r *sql.Rows) error {
		var h profile.Heard
		var at int64
		if err := r.Scan(&h.Participant, &h.Category, &h.Stage, &h.Signal, &at, &h.Cell); err != nil {
			return err
		}
		h.At = fromMS(at)
		all = append(all, h)
		return nil
	}, query, args...)
	return all, err
}

// PutHeard implements profile.Tx.
func (t *Tx) PutHeard(ctx context.Context, h profile.Heard) error {
	return t.exec(ctx, `INSERT INTO heard (participant, category, stage, partition_no, signal, at, cell)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (participant, category, stage) DO UPDATE SET signal = excluded.signal, at = excluded.at, cell = excluded.cell`,
		h.Participant, h.Category, h.Stage, collector.PartitionOf(h.Participant), h.Signal, ms(h.At), h.Cell)
}

// DropCategory implements profile.Tx.
func (t *Tx) DropCategory(ctx context.Context, p aloud.ParticipantID, c aloud.Category) error {
	if err := t.exec(ctx, `DELETE FROM weights WHERE participant = $1 AND category = $2`, p, c); err != nil {
		return err
	}
	return t.exec(ctx, `DELETE FROM heard WHERE participant = $1 AND category = $2`, p, c)
}

// AddEvent implements profile.Tx.
func (t *Tx) AddEvent(ctx context.Context, e profile.EventCount) error {
	return t.exec(ctx, `INSERT INTO event_counts (participant, source, name, count, last) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (participant, source, name) DO UPDATE SET count = event_counts.count + excluded.count,
			last = CASE WHEN excluded.last > event_counts.last THEN excluded.last ELSE event_counts.last END`,
		e.Participant, e.Source, e.Name, e.Count, ms(e.Last))
}

// Profile reads a participant's weights and behavioural counts.
func (s *Store) Profile(ctx context.Context, p aloud.ParticipantID) (weights []profile.Weight, events []profile.EventCount, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		if err := tx.each(ctx, func(r *sql.Rows) error {
			w := profile.Weight{Participant: p}
			var at int64
			if err := r.Scan(&w.Category, &w.Value, &at); err != nil {
				return err
			}
			w.At = fromMS(at)
			weights = append(weights, w)
			return nil
		}, `SELECT category, weight, at FROM weights WHERE participant = $1 ORDER BY category`, p); err != nil {
			return err
		}
		return tx.each(ctx, func(r *sql.Rows) error {
			e := profile.EventCount{Participant: p}
			var last int64
			if err := r.Scan(&e.Source, &e.Name, &e.Count, &last); err != nil {
				return err
			}
			e.Last = fromMS(last)
			events = append(events, e)
			return nil
		}, `SELECT source, name, count, last FROM event_counts WHERE participant = $1 ORDER BY source, name`, p)
	})
	return weights, events, err
}
