package ingest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/server/ingest"
)

const signals = `{"signals":["aaa.bbb.ccc"]}`

func TestEachBadRequestGetsAClearAnswer(t *testing.T) {
	h := open(t, &stages{})
	anonymous := func(r *http.Request) { r.Header.Del("Authorization") }
	media := func(m string) func(*http.Request) { return func(r *http.Request) { r.Header.Set("Content-Type", m) } }
	source := func(key string) func(*http.Request) { return func(r *http.Request) { r.SetBasicAuth(key, "") } }
	bid := "b_" + strings.Repeat("a", 26)
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		want                     string
		change                   func(*http.Request)
	}{
		{"truncated", "POST", "/v1/signals", `{"signals":["aaa.bb`, 400, "invalid", nil},
		{"empty", "POST", "/v1/signals", "", 415, "application/json", nil},
		{"null", "POST", "/v1/signals", "null", 422, "invalid", nil},
		{"trailing", "POST", "/v1/signals", signals + "{}", 400, "invalid", nil},
		{"unknown field", "POST", "/v1/signals", `{"signals":["aaa.bbb.ccc"],"transcript":"we need a fridge"}`, 422, "transcript", nil},
		{"unknown nested field", "POST", "/v1/consents", `{"payload":"aa","signatures":[{"protected":"aa","signature":"aa","text":"hi"}]}`, 422, "text", nil},
		{"not a token", "POST", "/v1/signals", `{"signals":["we need a fridge"]}`, 422, "signals[0]", nil},
		{"no signal", "POST", "/v1/signals", `{"signals":[]}`, 422, "signals", nil},
		{"65 signals", "POST", "/v1/signals", `{"signals":[` + strings.Repeat(`"a.b.c",`, 64) + `"a.b.c"]}`, 422, "signals", nil},
		{"long signal", "POST", "/v1/signals", `{"signals":["a.b.` + strings.Repeat("c", 4096) + `"]}`, 422, "signals[0]", nil},
		{"wrong type", "POST", "/v1/signals", `{"signals":"a.b.c"}`, 422, "signals", nil},
		{"other media type", "POST", "/v1/signals", signals, 415, "application/json", media("text/plain")},
		{"other charset", "POST", "/v1/signals", signals, 415, "application/json", media("application/json; charset=utf-16")},
		{"no media type", "POST", "/v1/signals", signals, 415, "application/json", func(r *http.Request) { r.Header.Del("Content-Type") }},
		{"compressed", "POST", "/v1/signals", signals, 415, "Content-Encoding", func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }},
		{"no route", "GET", "/v2/signals", "", 404, "openapi.json", nil},
		{"other method", "GET", "/v1/signals", "", 405, "POST", nil},
		{"other method", "DELETE", "/v1/audiences", "", 405, "GET and POST", nil},
		{"body on GET", "GET", "/v1/notice", "{}", 400, "no body", nil},
		{"no operator", "GET", "/v1/audiences", "", 401, "operator.token", anonymous},
		{"wrong operator", "GET", "/v1/campaigns", "", 401, "operator.token", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+operatorToken+"x") }},
		{"other scheme", "GET", "/v1/campaigns", "", 401, "operator.token", func(r *http.Request) { r.SetBasicAuth(operatorToken, "") }},
		{"bare token", "GET", "/v1/campaigns", "", 401, "operator.token", func(r *http.Request) { r.Header.Set("Authorization", operatorToken) }},
		{"bad write key", "POST", "/v1/track", `{"event":"x","userId":"u"}`, 401, "write key", source("wk_wrong")},
		{"no write key", "POST", "/v1/track", `{"event":"x","userId":"u"}`, 401, "write key", anonymous},
		{"no event", "POST", "/v1/track", `{"userId":"u"}`, 400, "event", source(h.key)},
		{"nobody", "POST", "/v1/track", `{"event":"x"}`, 400, "userId", source(h.key)},
		{"bad time", "POST", "/v1/track", `{"event":"x","userId":"u","timestamp":"yesterday"}`, 400, "timestamp", source(h.key)},
		{"bad type", "POST", "/v1/track", `{"event":{"a":1},"userId":"u"}`, 400, "event", source(h.key)},
		{"truncated event", "POST", "/v1/track", `{"event":"x`, 400, "JSON", source(h.key)},
		{"empty batch", "POST", "/v1/batch", `{"batch":[]}`, 400, "1 to", source(h.key)},
		{"unknown call", "POST", "/v1/batch", `{"batch":[{"type":"whisper","userId":"u"}]}`, 400, "track", source(h.key)},
		{"large event", "POST", "/v1/batch", `{"batch":[{"type":"page","userId":"u","x":"` + strings.Repeat("x", 33000) + `"}]}`, 413, "32000", source(h.key)},
		{"large call", "POST", "/v1/track", `{"event":"` + strings.Repeat("x", 33000) + `"}`, 413, "32000", source(h.key)},
		{"large batch", "POST", "/v1/batch", `{"batch":[` + strings.Repeat(" ", 500_000) + `]}`, 413, "500000", source(h.key)},
		{"not a bid request", "POST", "/openrtb2/bid", `{"id":`, 400, "OpenRTB", nil},
		{"no such bid", "GET", "/v1/evidence/b_1", "", 404, "bid", nil},
		{"evidence without the token", "GET", "/v1/evidence/" + bid, "", 401, "operator.token", anonymous},
		{"rule with an identifier", "POST", "/v1/audiences", `{"name":"x","category":"home.hvac","window_seconds":3600,"email":"a@example.com"}`, 422, "email", nil},
		{"small circle for credit", "POST", "/v1/audiences", `{"name":"x","category":"finance.mortgage","window_seconds":3600,"territory":{"lat":1,"lon":1,"miles":10}}`, 400, "15 miles", nil},
		{"no such category", "POST", "/v1/audiences", `{"name":"x","category":"health.pills","window_seconds":3600}`, 400, "catalogue", nil},
		{"stage out of market", "POST", "/v1/audiences", `{"name":"x","category":"home.hvac","stages":["bought"],"window_seconds":3600}`, 422, "stages", nil},
		{"no lines", "POST", "/v1/campaigns", `{"advertiser":"v_` + strings.Repeat("a", 26) + `","name":"x","lines":[]}`, 422, "lines", nil},
		{"bad source name", "POST", "/v1/sources", `{"name":"A Shop"}`, 422, "name", nil},
		{"tile that walks", "GET", "/log/tile/0/..%2f..%2f.state%2fsecret", "", 404, "tile", nil},
		{"tile of letters", "GET", "/log/tile/0/secret", "", 404, "tile", nil},
		{"tile that is not there", "GET", "/log/tile/0/001", "", 404, "checkpoint", nil},
	} {
		t.Run(strings.ReplaceAll(c.name+" "+c.path, "/", "_"), func(t *testing.T) {
			change := c.change
			if change == nil {
				change = func(*http.Request) {}
			}
			h.refused(t, c.status, c.method, c.path, c.body, c.want, change)
		})
	}
	if len(h.tokens)+len(h.events)+len(h.campaigns)+len(h.audiences) > 0 {
		t.Fatal("something of it reached a stage")
	}
}

