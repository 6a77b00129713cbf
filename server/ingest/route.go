package ingest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"aloud.example/aloud"
)

// Caller says who a route is for, and so how they prove who they are.
type Caller string

// The callers.
const (
	FromAnyone   Caller = "anyone"   // nothing to prove
	FromDevice   Caller = "device"   // the body's own signature proves it
	FromSource   Caller = "source"   // Basic, a source's write key
	FromOperator Caller = "operator" // Bearer, the operator token
	FromExchange Caller = "exchange" // the way there is the operator's: a private network or a proxy
	FromBrowser  Caller = "browser"  // a signed URL that we made
)

// Route is one entry of the API. Everything that is refused before a handler
// runs is written here.
type Route struct {
	Method  string
	Path    string
	From    Caller
	MaxBody int64 // bytes; 0 takes no body
	Always  bool  // answered even while the server is busy or not ready
}

// Pattern is the route in net/http's words.
func (r Route) Pattern() string { return r.Method + " " + r.Path }

const kB = 1000

// routes is the mux that huma and the raw handlers register at. A handler
// whose route was not declared before is a mistake of ours and panics.
type routes struct {
	api      *API
	mux      *http.ServeMux
	declared map[string]Route
	list     []Route
}

func (rs *routes) declare(r Route) {
	rs.declared[r.Pattern()] = r
	rs.list = append(rs.list, r)
}

// HandleFunc implements humago.Mux.
func (rs *routes) HandleFunc(pattern string, h func(http.ResponseWriter, *http.Request)) {
	r, ok := rs.declared[pattern]
	if !ok {
		panic("ingest: handler without a declared route: " + pattern)
	}
	rs.mux.HandleFunc(pattern, func(w http.ResponseWriter, req *http.Request) {
		rs.api.guard(w.(*recorder), req, r, h)
	})
}

// ServeHTTP implements humago.Mux.
func (rs *routes) ServeHTTP(w http.ResponseWriter, r *http.Request) { rs.mux.ServeHTTP(w, r) }

// missing answers what no route takes: 405 where another method would do.
func (rs *routes) missing(w http.ResponseWriter, r *http.Request) {
	var allow []string
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = m
		if _, p := rs.mux.Handler(other); p != "" && p != "/" {
			allow = append(allow, m)
		}
	}
	if len(allow) > 0 {
		w.Header().Set("Allow", strings.Join(allow, ", "))
		newProblem(aloud.EINVALID, http.StatusMethodNotAllowed, fmt.Sprintf("this address takes %s only", strings.Join(allow, " and "))).write(w)
		return
	}
	newProblem(aloud.ENOTFOUND, 0, "there is nothing at this address; GET /openapi.json lists what there is").write(w)
}

// ServeHTTP gives the request an id, answers it and logs that it did.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	id := requestID()
	rec := &recorder{ResponseWriter: w, route: "none"}
	h := rec.Header()
	h.Set("X-Request-Id", id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	defer func() {
		if v := recover(); v != nil {
			if v == http.ErrAbortHandler {
				panic(v)
			}
			a.Log.ErrorContext(r.Context(), "a handler panicked", "request", id, "route", rec.route, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			if rec.status == 0 {
				problemOf(fmt.Errorf("panic")).write(rec)
			}
		}
		took := time.Since(start)
		a.Metrics.request(rec.route, rec.status, took)
		level := slog.LevelInfo
		if rec.always && rec.status < 500 {
			level = slog.LevelDebug
		}
		// Neither path, query, address nor header: each can hold an identifier.
		a.Log.LogAttrs(r.Context(), level, "request", slog.String("request", id), slog.String("route", rec.route),
			slog.Int("status", rec.status), slog.Int64("bytes", rec.bytes), slog.Duration("took", took))
	}()
	a.routes.mux.ServeHTTP(rec, r.WithContext(context.WithValue(r.Context(), requestKey{}, id)))
}

// guard refuses what the route does not take, before its handler runs.
func (a *API) guard(w *recorder, r *http.Request, route Route, h http.HandlerFunc) {
	w.route, w.always = route.Pattern(), route.Always
	if !route.Always {
		if !a.ready.Load() {
			if err := a.Ready(); err != nil {
				newProblem(aloud.EUNAVAILABLE, 0, "the server is starting and has not caught up yet: try again in a second").write(w)
				return
			}
			a.ready.Store(true)
		}
	}
	if p := a.refuse(r, route); p != nil {
		if r.ContentLength != 0 {
			w.Header().Set("Connection", "close") // what was not read is not worth reading
		}
		if route.From == FromSource && p.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="aloud"`)
		}
		p.write(w)
		return
	}
	if !route.Always {
		leave, err := a.lanes.of(route).enter(w, r, route)
		if err != nil {
			w.Header().Set("Connection", "close")
			problemOf(err).write(w)
			return
		}
		defer leave()
	}
	h(w, r)
}

// refuse is guard's table of reasons; nil lets the request through.
func (a *API) refuse(r *http.Request, route Route) *Problem {
	if route.From == FromOperator && !a.operator(r) {
		return newProblem(aloud.EUNAUTHORIZED, 0, "this route is the operator's: send Authorization: Bearer and the token from the file operator.token in the server's data directory")
	}
	if route.MaxBody == 0 {
		if r.ContentLength != 0 {
			return newProblem(aloud.EINVALID, 0, "this route takes no body: send none")
		}
		return nil
	}
	if r.ContentLength > route.MaxBody {
		return newProblem(aloud.ETOOLARGE, 0, tooLarge(route.MaxBody))
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return newProblem(aloud.EINVALID, http.StatusUnsupportedMediaType, "the body is compressed: send it as it is, without Content-Encoding")
	}
	types := r.Header.Values("Content-Type")
	if len(types) != 1 || !isJSON(types[0]) {
		return newProblem(aloud.EINVALID, http.StatusUnsupportedMediaType, "this route takes Content-Type: application/json only; audio and text are taken nowhere")
	}
	return nil
}

func tooLarge(limit int64) string {
	return fmt.Sprintf("the body is over this route's limit of %d bytes: send less in one request", limit)
}

// isJSON takes application/json, bare or in UTF-8.
func isJSON(contentType string) bool {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "application/json" {
		return false
	}
	for k, v := range params {
		if k != "charset" || !strings.EqualFold(v, "utf-8") {
			return false
		}
	}
	return true
}

// Routes lists the API, sorted by path: what a test walks.
func (a *API) Routes() []Route {
	list := slices.Clone(a.routes.list)
	slices.SortFunc(list, func(x, y Route) int { return strings.Compare(x.Path+" "+x.Method, y.Path+" "+y.Method) })
	return list
}

type requestKey struct{}

// RequestID returns the id that ctx's request was given, or "".
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestKey{}).(string)
	return id
}

// requestID is always our own: one that a client chose could name a person.
func requestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // documented never to return an error
	return hex.EncodeToString(b[:])
}

// recorder remembers what the access log and the metrics say.
type recorder struct {
	http.ResponseWriter
	route  string
	always bool
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection's deadlines.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
