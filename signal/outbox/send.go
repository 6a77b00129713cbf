package outbox

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/signal"
	"aloud.example/aloud/signal/uplink"
)

// Server is what an outbox sends to; uplink.Client is one.
type Server interface {
	Signals(ctx context.Context, tokens []string) ([]uplink.Result, error)
	Withdraw(ctx context.Context, token string) error
	Erase(ctx context.Context, token string) error
}

// The times of sending.
const (
	poll       = time.Second      // another process may have added or withdrawn
	firstRetry = time.Second      // after a failure, doubled with jitter each time
	lastRetry  = 5 * time.Minute  // and never longer than this, unless the server asks
	oneRetry   = 15 * time.Second // before one signal is tried again that the server took for too early
)

// Run sends what is due until ctx ends, and returns nil then. A failure of the
// server or the network is tried again with growing pauses; a failure of the
// disk ends it.
func (o *Outbox) Run(ctx context.Context, to Server) error {
	pause := retries()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next := poll
		done, err := o.Step(ctx, to)
		switch {
		case ctx.Err() != nil:
			return nil
		case temporary(err):
			next = wait(pause, err)
			o.config.Log.InfoContext(ctx, "the server can't be reached; trying again", "in", next.Round(time.Millisecond), "err", err)
		case err != nil:
			return err
		default:
			pause.Reset()
			next = min(next, done.Next)
		}
		timer.Reset(next)
		wake := o.wake
		if err != nil {
			wake = nil // a new signal is no reason to press a server that is away
		}
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-wake:
		}
	}
}

func retries() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier, b.RandomizationFactor = firstRetry, lastRetry, 2, 0.5
	b.Reset()
	return b
}

// wait is the pause after a failure: never less than the server asked for.
func wait(b *backoff.ExponentialBackOff, err error) time.Duration {
	next := b.NextBackOff()
	if asked, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); ok {
		next = max(next, asked.RetryAfter())
	}
	return next
}

// temporary reports whether the same request may succeed another time.
func temporary(err error) bool {
	switch aloud.ErrorCode(err) {
	case aloud.EUNAVAILABLE, aloud.ELIMITED, aloud.EPENDING, aloud.ETOOEARLY:
		return true
	}
	return false
}

// Done is what one Step did.
type Done struct {
	Told, Accepted, Refused int
	Next                    time.Duration // until there may be more to do; 0 if there is now
}

// Step tells the server of withdrawals, then signs what is due and sends one
// batch. An error leaves everything as it was, to be tried again.
func (o *Outbox) Step(ctx context.Context, to Server) (Done, error) {
	var d Done
	var err error
	if d.Told, err = o.Tell(ctx, to); err != nil {
		return d, err
	}
	batch, err := o.release(ctx)
	if err != nil {
		return d, err
	}
	d.Refused += batch.refused
	if len(batch.tokens) > 0 {
		if err := o.send(ctx, to, batch, &d); err != nil {
			return d, err
		}
	}
	d.Next, err = o.next(ctx)
	return d, err
}

