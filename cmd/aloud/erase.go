//go:build cgo

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/signal/outbox"
	"aloud.example/aloud/signal/uplink"
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
			told, err := h.erase(c.Context(), e)
			if err != nil {
				return err
			}
			if asJSON {
				return unwritten(json.NewEncoder(e.stdout).Encode(map[string]any{"erased": true, "server_told": told}))
			}
			_, err = fmt.Fprintln(e.stdout, "Erased: key, receipt, area and outbox of this device are gone.")
			if err == nil {
				err = reportTold(e, told, "erase")
			}
			return unwritten(err)
		},
	}
	homeFlag(c, &dir)
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

// erase ends everything. The key and what names the participant go once the
// erasure is queued or told: without them nobody could tell the server any more.
func (h home) erase(ctx context.Context, e *env) (told bool, err error) {
	s, unknown := h.standing()
	key, keyless := h.key()
	switch {
	case h.has(keyFile) && keyless != nil:
		return false, keyless // it can be mended, and only it can tell the server
	case h.has(keyFile) && h.has(receiptFile) && unknown != nil:
		return false, unknown // the same
	case keyless != nil || unknown != nil:
		return h.eraseUnsigned(ctx, e, s)
	}
	token, err := consent.SignErasure(consent.Erasure{ID: consent.NewEndingID(), Participant: s.Participant, At: e.now()}, key)
	if err != nil {
		return false, err
	}
	client, err := s.client()
	if err != nil {
		return false, err
	}
	o, unqueued := h.queueErasure(ctx, e, token)
	if unqueued != nil {
		// All of it goes anyway: an outbox that is damaged or finds no space on
		// the disk makes room for a new one.
		err := h.dropOutbox()
		if err == nil && !h.has(participantFile) {
			err = h.write(participantFile, s) // without the receipt it is all that says who leaves
		}
		if err == nil {
			err = h.shred(receiptFile, askedFile, placeFile)
		}
		if err != nil {
			return false, err
		}
		o, unqueued = h.queueErasure(ctx, e, token)
	}
	if unqueued != nil {
		return true, h.eraseDirectly(ctx, client, token, unqueued)
	}
	defer o.Close()
	if err := firstOf(h.shred(erased()...), h.unmark()); err != nil {
		return false, err
	}
	if told, err = tell(ctx, o, client); err == nil && told {
		err = h.forgetServer(o)
	}
	return told, err
}

// eraseUnsigned is for a device that can't sign an erasure: it did before, and
// what is left is to tell the server, or it lost its key.
func (h home) eraseUnsigned(ctx context.Context, e *env, s standing) (told bool, err error) {
	if !h.has(serverFile) && s.Participant == "" {
		return false, notEnrolled()
	}
	if err := firstOf(h.shred(erased()...), h.unmark()); err != nil {
		return false, err
	}
	o, err := h.queue(ctx, e)
	if err != nil {
		return false, err
	}
	defer o.Close()
	signed, err := o.Erased(ctx)
	if err != nil {
		return false, err
	}
	if client, cerr := h.uplink(); cerr == nil {
		told, err = tell(ctx, o, client)
	} else if signed {
		return false, cerr
	}
	if err == nil && (told || !h.has(serverFile)) {
		err = h.forgetServer(o)
	}
	if err == nil && !signed {
		if s.Participant != "" {
			fmt.Fprintf(e.stderr, "The server knows this device's participant as %s.\n", s.Participant)
		}
		err = aloud.Errorf(aloud.EFORBIDDEN, "what this device held is gone, but the server was not told, because without key and receipt nothing can be signed; ask its operator to erase the participant")
	}
	return told, err
}

// queueErasure empties the outbox but for the erasure, which the server is told
// from there.
func (h home) queueErasure(ctx context.Context, e *env, token string) (*outbox.Outbox, error) {
	if _, err := h.server(); err != nil {
		return nil, err // later nobody would know whom to tell
	}
	o, err := h.queue(ctx, e)
	if err != nil {
		return nil, err
	}
	if err := o.Erase(ctx, token); err != nil {
		_ = o.Close() // it is of no use
		return nil, err
	}
	return o, nil
}

// eraseDirectly is for when no outbox takes the erasure: the server is told now,
// or the means to tell it stay.
func (h home) eraseDirectly(ctx context.Context, client *uplink.Client, token string, unqueued error) error {
	told, err := direct(ctx, func(ctx context.Context, token string) error {
		err := client.Erase(ctx, token)
		if aloud.ErrorCode(err) == aloud.ENOTFOUND {
			return nil // it never knew the participant
		}
		return err
	}, token)
	if err == nil && !told {
		err = aloud.Errorf(aloud.EUNAVAILABLE, "receipt, area and outbox of this device are gone, but the server can't be reached now and it can't be queued (%w); the key stays to tell it: run aloud erase again later", unqueued)
	}
	if err != nil {
		return err
	}
	return firstOf(h.dropOutbox(), h.shred(erased()...), h.shred(serverFile), h.unmark())
}

// dropOutbox deletes the outbox, readable or not.
func (h home) dropOutbox() error {
	for _, name := range []string{outboxFile + "-wal", outboxFile + "-shm", outboxFile} {
		if err := os.RemoveAll(h.path(name)); err != nil {
			return aloud.Errorf(aloud.EINTERNAL, "delete %s: %w", name, bare(err))
		}
	}
	return nil
}

// erased is what a device holds of its participant, in the order in which it
// goes: as long as there is the key, what it takes to use it is there too.
func erased() []string {
	return []string{receiptFile, askedFile, placeFile, keyFile, participantFile}
}

// shred overwrites small files and removes them, as many as it can. On a disk
// that writes elsewhere, or a full one, the old bytes may stay until they are
// reused.
func (h home) shred(names ...string) error {
	var failed []error
	for _, name := range names {
		if f, err := os.OpenFile(h.path(name), os.O_WRONLY, 0); err == nil {
			if info, err := f.Stat(); err == nil {
				_, _ = f.WriteAt(make([]byte, info.Size()), 0)
			}
			_ = errors.Join(f.Sync(), f.Close())
		}
		if err := os.Remove(h.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, aloud.Errorf(aloud.EINTERNAL, "delete %s: %w", name, bare(err)))
		}
	}
	return firstOf(failed...)
}

// forgetServer deletes what was kept to tell the server of an erasure.
func (h home) forgetServer(o *outbox.Outbox) error {
	if err := o.Close(); err != nil {
		return err
	}
	return firstOf(h.dropOutbox(), h.shred(serverFile))
}
