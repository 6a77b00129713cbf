package listen

import (
	"context"
	"sync"
)

// queue holds the samples that wait to be heard, in a ring that never grows.
// What leaves it is overwritten.
type queue struct {
	mu      sync.Mutex
	ring    []float32
	head    int   // index of the oldest sample
	n       int   // how many wait
	first   int64 // position of the oldest sample in the stream
	dropped int64
	closed  bool

	data, room chan struct{} // one token each: something changed, look again
}

func newQueue(samples int) *queue {
	return &queue{
		ring: make([]float32, samples),
		data: make(chan struct{}, 1),
		room: make(chan struct{}, 1),
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// put adds all samples, waiting for room.
func (q *queue) put(ctx context.Context, samples []float32) error {
	for len(samples) > 0 {
		q.mu.Lock()
		n := 0
		if q.closed {
			q.mu.Unlock()
			return nil // nobody listens any more
		}
		if n = min(len(samples), len(q.ring)-q.n); n > 0 {
			q.add(samples[:n])
			samples = samples[n:]
		}
		q.mu.Unlock()
		if n > 0 {
			signal(q.data)
			continue
		}
		select {
		case <-q.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// push adds all samples at once; the oldest ones make room and are counted.
func (q *queue) push(samples []float32) {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return
	}
	if over := len(samples) - len(q.ring); over > 0 { // more than the queue holds at all
		q.drop(q.n)
		q.first += int64(over)
		q.dropped += int64(over)
		samples = samples[over:]
	}
	q.drop(len(samples) - (len(q.ring) - q.n))
	q.add(samples)
	q.mu.Unlock()
	signal(q.data)
}

func (q *queue) add(samples []float32) {
	at := (q.head + q.n) % len(q.ring)
	c := copy(q.ring[at:], samples)
	copy(q.ring, samples[c:])
	q.n += len(samples)
}

func (q *queue) drop(n int) {
	if n <= 0 {
		return
	}
	q.dropped += int64(n)
	q.remove(n)
}

func (q *queue) remove(n int) {
	end := q.head + n
	clear(q.ring[q.head:min(end, len(q.ring))])
	if end > len(q.ring) {
		clear(q.ring[:end-len(q.ring)])
	}
	q.head = end % len(q.ring)
	q.n -= n
	q.first += int64(n)
}

// close lets take run dry and put and push do nothing.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	signal(q.data)
	signal(q.room)
}

// take waits for a whole frame and copies it out. It returns the position of
// the frame's first sample and how many samples are the stream's; the rest of a
// last, short frame is silence. ok is false when the stream is over.
func (q *queue) take(ctx context.Context, frame []float32) (at int64, n int, ok bool, err error) {
	for {
		q.mu.Lock()
		if q.n >= len(frame) || (q.closed && q.n > 0) {
			at, n = q.first, min(q.n, len(frame))
			c := copy(frame[:n], q.ring[q.head:min(q.head+n, len(q.ring))])
			copy(frame[c:n], q.ring)
			clear(frame[n:])
			q.remove(n)
			q.mu.Unlock()
			signal(q.room)
			return at, n, true, nil
		}
		closed := q.closed
		q.mu.Unlock()
		if closed {
			return 0, 0, false, nil
		}
		select {
		case <-q.data:
		case <-ctx.Done():
			return 0, 0, false, ctx.Err()
		}
	}
}

func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.n
}

func (q *queue) droppedSamples() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}
