package audience

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"aloud.example/aloud"
	"aloud.example/aloud/category"
)

// The limits of a rule.
const (
	MinWindow = time.Hour
	MaxWindow = 90 * 24 * time.Hour

	maxName = 100 // letters
)

// Rule says who belongs: those whose latest signal in the category, at one of
// the stages, is no older than the window and, with a territory, from inside it.
type Rule struct {
	Category  aloud.Category
	Stages    []aloud.Stage // of the three in market; none counts as all three
	Window    time.Duration // whole seconds
	Territory *Territory    // nil is everywhere
}

// ruleJSON is the form a rule has on the wire and on disk.
type ruleJSON struct {
	Category      aloud.Category `json:"category"`
	Stages        []aloud.Stage  `json:"stages"`
	WindowSeconds int64          `json:"window_seconds"`
	Territory     *territoryJSON `json:"territory,omitempty"`
}

type territoryJSON struct {
	Lat   float64 `json:"lat"`
	Lon   float64 `json:"lon"`
	Miles int     `json:"miles"`
}

// Check refuses a rule that must not be.
func (r Rule) Check() error {
	if _, ok := category.BySlug(r.Category); !ok {
		return aloud.Errorf(aloud.EINVALID, "an audience needs a category of the catalogue; %.40q is none", r.Category)
	}
	for i, s := range r.Stages {
		if !s.InMarket() || slices.Contains(r.Stages[:i], s) {
			return aloud.Errorf(aloud.EINVALID, "an audience's stages are need, research and ready, each at most once; not %.20q", s)
		}
	}
	if r.Window < MinWindow || r.Window > MaxWindow || r.Window%time.Second != 0 {
		return aloud.Errorf(aloud.EINVALID, "an audience's window is between 1 hour and 90 days, in whole seconds")
	}
	if r.Territory == nil {
		return nil
	}
	if category.Special(r.Category) && r.Territory.miles < minSpecialMiles {
		return aloud.Errorf(aloud.EINVALID, "housing, credit and insurance may not use a circle under %d miles; use 20, or none", minSpecialMiles)
	}
	return r.Territory.check()
}

// Qualifies reports whether a signal at a stage is one the rule asks for.
func (r Rule) Qualifies(s aloud.Stage) bool {
	return s.InMarket() && (len(r.Stages) == 0 || slices.Contains(r.Stages, s))
}

// MarshalJSON writes the rule.
func (r Rule) MarshalJSON() ([]byte, error) {
	j := ruleJSON{Category: r.Category, Stages: r.Stages, WindowSeconds: int64(r.Window / time.Second)}
	if j.Stages == nil {
		j.Stages = []aloud.Stage{}
	}
	if t := r.Territory; t != nil {
		j.Territory = &territoryJSON{Lat: t.lat, Lon: t.lon, Miles: t.miles}
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads a rule and checks it. Unknown members are refused: a rule
// can't name an identifier.
func (r *Rule) UnmarshalJSON(b []byte) error {
	var j ruleJSON
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return aloud.Errorf(aloud.EINVALID, "an audience's rule has category, stages, window_seconds and territory {lat, lon, miles}, nothing else: %w", err)
	}
	if j.WindowSeconds < 0 || j.WindowSeconds > int64(MaxWindow/time.Second) {
		return aloud.Errorf(aloud.EINVALID, "an audience's window is between 1 hour and 90 days, in whole seconds")
	}
	out := Rule{Category: j.Category, Stages: j.Stages, Window: time.Duration(j.WindowSeconds) * time.Second}
	if j.Territory != nil {
		t, err := NewTerritory(j.Territory.Lat, j.Territory.Lon, j.Territory.Miles)
		if err != nil {
			return err
		}
		out.Territory = t
	}
	*r = out
	return r.Check()
}

// Audience is a rule with a name and an owner.
type Audience struct {
	ID         aloud.AudienceID
	Advertiser aloud.AdvertiserID
	Name       string
	Rule       Rule
	Created    time.Time
}

// Check refuses an audience that must not be.
func (a Audience) Check() error {
	if !a.ID.Valid() || a.Advertiser != "" && !a.Advertiser.Valid() {
		return aloud.Errorf(aloud.EINVALID, "an audience needs an id, and its advertiser's id if it has one")
	}
	if strings.ContainsFunc(a.Name, unicode.IsControl) {
		return aloud.Errorf(aloud.EINVALID, "an audience's name must not hold control characters, such as a line break")
	}
	if strings.TrimSpace(a.Name) == "" || !utf8.ValidString(a.Name) || utf8.RuneCountInString(a.Name) > maxName {
		return aloud.Errorf(aloud.EINVALID, "an audience needs a name of at most %d letters", maxName)
	}
	return a.Rule.Check()
}
