package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"aloud.example/aloud"
)

// Tx is one transaction. It is of one goroutine, and only until the function it
// was given to returns.
type Tx struct {
	conn  querier
	stmts map[string]*sql.Stmt // the writer's; nil for a reader
}

// querier is a connection or a transaction of database/sql.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// stmt prepares a writer's statement once. It is nil for a reader, whose
// connections come and go.
func (t *Tx) stmt(ctx context.Context, query string) (*sql.Stmt, error) {
	if t.stmts == nil {
		return nil, nil //nolint:nilnil // no statement is an answer
	}
	if stmt := t.stmts[query]; stmt != nil {
		return stmt, nil
	}
	if len(t.stmts) >= maxStmts {
		return nil, nil //nolint:nilnil // as above
	}
	stmt, err := t.conn.PrepareContext(ctx, query)
	if err == nil {
		t.stmts[query] = stmt
	}
	return stmt, err
}

func (t *Tx) exec(ctx context.Context, query string, args ...any) error {
	_, err := t.change(ctx, query, args...)
	return err
}

// change is exec that says how many rows it changed.
func (t *Tx) change(ctx context.Context, query string, args ...any) (int64, error) {
	stmt, err := t.stmt(ctx, query)
	if err != nil {
		return 0, wrap(err)
	}
	var r sql.Result
	if stmt != nil {
		r, err = stmt.ExecContext(ctx, args...)
	} else {
		r, err = t.conn.ExecContext(ctx, query, args...)
	}
	if err != nil {
		return 0, wrap(err)
	}
	n, err := r.RowsAffected()
	return n, wrap(err)
}

func (t *Tx) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	stmt, err := t.stmt(ctx, query)
	if err != nil {
		return nil, wrap(err)
	}
	if stmt != nil {
		return stmt.QueryContext(ctx, args...)
	}
	return t.conn.QueryContext(ctx, query, args...)
}

// row reads one row into dest. It returns errNoRow if there is none.
func (t *Tx) row(ctx context.Context, dest []any, query string, args ...any) error {
	rows, err := t.query(ctx, query, args...)
	if err != nil {
		return wrap(err)
	}
	err = errNoRow
	if rows.Next() {
		err = rows.Scan(dest...)
	}
	if e := errors.Join(rows.Err(), rows.Close()); e != nil {
		err = e
	}
	if errors.Is(err, errNoRow) {
		return errNoRow
	}
	return wrap(err)
}

// errNoRow is what row returns; stages say what was looked for.
var errNoRow = aloud.Errorf(aloud.ENOTFOUND, "there is no such row")

// found turns "no such row" into false.
func found(err error) (bool, error) {
	if errors.Is(err, errNoRow) {
		return false, nil
	}
	return err == nil, err
}

// each calls fn with each row, whose values it scans.
func (t *Tx) each(ctx context.Context, fn func(*sql.Rows) error, query string, args ...any) error {
	rows, err := t.query(ctx, query, args...)
	if err != nil {
		return wrap(err)
	}
	for rows.Next() {
		if err := fn(rows); err != nil {
			return errors.Join(wrap(err), rows.Close())
		}
	}
	return wrap(errors.Join(rows.Err(), rows.Close()))
}

// next counts up: 1, 2, 3 …; what was counted for nothing is left out.
func (t *Tx) next(ctx context.Context, counter string) (int64, error) {
	var n int64
	err := t.row(ctx, []any{&n}, `INSERT INTO counters (name, value) VALUES ($1, 1)
		ON CONFLICT (name) DO UPDATE SET value = counters.value + 1 RETURNING value`, counter)
	return n, err
}

// Try runs fn so that its changes are undone if it fails, and only they.
func (t *Tx) Try(ctx context.Context, fn func() error) error {
	if err := t.exec(ctx, `SAVEPOINT attempt`); err != nil {
		return err
	}
	if err := fn(); err != nil {
		if undo := t.exec(context.WithoutCancel(ctx), `ROLLBACK TO SAVEPOINT attempt`); undo != nil {
			return aloud.Errorf(aloud.EUNAVAILABLE, "a failed change could not be undone: %w", undo)
		}
		if undo := t.exec(context.WithoutCancel(ctx), `RELEASE SAVEPOINT attempt`); undo != nil {
			return aloud.Errorf(aloud.EUNAVAILABLE, "a failed change could not be undone: %w", undo)
		}
		return err
	}
	return t.exec(ctx, `RELEASE SAVEPOINT attempt`)
}

// ms is how times are kept.
func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMS(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

// hash reads 32 bytes.
func hash(b []byte) (h aloud.Hash) {
	copy(h[:], b)
	return h
}

// null keeps an empty text as NULL.
func null[T ~string](s T) any {
	if s == "" {
		return nil
	}
	return string(s)
}
