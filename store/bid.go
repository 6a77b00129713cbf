package store

import (
	"context"
	"database/sql"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/bid"
	"aloud.example/aloud/campaign"
)

// AddBids implements bid.Journal.
func (s *Store) AddBids(ctx context.Context, rows []bid.Row) error {
	return s.Update(ctx, func(tx *Tx) error {
		for _, r := range rows {
			err := tx.exec(ctx, `INSERT INTO bids (bid, at, day, participant, audience, signal, rule, advertiser, campaign, line, creative, cpm,
				state, charged, billed_at, recorded) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, 0, 0)
				ON CONFLICT (bid) DO NOTHING`,
				r.ID, ms(r.At), r.Day(), r.Participant, r.Audience, r.Signal, r.Rule, r.Advertiser, r.Campaign, r.Line, r.Creative, r.CPM, r.State)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

const bidColumns = `bid, at, participant, audience, signal, rule, advertiser, campaign, line, creative, cpm, state, charged, billed_at, recorded`

func (t *Tx) bids(ctx context.Context, query string, args ...any) (all []bid.Row, err error) {
	err = t.each(ctx, func(r *sql.Rows) error {
		var b bid.Row
		var at, billed int64
		var recorded int
		err := r.Scan(&b.ID, &at, &b.Participant, &b.Audience, &b.Signal, &b.Rule, &b.Advertiser, &b.Campaign, &b.Line, &b.Creative,
			&b.CPM, &b.State, &b.Charged, &billed, &recorded)
		if err != nil {
			return err
		}
		b.At, b.BilledAt, b.Recorded = fromMS(at), fromMS(billed), recorded != 0
		all = append(all, b)
		return nil
	}, `SELECT `+bidColumns+` FROM bids `+query, args...)
	return all, err
}

// Bid implements bid.Journal.
func (s *Store) Bid(ctx context.Context, id aloud.BidID) (bid.Row, error) {
	var all []bid.Row
	err := s.View(ctx, func(tx *Tx) (err error) {
		all, err = tx.bids(ctx, `WHERE bid = $1`, id)
		return err
	})
	if err != nil {
		return bid.Row{}, err
	}
	if len(all) == 0 {
		return bid.Row{}, aloud.Errorf(aloud.ENOTFOUND, "there is no bid %s", id)
	}
	return all[0], nil
}

// WinBid implements bid.Journal.
func (s *Store) WinBid(ctx context.Context, id aloud.BidID, price campaign.Micros) error {
	return s.Update(ctx, func(tx *Tx) error {
		return tx.exec(ctx, `UPDATE bids SET state = 'won', charged = $1 WHERE bid = $2 AND state = 'open'`, price, id)
	})
}

// BillBid implements bid.Journal.
func (s *Store) BillBid(ctx context.Context, id aloud.BidID, price campaign.Micros, at time.Time) (first bool, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		n, err := tx.change(ctx, `UPDATE bids SET state = 'billed', charged = $1, billed_at = $2 WHERE bid = $3 AND state <> 'billed'`, price, ms(at), id)
		if err != nil || n == 0 {
			return err
		}
		first = true
		return tx.exec(ctx, `INSERT INTO line_days (line, day, leased, spent) SELECT line, day, $1, $1 FROM bids WHERE bid = $2
			ON CONFLICT (line, day) DO UPDATE SET spent = line_days.spent + excluded.spent`, price.Each(), id)
	})
	return first, err
}

// SetRecorded implements bid.Journal.
func (s *Store) SetRecorded(ctx context.Context, id aloud.BidID) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.exec(ctx, `UPDATE bids SET recorded = 1 WHERE bid = $1`, id) })
}

// Unrecorded implements bid.Journal.
func (s *Store) Unrecorded(ctx context.Context, limit int) (all []bid.Row, err error) {
	err = s.View(ctx, func(tx *Tx) (err error) {
		all, err = tx.bids(ctx, `WHERE state = 'billed' AND recorded = 0 ORDER BY at LIMIT $1`, limit)
		return err
	})
	return all, err
}

// Recover implements bid.Purse.
func (s *Store) Recover(ctx context.Context, day string, since time.Time) (all []bid.Row, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		err := tx.exec(ctx, `UPDATE line_days SET leased = spent + (SELECT COALESCE(SUM(cpm), 0) FROM bids
			WHERE bids.line = line_days.line AND bids.day = line_days.day AND bids.state <> 'billed' AND bids.at >= $1)`, ms(since))
		if err != nil {
			return err
		}
		all, err = tx.bids(ctx, `WHERE day = $1 OR at >= $2 ORDER BY at, bid`, day, ms(since))
		return err
	})
	return all, err
}

// Lease implements bid.Purse.
func (s *Store) Lease(ctx context.Context, line aloud.LineID, day string, want, limit campaign.Nanos) (got campaign.Nanos, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		var leased campaign.Nanos
		_, err := found(tx.row(ctx, []any{&leased}, `SELECT leased FROM line_days WHERE line = $1 AND day = $2`, line, day))
		if err != nil {
			return err
		}
		if got = max(0, min(want, limit-leased)); got == 0 {
			return nil
		}
		return tx.exec(ctx, `INSERT INTO line_days (line, day, leased, spent) VALUES ($1, $2, $3, 0)
			ON CONFLICT (line, day) DO UPDATE SET leased = line_days.leased + excluded.leased`, line, day, got)
	})
	return got, err
}

// Spent is what a line spent on a day.
func (s *Store) Spent(ctx context.Context, line aloud.LineID, day string) (n campaign.Nanos, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		_, err := found(tx.row(ctx, []any{&n}, `SELECT spent FROM line_days WHERE line = $1 AND day = $2`, line, day))
		return err
	})
	return n, err
}
