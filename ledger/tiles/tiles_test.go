package tiles_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/ledger"
	"aloud.example/aloud/ledger/tiles"
)

// outbox keeps records in memory, as the database would.
type outbox struct {
	mu      sync.Mutex
	records []collector.Record
	done    map[int64]collector.Committed
	failing bool // Committed fails, as in a crash before the mark
}

func newOutbox(n int) *outbox {
	o := &outbox{done: map[int64]collector.Committed{}}
	o.grow(n)
	return o
}

func (o *outbox) grow(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for range n {
		seq := int64(len(o.records) + 1)
		salt := sha256.Sum256(fmt.Append(nil, "salt", seq))
		o.records = append(o.records, collector.Record{Seq: seq, Kind: collector.RecordSignal, Fields: []collector.Field{
			{Name: "signal", Value: fmt.Sprint("s_", seq), Salt: salt[:]},
		}})
	}
}

func (o *outbox) Pending(_ context.Context, limit int) ([]collector.Record, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []collector.Record
	for _, r := range o.records {
		if _, ok := o.done[r.Seq]; !ok && len(out) < limit {
			out = append(out, r)
		}
	}
	return out, nil
}

func (o *outbox) Committed(_ context.Context, done []collector.Committed) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failing {
		return errors.New("the power went")
	}
	for _, d := range done {
		o.done[d.Seq] = d
	}
	return nil
}

type keys struct{ skey, vkey string }

func newKeys(t testing.TB) keys {
	t.Helper()
	s, v, err := tiles.NewKey("aloud.example/log")
	if err != nil {
		t.Fatal(err)
	}
	return keys{s, v}
}

func open(t testing.TB, dir string, k keys) *tiles.Log {
	t.Helper()
	l, err := tiles.Open(t.Context(), tiles.Config{Dir: dir, Signer: k.skey, Verifier: k.vkey, Interval: 100 * time.Millisecond, Batch: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close(context.WithoutCancel(t.Context())) })
	return l
}

// covered waits for a checkpoint over so many leaves.
func covered(t testing.TB, l *tiles.Log, leaves uint64) (signed []byte, size uint64) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		signed, size, err := l.Checkpoint(t.Context())
		if err == nil && size >= leaves {
			return signed, size
		}
		if err != nil && aloud.ErrorCode(err) != aloud.EPENDING {
			t.Fatal(err)
		}
	}
	t.Fatalf("no checkpoint over %d leaves in 10 s", leaves)
	return nil, 0
}

func TestEveryLeafIsProvable(t *testing.T) {
	k := newKeys(t)
	l := open(t, t.TempDir(), k)
	box := newOutbox(600) // over two tiles
	if n, err := l.Drain(t.Context(), box); n != 600 || err != nil {
		t.Fatalf("Drain = %d, %v", n, err)
	}
	signed, size := covered(t, l, 600)
	if size != 600 {
		t.Fatalf("the log has %d leaves, want 600", size)
	}
	verifier, _ := note.NewVerifier(k.vkey)
	cp, err := ledger.OpenCheckpoint(signed, verifier)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range box.records {
		done := box.done[r.Seq]
		if done.Leaf != int64(i) {
			t.Fatalf("record %d has leaf %d: not in order", r.Seq, done.Leaf)
		}
		if i%97 != 0 && i != 599 {
			continue
		}
		leaf, _ := tiles.LeafOf(r)
		path, err := l.Inclusion(t.Context(), uint64(i), size)
		if err != nil {
			t.Fatal(err)
		}
		raw := make([][]byte, len(path))
		for j := range path {
			raw[j] = path[j][:]
		}
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(i), size, rfc6962.DefaultHasher.HashLeaf(leaf.Bytes()), raw, cp.Root[:]); err != nil {
			t.Errorf("leaf %d: %v", i, err)
		}
	}
	if _, err := l.Inclusion(t.Context(), size, size); aloud.ErrorCode(err) != aloud.EPENDING {
		t.Errorf("a leaf beyond the checkpoint: got %v, want pending", err)
	}
}

