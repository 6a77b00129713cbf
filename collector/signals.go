package collector

import (
	"context"
	"crypto/sha256"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/signal"
)

// Status is what became of a signal.
type Status string

// The three. A duplicate is as good as accepted: it was counted before.
const (
	Accepted  Status = "accepted"
	Duplicate Status = "duplicate"
	Refused   Status = "refused"
)

// Result is the answer on one signal. Err is set if it was refused; its code
// says whether sending it again can help.
type Result struct {
	ID     aloud.SignalID // "" if the token could not be read
	Status Status
	Err    error
}

// candidate is a signal on its way through Signals.
type candidate struct {
	result    *Result
	id        aloud.Hash // of the jti, for the flight
	digest    aloud.Hash // of the token
	signal    signal.Signal
	token     string
	mine      *passenger
	other     *passenger
	partition uint16
}

// Signals takes the tokens of one request and answers each, after those it
// accepts are durable.
func (c *Collector) Signals(ctx context.Context, tokens []string) []Result {
	results := make([]Result, len(tokens))
	now := c.cfg.Now()
	starting := c.ready()
	var cands []*candidate
	for i, token := range tokens {
		cand := &candidate{result: &results[i], token: token}
		if starting != nil {
			c.refuse(cand, starting)
			continue
		}
		if i >= maxTokens {
			c.refuse(cand, aloud.Errorf(aloud.ETOOLARGE, "a request may hold %d signals", maxTokens))
			continue
		}
		if err := c.verify(ctx, cand, now); err != nil {
			c.refuse(cand, err)
			continue
		}
		cands = append(cands, cand)
	}
	if cands = c.claim(ctx, cands); len(cands) > 0 {
		c.publish(ctx, cands, now)
	}
	for i := range results {
		switch results[i].Status {
		case Accepted:
			c.counts.accepted.Add(1)
		case Duplicate:
			c.counts.duplicate.Add(1)
		case Refused:
			c.counts.refused.Add(1)
		}
	}
	return results
}

func (c *Collector) refuse(cand *candidate, err error) {
	cand.result.Status, cand.result.Err = Refused, err
}

// verify checks everything that one token by itself can be wrong in.
func (c *Collector) verify(ctx context.Context, cand *candidate, now time.Time) error {
	u, err := signal.Parse(cand.token)
	if err != nil {
		return err
	}
	claimed := u.Claimed()
	cand.result.ID = claimed.ID
	standing, err := c.standing(ctx, claimed.Participant)
	if err != nil {
		return err
	}
	if cand.signal, err = u.Verify(standing.Device); err != nil {
		return err
	}
	if err := c.checkTimes(cand.signal, now); err != nil {
		return err
	}
	if cand.signal.Source != aloud.SourceMicrophone && !c.cfg.Simulated {
		return aloud.Errorf(aloud.EFORBIDDEN, "this server takes signals from a microphone only; speech from files needs a server started with --simulate")
	}
	if err := standing.Covers(cand.signal, now); err != nil {
		return err
	}
	cand.partition = PartitionOf(cand.signal.Participant)
	cand.digest = sha256.Sum256([]byte(cand.token))
	cand.id = sha256.Sum256([]byte("signal\x00" + string(cand.signal.ID)))
	return nil
}

// checkTimes holds a signal against the server's clock. A token that was signed
// long ago is no fault: a device that was offline sends the same one again. One
// that a fast clock dates ahead waits, by the server's clock as well.
func (c *Collector) checkTimes(s signal.Signal, now time.Time) error {
	switch {
	case s.SentAt.After(now.Add(consent.MaxSkew)) || s.HeardAt.After(now.Add(consent.MaxSkew)):
		return aloud.Errorf(aloud.EINVALID, "the signal is from the future by the server's clock (%s); set this device's clock", now.UTC().Format(time.RFC3339))
	case !now.Before(s.Expires) || now.Sub(s.SentAt) > signal.MaxLife:
		return aloud.Errorf(aloud.EEXPIRED, "the signal expired on %s; drop it", s.Expires.Format("2006-01-02 15:04 UTC"))
	case now.Sub(s.HeardAt) > 2*signal.MaxLife:
		return aloud.Errorf(aloud.EEXPIRED, "the signal was heard over %d days ago; drop it", int(2*signal.MaxLife.Hours()/24))
	case s.SentAt.Sub(s.HeardAt) < c.cfg.Wait:
		return aloud.Errorf(aloud.EINVALID, "a signal waits %s on the device before it is signed and sent, so that it can be vetoed; this one did not: drop it", c.cfg.Wait)
	case c.cfg.Wait > 0 && now.Sub(s.HeardAt) < c.cfg.Wait:
		return aloud.Errorf(aloud.ETOOEARLY, "a signal waits %s on the device before it is sent, so that it can be vetoed; send it later", c.cfg.Wait)
	}
	return nil
}

