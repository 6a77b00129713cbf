//go:build cgo

package main

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/signal"
	"aloud.example/aloud/signal/outbox"
	"aloud.example/aloud/signal/uplink"
)

// enrolOptions are the flags of aloud enrol.
type enrolOptions struct {
	home, server string
	renew        bool
	printNotice  bool
	json         bool

	// The form for scripts; see newEnrolCommand.
	grant  []string
	adult  bool
	read   string
	place  string
	days   int
	script bool // one of them was given
	placed bool // --place was

	area signal.Cell // what a renewal keeps unless another is given
}

func newEnrolCommand(e *env) *cobra.Command {
	var o enrolOptions
	c := &cobra.Command{
		Use:     "enrol --server URL",
		Short:   "Decide what this device may do, purpose by purpose",
		GroupID: "device",
		Long: `Enrol makes the device's key, shows the server's notice and asks for each
purpose by itself; nothing is agreed to by pressing return. The receipt, signed
by this device and countersigned by the server, is kept with the exact text.

The flags --grant, --adult, --yes-i-read-the-notice, --place and --days answer
in place of a person. They work only with a server that says it is simulated,
whose participants are not people: consent that a script gives is none.`,
		Example: `  aloud enrol --server https://aloud.example
  aloud enrol --server https://aloud.example --renew
  aloud enrol --server http://127.0.0.1:8470 --print-notice
  aloud enrol --server http://127.0.0.1:8470 --grant listen,share_signals --adult --yes-i-read-the-notice 3f2a9c01`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, name := range []string{"grant", "adult", "yes-i-read-the-notice", "place", "days"} {
				o.script = o.script || c.Flags().Changed(name)
			}
			o.placed = c.Flags().Changed("place")
			return enrol(c.Context(), e, o)
		},
	}
	homeFlag(c, &o.home)
	f := c.Flags()
	f.StringVar(&o.server, "server", "", "the server's address, such as https://aloud.example")
	f.BoolVar(&o.renew, "renew", false, "decide again with the key and pseudonym of this device")
	f.BoolVar(&o.printNotice, "print-notice", false, "show the notice and its SHA-256, and stop")
	f.BoolVar(&o.json, "json", false, "print the result as JSON")
	f.StringSliceVar(&o.grant, "grant", nil, "simulated servers only: the purposes, by commas")
	f.BoolVar(&o.adult, "adult", false, "simulated servers only: state to be 18 or older")
	f.StringVar(&o.read, "yes-i-read-the-notice", "", "simulated servers only: the first 8 or more hex digits of the notice's SHA-256")
	f.StringVar(&o.place, "place", "", "simulated servers only: LAT,LON or an S2 cell of level 12; a renewal keeps the area without it and drops it by none")
	f.IntVar(&o.days, "days", 90, "simulated servers only: days until each purpose ends")
	return c
}

func enrol(ctx context.Context, e *env, o enrolOptions) error {
	h, err := homeAt(o.home)
	if err != nil {
		return err
	}
	if o.server == "" && o.renew {
		srv, err := h.server()
		if err != nil {
			return err
		}
		o.server = srv.URL
	}
	if o.server == "" {
		return aloud.Errorf(aloud.EINVALID, "say which server to enrol with: aloud enrol --server URL")
	}
	client, err := uplink.New(uplink.Config{URL: o.server})
	if err != nil {
		return err
	}
	if o.printNotice {
		return printNotice(ctx, e, client, o.json)
	}
	if err := h.ready(ctx, e, o.renew); err != nil {
		return err
	}
	notice, err := client.Notice(ctx)
	if err != nil {
		return err
	}
	if err := h.samePin(notice, client.URL(), o.renew); err != nil {
		return err
	}
	if o.renew {
		if o.area, err = h.cell(); err != nil {
			return err
		}
	}
	d, cell, err := decide(e, o, notice)
	if err != nil {
		return err
	}
	return h.enrol(ctx, e, client, notice, d, cell, o)
}

// ready checks that a decision could be kept here before anyone is asked.
func (h home) ready(ctx context.Context, e *env, renew bool) error {
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return aloud.Errorf(aloud.EINVALID, "make the folder of --home: %w", bare(err))
	}
	if h.has(receiptFile) {
		if !renew {
			return aloud.Errorf(aloud.ECONFLICT, "this device is enrolled already; to decide again run: aloud enrol --renew")
		}
		_, err := h.key()
		return err
	}
	if renew {
		return notEnrolled()
	}
	if h.has(keyFile) && h.has(participantFile) {
		return aloud.Errorf(aloud.ECONFLICT, "the server still knows a participant of this device, whose receipt is gone; before you enrol anew run: aloud erase")
	}
	if h.has(outboxFile) && h.has(serverFile) && !h.has(keyFile) {
		return h.finishErasure(ctx, e)
	}
	return nil
}

