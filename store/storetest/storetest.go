// Package storetest holds a database to what the stages expect of it. Every
// engine passes the same suite.
package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/bid"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/identity"
	"aloud.example/aloud/profile"
	"aloud.example/aloud/store"
)

// Run runs the suite. open returns a database without rows; the suite closes
// it.
func Run(t *testing.T, open func(t *testing.T) *store.Store) {
	for name, test := range map[string]func(*suite){
		"Update": update, "Try": try, "Consent": consents, "Signals": signals, "Seen": seen, "Identity": links,
		"Profile": profiles, "Members": members, "Audiences": audiences, "Records": records, "Endings": endings,
		"Position": position, "Writers": writers,
	} {
		t.Run(name, func(t *testing.T) {
			s := &suite{T: t, ctx: context.Background(), db: open(t), now: time.Now().UTC().Truncate(time.Second)}
			defer func() { s.must(s.db.Close()) }()
			test(s)
		})
	}
}

type suite struct {
	*testing.T
	ctx context.Context
	db  *store.Store
	now time.Time
}

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *suite) apply(fn func(audience.Tx) error) {
	s.Helper()
	s.must(s.db.Apply(s.ctx, fn))
}

func envelope(p aloud.ParticipantID, kind collector.Kind, h byte) collector.Envelope {
	return collector.Envelope{Partition: collector.PartitionOf(p), Kind: kind, Handle: collector.Handle{h}, Ciphertext: []byte{h, 0, 255}}
}

var errOnPurpose = errors.New("on purpose")

