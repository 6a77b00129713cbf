package uplink_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/consent/jws"
	"aloud.example/aloud/signal/uplink"
)

func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("aloud test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

// serve answers every request by one handler and returns a client of it.
func serve(t *testing.T, h http.HandlerFunc) *uplink.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := uplink.New(uplink.Config{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func answer(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const problemJSON = "application/problem+json"

func TestNew(t *testing.T) {
	for url, ok := range map[string]bool{
		"https://aloud.example": true, "https://aloud.example:8443/": true, "http://127.0.0.1:8470": true, "http://[::1]:1": true, "http://localhost": true,
		"": false, "aloud.example": false, "http://aloud.example": false, "http://192.168.0.7": false, "http://127.0.0.1.evil.example": false,
		"https://user:secret@aloud.example": false, "https://aloud.example/path": false, "https://aloud.example?x": false,
		"ftp://aloud.example": false, "file:///etc/passwd": false, "https://": false, "://": false,
	} {
		if _, err := uplink.New(uplink.Config{URL: url}); (err == nil) != ok || err != nil && aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestNotice(t *testing.T) {
	n := uplink.Notice{
		Notice:    consent.EnglishNotice(consent.Controller{Name: "Example Operator", Contact: "privacy@operator.example"}),
		ServerKey: jws.NewJWK(key("server").Public().(ed25519.PublicKey)), LogVKey: "log+1+abc", Simulated: true, WaitSeconds: 0.5,
	}
	text, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	got, err := serve(t, answer(200, "application/json", string(text))).Notice(t.Context())
	if err != nil || got.Hash() != n.Hash() || !got.Simulated || got.Wait() != 500*time.Millisecond {
		t.Errorf("%+v, %v", got, err)
	}
	for name, change := range map[string][2]string{
		"no key":          {`"x":"`, `"x":"!`},
		"negative wait":   {`"wait_seconds":0.5`, `"wait_seconds":-1`},
		"endless wait":    {`"wait_seconds":0.5`, `"wait_seconds":1e9`},
		"missing purpose": {`"id":"measure"`, `"id":"sell"`},
		"escape codes":    {`You decide`, `\u001b[8mYou decide`},
	} {
		changed := strings.Replace(string(text), change[0], change[1], 1)
		if changed == string(text) {
			t.Errorf("%s changes nothing", name)
		}
		if _, err := serve(t, answer(200, "application/json", changed)).Notice(t.Context()); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSignals(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Signals []string }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.URL.Path != "/v1/signals" || r.Method != "POST" ||
			r.Header.Get("Content-Type") != "application/json" || len(body.Signals) != 2 {
			t.Errorf("%s %s %v %v", r.Method, r.URL, body, err)
		}
		answer(200, "application/json", `{"results":[{"jti":"s_1","status":"accepted"},
			{"jti":"s_2","status":"refused","problem":{"status":410,"code":"expired","detail":"the consent ended"}}]}`)(w, r)
	})
	results, err := c.Signals(t.Context(), []string{"a", "b"})
	if err != nil || len(results) != 2 || results[0].Err() != nil || aloud.ErrorCode(results[1].Err()) != aloud.EEXPIRED || results[1].Err().Error() != "the consent ended" {
		t.Errorf("%+v, %v", results, err)
	}
	for _, n := range []int{0, uplink.MaxBatch + 1} {
		if _, err := c.Signals(t.Context(), make([]string, n)); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("%d signals: %v", n, err)
		}
	}
	// All refused: the results come inside the problem.
	c = serve(t, answer(403, problemJSON, `{"status":403,"code":"forbidden","detail":"x","results":[{"jti":"s_1","status":"refused","problem":{"status":403,"code":"forbidden","detail":"x"}}]}`))
	if results, err := c.Signals(t.Context(), []string{"a"}); err != nil || aloud.ErrorCode(results[0].Err()) != aloud.EFORBIDDEN {
		t.Errorf("%+v, %v", results, err)
	}
}

func TestConsentKeepsThePayload(t *testing.T) {
	c := serve(t, answer(201, "application/json", `{"receipt":{"payload":"b3RoZXI","signatures":[]}}`))
	if _, err := c.Consent(t.Context(), consent.Signed{Payload: "bWluZQ"}); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
		t.Errorf("another receipt came back: %v", err)
	}
}

// Every bad answer is a clear coded error on one line, and never more than a
// bounded read.
func TestBadAnswers(t *testing.T) {
	tokens := []string{"a"}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		code    aloud.Code
		says    string
	}{
		"problem with code": {answer(400, problemJSON, `{"status":400,"code":"too_early","detail":"wait"}`), aloud.ETOOEARLY, "wait"},
		"problem, no code":  {answer(403, problemJSON+"; charset=utf-8", `{"detail":"no"}`), aloud.EFORBIDDEN, "no"},
		"unknown code":      {answer(404, problemJSON, `{"code":"nope"}`), aloud.ENOTFOUND, "without a reason"},
		"broken problem":    {answer(413, problemJSON, `{`), aloud.ETOOLARGE, "413"},
		"500":               {answer(500, problemJSON, `{"code":"internal","detail":"our fault"}`), aloud.EUNAVAILABLE, "our fault"},
		"a proxy's 502":     {answer(502, "text/html", `<html>`), aloud.EUNAVAILABLE, "502"},
		"a stranger's 404":  {answer(404, "text/html", `<html>`), aloud.EUNAVAILABLE, "check the address"},
		"a stranger's 200":  {answer(200, "text/html", `<html>`), aloud.EUNAVAILABLE, "is it an Aloud server"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/", http.StatusTemporaryRedirect)
		}, aloud.EUNAVAILABLE, "307"},
		"empty":              {answer(200, "application/json", ``), aloud.EUNAVAILABLE, ""},
		"too few results":    {answer(200, "application/json", `{"results":[]}`), aloud.EUNAVAILABLE, "0 of 1"},
		"unknown status":     {answer(200, "application/json", `{"results":[{"jti":"s_1","status":"perhaps"}]}`), aloud.EUNAVAILABLE, "perhaps"},
		"control characters": {answer(403, problemJSON, `{"detail":"a\u001b[31m\nb\u202e`+strings.Repeat("c", 1000)+`"}`), aloud.EFORBIDDEN, "a[31m b"},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			for range 64 {
				_, _ = w.Write(make([]byte, 64<<10))
			}
		}, aloud.EUNAVAILABLE, "more than"},
	} {
		_, err := serve(t, c.handler).Signals(t.Context(), tokens)
		if aloud.ErrorCode(err) != c.code || !strings.Contains(err.Error(), c.says) || strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 400 {
			t.Errorf("%s: code %s, %q", name, aloud.ErrorCode(err), err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"7": 7 * time.Second, "": 0, "-3": 0, "soon": 0, "99999999": time.Hour,
		"Mon, 23 Nov 2026 12:00:30 GMT": 30 * time.Second,
		"Mon, 23 Nov 2026 11:00:00 GMT": 0,
	} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", "Mon, 23 Nov 2026 12:00:00 GMT")
			w.Header().Set("Retry-After", header)
			answer(503, problemJSON, `{"code":"unavailable","detail":"busy"}`)(w, r)
		})
		err := c.Withdraw(t.Context(), "x")
		asked, ok := err.(interface{ RetryAfter() time.Duration })
		if !ok || asked.RetryAfter() != want || aloud.ErrorCode(err) != aloud.EUNAVAILABLE {
			t.Errorf("%q: %v, %v", header, err, asked)
		}
	}
}

