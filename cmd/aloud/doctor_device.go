//go:build cgo

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/listen/mic"
	"aloud.example/aloud/listen/onnx"
	"aloud.example/aloud/signal/outbox"
)

// expiresSoon is how long before a consent ends the doctor says so.
const expiresSoon = 7 * 24 * time.Hour

// leaveFirst comes before another enrolment: who enrols anew without it stays a
// participant under a pseudonym that this device forgot.
const leaveFirst = "run: aloud erase, and then enrol anew: aloud enrol --server URL"

// device looks at this device, if it is one or is asked about, and returns the
// server it enrolled with.
func (x *examination) device(ctx context.Context, o doctorOptions) (server string) {
	h, err := homeAt(o.home)
	asked := o.home != "" || os.Getenv("ALOUD_HOME") != "" || o.data == "" && o.server == ""
	if err == nil && !asked && !h.has(receiptFile) && !h.has(outboxFile) {
		return ""
	}
	if !x.judge("device", "folder", err, h.dir, "give it by --home DIR") {
		return ""
	}
	x.ears()
	if !h.has(receiptFile) && !h.has(keyFile) {
		x.add("device", "consent", skipped, "nobody agreed to anything on this device", "")
		if !h.has(outboxFile) || !h.has(serverFile) {
			return ""
		}
		x.backlog(ctx, h) // an erasure may be left to be told
		srv, err := h.server()
		if err != nil {
			return "" // backlog said it
		}
		return srv.URL
	}
	if info, err := os.Stat(h.dir); err == nil && info.Mode().Perm()&0o077 != 0 {
		x.add("device", "permissions", failure, fmt.Sprintf("others can read the folder (mode %04o)", info.Mode().Perm()), "chmod 700 "+h.dir)
	}
	_, err = h.key()
	mend := "restore " + keyFile + " from a backup; without one remove it, run: aloud erase, and enrol anew: aloud enrol --server URL; the server is then told of nothing: ask its operator to erase the participant"
	if aloud.ErrorCode(err) == aloud.EFORBIDDEN && h.has(keyFile) {
		mend = "chmod 600 " + h.path(keyFile)
	}
	x.judge("device", "key", err, "for its owner alone", mend)
	x.consents(h)
	x.backlog(ctx, h)
	srv, err := h.server()
	if err != nil {
		x.add("device", "server", failure, err.Error(), "restore "+serverFile+" from a backup; without one "+leaveFirst)
		return ""
	}
	return srv.URL
}

// ears checks what listening needs: the models and a way to record.
func (x *examination) ears() {
	m, err := onnx.Open(onnx.Config{})
	if err == nil {
		err = m.Close()
	}
	x.judge("device", "models", err, "they load", "make build puts them into the program; or give --model-dir to aloud listen")
	devices, err := mic.Devices(mic.Config{})
	switch {
	case err != nil:
		x.add("device", "microphone", warning, err.Error(), "recordings can be listened to without one")
	case len(devices) == 0:
		x.add("device", "microphone", warning, "there is none", "plug one in, or allow this program to use it; recordings can be listened to without one")
	default:
		x.add("device", "microphone", good, fmt.Sprintf("%d found; none was opened", len(devices)), "")
	}
}

// consents checks the receipt and when each purpose ends.
func (x *examination) consents(h home) {
	_, receipt, err := h.receipt()
	mend := "run: aloud enrol --server URL"
	_, unknown := h.standing()
	switch {
	case h.has(receiptFile) && unknown != nil:
		mend = "restore " + receiptFile + " from a backup; without one remove it and " + leaveFirst
	case h.has(receiptFile):
		mend = "restore " + receiptFile + " from a backup; without one " + leaveFirst
	case unknown == nil:
		mend = leaveFirst
	}
	if !x.judge("device", "receipt", err, "signed by this device and countersigned by the server", mend) {
		return
	}
	now := x.env.now()
	var ended, soon, held []string
	for _, p := range receipt.Purposes {
		if h.has(withdrawnMark(p.Purpose)) {
			continue
		}
		switch left := p.Expires.Sub(now); {
		case left <= 0:
			ended = append(ended, string(p.Purpose))
		case left < expiresSoon:
			soon = append(soon, string(p.Purpose))
		default:
			held = append(held, string(p.Purpose))
		}
	}
	mend = "to go on, run: aloud enrol --renew"
	if len(ended) > 0 {
		x.add("device", "consent", failure, "ended by itself: "+strings.Join(ended, ", "), mend)
	}
	if len(soon) > 0 {
		x.add("device", "consent", warning, "ends within a week: "+strings.Join(soon, ", "), mend)
	}
	if len(held) > 0 {
		x.add("device", "consent", good, "in force: "+strings.Join(held, ", "), "")
	}
}

// loseOutbox is what remains to do about an outbox that can't be read.
const loseOutbox = "move the file " + outboxFile + " away, and run aloud withdraw again for what you withdrew without a connection; signals that waited in it are lost"

// backlog checks the outbox: what could not be sent, and what the server must
// yet be told.
func (x *examination) backlog(ctx context.Context, h home) {
	if !h.has(outboxFile) {
		x.add("device", "outbox", good, "empty", "")
		return
	}
	o, err := h.outbox(ctx, x.env, 0)
	if err != nil {
		x.add("device", "outbox", failure, err.Error(), loseOutbox)
		return
	}
	list, err := o.List(ctx)
	untold, uerr := o.Untold(ctx)
	if err = errors.Join(err, uerr, o.Close()); err != nil {
		x.add("device", "outbox", failure, err.Error(), loseOutbox)
		return
	}
	tell := "connect to the server and run: aloud outbox send"
	if !h.has(keyFile) {
		tell = "connect to the server and run: aloud erase"
	}
	now := x.env.now()
	late, waiting := 0, 0
	for _, e := range list {
		if e.State == outbox.Accepted || e.State == outbox.Refused {
			continue
		}
		waiting++
		if now.Sub(e.Due) > time.Hour {
			late++
		}
	}
	switch {
	case len(untold) > 0:
		x.add("device", "outbox", failure, untoldNames(untold), tell)
	case late > 0:
		x.add("device", "outbox", warning, fmt.Sprintf("%d of %d signals should have been sent over an hour ago", late, waiting), "check that the server is reachable, and run: aloud outbox send")
	default:
		x.add("device", "outbox", good, fmt.Sprintf("%d signals wait", waiting), "")
	}
}

// untoldNames says what the server must yet be told, and why it was not if it said.
func untoldNames(untold []outbox.Untold) string {
	said := "the server does not know yet of: "
	for i, u := range untold {
		if i > 0 {
			said += ", "
		}
		said += u.Kind
		if u.Reason != "" {
			said += " (it answered: " + u.Reason + ")"
		}
	}
	return said
}
