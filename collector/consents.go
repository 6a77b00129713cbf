package collector

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"slices"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
)

// The kinds of identifiers that are issued at enrolment.
const (
	LinkBuyerUID = "buyeruid" // what a bid request names a participant by
	LinkUserID   = "user_id"  // the userId of behavioural events

	sourceEnrolment = "enrolment"
)

// Enrolment is the answer to a consent.
type Enrolment struct {
	Receipt  consent.Signed // countersigned
	BuyerUID string         // what exchanges know the participant by; "" unless ads were agreed to
	UserID   string         // what shops and sites know them by; "" unless matching was agreed to
}

// Consent takes a receipt that a device signed and returns it countersigned.
// The newest receipt governs: a purpose that an earlier one granted and this one
// does not ends as if it was withdrawn. The same receipt again changes nothing.
func (c *Collector) Consent(ctx context.Context, signed consent.Signed) (Enrolment, error) {
	if err := c.ready(); err != nil {
		return Enrolment{}, err
	}
	r, err := consent.VerifyDevice(signed)
	if err != nil {
		return Enrolment{}, err
	}
	if err := c.checkReceipt(r); err != nil {
		return Enrolment{}, err
	}
	if gone, err := c.cfg.Keys.Forgotten(ctx, r.Participant); err != nil || gone {
		if err == nil {
			err = errForgotten()
		}
		return Enrolment{}, err
	}
	var answer Enrolment
	err = c.change(ctx, r.Participant, func() (uint64, error) {
		var err error
		var seq uint64
		answer, seq, err = c.enrol(ctx, signed, r)
		return seq, err
	})
	if err != nil {
		return Enrolment{}, err
	}
	c.counts.consents.Add(1)
	return answer, nil
}

func (c *Collector) checkReceipt(r consent.Receipt) error {
	now := c.cfg.Now()
	switch {
	case !slices.Contains(c.cfg.Notices, r.Notice.SHA256):
		return aloud.Errorf(aloud.EINVALID, "the receipt is on a notice that this server does not have; fetch the notice and decide again")
	case r.Time.After(now.Add(consent.MaxSkew)):
		return aloud.Errorf(aloud.EINVALID, "the receipt is from the future by the server's clock (%s); set this device's clock", now.UTC().Format(time.RFC3339))
	case r.Method == consent.MethodScript && !c.cfg.Simulated:
		return aloud.Errorf(aloud.EFORBIDDEN, "this server takes consent that a person gave, not a script")
	}
	for _, g := range r.Purposes {
		if now.Before(g.Expires) {
			return nil
		}
	}
	return aloud.Errorf(aloud.EEXPIRED, "everything this receipt grants has expired; run: aloud enrol --renew")
}

// enrol runs under change.
func (c *Collector) enrol(ctx context.Context, signed consent.Signed, r consent.Receipt) (Enrolment, uint64, error) {
	before, err := c.standing(ctx, r.Participant)
	if err != nil && aloud.ErrorCode(err) != aloud.ENOTFOUND {
		return Enrolment{}, 0, err
	}
	if before != nil {
		if known, ok := before.Receipt(r.Hash()); ok {
			return c.again(known, r), 0, nil
		}
		if key, err := r.DeviceKey.Public(); err != nil || !before.Device.Equal(key) {
			return Enrolment{}, 0, aloud.Errorf(aloud.EFORBIDDEN, "this participant enrolled with another device key; renew with the folder that holds it (--home), or enrol with an empty one for a new pseudonym")
		}
		if len(before.held) >= maxReceipts {
			return Enrolment{}, 0, aloud.Errorf(aloud.ELIMITED, "this participant has renewed their consent %d times; erase and enrol anew", maxReceipts)
		}
	}
	if c.cfg.Now().Sub(r.Time) > maxReceiptAge {
		return Enrolment{}, 0, aloud.Errorf(aloud.EEXPIRED, "the receipt was signed over %d hours ago; run: aloud enrol again", int(maxReceiptAge.Hours()))
	}
	return c.admit(ctx, signed, r, before)
}

