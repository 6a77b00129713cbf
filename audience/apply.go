package audience

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/identity"
	"aloud.example/aloud/profile"
	"aloud.example/aloud/signal"
)

// batch is one transaction's work, and what follows once it is committed.
type batch struct {
	k       *Keeper
	tx      Tx
	applied map[uint16]uint64
	members map[aloud.ParticipantID][]Membership // those touched
	after   []func()
	scrub   bool
	latest  time.Time // when the latest member was collected
	counts  struct{ messages, members, skipped, dead uint64 }

	message collector.Message // the one being applied
}

// apply applies messages in one transaction, each member of each group once.
func (k *Keeper) apply(ctx context.Context, messages []collector.Message) error {
	var b *batch
	err := k.cfg.Database.Apply(ctx, func(tx Tx) error {
		b = &batch{k: k, tx: tx, applied: map[uint16]uint64{}, members: map[aloud.ParticipantID][]Membership{}}
		return b.run(ctx, messages)
	})
	if err != nil {
		k.standings.Purge() // what was read in the transaction is undone
		k.rules = map[uint16]map[aloud.Category][]PlacedRule{}
		rules, rerr := k.cfg.Database.Rules(ctx)
		for _, r := range rules {
			k.placeRule(r)
		}
		if rerr != nil {
			return aloud.Errorf(aloud.EUNAVAILABLE, "the rules can't be read: %w", rerr)
		}
		return err
	}
	b.commit(messages[len(messages)-1].Seq)
	return nil
}

func (b *batch) run(ctx context.Context, messages []collector.Message) error {
	for _, m := range messages {
		if m.Seq <= b.k.Applied(m.Partition) || m.Seq <= b.applied[m.Partition] {
			continue
		}
		b.message = m
		if err := b.group(ctx); err != nil {
			return err
		}
		b.applied[m.Partition] = m.Seq
		b.counts.messages++
	}
	for partition, seq := range b.applied {
		if err := b.tx.PutApplied(ctx, partition, seq); err != nil {
			return err
		}
	}
	for p := range b.members {
		members, err := b.tx.MembersOf(ctx, p)
		if err != nil {
			return err
		}
		b.members[p] = members
	}
	return b.tx.PutPosition(ctx, messages[len(messages)-1].Seq)
}

// commit makes what was committed visible, in an order in which no reader sees
// a withdrawal undone.
func (b *batch) commit(last uint64) {
	k := b.k
	for _, fn := range b.after {
		fn()
	}
	for p, members := range b.members {
		if !k.cfg.Index.Set(p, members) {
			k.counts.full.Add(1)
			k.cfg.Log.Error("the index is full: a participant's memberships are not bid on", "limit", k.cfg.Index.limit)
		}
	}
	k.counts.messages.Add(b.counts.messages)
	k.counts.members.Add(b.counts.members)
	k.counts.skipped.Add(b.counts.skipped)
	k.counts.dead.Add(b.counts.dead)
	k.mu.Lock()
	for partition, seq := range b.applied {
		k.applied[partition] = seq
	}
	k.all = last
	close(k.changed)
	k.changed = make(chan struct{})
	k.mu.Unlock()
	k.unscrubbed = k.unscrubbed || b.scrub
	if b.latest.After(k.latest) {
		k.latest = b.latest
	}
}

// group applies the members of one message. One that is bad goes to the dead
// letters and holds up nothing.
func (b *batch) group(ctx context.Context) error {
	partition, envelopes, err := collector.DecodeGroup(b.message.Data)
	if err == nil && partition != b.message.Partition {
		err = aloud.Errorf(aloud.EINVALID, "the group belongs to another partition")
	}
	if err != nil {
		return b.dead(ctx, -1, 0, err)
	}
	for i, e := range envelopes {
		m, err := collector.OpenMember(ctx, b.k.cfg.Keys, e)
		switch aloud.ErrorCode(err) {
		case "":
		case aloud.ENOTFOUND: // its key is gone, and so it is
			b.counts.skipped++
			continue
		case aloud.EUNAVAILABLE:
			return err
		default:
			if err := b.dead(ctx, i, e.Kind, err); err != nil {
				return err
			}
			continue
		}
		err = b.tx.Try(ctx, func() error { return b.member(ctx, m, e) })
		if aloud.ErrorCode(err) == aloud.EUNAVAILABLE || ctx.Err() != nil {
			return err
		}
		if aloud.ErrorCode(err) == aloud.ENOTFOUND {
			// Perhaps its key was destroyed meanwhile.
			switch _, gone := collector.OpenMember(ctx, b.k.cfg.Keys, e); aloud.ErrorCode(gone) {
			case aloud.ENOTFOUND:
				b.counts.skipped++
				continue
			case aloud.EUNAVAILABLE:
				return gone
			}
		}
		if err != nil {
			if err := b.dead(ctx, i, e.Kind, err); err != nil {
				return err
			}
			continue
		}
		b.counts.members++
		if m.At.After(b.latest) {
			b.latest = m.At
		}
	}
	return nil
}

