package collector

import (
	"context"
	"crypto/ed25519"
	"hash/fnv"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"aloud.example/aloud"
	"aloud.example/aloud/signal"
)

// Publisher makes a group durable; *stream.Stream is one.
type Publisher interface {
	Publish(ctx context.Context, partition uint16, id string, data []byte) (seq uint64, err error)
}

// Facts is what was applied from the stream so far; *store.Store is one.
type Facts interface {
	// Standing finds a participant's receipts and withdrawals; a row without
	// receipts if there are none.
	Standing(ctx context.Context, p aloud.ParticipantID) (StandingRow, error)
	// SignalDigests finds which signals were counted, and of which token.
	SignalDigests(ctx context.Context, ids []aloud.SignalID) (map[aloud.SignalID]aloud.Hash, error)
	// SeenIDs finds which of the ids of events and withdrawals were applied.
	SeenIDs(ctx context.Context, ids []aloud.Hash) (map[aloud.Hash]bool, error)
}

// Progress says how far the stream was applied; *audience.Keeper is one.
type Progress interface {
	Applied(partition uint16) uint64
	Wait(ctx context.Context, partition uint16, seq uint64) error
	// CaughtUp is nil once all that was there at the start is applied.
	CaughtUp() error
}

// Directory finds participants by the identifiers they were issued;
// *identity.Index is one.
type Directory interface {
	Resolve(kind, value string) (aloud.ParticipantID, bool)
	Issued(p aloud.ParticipantID, kind string) (value string, ok bool)
}

// Stopper stops bids for a participant at once, before a withdrawal is
// acknowledged; *audience.Index is one.
type Stopper interface {
	Stop(p aloud.ParticipantID, ending string)
}

// Config is what a Collector needs.
type Config struct {
	Stream    Publisher
	Facts     Facts
	Progress  Progress
	Directory Directory
	Stopper   Stopper
	Keys      *Keyring

	ServerKey  ed25519.PrivateKey  // countersigns receipts
	ServerKeys []ed25519.PublicKey // former ones, still believed; ServerKey's is added
	Notices    []aloud.Hash        // of the notices that consent may be given to

	Simulated bool          // takes source "file" and scripted consent
	Wait      time.Duration // of invariant 5; under 10 s only if Simulated; 0 counts as 10 s there too unless NoWait
	NoWait    bool          // no wait at all; only if Simulated

	Linger      time.Duration // how long a group waits for more; 0 counts as 2 ms, at most 5 ms
	MaxInFlight int           // signals and events not applied yet; 0 counts as 65536
	Standings   int           // verified standings kept in memory; 0 counts as 16384
	Now         func() time.Time
	Log         *slog.Logger
}

// The clock's limits.
const (
	maxLinger     = 5 * time.Millisecond
	maxReceiptAge = 24 * time.Hour
	maxTokens     = 64 // of one request
	slots         = 256
	maxChanged    = 4096
	applyWait     = 5 * time.Second // how long a change of consent waits to be applied
)

// Collector verifies messages and makes them durable. Its methods may be called
// from many goroutines. There is one collector for a partition at a time.
type Collector struct {
	cfg        Config
	serverKeys []ed25519.PublicKey
	groups     [Partitions]*group
	flights    [Partitions]flight
	changing   [slots]sync.Mutex // consent of one participant changes one at a time

	mu        sync.RWMutex // guards standings against a fill with what has just ended
	standings *lru.Cache[aloud.ParticipantID, *Standing]
	epochs    [slots]uint64
	changed   map[aloud.ParticipantID]uint64 // changes not known to be applied

	counts counts
	opened atomic.Bool // Progress had caught up once
	stop   chan struct{}
	gate   sync.RWMutex // nothing is queued after closed is set
	closed bool
	wg     sync.WaitGroup
}

// Counts are running totals, for metrics.
type Counts struct {
	Accepted, Duplicate, Refused  uint64
	EventsAccepted, EventsDropped uint64
	Consents, Withdrawals, Erased uint64
	Groups, Envelopes             uint64
}

type counts struct {
	accepted, duplicate, refused  atomic.Uint64
	eventsAccepted, eventsDropped atomic.Uint64
	consents, withdrawals, erased atomic.Uint64
	groups, envelopes             atomic.Uint64
}

// New starts a collector. Close ends it.
func New(cfg Config) (*Collector, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	standings, err := lru.New[aloud.ParticipantID, *Standing](cfg.Standings)
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "the collector's cache: %w", err)
	}
	c := &Collector{cfg: cfg, standings: standings, changed: map[aloud.ParticipantID]uint64{}, stop: make(chan struct{})}
	c.serverKeys = append([]ed25519.PublicKey{cfg.ServerKey.Public().(ed25519.PublicKey)}, cfg.ServerKeys...)
	for i := range c.groups {
		c.flights[i].init(max(cfg.MaxInFlight/Partitions, 256))
		c.groups[i] = newGroup(uint16(i), c)
		c.wg.Go(c.groups[i].run)
	}
	return c, nil
}