// send sends one batch and keeps the answers. If the server won't read the
// batch as a whole, each signal is sent by itself, so that one of them can't
// hold up the others.
func (o *Outbox) send(ctx context.Context, to Server, b batch, d *Done) error {
	results, err := to.Signals(ctx, b.tokens)
	if err != nil && temporary(err) {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && len(b.tokens) > 1 {
		for i := range b.tokens {
			if err := o.send(ctx, to, batch{ids: b.ids[i : i+1], tokens: b.tokens[i : i+1]}, d); err != nil {
				return err
			}
		}
		return nil
	}
	if err != nil {
		return o.answered(ctx, b.ids, []error{err}, d)
	}
	reasons := make([]error, len(b.ids))
	for i, r := range results {
		if r.ID != "" && r.ID != b.ids[i] {
			return aloud.Errorf(aloud.EUNAVAILABLE, "the server answered for other signals than it was sent; they will be sent again")
		}
		reasons[i] = r.Err()
	}
	return o.answered(ctx, b.ids, reasons, d)
}

// batch is what one request carries.
type batch struct {
	ids     []aloud.SignalID
	tokens  []string
	refused int
}

// release signs what is due, puts the tokens on disk, and returns a batch of
// them. A signal that has a token keeps it for ever.
func (o *Outbox) release(ctx context.Context) (b batch, err error) {
	now := o.config.Now()
	err = inTx(ctx, o.db, func(tx *sql.Tx) error {
		b = batch{}
		// A clock that was set back must not make a signal wait for years.
		if _, err := tx.ExecContext(ctx, "UPDATE signal SET due = ?1 + ?2 WHERE state = 'waiting' AND due > ?1 + ?2 + 3600000",
			now.UnixMilli(), o.config.Wait.Milliseconds()); err != nil {
			return damaged(err)
		}
		due, err := dueNow(ctx, tx, now)
		if err != nil {
			return err
		}
		for _, row := range due {
			token, err := o.token(ctx, tx, row, now)
			if err != nil {
				if aloud.ErrorCode(err) == aloud.EINTERNAL {
					return err
				}
				b.refused++
				if err := finish(ctx, tx, row.id, Refused, now, err); err != nil {
					return err
				}
				continue
			}
			if _, err := tx.ExecContext(ctx, "UPDATE signal SET tries = tries + 1 WHERE id = ?", row.id); err != nil {
				return damaged(err)
			}
			b.ids, b.tokens = append(b.ids, row.id), append(b.tokens, token)
		}
		if b.refused > 0 {
			return trim(ctx, tx)
		}
		return nil
	})
	return b, err
}

type dueRow struct {
	id      aloud.SignalID
	body    []byte
	token   sql.NullString
	expires sql.NullInt64
}

func dueNow(ctx context.Context, tx *sql.Tx, now time.Time) (due []dueRow, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT id, body, token, expires FROM signal
		WHERE state IN ('waiting', 'signed') AND due <= ? ORDER BY due, id LIMIT ?`, now.UnixMilli(), uplink.MaxBatch)
	if err != nil {
		return nil, damaged(err)
	}
	defer rows.Close()
	for rows.Next() {
		var r dueRow
		if err := rows.Scan(&r.id, &r.body, &r.token, &r.expires); err != nil {
			return nil, damaged(err)
		}
		due = append(due, r)
	}
	return due, damaged(rows.Err())
}

// token returns the one token of a row, which it makes if the signal's wait is
// just over. Signing needs the grant again, in force now.
func (o *Outbox) token(ctx context.Context, tx *sql.Tx, r dueRow, now time.Time) (string, error) {
	if r.token.Valid {
		if now.UnixMilli() >= r.expires.Int64 {
			return "", aloud.Errorf(aloud.EEXPIRED, "the signal could not be sent within %d days", int(signal.MaxLife.Hours()/24))
		}
		return r.token.String, nil
	}
	if o.config.Grant == nil || o.config.Key == nil {
		return "", aloud.Errorf(aloud.EFORBIDDEN, "this device holds no consent to share signals any more")
	}
	g, err := o.config.Grant(now)
	if err != nil {
		return "", err
	}
	if err := withdrawn(ctx, tx, g.Receipt(), consent.PurposeListen, consent.PurposeShareSignals); err != nil {
		return "", err
	}
	p, err := signal.Restore(g, r.body)
	if err != nil {
		return "", err
	}
	token, err := p.Sign(o.config.Key, now)
	if err != nil {
		return "", err
	}
	_, err = tx.ExecContext(ctx, "UPDATE signal SET state = 'signed', token = ?, expires = ?, changed = ? WHERE id = ? AND token IS NULL",
		token, now.Add(signal.MaxLife).UnixMilli(), now.UnixMilli(), r.id)
	return token, damaged(err)
}

// answered keeps the server's answers: nil is accepted, a temporary error is
// tried again, and any other is final.
func (o *Outbox) answered(ctx context.Context, ids []aloud.SignalID, reasons []error, d *Done) error {
	now := o.config.Now()
	// The server has answered: that is kept even if the caller gives up now.
	ctx = context.WithoutCancel(ctx)
	return inTx(ctx, o.db, func(tx *sql.Tx) error {
		for i, id := range ids {
			var err error
			switch reason := reasons[i]; {
			case reason == nil:
				d.Accepted++
				err = finish(ctx, tx, id, Accepted, now, nil)
			case temporary(reason):
				_, err = tx.ExecContext(ctx, "UPDATE signal SET due = ?, code = ?, reason = ? WHERE id = ?",
					now.Add(oneRetry).UnixMilli(), aloud.ErrorCode(reason), reason.Error(), id)
			default:
				d.Refused++
				o.config.Log.WarnContext(ctx, "the server refused a signal", "id", id, "err", reason)
				err = finish(ctx, tx, id, Refused, now, reason)
			}
			if err != nil {
				return damaged(err)
			}
		}
		return trim(ctx, tx)
	})
}

// trim forgets the oldest of what is over.
func trim(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM signal WHERE state IN ('accepted', 'refused') AND id NOT IN
		(SELECT id FROM signal WHERE state IN ('accepted', 'refused') ORDER BY changed DESC, id LIMIT ?)`, kept)
	return damaged(err)
}

// finish ends a signal's way; its token is of no more use here.
func finish(ctx context.Context, tx *sql.Tx, id aloud.SignalID, s State, now time.Time, reason error) error {
	text := ""
	if reason != nil {
		text = reason.Error()
	}
	_, err := tx.ExecContext(ctx, "UPDATE signal SET state = ?, token = NULL, changed = ?, code = ?, reason = ? WHERE id = ?",
		s, now.UnixMilli(), aloud.ErrorCode(reason), text, id)
	return damaged(err)
}

// next is how long nothing is due.
func (o *Outbox) next(ctx context.Context) (time.Duration, error) {
	var due sql.NullInt64
	err := o.db.QueryRowContext(ctx, "SELECT min(due) FROM signal WHERE state IN ('waiting', 'signed')").Scan(&due)
	if err != nil {
		return 0, damaged(err)
	}
	if !due.Valid {
		return poll, nil
	}
	return max(time.UnixMilli(due.Int64).Sub(o.config.Now()), 0), nil
}
