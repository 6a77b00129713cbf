//go:build cgo

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/signal/uplink"
)

func newWithdrawCommand(e *env) *cobra.Command {
	var dir string
	var all, asJSON bool
	c := &cobra.Command{
		Use:     "withdraw [PURPOSE…]",
		Short:   "End one purpose, or all of them",
		GroupID: "device",
		Long: `Withdraw ends purposes. It takes effect on this device at once, with or without
a connection: signals they cover are dropped, and none is made. The server is
told now, or as soon as it can be reached. Nothing is asked.`,
		Example: `  aloud withdraw personalise_ads
  aloud withdraw --all`,
		ValidArgsFunction: completePurposes,
		RunE: func(c *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return aloud.Errorf(aloud.EINVALID, "say what to withdraw: one or more of %s, or --all", purposeNames(consent.AllPurposes()))
			}
			h, err := homeAt(dir)
			if err != nil {
				return err
			}
			w, err := h.withdraw(c.Context(), e, args)
			if err != nil {
				return err
			}
			return w.report(e, asJSON)
		},
	}
	homeFlag(c, &dir)
	c.Flags().BoolVar(&all, "all", false, "every purpose that was agreed to")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

// withdrawal is what came of aloud withdraw.
type withdrawal struct {
	purposes []consent.Purpose
	told     bool
	unqueued error // why the outbox could not take it
}

// withdraw ends purposes here and tells the server, by the outbox if that can be
// used, and without it if not: leaving must not depend on a file.
func (h home) withdraw(ctx context.Context, e *env, names []string) (w withdrawal, err error) {
	s, err := h.standing()
	if err != nil {
		return w, err
	}
	key, err := h.key()
	if err != nil {
		return w, err
	}
	if w.purposes, err = granted(s, names); err != nil {
		return w, err
	}
	client, err := s.client()
	if err != nil {
		return w, err
	}
	var tokens []string
	for _, p := range w.purposes {
		token, err := consent.SignWithdrawal(consent.Withdrawal{
			ID: consent.NewEndingID(), Participant: s.Participant, Receipt: s.Receipt, Purpose: p, At: e.now(),
		}, key)
		if err != nil {
			return w, err
		}
		tokens = append(tokens, token)
	}
	unmarked := h.mark(w.purposes)
	w.told, w.unqueued, err = h.withdrawByOutbox(ctx, e, client, tokens)
	if w.unqueued == nil {
		return w, err
	}
	if w.told, err = direct(ctx, client.Withdraw, tokens...); err == nil {
		err = unmarked // nothing on this device knows of it
	}
	return w, err
}

// withdrawByOutbox queues withdrawals and tells the server; broken is why the
// outbox is of no use.
func (h home) withdrawByOutbox(ctx context.Context, e *env, client *uplink.Client, tokens []string) (told bool, broken, err error) {
	o, broken := h.queue(ctx, e)
	if broken != nil {
		return false, broken, nil
	}
	defer o.Close()
	for _, token := range tokens {
		if broken := o.Withdraw(ctx, token); broken != nil {
			return false, broken, nil
		}
	}
	told, err = tell(ctx, o, client)
	if aloud.ErrorCode(err) == aloud.EINTERNAL {
		return false, err, nil
	}
	return told, nil, err
}

func (w withdrawal) report(e *env, asJSON bool) error {
	var err error
	if asJSON {
		err = json.NewEncoder(e.stdout).Encode(map[string]any{"withdrawn": w.purposes, "server_told": w.told})
	} else {
		_, err = fmt.Fprintf(e.stdout, "Withdrawn: %s. This device stopped at once.\n", purposeNames(w.purposes))
	}
	switch {
	case w.unqueued != nil && !w.told:
		return aloud.Errorf(aloud.EUNAVAILABLE, "the server can't be reached now, and it can't be queued (%w); run it again later", w.unqueued)
	case w.unqueued != nil:
		fmt.Fprintf(e.stderr, "aloud: it could not be queued (%v), so the server was told directly\n", w.unqueued)
	}
	if err == nil && !asJSON {
		err = reportTold(e, w.told, "withdraw")
	}
	return unwritten(err)
}

// granted picks purposes that were agreed to by name; no name means all of them.
// In the receipt's order, share_signals ends before what rests on it.
func granted(s standing, names []string) ([]consent.Purpose, error) {
	var purposes []consent.Purpose
	for _, p := range s.Purposes {
		if len(names) == 0 || slices.Contains(names, string(p)) {
			purposes = append(purposes, p)
		}
	}
	for _, name := range names {
		if !consent.Purpose(name).Valid() {
			return nil, aloud.Errorf(aloud.EINVALID, "there is no purpose %.40q; there are: %s", name, purposeNames(consent.AllPurposes()))
		}
		if !slices.Contains(purposes, consent.Purpose(name)) {
			return nil, aloud.Errorf(aloud.EINVALID, "you never agreed to %s on this device, so there is nothing to withdraw", name)
		}
	}
	return purposes, nil
}

func reportTold(e *env, told bool, command string) error {
	said := "The server was told.\n"
	if !told {
		said = fmt.Sprintf("The server can't be reached now; it is told by the next aloud %s, aloud listen or aloud outbox send.\n", command)
	}
	_, err := io.WriteString(e.stdout, said)
	return err
}
