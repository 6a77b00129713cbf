package ingest

import (
	"context"
	"net/http"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/campaign"
)

// Audiences is where rules come into force.
type Audiences interface {
	Create(ctx context.Context, a audience.Audience) (audience.Audience, error)
	Get(ctx context.Context, id aloud.AudienceID) (audience.Audience, error)
	List(ctx context.Context) ([]audience.Audience, error)
}

// Advertisers is the truth about who advertises.
type Advertisers interface {
	AddAdvertiser(ctx context.Context, a campaign.Advertiser) (campaign.Advertiser, error)
	Advertisers(ctx context.Context) ([]campaign.Advertiser, error)
}

// Campaigns is the truth about what runs, for how much.
type Campaigns interface {
	AddCampaign(ctx context.Context, c campaign.Campaign) (campaign.Campaign, error)
	SetState(ctx context.Context, id aloud.CampaignID, state campaign.State) error
	Campaigns(ctx context.Context) ([]campaign.Campaign, error)
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
	Size    string    `json:"size" doc:"rounded to 10 after noise that is fixed for the rule; shown from the minimum and a few people more"`
	Usable  bool      `json:"usable" doc:"it is shown as big enough; bids begin at the minimum itself, which can be a few people earlier"`
	Created time.Time `json:"created"`
}

// AdvertiserSpec is who pays.
type AdvertiserSpec struct {
	Name   string `json:"name" minLength:"1" maxLength:"100"`
	Domain string `json:"domain" maxLength:"253" doc:"where the ads lead (adomain)"`
}

// CampaignSpec is one advertiser's campaign, with its lines.
type CampaignSpec struct {
	Advertiser aloud.AdvertiserID `json:"advertiser" pattern:"^v_[a-z2-7]{26}$"`
	Name       string             `json:"name" minLength:"1" maxLength:"100"`
	State      campaign.State     `json:"state,omitempty" enum:"active,paused" doc:"active unless said otherwise"`
	Lines      []LineSpec         `json:"lines" nullable:"false" minItems:"1" maxItems:"100"`
}

// LineSpec is what is paid for whom, how much a day, and how often one person
// sees it.
type LineSpec struct {
	Audience    aloud.AudienceID `json:"audience" pattern:"^a_[a-z2-7]{26}$"`
	CPM         campaign.Micros  `json:"cpm_micros" minimum:"1" doc:"millionths of a dollar for 1000 impressions"`
	DailyBudget campaign.Micros  `json:"daily_budget_micros" minimum:"1" doc:"millionths of a dollar a day, UTC"`
	Cap         int              `json:"frequency_cap" minimum:"1" maximum:"1000" doc:"impressions a person a day, UTC"`
	Start       time.Time        `json:"start,omitzero" doc:"of the flight; now unless said otherwise"`
	End         time.Time        `json:"end,omitzero" doc:"of the flight; never unless said otherwise"`
	Creatives   []CreativeSpec   `json:"creatives" nullable:"false" minItems:"1" maxItems:"20"`
}

// CreativeSpec is a banner.
type CreativeSpec struct {
	HTML    string `json:"html" minLength:"1" maxLength:"20000"`
	Width   int    `json:"w" minimum:"1" maximum:"4096"`
	Height  int    `json:"h" minimum:"1" maximum:"4096"`
	Landing string `json:"landing,omitempty" maxLength:"2000" doc:"https; the advertiser's domain unless said otherwise"`
}

// campaign is the spec without ids, which the shelf chooses.
func (c CampaignSpec) campaign() campaign.Campaign {
	out := campaign.Campaign{Advertiser: c.Advertiser, Name: c.Name, State: c.State}
	for _, l := range c.Lines {
		line := campaign.Line{Audience: l.Audience, CPM: l.CPM, DailyBudget: l.DailyBudget, Cap: l.Cap, Start: l.Start, End: l.End}
		for _, k := range l.Creatives {
			line.Creatives = append(line.Creatives, campaign.Creative{HTML: k.HTML, Width: k.Width, Height: k.Height, Landing: k.Landing})
		}
		out.Lines = append(out.Lines, line)
	}
	return out
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
		Campaigns []campaign.Campaign `json:"campaigns"`
	}
	advertiserList struct {
		Advertisers []campaign.Advertiser `json:"advertisers"`
	}
	stateOfCampaign struct {
		ID   aloud.CampaignID `path:"id" pattern:"^c_[a-z2-7]{26}$"`
		Body struct {
			State campaign.State `json:"state" enum:"active,paused,ended" doc:"ended is for good"`
		}
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
	handle(a, get("/v1/advertisers"), "advertisers", "All advertisers", http.StatusOK, a.listAdvertisers)
	handle(a, post("/v1/campaigns"), "create-campaign", "Add a campaign with its lines and creatives", http.StatusCreated, a.createCampaign)
	handle(a, get("/v1/campaigns"), "campaigns", "All campaigns", http.StatusOK, a.listCampaigns)
	handle(a, post("/v1/campaigns/{id}/state"), "campaign-state", "Pause a campaign, let it run again, or end it", http.StatusOK, a.setCampaignState)
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
	made, err := a.Audiences.Create(ctx, audience.Audience{Advertiser: spec.Advertiser, Name: spec.Name, Rule: rule, Created: a.Now().UTC()})
	if err != nil {
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
	size := a.Size(x)
	v.Size, v.Usable = size.String(), !size.Few
	return v
}

func (a *API) listAudiences(ctx context.Context, _ *struct{}) (*body[audienceList], error) {
	all, err := a.Audiences.List(ctx)
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
	x, err := a.Audiences.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &body[AudienceView]{a.view(x)}, nil
}

func (a *API) createAdvertiser(ctx context.Context, in *body[AdvertiserSpec]) (*body[campaign.Advertiser], error) {
	made, err := a.Advertisers.AddAdvertiser(ctx, campaign.Advertiser{Name: in.Body.Name, Domain: in.Body.Domain})
	return &body[campaign.Advertiser]{made}, err
}

func (a *API) listAdvertisers(ctx context.Context, _ *struct{}) (*body[advertiserList], error) {
	all, err := a.Advertisers.Advertisers(ctx)
	return &body[advertiserList]{advertiserList{append([]campaign.Advertiser{}, all...)}}, err
}

func (a *API) createCampaign(ctx context.Context, in *body[CampaignSpec]) (*body[campaign.Campaign], error) {
	for i, l := range in.Body.Lines {
		if _, err := a.Audiences.Get(ctx, l.Audience); err != nil {
			return nil, aloud.Errorf(aloud.ErrorCode(err), "line %d: %w", i+1, err)
		}
	}
	made, err := a.Campaigns.AddCampaign(ctx, in.Body.campaign())
	return &body[campaign.Campaign]{made}, err
}

func (a *API) listCampaigns(ctx context.Context, _ *struct{}) (*body[campaignList], error) {
	all, err := a.Campaigns.Campaigns(ctx)
	return &body[campaignList]{campaignList{append([]campaign.Campaign{}, all...)}}, err
}

func (a *API) setCampaignState(ctx context.Context, in *stateOfCampaign) (*body[Done], error) {
	return &body[Done]{Done{true}}, a.Campaigns.SetState(ctx, in.ID, in.Body.State)
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
