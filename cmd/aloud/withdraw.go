//go:build cgo

package main

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
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
		RunE: func(c *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return aloud.Errorf(aloud.EINVALID, "say what to withdraw: one or more of %s, or --all", purposeNames(consent.AllPurposes()))
			}
			h, err := homeAt(dir)
			if err != nil {
				return err
			}
			_, r, err := h.receipt()
			if err != nil {
				return err
			}
			key, err := h.key()
			if err != nil {
				return err
			}
			purposes, err := granted(r, args)
			if err != nil {
				return err
			}
			o, err := h.outbox(c.Context(), e, 0)
			if err != nil {
				return err
			}
			defer o.Close()
			for _, p := range purposes {
				token, err := consent.SignWithdrawal(consent.Withdrawal{
					ID: consent.NewEndingID(), Participant: r.Participant, Receipt: r.Hash(), Purpose: p, At: e.now(),
				}, key)
				if err != nil {
					return err
				}
				if err := o.Withdraw(c.Context(), token); err != nil {
					return err
				}
			}
			told, err := h.tell(c.Context(), o)
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(e.stdout).Encode(map[string]any{"withdrawn": purposes, "server_told": told})
			}
			fmt.Fprintf(e.stdout, "Withdrawn: %s. This device stopped at once.\n", purposeNames(purposes))
			reportTold(e, told, "withdraw")
			return nil
		},
	}
	homeFlag(c, &dir)
	c.Flags().BoolVar(&all, "all", false, "every purpose that was agreed to")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

// granted picks purposes of the receipt by name; no name means all of them. In
// the receipt's order, share_signals ends before what rests on it.
func granted(r consent.Receipt, names []string) ([]consent.Purpose, error) {
	var purposes []consent.Purpose
	for _, p := range r.Purposes {
		if len(names) == 0 || slices.Contains(names, string(p.Purpose)) {
			purposes = append(purposes, p.Purpose)
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

func reportTold(e *env, told bool, command string) {
	if told {
		fmt.Fprintln(e.stdout, "The server was told.")
		return
	}
	fmt.Fprintf(e.stdout, "The server can't be reached now; it is told by the next aloud %s, aloud listen or aloud outbox send.\n", command)
}
