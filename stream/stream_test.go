package stream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/stream"
)

func open(t testing.TB, dir string) *stream.Stream {
	t.Helper()
	s, err := stream.Open(context.Background(), stream.Config{Dir: dir, Tick: 20 * time.Millisecond})
	must(t, err)
	t.Cleanup(s.Close)
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// read returns n messages from a sequence on.
func read(t *testing.T, s *stream.Stream, from uint64, n int) []collector.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var all []collector.Message
	enough := errors.New("enough")
	err := s.Read(ctx, from, func(batch []collector.Message) error {
		for _, m := range batch {
			m.Data = bytes.Clone(m.Data)
			all = append(all, m)
		}
		if len(all) >= n {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || len(all) < n {
		t.Fatalf("read %d of %d messages: %v", len(all), n, err)
	}
	return all[:n]
}

func TestInOrderAcrossRestarts(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for i := range 300 {
		seq, err := s.Publish(t.Context(), uint16(i%collector.Partitions), fmt.Sprint("id", i), fmt.Append(nil, "message ", i))
		must(t, err)
		if seq != uint64(i+1) {
			t.Fatalf("message %d has sequence %d", i, seq)
		}
	}
	s.Close()
	s = open(t, dir)
	if last, err := s.Last(t.Context()); err != nil || last != 300 {
		t.Fatalf("after a restart the last is %d, %v", last, err)
	}
	for i, m := range read(t, s, 100, 201) {
		n := 99 + i
		if m.Seq != uint64(n+1) || m.Partition != uint16(n%collector.Partitions) || string(m.Data) != fmt.Sprint("message ", n) {
			t.Fatalf("message %d came as %d of partition %d: %q", n, m.Seq, m.Partition, m.Data)
		}
	}
}

func TestOneIDIsStoredOnce(t *testing.T) {
	s := open(t, t.TempDir())
	first, err := s.Publish(t.Context(), 1, "same", []byte("x"))
	must(t, err)
	again, err := s.Publish(t.Context(), 1, "same", []byte("x"))
	must(t, err)
	if last, _ := s.Last(t.Context()); first != again || last != 1 {
		t.Errorf("one id was stored at %d and %d", first, again)
	}
}

func TestManyAtOnce(t *testing.T) {
	s := open(t, t.TempDir())
	var wg sync.WaitGroup
	seqs := make([]uint64, 400)
	for i := range seqs {
		wg.Go(func() {
			var err error
			if seqs[i], err = s.Publish(t.Context(), uint16(i%collector.Partitions), fmt.Sprint(i), []byte{byte(i), byte(i >> 8)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, m := range read(t, s, 1, len(seqs)) {
		i := int(m.Data[0]) | int(m.Data[1])<<8
		if seqs[i] != m.Seq {
			t.Fatalf("message %d was acknowledged as %d and is %d", i, seqs[i], m.Seq)
		}
	}
}

func TestTicksWhileIdle(t *testing.T) {
	s := open(t, t.TempDir())
	ticks, enough := 0, errors.New("enough")
	err := s.Read(t.Context(), 1, func(batch []collector.Message) error {
		if len(batch) != 0 {
			t.Error("a message out of nowhere")
		}
		if ticks++; ticks == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	for name, cfg := range map[string]stream.Config{
		"nothing": {}, "both": {Dir: t.TempDir(), URL: "nats://localhost:1"}, "a file as directory": {Dir: "/dev/null/x"},
	} {
		if _, err := stream.Open(t.Context(), cfg); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := stream.Open(t.Context(), stream.Config{URL: "nats://127.0.0.1:1"}); aloud.ErrorCode(err) != aloud.EUNAVAILABLE {
		t.Errorf("nobody there: %v", err)
	}
	s := open(t, t.TempDir())
	if _, err := s.Publish(t.Context(), 0, "big", make([]byte, 1<<20+1)); aloud.ErrorCode(err) != aloud.ETOOLARGE {
		t.Errorf("too large: %v", err)
	}
	must(t, s.Healthy())
	s.Close()
	s.Close()
	if _, err := s.Publish(t.Context(), 0, "late", nil); aloud.ErrorCode(err) != aloud.EUNAVAILABLE {
		t.Errorf("after closing: %v", err)
	}
	if s.Healthy() == nil {
		t.Error("healthy after closing")
	}
	if err := s.Read(t.Context(), 1, func([]collector.Message) error { return nil }); aloud.ErrorCode(err) != aloud.EUNAVAILABLE {
		t.Errorf("reading after closing: %v", err)
	}
}

// TestCluster reads and writes a server of its own over a connection, as with
// a cluster.
func TestCluster(t *testing.T) {
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, SyncAlways: true})
	must(t, err)
	srv.Start()
	defer srv.Shutdown()
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server did not start")
	}
	s, err := stream.Open(t.Context(), stream.Config{URL: srv.ClientURL(), Replicas: 1, Tick: 20 * time.Millisecond})
	must(t, err)
	defer s.Close()
	for i := range 10 {
		_, err := s.Publish(t.Context(), 5, fmt.Sprint(i), []byte{byte(i)})
		must(t, err)
	}
	if all := read(t, s, 4, 7); all[0].Seq != 4 || all[6].Data[0] != 9 || all[0].Partition != 5 {
		t.Errorf("read %+v", all)
	}
}

func TestFullRefuses(t *testing.T) {
	s, err := stream.Open(t.Context(), stream.Config{Dir: t.TempDir(), MaxBytes: 64 << 10, Timeout: time.Second})
	must(t, err)
	defer s.Close()
	for i := range 200 {
		if _, err = s.Publish(t.Context(), 0, fmt.Sprint(i), make([]byte, 1024)); err != nil {
			break
		}
	}
	if aloud.ErrorCode(err) != aloud.EUNAVAILABLE {
		t.Fatalf("a full stream: %v", err)
	}
	if first := read(t, s, 1, 1); first[0].Seq != 1 {
		t.Error("the oldest was dropped to make room")
	}
}

func BenchmarkPublish(b *testing.B) {
	s := open(b, b.TempDir())
	for _, senders := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) {
			data := make([]byte, 2048)
			var wg sync.WaitGroup
			for w := range senders {
				wg.Go(func() {
					for i := w; i < b.N; i += senders {
						if _, err := s.Publish(context.Background(), uint16(w), fmt.Sprint(time.Now().UnixNano(), w, i), data); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
