//go:build cgo

package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/proof"
)

// tampered is in how many places the evidence is changed to see that it shows.
const tampered = 200

// prove is the chapter in which the evidence of the impression is fetched and
// checked offline, by the keys that the participant's device pinned when they
// enrolled.
func (d *demo) prove(ctx context.Context, f facts) error {
	start := d.e.now()
	var evidence []byte
	early := 0
	err := until(ctx, 30*time.Second, "the evidence", func() (bool, error) {
		status, _, err := d.server.call(ctx, http.MethodGet, "/v1/evidence/"+string(d.auction.bid.ID), nil, &evidence)
		if err != nil {
			return false, err
		}
		switch status {
		case http.StatusOK:
			return true, nil
		case http.StatusAccepted:
			early++
			return false, nil
		}
		return false, aloud.Errorf(aloud.EUNAVAILABLE, "the evidence was answered by status %d: %.300s", status, evidence)
	})
	if err != nil {
		return err
	}
	waited := d.e.now().Sub(start)
	if err := os.WriteFile(filepath.Join(d.dir, "evidence.json"), evidence, 0o600); err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "keep the evidence: %w", bare(err))
	}
	pinned, err := os.ReadFile(d.auction.who.home.path(serverFile))
	if err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "read what the device pinned: %w", bare(err))
	}
	trust, err := proof.ParseTrust(pinned)
	if err != nil {
		return err
	}
	if early > 0 {
		d.story.say("The evidence is complete once the log's next checkpoint is signed: 202 for %.1f s, then %d bytes. Checked without the server, by the keys that %s's device pinned at the start:", waited.Seconds(), len(evidence), d.auction.who)
	} else {
		d.story.say("The log has signed its next checkpoint, so the evidence is there: %d bytes. Checked without the server, by the keys that %s's device pinned at the start:", len(evidence), d.auction.who)
	}
	report, err := proof.Verify(evidence, trust)
	if err != nil {
		return err
	}
	for _, step := range report.Steps {
		d.story.held("%s: %s", step.Name, step.Text)
	}
	if report.Bid != d.auction.bid.ID || !report.Simulated {
		return notHeld("the evidence is of this bid, and says that it is simulated")
	}
	reason, err := tamper(evidence, trust)
	if err != nil {
		return err
	}
	d.story.held("one bit changed, in each of %d places: refused each time, such as %q", tampered, reason)
	f["bytes"], f["wait_seconds"], f["proved"], f["tampered"] = len(evidence), waited.Seconds(), len(report.Steps), tampered
	return nil
}

// tamper changes one bit at a time, all over the evidence, and returns one of
// the reasons for which it was refused.
func tamper(evidence []byte, trust proof.Trust) (reason string, err error) {
	for i := range tampered {
		at := i * len(evidence) / tampered
		changed := append([]byte{}, evidence...)
		changed[at] ^= 1
		_, err := proof.Verify(changed, trust)
		if err == nil {
			return "", notHeld("evidence with byte %d changed is refused", at)
		}
		if i == tampered/2 {
			reason = err.Error()
		}
	}
	return reason, nil
}

// withdraw is the last chapter: the person withdraws, and is not bid on again.
func (d *demo) withdraw(ctx context.Context, f facts) error {
	who := d.auction.who
	if _, reason, err := d.ask(ctx, who); err != nil || reason != "" {
		return notHeld("a moment before, %s is still bid on (%s, %v)", who, reason, err)
	}
	d.story.say("On %s's own device:", who)
	d.story.row("  $ aloud withdraw %s", consent.PurposePersonaliseAds)
	start := d.e.now()
	if err := d.quietly(ctx, "withdraw", string(consent.PurposePersonaliseAds), "--home", who.home.dir); err != nil {
		return err
	}
	told := d.e.now().Sub(start)
	bids := 0
	var reason string
	err := until(ctx, 5*time.Second, "an end to the bids", func() (bool, error) {
		var err error
		if _, reason, err = d.ask(ctx, who); reason == "" {
			bids++
		}
		return reason != "", err
	})
	if err != nil {
		return err
	}
	took := d.e.now().Sub(start)
	d.story.row("  POST /openrtb2/bid  ->  204  %s", reason)
	d.story.held("%.2f s from the command to the first auction without a bid (the limit is 5 s); the server knew after %.2f s", took.Seconds(), told.Seconds())
	f["seconds"], f["told_seconds"], f["bids_meanwhile"], f["reason"] = took.Seconds(), told.Seconds(), bids, reason
	for _, p := range d.people {
		if p != who && !p.away && p.accepted > 0 {
			_, reason, err := d.ask(ctx, p)
			if err != nil {
				return err
			}
			d.story.row("  the same request for %s  ->  %s", p, answered(reason))
			break
		}
	}
	return nil
}

// answered says in short what an exchange got.
func answered(reason string) string {
	if reason == "" {
		return "200  a bid"
	}
	return "204  " + reason
}
