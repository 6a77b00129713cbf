package ingest

import (
	"net/http"
)

func (a *API) healthRoutes() {
	a.raw(Route{Method: http.MethodGet, Path: "/healthz", From: FromAnyone, Always: true}, "health", "The process lives", nil, nil,
		func(w http.ResponseWriter, _ *http.Request) error { return writeText(w, "ok\n") })
	a.raw(Route{Method: http.MethodGet, Path: "/readyz", From: FromAnyone, Always: true}, "ready", "The consumers have caught up, the disk takes what comes, and requests are answered", nil, nil,
		func(w http.ResponseWriter, _ *http.Request) error {
			if err := a.Ready(); err != nil {
				return err
			}
			return writeText(w, "ready\n")
		})
	metrics := a.Metrics.handler()
	a.raw(Route{Method: http.MethodGet, Path: "/metrics", From: FromAnyone, Always: true}, "metrics", "Counters for Prometheus", nil, nil,
		func(w http.ResponseWriter, r *http.Request) error { metrics.ServeHTTP(w, r); return nil })
	a.raw(Route{Method: http.MethodGet, Path: "/openapi.json", From: FromAnyone}, "openapi", "This description", nil, nil,
		func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "application/openapi+json")
			_, err := w.Write(a.openapi)
			return ignoreGone(err)
		})
}

func writeText(w http.ResponseWriter, s string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, err := w.Write([]byte(s))
	return ignoreGone(err)
}

// ignoreGone drops the error of a write to a client: it went away, and there is
// nobody left to tell.
func ignoreGone(error) error { return nil }