func TestEveryCodeHasItsStatus(t *testing.T) {
	for code, status := range map[aloud.Code]int{
		aloud.EINVALID: 400, aloud.EUNAUTHORIZED: 401, aloud.EFORBIDDEN: 403, aloud.ENOTFOUND: 404, aloud.ECONFLICT: 409,
		aloud.EEXPIRED: 410, aloud.ETOOEARLY: 425, aloud.ETOOLARGE: 413, aloud.ELIMITED: 429, aloud.EPENDING: 202,
		aloud.EUNAVAILABLE: 503, aloud.EINTERNAL: 500,
	} {
		s := &stages{results: func([]string) []collector.Result {
			return []collector.Result{{ID: aloud.NewSignalID(), Status: collector.Refused, Err: aloud.Errorf(code, "the reason, p_secret")}}
		}}
		h := open(t, s)
		want := "the reason"
		if code == aloud.EINTERNAL {
			want = "logged"
		}
		got, header, text := h.call(t, "POST", "/v1/signals", signals)
		checkProblem(t, got, header, text, status, want)
		if !strings.Contains(text, `"results":[{"jti":"s_`) {
			t.Errorf("%s: all were refused, so the problem must hold the results: %s", code, text)
		}
		if status == 503 && header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
	}
}

func TestPartlyRefusedIsNoError(t *testing.T) {
	h := open(t, &stages{results: func([]string) []collector.Result {
		return []collector.Result{
			{ID: "s_a", Status: collector.Duplicate},
			{ID: "s_b", Status: collector.Refused, Err: aloud.Errorf(aloud.EEXPIRED, "drop it")},
		}
	}})
	status, _, text := h.call(t, "POST", "/v1/signals", `{"signals":["a.b.c","d.e.f"]}`)
	if status != 200 || !strings.Contains(text, `"status":"duplicate"`) || !strings.Contains(text, `"code":"expired"`) {
		t.Fatalf("%d %s", status, text)
	}
}