// again answers a receipt that is known.
func (c *Collector) again(known consent.Signed, r consent.Receipt) Enrolment {
	e := Enrolment{Receipt: known}
	for _, l := range e.issued() {
		if _, ok := r.Expires(l.purpose); ok {
			*l.value, _ = c.cfg.Directory.Issued(r.Participant, l.kind)
		}
	}
	return e
}

// admit makes a new receipt durable, with the identifiers it calls for.
func (c *Collector) admit(ctx context.Context, signed consent.Signed, r consent.Receipt, before *Standing) (Enrolment, uint64, error) {
	now := c.cfg.Now()
	if err := signed.Countersign(c.cfg.ServerKey, now); err != nil {
		return Enrolment{}, 0, err
	}
	members := []Member{{Kind: KindReceipt, Purpose: PurposeRecord, Seed: NewSeed(), Receipt: &signed}}
	if before != nil {
		ended := slices.DeleteFunc(before.unended(), func(p consent.Purpose) bool { _, still := r.Expires(p); return still })
		handles, err := c.cfg.Keys.Handles(ctx, r.Participant, ended...)
		if err != nil {
			return Enrolment{}, 0, err
		}
		members[0].Ended = handles
		if len(ended) > 0 {
			c.cfg.Stopper.Stop(r.Participant, r.Hash().String())
		}
	}
	keys := []consent.Purpose{PurposeRecord}
	for _, g := range r.Purposes {
		keys = append(keys, g.Purpose)
	}
	answer := Enrolment{Receipt: signed}
	members = append(members, c.issue(&answer, r)...)
	if err := c.cfg.Keys.Ensure(ctx, r.Participant, keys...); err != nil {
		return Enrolment{}, 0, err
	}
	seq, err := c.publishMembers(ctx, r.Participant, now, members)
	if err != nil {
		return Enrolment{}, 0, err
	}
	return answer, seq, c.cfg.Keys.Destroy(ctx, members[0].Ended)
}

// identifier is one that is issued at enrolment.
type identifier struct {
	kind    string
	purpose consent.Purpose
	value   *string
}

// issued lists where e has each identifier.
func (e *Enrolment) issued() []identifier {
	return []identifier{
		{LinkBuyerUID, consent.PurposePersonaliseAds, &e.BuyerUID},
		{LinkUserID, consent.PurposeMatchBehaviour, &e.UserID},
	}
}

// issue names the participant to exchanges and to behavioural events, each by a
// random value of its own, so that the two can't join what they know. Who has
// one under a purpose that goes on keeps it.
func (c *Collector) issue(e *Enrolment, r consent.Receipt) (links []Member) {
	for _, l := range e.issued() {
		if _, ok := r.Expires(l.purpose); !ok {
			continue
		}
		value, ok := c.cfg.Directory.Issued(r.Participant, l.kind)
		if !ok {
			var b [16]byte
			_, _ = rand.Read(b[:])
			value = "u_" + base64.RawURLEncoding.EncodeToString(b[:])
		}
		*l.value = value
		links = append(links, Member{Kind: KindLink, Purpose: l.purpose, Link: &Link{Kind: l.kind, Source: sourceEnrolment, Value: value}})
	}
	return links
}

// publishMembers makes members of one participant durable, in one message.
func (c *Collector) publishMembers(ctx context.Context, p aloud.ParticipantID, now time.Time, members []Member) (uint64, error) {
	envelopes := make([]Envelope, 0, len(members))
	for _, m := range members {
		m.Participant, m.At = p, now
		e, err := SealMember(ctx, c.cfg.Keys, m)
		if err != nil {
			return 0, err
		}
		envelopes = append(envelopes, e)
	}
	done, err := c.submit(PartitionOf(p), envelopes)
	if err != nil {
		return 0, err
	}
	return c.await(context.WithoutCancel(ctx), done)
}