// update: a transaction is whole or not at all.
func update(s *suite) {
	p := aloud.NewParticipantID()
	err := s.db.Apply(s.ctx, func(tx audience.Tx) error {
		s.must(tx.PutWeight(s.ctx, profile.Weight{Participant: p, Category: "home.hvac", Value: 1, At: s.now}))
		return errOnPurpose
	})
	if !errors.Is(err, errOnPurpose) {
		s.Errorf("the failure came back as %v", err)
	}
	func() {
		defer func() { _ = recover() }()
		_ = s.db.Apply(s.ctx, func(tx audience.Tx) error {
			s.must(tx.PutWeight(s.ctx, profile.Weight{Participant: p, Category: "home.hvac", Value: 1, At: s.now}))
			panic("on purpose")
		})
	}()
	if weights, _, err := s.db.Profile(s.ctx, p); err != nil || len(weights) != 0 {
		s.Errorf("a failed transaction left %v, %v", weights, err)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	if err := s.db.Apply(ctx, func(audience.Tx) error { return nil }); aloud.ErrorCode(err) != aloud.EUNAVAILABLE {
		s.Errorf("with a cancelled context: %v", err)
	}
	s.apply(func(tx audience.Tx) error { return tx.PutPosition(s.ctx, 1) }) // it goes on
}

// try: a failed attempt takes back its own changes and no others.
func try(s *suite) {
	p := aloud.NewParticipantID()
	put := func(tx audience.Tx, c aloud.Category) error {
		return tx.PutWeight(s.ctx, profile.Weight{Participant: p, Category: c, Value: 1, At: s.now})
	}
	s.apply(func(tx audience.Tx) error {
		s.must(tx.Try(s.ctx, func() error { return put(tx, "home.hvac") }))
		err := tx.Try(s.ctx, func() error {
			s.must(put(tx, "auto.new"))
			return errOnPurpose
		})
		if !errors.Is(err, errOnPurpose) {
			s.Errorf("the failure came back as %v", err)
		}
		return tx.Try(s.ctx, func() error { return put(tx, "auto.used") })
	})
	weights, _, err := s.db.Profile(s.ctx, p)
	s.must(err)
	if len(weights) != 2 || weights[0].Category != "auto.used" || weights[1].Category != "home.hvac" {
		s.Errorf("left: %v", weights)
	}
}

func consents(s *suite) {
	p := aloud.NewParticipantID()
	row, err := s.db.Standing(s.ctx, p)
	s.must(err)
	if len(row.Receipts) != 0 {
		s.Error("a standing out of nowhere")
	}
	s.apply(func(tx audience.Tx) error {
		for i := range byte(3) {
			s.must(tx.PutReceipt(s.ctx, p, collector.ReceiptRow{Hash: aloud.Hash{i}, Seq: uint64(10 - i), Envelope: envelope(p, collector.KindReceipt, i)}))
		}
		s.must(tx.PutEnded(s.ctx, p, consent.PurposeMeasure, 4))
		return tx.PutEnded(s.ctx, p, consent.PurposeMeasure, 9)
	})
	row, err = s.db.Standing(s.ctx, p)
	s.must(err)
	if len(row.Receipts) != 3 || row.Receipts[0].Seq != 8 || row.Receipts[2].Hash != (aloud.Hash{0}) || row.Ended[consent.PurposeMeasure] != 9 {
		s.Errorf("came back as %+v", row)
	}
	if e := row.Receipts[0].Envelope; e.Kind != collector.KindReceipt || e.Partition != collector.PartitionOf(p) || e.Handle != (collector.Handle{2}) || string(e.Ciphertext) != "\x02\x00\xff" {
		s.Errorf("the envelope came back as %+v", e)
	}
	all, err := s.db.Participants(s.ctx, "", 10)
	s.must(err)
	if !slices.Equal(all, []aloud.ParticipantID{p}) {
		s.Errorf("participants: %v", all)
	}
	if rest, err := s.db.Participants(s.ctx, p, 10); err != nil || len(rest) != 0 {
		s.Errorf("after the last: %v, %v", rest, err)
	}
}

func signals(s *suite) {
	p := aloud.NewParticipantID()
	var ids []aloud.SignalID
	s.apply(func(tx audience.Tx) error {
		for i := range 600 {
			row := audience.SignalRow{
				ID: aloud.NewSignalID(), Participant: p, Digest: aloud.Hash{byte(i), byte(i >> 8)},
				Expires: s.now.Add(time.Hour), Envelope: envelope(p, collector.KindSignal, byte(i)),
			}
			ids = append(ids, row.ID)
			s.must(tx.PutSignal(s.ctx, row))
		}
		return nil
	})
	digests, err := s.db.SignalDigests(s.ctx, append(ids, aloud.NewSignalID()))
	s.must(err)
	if len(digests) != len(ids) || digests[ids[599]] != (aloud.Hash{599 & 255, 599 >> 8}) {
		s.Errorf("%d digests of %d", len(digests), len(ids))
	}
	row, ok, err := s.db.SignalOf(s.ctx, ids[7])
	s.must(err)
	if !ok || row.Participant != p || !row.Expires.Equal(s.now.Add(time.Hour)) || row.Envelope.Handle != (collector.Handle{7}) {
		s.Errorf("came back as %+v", row)
	}
	err = s.db.Apply(s.ctx, func(tx audience.Tx) error { return tx.PutSignal(s.ctx, row) })
	if aloud.ErrorCode(err) != aloud.ECONFLICT {
		s.Errorf("twice: %v", err)
	}
	s.must(s.db.Sweep(s.ctx, s.now, s.now, s.now.Add(2*time.Hour)))
	if _, ok, err := s.db.SignalOf(s.ctx, ids[7]); err != nil || ok {
		s.Errorf("an expired one after the sweep: %v, %v", ok, err)
	}
}

func seen(s *suite) {
	p, id := aloud.NewParticipantID(), aloud.Hash{1}
	s.apply(func(tx audience.Tx) error {
		for i, want := range []bool{true, false} {
			if fresh, err := tx.PutSeen(s.ctx, collector.KindEvent, id, p, s.now); err != nil || fresh != want {
				s.Errorf("time %d: %v, %v", i, fresh, err)
			}
		}
		return nil
	})
	if got, err := s.db.SeenIDs(s.ctx, []aloud.Hash{id, {2}}); err != nil || !got[id] || len(got) != 1 {
		s.Errorf("seen: %v, %v", got, err)
	}
}

func links(s *suite) {
	p, q := aloud.NewParticipantID(), aloud.NewParticipantID()
	l := identity.Link{Kind: collector.LinkBuyerUID, Value: "u_1", Participant: p, Source: "enrolment", At: s.now}
	s.apply(func(tx audience.Tx) error {
		if changed, err := identity.Apply(s.ctx, tx, l); err != nil || !changed {
			s.Errorf("first: %v, %v", changed, err)
		}
		if changed, err := identity.Apply(s.ctx, tx, l); err != nil || changed {
			s.Errorf("again: %v, %v", changed, err)
		}
		stolen := l
		stolen.Participant = q
		if _, err := identity.Apply(s.ctx, tx, stolen); aloud.ErrorCode(err) != aloud.ECONFLICT {
			s.Errorf("of another: %v", err)
		}
		odd := l
		odd.Kind = "fingerprint"
		if _, err := identity.Apply(s.ctx, tx, odd); aloud.ErrorCode(err) != aloud.EINVALID {
			s.Errorf("of an unknown kind: %v", err)
		}
		other := l
		other.Kind = collector.LinkUserID
		_, err := identity.Apply(s.ctx, tx, other)
		s.must(err)
		return tx.DropLinks(s.ctx, p, collector.LinkUserID)
	})
	var all []identity.Link
	s.must(s.db.EachLink(s.ctx, func(l identity.Link) error { all = append(all, l); return nil }))
	if len(all) != 1 || all[0] != l {
		s.Errorf("left: %+v", all)
	}
}

func profiles(s *suite) {
	p := aloud.NewParticipantID()
	h := profile.Heard{Participant: p, Category: "home.hvac", Stage: aloud.StageNeed, Signal: aloud.NewSignalID(), At: s.now, Cell: "89c2f5c"}
	s.apply(func(tx audience.Tx) error {
		s.must(tx.PutHeard(s.ctx, h))
		h.At, h.Signal = s.now.Add(time.Second), aloud.NewSignalID()
		s.must(tx.PutHeard(s.ctx, h))
		s.must(tx.PutWeight(s.ctx, profile.Weight{Participant: p, Category: "home.hvac", Value: 0.1, At: s.now}))
		s.must(tx.PutWeight(s.ctx, profile.Weight{Participant: p, Category: "home.hvac", Value: 1.0 / 3, At: s.now}))
		for i := range 3 {
			s.must(tx.AddEvent(s.ctx, profile.EventCount{Participant: p, Source: "shop", Name: "Seen", Count: 1, Last: s.now.Add(-time.Duration(i) * time.Hour)}))
		}
		for name, got := range map[string]func() ([]profile.Heard, error){
			"Heard":   func() ([]profile.Heard, error) { return tx.Heard(s.ctx, p, "home.hvac") },
			"HeardOf": func() ([]profile.Heard, error) { return tx.HeardOf(s.ctx, p) },
			"HeardIn": func() ([]profile.Heard, error) { return tx.HeardIn(s.ctx, collector.PartitionOf(p), "home.hvac") },
		} {
			if all, err := got(); err != nil || len(all) != 1 || all[0] != h {
				s.Errorf("%s: %+v, %v", name, all, err)
			}
		}
		w, ok, err := tx.Weight(s.ctx, p, "home.hvac")
		if err != nil || !ok || w.Value != 1.0/3 || !w.At.Equal(s.now) {
			s.Errorf("the weight came back as %+v, %v", w, err)
		}
		return nil
	})
	_, events, err := s.db.Profile(s.ctx, p)
	s.must(err)
	if len(events) != 1 || events[0].Count != 3 || !events[0].Last.Equal(s.now) {
		s.Errorf("events: %+v", events)
	}
	s.apply(func(tx audience.Tx) error { return tx.DropCategory(s.ctx, p, "home.hvac") })
	if weights, _, err := s.db.Profile(s.ctx, p); err != nil || len(weights) != 0 {
		s.Errorf("after the end: %v, %v", weights, err)
	}
}

func member(p aloud.ParticipantID, a aloud.AudienceID, until time.Time) audience.Member {
	return audience.Member{Participant: p, Membership: audience.Membership{
		Audience: a, Category: "home.hvac", Stage: aloud.StageNeed, Signal: aloud.NewSignalID(), Heard: until.Add(-time.Hour), Until: until,
	}}
}

func members(s *suite) {
	p, a, b := aloud.NewParticipantID(), aloud.AudienceID("a_1"), aloud.AudienceID("a_2")
	first, second := member(p, a, s.now.Add(time.Hour)), member(p, b, s.now.Add(-time.Second))
	rule := audience.Rule{Category: "home.hvac", Window: time.Hour}
	s.apply(func(tx audience.Tx) error {
		s.must(tx.PutMember(s.ctx, member(p, a, s.now)))
		s.must(tx.PutMember(s.ctx, first))
		s.must(tx.PutMember(s.ctx, second))
		s.must(tx.PutRule(s.ctx, 3, a, 1, rule))
		s.must(tx.PutRule(s.ctx, 3, a, 2, rule))
		all, err := tx.MembersOf(s.ctx, p)
		if err != nil || len(all) != 2 || all[0] != first.Membership || all[1] != second.Membership {
			s.Errorf("members: %+v, %v", all, err)
		}
		return nil
	})
	var now []audience.Member
	s.must(s.db.EachMember(s.ctx, s.now, func(m audience.Member) error { now = append(now, m); return nil }))
	if len(now) != 1 || now[0] != first {
		s.Errorf("members now: %+v", now)
	}
	rules, err := s.db.Rules(s.ctx)
	s.must(err)
	if len(rules) != 1 || rules[0].Partition != 3 || rules[0].Audience != a || rules[0].Rule.Category != rule.Category || rules[0].Rule.Window != rule.Window {
		s.Errorf("rules: %+v", rules)
	}
	s.must(s.db.Sweep(s.ctx, s.now, s.now, s.now.Add(-time.Hour)))
	s.apply(func(tx audience.Tx) error {
		if all, err := tx.MembersOf(s.ctx, p); err != nil || len(all) != 1 {
			s.Errorf("after the sweep: %+v, %v", all, err)
		}
		s.must(tx.DropMember(s.ctx, p, a))
		if all, err := tx.MembersOf(s.ctx, p); err != nil || len(all) != 0 {
			s.Errorf("after the end: %+v, %v", all, err)
		}
		return nil
	})
}

func audiences(s *suite) {
	a := audience.Audience{
		ID: aloud.NewAudienceID(), Name: "Heaters in Newark", Created: s.now,
		Rule: audience.Rule{Category: "home.hvac", Stages: []aloud.Stage{aloud.StageReady}, Window: time.Hour},
	}
	s.must(s.db.AddAudience(s.ctx, a))
	if err := s.db.AddAudience(s.ctx, a); aloud.ErrorCode(err) != aloud.ECONFLICT {
		s.Errorf("twice: %v", err)
	}
	got, err := s.db.Audience(s.ctx, a.ID)
	s.must(err)
	if got.Name != a.Name || got.Rule.Window != a.Rule.Window || !slices.Equal(got.Rule.Stages, a.Rule.Stages) || !got.Created.Equal(a.Created) || got.Advertiser != "" {
		s.Errorf("came back as %+v", got)
	}
	if _, err := s.db.Audience(s.ctx, "a_none"); aloud.ErrorCode(err) != aloud.ENOTFOUND {
		s.Errorf("none: %v", err)
	}
	for _, want := range []int{1, 0} {
		if left, err := s.db.Unpublished(s.ctx); err != nil || len(left) != want {
			s.Errorf("unpublished: %d, %v, want %d", len(left), err, want)
		}
		s.must(s.db.SetPublished(s.ctx, a.ID))
	}
	if all, err := s.db.Audiences(s.ctx); err != nil || len(all) != 1 {
		s.Errorf("all: %d, %v", len(all), err)
	}
}

func record(p aloud.ParticipantID, id byte, purpose consent.Purpose, cause uint64) audience.RecordRow {
	return audience.RecordRow{
		ID: aloud.Hash{id}, Kind: collector.RecordSignal, Participant: p, Purpose: purpose, Cause: cause, Ref: "ref",
		Handle: collector.Handle{id}, Sealed: []byte{id},
	}
}

func records(s *suite) {
	p := aloud.NewParticipantID()
	share := consent.PurposeShareSignals
	s.apply(func(tx audience.Tx) error {
		for _, id := range []byte{1, 2, 3, 4, 1} {
			s.must(tx.PutRecord(s.ctx, record(p, id, share, uint64(id))))
		}
		s.must(tx.PutRecord(s.ctx, record(p, 5, consent.PurposeMeasure, 1)))
		return tx.PutPosition(s.ctx, 4)
	})
	all, err := s.db.PendingRecords(s.ctx, 100)
	s.must(err)
	if len(all) != 5 || all[0].Seq != 1 || all[4].Seq <= 4 || all[1].ID != (aloud.Hash{2}) || all[0].Leaf != -1 || string(all[2].Sealed) != "\x03" {
		s.Errorf("pending: %+v", all)
	}
	s.must(s.db.SetCommitted(s.ctx, []collector.Committed{{Seq: 1, Commitment: aloud.Hash{9}, Leaf: 0}, {Seq: 3, Commitment: aloud.Hash{8}, Leaf: 1}}))
	seq, err := s.db.AppendRecord(s.ctx, record(p, 6, share, 0))
	if err != nil || seq <= all[4].Seq {
		s.Errorf("appended at %d, %v", seq, err)
	}
	mine, err := s.db.FindRecords(s.ctx, p, collector.RecordSignal, "ref")
	s.must(err)
	if len(mine) != 6 || mine[0].Commitment != (aloud.Hash{9}) || mine[0].Leaf != 0 {
		s.Errorf("found: %+v", mine)
	}
	// A withdrawal at sequence 4 ends what came before it alone.
	s.apply(func(tx audience.Tx) error { return tx.DropRecords(s.ctx, p, []consent.Purpose{share}, 4) })
	mine, err = s.db.FindRecords(s.ctx, p, collector.RecordSignal, "ref")
	s.must(err)
	var left []int64
	for _, r := range mine {
		left = append(left, r.Seq)
	}
	if !slices.Equal(left, []int64{4, all[4].Seq, seq}) {
		s.Errorf("left: %v", left)
	}
	pending, err := s.db.PendingRecords(s.ctx, 2)
	s.must(err)
	if len(pending) != 2 || pending[0].Seq != 4 {
		s.Errorf("pending after it: %+v", pending)
	}
	s.apply(func(tx audience.Tx) error { return tx.PutRecord(s.ctx, record(p, 1, share, 1)) })
	if again, _ := s.db.FindRecords(s.ctx, p, collector.RecordSignal, "ref"); len(again) != 3 {
		s.Error("what the log holds came back to life in a replay")
	}
}

// endings: no row of the person is left, and none of another is gone.
func endings(s *suite) {
	gone, stays := aloud.NewParticipantID(), aloud.NewParticipantID()
	for i, p := range []aloud.ParticipantID{gone, stays} {
		h := byte(i + 1)
		s.apply(func(tx audience.Tx) error {
			s.must(tx.PutReceipt(s.ctx, p, collector.ReceiptRow{Hash: aloud.Hash{h}, Seq: 1, Envelope: envelope(p, collector.KindReceipt, h)}))
			s.must(tx.PutEnded(s.ctx, p, consent.PurposeMeasure, 1))
			s.must(tx.PutSignal(s.ctx, audience.SignalRow{ID: aloud.NewSignalID(), Participant: p, Expires: s.now, Envelope: envelope(p, collector.KindSignal, h)}))
			_, err := tx.PutSeen(s.ctx, collector.KindEvent, aloud.Hash{h}, p, s.now)
			s.must(err)
			s.must(tx.PutLink(s.ctx, identity.Link{Kind: "buyeruid", Value: string(p), Participant: p, At: s.now}))
			s.must(tx.PutWeight(s.ctx, profile.Weight{Participant: p, Category: "home.hvac", At: s.now}))
			s.must(tx.PutHeard(s.ctx, profile.Heard{Participant: p, Category: "home.hvac", Stage: "need", At: s.now}))
			s.must(tx.AddEvent(s.ctx, profile.EventCount{Participant: p, Source: "shop", Name: "Seen", Count: 1, Last: s.now}))
			s.must(tx.PutMember(s.ctx, member(p, "a_1", s.now.Add(time.Hour))))
			s.must(tx.PutRecord(s.ctx, record(p, h, consent.PurposeShareSignals, 1)))
			return tx.PutRecord(s.ctx, record(p, h+100, consent.PurposeShareSignals, 1))
		})
	}
	s.must(s.db.SetCommitted(s.ctx, []collector.Committed{{Seq: 1, Commitment: aloud.Hash{7}, Leaf: 3}}))
	bids := []bid.Row{bidOf(s, gone), bidOf(s, stays), bidOf(s, gone)}
	s.must(s.db.AddBids(s.ctx, bids[:2]))
	s.apply(func(tx audience.Tx) error {
		p, ok, err := tx.Forgotten(s.ctx, collector.ForgetHash(gone))
		if err != nil || !ok || p != gone {
			s.Errorf("by its hash: %v, %v, %v", p, ok, err)
		}
		return tx.DropParticipant(s.ctx, gone)
	})
	s.must(s.db.AddBids(s.ctx, bids[2:])) // decided before, written after
	s.must(s.db.Sweep(s.ctx, s.now, s.now, s.now.Add(-time.Hour)))
	for i, want := range []aloud.ParticipantID{"", stays, ""} {
		if b, err := s.db.Bid(s.ctx, bids[i].ID); err != nil || b.Participant != want || (b.Signal == "") != (want == "") || b.CPM != bids[i].CPM {
			s.Errorf("bid %d: %+v, %v; want it of %q", i, b, err, want)
		}
	}
	s.must(s.db.Truncate(s.ctx))
	var dump strings.Builder
	s.must(s.db.Dump(s.ctx, s.now, &dump))
	if strings.Contains(dump.String(), string(gone)) {
		s.Errorf("left of who was erased:\n%s", dump.String())
	}
	if n := strings.Count(dump.String(), string(stays)); n < 10 {
		s.Errorf("of another only %d rows are left:\n%s", n, dump.String())
	}
	if all, err := s.db.FindRecords(s.ctx, gone, collector.RecordSignal, "ref"); err != nil || len(all) != 0 {
		s.Errorf("records left: %+v, %v", all, err)
	}
	s.apply(func(tx audience.Tx) error {
		s.must(tx.DropBehaviour(s.ctx, stays))
		return tx.DropSignals(s.ctx, stays)
	})
	weights, events, err := s.db.Profile(s.ctx, stays)
	if err != nil || len(weights)+len(events) != 0 {
		s.Errorf("after withdrawals: %v, %v, %v", weights, events, err)
	}
}

func bidOf(s *suite, p aloud.ParticipantID) bid.Row {
	return bid.Row{
		ID: aloud.NewBidID(), At: s.now, Participant: p, Audience: aloud.NewAudienceID(), Signal: aloud.NewSignalID(), Rule: "{}",
		Advertiser: aloud.NewAdvertiserID(), Campaign: aloud.NewCampaignID(), Line: aloud.NewLineID(), Creative: aloud.NewCreativeID(),
		CPM: 2_500_000, State: bid.Open,
	}
}

func position(s *suite) {
	pos, err := s.db.Position(s.ctx)
	if err != nil || pos.All != 0 || len(pos.Partitions) != 0 {
		s.Errorf("of an empty database: %+v, %v", pos, err)
	}
	s.apply(func(tx audience.Tx) error {
		s.must(tx.PutApplied(s.ctx, 63, 5))
		s.must(tx.PutApplied(s.ctx, 63, 7))
		s.must(tx.PutPosition(s.ctx, 9))
		s.must(tx.PutDeadLetter(s.ctx, audience.DeadLetter{Partition: 63, Seq: 7, Member: -1, Reason: "x", At: s.now}))
		return tx.PutDeadLetter(s.ctx, audience.DeadLetter{Partition: 63, Seq: 7, Member: -1, Reason: "again", At: s.now})
	})
	pos, err = s.db.Position(s.ctx)
	if err != nil || pos.All != 9 || pos.Partitions[63] != 7 {
		s.Errorf("came back as %+v, %v", pos, err)
	}
	if n, err := s.db.DeadLetters(s.ctx); err != nil || n != 1 {
		s.Errorf("%d dead letters, %v", n, err)
	}
	s.must(s.db.Wipe(s.ctx))
	if pos, err = s.db.Position(s.ctx); err != nil || pos.All != 0 {
		s.Errorf("wiped: %+v, %v", pos, err)
	}
	s.must(s.db.Check(s.ctx))
}

// writers: many at once, each whole, and readers meanwhile.
func writers(s *suite) {
	p := aloud.NewParticipantID()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				if err := s.db.Apply(s.ctx, func(tx audience.Tx) error {
					return tx.AddEvent(s.ctx, profile.EventCount{Participant: p, Source: "shop", Name: "Seen", Count: 1, Last: s.now})
				}); err != nil {
					s.Error(err)
				}
				if _, _, err := s.db.Profile(s.ctx, p); err != nil {
					s.Error(err)
				}
			}
		})
	}
	wg.Wait()
	_, events, err := s.db.Profile(s.ctx, p)
	if err != nil || len(events) != 1 || events[0].Count != 80 {
		s.Errorf("80 changes made %+v, %v", events, err)
	}
}
