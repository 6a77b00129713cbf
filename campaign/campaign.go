package campaign

import (
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"aloud.example/aloud"
)

// The limits of a campaign.
const (
	MaxLines     = 100
	MaxCreatives = 20
	MaxHTML      = 20_000
	MaxCap       = 1000

	maxName = 100 // letters
	maxSide = 4096
)

// Advertiser is who pays.
type Advertiser struct {
	ID     aloud.AdvertiserID `json:"id"`
	Name   string             `json:"name"`
	Domain string             `json:"domain"` // where the ads lead: OpenRTB's adomain
}

// State is whether a campaign may run.
type State string

// The states. Only Active bids; Ended is for good.
const (
	Active State = "active"
	Paused State = "paused"
	Ended  State = "ended"
)

// Campaign is one advertiser's, with its lines.
type Campaign struct {
	ID         aloud.CampaignID   `json:"id"`
	Advertiser aloud.AdvertiserID `json:"advertiser"`
	Name       string             `json:"name"`
	State      State              `json:"state"`
	Lines      []Line             `json:"lines"`
	Created    time.Time          `json:"created"`
}

// Line is one offer: this audience, at this price, so much a day, so often a
// person.
type Line struct {
	ID          aloud.LineID     `json:"id"`
	Audience    aloud.AudienceID `json:"audience"`
	CPM         Micros           `json:"cpm_micros"`
	DailyBudget Micros           `json:"daily_budget_micros"`
	Cap         int              `json:"frequency_cap"`  // impressions a person a day, UTC
	Start       time.Time        `json:"start,omitzero"` // of the flight; zero is now
	End         time.Time        `json:"end,omitzero"`   // zero is never
	Creatives   []Creative       `json:"creatives"`
}

// Creative is a banner.
type Creative struct {
	ID      aloud.CreativeID `json:"id"`
	HTML    string           `json:"html"`
	Width   int              `json:"w"`
	Height  int              `json:"h"`
	Landing string           `json:"landing,omitempty"` // https; none is https:// and the advertiser's domain
}

// domainForm is a host name: labels of letters, digits and inner hyphens.
var domainForm = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$`)

// Check refuses an advertiser that must not be.
func (a Advertiser) Check() error {
	switch {
	case !a.ID.Valid():
		return aloud.Errorf(aloud.EINVALID, "an advertiser needs an id (v_…)")
	case garbled(a.Name):
		return aloud.Errorf(aloud.EINVALID, "an advertiser's name must not hold control characters, such as a line break")
	case !named(a.Name):
		return aloud.Errorf(aloud.EINVALID, "an advertiser needs a name of at most %d letters", maxName)
	case len(a.Domain) > 253 || !domainForm.MatchString(a.Domain):
		return aloud.Errorf(aloud.EINVALID, "an advertiser needs a domain in lower case, such as shop.example, not %.60q", a.Domain)
	}
	return nil
}

// Check refuses a campaign that must not be.
func (c Campaign) Check() error {
	switch {
	case !c.ID.Valid() || !c.Advertiser.Valid():
		return aloud.Errorf(aloud.EINVALID, "a campaign needs an id (c_…) and its advertiser's (v_…)")
	case garbled(c.Name):
		return aloud.Errorf(aloud.EINVALID, "a campaign's name must not hold control characters, such as a line break")
	case !named(c.Name):
		return aloud.Errorf(aloud.EINVALID, "a campaign needs a name of at most %d letters", maxName)
	case c.State != Active && c.State != Paused && c.State != Ended:
		return aloud.Errorf(aloud.EINVALID, "a campaign is active, paused or ended, not %.20q", c.State)
	case len(c.Lines) == 0 || len(c.Lines) > MaxLines:
		return aloud.Errorf(aloud.EINVALID, "a campaign has 1 to %d lines, not %d", MaxLines, len(c.Lines))
	}
	lines, creatives := map[aloud.LineID]bool{}, map[aloud.CreativeID]bool{}
	for i, l := range c.Lines {
		if err := l.Check(); err != nil {
			return aloud.Errorf(aloud.EINVALID, "line %d: %w", i+1, err)
		}
		if lines[l.ID] {
			return aloud.Errorf(aloud.EINVALID, "line %d: another line has the same id", i+1)
		}
		lines[l.ID] = true
		for _, k := range l.Creatives {
			if creatives[k.ID] {
				return aloud.Errorf(aloud.EINVALID, "line %d: another creative has the same id", i+1)
			}
			creatives[k.ID] = true
		}
	}
	return nil
}

// Check refuses a line that must not be.
func (l Line) Check() error {
	switch {
	case !l.ID.Valid() || !l.Audience.Valid():
		return aloud.Errorf(aloud.EINVALID, "a line needs an id (l_…) and an audience (a_…)")
	case l.CPM <= 0 || l.CPM > MaxCPM:
		return aloud.Errorf(aloud.EINVALID, "a line's CPM is over 0 and at most %s dollars, in micros", MaxCPM)
	case l.DailyBudget <= 0 || l.DailyBudget > MaxBudget:
		return aloud.Errorf(aloud.EINVALID, "a line's daily budget is over 0 and at most %s dollars, in micros", MaxBudget)
	case l.DailyBudget.Nanos() < l.CPM.Each():
		return aloud.Errorf(aloud.EINVALID, "a line's daily budget does not pay for one impression at its CPM")
	case l.Cap < 1 || l.Cap > MaxCap:
		return aloud.Errorf(aloud.EINVALID, "a line's frequency cap is 1 to %d impressions a person a day, not %d", MaxCap, l.Cap)
	case !l.Start.IsZero() && !l.End.IsZero() && !l.Start.Before(l.End):
		return aloud.Errorf(aloud.EINVALID, "a line's flight must end after it starts")
	case len(l.Creatives) == 0 || len(l.Creatives) > MaxCreatives:
		return aloud.Errorf(aloud.EINVALID, "a line has 1 to %d creatives, not %d", MaxCreatives, len(l.Creatives))
	}
	for i, k := range l.Creatives {
		if err := k.Check(); err != nil {
			return aloud.Errorf(aloud.EINVALID, "creative %d: %w", i+1, err)
		}
	}
	return nil
}

// Flies reports whether the line's flight includes a time.
func (l Line) Flies(at time.Time) bool {
	return (l.Start.IsZero() || !at.Before(l.Start)) && (l.End.IsZero() || at.Before(l.End))
}

// Check refuses a creative that must not be.
func (k Creative) Check() error {
	switch {
	case !k.ID.Valid():
		return aloud.Errorf(aloud.EINVALID, "a creative needs an id (k_…)")
	case strings.TrimSpace(k.HTML) == "" || len(k.HTML) > MaxHTML || !utf8.ValidString(k.HTML):
		return aloud.Errorf(aloud.EINVALID, "a creative needs HTML of at most %d bytes", MaxHTML)
	case k.Width < 1 || k.Width > maxSide || k.Height < 1 || k.Height > maxSide:
		return aloud.Errorf(aloud.EINVALID, "a creative is 1 to %d pixels wide and high, not %d by %d", maxSide, k.Width, k.Height)
	}
	if k.Landing == "" {
		return nil
	}
	u, err := url.Parse(k.Landing)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(k.Landing) > 2000 {
		return aloud.Errorf(aloud.EINVALID, "a creative's landing page is an https address, not %.80q", k.Landing)
	}
	return nil
}

// garbled reports whether a name would do something to the terminal or log that
// shows it.
func garbled(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

func named(s string) bool {
	return strings.TrimSpace(s) != "" && utf8.ValidString(s) && utf8.RuneCountInString(s) <= maxName
}