// claim makes sure that each id is counted once: against what other requests
// are publishing now, then against what was applied. It returns those to
// publish and answers the others.
func (c *Collector) claim(ctx context.Context, cands []*candidate) []*candidate {
	var mine []*candidate
	var ids []aloud.SignalID
	var waiting []*candidate
	for _, cand := range cands {
		var err error
		cand.mine, cand.other, err = c.flights[cand.partition].take(cand.id, cand.digest, c.cfg.Progress.Applied(cand.partition))
		switch {
		case err != nil:
			c.refuse(cand, err)
		case cand.other != nil:
			waiting = append(waiting, cand)
		default:
			mine = append(mine, cand)
			ids = append(ids, cand.signal.ID)
		}
	}
	fresh := c.unseen(ctx, mine, ids)
	if len(waiting) > 0 {
		// Those of this very request land only once it is published.
		published := make(chan struct{})
		go func() { defer close(published); c.publish(ctx, fresh, c.cfg.Now()) }()
		for _, cand := range waiting {
			c.follow(ctx, cand)
		}
		<-published
		return nil
	}
	return fresh
}

// unseen leaves those that were not applied before.
func (c *Collector) unseen(ctx context.Context, mine []*candidate, ids []aloud.SignalID) []*candidate {
	if len(mine) == 0 {
		return nil
	}
	seen, err := c.cfg.Facts.SignalDigests(ctx, ids)
	fresh := mine[:0:0]
	for _, cand := range mine {
		digest, was := seen[cand.signal.ID]
		switch {
		case err != nil:
			c.refuse(cand, err)
		case was:
			c.repeated(cand, digest)
		default:
			fresh = append(fresh, cand)
			continue
		}
		c.flights[cand.partition].land(cand.id, cand.mine, 0)
	}
	return fresh
}

// repeated answers a signal whose id was counted before.
func (c *Collector) repeated(cand *candidate, digest aloud.Hash) {
	if digest != cand.digest {
		c.refuse(cand, aloud.Errorf(aloud.ECONFLICT, "another signal with the same jti was counted already; each needs an id of its own"))
		return
	}
	cand.result.Status = Duplicate
}

// follow answers a signal that another request is publishing.
func (c *Collector) follow(ctx context.Context, cand *candidate) {
	select {
	case <-cand.other.landed:
	case <-ctx.Done():
		c.refuse(cand, aloud.Errorf(aloud.EUNAVAILABLE, "the answer did not come in time; send the same again, it counts once: %w", ctx.Err()))
		return
	}
	if cand.other.failed {
		c.refuse(cand, aloud.Errorf(aloud.EUNAVAILABLE, "the signal could not be stored; send the same again, it counts once"))
		return
	}
	c.repeated(cand, cand.other.digest)
}

// publish seals the candidates, hands them over by partition and waits.
func (c *Collector) publish(ctx context.Context, cands []*candidate, now time.Time) {
	parts := map[uint16][]*candidate{}
	envelopes := map[uint16][]Envelope{}
	for _, cand := range cands {
		e, err := SealMember(ctx, c.cfg.Keys, Member{
			Kind: KindSignal, Participant: cand.signal.Participant, Purpose: consent.PurposeShareSignals,
			At: now, Seed: NewSeed(), Token: cand.token,
		})
		if err != nil {
			c.settle(cand, 0, err)
			continue
		}
		parts[cand.partition] = append(parts[cand.partition], cand)
		envelopes[cand.partition] = append(envelopes[cand.partition], e)
	}
	pending := map[uint16]<-chan result{}
	for partition, group := range parts {
		done, err := c.submit(partition, envelopes[partition])
		if err != nil {
			for _, cand := range group {
				c.settle(cand, 0, err)
			}
			continue
		}
		pending[partition] = done
	}
	for partition, done := range pending {
		// Not ended by ctx: what was handed over is waited for, so that its
		// ids are free again if it fails. The stream has a time limit.
		seq, err := c.await(context.WithoutCancel(ctx), done)
		for _, cand := range parts[partition] {
			c.settle(cand, seq, err)
		}
	}
}

func (c *Collector) settle(cand *candidate, seq uint64, err error) {
	if err != nil {
		seq = 0
		if aloud.ErrorCode(err) == aloud.ENOTFOUND {
			err = aloud.Errorf(aloud.EFORBIDDEN, "the consent to share signals was withdrawn; run: aloud enrol to give it again")
		}
		c.refuse(cand, err)
	} else {
		cand.result.Status = Accepted
	}
	c.flights[cand.partition].land(cand.id, cand.mine, seq)
}
