// Command aloud is the one binary: the device's commands, the server and the
// tools that measure and check both. This package only wires; what a command
// does lives in the stage it belongs to.
//
// A build with CGO_ENABLED=0 is the server: it has none of the commands that
// hear (see device.go), and links no audio, model or intent package.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"aloud.example/aloud"
)

// env is the world a command sees, so that a test can give it another.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], &env{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, now: time.Now})
	stop()
	os.Exit(code)
}

// run executes one command line and returns its exit status.
func run(ctx context.Context, args []string, e *env) int {
	root := rootCommand(e)
	root.SetArgs(args)
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	status := exitStatus(err)
	if _, silent := errors.AsType[*exitError](err); silent {
		return status
	}
	if status == interrupted {
		err = errors.New("interrupted")
	}
	fmt.Fprintf(e.stderr, "aloud: %v\n", err)
	return status
}

// interrupted is the status of a command that a person stopped.
const interrupted = 130

// exitError ends a command with a status after it has said all there is to say.
type exitError struct{ status int }

func (e *exitError) Error() string { return fmt.Sprintf("exit status %d", e.status) }

// exitStatus maps error codes to exit statuses: 2 for what the caller can mend
// in the call itself (input, flags, files named), 1 for everything else.
func exitStatus(err error) int {
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.status
	}
	if coded, ok := errors.AsType[*aloud.Error](err); ok {
		switch coded.Code {
		case aloud.EUNAVAILABLE, aloud.EINTERNAL, aloud.EPENDING, aloud.ELIMITED:
			return 1
		}
		return 2
	}
	return usageStatus(err)
}

// usageStatus is the status of an error without a code: cobra's own complaints
// about commands, arguments and flags have none.
func usageStatus(err error) int {
	if errors.Is(err, context.Canceled) {
		return interrupted
	}
	return 2
}

// unwritten says in a line that what a command printed was not taken.
func unwritten(err error) error {
	if err == nil {
		return nil
	}
	return aloud.Errorf(aloud.EUNAVAILABLE, "can't write the output: %w", pathCause(err))
}

// version is what the build put into the binary of where it came from.
func version() string {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return "of unknown origin"
	}
	said := cmp.Or(b.Main.Version, "(devel)")
	for _, s := range b.Settings {
		if s.Key == "vcs.revision" {
			said += " " + s.Value
		}
	}
	return said + " " + b.GoVersion
}

func rootCommand(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "aloud",
		Short: "Purchase intent from speech, by consent alone",
		Long: `Aloud turns what people say out loud, when they have agreed to it, into
purchase intent that advertisers can act on. Audio and transcripts never leave
the device; nothing is heard without a grant and a visible indicator.`,
		Version:       version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("aloud {{.Version}}\n")
	root.AddGroup(
		&cobra.Group{ID: "device", Title: "On the device:"},
		&cobra.Group{ID: "server", Title: "The server:"},
		&cobra.Group{ID: "check", Title: "Check and measure:"},
	)
	root.AddCommand(serverCommands(e)...)
	root.AddCommand(deviceCommands(e)...)
	return root
}
