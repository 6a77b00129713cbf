package ingest_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/campaign"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/consent/jws"
	"aloud.example/aloud/server/ingest"
)

const operatorToken = "op_a-token-of-the-operator"

// stages stand behind the API in these tests, which are about the API alone:
// each field is what the stage of that name answers. The whole server is tested
// in cmd/aloud, with the real ones.
type stages struct {
	mu        sync.Mutex
	tokens    []string
	events    []collector.Event
	results   func(tokens []string) []collector.Result
	consents  error
	audiences []audience.Audience
	campaigns []campaign.Campaign
	response  []byte
	reason    string
	bidError  error
	evidence  error
	panics    bool
	ready     error
	block     chan struct{}
	entered   chan struct{}
}

func (s *stages) Signals(_ context.Context, tokens []string) []collector.Result {
	if s.block != nil {
		s.entered <- struct{}{}
		<-s.block
	}
	if s.panics {
		panic("p_secret")
	}
	s.mu.Lock()
	s.tokens = append(s.tokens, tokens...)
	s.mu.Unlock()
	if s.results != nil {
		return s.results(tokens)
	}
	out := make([]collector.Result, len(tokens))
	for i := range out {
		out[i] = collector.Result{ID: aloud.NewSignalID(), Status: collector.Accepted}
	}
	return out
}

func (s *stages) Consent(_ context.Context, r consent.Signed) (collector.Enrolment, error) {
	return collector.Enrolment{Receipt: r, BuyerUID: "buyer", UserID: "user"}, s.consents
}
func (s *stages) Withdraw(context.Context, string) error { return s.consents }
func (s *stages) Erase(context.Context, string) error    { return s.consents }

func (s *stages) Events(_ context.Context, events []collector.Event) []collector.EventResult {
	s.events = append(s.events, events...)
	out := make([]collector.EventResult, len(events))
	for i := range out {
		out[i].Accepted = true
	}
	return out
}

func (s *stages) Create(_ context.Context, a audience.Audience) (audience.Audience, error) {
	a.ID = aloud.NewAudienceID()
	if err := a.Check(); err != nil {
		return a, err
	}
	s.audiences = append(s.audiences, a)
	return a, nil
}
func (s *stages) List(context.Context) ([]audience.Audience, error) { return s.audiences, nil }
func (s *stages) Get(context.Context, aloud.AudienceID) (audience.Audience, error) {
	return audience.Audience{}, aloud.Errorf(aloud.ENOTFOUND, "there is no such audience")
}

func (s *stages) AddAdvertiser(_ context.Context, a campaign.Advertiser) (campaign.Advertiser, error) {
	return a, nil
}
func (s *stages) Advertisers(context.Context) ([]campaign.Advertiser, error) { return nil, nil }

func (s *stages) AddCampaign(_ context.Context, c campaign.Campaign) (campaign.Campaign, error) {
	s.campaigns = append(s.campaigns, c)
	return c, nil
}
func (s *stages) SetState(context.Context, aloud.CampaignID, campaign.State) error { return nil }
func (s *stages) Campaigns(context.Context) ([]campaign.Campaign, error)           { return s.campaigns, nil }

func (s *stages) Bid(context.Context, []byte) ([]byte, string, error) {
	return s.response, s.reason, s.bidError
}
func (s *stages) Win(context.Context, aloud.BidID, url.Values) error        { return nil }
func (s *stages) Impression(context.Context, aloud.BidID, url.Values) error { return nil }
func (s *stages) Evidence(context.Context, aloud.BidID) ([]byte, error) {
	return []byte("{}"), s.evidence
}

// house is the API over stages, listening.
type house struct {
	*stages
	*httptest.Server
	api *ingest.API
	log *lockedBuffer
	key string // a source's write key
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func config(t testing.TB, s *stages) ingest.Config {
	t.Helper()
	sources, err := ingest.OpenSources(filepath.Join(t.TempDir(), "sources.json"))
	if err != nil {
		t.Fatal(err)
	}
	pub, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return ingest.Config{
		Notice: ingest.Notice{
			Notice:    consent.EnglishNotice(consent.Controller{Name: "A", Contact: "a@example.com"}),
			ServerKey: jws.NewJWK(pub), LogVKey: "log+00000000+AAAA",
		},
		Signals: s, Consents: s, Events: s, Sources: sources, Audiences: s, Size: func(audience.Audience) audience.Size { return audience.Size{Few: true} }, Advertisers: s, Campaigns: s, Bidder: s, Notices: s, Evidence: s,
		Tiles: fstest.MapFS{
			"checkpoint":       {Data: []byte("a checkpoint")},
			"tile/0/x001/067":  {Data: []byte("a tile")},
			"tile/entries/000": {Data: []byte("entries")},
			".state/secret":    {Data: []byte("private")},
		},
		OperatorToken: operatorToken, Ready: func() error { return s.ready }, Metrics: ingest.NewMetrics(),
		Now: func() time.Time { return time.Date(2026, 11, 23, 17, 0, 0, 0, time.UTC) },
	}
}

func open(t testing.TB, s *stages, change ...func(*ingest.Config)) *house {
	t.Helper()
	c := config(t, s)
	h := &house{stages: s, log: &lockedBuffer{}}
	c.Log = slog.New(slog.NewTextHandler(h.log, nil))
	for _, f := range change {
		f(&c)
	}
	key, err := c.Sources.Add("shop", c.Now())
	if err != nil {
		t.Fatal(err)
	}
	h.key = key
	if h.api, err = ingest.New(c); err != nil {
		t.Fatal(err)
	}
	h.Server = httptest.NewServer(h.api)
	t.Cleanup(h.Server.Close)
	return h
}

// call makes one request as the caller of a route would. body is JSON text, or
// a reader.
func (h *house) call(t testing.TB, method, path, body string, change ...func(*http.Request)) (int, http.Header, string) {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, h.URL+path, r)
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+operatorToken)
	for _, f := range change {
		f(req)
	}
	res, err := h.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

// refused calls and demands a problem of a status, of whose code and detail it
// checks parts.
func (h *house) refused(t *testing.T, status int, method, path, body, want string, change ...func(*http.Request)) {
	t.Helper()
	got, header, text := h.call(t, method, path, body, change...)
	checkProblem(t, got, header, text, status, want)
}

func checkProblem(t *testing.T, got int, header http.Header, text string, status int, want string) {
	t.Helper()
	var p struct {
		Type, Title, Detail, Code string
		Status                    int
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatalf("status %d, not a problem: %q", got, text)
	}
	if got != status || p.Status != status || header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("status %d (%d in the body, %s), want %d: %s", got, p.Status, header.Get("Content-Type"), status, text)
	}
	if p.Type != "urn:aloud:problem:"+p.Code || p.Title == "" || p.Detail == "" || header.Get("X-Request-Id") == "" {
		t.Fatalf("a problem lacks a part: %s", text)
	}
	if !strings.Contains(p.Code+" "+p.Detail, want) {
		t.Fatalf("the problem says %q, want %q in it", p.Code+" "+p.Detail, want)
	}
}
