package ingest

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"aloud.example/aloud"
)

// tileRoutes serve the transparency log as C2SP tlog-tiles lays it out.
func (a *API) tileRoutes() {
	a.raw(Route{Method: http.MethodGet, Path: "/log/checkpoint", From: FromAnyone}, "checkpoint", "The transparency log's signed checkpoint", nil, nil,
		func(w http.ResponseWriter, _ *http.Request) error {
			return a.logFile(w, "checkpoint", "text/plain; charset=utf-8", "no-cache")
		})
	a.raw(Route{Method: http.MethodGet, Path: "/log/tile/{tile...}", From: FromAnyone}, "tile", "A tile or an entry bundle of the transparency log", nil, nil,
		func(w http.ResponseWriter, r *http.Request) error {
			tile := r.PathValue("tile")
			if !tilePath(tile) {
				return aloud.Errorf(aloud.ENOTFOUND, "a tile is at /log/tile/LEVEL/INDEX or /log/tile/entries/INDEX, in the form of C2SP tlog-tiles")
			}
			return a.logFile(w, "tile/"+tile, "application/octet-stream", "public, max-age=31536000, immutable")
		})
}

// tilePath lets through what tlog-tiles can name, and nothing that walks.
func tilePath(p string) bool {
	parts := strings.Split(p, "/")
	if len(parts) < 2 || len(p) > 100 {
		return false
	}
	for i, part := range parts {
		if part == "" || i == 0 && part == "entries" {
			if part == "" {
				return false
			}
			continue
		}
		if strings.Trim(strings.TrimSuffix(strings.TrimPrefix(part, "x"), ".p"), "0123456789") != "" {
			return false
		}
	}
	return true
}

func (a *API) logFile(w http.ResponseWriter, name, contentType, cache string) error {
	f, err := a.Tiles.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return aloud.Errorf(aloud.ENOTFOUND, "the log has no such file (yet): read /log/checkpoint for how far it goes")
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return aloud.Errorf(aloud.ENOTFOUND, "the log has no such file: a tile has a level and an index")
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", cache)
	_, err = io.Copy(w, f)
	return ignoreGone(err)
}
