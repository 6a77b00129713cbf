package ingest_test

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"testing"

	"aloud.example/aloud/server/ingest"
)

// want is the whole API. A route that is added, removed or opened to another
// caller must be written here too.
var want = []string{
	"GET /healthz anyone", "GET /log/checkpoint anyone", "GET /log/tile/{tile...} anyone", "GET /metrics anyone",
	"GET /openapi.json anyone", "POST /openrtb2/bid exchange", "GET /readyz anyone",
	"GET /v1/advertisers operator", "POST /v1/advertisers operator", "POST /v1/campaigns/{id}/state operator", "GET /v1/audiences operator", "POST /v1/audiences operator", "GET /v1/audiences/{id} operator",
	"POST /v1/batch source", "GET /v1/campaigns operator", "POST /v1/campaigns operator", "POST /v1/consents device",
	"POST /v1/erasures device", "GET /v1/evidence/{bid} operator", "POST /v1/identify source", "GET /v1/imp/{bid} browser",
	"GET /v1/notice anyone", "POST /v1/page source", "POST /v1/signals device", "GET /v1/sources operator", "POST /v1/sources operator",
	"POST /v1/track source", "GET /v1/win/{bid} browser", "POST /v1/withdrawals device",
}

func TestEveryRouteIsKnown(t *testing.T) {
	h := open(t, &stages{})
	var got []string
	for _, r := range h.api.Routes() {
		got = append(got, r.Pattern()+" "+string(r.From))
	}
	for _, r := range got {
		if !slices.Contains(want, r) {
			t.Errorf("a route that this test does not know: %s", r)
		}
	}
	for _, r := range want {
		if !slices.Contains(got, r) {
			t.Errorf("a route is gone: %s", r)
		}
	}
}

// schemaName is what OpenAPI 3.1 lets a component be called.
var schemaName = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

// document is what of an OpenAPI description the walk reads.
type document struct {
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]schema }
}

type operation struct {
	OperationID string
	RequestBody struct {
		Content map[string]struct{ Schema schema }
	}
}

type schema struct {
	Ref        string            `json:"$ref"`
	Type       any               `json:"type"`
	Properties map[string]schema `json:"properties"`
	Items      *schema           `json:"items"`
	Additional any               `json:"additionalProperties"`
	Format     string            `json:"format"`
	Pattern    string            `json:"pattern"`
	MaxLength  int               `json:"maxLength"`
	MaxItems   int               `json:"maxItems"`
	Enum       []any             `json:"enum"`
	AnyOf      []schema          `json:"anyOf"`
	OneOf      []schema          `json:"oneOf"`
	AllOf      []schema          `json:"allOf"`
}

func describe(t *testing.T, h *house) document {
	t.Helper()
	status, _, text := h.call(t, http.MethodGet, "/openapi.json", "")
	if status != http.StatusOK || !strings.Contains(text, `"openapi":"3.1.0"`) {
		t.Fatalf("no OpenAPI 3.1 description: %d %.200s", status, text)
	}
	var d document
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	for name := range d.Components.Schemas {
		if !schemaName.MatchString(name) {
			t.Errorf("%q is no name that OpenAPI allows", name)
		}
	}
	return d
}

// TestNoRouteTakesAudioOrFreeText walks every route in the description that the
// code makes, and sends each what it must not take.
func TestNoRouteTakesAudioOrFreeText(t *testing.T) {
	h := open(t, &stages{})
	d := describe(t, h)
	for _, r := range h.api.Routes() {
		t.Run(strings.ReplaceAll(r.Pattern(), "/", "_"), func(t *testing.T) {
			op, ok := d.Paths[strings.ReplaceAll(r.Path, "...}", "}")][strings.ToLower(r.Method)]
			if !ok || op.OperationID == "" {
				t.Fatal("the description lacks the route")
			}
			for media, content := range op.RequestBody.Content {
				if media != "application/json" {
					t.Errorf("takes %s", media)
				}
				if r.From == ingest.FromDevice {
					closed(t, d, content.Schema, "body", 0)
				}
			}
			if r.From == ingest.FromDevice && (len(op.RequestBody.Content) != 1 || r.MaxBody > 64*4096+1024) {
				t.Errorf("a device's body must be described, and at most 64 signals of 4 kB: %d bytes", r.MaxBody)
			}
			sendAudio(t, h, r)
		})
	}
}

// closed demands that a schema leaves no room for free text: every string has a
// form and a limit, every object names its fields, every list has an end.
func closed(t *testing.T, d document, s schema, where string, depth int) {
	t.Helper()
	if depth > 10 {
		t.Fatalf("%s: deeper than a device's body may be", where)
	}
	if name, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
		closed(t, d, d.Components.Schemas[name], where, depth+1)
		return
	}
	if len(s.AnyOf)+len(s.OneOf)+len(s.AllOf) > 0 {
		t.Errorf("%s: alternatives can't be walked", where)
	}
	switch s.Type {
	case "string":
		if len(s.Enum) == 0 && (s.Pattern == "" && s.Format == "" || s.MaxLength == 0) {
			t.Errorf("%s: free text", where)
		}
		if strings.Contains(s.Pattern, ` `) || strings.Contains(s.Pattern, `\s`) || strings.Contains(s.Pattern, `.*`) {
			t.Errorf("%s: the pattern %s lets sentences through", where, s.Pattern)
		}
	case "object":
		if s.Additional != false {
			t.Errorf("%s: takes unknown fields", where)
		}
		for name, p := range s.Properties {
			closed(t, d, p, where+"."+name, depth+1)
		}
	case "array":
		if s.MaxItems == 0 || s.Items == nil {
			t.Errorf("%s: a list without an end", where)
			return
		}
		closed(t, d, *s.Items, where+"[]", depth+1)
	case "integer", "number", "boolean":
	default:
		t.Errorf("%s: type %v", where, s.Type)
	}
}

// sendAudio tries the ways in which speech could be sent.
func sendAudio(t *testing.T, h *house, r ingest.Route) {
	t.Helper()
	path := strings.NewReplacer("campaigns/{id}", "campaigns/c_"+strings.Repeat("a", 26), "{id}", "a_"+strings.Repeat("a", 26), "{bid}", "b_"+strings.Repeat("a", 26), "{tile...}", "0/000").Replace(r.Path)
	wav := "RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00data\x00\x00\x00\x00"
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	part, err := w.CreatePart(textproto.MIMEHeader{"Content-Disposition": {`form-data; name="audio"; filename="a.wav"`}, "Content-Type": {"audio/wav"}})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write([]byte(wav))
	_ = w.Close()
	for media, body := range map[string]string{
		"audio/wav": wav, "audio/ogg": "OggS", "application/octet-stream": wav, "text/plain": "we need a new dishwasher",
		"application/x-www-form-urlencoded": "text=we+need+a+new+dishwasher", w.FormDataContentType(): form.String(),
	} {
		status, header, text := h.call(t, r.Method, path, body, func(req *http.Request) {
			req.Header.Set("Content-Type", media)
			if r.From == ingest.FromSource {
				req.SetBasicAuth(h.key, "")
			}
		})
		wantStatus := http.StatusUnsupportedMediaType
		if r.MaxBody == 0 {
			wantStatus = http.StatusBadRequest
		}
		checkProblem(t, status, header, text, wantStatus, "invalid")
	}
	if len(h.tokens)+len(h.events) > 0 {
		t.Fatal("something of it reached a stage")
	}
}
