package store

import "context"

// Pragma reads a setting of the engine, as the writer has it.
func (s *Store) Pragma(ctx context.Context, name string) (value string, err error) {
	err = s.Update(ctx, func(tx *Tx) error {
		return tx.row(ctx, []any{&value}, `SELECT * FROM pragma_`+name)
	})
	return value, err
}
