package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/consent/jws"
	datadir "aloud.example/aloud/server"
	"aloud.example/aloud/server/ingest"
	"aloud.example/aloud/signal"
)

// testClock is a clock that a test can put forward.
type testClock struct{ ahead atomic.Int64 }

func (c *testClock) now() time.Time                { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *testClock) forward(d time.Duration)       { c.ahead.Add(int64(d)) }
func (c *testClock) ago(d time.Duration) time.Time { return c.now().Add(-d) }

// startNode runs a whole server on a free port. It is simulated, without a
// wait, unless change says otherwise.
func startNode(t testing.TB, dir string, change ...func(*NodeConfig)) *Node {
	t.Helper()
	n := &Node{Config: NodeConfig{
		Data: dir, Listen: "127.0.0.1:0", Simulate: true,
		Controller: consent.Controller{Name: "Test Ltd", Contact: "privacy@test.example"},
	}}
	for _, f := range change {
		f(&n.Config)
	}
	if err := n.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("closing the server: %v", err)
		}
		select {
		case err := <-n.Failed():
			t.Errorf("a part of the server gave up: %v", err)
		default:
		}
	})
	waitReady(t, n.URL)
	return n
}

func waitReady(t testing.TB, url string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if res, err := http.Get(url + "/readyz"); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatal("the server is not ready after 30 s")
		}
	}
}

// service is a server as a test calls it: in this process or a child.
type service struct {
	url, token string
	notice     ingest.Notice
	now        func() time.Time
}

func serviceAt(t testing.TB, url, data string, now func() time.Time) *service {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(data, datadir.TokenFile))
	if err != nil {
		t.Fatal(err)
	}
	s := &service{url: url, token: strings.TrimSpace(string(token)), now: now}
	s.must(t, http.StatusOK, http.MethodGet, "/v1/notice", nil, &s.notice)
	return s
}

// call makes one request as the operator, with in as JSON (or as it is, if it
// is a string), and returns the status, the headers and the body.
func (s *service) call(ctx context.Context, method, path string, in any) (int, http.Header, []byte, error) {
	var body io.Reader
	switch v := in.(type) {
	case nil:
	case string:
		body = strings.NewReader(v)
	default:
		data, err := json.Marshal(in)
		if err != nil {
			return 0, nil, nil, err
		}
		body = bytes.NewReader(data)
	}
	if strings.HasPrefix(path, "/") {
		path = s.url + path
	}
	req, err := http.NewRequestWithContext(ctx, method, path, body)
	if err != nil {
		return 0, nil, nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return res.StatusCode, res.Header, data, err
}

// must calls and demands a status; out, if not nil, takes the answer.
func (s *service) must(t testing.TB, status int, method, path string, in, out any) http.Header {
	t.Helper()
	got, header, data, err := s.call(t.Context(), method, path, in)
	if err != nil {
		t.Fatal(err)
	}
	if got != status {
		t.Fatalf("%s %s: status %d, want %d: %s", method, path, got, status, data)
	}
	if out != nil {
		if err := json.Unmarshal(data, out); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, data)
		}
	}
	return header
}

// refused calls and demands a problem whose code and detail hold want.
func (s *service) refused(t testing.TB, status int, method, path string, in any, want string) {
	t.Helper()
	var p struct{ Detail, Code string }
	h := s.must(t, status, method, path, in, &p)
	if h.Get("Content-Type") != "application/problem+json" || !strings.Contains(p.Code+": "+p.Detail, want) {
		t.Fatalf("%s %s: %s says %q, want %q in it", method, path, h.Get("Content-Type"), p.Code+": "+p.Detail, want)
	}
}

// participant is a person with a device.
type participant struct {
	id       aloud.ParticipantID
	key      ed25519.PrivateKey
	receipt  consent.Signed
	hash     aloud.Hash
	buyerUID string
	userID   string
	grant    consent.Grant // to share signals
}

