//go:build cgo

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/signal/outbox"
	"aloud.example/aloud/signal/uplink"
)

// standing is the content of participantFile: what it takes to leave. A copy,
// because nobody may be kept in by a damaged receipt.
type standing struct {
	Server      string              `json:"server"`
	Participant aloud.ParticipantID `json:"participant"`
	Receipt     aloud.Hash          `json:"receipt"`
	Purposes    []consent.Purpose   `json:"purposes"`
}

func standingOf(url string, r consent.Receipt) standing {
	s := standing{Server: url, Participant: r.Participant, Receipt: r.Hash()}
	for _, p := range r.Purposes {
		s.Purposes = append(s.Purposes, p.Purpose)
	}
	return s
}

// standing reads what it takes to leave: from the receipt if it is sound, else
// from its copy, else, on a device that enrolled before there was one, from
// what of the receipt can be read. It is notEnrolled if there is no trace.
func (h home) standing() (standing, error) {
	_, r, broken := h.receipt()
	srv, unpinned := h.server()
	if broken == nil {
		return standingOf(srv.URL, r), nil
	}
	var s standing
	if h.read(participantFile, &s) == nil && s.Participant.Valid() && !s.Receipt.IsZero() {
		return s, nil
	}
	var signed consent.Signed
	data, err := os.ReadFile(h.path(receiptFile))
	if err == nil {
		err = json.NewDecoder(bytes.NewReader(data)).Decode(&signed) // what follows was added
	}
	if err == nil && unpinned == nil {
		if r, err := consent.VerifyDevice(signed); err == nil {
			return standingOf(srv.URL, r), nil
		}
	}
	return standing{}, broken
}

// client speaks to the server of the enrolment.
func (s standing) client() (*uplink.Client, error) {
	return uplink.New(uplink.Config{URL: s.Server})
}

// withdrawnMark is an empty file: this purpose was withdrawn here. The outbox
// knows it too, but it can be damaged, and a full disk still takes empty files.
func withdrawnMark(p consent.Purpose) string { return "withdrawn." + string(p) }

// mark notes on this device that purposes were withdrawn.
func (h home) mark(purposes []consent.Purpose) error {
	for _, p := range purposes {
		f, err := os.OpenFile(h.path(withdrawnMark(p)), os.O_WRONLY|os.O_CREATE, 0o600)
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			return aloud.Errorf(aloud.EINTERNAL, "write %s: %w", withdrawnMark(p), bare(err))
		}
	}
	return nil
}

// unmark forgets what was withdrawn, because it was decided anew or erased.
func (h home) unmark() error {
	for _, p := range consent.AllPurposes() {
		if err := os.Remove(h.path(withdrawnMark(p))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return aloud.Errorf(aloud.EINTERNAL, "delete %s: %w", withdrawnMark(p), bare(err))
		}
	}
	return nil
}

// marked refuses a purpose that was withdrawn on this device, or that rests on
// listening, which was.
func (h home) marked(p consent.Purpose) error {
	for _, ended := range []consent.Purpose{p, consent.PurposeListen} {
		if h.has(withdrawnMark(ended)) {
			return aloud.Errorf(aloud.EFORBIDDEN, "the consent to %s was withdrawn; to give it again run: aloud enrol --renew", ended)
		}
	}
	return nil
}

// queue opens the outbox to tell the server alone: that takes neither the
// receipt nor the key.
func (h home) queue(ctx context.Context, e *env) (*outbox.Outbox, error) {
	return outbox.Open(ctx, outbox.Config{Path: h.path(outboxFile), Now: e.now, Log: slog.New(slog.NewTextHandler(e.stderr, nil))})
}

// direct tells the server without the outbox; told is false if it can't be told
// now.
func direct(ctx context.Context, send func(context.Context, string) error, tokens ...string) (told bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	for _, token := range tokens {
		err := send(ctx, token)
		switch aloud.ErrorCode(err) {
		case "", aloud.ECONFLICT: // or it knew already
		case aloud.EUNAVAILABLE, aloud.ELIMITED, aloud.EPENDING, aloud.ETOOEARLY:
			return false, nil
		default:
			return false, aloud.Errorf(aloud.EFORBIDDEN, "this device stopped at once, but the server did not take it: %w", err)
		}
	}
	return true, nil
}
