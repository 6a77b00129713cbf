package outbox

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
)

// Withdraw ends a purpose on this device at once: one transaction records it,
// drops every signal it covers, signed ones included, and queues the token for
// the server. Ending listen or share_signals covers the signals made under
// that receipt.
func (o *Outbox) Withdraw(ctx context.Context, token string) error {
	w, err := consent.PeekWithdrawal(token)
	if err != nil {
		return err
	}
	err = inTx(ctx, o.db, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, "INSERT INTO ended (receipt, purpose, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
			w.Receipt.String(), w.Purpose, w.At.UnixMilli())
		if err != nil {
			return damaged(err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return damaged(err) // withdrawn before: the server is told by the first token
		}
		if w.Purpose == consent.PurposeListen || w.Purpose == consent.PurposeShareSignals {
			if _, err := tx.ExecContext(ctx, "DELETE FROM signal WHERE receipt = ? AND state IN ('waiting', 'signed')", w.Receipt.String()); err != nil {
				return damaged(err)
			}
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO ending (kind, token, state) VALUES ('withdrawal', ?, 'queued')", token)
		return damaged(err)
	})
	o.poke()
	return err
}

// Erase drops everything this device knows and queues the erasure for the
// server. What was deleted is overwritten on the disk.
func (o *Outbox) Erase(ctx context.Context, token string) error {
	if _, err := consent.PeekErasure(token); err != nil {
		return err
	}
	err := inTx(ctx, o.db, func(tx *sql.Tx) error {
		for _, statement := range []string{"DELETE FROM signal", "DELETE FROM ending"} {
			if _, err := tx.ExecContext(ctx, statement); err != nil {
				return damaged(err)
			}
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO ending (kind, token, state) VALUES ('erasure', ?, 'queued')", token)
		return damaged(err)
	})
	if err != nil {
		return err
	}
	_, err = o.db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	o.poke()
	return damaged(err)
}

// Erased reports whether an erasure was begun on this device.
func (o *Outbox) Erased(ctx context.Context) (begun bool, err error) {
	err = o.db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM ending WHERE kind = 'erasure')").Scan(&begun)
	return begun, damaged(err)
}

// Check returns nil if the grant was not withdrawn on this device, and no
// erasure was begun. It says nothing about the grant's time; see Grant.At.
func (o *Outbox) Check(ctx context.Context, g consent.Grant) error {
	if g.IsZero() {
		return aloud.Errorf(aloud.EFORBIDDEN, "nobody agreed to this: there is no grant")
	}
	return withdrawn(ctx, o.db, g.Receipt(), g.Purpose())
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// withdrawn refuses if one of the purposes of a receipt was ended.
func withdrawn(ctx context.Context, in querier, receipt aloud.Hash, purposes ...consent.Purpose) error {
	rows, err := in.QueryContext(ctx, `SELECT purpose FROM ended WHERE receipt = ?
		UNION ALL SELECT '' FROM ending WHERE kind = 'erasure'`, receipt.String())
	if err != nil {
		return damaged(err)
	}
	defer rows.Close()
	for rows.Next() {
		var p consent.Purpose
		if err := rows.Scan(&p); err != nil {
			return damaged(err)
		}
		if p == "" {
			return aloud.Errorf(aloud.EFORBIDDEN, "this device's data was erased; to take part again run: aloud enrol --server URL")
		}
		if slices.Contains(purposes, p) {
			return aloud.Errorf(aloud.EFORBIDDEN, "the consent to %s was withdrawn; to give it again run: aloud enrol --renew", p)
		}
	}
	return damaged(rows.Err())
}

// Untold is a withdrawal or an erasure that the server does not know of yet, or
// did not take.
type Untold struct {
	Kind   string // "withdrawal" or "erasure"
	Reason string // why the server did not take it; "" while it is tried
}

// Untold returns what the server must yet be told, oldest first.
func (o *Outbox) Untold(ctx context.Context) ([]Untold, error) {
	rows, err := o.db.QueryContext(ctx, "SELECT kind, reason FROM ending WHERE state <> 'done' ORDER BY seq")
	if err != nil {
		return nil, damaged(err)
	}
	defer rows.Close()
	var list []Untold
	for rows.Next() {
		var u Untold
		if err := rows.Scan(&u.Kind, &u.Reason); err != nil {
			return nil, damaged(err)
		}
		list = append(list, u)
	}
	return list, damaged(rows.Err())
}

// Tell sends what the server must be told, oldest first, and stops at the first
// that has to be tried again.
func (o *Outbox) Tell(ctx context.Context, to Server) (told int, err error) {
	for {
		var seq int64
		var kind, token string
		err := o.db.QueryRowContext(ctx, "SELECT seq, kind, token FROM ending WHERE state = 'queued' ORDER BY seq LIMIT 1").Scan(&seq, &kind, &token)
		if errors.Is(err, sql.ErrNoRows) {
			return told, nil
		}
		if err != nil {
			return told, damaged(err)
		}
		send := to.Withdraw
		if kind == "erasure" {
			send = to.Erase
		}
		state, reason := "done", ""
		switch err := send(ctx, token); {
		case err == nil, aloud.ErrorCode(err) == aloud.ECONFLICT, kind == "erasure" && aloud.ErrorCode(err) == aloud.ENOTFOUND:
			told++ // or the server knew already, or never knew the participant
		case temporary(err):
			return told, err
		default:
			state, reason = "refused", err.Error()
			o.config.Log.WarnContext(ctx, "the server did not take a "+kind, "err", err)
		}
		if _, err := o.db.ExecContext(ctx, "UPDATE ending SET state = ?, reason = ? WHERE seq = ?", state, reason, seq); err != nil {
			return told, damaged(err)
		}
	}
}
