package tiles

import (
	"net/http"
	"os"
	"path"
	"regexp"
	"strings"
)

// public is what tlog-tiles defines: tiles by level and entry bundles, whole or
// partial, their index in groups of three digits.
var public = regexp.MustCompile(`^tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/(x[0-9]{3}/){0,6}[0-9]{3}(\.p/([1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?$`)

// Handler serves the log's public files under the prefix it is mounted at, such
// as "/log/": checkpoint, tile/<level>/<index> and tile/entries/<index>. Whole
// tiles never change, so they may be cached for good.
func (l *Log) Handler(prefix string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.URL.Path, prefix)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the log is read only: use GET", http.StatusMethodNotAllowed)
			return
		}
		switch {
		case ok && name == "checkpoint":
			w.Header().Set("Cache-Control", "no-cache")
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		case ok && public.MatchString(name):
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
			w.Header().Set("Content-Type", "application/octet-stream")
		default:
			http.Error(w, "the log has checkpoint, tile/<level>/<index> and tile/entries/<index>", http.StatusNotFound)
			return
		}
		l.serve(w, r, name)
	})
}

func (l *Log) serve(w http.ResponseWriter, r *http.Request, name string) {
	f, err := os.Open(path.Join(l.dir, name))
	if err != nil {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "the log has no such file yet", http.StatusNotFound)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.Error(w, "the log has no such file", http.StatusNotFound)
		return
	}
	http.ServeContent(w, r, "", info.ModTime(), f)
}
