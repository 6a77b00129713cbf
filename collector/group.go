package collector

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"time"

	"aloud.example/aloud"
)

// group gathers the envelopes of one partition. While one message is being
// stored, what arrives makes the next.
type group struct {
	partition uint16
	c         *Collector
	queue     chan *parcel
}

// parcel is envelopes that go into one message together, or not at all.
type parcel struct {
	envelopes []Envelope
	bytes     int
	done      chan result // takes one result without blocking
}

type result struct {
	seq uint64
	err error
}

// maxQueue is how many parcels may wait in one partition.
const maxQueue = 1024

func newGroup(partition uint16, c *Collector) *group {
	return &group{partition: partition, c: c, queue: make(chan *parcel, maxQueue)}
}

// submit queues envelopes of one participant. The channel it returns gives the
// result once they are durable, or not.
func (c *Collector) submit(partition uint16, envelopes []Envelope) (<-chan result, error) {
	p := &parcel{envelopes: envelopes, done: make(chan result, 1)}
	for _, e := range envelopes {
		p.bytes += envelopeExtra + len(e.Ciphertext)
	}
	if len(envelopes) > MaxGroup || p.bytes > MaxGroupBytes {
		return nil, aloud.Errorf(aloud.ETOOLARGE, "too much at once; send less in one request")
	}
	c.gate.RLock()
	defer c.gate.RUnlock()
	if c.closed {
		return nil, errClosing()
	}
	select {
	case c.groups[partition].queue <- p:
		return p.done, nil
	default:
		return nil, aloud.Errorf(aloud.ELIMITED, "the collector is too busy; try again in a moment")
	}
}

func (c *Collector) await(ctx context.Context, done <-chan result) (uint64, error) {
	select {
	case r := <-done:
		return r.seq, r.err
	case <-ctx.Done():
		return 0, aloud.Errorf(aloud.EUNAVAILABLE, "the answer did not come in time; send the same again, it counts once: %w", ctx.Err())
	}
}

func errClosing() error {
	return aloud.Errorf(aloud.EUNAVAILABLE, "the collector is shutting down; send the same again, it counts once")
}

// run takes parcels until the collector closes, then answers those left.
func (g *group) run() {
	var next *parcel
	for {
		batch := g.gather(next)
		if batch == nil {
			g.drain()
			return
		}
		next = nil
		if last := len(batch) - 1; last > 0 && !fits(batch) {
			next, batch = batch[last], batch[:last]
		}
		g.publish(batch)
	}
}

// gather waits for a parcel, then a moment for more. The last one may be too
// much; run then keeps it for the next message.
func (g *group) gather(first *parcel) []*parcel {
	if first == nil {
		select {
		case first = <-g.queue:
		case <-g.c.stop:
			return nil
		}
	}
	batch := []*parcel{first}
	linger := time.NewTimer(g.c.cfg.Linger)
	defer linger.Stop()
	for fits(batch) {
		select {
		case p := <-g.queue:
			batch = append(batch, p)
		case <-linger.C:
			return batch
		case <-g.c.stop:
			return batch
		}
	}
	return batch
}

func fits(batch []*parcel) bool {
	n, bytes := 0, groupHeader
	for _, p := range batch {
		n += len(p.envelopes)
		bytes += p.bytes
	}
	return n <= MaxGroup && bytes <= MaxGroupBytes
}

func (g *group) publish(batch []*parcel) {
	var all []Envelope
	for _, p := range batch {
		all = append(all, p.envelopes...)
	}
	r := result{}
	data, err := EncodeGroup(g.partition, all)
	if err == nil {
		r.seq, err = g.c.cfg.Stream.Publish(context.Background(), g.partition, messageID(), data)
	}
	if r.err = err; err == nil {
		g.c.counts.groups.Add(1)
		g.c.counts.envelopes.Add(uint64(len(all)))
	}
	for _, p := range batch {
		p.done <- r
	}
}

// messageID lets the stream tell a repeated try from another group.
func messageID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (g *group) drain() {
	for {
		select {
		case p := <-g.queue:
			p.done <- result{err: errClosing()}
		default:
			return
		}
	}
}
