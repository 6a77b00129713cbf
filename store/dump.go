package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"fmt"
	"io"
	"time"
)

// dumped are the tables of a dump, in order. Dead letters are left out: a
// replay meets keys that were destroyed since, and skips what it could not
// apply then.
var dumped = []struct{ table, query string }{
	{"participants", `SELECT participant, partition_no, forget FROM participants ORDER BY participant`},
	{"receipts", `SELECT participant, hash, seq, handle, sealed FROM receipts ORDER BY participant, seq`},
	{"ended", `SELECT participant, purpose, seq FROM ended ORDER BY participant, purpose`},
	{"links", `SELECT participant, kind, value, source, at FROM links ORDER BY participant, kind, value`},
	{"signals", `SELECT signal, participant, partition_no, digest, expires, handle, sealed FROM signals ORDER BY signal`},
	{"seen", `SELECT id, kind, participant, at FROM seen ORDER BY id`},
	{"event_counts", `SELECT participant, source, name, count, last FROM event_counts ORDER BY participant, source, name`},
	{"weights", `SELECT participant, category, weight, at FROM weights ORDER BY participant, category`},
	{"heard", `SELECT participant, category, stage, partition_no, signal, at, cell FROM heard ORDER BY participant, category, stage`},
	{"rules", `SELECT partition_no, audience, seq, rule FROM rules ORDER BY partition_no, audience`},
	{"members", `SELECT participant, audience, category, stage, signal, heard, until FROM members WHERE until > $1 ORDER BY participant, audience`},
	{"applied", `SELECT partition_no, seq FROM applied ORDER BY partition_no`},
}

// Dump writes what is derived from the stream, one row a line, in an order that
// depends on nothing but the rows. Two databases that were derived from the
// same stream with the same keys write the same. Ciphertexts are written as
// hashes.
func (s *Store) Dump(ctx context.Context, now time.Time, w io.Writer) error {
	return s.View(ctx, func(tx *Tx) error {
		for _, d := range dumped {
			var args []any
			if d.table == "members" {
				args = []any{ms(now)}
			}
			if err := tx.each(ctx, func(r *sql.Rows) error { return dumpRow(w, d.table, r) }, d.query, args...); err != nil {
				return err
			}
		}
		return nil
	})
}

func dumpRow(w io.Writer, table string, r *sql.Rows) error {
	columns, err := r.Columns()
	if err != nil {
		return err
	}
	values, dest := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		dest[i] = &values[i]
	}
	if err := r.Scan(dest...); err != nil {
		return err
	}
	if _, err := fmt.Fprint(w, table); err != nil {
		return err
	}
	for i, v := range values {
		if b, ok := v.([]byte); ok {
			if columns[i] == "sealed" {
				sum := sha256.Sum256(b)
				b = sum[:]
			}
			v = base64.RawURLEncoding.EncodeToString(b)
		}
		if _, err := fmt.Fprintf(w, "\t%s=%v", columns[i], v); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(w)
	return err
}
