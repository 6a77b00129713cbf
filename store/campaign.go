package store

import (
	"context"
	"database/sql"

	"aloud.example/aloud"
	"aloud.example/aloud/campaign"
)

// AddAdvertiser implements campaign.Store.
func (s *Store) AddAdvertiser(ctx context.Context, a campaign.Advertiser) error {
	return s.Update(ctx, func(tx *Tx) error {
		seq, err := tx.next(ctx, "advertisers")
		if err != nil {
			return err
		}
		n, err := tx.change(ctx, `INSERT INTO advertisers (advertiser, seq, name, domain) VALUES ($1, $2, $3, $4)
			ON CONFLICT (advertiser) DO NOTHING`, a.ID, seq, a.Name, a.Domain)
		if err == nil && n == 0 {
			return aloud.Errorf(aloud.ECONFLICT, "there is an advertiser %s already", a.ID)
		}
		return err
	})
}

// Advertisers implements campaign.Store.
func (s *Store) Advertisers(ctx context.Context) (all []campaign.Advertiser, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		return tx.each(ctx, func(r *sql.Rows) error {
			var a campaign.Advertiser
			if err := r.Scan(&a.ID, &a.Name, &a.Domain); err != nil {
				return err
			}
			all = append(all, a)
			return nil
		}, `SELECT advertiser, name, domain FROM advertisers ORDER BY seq`)
	})
	return all, err
}

// AddCampaign implements campaign.Store.
func (s *Store) AddCampaign(ctx context.Context, c campaign.Campaign) error {
	return s.Update(ctx, func(tx *Tx) error {
		seq, err := tx.next(ctx, "campaigns")
		if err != nil {
			return err
		}
		n, err := tx.change(ctx, `INSERT INTO campaigns (campaign, seq, advertiser, name, state, created) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (campaign) DO NOTHING`, c.ID, seq, c.Advertiser, c.Name, c.State, ms(c.Created))
		if err != nil {
			return err
		}
		if n == 0 {
			return aloud.Errorf(aloud.ECONFLICT, "there is a campaign %s already", c.ID)
		}
		for i, l := range c.Lines {
			if err := tx.addLine(ctx, c.ID, i, l); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *Tx) addLine(ctx context.Context, c aloud.CampaignID, place int, l campaign.Line) error {
	err := t.exec(ctx, `INSERT INTO lines (line, campaign, place, audience, cpm, daily_budget, cap, starts, ends)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		l.ID, c, place, l.Audience, l.CPM, l.DailyBudget, l.Cap, ms(l.Start), ms(l.End))
	if err != nil {
		return err
	}
	for i, k := range l.Creatives {
		err := t.exec(ctx, `INSERT INTO creatives (creative, line, place, html, width, height, landing)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`, k.ID, l.ID, i, k.HTML, k.Width, k.Height, k.Landing)
		if err != nil {
			return err
		}
	}
	return nil
}

// SetCampaignState implements campaign.Store. What has ended stays so.
func (s *Store) SetCampaignState(ctx context.Context, id aloud.CampaignID, state campaign.State) error {
	return s.Update(ctx, func(tx *Tx) error {
		n, err := tx.change(ctx, `UPDATE campaigns SET state = $1 WHERE campaign = $2 AND (state <> 'ended' OR $1 = 'ended')`, state, id)
		if err == nil && n == 0 {
			return aloud.Errorf(aloud.ENOTFOUND, "there is no campaign %s that has not ended", id)
		}
		return err
	})
}

// Campaigns implements campaign.Store.
func (s *Store) Campaigns(ctx context.Context) (all []campaign.Campaign, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		lines, err := tx.lines(ctx)
		if err != nil {
			return err
		}
		return tx.each(ctx, func(r *sql.Rows) error {
			var c campaign.Campaign
			var created int64
			if err := r.Scan(&c.ID, &c.Advertiser, &c.Name, &c.State, &created); err != nil {
				return err
			}
			c.Created, c.Lines = fromMS(created), lines[c.ID]
			all = append(all, c)
			return nil
		}, `SELECT campaign, advertiser, name, state, created FROM campaigns ORDER BY seq`)
	})
	return all, err
}

func (t *Tx) lines(ctx context.Context) (map[aloud.CampaignID][]campaign.Line, error) {
	creatives := map[aloud.LineID][]campaign.Creative{}
	err := t.each(ctx, func(r *sql.Rows) error {
		var id aloud.LineID
		var k campaign.Creative
		if err := r.Scan(&id, &k.ID, &k.HTML, &k.Width, &k.Height, &k.Landing); err != nil {
			return err
		}
		creatives[id] = append(creatives[id], k)
		return nil
	}, `SELECT line, creative, html, width, height, landing FROM creatives ORDER BY line, place`)
	if err != nil {
		return nil, err
	}
	lines := map[aloud.CampaignID][]campaign.Line{}
	return lines, t.each(ctx, func(r *sql.Rows) error {
		var c aloud.CampaignID
		var l campaign.Line
		var starts, ends int64
		if err := r.Scan(&c, &l.ID, &l.Audience, &l.CPM, &l.DailyBudget, &l.Cap, &starts, &ends); err != nil {
			return err
		}
		l.Start, l.End, l.Creatives = fromMS(starts), fromMS(ends), creatives[l.ID]
		lines[c] = append(lines[c], l)
		return nil
	}, `SELECT campaign, line, audience, cpm, daily_budget, cap, starts, ends FROM lines ORDER BY campaign, place`)
}
