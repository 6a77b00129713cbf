package outbox

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"aloud.example/aloud"
)

// version is the schema's, kept in the file's user_version.
const version = 1

// Times are Unix milliseconds. body is a signal.Pending, encoded: closed fields,
// no words. ended is what was withdrawn; ending is what the server must yet be
// told.
const schema = `
CREATE TABLE signal (
	id       TEXT    PRIMARY KEY,
	receipt  TEXT    NOT NULL,
	state    TEXT    NOT NULL CHECK (state IN ('waiting', 'signed', 'accepted', 'refused')),
	body     BLOB    NOT NULL,
	added    INTEGER NOT NULL,
	due      INTEGER NOT NULL,
	token    TEXT,
	expires  INTEGER,
	tries    INTEGER NOT NULL DEFAULT 0,
	changed  INTEGER NOT NULL,
	code     TEXT    NOT NULL DEFAULT '',
	reason   TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX signal_due ON signal (state, due);
CREATE TABLE ended (
	receipt TEXT    NOT NULL,
	purpose TEXT    NOT NULL,
	at      INTEGER NOT NULL,
	PRIMARY KEY (receipt, purpose)
) STRICT;
CREATE TABLE ending (
	seq    INTEGER PRIMARY KEY AUTOINCREMENT,
	kind   TEXT    NOT NULL CHECK (kind IN ('withdrawal', 'erasure')),
	token  TEXT    NOT NULL UNIQUE,
	state  TEXT    NOT NULL CHECK (state IN ('queued', 'done', 'refused')),
	reason TEXT    NOT NULL DEFAULT ''
) STRICT;
`

// open opens or makes the file, readable by its owner alone. Every commit is on
// the disk when it returns (synchronous=FULL), and deleted rows are overwritten.
func open(ctx context.Context, path string) (*sql.DB, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "open the outbox: %w", pathless(err))
	}
	if err := f.Close(); err != nil {
		return nil, aloud.Errorf(aloud.EINTERNAL, "open the outbox: %w", pathless(err))
	}
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "secure_delete(ON)"},
	}.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, damaged(err)
	}
	db.SetMaxOpenConns(1)
	if err := migrate(ctx, db); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

func migrate(ctx context.Context, db *sql.DB) error {
	return inTx(ctx, db, func(tx *sql.Tx) error {
		var have int
		if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&have); err != nil {
			return damaged(err)
		}
		switch {
		case have == version:
			return nil
		case have > version:
			return aloud.Errorf(aloud.EINVALID, "the outbox was written by a newer version of Aloud; install that")
		}
		if _, err := tx.ExecContext(ctx, schema+"PRAGMA user_version = 1;"); err != nil {
			return damaged(err)
		}
		return nil
	})
}

// inTx runs f in one transaction that excludes other writers from its start.
func inTx(ctx context.Context, db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return damaged(err)
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback()
		return err
	}
	if err := tx.Commit(); err != nil {
		return damaged(err)
	}
	return nil
}

// damaged wraps an error of the database; context errors stay what they are.
func damaged(err error) error {
	if err == nil || aloud.ErrorCode(err) != aloud.EINTERNAL ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return aloud.Errorf(aloud.EINTERNAL, "the outbox can't be read or written (%w); if this goes on, check the disk, or move outbox.db away and what waits in it is lost", err)
}

// pathless drops the path from an error of the file system.
func pathless(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