// A crash between the append and the mark gives the same records again; they
// must find their leaves.
func TestCrashBetweenAppendAndMark(t *testing.T) {
	dir, k := t.TempDir(), newKeys(t)
	box := newOutbox(300)
	l := open(t, dir, k)
	if _, err := l.Drain(t.Context(), box); err != nil {
		t.Fatal(err)
	}
	box.grow(10)
	box.failing = true
	if _, err := l.Drain(t.Context(), box); err == nil {
		t.Fatal("the mark failed and nobody said so")
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	box.failing = false
	l = open(t, dir, k)
	box.grow(5)
	if n, err := l.Drain(t.Context(), box); n != 15 || err != nil {
		t.Fatalf("Drain = %d, %v", n, err)
	}
	if _, size := covered(t, l, 315); size != 315 {
		t.Errorf("the log has %d leaves for 315 records", size)
	}
	seen := map[int64]bool{}
	for _, d := range box.done {
		seen[d.Leaf] = true
	}
	if len(seen) != 315 {
		t.Errorf("315 records have %d leaves", len(seen))
	}
}

// The same without a restart: the next beat tries again.
func TestFailedMarkIsTriedAgain(t *testing.T) {
	l := open(t, t.TempDir(), newKeys(t))
	box := newOutbox(7)
	box.failing = true
	for range 3 {
		if _, err := l.Drain(t.Context(), box); err == nil {
			t.Fatal("the mark failed and nobody said so")
		}
	}
	box.failing = false
	if n, err := l.Drain(t.Context(), box); n != 7 || err != nil {
		t.Fatalf("Drain = %d, %v", n, err)
	}
	if _, size := covered(t, l, 7); size != 7 {
		t.Errorf("the log has %d leaves for 7 records", size)
	}
}

func TestRunUntilTheContextEnds(t *testing.T) {
	l := open(t, t.TempDir(), newKeys(t))
	box := newOutbox(3)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx, box, 10*time.Millisecond) }()
	covered(t, l, 3)
	box.grow(3)
	covered(t, l, 6)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	k, other := newKeys(t), newKeys(t)
	for name, cfg := range map[string]tiles.Config{
		"no key":          {},
		"another's key":   {Signer: k.skey, Verifier: other.vkey},
		"a slow interval": {Signer: k.skey, Verifier: k.vkey, Interval: time.Minute},
	} {
		cfg.Dir = t.TempDir()
		if _, err := tiles.Open(t.Context(), cfg); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, _, err := tiles.NewKey("a name with spaces"); aloud.ErrorCode(err) != aloud.EINVALID {
		t.Errorf("an origin with spaces: got %v", err)
	}
}

func TestHandler(t *testing.T) {
	l := open(t, t.TempDir(), newKeys(t))
	if _, err := l.Drain(t.Context(), newOutbox(300)); err != nil {
		t.Fatal(err)
	}
	want, _ := covered(t, l, 300)
	server := httptest.NewServer(l.Handler("/log/"))
	defer server.Close()
	for path, status := range map[string]int{
		"/log/checkpoint":                   200,
		"/log/tile/0/000":                   200,
		"/log/tile/0/001.p/44":              200,
		"/log/tile/1/000.p/1":               200,
		"/log/tile/entries/000":             200,
		"/log/tile/entries/001.p/44":        200,
		"/log/tile/0/009":                   404,
		"/log/tile/0/001.p/256":             404,
		"/log/.state/treeState":             404,
		"/log/.state/marked":                404,
		"/log/tile/../.state/marked":        404,
		"/log/tile/0/%2e%2e/%2e%2e/.state":  404,
		"/log/":                             404,
		"/log/tile":                         404,
		"/checkpoint":                       404,
		"/log/tile/64/000":                  404,
		"/log/tile/0/x000/x000/000/../../0": 404,
	} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("GET %s = %d, want %d", path, resp.StatusCode, status)
		}
		if path == "/log/checkpoint" && !slices.Equal(body, want) {
			t.Errorf("the checkpoint served is not the one signed")
		}
	}
	resp, err := http.Post(server.URL+"/log/checkpoint", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST = %d", resp.StatusCode)
	}
}

func BenchmarkDrain(b *testing.B) {
	k := newKeys(b)
	l := open(b, b.TempDir(), k)
	for b.Loop() {
		b.StopTimer()
		box := newOutbox(256)
		for i := range box.records {
			box.records[i].Fields[0].Value = fmt.Sprint(b.N, time.Now().UnixNano(), i)
		}
		b.StartTimer()
		if _, err := l.Drain(b.Context(), box); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(256*b.N)/b.Elapsed().Seconds(), "leaves/s")
}
