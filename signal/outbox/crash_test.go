package outbox_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/signal"
	"aloud.example/aloud/signal/outbox"
	"aloud.example/aloud/signal/uplink"
)

// TestMain is also the child that the crash test kills.
func TestMain(m *testing.M) {
	if os.Getenv("ALOUD_TEST_CHILD") != "outbox" {
		os.Exit(m.Run())
	}
	if err := crashChild(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// crashChild adds signals as fast as it can, names each on standard output once
// Add has returned, and sends at the same time.
func crashChild() error {
	var who enrolled
	if err := json.Unmarshal([]byte(os.Getenv("RECEIPT")), &who.signed); err != nil {
		return err
	}
	client, err := uplink.New(uplink.Config{URL: os.Getenv("SERVER")})
	if err != nil {
		return err
	}
	ctx := context.Background()
	o, err := outbox.Open(ctx, outbox.Config{
		Path: os.Getenv("OUTBOX"), Key: key("device"), Grant: who.grant, Wait: 20 * time.Millisecond, Simulated: true, Capacity: 1 << 20,
	})
	if err != nil {
		return err
	}
	go func() { _ = o.Run(ctx, client) }()
	for {
		g, err := who.grant(time.Now())
		if err != nil {
			return err
		}
		p, err := signal.New(g, aloud.Intent{Category: "home.hvac", Stage: aloud.StageReady, Score: 1}, time.Now(), aloud.SourceFile, "")
		if err != nil {
			return err
		}
		e, err := o.Add(ctx, p)
		if err != nil {
			return err
		}
		fmt.Println(e.ID)
	}
}

// crashServer counts each token it is sent, and sometimes loses its answer or
// is busy.
type crashServer struct {
	mu     sync.Mutex
	tokens map[aloud.SignalID]map[string]bool
}

func (s *crashServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Signals []string `json:"signals"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return // the child was killed while it sent
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var results []uplink.Result
	for _, token := range body.Signals {
		u, err := signal.Parse(token)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		id, status := u.Claimed().ID, uplink.Accepted
		if s.tokens[id] != nil {
			status = uplink.Duplicate
		} else {
			s.tokens[id] = map[string]bool{}
		}
		s.tokens[id][token] = true
		results = append(results, uplink.Result{ID: id, Status: status})
	}
	if rand.IntN(10) == 0 {
		panic(http.ErrAbortHandler) // it arrived, the answer is lost
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"results": results})
}

// Killed at random moments, an outbox loses nothing that Add returned for, and
// never sends a signal under two tokens.
func TestKill(t *testing.T) {
	kills := 50
	if testing.Short() {
		kills = 8
	}
	if n, err := strconv.Atoi(os.Getenv("ALOUD_KILLS")); err == nil {
		kills = n
	}
	server := &crashServer{tokens: map[aloud.SignalID]map[string]bool{}}
	listener := httptest.NewServer(server)
	defer listener.Close()
	who := enrol(t, time.Now().Add(-time.Minute))
	receipt, err := json.Marshal(who.signed)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "outbox.db")
	acknowledged := map[aloud.SignalID]bool{}
	for range kills {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "ALOUD_TEST_CHILD=outbox", "RECEIPT="+string(receipt), "SERVER="+listener.URL, "OUTBOX="+path)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// From the first line on, so that even on a slow machine it is killed
		// while it works.
		lines := bufio.NewScanner(out)
		started := sync.OnceFunc(func() {
			time.AfterFunc(time.Duration(rand.Int64N(int64(120*time.Millisecond))), func() { _ = cmd.Process.Kill() })
		})
		for lines.Scan() {
			started()
			if id := aloud.SignalID(lines.Text()); id.Valid() {
				acknowledged[id] = true
			}
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	drain(t, path, who, listener.URL)
	server.mu.Lock()
	defer server.mu.Unlock()
	for id := range acknowledged {
		if server.tokens[id] == nil {
			t.Errorf("%s was acknowledged and lost", id)
		}
	}
	for id, tokens := range server.tokens {
		if len(tokens) != 1 {
			t.Errorf("%s was sent under %d tokens", id, len(tokens))
		}
	}
	t.Logf("%d kills, %d signals acknowledged, %d arrived", kills, len(acknowledged), len(server.tokens))
	if len(acknowledged) < kills {
		t.Errorf("only %d signals in %d lives: the test kills too early to show anything", len(acknowledged), kills)
	}
}

func drain(t *testing.T, path string, who enrolled, url string) {
	t.Helper()
	client, err := uplink.New(uplink.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	o, err := outbox.Open(t.Context(), outbox.Config{Path: path, Key: key("device"), Grant: who.grant, Wait: 20 * time.Millisecond, Simulated: true})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		if d, err := o.Step(ctx, client); err == nil && d.Accepted == 0 && d.Next >= time.Second {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("the outbox does not empty")
		}
	}
	list, err := o.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if e.State != outbox.Accepted {
			t.Errorf("%s ended as %s: %s", e.ID, e.State, e.Reason)
		}
	}
}
