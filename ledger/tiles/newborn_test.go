package tiles_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"aloud.example/aloud/ledger/tiles"
)

// TestAFirstStartIsNoFault opens a new log and reads what is logged.
func TestAFirstStartIsNoFault(t *testing.T) {
	var out bytes.Buffer
	tiles.UseLogger(slog.New(slog.NewTextHandler(&out, nil)))
	l := open(t, t.TempDir(), newKeys(t))
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	tiles.UseLogger(slog.New(slog.DiscardHandler))
	if strings.Contains(out.String(), "Failed") || !strings.Contains(out.String(), "from=tessera") {
		t.Errorf("the first start logs:\n%s", out.String())
	}
}
