package ingest

import (
	"context"
	"net/http"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
)

// Audiences is where rules come into force.
type Audiences interface {
	Create(ctx context.Context, a audience.Audience) error
	Audiences(ctx context.Context) ([]audience.Audience, error)
	Size(id aloud.AudienceID) audience.Size
}

// Campaigns is the truth about who advertises what, for how much.
type Campaigns interface {
	AddAdvertiser(ctx context.Context, a Advertiser) error
	AddCampaign(ctx context.Context, c Campaign) error
	Campaigns(ctx context.Context) ([]Campaign, error)
}

// AudienceSpec is a rule with a name. It can't name a person: there is no field
// for an identifier.
type AudienceSpec struct {
	Name       string             `json:"name" minLength:"1" maxLength:"100"`
	Advertiser aloud.AdvertiserID `json:"advertiser,omitempty" pattern:"^v_[a-z2-7]{26}$"`
	Category   aloud.Category     `json:"category" maxLength:"60"`
	Stages     []aloud.Stage      `json:"stages,omitempty" enum:"need,research,ready" maxItems:"3" doc:"none means all three"`
	Window     int64              `json:"window_seconds" minimum:"3600" maximum:"7776000" doc:"how old the latest signal may be"`
	Territory  *TerritorySpec     `json:"territory,omitempty" doc:"none is everywhere"`
}

// TerritorySpec is a circle.
type TerritorySpec struct {
	Lat   float64 `json:"lat" minimum:"-90" maximum:"90"`
	Lon   float64 `json:"lon" minimum:"-180" maximum:"180"`
	Miles int     `json:"miles" enum:"10,20"`
}

// AudienceView is an audience as the operator sees it: its size in words.
type AudienceView struct {
	ID aloud.AudienceID `json:"id"`
	AudienceSpec
	Size    string    `json:"size" doc:"rounded to 10 with fixed noise, never below the minimum"`
	Usable  bool      `json:"usable" doc:"it has enough people to be bid on"`
	Created time.Time `json:"created"`
}

// Advertiser is who pays.
type Advertiser struct {
	ID     aloud.AdvertiserID `json:"id,omitempty" pattern:"^v_[a-z2-7]{26}$" doc:"the server's to choose"`
	Name   string             `json:"name" minLength:"1" maxLength:"100"`
	Domain string             `json:"domain" pattern:"^[a-z0-9.-]{3,253}$" doc:"where the ads lead (adomain)"`
}

// Campaign is one advertiser's, with its lines.
type Campaign struct {
	ID         aloud.CampaignID   `json:"id,omitempty" pattern:"^c_[a-z2-7]{26}$" doc:"the server's to choose"`
	Advertiser aloud.AdvertiserID `json:"advertiser" pattern:"^v_[a-z2-7]{26}$"`
	Name       string             `json:"name" minLength:"1" maxLength:"100"`
	Lines      []Line             `json:"lines" minItems:"1" maxItems:"100"`
}

// Line is what is paid for whom, how much a day, and how often one person sees
// it.
type Line struct {
	ID          aloud.LineID     `json:"id,omitempty" pattern:"^l_[a-z2-7]{26}$" doc:"the server's to choose"`
	Audience    aloud.AudienceID `json:"audience" pattern:"^a_[a-z2-7]{26}$"`
	CPM         int64            `json:"cpm_micros" minimum:"1" maximum:"1000000000" doc:"millionths of the currency for 1000 impressions"`
	DailyBudget int64            `json:"daily_budget_micros" minimum:"1" maximum:"1000000000000000"`
	Frequency   int              `json:"frequency_cap" minimum:"1" maximum:"1000" doc:"impressions a person a day"`
	Creatives   []Creative       `json:"creatives" minItems:"1" maxItems:"20"`
}

// Creative is a banner.
type Creative struct {
	ID     aloud.CreativeID `json:"id,omitempty" pattern:"^k_[a-z2-7]{26}$" doc:"the server's to choose"`
	HTML   string           `json:"html" minLength:"1" maxLength:"20000"`
	Width  int              `json:"w" minimum:"1" maximum:"4096"`
	Height int              `json:"h" minimum:"1" maximum:"4096"`
}

// SourceKey is a new source's write key, shown once.
type SourceKey struct {
	Name     string `json:"name"`
	WriteKey string `json:"write_key" doc:"shown this once; the server keeps its hash"`
}

// SourceView is a source as the operator sees it.
type SourceView struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
}

type (
	audienceList struct {
		Audiences []AudienceView `json:"audiences"`
	}
	campaignList struct {
		Campaigns []Campaign `json:"campaigns"`
	}
	sourceList struct {
		Sources []SourceView `json:"sources"`
	}
	sourceSpec struct {
		Name string `json:"name" pattern:"^[a-z0-9][a-z0-9-]{0,39}$"`
	}
	byAudience struct {
		ID aloud.AudienceID `path:"id" pattern:"^a_[a-z2-7]{26}$"`
	}
)