// newParticipant makes a participant who has decided at a time, for a while, and
// sent nothing yet.
func (s *service) newParticipant(t testing.TB, at time.Time, life time.Duration, purposes ...consent.Purpose) *participant {
	t.Helper()
	if len(purposes) == 0 {
		purposes = consent.AllPurposes()
	}
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &participant{id: aloud.NewParticipantID(), key: key}
	method := consent.MethodTerminal
	if s.notice.Simulated {
		method = consent.MethodScript
	}
	d := consent.Decision{Participant: p.id, DeviceKey: pub, Notice: s.notice.Notice, Adult: true, Method: method, At: at}
	for _, purpose := range purposes {
		d.Choices = append(d.Choices, consent.Choice{Purpose: purpose, Expires: at.Add(life)})
	}
	r, err := consent.NewReceipt(d)
	if err != nil {
		t.Fatal(err)
	}
	p.hash = r.Hash()
	if p.receipt, err = consent.Sign(r, key); err != nil {
		t.Fatal(err)
	}
	return p
}

// enrol sends the decision and keeps the countersigned receipt.
func (s *service) enrol(t testing.TB, p *participant) {
	t.Helper()
	var out struct {
		Receipt  consent.Signed `json:"receipt"`
		BuyerUID string         `json:"buyeruid"`
		UserID   string         `json:"user_id"`
	}
	s.must(t, http.StatusCreated, http.MethodPost, "/v1/consents", p.receipt, &out)
	server := s.serverKey(t)
	if _, err := consent.Verify(out.Receipt, server); err != nil {
		t.Fatal(err)
	}
	p.receipt, p.buyerUID, p.userID = out.Receipt, out.BuyerUID, out.UserID
	grant, err := consent.Granted(p.receipt, []ed25519.PublicKey{server}, consent.PurposeShareSignals, s.now())
	if err != nil && aloud.ErrorCode(err) != aloud.EFORBIDDEN {
		t.Fatal(err)
	}
	p.grant = grant
}

func (s *service) serverKey(t testing.TB) ed25519.PublicKey {
	t.Helper()
	pub, err := s.notice.ServerKey.Public()
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

// join is newParticipant and enrol at the present.
func (s *service) join(t testing.TB, purposes ...consent.Purpose) *participant {
	t.Helper()
	p := s.newParticipant(t, s.now().Add(-time.Minute), 90*24*time.Hour, purposes...)
	s.enrol(t, p)
	return p
}

// says makes a signal token as the device would.
func (p *participant) says(t testing.TB, c aloud.Category, stage aloud.Stage, heard, sent time.Time, source aloud.Source, cell signal.Cell) string {
	t.Helper()
	pending, err := signal.New(p.grant, aloud.Intent{Category: c, Stage: stage, Score: 0.9}, heard, source, cell)
	if err != nil {
		t.Fatal(err)
	}
	token, err := pending.Sign(p.key, sent)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func batch(tokens ...string) map[string][]string { return map[string][]string{"signals": tokens} }

// results is the answer to a batch.
type results struct {
	Results []struct {
		ID      aloud.SignalID `json:"jti"`
		Status  string         `json:"status"`
		Problem struct{ Code, Detail string }
	}
}

func (p *participant) withdraws(t testing.TB, purpose consent.Purpose, at time.Time) map[string]string {
	t.Helper()
	token, err := consent.SignWithdrawal(consent.Withdrawal{ID: consent.NewEndingID(), Participant: p.id, Receipt: p.hash, Purpose: purpose, At: at}, p.key)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"withdrawal": token}
}

func (p *participant) erases(t testing.TB, at time.Time) map[string]string {
	t.Helper()
	token, err := consent.SignErasure(consent.Erasure{ID: consent.NewEndingID(), Participant: p.id, At: at}, p.key)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"erasure": token}
}

// eventually waits for what another part of the server does.
func eventually(t testing.TB, limit time.Duration, what string, done func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !done() {
		if time.Since(start) > limit {
			t.Fatalf("%s: not within %s", what, limit)
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(start)
}

// otherKey signs like a device that is not the participant's.
func otherKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// forged re-signs a token's payload by another key.
func forged(t testing.TB, token string, key ed25519.PrivateKey) string {
	t.Helper()
	m, err := jws.Parse(token, "aloud-signal+jwt", 4096)
	if err != nil {
		t.Fatal(err)
	}
	out, err := jws.Sign("aloud-signal+jwt", m.Payload, key)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