func TestUnreachable(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	c, err := uplink.New(uplink.Config{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := c.Erase(t.Context(), "x"); aloud.ErrorCode(err) != aloud.EUNAVAILABLE || !strings.Contains(err.Error(), "can't be reached") {
		t.Errorf("%v", err)
	}
}

func FuzzProblem(f *testing.F) {
	f.Add(400, `{"status":400,"code":"invalid","detail":"x"}`, "3")
	f.Fuzz(func(t *testing.T, status int, body, after string) {
		if status < 200 || status > 599 || strings.ContainsAny(after, "\r\n\x00") {
			return
		}
		c, err := uplink.New(uplink.Config{URL: "https://aloud.example", Client: &http.Client{Transport: canned{status, body, after}}})
		if err != nil {
			t.Fatal(err)
		}
		results, err := c.Signals(t.Context(), []string{"a"})
		if err == nil && len(results) != 1 || err != nil && (aloud.ErrorCode(err) == aloud.EINTERNAL || strings.ContainsAny(err.Error(), "\n\x1b")) {
			t.Errorf("%v, %q", results, err)
		}
	})
}

// canned answers every request alike.
type canned struct {
	status      int
	body, after string
}

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: c.status, Body: io.NopCloser(strings.NewReader(c.body)),
		Header: http.Header{"Content-Type": {problemJSON}, "Retry-After": {c.after}},
	}, nil
}
