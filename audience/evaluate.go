package audience

import (
	"context"
	"encoding/json"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/profile"
)

// evaluate brings a participant's memberships in line with the rules, in one
// category or, with "", in all.
func (b *batch) evaluate(ctx context.Context, p aloud.ParticipantID, c aloud.Category, at time.Time, seed *collector.Seed) error {
	heard, err := b.heard(ctx, p, c)
	if err != nil {
		return err
	}
	byCategory := map[aloud.Category][]profile.Heard{}
	for _, h := range heard {
		byCategory[h.Category] = append(byCategory[h.Category], h)
	}
	placed := b.k.rules[b.message.Partition]
	if len(placed) == 0 || len(byCategory) == 0 {
		return nil
	}
	members, err := b.tx.MembersOf(ctx, p)
	if err != nil {
		return err
	}
	end, err := b.eligibleUntil(ctx, p, at)
	if err != nil {
		return err
	}
	for category, heard := range byCategory {
		for _, r := range placed[category] {
			if err := b.place(ctx, p, r, heard, members, end, at, seed); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *batch) heard(ctx context.Context, p aloud.ParticipantID, c aloud.Category) ([]profile.Heard, error) {
	if c == "" {
		return b.tx.HeardOf(ctx, p)
	}
	return b.tx.Heard(ctx, p, c)
}

// eligibleUntil is when a participant can no longer be a member of anything:
// when sharing signals or personalised ads ends. It is the zero time for who
// did not agree to both.
func (b *batch) eligibleUntil(ctx context.Context, p aloud.ParticipantID, at time.Time) (time.Time, error) {
	s, err := b.standing(ctx, p)
	if err != nil {
		return time.Time{}, err
	}
	var until time.Time
	for _, purpose := range []consent.Purpose{consent.PurposeShareSignals, consent.PurposePersonaliseAds} {
		g, err := s.Grant(purpose, at)
		if err != nil {
			return time.Time{}, nil //nolint:nilerr // not agreed to is an answer
		}
		if until.IsZero() || g.Expires().Before(until) {
			until = g.Expires()
		}
	}
	return until, nil
}

// place decides on one participant and one rule.
func (b *batch) place(ctx context.Context, p aloud.ParticipantID, r PlacedRule, heard []profile.Heard, members []Membership, end, at time.Time, seed *collector.Seed) error {
	want, in := r.Rule.membership(r.Audience, heard, end, at)
	had, was := find(members, r.Audience)
	if in && was && had == want {
		return nil
	}
	if !in && !was {
		return nil
	}
	b.members[p] = nil // to be read again before the commit
	if !in {
		if err := b.tx.DropMember(ctx, p, r.Audience); err != nil || !at.Before(had.Until) {
			return err
		}
		want = had
	} else if err := b.tx.PutMember(ctx, Member{Participant: p, Membership: want}); err != nil {
		return err
	}
	if seed == nil {
		var ok bool
		var err error
		if seed, ok, err = b.seedOf(ctx, want.Signal); err != nil || !ok {
			return err
		}
	}
	state := "out"
	if in {
		state = "in"
	}
	key := string(r.Audience) + " " + string(want.Signal) + " " + state + " " + stamp(want.Until)
	return b.recordFrom(ctx, p, *seed, consent.PurposePersonaliseAds, collector.RecordMembership, key, membershipRef(r.Audience, want.Signal),
		"participant", string(p), "audience", string(r.Audience), "signal", string(want.Signal), "state", state,
		"until", stamp(want.Until), "at", stamp(at))
}

// membershipRef finds the records of one membership again.
func membershipRef(a aloud.AudienceID, s aloud.SignalID) string { return string(a) + " " + string(s) }

func find(members []Membership, a aloud.AudienceID) (Membership, bool) {
	for _, m := range members {
		if m.Audience == a {
			return m, true
		}
	}
	return Membership{}, false
}

// membership is the one place that says who belongs: by the latest signal that
// qualifies, wholly inside the territory, within the window.
func (r Rule) membership(a aloud.AudienceID, heard []profile.Heard, end, at time.Time) (Membership, bool) {
	var best profile.Heard
	for _, h := range heard {
		if h.Category != r.Category || !r.Qualifies(h.Stage) {
			continue
		}
		if best.Signal == "" || h.At.After(best.At) || h.At.Equal(best.At) && h.Signal > best.Signal {
			best = h
		}
	}
	if best.Signal == "" || r.Territory != nil && !r.Territory.Contains(best.Cell) {
		return Membership{}, false
	}
	m := Membership{Audience: a, Category: r.Category, Stage: best.Stage, Signal: best.Signal, Heard: best.At, Until: best.At.Add(r.Window)}
	if end.Before(m.Until) {
		m.Until = end
	}
	return m, at.Before(m.Until)
}

// rule puts a rule in force in the message's partition, for those who are there
// already too.
func (b *batch) rule(ctx context.Context, m collector.Member) error {
	var r Rule
	if err := json.Unmarshal(m.Rule.Rule, &r); err != nil {
		return aloud.Errorf(aloud.EINVALID, "a rule that can't be read: %w", err)
	}
	placed := PlacedRule{Partition: b.message.Partition, Audience: m.Rule.Audience, Rule: r}
	if err := b.tx.PutRule(ctx, placed.Partition, placed.Audience, b.message.Seq, r); err != nil {
		return err
	}
	all, err := b.tx.HeardIn(ctx, placed.Partition, r.Category)
	if err != nil {
		return err
	}
	byOwner := map[aloud.ParticipantID][]profile.Heard{}
	var order []aloud.ParticipantID
	for _, h := range all {
		if byOwner[h.Participant] == nil {
			order = append(order, h.Participant)
		}
		byOwner[h.Participant] = append(byOwner[h.Participant], h)
	}
	for _, p := range order {
		members, err := b.tx.MembersOf(ctx, p)
		if err != nil {
			return err
		}
		end, err := b.eligibleUntil(ctx, p, m.At)
		if aloud.ErrorCode(err) == aloud.ENOTFOUND {
			continue // its keys are gone; the erasure follows
		}
		if err != nil {
			return err
		}
		if err := b.place(ctx, p, placed, byOwner[p], members, end, m.At, nil); err != nil {
			return err
		}
	}
	b.k.placeRule(placed)
	return nil
}

// seedOf reads the seed of a signal that was counted before.
func (b *batch) seedOf(ctx context.Context, id aloud.SignalID) (*collector.Seed, bool, error) {
	row, ok, err := b.tx.Signal(ctx, id)
	if err != nil || !ok {
		return nil, false, err
	}
	m, err := collector.OpenMember(ctx, b.k.cfg.Keys, row.Envelope)
	if aloud.ErrorCode(err) == aloud.ENOTFOUND {
		return nil, false, nil
	}
	return &m.Seed, err == nil, err
}
