package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/ledger"
)

// TestKilledServerLosesNothing kills a server at random moments while devices
// send, and starts it again on the same data: 50 times (5 with -short), or ALOUD_KILLS times.
// In the end every signal that was acknowledged is known to the server, each
// was counted once (the log has one leaf for it), and every withdrawal that was
// acknowledged holds.
func TestKilledServerLosesNothing(t *testing.T) {
	kills := 50
	if testing.Short() {
		kills = 5
	}
	if v, err := strconv.Atoi(os.Getenv("ALOUD_KILLS")); err == nil {
		kills = v
	}
	const devices = 6
	dir := filepath.Join(t.TempDir(), "data")
	server := startChild(t, dir, "--min-audience", "1")
	waitReady(t, server.url)
	s := serviceAt(t, server.url, dir, time.Now)

	var url atomic.Value
	url.Store(server.url)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	senders := make([]*sender, devices)
	for i := range senders {
		senders[i] = &sender{participant: s.join(t), url: &url}
		wg.Go(func() { senders[i].run(t, stop) })
	}
	var withdrawn []*participant
	for range kills {
		leaver := s.join(t)
		left := make(chan struct{})
		go func() { // the kill may come in the middle of it
			defer close(left)
			deliver(&url, "/v1/withdrawals", leaver.withdraws(t, consent.PurposeShareSignals, time.Now()))
		}()
		time.Sleep(time.Duration(20+rand.IntN(400)) * time.Millisecond)
		if err := server.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = server.cmd.Wait() // killed, as meant
		server = startChild(t, dir, "--min-audience", "1")
		url.Store(server.url)
		waitReady(t, server.url)
		s.url = server.url
		<-left
		withdrawn = append(withdrawn, leaver)
	}
	close(stop)
	wg.Wait()

	total := 0
	for _, d := range senders {
		total += len(d.acknowledged)
		for len(d.acknowledged) > 0 {
			n := min(64, len(d.acknowledged))
			var r results
			s.must(t, http.StatusOK, http.MethodPost, "/v1/signals", batch(d.acknowledged[:n]...), &r)
			for i, x := range r.Results {
				if x.Status != "duplicate" {
					t.Fatalf("signal %d was acknowledged, and now is %s: it was lost", i, x.Status)
				}
			}
			d.acknowledged = d.acknowledged[n:]
		}
	}
	if total < devices*kills {
		t.Fatalf("only %d signals were acknowledged: the test did not test much", total)
	}
	for _, p := range withdrawn {
		now := time.Now()
		s.refused(t, http.StatusForbidden, http.MethodPost, "/v1/signals",
			batch(p.says(t, "home.hvac", aloud.StageNeed, now, now, aloud.SourceFile, "")), "withdrawn")
	}
	checkLeaves(t, s, total, devices+kills, kills)
	t.Logf("%d kills, %d signals acknowledged, each counted once", kills, total)
}

// sender is one device that sends one signal after the other and sends each
// again until it is acknowledged.
type sender struct {
	*participant
	url          *atomic.Value
	acknowledged []string
}

func (d *sender) run(t *testing.T, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		now := time.Now()
		token := d.says(t, "home.hvac", aloud.StageNeed, now, now, aloud.SourceFile, "")
		if !deliver(d.url, "/v1/signals", batch(token)) {
			t.Error("a signal was not acknowledged within a minute")
			return
		}
		d.acknowledged = append(d.acknowledged, token)
	}
}

// deliver sends until the answer is 200.
func deliver(url *atomic.Value, path string, in any) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		s := &service{url: url.Load().(string)}
		if status, _, _, err := s.call(ctx, http.MethodPost, path, in); err == nil && status == http.StatusOK {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}

// checkLeaves counts the log's leaves by kind and demands that no commitment is
// there twice.
func checkLeaves(t *testing.T, s *service, signals, receipts, withdrawals int) {
	t.Helper()
	want := map[ledger.Kind]int{ledger.KindSignal: signals, ledger.KindReceipt: receipts, ledger.KindWithdrawal: withdrawals}
	got := map[ledger.Kind]int{}
	eventually(t, 20*time.Second, "the log holds every record", func() bool {
		clear(got)
		for _, leaf := range readLog(t, s) {
			got[leaf.Kind]++
		}
		return got[ledger.KindSignal] >= signals && got[ledger.KindReceipt] >= receipts && got[ledger.KindWithdrawal] >= withdrawals
	})
	for kind, n := range want {
		if got[kind] != n {
			t.Errorf("the log has %d leaves of kind %s, want %d", got[kind], kind, n)
		}
	}
}

// readLog reads every leaf that the checkpoint covers, as anyone could.
func readLog(t *testing.T, s *service) []ledger.Leaf {
	t.Helper()
	status, _, checkpoint, err := s.call(t.Context(), http.MethodGet, "/log/checkpoint", nil)
	if err != nil || status != http.StatusOK {
		t.Fatalf("no checkpoint: %d %v", status, err)
	}
	size := checkpointSize(t, checkpoint)
	var leaves []ledger.Leaf
	seen := map[aloud.Hash]bool{}
	for first := 0; first < size; first += 256 {
		path := "/log/tile/entries/" + tileIndex(first/256)
		if n := min(256, size-first); n < 256 {
			path += ".p/" + strconv.Itoa(n)
		}
		status, _, data, err := s.call(t.Context(), http.MethodGet, path, nil)
		if err != nil || status != http.StatusOK {
			t.Fatalf("%s: %d %v", path, status, err)
		}
		for len(data) > 0 {
			n := int(data[0])<<8 | int(data[1])
			leaf, err := ledger.ParseLeaf(data[2 : 2+n])
			if err != nil {
				t.Fatal(err)
			}
			if seen[leaf.Commitment] {
				t.Fatalf("a %s is in the log twice", leaf.Kind)
			}
			seen[leaf.Commitment] = true
			leaves = append(leaves, leaf)
			data = data[2+n:]
		}
	}
	return leaves
}

func checkpointSize(t *testing.T, checkpoint []byte) int {
	t.Helper()
	lines := strings.Split(string(checkpoint), "\n")
	if len(lines) < 3 {
		t.Fatalf("a checkpoint of %d lines", len(lines))
	}
	n, err := strconv.Atoi(lines[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// tileIndex writes an index as tlog-tiles does: groups of three digits.
func tileIndex(n int) string {
	s := strconv.Itoa(1000 + n%1000)[1:]
	for n /= 1000; n > 0; n /= 1000 {
		s = "x" + strconv.Itoa(1000 + n%1000)[1:] + "/" + s
	}
	return s
}
