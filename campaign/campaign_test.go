package campaign_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/campaign"
	"aloud.example/aloud/store"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func valid(a aloud.AdvertiserID) campaign.Campaign {
	return campaign.Campaign{
		ID: aloud.NewCampaignID(), Advertiser: a, Name: "Heaters", State: campaign.Active, Created: now,
		Lines: []campaign.Line{{
			ID: aloud.NewLineID(), Audience: aloud.NewAudienceID(), CPM: 5_000_000, DailyBudget: 10_000_000, Cap: 3, Start: now, End: now.Add(time.Hour),
			Creatives: []campaign.Creative{{ID: aloud.NewCreativeID(), HTML: "<b>x</b>", Width: 300, Height: 250, Landing: "https://warm.example/"}},
		}},
	}
}

func TestCheckRefuses(t *testing.T) {
	if err := valid(aloud.NewAdvertiserID()).Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(c *campaign.Campaign){
		"no id":                 func(c *campaign.Campaign) { c.ID = "" },
		"no advertiser":         func(c *campaign.Campaign) { c.Advertiser = "v_x" },
		"no name":               func(c *campaign.Campaign) { c.Name = "  " },
		"a line break":          func(c *campaign.Campaign) { c.Name = "Warm\nagain" },
		"an escape":             func(c *campaign.Campaign) { c.Name = "\x1b[2JWarm" },
		"a long name":           func(c *campaign.Campaign) { c.Name = strings.Repeat("x", 101) },
		"no such state":         func(c *campaign.Campaign) { c.State = "running" },
		"no lines":              func(c *campaign.Campaign) { c.Lines = nil },
		"a line twice":          func(c *campaign.Campaign) { c.Lines = append(c.Lines, c.Lines[0]) },
		"no audience":           func(c *campaign.Campaign) { c.Lines[0].Audience = "" },
		"no price":              func(c *campaign.Campaign) { c.Lines[0].CPM = 0 },
		"a mad price":           func(c *campaign.Campaign) { c.Lines[0].CPM = campaign.MaxCPM + 1 },
		"no budget":             func(c *campaign.Campaign) { c.Lines[0].DailyBudget = 0 },
		"a budget for less":     func(c *campaign.Campaign) { c.Lines[0].DailyBudget = 4_999 },
		"a mad budget":          func(c *campaign.Campaign) { c.Lines[0].DailyBudget = campaign.MaxBudget + 1 },
		"no cap":                func(c *campaign.Campaign) { c.Lines[0].Cap = 0 },
		"ends before it starts": func(c *campaign.Campaign) { c.Lines[0].End = c.Lines[0].Start },
		"no creatives":          func(c *campaign.Campaign) { c.Lines[0].Creatives = nil },
		"no markup":             func(c *campaign.Campaign) { c.Lines[0].Creatives[0].HTML = "" },
		"long markup":           func(c *campaign.Campaign) { c.Lines[0].Creatives[0].HTML = strings.Repeat("x", campaign.MaxHTML+1) },
		"no width":              func(c *campaign.Campaign) { c.Lines[0].Creatives[0].Width = 0 },
		"landing in the clear":  func(c *campaign.Campaign) { c.Lines[0].Creatives[0].Landing = "http://warm.example/" },
		"landing as a script":   func(c *campaign.Campaign) { c.Lines[0].Creatives[0].Landing = "javascript:alert(1)" },
		"landing with a name":   func(c *campaign.Campaign) { c.Lines[0].Creatives[0].Landing = "https://a:b@warm.example/" },
	} {
		c := valid(aloud.NewAdvertiserID())
		change(&c)
		if err := c.Check(); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, domain := range []string{"", "warm", "Warm.example", "https://warm.example", "warm.example/", "-a.example", "a..b", "warm.example:80", "1.2.3.4"} {
		a := campaign.Advertiser{ID: aloud.NewAdvertiserID(), Name: "x", Domain: domain}
		if err := a.Check(); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("domain %q: %v", domain, err)
		}
	}
}

func TestShelf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "aloud.db")
	open := func() (*store.Store, *campaign.Shelf) {
		s, err := store.Open(t.Context(), store.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		shelf, err := campaign.NewShelf(t.Context(), s, func() time.Time { return now })
		if err != nil {
			t.Fatal(err)
		}
		return s, shelf
	}
	s, shelf := open()
	if _, err := shelf.AddCampaign(t.Context(), valid(aloud.NewAdvertiserID())); aloud.ErrorCode(err) != aloud.ENOTFOUND {
		t.Errorf("a campaign of nobody: %v", err)
	}
	a, err := shelf.AddAdvertiser(t.Context(), campaign.Advertiser{Name: "Warm Homes", Domain: "warm.example"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shelf.AddAdvertiser(t.Context(), a); aloud.ErrorCode(err) != aloud.ECONFLICT {
		t.Errorf("an advertiser twice: %v", err)
	}
	given := valid(a.ID)
	c, err := shelf.AddCampaign(t.Context(), given)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shelf.AddCampaign(t.Context(), given); aloud.ErrorCode(err) != aloud.ECONFLICT {
		t.Errorf("a campaign twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s, shelf = open()
	defer s.Close()
	all, err := shelf.Campaigns(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	got := all[0]
	if got.ID != c.ID || got.Name != c.Name || len(got.Lines) != 1 || got.Lines[0].CPM != 5_000_000 || !got.Lines[0].End.Equal(now.Add(time.Hour)) ||
		got.Lines[0].Creatives[0] != c.Lines[0].Creatives[0] || !got.Created.Equal(now) {
		t.Errorf("read back: %+v", got)
	}
	offers := shelf.Book().For(c.Lines[0].Audience)
	if len(offers) != 1 || offers[0].Advertiser != a || !offers[0].Flies(now) || offers[0].Flies(now.Add(time.Hour)) || offers[0].Flies(now.Add(-1)) {
		t.Errorf("offers: %+v", offers)
	}
	for _, state := range []campaign.State{campaign.Paused, campaign.Active, campaign.Ended} {
		if err := shelf.SetState(t.Context(), c.ID, state); err != nil {
			t.Fatal(err)
		}
		if n := len(shelf.Book().For(c.Lines[0].Audience)); (n == 1) != (state == campaign.Active) {
			t.Errorf("%s: %d offers", state, n)
		}
	}
	if err := shelf.SetState(t.Context(), c.ID, campaign.Active); aloud.ErrorCode(err) != aloud.ENOTFOUND {
		t.Errorf("an ended campaign came back: %v", err)
	}
	if err := shelf.SetState(t.Context(), c.ID, "running"); aloud.ErrorCode(err) != aloud.EINVALID {
		t.Errorf("a state that is none: %v", err)
	}
}

func TestMoneyIsExact(t *testing.T) {
	if campaign.Micros(1).Each() != 1 || campaign.Micros(7).Nanos() != 7000 || campaign.MaxBudget.Nanos() <= 0 {
		t.Error("an impression at a CPM of 1 micro costs 1 nano")
	}
	if got := campaign.Micros(4_200_001).String(); got != "4.200001" {
		t.Error(got)
	}
}