func (a *API) operatorRoutes() {
	post := func(path string) Route {
		return Route{Method: http.MethodPost, Path: path, From: FromOperator, MaxBody: 1 << 20}
	}
	get := func(path string) Route { return Route{Method: http.MethodGet, Path: path, From: FromOperator} }
	handle(a, post("/v1/audiences"), "create-audience", "Put a rule in force", http.StatusCreated, a.createAudience)
	handle(a, get("/v1/audiences"), "audiences", "All audiences and their sizes", http.StatusOK, a.listAudiences)
	handle(a, get("/v1/audiences/{id}"), "audience", "One audience and its size", http.StatusOK, a.oneAudience)
	handle(a, post("/v1/advertisers"), "create-advertiser", "Add an advertiser", http.StatusCreated, a.createAdvertiser)
	handle(a, post("/v1/campaigns"), "create-campaign", "Add a campaign with its lines and creatives", http.StatusCreated, a.createCampaign)
	handle(a, get("/v1/campaigns"), "campaigns", "All campaigns", http.StatusOK, a.listCampaigns)
	handle(a, post("/v1/sources"), "create-source", "Make a source of behavioural events, or give one a new write key", http.StatusCreated, a.createSource)
	handle(a, get("/v1/sources"), "sources", "All sources", http.StatusOK, a.listSources)
}

func (a *API) createAudience(ctx context.Context, in *body[AudienceSpec]) (*body[AudienceView], error) {
	spec := in.Body
	rule := audience.Rule{Category: spec.Category, Stages: spec.Stages, Window: time.Duration(spec.Window) * time.Second}
	if t := spec.Territory; t != nil {
		circle, err := audience.NewTerritory(t.Lat, t.Lon, t.Miles)
		if err != nil {
			return nil, err
		}
		rule.Territory = circle
	}
	made := audience.Audience{ID: aloud.NewAudienceID(), Advertiser: spec.Advertiser, Name: spec.Name, Rule: rule, Created: a.Now().UTC()}
	if err := made.Check(); err != nil {
		return nil, err
	}
	if err := a.Audiences.Create(ctx, made); err != nil {
		return nil, err
	}
	return &body[AudienceView]{a.view(made)}, nil
}

func (a *API) view(x audience.Audience) AudienceView {
	v := AudienceView{ID: x.ID, Created: x.Created, AudienceSpec: AudienceSpec{
		Name: x.Name, Advertiser: x.Advertiser, Category: x.Rule.Category, Stages: x.Rule.Stages, Window: int64(x.Rule.Window / time.Second),
	}}
	if t := x.Rule.Territory; t != nil {
		lat, lon, miles := t.Centre()
		v.Territory = &TerritorySpec{Lat: lat, Lon: lon, Miles: miles}
	}
	size := a.Audiences.Size(x.ID)
	v.Size, v.Usable = size.String(), !size.Few
	return v
}

func (a *API) listAudiences(ctx context.Context, _ *struct{}) (*body[audienceList], error) {
	all, err := a.Audiences.Audiences(ctx)
	if err != nil {
		return nil, err
	}
	out := audienceList{Audiences: []AudienceView{}}
	for _, x := range all {
		out.Audiences = append(out.Audiences, a.view(x))
	}
	return &body[audienceList]{out}, nil
}

func (a *API) oneAudience(ctx context.Context, in *byAudience) (*body[AudienceView], error) {
	all, err := a.Audiences.Audiences(ctx)
	if err != nil {
		return nil, err
	}
	for _, x := range all {
		if x.ID == in.ID {
			return &body[AudienceView]{a.view(x)}, nil
		}
	}
	return nil, aloud.Errorf(aloud.ENOTFOUND, "there is no such audience; GET /v1/audiences lists them")
}

func (a *API) createAdvertiser(ctx context.Context, in *body[Advertiser]) (*body[Advertiser], error) {
	in.Body.ID = aloud.NewAdvertiserID()
	if err := a.Campaigns.AddAdvertiser(ctx, in.Body); err != nil {
		return nil, err
	}
	return in, nil
}

func (a *API) createCampaign(ctx context.Context, in *body[Campaign]) (*body[Campaign], error) {
	c := &in.Body
	c.ID = aloud.NewCampaignID()
	for i := range c.Lines {
		l := &c.Lines[i]
		l.ID = aloud.NewLineID()
		for j := range l.Creatives {
			l.Creatives[j].ID = aloud.NewCreativeID()
		}
	}
	if err := a.Campaigns.AddCampaign(ctx, *c); err != nil {
		return nil, err
	}
	return in, nil
}

func (a *API) listCampaigns(ctx context.Context, _ *struct{}) (*body[campaignList], error) {
	all, err := a.Campaigns.Campaigns(ctx)
	if err != nil {
		return nil, err
	}
	return &body[campaignList]{campaignList{append([]Campaign{}, all...)}}, nil
}

func (a *API) createSource(_ context.Context, in *body[sourceSpec]) (*body[SourceKey], error) {
	key, err := a.Sources.Add(in.Body.Name, a.Now())
	if err != nil {
		return nil, err
	}
	return &body[SourceKey]{SourceKey{Name: in.Body.Name, WriteKey: key}}, nil
}

func (a *API) listSources(context.Context, *struct{}) (*body[sourceList], error) {
	out := sourceList{Sources: []SourceView{}}
	for _, s := range a.Sources.List() {
		out.Sources = append(out.Sources, SourceView{Name: s.Name, Created: s.Created})
	}
	return &body[sourceList]{out}, nil
}
