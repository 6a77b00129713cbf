package tiles

import (
	"context"
	"log/slog"
	"strings"
)

// newborn lowers one message of Tessera's to debug: that a log which starts has
// no checkpoint yet, which sounds like a fault and is none.
type newborn struct{ slog.Handler }

// Handle implements slog.Handler.
func (h newborn) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "Failed to fetch old checkpoint") &&
		(strings.Contains(r.Message, "file does not exist") || strings.Contains(r.Message, "no such file")) {
		r.Level = slog.LevelDebug
		if !h.Enabled(ctx, r.Level) {
			return nil
		}
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h newborn) WithAttrs(attrs []slog.Attr) slog.Handler {
	return newborn{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h newborn) WithGroup(name string) slog.Handler { return newborn{h.Handler.WithGroup(name)} }