func (c *Config) check() error {
	switch {
	case c.Stream == nil || c.Facts == nil || c.Progress == nil || c.Directory == nil || c.Stopper == nil || c.Keys == nil:
		return aloud.Errorf(aloud.EINVALID, "a collector needs a stream, facts, progress, a directory, a stopper and keys")
	case len(c.ServerKey) != ed25519.PrivateKeySize:
		return aloud.Errorf(aloud.EINVALID, "a collector needs the server's Ed25519 key to countersign receipts")
	case len(c.Notices) == 0:
		return aloud.Errorf(aloud.EINVALID, "a collector needs the notice that consent is given to")
	case !c.Simulated && (c.NoWait || c.Wait != 0 && c.Wait < signal.MinWait):
		return aloud.Errorf(aloud.EINVALID, "only a simulated server may wait less than %s", signal.MinWait)
	case c.Linger < 0 || c.Linger > maxLinger:
		return aloud.Errorf(aloud.EINVALID, "a group may linger for at most %s", maxLinger)
	}
	if c.Wait == 0 && !c.NoWait {
		c.Wait = signal.MinWait
	}
	if c.Linger == 0 {
		c.Linger = 2 * time.Millisecond
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = 1 << 16
	}
	if c.Standings == 0 {
		c.Standings = 1 << 14
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Close answers what is in flight and ends.
func (c *Collector) Close() {
	c.gate.Lock()
	first := !c.closed
	c.closed = true
	c.gate.Unlock()
	if first {
		close(c.stop)
	}
	c.wg.Wait()
}

// Counts returns the running totals.
func (c *Collector) Counts() Counts {
	n := &c.counts
	return Counts{
		Accepted: n.accepted.Load(), Duplicate: n.duplicate.Load(), Refused: n.refused.Load(),
		EventsAccepted: n.eventsAccepted.Load(), EventsDropped: n.eventsDropped.Load(),
		Consents: n.consents.Load(), Withdrawals: n.withdrawals.Load(), Erased: n.erased.Load(),
		Groups: n.groups.Load(), Envelopes: n.envelopes.Load(),
	}
}

// ready refuses everything until what was there at the start is applied: before
// that, a consent or a count might not be known.
func (c *Collector) ready() error {
	if c.opened.Load() {
		return nil
	}
	if err := c.cfg.Progress.CaughtUp(); err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the server is starting; try again in a moment: %w", err)
	}
	c.opened.Store(true)
	return nil
}

// standing finds a participant's verified standing, in memory or made from what
// was applied.
func (c *Collector) standing(ctx context.Context, p aloud.ParticipantID) (*Standing, error) {
	slot := slotOf(p)
	c.mu.RLock()
	s, ok := c.standings.Get(p)
	epoch := c.epochs[slot]
	c.mu.RUnlock()
	if ok {
		return s, nil
	}
	row, err := c.cfg.Facts.Standing(ctx, p)
	if err != nil {
		return nil, err
	}
	if s, err = NewStanding(ctx, c.cfg.Keys, c.serverKeys, row); err != nil {
		if gone, ferr := c.cfg.Keys.Forgotten(ctx, p); ferr == nil && gone {
			return nil, errForgotten()
		}
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epochs[slot] == epoch && !c.unsettled(p) {
		c.standings.Add(p, s)
	}
	return s, nil
}

// unsettled reports whether a change of a participant's consent is durable but
// not applied yet, so that what was read may be old. The caller holds mu.
func (c *Collector) unsettled(p aloud.ParticipantID) bool {
	seq, ok := c.changed[p]
	if ok && c.cfg.Progress.Applied(PartitionOf(p)) >= seq {
		delete(c.changed, p)
		return false
	}
	return ok
}

// change runs one change of a participant's consent, alone, and forgets the
// standing it changes. fn returns the sequence of what it published, or 0.
func (c *Collector) change(ctx context.Context, p aloud.ParticipantID, fn func() (uint64, error)) error {
	slot := slotOf(p)
	c.changing[slot].Lock()
	defer c.changing[slot].Unlock()
	seq, err := fn()
	c.forgetStanding(p, seq)
	if err != nil || seq == 0 {
		return err
	}
	c.applied(ctx, PartitionOf(p), seq)
	c.forgetStanding(p, seq)
	return nil
}

func (c *Collector) forgetStanding(p aloud.ParticipantID, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epochs[slotOf(p)]++
	c.standings.Remove(p)
	if seq != 0 {
		c.changed[p] = seq
	}
	c.unsettled(p)
	if len(c.changed) > maxChanged {
		for q := range c.changed {
			c.unsettled(q)
		}
	}
}

func slotOf(p aloud.ParticipantID) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(p))
	return h.Sum32() % slots
}

func errForgotten() error {
	return aloud.Errorf(aloud.EFORBIDDEN, "this participant was erased; to take part again, run aloud erase, then aloud enrol, which makes a new pseudonym")
}

// applied waits until what was published is applied. That it takes long is no
// failure: it is durable.
func (c *Collector) applied(ctx context.Context, partition uint16, seq uint64) {
	ctx, cancel := context.WithTimeout(ctx, applyWait)
	defer cancel()
	if err := c.cfg.Progress.Wait(ctx, partition, seq); err != nil {
		c.cfg.Log.Warn("a change of consent is durable but not applied yet", "partition", partition, "seq", seq, "error", err)
	}
}
