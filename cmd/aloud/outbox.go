//go:build cgo

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"aloud.example/aloud"
	"aloud.example/aloud/signal/outbox"
)

func newOutboxCommand(e *env) *cobra.Command {
	var dir string
	var asJSON bool
	c := &cobra.Command{
		Use:     "outbox",
		Short:   "See what is about to leave this device, and stop it",
		GroupID: "device",
		Long: `Outbox lists the signals of this device: those that wait, with the time that is
left to veto them, and what became of the others. It holds categories, never
words.`,
		Example: `  aloud outbox
  aloud outbox veto s_…
  aloud outbox send`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withOutbox(c.Context(), e, dir, func(_ home, o *outbox.Outbox) error {
				return listOutbox(c.Context(), e, o, asJSON)
			})
		},
	}
	c.PersistentFlags().StringVar(&dir, "home", "", "the device's folder (default $ALOUD_HOME, else ~/.aloud)")
	c.PersistentFlags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	c.AddCommand(
		&cobra.Command{
			Use:     "veto ID…",
			Short:   "Stop signals that were not sent yet",
			Example: `  aloud outbox veto s_…`,
			Args:    cobra.MinimumNArgs(1),
			RunE: func(c *cobra.Command, ids []string) error {
				return withOutbox(c.Context(), e, dir, func(_ home, o *outbox.Outbox) error {
					return vetoSignals(c.Context(), e, o, ids, asJSON)
				})
			},
		},
		&cobra.Command{
			Use:   "send",
			Short: "Send what waits, as early as allowed, and stop",
			Long: `Send shortens the wait of what waits to the least that is allowed, 10 seconds
after it was heard, sends it and stops when nothing waits any more.`,
			Example: `  aloud outbox send`,
			Args:    cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				return withOutbox(c.Context(), e, dir, func(h home, o *outbox.Outbox) error {
					return sendOutbox(c.Context(), e, h, o, asJSON)
				})
			},
		},
	)
	return c
}

func withOutbox(ctx context.Context, e *env, dir string, f func(home, *outbox.Outbox) error) error {
	h, err := homeAt(dir)
	if err != nil {
		return err
	}
	o, err := h.outbox(ctx, e, 0)
	if err != nil {
		return err
	}
	defer o.Close()
	return f(h, o)
}

func listOutbox(ctx context.Context, e *env, o *outbox.Outbox, asJSON bool) error {
	list, err := o.List(ctx)
	if err != nil {
		return err
	}
	untold, err := o.Untold(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		if list == nil {
			list = []outbox.Entry{}
		}
		return json.NewEncoder(e.stdout).Encode(map[string]any{"signals": list, "untold": len(untold)})
	}
	for _, u := range untold {
		fmt.Fprintf(e.stdout, "The server does not know of a%s %s yet. %s\n", map[bool]string{true: "n"}[u.Kind == "erasure"], u.Kind, u.Reason)
	}
	if len(list) == 0 {
		fmt.Fprintln(e.stdout, "Nothing waits, and nothing was sent.")
		return nil
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tCATEGORY\tSTAGE\tSCORE\tHEARD\t")
	for _, s := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.2f\t%s\t\n", s.ID, describe(s, e.now()), s.Category, s.Stage, s.Score, s.HeardAt.Local().Format("15:04:05"))
	}
	return w.Flush()
}

// describe is an entry's state in words, with the countdown of one that waits.
func describe(s outbox.Entry, now time.Time) string {
	switch s.State {
	case outbox.Waiting:
		if left := s.Due.Sub(now); left > 0 {
			return fmt.Sprintf("leaves in %ds", int((left+time.Second-1)/time.Second))
		}
		return "leaves next"
	case outbox.Signed:
		return "being sent"
	case outbox.Refused:
		return "refused: " + s.Reason
	}
	return "sent " + s.Changed.Local().Format("15:04:05")
}

func vetoSignals(ctx context.Context, e *env, o *outbox.Outbox, ids []string, asJSON bool) error {
	type vetoed struct {
		ID      aloud.SignalID `json:"jti"`
		Certain bool           `json:"certain"` // it certainly did not leave
	}
	var done []vetoed
	for _, id := range ids {
		certain, err := o.Veto(ctx, aloud.SignalID(id))
		if err != nil {
			return err
		}
		done = append(done, vetoed{aloud.SignalID(id), certain})
	}
	if asJSON {
		return json.NewEncoder(e.stdout).Encode(map[string]any{"vetoed": done})
	}
	for _, v := range done {
		if v.Certain {
			fmt.Fprintf(e.stdout, "%s is gone; it never left.\n", v.ID)
		} else {
			fmt.Fprintf(e.stdout, "%s is gone, but it was on its way and may have arrived; to end what follows: aloud withdraw share_signals\n", v.ID)
		}
	}
	return nil
}

// sendOutbox sends until nothing waits, and stops at the first failure of the
// server, which keeps everything where it is.
func sendOutbox(ctx context.Context, e *env, h home, o *outbox.Outbox, asJSON bool) error {
	client, err := h.uplink()
	if err != nil {
		return err
	}
	if err := o.Hurry(ctx); err != nil {
		return err
	}
	var total outbox.Done
	for {
		d, err := o.Step(ctx, client)
		total.Told, total.Accepted, total.Refused = total.Told+d.Told, total.Accepted+d.Accepted, total.Refused+d.Refused
		if err != nil {
			return err
		}
		list, err := o.List(ctx)
		if err != nil {
			return err
		}
		if len(list) == 0 || list[0].State == outbox.Accepted || list[0].State == outbox.Refused {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d.Next):
		}
	}
	if asJSON {
		return json.NewEncoder(e.stdout).Encode(map[string]int{"accepted": total.Accepted, "refused": total.Refused, "told": total.Told})
	}
	fmt.Fprintf(e.stdout, "Sent %d, refused %d.\n", total.Accepted, total.Refused)
	return nil
}
