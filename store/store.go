package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"sort"
	"strings"
	"time"

	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"aloud.example/aloud"
)

//go:embed migrations/*.sql keymigrations/*.sql
var migrations embed.FS

// Config says where a database is.
type Config struct {
	Path    string
	Readers int // connections for reading; 0 counts as 4
	Now     func() time.Time
	Log     *slog.Logger
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	write *sql.DB // one connection, which is writer
	read  *sql.DB
	cfg   Config

	turn   chan struct{} // one token: whose turn it is to write
	writer *sql.Conn
	stmts  map[string]*sql.Stmt // prepared on writer; of whose turn it is
}

const (
	maxStmts  = 512              // prepared statements; the SQL is all constant
	writeWait = 30 * time.Second // for the turn to write
)

// Open opens or makes the database and brings its schema up to date.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	return open(ctx, cfg, "migrations")
}

func open(ctx context.Context, cfg Config, dir string) (*Store, error) {
	if cfg.Path == "" {
		return nil, aloud.Errorf(aloud.EINVALID, "a database needs a path")
	}
	if cfg.Readers == 0 {
		cfg.Readers = 4
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := makePrivate(cfg.Path); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, turn: make(chan struct{}, 1), stmts: map[string]*sql.Stmt{}}
	var err error
	if s.write, err = sql.Open("sqlite", dsn(cfg.Path, false)); err != nil {
		return nil, wrap(err)
	}
	s.write.SetMaxOpenConns(1)
	if s.writer, err = s.write.Conn(ctx); err != nil {
		return nil, errors.Join(wrap(err), s.Close())
	}
	if s.read, err = sql.Open("sqlite", dsn(cfg.Path, true)); err != nil {
		return nil, errors.Join(wrap(err), s.Close())
	}
	s.read.SetMaxOpenConns(cfg.Readers)
	s.read.SetMaxIdleConns(cfg.Readers)
	if err := s.migrate(ctx, dir); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// makePrivate makes the file, readable by its owner alone.
func makePrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "cannot open the database: %w", err)
	}
	return f.Close()
}

func dsn(path string, readOnly bool) string {
	q := url.Values{}
	pragmas := []string{
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)",
		"secure_delete(ON)", "foreign_keys(ON)", "temp_store(MEMORY)",
		"journal_size_limit(16777216)",
	}
	if readOnly {
		pragmas = append(pragmas, "query_only(ON)")
	}
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// migrate applies the files of a folder that were not applied before, in the
// order of their names, each in a transaction.
func (s *Store) migrate(ctx context.Context, dir string) error {
	names, err := fs.Glob(migrations, dir+"/*.sql")
	if err != nil || len(names) == 0 {
		return aloud.Errorf(aloud.EINTERNAL, "the database's schema is not in this build")
	}
	sort.Strings(names)
	err = s.Update(ctx, func(tx *Tx) error {
		return tx.exec(ctx, `CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, at BIGINT NOT NULL)`)
	})
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, name := range names {
		known[strings.TrimPrefix(name, dir+"/")] = true
		if err := s.migrateOne(ctx, dir, strings.TrimPrefix(name, dir+"/")); err != nil {
			return err
		}
	}
	return s.View(ctx, func(tx *Tx) error {
		return tx.each(ctx, func(r *sql.Rows) error {
			var name string
			if err := r.Scan(&name); err != nil {
				return err
			}
			if !known[name] {
				return aloud.Errorf(aloud.EINVALID, "the database was made by a newer Aloud (it has %s); use that version", name)
			}
			return nil
		}, `SELECT name FROM migrations`)
	})
}