func (b *batch) dead(ctx context.Context, member int, kind collector.Kind, cause error) error {
	b.counts.dead++
	b.k.cfg.Log.Warn("a message could not be applied", "seq", b.message.Seq, "member", member, "kind", kind, "error", cause)
	return b.tx.PutDeadLetter(ctx, DeadLetter{
		Partition: b.message.Partition, Seq: b.message.Seq, Member: member, Kind: kind,
		Code: aloud.ErrorCode(cause), Reason: cause.Error(), At: b.k.cfg.Now(),
	})
}

func (b *batch) member(ctx context.Context, m collector.Member, e collector.Envelope) error {
	switch m.Kind {
	case collector.KindReceipt:
		return b.receipt(ctx, m, e)
	case collector.KindLink:
		return b.link(ctx, m)
	case collector.KindSignal:
		return b.signal(ctx, m, e)
	case collector.KindEvent:
		return b.event(ctx, m)
	case collector.KindWithdrawal:
		return b.withdrawal(ctx, m)
	case collector.KindErased:
		return b.erased(ctx, m)
	case collector.KindRule:
		return b.rule(ctx, m)
	}
	return aloud.Errorf(aloud.EINVALID, "a member of unknown kind %d", m.Kind)
}

// standing is what the participant agreed to, as of the message being applied.
func (b *batch) standing(ctx context.Context, p aloud.ParticipantID) (*collector.Standing, error) {
	if s, ok := b.k.standings.Get(p); ok {
		return s, nil
	}
	row, err := b.tx.Standing(ctx, p)
	if err != nil {
		return nil, err
	}
	s, err := collector.NewStanding(ctx, b.k.cfg.Keys, b.k.cfg.ServerKeys, row)
	if err != nil {
		return nil, err
	}
	b.k.standings.Add(p, s)
	return s, nil
}

func (b *batch) receipt(ctx context.Context, m collector.Member, e collector.Envelope) error {
	r, err := consent.Verify(*m.Receipt, b.k.cfg.ServerKeys...)
	if err != nil {
		return err
	}
	if r.Participant != m.Participant {
		return aloud.Errorf(aloud.EINVALID, "a receipt under the key of another participant")
	}
	before, err := b.standing(ctx, m.Participant)
	if err != nil && aloud.ErrorCode(err) != aloud.ENOTFOUND {
		return err
	}
	if before != nil {
		if _, again := before.Receipt(r.Hash()); again {
			return nil
		}
		if key, err := r.DeviceKey.Public(); err != nil || !before.Device.Equal(key) {
			return aloud.Errorf(aloud.EFORBIDDEN, "a receipt by another device than the participant's")
		}
	}
	if err := b.tx.PutReceipt(ctx, m.Participant, collector.ReceiptRow{Hash: r.Hash(), Seq: b.message.Seq, Envelope: e}); err != nil {
		return err
	}
	b.k.standings.Remove(m.Participant)
	if err := b.record(ctx, m, collector.PurposeRecord, collector.RecordReceipt, r.Hash().String(), r.Hash().String(),
		"participant", string(m.Participant), "receipt", r.Hash().String(), "purposes", purposesOf(r), "at", stamp(m.At)); err != nil {
		return err
	}
	ended := slices.DeleteFunc(consent.AllPurposes(), func(p consent.Purpose) bool { _, ok := r.Expires(p); return ok })
	if before != nil && len(ended) > 0 {
		if err := b.end(ctx, m, ended, r.Hash().String()); err != nil {
			return err
		}
	}
	return b.evaluate(ctx, m.Participant, "", m.At, &m.Seed)
}

// purposesOf lists what a receipt grants, each with its end.
func purposesOf(r consent.Receipt) string {
	var s []byte
	for i, g := range r.Purposes {
		if i > 0 {
			s = append(s, ' ')
		}
		s = append(s, g.Purpose...)
		s = append(s, '=')
		s = strconv.AppendInt(s, g.Expires.Unix(), 10)
	}
	return string(s)
}