// samePin refuses a server that is not the one that was pinned.
func (h home) samePin(n uplink.Notice, url string, renew bool) error {
	if !renew {
		return nil
	}
	srv, err := h.server()
	if err != nil {
		return err
	}
	if srv.URL != url || srv.Key != n.ServerKey || srv.Simulated != n.Simulated {
		return aloud.Errorf(aloud.EFORBIDDEN, "this is not the server that this device enrolled with (other address, key or kind); to change servers run aloud erase first")
	}
	return nil
}

// decide asks the person, or takes a script's answers from a simulated server.
func decide(e *env, o enrolOptions, n uplink.Notice) (consent.Decision, signal.Cell, error) {
	d := consent.Decision{Notice: n.Notice, Method: consent.MethodTerminal}
	if !o.script {
		return ask(e, d, o.area)
	}
	d.Method = consent.MethodScript
	if !n.Simulated {
		return d, "", aloud.Errorf(aloud.EFORBIDDEN, "--grant and the flags with it work with simulated servers only: a person decides at a terminal, without them")
	}
	hash := n.Hash()
	if read := strings.ToLower(o.read); len(read) < 8 || !strings.HasPrefix(hex.EncodeToString(hash[:]), read) {
		return d, "", aloud.Errorf(aloud.EINVALID, "--yes-i-read-the-notice must be the first 8 or more hex digits of the SHA-256 that --print-notice shows")
	}
	if o.days < 1 || o.days > 366 {
		return d, "", aloud.Errorf(aloud.EINVALID, "--days must be from 1 to 366")
	}
	d.Adult = o.adult
	for _, name := range o.grant {
		p := consent.Purpose(name)
		if !p.Valid() {
			return d, "", aloud.Errorf(aloud.EINVALID, "there is no purpose %.40q; there are: %s", name, purposeNames(consent.AllPurposes()))
		}
		if !slices.ContainsFunc(d.Choices, func(c consent.Choice) bool { return c.Purpose == p }) {
			d.Choices = append(d.Choices, consent.Choice{Purpose: p, Expires: e.now().AddDate(0, 0, o.days)})
		}
	}
	if !o.placed {
		return d, o.area, nil
	}
	cell, err := placeOr(o.place, "")
	return d, cell, err
}

func purposeNames(purposes []consent.Purpose) string {
	names := make([]string, len(purposes))
	for i, p := range purposes {
		names[i] = string(p)
	}
	return strings.Join(names, ", ")
}

// enrol makes, sends and keeps the receipt of a decision.
func (h home) enrol(ctx context.Context, e *env, client *uplink.Client, n uplink.Notice, d consent.Decision, cell signal.Cell, o enrolOptions) error {
	var err error
	var key ed25519.PrivateKey
	if d.Participant, err = h.participant(o.renew); err != nil {
		return err
	}
	// A key without a receipt is left from an enrolment that did not finish.
	if d.At = e.now(); h.has(keyFile) {
		key, err = h.key()
	} else if err = checkDecision(d); err == nil {
		key, err = h.makeKey()
	}
	if err != nil {
		return err
	}
	d.DeviceKey = key.Public().(ed25519.PublicKey)
	r, err := consent.NewReceipt(d)
	if err != nil {
		return err
	}
	s, err := consent.Sign(r, key)
	if err != nil {
		return err
	}
	if err := h.write(askedFile, s); err != nil {
		return err
	}
	answer, err := client.Consent(ctx, s)
	if err != nil {
		return err
	}
	pinned, err := n.Key()
	if err != nil {
		return err
	}
	if _, err := consent.Verify(answer.Receipt, pinned); err != nil {
		return err
	}
	srv := server{
		URL: client.URL(), Key: n.ServerKey, LogVKey: n.LogVKey, Simulated: n.Simulated,
		WaitSeconds: n.WaitSeconds, BuyerUID: answer.BuyerUID, UserID: answer.UserID,
	}
	err = errors.Join(h.write(serverFile, srv), h.write(placeFile, place{Cell: cell}),
		h.write(receiptFile, answer.Receipt), h.write(participantFile, standingOf(srv.URL, r)))
	if err == nil {
		err = h.unmark() // only now is there another decision than the one that was withdrawn
	}
	if err != nil {
		return err
	}
	if err := os.Remove(h.path(askedFile)); err != nil {
		return aloud.Errorf(aloud.EINTERNAL, "delete %s: %w", askedFile, bare(err))
	}
	return reportEnrolled(e, h, r, srv, cell, o)
}

