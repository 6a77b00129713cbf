package stream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
)

// maxBatch is how many messages Read hands over at once, at most.
const maxBatch = 128

// Read calls fn with the messages from a sequence on, in order and without a
// gap, several at once where several are there. When nothing arrives it calls
// fn with none, every Tick, so that the reader can show that it lives. It
// returns when ctx ends (nil), when fn fails (fn's error), or when the stream
// closes.
//
// Delivery is at least once across restarts of the reader: who reads stores the
// sequence it has applied with what it applied, and goes on from there.
func (s *Stream) Read(ctx context.Context, from uint64, fn func([]collector.Message) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	consumer, err := s.js.OrderedConsumer(ctx, streamName, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: max(from, 1),
	})
	if err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "cannot read the stream: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(2 * maxBatch))
	if err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "cannot read the stream: %w", err)
	}
	defer messages.Stop()

	arrived := make(chan collector.Message, maxBatch)
	failed := make(chan error, 1)
	go func() {
		failed <- forward(ctx, messages, arrived)
	}()
	return s.deliver(ctx, arrived, failed, fn)
}

// forward takes messages off the iterator into a bounded channel.
func forward(ctx context.Context, messages jetstream.MessagesContext, arrived chan<- collector.Message) error {
	for {
		m, err := messages.Next()
		if err != nil {
			if errors.Is(err, jetstream.ErrMsgIteratorClosed) || ctx.Err() != nil {
				return ctx.Err()
			}
			return aloud.Errorf(aloud.EUNAVAILABLE, "reading the stream: %w", err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return aloud.Errorf(aloud.EINTERNAL, "a stream message without its sequence: %w", err)
		}
		partition, err := partitionOf(m.Subject())
		if err != nil {
			return aloud.Errorf(aloud.EINTERNAL, "message %d: %w", meta.Sequence.Stream, err)
		}
		select {
		case arrived <- collector.Message{Partition: partition, Seq: meta.Sequence.Stream, Data: m.Data()}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *Stream) deliver(ctx context.Context, arrived <-chan collector.Message, failed <-chan error, fn func([]collector.Message) error) error {
	tick := time.NewTicker(s.cfg.Tick)
	defer tick.Stop()
	batch := make([]collector.Message, 0, maxBatch)
	for {
		batch = batch[:0]
		select {
		case m := <-arrived:
			batch = append(batch, m)
		case <-tick.C:
		case <-ctx.Done():
			return nil
		case err := <-failed:
			if ctx.Err() != nil {
				return nil
			}
			return err
		case <-s.done:
			return errClosed()
		}
		for len(batch) > 0 && len(batch) < maxBatch && len(arrived) > 0 {
			batch = append(batch, <-arrived)
		}
		if err := fn(batch); err != nil {
			return err
		}
	}
}