func (s *Store) migrateOne(ctx context.Context, dir, name string) error {
	text, err := migrations.ReadFile(dir + "/" + name)
	if err != nil {
		return aloud.Errorf(aloud.EINTERNAL, "reading the schema: %w", err)
	}
	return s.Update(ctx, func(tx *Tx) error {
		var done int
		if err := tx.row(ctx, []any{&done}, `SELECT COUNT(*) FROM migrations WHERE name = $1`, name); err != nil || done > 0 {
			return err
		}
		for _, stmt := range statements(string(text)) {
			if _, err := tx.conn.ExecContext(ctx, stmt); err != nil {
				return aloud.Errorf(aloud.EINTERNAL, "bringing the schema up to date with %s: %w", name, err)
			}
		}
		return tx.exec(ctx, `INSERT INTO migrations (name, at) VALUES ($1, $2)`, name, s.cfg.Now().UnixMilli())
	})
}

// statements splits a schema file, which has no semicolon inside a statement.
func statements(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "--") {
			lines = append(lines, line)
		}
	}
	var out []string
	for _, s := range strings.Split(strings.Join(lines, ""), ";") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// Close waits for the writer and closes the database.
func (s *Store) Close() error {
	s.turn <- struct{}{} // never given back: nobody writes any more
	var errs []error
	for _, stmt := range s.stmts {
		errs = append(errs, stmt.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.Close())
	}
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// Update runs fn in the one writing transaction. It commits if fn returns nil,
// and is on disk then.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	defer func() { <-s.turn }()
	if _, err := s.writer.ExecContext(ctx, `BEGIN IMMEDIATE`); err != nil {
		return wrap(err)
	}
	done := false
	defer func() {
		if !done { // fn failed, or panicked
			_, _ = s.writer.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`)
		}
	}()
	if err := fn(&Tx{conn: s.writer, stmts: s.stmts}); err != nil {
		return err
	}
	// Not ended by ctx: a commit is whole or not at all.
	if _, err := s.writer.ExecContext(context.WithoutCancel(ctx), `COMMIT`); err != nil {
		return wrap(err)
	}
	done = true
	return nil
}

// take waits for the turn to write.
func (s *Store) take(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	default:
	}
	limit := time.NewTimer(writeWait)
	defer limit.Stop()
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-limit.C:
		return aloud.Errorf(aloud.EUNAVAILABLE, "the database is busy or closed")
	case <-ctx.Done():
		return wrap(ctx.Err())
	}
}

// View runs fn in a reading transaction, which sees one moment.
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return wrap(err)
	}
	defer func() { _ = tx.Rollback() }()
	return fn(&Tx{conn: tx})
}

// Truncate moves the write-ahead log into the database and empties it.
// EUNAVAILABLE means that a reader was in the way.
func (s *Store) Truncate(ctx context.Context) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	defer func() { <-s.turn }()
	var busy, log, moved int
	if err := s.writer.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &log, &moved); err != nil {
		return wrap(err)
	}
	if busy != 0 {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the database's log could not be emptied: somebody is reading")
	}
	return nil
}

// truncate is Truncate that waits for readers to be out of the way.
func (s *Store) truncate(ctx context.Context) error {
	var err error
	for range 40 {
		if err = s.Truncate(ctx); aloud.ErrorCode(err) != aloud.EUNAVAILABLE {
			return err
		}
		select {
		case <-time.After(25 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
	return err
}

// Check asks the engine whether the database is whole.
func (s *Store) Check(ctx context.Context) error {
	var answer string
	if err := s.read.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&answer); err != nil {
		return wrap(err)
	}
	if answer != "ok" {
		return aloud.Errorf(aloud.EINTERNAL, "the database is damaged (%s); restore a backup and start again", answer)
	}
	return nil
}

// wrap gives an engine's error its code: EUNAVAILABLE where trying again may
// help, ECONFLICT for a row that is there already.
func wrap(err error) error {
	if err == nil {
		return nil
	}
	if aloud.ErrorCode(err) != aloud.EINTERNAL {
		return err
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the database: %w", err)
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL,
			sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PROTOCOL:
			return aloud.Errorf(aloud.EUNAVAILABLE, "the database: %w", err)
		case sqlite3.SQLITE_CONSTRAINT:
			return aloud.Errorf(aloud.ECONFLICT, "the database has such a row already: %w", err)
		}
	}
	return aloud.Errorf(aloud.EINTERNAL, "the database: %w", err)
}
