//go:build cgo

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/signal/outbox"
)

func newEraseCommand(e *env) *cobra.Command {
	var dir string
	var asJSON bool
	c := &cobra.Command{
		Use:     "erase",
		Short:   "End everything and delete it, here and on the server",
		GroupID: "device",
		Long: `Erase deletes the device's key, receipt, area and outbox at once, with or
without a connection, and has the server make all it holds about you unreadable:
now, or as soon as it can be reached. Nothing is asked; it can't be undone.`,
		Example: `  aloud erase`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			h, err := homeAt(dir)
			if err != nil {
				return err
			}
			if !h.has(serverFile) {
				return notEnrolled()
			}
			o, err := h.outbox(c.Context(), e, 0)
			if err != nil {
				return err
			}
			defer o.Close()
			if h.has(keyFile) && h.has(receiptFile) {
				_, r, err := h.receipt()
				if err != nil {
					return err
				}
				key, err := h.key()
				if err != nil {
					return err
				}
				token, err := consent.SignErasure(consent.Erasure{ID: consent.NewEndingID(), Participant: r.Participant, At: e.now()}, key)
				if err != nil {
					return err
				}
				if err := o.Erase(c.Context(), token); err != nil {
					return err
				}
			}
			for _, name := range []string{receiptFile, askedFile, placeFile, keyFile} {
				if err := h.shred(name); err != nil {
					return err
				}
			}
			told, err := h.tell(c.Context(), o)
			if err == nil && told {
				err = h.forgetServer(o)
			}
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(e.stdout).Encode(map[string]any{"erased": true, "server_told": told})
			}
			fmt.Fprintln(e.stdout, "Erased: key, receipt, area and outbox of this device are gone.")
			reportTold(e, told, "erase")
			return nil
		},
	}
	homeFlag(c, &dir)
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

// shred overwrites a small file and removes it. On a disk that writes elsewhere
// the old bytes may stay until they are reused.
func (h home) shred(name string) error {
	f, err := os.OpenFile(h.path(name), os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		if info, statErr := f.Stat(); statErr == nil {
			_, err = f.WriteAt(make([]byte, info.Size()), 0)
		}
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err = errors.Join(err, os.Remove(h.path(name))); err != nil {
		return aloud.Errorf(aloud.EINTERNAL, "delete %s: %w", name, bare(err))
	}
	return nil
}

// forgetServer deletes what was kept to tell the server of an erasure.
func (h home) forgetServer(o *outbox.Outbox) error {
	if err := o.Close(); err != nil {
		return err
	}
	for _, name := range []string{outboxFile + "-wal", outboxFile + "-shm", outboxFile, serverFile} {
		if err := os.Remove(h.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return aloud.Errorf(aloud.EINTERNAL, "delete %s: %w", name, bare(err))
		}
	}
	return nil
}
