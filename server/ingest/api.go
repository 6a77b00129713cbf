package ingest

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
)

// Config is what the API stands on. Every stage is required; a route without
// its stage would be a lie.
type Config struct {
	Notice        Notice
	Signals       Signals
	Consents      Consents
	Events        Events
	Sources       *Sources
	Audiences     Audiences
	Size          func(audience.Audience) audience.Size // of an audience, for others' eyes
	Advertisers   Advertisers
	Campaigns     Campaigns
	Bidder        Bidder
	Notices       Notices
	Evidence      Evidence
	Log           *slog.Logger
	Tiles         fs.FS        // the transparency log's public files
	OperatorToken string       // what the operator proves themself by
	Ready         func() error // nil once the consumers have caught up; asked until then
	Metrics       *Metrics
	MaxInFlight   int // requests answered at once, withdrawals, erasures and bid requests not counted, which have their own room; 0 counts as 1024
	MaxPerClient  int // of each of these, from one address and with their bodies still coming; 0 counts as a quarter of MaxInFlight
	Now           func() time.Time
}

// API is the HTTP API. It is an http.Handler; see Serve.
type API struct {
	Config
	routes   *routes
	huma     huma.API
	openapi  []byte
	lanes    lanes
	ready    atomic.Bool
	operated [32]byte // SHA-256 of the operator token
}

// New checks that all stages are there and lays the routes.
func New(c Config) (*API, error) {
	if c.Signals == nil || c.Consents == nil || c.Events == nil || c.Sources == nil || c.Audiences == nil || c.Size == nil ||
		c.Advertisers == nil || c.Campaigns == nil || c.Bidder == nil || c.Notices == nil || c.Evidence == nil || c.Tiles == nil || c.Ready == nil || c.Metrics == nil {
		return nil, aloud.Errorf(aloud.EINTERNAL, "the API needs every stage it has routes for")
	}
	if len(c.OperatorToken) < 20 {
		return nil, aloud.Errorf(aloud.EINVALID, "the operator token is missing or too short: delete operator.token, and the next start makes a new one")
	}
	if err := c.Notice.Check(); err != nil {
		return nil, err
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = 1024
	}
	if c.MaxPerClient == 0 {
		c.MaxPerClient = max(c.MaxInFlight/4, 1)
	}
	a := &API{Config: c, lanes: newLanes(c.MaxInFlight, c.MaxPerClient), operated: sha256.Sum256([]byte(c.OperatorToken))}
	a.routes = &routes{api: a, mux: http.NewServeMux(), declared: map[string]Route{}}
	a.routes.mux.HandleFunc("/", a.routes.missing)

	config := huma.DefaultConfig("Aloud", "1")
	config.Info.Description = "What devices, sources, the operator and ad exchanges call. No route takes audio or a transcript."
	config.OpenAPIPath, config.DocsPath, config.SchemasPath, config.CreateHooks = "", "", "", nil
	config.Formats = map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat}
	config.Transformers = []huma.Transformer{problemTransformer}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"operator": {Type: "http", Scheme: "bearer"},
		"source":   {Type: "http", Scheme: "basic"},
	}
	a.huma = humago.New(a.routes, config)

	a.deviceRoutes()
	a.segmentRoutes()
	a.operatorRoutes()
	a.auctionRoutes()
	a.tileRoutes()
	a.healthRoutes()

	var err error
	a.openapi, err = json.Marshal(a.huma.OpenAPI())
	return a, err
}

// operation describes a route to huma: its words, its errors, who may call it.
func (a *API) operation(r Route, id, summary string) huma.Operation {
	a.routes.declare(r)
	op := huma.Operation{
		OperationID: id, Method: r.Method, Path: r.Path, Summary: summary,
		Tags: []string{string(r.From)}, MaxBodyBytes: r.MaxBody, BodyReadTimeout: bodyTimeout,
		Responses: map[string]*huma.Response{"default": {
			Description: "A problem: RFC 9457 with a code",
			Content:     map[string]*huma.MediaType{problemType: {Schema: schemaOf[Problem](a.huma)}},
		}},
	}
	switch r.From {
	case FromOperator:
		op.Security = []map[string][]string{{"operator": {}}}
	case FromSource:
		op.Security = []map[string][]string{{"source": {}}}
	}
	return op
}

// handle registers a typed JSON operation.
func handle[I, O any](a *API, r Route, id, summary string, created int, fn func(context.Context, *I) (*O, error)) {
	op := a.operation(r, id, summary)
	op.DefaultStatus = created
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := fn(ctx, in)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return out, nil
	})
}

// raw registers a handler that reads and writes its bodies itself, and
// describes it in the API's own description all the same.
func (a *API) raw(r Route, id, summary string, body, answer *huma.Schema, fn func(http.ResponseWriter, *http.Request) error) {
	op := a.operation(r, id, summary)
	if body != nil {
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: body}}}
	}
	ok := &huma.Response{Description: "OK"}
	if answer != nil {
		ok.Content = map[string]*huma.MediaType{"application/json": {Schema: answer}}
	}
	op.Responses["200"] = ok
	for _, name := range pathParameters(r.Path) {
		op.Parameters = append(op.Parameters, &huma.Param{Name: name, In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}})
	}
	op.Path = strings.ReplaceAll(op.Path, "...}", "}")
	a.huma.OpenAPI().AddOperation(&op)
	a.routes.HandleFunc(r.Pattern(), func(w http.ResponseWriter, req *http.Request) {
		if err := fn(w, req); err != nil {
			p := a.problem(req.Context(), err)
			if p.Status == http.StatusRequestEntityTooLarge {
				w.Header().Set("Connection", "close")
			}
			p.write(w)
		}
	})
}

func pathParameters(path string) (names []string) {
	for _, part := range strings.Split(path, "/") {
		if inner, ok := strings.CutPrefix(part, "{"); ok {
			names = append(names, strings.TrimSuffix(strings.TrimSuffix(inner, "}"), "..."))
		}
	}
	return names
}

// problem turns an error into the answer and logs what is our fault.
func (a *API) problem(ctx context.Context, err error) *Problem {
	p := problemOf(err)
	if p.Status == http.StatusInternalServerError {
		a.Log.ErrorContext(ctx, "a request failed", "request", RequestID(ctx), "error", err)
	}
	return p
}

func schemaOf[T any](api huma.API) *huma.Schema {
	return huma.SchemaFromType(api.OpenAPI().Components.Schemas, typeOf[T]())
}

// operator reports whether a request carries the operator's token. It compares
// sums, so that the time it takes tells nothing.
func (a *API) operator(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return subtle.ConstantTimeCompare(sum[:], a.operated[:]) == 1 && ok
}