// participant is the pseudonym to enrol under: a new one, except that of the
// receipt to renew, or of a try that may have reached the server, so that there
// is nobody left there whom no one could erase.
func (h home) participant(renew bool) (aloud.ParticipantID, error) {
	if renew {
		_, old, err := h.receipt()
		return old.Participant, err
	}
	var asked consent.Signed
	if h.has(keyFile) && h.has(askedFile) && h.read(askedFile, &asked) == nil {
		if old, err := consent.VerifyDevice(asked); err == nil {
			return old.Participant, nil
		}
	}
	return aloud.NewParticipantID(), nil
}

// checkDecision refuses a decision that no receipt can hold, before a key is
// made for it.
func checkDecision(d consent.Decision) error {
	pub, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	d.DeviceKey = pub
	_, err = consent.NewReceipt(d)
	return err
}

func reportEnrolled(e *env, h home, r consent.Receipt, srv server, cell signal.Cell, o enrolOptions) error {
	if o.json {
		expires := map[consent.Purpose]time.Time{}
		for _, p := range r.Purposes {
			expires[p.Purpose] = p.Expires
		}
		return unwritten(json.NewEncoder(e.stdout).Encode(map[string]any{
			"participant": r.Participant, "receipt": r.Hash(), "purposes": expires, "cell": cell,
			"server": srv.URL, "simulated": srv.Simulated, "buyeruid": srv.BuyerUID, "user_id": srv.UserID,
		}))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Enrolled as %s with %s.\n", r.Participant, srv.URL)
	for _, p := range r.Purposes {
		fmt.Fprintf(&b, "  %-16s until %s\n", p.Purpose, p.Expires.Format("2006-01-02"))
	}
	switch {
	case cell != "" && cell == o.area:
		fmt.Fprintf(&b, "  area             S2 cell %s, as before\n", cell)
	case cell != "":
		fmt.Fprintf(&b, "  area             S2 cell %s\n", cell)
	case o.area != "":
		fmt.Fprintln(&b, "  area             none any more")
	}
	fmt.Fprintf(&b, "The receipt is %s. To end a purpose: aloud withdraw PURPOSE; to end everything: aloud erase\n", h.path(receiptFile))
	_, err := io.WriteString(e.stdout, b.String())
	return unwritten(err)
}

func printNotice(ctx context.Context, e *env, client *uplink.Client, asJSON bool) error {
	n, err := client.Notice(ctx)
	if err != nil {
		return err
	}
	hash := n.Hash()
	if asJSON {
		return unwritten(json.NewEncoder(e.stdout).Encode(map[string]any{"sha256": hex.EncodeToString(hash[:]), "text": n.Full(), "simulated": n.Simulated}))
	}
	_, err = fmt.Fprintf(e.stdout, "%s\nSHA-256 %x\n", n.Full(), hash[:])
	return unwritten(err)
}

// finishErasure tells the server of an erasure that it doesn't know of yet, and
// forgets what was kept for that.
func (h home) finishErasure(ctx context.Context, e *env) error {
	o, err := h.queue(ctx, e)
	if err != nil {
		return err
	}
	defer o.Close()
	client, err := h.uplink()
	if err != nil {
		return err
	}
	told, err := tell(ctx, o, client)
	if err != nil {
		return err
	}
	if !told {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the erasure on this device has not reached the server yet; it must before you enrol again: run aloud erase when the server can be reached")
	}
	return h.forgetServer(o)
}

// tellTime bounds how long a command waits for the server.
const tellTime = 10 * time.Second

// tell tells the server of withdrawals and erasures; told is false if it has to
// be tried again later.
func tell(ctx context.Context, o *outbox.Outbox, client *uplink.Client) (told bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	if _, err := o.Tell(ctx, client); err != nil {
		switch aloud.ErrorCode(err) {
		case aloud.EUNAVAILABLE, aloud.ELIMITED, aloud.EPENDING, aloud.ETOOEARLY:
			return false, nil
		}
		return false, err
	}
	left, err := o.Untold(ctx)
	for _, u := range left {
		if u.Reason != "" {
			return false, aloud.Errorf(aloud.EFORBIDDEN, "this device stopped at once, but the server did not take the %s: %s", u.Kind, u.Reason)
		}
	}
	return len(left) == 0, err
}
