package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
)

// Config says where the stream lives. Either Dir or URL must be set.
type Config struct {
	Dir      string // the embedded server keeps its files here
	URL      string // a cluster's nats:// address instead; then Dir is not used
	Replicas int    // on a cluster; 0 counts as 3. The embedded server has 1.

	MaxBytes    int64         // a fuller stream refuses; 0 counts as 64 GiB, on a cluster as its own limit
	MaxInFlight int           // publishes waiting for their sync at once; 0 counts as 256
	Timeout     time.Duration // of one publish, all tries together; 0 counts as 10 s
	Tick        time.Duration // how often Read calls when nothing arrives; 0 counts as 500 ms
	Log         *slog.Logger
}

const (
	streamName = "ALOUD"
	subject    = "aloud.in." // + the partition, two digits

	maxMessage = 1 << 20
	duplicates = 2 * time.Minute // within which a repeated id is stored once
	startup    = 20 * time.Second
)

// Stream is an open stream. Its methods may be called from many goroutines.
type Stream struct {
	cfg      Config
	embedded *server.Server // nil on a cluster
	conn     *nats.Conn
	js       jetstream.JetStream
	stream   jetstream.Stream
	room     chan struct{} // one token a publish in flight
	done     chan struct{}
	closing  sync.Once
}

// Open starts the embedded server, or connects to the cluster, and creates the
// stream if it is not there.
func Open(ctx context.Context, cfg Config) (*Stream, error) {
	if (cfg.Dir == "") == (cfg.URL == "") {
		return nil, aloud.Errorf(aloud.EINVALID, "a stream needs a directory or the address of a cluster, and not both")
	}
	cfg.defaults()
	s := &Stream{cfg: cfg, room: make(chan struct{}, cfg.MaxInFlight), done: make(chan struct{})}
	if err := s.connect(); err != nil {
		s.Close()
		return nil, err
	}
	if err := s.create(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (c *Config) defaults() {
	if c.URL != "" {
		set(&c.MaxBytes, -1)
	}
	set(&c.MaxBytes, 64<<30)
	set(&c.MaxInFlight, 256)
	set(&c.Timeout, 10*time.Second)
	set(&c.Tick, 500*time.Millisecond)
	set(&c.Replicas, 3)
	if c.URL == "" {
		c.Replicas = 1
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// connect starts the embedded server where one is wanted and opens the client.
func (s *Stream) connect() error {
	options := []nats.Option{
		nats.Name("aloud"), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			s.cfg.Log.Warn("stream connection", "error", err)
		}),
	}
	url := s.cfg.URL
	if s.cfg.Dir != "" {
		if err := s.embed(); err != nil {
			return err
		}
		options = append(options, nats.InProcessServer(s.embedded))
	}
	conn, err := nats.Connect(url, options...)
	if err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "cannot reach the stream: %w", err)
	}
	s.conn = conn
	s.js, err = jetstream.New(conn)
	if err != nil {
		return aloud.Errorf(aloud.EINTERNAL, "cannot use JetStream: %w", err)
	}
	return nil
}

func (s *Stream) embed() error {
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return aloud.Errorf(aloud.EINVALID, "cannot make the stream's directory: %w", err)
	}
	srv, err := server.NewServer(&server.Options{
		ServerName: "aloud", DontListen: true, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: s.cfg.Dir, SyncAlways: true,
		JetStreamMaxMemory: 32 << 20, JetStreamMaxStore: s.cfg.MaxBytes + 1<<30,
		MaxPayload: maxMessage + 64<<10,
	})
	if err != nil {
		return aloud.Errorf(aloud.EINTERNAL, "cannot make the embedded stream: %w", err)
	}
	s.embedded = srv
	srv.Start()
	if !srv.ReadyForConnections(startup) {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the embedded stream did not start within %s; is its directory writable and the disk not full?", startup)
	}
	return nil
}

func (s *Stream) create(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startup)
	defer cancel()
	var err error
	s.stream, err = s.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: streamName, Subjects: []string{subject + "*"},
		Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		MaxBytes: s.cfg.MaxBytes, MaxMsgSize: maxMessage, Duplicates: duplicates,
		Replicas: s.cfg.Replicas, AllowDirect: true,
	})
	if err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "cannot open the stream %s: %w", streamName, err)
	}
	return nil
}

// Publish stores data for a partition and returns its sequence, after it is on
// disk. It tries again within Timeout; the id makes that safe: one id is stored
// once. It waits while MaxInFlight others are being stored.
func (s *Stream) Publish(ctx context.Context, partition uint16, id string, data []byte) (uint64, error) {
	if len(data) > maxMessage {
		return 0, aloud.Errorf(aloud.ETOOLARGE, "a stream message may have %d bytes, this has %d", maxMessage, len(data))
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	select {
	case s.room <- struct{}{}:
		defer func() { <-s.room }()
	case <-s.done:
		return 0, errClosed()
	case <-ctx.Done():
		return 0, aloud.Errorf(aloud.EUNAVAILABLE, "the stream is too busy to take more: %w", ctx.Err())
	}
	ack, err := s.js.Publish(ctx, subjectOf(partition), data,
		jetstream.WithMsgID(id), jetstream.WithRetryAttempts(5), jetstream.WithRetryWait(200*time.Millisecond))
	if err != nil {
		return 0, aloud.Errorf(aloud.EUNAVAILABLE, "the stream did not confirm a message: %w", err)
	}
	return ack.Sequence, nil
}

func subjectOf(partition uint16) string { return fmt.Sprintf("%s%02d", subject, partition) }

func errClosed() error { return aloud.Errorf(aloud.EUNAVAILABLE, "the stream is closed") }

// Last is the sequence of the newest message, 0 for an empty stream.
func (s *Stream) Last(ctx context.Context) (uint64, error) {
	info, err := s.stream.Info(ctx)
	if err != nil {
		return 0, aloud.Errorf(aloud.EUNAVAILABLE, "the stream does not answer: %w", err)
	}
	return info.State.LastSeq, nil
}

// Healthy says what is wrong with the stream, or nil.
func (s *Stream) Healthy() error {
	select {
	case <-s.done:
		return errClosed()
	default:
	}
	if !s.conn.IsConnected() {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the stream is not connected")
	}
	return nil
}

// Close stops the embedded server. What Publish answered for stays.
func (s *Stream) Close() {
	s.closing.Do(func() {
		close(s.done)
		if s.conn != nil {
			s.conn.Close()
		}
		if s.embedded != nil {
			s.embedded.Shutdown()
			s.embedded.WaitForShutdown()
		}
	})
}

// partitionOf reads the partition back from a subject.
func partitionOf(subj string) (uint16, error) {
	var p uint16
	if _, err := fmt.Sscanf(strings.TrimPrefix(subj, subject), "%d", &p); err != nil || p >= collector.Partitions {
		return 0, errors.New("a message has a subject without a partition")
	}
	return p, nil
}
