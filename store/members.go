package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
)

// PutRule implements audience.MemberTx.
func (t *Tx) PutRule(ctx context.Context, partition uint16, a aloud.AudienceID, seq uint64, r audience.Rule) error {
	text, err := json.Marshal(r)
	if err != nil {
		return aloud.Errorf(aloud.EINTERNAL, "a rule can't be written: %w", err)
	}
	return t.exec(ctx, `INSERT INTO rules (partition_no, audience, seq, rule) VALUES ($1, $2, $3, $4)
		ON CONFLICT (partition_no, audience) DO NOTHING`, partition, a, seq, string(text))
}

// Rules implements audience.Database.
func (s *Store) Rules(ctx context.Context) ([]audience.PlacedRule, error) {
	var all []audience.PlacedRule
	parsed := map[string]audience.Rule{} // one territory's memory for all partitions
	err := s.View(ctx, func(tx *Tx) error {
		return tx.each(ctx, func(r *sql.Rows) error {
			var p audience.PlacedRule
			var text string
			if err := r.Scan(&p.Partition, &p.Audience, &text); err != nil {
				return err
			}
			rule, ok := parsed[text]
			if !ok {
				if err := json.Unmarshal([]byte(text), &rule); err != nil {
					return aloud.Errorf(aloud.EINTERNAL, "the rule of %s can't be read: %w", p.Audience, err)
				}
				parsed[text] = rule
			}
			p.Rule = rule
			all = append(all, p)
			return nil
		}, `SELECT partition_no, audience, rule FROM rules ORDER BY partition_no, seq, audience`)
	})
	return all, err
}

const memberColumns = `participant, audience, category, stage, signal, heard, until`

func scanMember(r *sql.Rows) (m audience.Member, err error) {
	var heard, until int64
	err = r.Scan(&m.Participant, &m.Audience, &m.Category, &m.Stage, &m.Signal, &heard, &until)
	m.Heard, m.Until = fromMS(heard), fromMS(until)
	return m, err
}

// MembersOf implements audience.MemberTx.
func (t *Tx) MembersOf(ctx context.Context, p aloud.ParticipantID) ([]audience.Membership, error) {
	var all []audience.Membership
	err := t.each(ctx, func(r *sql.Rows) error {
		m, err := scanMember(r)
		all = append(all, m.Membership)
		return err
	}, `SELECT `+memberColumns+` FROM members WHERE participant = $1 ORDER BY audience`, p)
	return all, err
}

// PutMember implements audience.MemberTx.
func (t *Tx) PutMember(ctx context.Context, m audience.Member) error {
	return t.exec(ctx, `INSERT INTO members (participant, audience, category, stage, signal, heard, until)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (participant, audience) DO UPDATE SET category = excluded.category, stage = excluded.stage,
			signal = excluded.signal, heard = excluded.heard, until = excluded.until`,
		m.Participant, m.Audience, m.Category, m.Stage, m.Signal, ms(m.Heard), ms(m.Until))
}

// DropMember implements audience.MemberTx.
func (t *Tx) DropMember(ctx context.Context, p aloud.ParticipantID, a aloud.AudienceID) error {
	return t.exec(ctx, `DELETE FROM members WHERE participant = $1 AND audience = $2`, p, a)
}

// EachMember implements audience.Database.
func (s *Store) EachMember(ctx context.Context, now time.Time, fn func(audience.Member) error) error {
	return s.View(ctx, func(tx *Tx) error {
		return tx.each(ctx, func(r *sql.Rows) error {
			m, err := scanMember(r)
			if err != nil {
				return err
			}
			return fn(m)
		}, `SELECT `+memberColumns+` FROM members WHERE until > $1 ORDER BY participant, audience`, ms(now))
	})
}

// Sweep implements audience.Database.
func (s *Store) Sweep(ctx context.Context, now, ended, keep time.Time) error {
	return s.Update(ctx, func(tx *Tx) error {
		if err := tx.exec(ctx, `DELETE FROM members WHERE until <= $1`, ms(ended)); err != nil {
			return err
		}
		if err := tx.exec(ctx, `DELETE FROM signals WHERE expires <= $1`, ms(keep)); err != nil {
			return err
		}
		if err := tx.exec(ctx, `DELETE FROM seen WHERE at <= $1`, ms(keep)); err != nil {
			return err
		}
		// A bid that was decided before an erasure and written after it.
		return tx.exec(ctx, `UPDATE bids SET participant = '', signal = '' WHERE at > $1 AND participant <> ''
			AND participant NOT IN (SELECT participant FROM participants)`, ms(now.Add(-10*time.Minute)))
	})
}

// AddAudience implements audience.AudienceStore.
func (s *Store) AddAudience(ctx context.Context, a audience.Audience) error {
	rule, err := json.Marshal(a.Rule)
	if err != nil {
		return aloud.Errorf(aloud.EINTERNAL, "a rule can't be written: %w", err)
	}
	return s.Update(ctx, func(tx *Tx) error {
		return tx.exec(ctx, `INSERT INTO audiences (audience, advertiser, name, rule, created, published) VALUES ($1, $2, $3, $4, $5, 0)`,
			a.ID, null(a.Advertiser), a.Name, string(rule), ms(a.Created))
	})
}

// Audience implements audience.AudienceStore.
func (s *Store) Audience(ctx context.Context, id aloud.AudienceID) (audience.Audience, error) {
	all, err := s.audiences(ctx, `WHERE audience = $1`, id)
	if err == nil && len(all) == 0 {
		err = aloud.Errorf(aloud.ENOTFOUND, "there is no audience %.40q", id)
	}
	if err != nil {
		return audience.Audience{}, err
	}
	return all[0], nil
}

// Audiences implements audience.AudienceStore.
func (s *Store) Audiences(ctx context.Context) ([]audience.Audience, error) {
	return s.audiences(ctx, `ORDER BY created, audience`)
}

// Unpublished implements audience.AudienceStore.
func (s *Store) Unpublished(ctx context.Context) ([]audience.Audience, error) {
	return s.audiences(ctx, `WHERE published = 0 ORDER BY created, audience`)
}

func (s *Store) audiences(ctx context.Context, where string, args ...any) ([]audience.Audience, error) {
	var all []audience.Audience
	err := s.View(ctx, func(tx *Tx) error {
		return tx.each(ctx, func(r *sql.Rows) error {
			var a audience.Audience
			var advertiser sql.NullString
			var rule string
			var created int64
			if err := r.Scan(&a.ID, &advertiser, &a.Name, &rule, &created); err != nil {
				return err
			}
			a.Advertiser, a.Created = aloud.AdvertiserID(advertiser.String), fromMS(created)
			all = append(all, a)
			return json.Unmarshal([]byte(rule), &all[len(all)-1].Rule)
		}, `SELECT audience, advertiser, name, rule, created FROM audiences `+where, args...)
	})
	return all, err
}

// SetPublished implements audience.AudienceStore.
func (s *Store) SetPublished(ctx context.Context, id aloud.AudienceID) error {
	return s.Update(ctx, func(tx *Tx) error {
		return tx.exec(ctx, `UPDATE audiences SET published = 1 WHERE audience = $1`, id)
	})
}
