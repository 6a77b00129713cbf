package ingest_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"aloud.example/aloud/server/ingest"
)

// FuzzBodies sends any bytes to each route that takes a body: the answer is
// never our failure, and every refusal is a problem.
func FuzzBodies(f *testing.F) {
	s := &stages{reason: "no_match"}
	c := config(f, s)
	key, err := c.Sources.Add("shop", c.Now())
	if err != nil {
		f.Fatal(err)
	}
	api, err := ingest.New(c)
	if err != nil {
		f.Fatal(err)
	}
	var routes []ingest.Route
	for _, r := range api.Routes() {
		if r.MaxBody > 0 && r.Path != "/v1/campaigns/{id}/state" {
			routes = append(routes, r)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		r := routes[int(which)%len(routes)]
		req := httptest.NewRequest(r.Method, r.Path, bytes.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+operatorToken)
		if r.From == ingest.FromSource {
			req.SetBasicAuth(key, "")
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, req)
		if w.Code >= 500 {
			t.Fatalf("%s answers %d to %q: %s", r.Pattern(), w.Code, body, w.Body)
		}
		if w.Code < 400 {
			return
		}
		var p ingest.Problem
		if w.Header().Get("Content-Type") != "application/problem+json" || json.Unmarshal(w.Body.Bytes(), &p) != nil || p.Status != w.Code || p.Detail == "" {
			t.Fatalf("%s answers %d without a problem to %q: %s", r.Pattern(), w.Code, body, w.Body)
		}
	})
}

// FuzzPaths asks for any address: the answer is never our failure, and no file
// but the log's public ones is served.
func FuzzPaths(f *testing.F) {
	api, err := ingest.New(config(f, &stages{}))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		req := &http.Request{Method: http.MethodGet, Host: "aloud", Header: http.Header{"Authorization": {"Bearer " + operatorToken}}}
		var err error
		if req.URL, err = req.URL.Parse("http://aloud/" + path); err != nil {
			t.Skip()
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, req)
		if w.Code >= 500 || bytes.Contains(w.Body.Bytes(), []byte("private")) {
			t.Fatalf("GET /%s answers %d: %s", path, w.Code, w.Body)
		}
	})
}