// endless gives zeros and counts how many were taken.
type endless struct{ taken atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	e.taken.Add(int64(len(p)))
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestHugeBodies sends 100 MB to every route, with and without saying so. Each
// answers 413 (or an error that comes first) without reading on.
func TestHugeBodies(t *testing.T) {
	h := open(t, &stages{})
	const size = 100 << 20
	for _, r := range h.api.Routes() {
		for _, stated := range []bool{true, false} {
			t.Run(fmt.Sprint(strings.ReplaceAll(r.Pattern(), "/", "_"), stated), func(t *testing.T) {
				conn, err := net.Dial("tcp", h.Listener.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
				path := strings.NewReplacer("campaigns/{id}", "campaigns/c_"+strings.Repeat("a", 26), "{id}", "a_"+strings.Repeat("a", 26), "{bid}", "b_"+strings.Repeat("a", 26), "{tile...}", "0/000").Replace(r.Path)
				body := &endless{}
				req, err := http.NewRequest(r.Method, "http://aloud"+path, io.LimitReader(body, size))
				if err != nil {
					t.Fatal(err)
				}
				if stated {
					req.ContentLength = size
				}
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Authorization", "Bearer "+operatorToken)
				if r.From == ingest.FromSource {
					req.SetBasicAuth(h.key, "")
				}
				go func() { _ = req.Write(conn) }() // ends when the server hangs up
				var answer bytes.Buffer
				_, _ = io.Copy(&answer, conn) // a reset after the answer is fine
				head, _, _ := strings.Cut(answer.String(), "\r\n")
				want := "413"
				if r.MaxBody == 0 {
					want = "400"
				}
				if !strings.Contains(head, want) || !strings.Contains(answer.String(), "application/problem+json") {
					t.Errorf("answered %q", answer.String())
				}
				if n := body.taken.Load(); n > 8<<20 {
					t.Errorf("took %d bytes of it", n)
				}
			})
		}
	}
}

func TestBusyAndStarting(t *testing.T) {
	s := &stages{block: make(chan struct{}), entered: make(chan struct{}, 1)}
	h := open(t, s, func(c *ingest.Config) { c.MaxInFlight = 1 })
	done := make(chan int)
	go func() {
		status, _, _ := h.call(t, "POST", "/v1/signals", signals)
		done <- status
	}()
	<-s.entered
	status, header, text := h.call(t, "GET", "/v1/notice", "")
	checkProblem(t, status, header, text, 503, "busy")
	if header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	if status, _, _ := h.call(t, "GET", "/healthz", ""); status != http.StatusOK {
		t.Errorf("/healthz says %d while the server is busy", status)
	}
	close(s.block)
	if status := <-done; status != http.StatusOK {
		t.Errorf("the first request got %d", status)
	}

	h = open(t, &stages{ready: aloud.Errorf(aloud.EUNAVAILABLE, "7 messages to apply")})
	h.refused(t, 503, "POST", "/v1/signals", signals, "caught up")
	h.refused(t, 503, "GET", "/readyz", "", "7 messages")
	if status, _, _ := h.call(t, "GET", "/healthz", ""); status != http.StatusOK {
		t.Errorf("/healthz says %d while starting", status)
	}
	h.ready = nil
	if status, _, _ := h.call(t, "POST", "/v1/signals", signals); status != http.StatusOK {
		t.Errorf("once ready, a signal gets %d", status)
	}
}

// TestTheLogNamesNobody makes requests that hold identifiers, tokens and keys
// in every place, some of which fail or panic, and looks for them in the log
// and in the metrics.
func TestTheLogNamesNobody(t *testing.T) {
	s := &stages{}
	h := open(t, s)
	bid := "b_" + strings.Repeat("q", 26)
	h.call(t, "POST", "/v1/signals", signals)
	h.call(t, "GET", "/v1/win/"+bid+"?price=1.5&sig=SIGNATURE", "")
	h.call(t, "GET", "/p_secret?token=SECRET", "", func(r *http.Request) { r.Header.Set("X-Request-Id", "p_secret") })
	h.call(t, "POST", "/v1/track", `{"event":"Order Completed","userId":"SECRETUSER","messageId":"SECRETID"}`, func(r *http.Request) { r.SetBasicAuth(h.key, "") })
	h.call(t, "POST", "/v1/signals", `{"signals":["p_secret text"]}`)
	s.panics = true
	h.refused(t, 500, "POST", "/v1/signals", signals, "logged")
	_, _, metrics := h.call(t, "GET", "/metrics", "")
	out := h.log.String()
	if strings.Count(out, "msg=request") < 6 || !strings.Contains(out, "panicked") || !strings.Contains(out, "GET /v1/win/{bid}") {
		t.Fatalf("the log lacks requests:\n%s", out)
	}
	for _, secret := range []string{"aaa.bbb", bid, "SIGNATURE", "SECRET", operatorToken, h.key, "Order", "127.0.0.1", "p_secret text"} {
		if strings.Contains(out, secret) {
			t.Errorf("the log holds %q:\n%s", secret, out)
		}
		if strings.Contains(metrics, secret) {
			t.Errorf("the metrics hold %q", secret)
		}
	}
	for _, m := range []string{
		`aloud_signals_total{reason="",result="accepted"} 1`, `aloud_events_total{result="accepted"} 1`, `aloud_notices_total{kind="win",result="accepted"} 1`,
		`aloud_http_request_seconds_count{route="none",status="404"} 1`,
	} {
		if !strings.Contains(metrics, m) {
			t.Errorf("the metrics lack %s", m)
		}
	}
}

func TestSegmentCalls(t *testing.T) {
	h := open(t, &stages{})
	body, err := json.Marshal(map[string]any{
		"sentAt": "2026-11-23T18:00:10Z", // the sender's clock is an hour ahead
		"batch": []map[string]any{
			{"type": "track", "event": "Order Completed", "userId": "u1", "messageId": "m1", "timestamp": "2026-11-23T18:00:00Z", "properties": map[string]any{"total": 5}},
			{"type": "identify", "userId": "u2", "messageId": "m2", "traits": map[string]any{"email": "a@example.com"}},
			{"type": "page", "anonymousId": "x", "messageId": "m3"},
			{"type": "group", "userId": "u1", "groupId": "g"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	status, _, text := h.call(t, "POST", "/v1/batch", string(body), func(r *http.Request) { r.SetBasicAuth(h.key, "") })
	if status != 200 || !strings.Contains(text, `"success":true`) {
		t.Fatalf("%d %s", status, text)
	}
	if len(h.events) != 2 {
		t.Fatalf("%d events went on, want the 2 of a userId: %+v", len(h.events), h.events)
	}
	first := collector.Event{Source: "shop", MessageID: "m1", UserID: "u1", Name: "Order Completed", Time: time.Date(2026, 11, 23, 16, 59, 50, 0, time.UTC)}
	if h.events[0] != first || h.events[1].Name != "identify" {
		t.Errorf("went on as %+v", h.events)
	}
}

func TestPublicFiles(t *testing.T) {
	h := open(t, &stages{})
	for path, want := range map[string]string{"/log/checkpoint": "a checkpoint", "/log/tile/0/x001/067": "a tile", "/log/tile/entries/000": "entries"} {
		status, header, text := h.call(t, "GET", path, "", func(r *http.Request) { r.Header.Del("Authorization") })
		if status != 200 || text != want {
			t.Errorf("%s: %d %q", path, status, text)
		}
		if immutable := strings.Contains(header.Get("Cache-Control"), "immutable"); immutable != strings.Contains(path, "tile") {
			t.Errorf("%s: Cache-Control %q", path, header.Get("Cache-Control"))
		}
	}
}

func TestNoBidSaysWhy(t *testing.T) {
	h := open(t, &stages{reason: "unknown_user"})
	status, header, _ := h.call(t, "POST", "/openrtb2/bid", `{"id":"1"}`)
	if status != http.StatusNoContent || header.Get("X-Aloud-No-Bid") != "unknown_user" {
		t.Fatalf("%d %v", status, header)
	}
	h.response = []byte(`{"id":"1"}`)
	status, header, text := h.call(t, "POST", "/openrtb2/bid", `{"id":"1"}`)
	if status != 200 || text != `{"id":"1"}` || header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %v %s", status, header, text)
	}
	h.evidence = aloud.Errorf(aloud.EPENDING, "wait for the next checkpoint")
	h.refused(t, 202, "GET", "/v1/evidence/b_"+strings.Repeat("a", 26), "", "checkpoint")
}

func TestSourcesSurviveAndKeysAreHashed(t *testing.T) {
	path := t.TempDir() + "/sources.json"
	s, err := ingest.OpenSources(path)
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.Add("shop", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.Add("shop", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if s, err = ingest.OpenSources(path); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Find(first); ok {
		t.Error("the old key still works after a new one was made")
	}
	if name, ok := s.Find(second); !ok || name != "shop" {
		t.Error("the key was lost by opening again")
	}
	data, err := json.Marshal(s.List())
	if err != nil || bytes.Contains(data, []byte(second)) {
		t.Error("the key is stored as it is")
	}
}
