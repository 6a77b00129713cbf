package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/signal"
)

// TestBadInput sends a real (not simulated) server each way of bad input that
// needs a real server to be told from good.
func TestBadInput(t *testing.T) {
	var c testClock
	n := startNode(t, t.TempDir(), func(nc *NodeConfig) { nc.Simulate, nc.Now = false, c.now })
	s := serviceAt(t, n.URL, n.Config.Data, c.now)
	p := s.newParticipant(t, c.ago(time.Hour), 24*time.Hour)
	const mic, file = aloud.SourceMicrophone, aloud.SourceFile
	heard := c.ago(time.Minute)
	post := func(path string) (string, string) { return http.MethodPost, path }

	t.Run("not enrolled", func(t *testing.T) {
		stranger := s.newParticipant(t, c.ago(time.Hour), 24*time.Hour)
		s.refused(t, 404, http.MethodPost, "/v1/withdrawals", stranger.withdraws(t, consent.PurposeListen, c.now()), "")
	})
	s.enrol(t, p)
	good := p.says(t, "home.hvac", aloud.StageNeed, heard, c.now(), mic, "")
	signals := func(t *testing.T, status int, want string, tokens ...string) {
		t.Helper()
		m, path := post("/v1/signals")
		s.refused(t, status, m, path, batch(tokens...), want)
	}
	t.Run("wrong key", func(t *testing.T) { signals(t, 403, "key", forged(t, good, otherKey(t))) })
	t.Run("flipped byte", func(t *testing.T) {
		i := strings.LastIndex(good, ".") + 10
		flip := byte('A')
		if good[i] == 'A' {
			flip = 'B'
		}
		signals(t, 403, "signature", good[:i]+string(flip)+good[i+1:])
	})
	t.Run("source file", func(t *testing.T) {
		signals(t, 403, "--simulate", p.says(t, "home.hvac", aloud.StageNeed, heard, c.now(), file, ""))
	})
	t.Run("too early", func(t *testing.T) {
		signals(t, 400, "waits", p.says(t, "home.hvac", aloud.StageNeed, c.now(), c.now(), mic, ""))
		signals(t, 425, "too_early", p.says(t, "home.hvac", aloud.StageNeed, c.now(), c.now().Add(time.Minute), mic, "")) // dated ahead
	})
	t.Run("clock ahead", func(t *testing.T) {
		ahead := c.now().Add(10 * time.Minute)
		signals(t, 400, "clock", p.says(t, "home.hvac", aloud.StageNeed, ahead, ahead, mic, ""))
	})
	t.Run("scripted consent", func(t *testing.T) {
		script := s.newParticipant(t, c.ago(time.Hour), 24*time.Hour)
		r, err := consent.VerifyDevice(script.receipt)
		if err != nil {
			t.Fatal(err)
		}
		r.Method = consent.MethodScript
		signed, err := consent.Sign(r, script.key)
		if err != nil {
			t.Fatal(err)
		}
		s.refused(t, 403, http.MethodPost, "/v1/consents", signed, "person")
	})
	t.Run("other notice", func(t *testing.T) {
		other := *s
		other.notice.Text += " And your photographs."
		s.refused(t, 400, http.MethodPost, "/v1/consents", other.newParticipant(t, c.ago(time.Hour), 24*time.Hour).receipt, "notice")
	})
	t.Run("expired receipt", func(t *testing.T) {
		s.refused(t, 410, http.MethodPost, "/v1/consents", s.newParticipant(t, c.ago(48*time.Hour), 24*time.Hour).receipt, "expired")
	})
	t.Run("receipt changed after signing", func(t *testing.T) {
		bad := s.newParticipant(t, c.ago(time.Hour), 24*time.Hour).receipt
		bad.Payload = p.receipt.Payload
		s.refused(t, 403, http.MethodPost, "/v1/consents", bad, "")
	})
	t.Run("replay", func(t *testing.T) {
		var r results
		m, path := post("/v1/signals")
		s.must(t, 200, m, path, batch(good), &r)
		if r.Results[0].Status != "accepted" {
			t.Fatalf("the good signal: %+v", r)
		}
		s.must(t, 200, m, path, batch(good, good), &r)
		for _, x := range r.Results {
			if x.Status != "duplicate" {
				t.Fatalf("the same signal again: %+v", r)
			}
		}
	})
	t.Run("same jti, other content", func(t *testing.T) {
		pending, err := signal.New(p.grant, aloud.Intent{Category: "home.hvac", Stage: aloud.StageReady, Score: 1}, heard, mic, "")
		if err != nil {
			t.Fatal(err)
		}
		first, err := pending.Sign(p.key, c.ago(2*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		second, err := pending.Sign(p.key, c.now())
		if err != nil {
			t.Fatal(err)
		}
		var r results
		m, path := post("/v1/signals")
		s.must(t, 200, m, path, batch(first), &r)
		signals(t, 409, "jti", second)
	})
	t.Run("withdrawal by another key", func(t *testing.T) {
		thief := &participant{id: p.id, hash: p.hash, key: otherKey(t)}
		s.refused(t, 403, http.MethodPost, "/v1/withdrawals", thief.withdraws(t, consent.PurposeShareSignals, c.now()), "")
		s.refused(t, 403, http.MethodPost, "/v1/erasures", thief.erases(t, c.now()), "")
	})
	t.Run("expired consent", func(t *testing.T) {
		late := p.says(t, "home.hvac", aloud.StageNeed, heard, c.now(), mic, "")
		c.forward(25 * time.Hour)
		signals(t, 410, "expired", late)
	})
}

// TestSecondServer says so and ends with 2, whichever way it is started.
func TestSecondServer(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir)
	second := &Node{Config: n.Config}
	if err := second.Run(t.Context()); aloud.ErrorCode(err) != aloud.ECONFLICT || !strings.Contains(err.Error(), "another server") {
		t.Fatalf("a second server on one data directory: %v", err)
	}
	status, out := runAloud(t, "serve", "--data", dir, "--simulate")
	if status != 2 || !strings.Contains(out, "another server runs on this data directory") {
		t.Fatalf("status %d: %s", status, out)
	}
	s := serviceAt(t, n.URL, dir, time.Now)
	s.join(t) // the first is unharmed
}

// TestStampIsForLife tries to turn one kind of data directory into the other.
func TestStampIsForLife(t *testing.T) {
	for _, simulate := range []bool{true, false} {
		dir := t.TempDir()
		n := startNode(t, dir, func(c *NodeConfig) { c.Simulate = simulate })
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		other := n.Config
		other.Simulate, other.Wait = !simulate, 0
		if err := (&Node{Config: other}).Run(t.Context()); aloud.ErrorCode(err) != aloud.EINVALID || !strings.Contains(err.Error(), "simulated") {
			t.Fatalf("simulate %v, then %v: %v", simulate, !simulate, err)
		}
		same := n.Config
		same.Wait = 0
		again := &Node{Config: same}
		if err := again.Run(t.Context()); err != nil {
			t.Fatalf("simulate %v, again: %v", simulate, err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRealServerKeepsItsConstants shows that no flag lowers what only a
// simulated server may lower.
func TestRealServerKeepsItsConstants(t *testing.T) {
	for _, args := range [][]string{
		{"--wait", "0s"},
		{"--min-audience", "1"},
		{"--simulate", "--min-audience", "0"},
		{"--simulate", "--wait", "-1s"},
		{"--log-level", "loud"},
		{"--listen", "nowhere:99999"},
		{"extra"},
	} {
		status, out := runAloud(t, append([]string{"serve", "--data", filepath.Join(t.TempDir(), "d")}, args...)...)
		if status != 2 || strings.Count(strings.TrimSpace(out), "\n") != 0 || !strings.HasPrefix(out, "aloud: ") {
			t.Errorf("serve %v: status %d: %s", args, status, out)
		}
	}
}