// stamp is a time as records write it: unix seconds.
func stamp(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// granted checks again what the collector checked, at the time it did.
func (b *batch) granted(ctx context.Context, m collector.Member, p consent.Purpose) (*collector.Standing, error) {
	s, err := b.standing(ctx, m.Participant)
	if err != nil {
		return nil, err
	}
	_, err = s.Grant(p, m.At)
	return s, err
}

func (b *batch) link(ctx context.Context, m collector.Member) error {
	purpose := identity.Purpose(m.Link.Kind)
	if purpose == "" || purpose != m.Purpose {
		return aloud.Errorf(aloud.EINVALID, "a link of kind %.20q under the key of %s", m.Link.Kind, m.Purpose)
	}
	if _, err := b.granted(ctx, m, purpose); err != nil {
		return err
	}
	l := identity.Link{Kind: m.Link.Kind, Value: m.Link.Value, Participant: m.Participant, Source: m.Link.Source, At: m.At}
	changed, err := identity.Apply(ctx, b.tx, l)
	if err == nil && changed {
		b.after = append(b.after, func() {
			if !b.k.cfg.Links.Put(l) {
				b.k.counts.full.Add(1)
			}
		})
	}
	return err
}

func (b *batch) signal(ctx context.Context, m collector.Member, e collector.Envelope) error {
	standing, err := b.standing(ctx, m.Participant)
	if err != nil {
		return err
	}
	u, err := signal.Parse(m.Token)
	if err != nil {
		return err
	}
	s := u.Claimed() // verified by the collector, and sealed since
	if s.Participant != m.Participant || m.Purpose != consent.PurposeShareSignals {
		return aloud.Errorf(aloud.EINVALID, "a signal under a key that is not its participant's for sharing signals")
	}
	if err := standing.Covers(s, m.At); err != nil {
		return err
	}
	digest := aloud.Hash(sha256.Sum256([]byte(m.Token)))
	old, seen, err := b.tx.Signal(ctx, s.ID)
	if err != nil {
		return err
	}
	if seen && old.Digest == digest {
		return nil // counted before
	}
	if seen {
		return aloud.Errorf(aloud.ECONFLICT, "another signal with the same jti was counted already")
	}
	if err := b.tx.PutSignal(ctx, SignalRow{ID: s.ID, Participant: s.Participant, Digest: digest, Expires: s.Expires, Envelope: e}); err != nil {
		return err
	}
	if err := b.record(ctx, m, consent.PurposeShareSignals, collector.RecordSignal, string(s.ID), string(s.ID), signalFields(s, digest)...); err != nil {
		return err
	}
	counts, err := profile.Apply(ctx, b.tx, s)
	if err != nil || !counts {
		return err
	}
	return b.evaluate(ctx, s.Participant, s.Category, m.At, &m.Seed)
}

func signalFields(s signal.Signal, digest aloud.Hash) []string {
	return []string{
		"participant", string(s.Participant), "signal", string(s.ID), "receipt", s.Receipt.String(),
		"category", string(s.Category), "iab", strconv.Itoa(s.IAB), "stage", string(s.Stage),
		"score", strconv.FormatFloat(s.Score, 'f', 3, 64), "heard", stamp(s.HeardAt), "sent", stamp(s.SentAt),
		"source", string(s.Source), "cell", string(s.Cell), "token", digest.String(),
	}
}

func (b *batch) event(ctx context.Context, m collector.Member) error {
	if _, err := b.granted(ctx, m, consent.PurposeMatchBehaviour); err != nil {
		return err
	}
	fresh, err := b.tx.PutSeen(ctx, m.Kind, m.Event.ID, m.Participant, m.At)
	if err != nil || !fresh {
		return err
	}
	return b.tx.AddEvent(ctx, profile.EventCount{
		Participant: m.Participant, Source: m.Event.Source, Name: m.Event.Name, Count: 1, Last: time.UnixMilli(m.Event.Time).UTC(),
	})
}

func (b *batch) withdrawal(ctx context.Context, m collector.Member) error {
	standing, err := b.standing(ctx, m.Participant)
	if err != nil {
		return err
	}
	w, err := consent.ParseWithdrawal(m.Token, standing.Device)
	if err != nil {
		return err
	}
	fresh, err := b.tx.PutSeen(ctx, m.Kind, collector.WithdrawalID(w.ID), m.Participant, m.At)
	if err != nil || !fresh {
		return err
	}
	if err := b.record(ctx, m, collector.PurposeRecord, collector.RecordWithdrawal, w.ID, w.ID,
		"participant", string(m.Participant), "receipt", w.Receipt.String(), "purpose", string(w.Purpose), "at", stamp(m.At)); err != nil {
		return err
	}
	return b.end(ctx, m, collector.Ends(w.Purpose), w.ID)
}

// end ends purposes of a participant, in the database and in memory.
func (b *batch) end(ctx context.Context, m collector.Member, ended []consent.Purpose, ending string) error {
	for _, p := range ended {
		if err := b.tx.PutEnded(ctx, m.Participant, p, b.message.Seq); err != nil {
			return err
		}
	}
	b.k.standings.Remove(m.Participant)
	if err := b.tx.DropRecords(ctx, m.Participant, ended, b.message.Seq); err != nil {
		return err
	}
	if err := b.k.cfg.Eraser.Withdraw(ctx, b.tx, m.Participant, ended); err != nil {
		return err
	}
	// Again, for the crash between the stream and the keys.
	if err := b.k.cfg.Keys.Destroy(ctx, m.Ended); err != nil {
		return err
	}
	b.members[m.Participant] = nil
	b.scrub = true
	b.after = append(b.after, func() {
		b.k.cfg.Links.Drop(m.Participant, identity.Kinds(ended)...)
		b.k.cfg.Index.Settle(m.Participant, ending)
	})
	return nil
}

func (b *batch) erased(ctx context.Context, m collector.Member) error {
	if err := b.putRecord(ctx, RecordRow{Cause: b.message.Seq}, collector.NewRecord(m.Seed, collector.RecordErasure, "", "at", stamp(m.At)), m.Seed, ""); err != nil {
		return err
	}
	p, ok, err := b.tx.Forgotten(ctx, m.Forget)
	if err != nil || !ok {
		return err
	}
	if err := b.k.cfg.Keys.Forget(ctx, p); err != nil {
		return err
	}
	if err := b.k.cfg.Eraser.Erase(ctx, b.tx, p); err != nil {
		return err
	}
	b.k.standings.Remove(p)
	b.members[p] = nil
	b.scrub = true
	b.after = append(b.after, func() {
		b.k.cfg.Links.DropAll(p)
		b.k.cfg.Index.Settle(p, "")
		// Soon again, for a bid that is being written in this moment.
		b.k.erased = true
		if soon := b.k.cfg.Now().Add(erasedAgain - sweepEvery); soon.Before(b.k.pruned) {
			b.k.pruned = soon
		}
	})
	return nil
}

// record seals a record under a purpose's key and puts it into the outbox.
func (b *batch) record(ctx context.Context, m collector.Member, purpose consent.Purpose, kind, key, ref string, fields ...string) error {
	return b.recordFrom(ctx, m.Participant, m.Seed, purpose, kind, key, ref, fields...)
}

func (b *batch) recordFrom(ctx context.Context, p aloud.ParticipantID, seed collector.Seed, purpose consent.Purpose, kind, key, ref string, fields ...string) error {
	r := collector.NewRecord(seed, kind, key, fields...)
	plain, err := json.Marshal(r.Fields)
	if err != nil {
		return aloud.Errorf(aloud.EINTERNAL, "a record can't be written: %w", err)
	}
	handle, sealed, err := b.k.cfg.Keys.SealRow(ctx, p, purpose, recordLabel, plain)
	if aloud.ErrorCode(err) == aloud.ENOTFOUND {
		return nil // withdrawn since; there is nobody to prove it to
	}
	if err != nil {
		return err
	}
	return b.tx.PutRecord(ctx, RecordRow{
		ID: collector.RecordID(seed, kind, key), Kind: kind, Participant: p, Purpose: purpose, Cause: b.message.Seq,
		Ref: ref, Handle: handle, Sealed: sealed,
	})
}

// putRecord is for records of nobody, which need no key.
func (b *batch) putRecord(ctx context.Context, row RecordRow, r collector.Record, seed collector.Seed, key string) error {
	plain, err := json.Marshal(r.Fields)
	if err != nil {
		return aloud.Errorf(aloud.EINTERNAL, "a record can't be written: %w", err)
	}
	row.ID, row.Kind, row.Sealed = collector.RecordID(seed, r.Kind, key), r.Kind, plain
	return b.tx.PutRecord(ctx, row)
}

const recordLabel = "record"
