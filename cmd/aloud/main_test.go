package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"aloud.example/aloud/ledger/tiles"
)

// TestMain puts a command "aloud" into the path of every test of this package:
// testscript scripts call it, and tests start it as a child with
// exec.Command("aloud", …) when they need a process that they can kill.
func TestMain(m *testing.M) {
	tiles.UseLogger(slog.New(slog.DiscardHandler)) // servers in this process; a child sets its own
	testscript.Main(m, map[string]func(){"aloud": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := run(ctx, os.Args[1:], &env{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, now: time.Now})
		stop()
		os.Exit(code)
	}})
}
