package collector

import (
	"context"
	"crypto/sha256"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
)

// Withdraw ends a purpose of a receipt, and what means nothing without it. Bids
// stop before anything else; when it returns nil, the withdrawal is durable and
// the keys are destroyed. The same token again changes nothing.
func (c *Collector) Withdraw(ctx context.Context, token string) error {
	if err := c.ready(); err != nil {
		return err
	}
	peek, err := consent.PeekWithdrawal(token)
	if err != nil {
		return err
	}
	if gone, err := c.cfg.Keys.Forgotten(ctx, peek.Participant); err != nil || gone {
		return err // erased: every purpose has ended
	}
	err = c.change(ctx, peek.Participant, func() (uint64, error) { return c.withdraw(ctx, token, peek) })
	if err == nil {
		c.counts.withdrawals.Add(1)
	}
	return err
}

func (c *Collector) withdraw(ctx context.Context, token string, peek consent.Withdrawal) (uint64, error) {
	standing, err := c.standing(ctx, peek.Participant)
	if err != nil {
		return 0, err
	}
	w, err := consent.ParseWithdrawal(token, standing.Device)
	if err != nil {
		return 0, err
	}
	if _, ok := standing.Receipt(w.Receipt); !ok {
		return 0, aloud.Errorf(aloud.ENOTFOUND, "the server has no receipt with that hash for this participant")
	}
	id := WithdrawalID(w.ID)
	seen, err := c.cfg.Facts.SeenIDs(ctx, []aloud.Hash{id})
	if err != nil || seen[id] {
		return 0, err
	}
	ends := Ends(w.Purpose)
	if stopsBids(ends) {
		c.cfg.Stopper.Stop(w.Participant, w.ID)
	}
	handles, err := c.cfg.Keys.Handles(ctx, w.Participant, ends...)
	if err != nil {
		return 0, err
	}
	seq, err := c.publishMembers(ctx, w.Participant, c.cfg.Now(), []Member{{
		Kind: KindWithdrawal, Purpose: PurposeRecord, Seed: NewSeed(), Token: token, Ended: handles,
	}})
	if err != nil {
		return 0, err
	}
	return seq, c.cfg.Keys.Destroy(ctx, handles)
}

// stopsBids reports whether no bid may be made once these purposes ended.
func stopsBids(ended []consent.Purpose) bool {
	for _, p := range ended {
		if p == consent.PurposeShareSignals || p == consent.PurposePersonaliseAds {
			return true
		}
	}
	return false
}

// WithdrawalID is the id under which a withdrawal counts once.
func WithdrawalID(jti string) aloud.Hash { return sha256.Sum256([]byte("withdrawal\x00" + jti)) }

// Erase ends everything. When it returns nil, the erasure is durable and every
// key of the participant is destroyed; the rows follow as it is applied, which
// it waits for. Again, it changes nothing.
func (c *Collector) Erase(ctx context.Context, token string) error {
	if err := c.ready(); err != nil {
		return err
	}
	peek, err := consent.PeekErasure(token)
	if err != nil {
		return err
	}
	if gone, err := c.cfg.Keys.Forgotten(ctx, peek.Participant); err != nil || gone {
		return err
	}
	err = c.change(ctx, peek.Participant, func() (uint64, error) { return c.erase(ctx, token, peek) })
	if err == nil {
		c.counts.erased.Add(1)
	}
	return err
}

func (c *Collector) erase(ctx context.Context, token string, peek consent.Erasure) (uint64, error) {
	standing, err := c.standing(ctx, peek.Participant)
	if err != nil {
		return 0, err
	}
	e, err := consent.ParseErasure(token, standing.Device)
	if err != nil {
		return 0, err
	}
	c.cfg.Stopper.Stop(e.Participant, e.ID)
	plain, err := Member{Kind: KindErased, At: c.cfg.Now(), Seed: NewSeed(), Forget: ForgetHash(e.Participant)}.encode()
	if err != nil {
		return 0, err
	}
	partition := PartitionOf(e.Participant)
	done, err := c.submit(partition, []Envelope{{Partition: partition, Kind: KindErased, Ciphertext: plain}})
	if err != nil {
		return 0, err
	}
	seq, err := c.await(context.WithoutCancel(ctx), done)
	if err != nil {
		return 0, err
	}
	return seq, c.cfg.Keys.Forget(ctx, e.Participant)
}

// PublishRule puts an audience's rule in force in one partition, in order with
// the signals there.
func PublishRule(ctx context.Context, to Publisher, partition uint16, m Member) (uint64, error) {
	m.Kind = KindRule
	plain, err := m.encode()
	if err != nil {
		return 0, err
	}
	data, err := EncodeGroup(partition, []Envelope{{Partition: partition, Kind: KindRule, Ciphertext: plain}})
	if err != nil {
		return 0, err
	}
	return to.Publish(ctx, partition, messageID(), data)
}
