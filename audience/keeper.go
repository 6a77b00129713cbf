package audience

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/identity"
)

// Reader gives the stream in order; *stream.Stream is one.
type Reader interface {
	Read(ctx context.Context, from uint64, fn func([]collector.Message) error) error
	Last(ctx context.Context) (uint64, error)
}

// Eraser removes what ends; *erasure.Eraser is one.
type Eraser interface {
	Withdraw(ctx context.Context, tx Tx, p aloud.ParticipantID, ended []consent.Purpose) error
	Erase(ctx context.Context, tx Tx, p aloud.ParticipantID) error
	// Scrub leaves no trace of removed rows in the database's files.
	Scrub(ctx context.Context) error
}

// KeeperConfig is what a Keeper needs.
type KeeperConfig struct {
	Stream     Reader
	Database   Database
	Keys       *collector.Keyring
	ServerKeys []ed25519.PublicKey // that receipts are countersigned with
	Eraser     Eraser
	Index      *Index
	Links      *identity.Index
	Retain     time.Duration // of expired signals' rows, for evidence; 0 counts as 400 days
	Now        func() time.Time
	Log        *slog.Logger
}

// Keeper applies the stream: consent, identity, profile, membership. There is
// one for a partition at a time. Run it once; its other methods are safe for
// concurrent use.
type Keeper struct {
	cfg       KeeperConfig
	standings *lru.Cache[aloud.ParticipantID, *collector.Standing] // used by Run alone
	rules     map[uint16]map[aloud.Category][]PlacedRule           // used by Run alone

	mu      sync.Mutex
	applied map[uint16]uint64
	all     uint64
	target  uint64 // what was there at the start
	changed chan struct{}
	running bool

	swept, pruned time.Time
	latest        time.Time // when the latest of the applied members was collected
	unscrubbed    bool      // removed rows may still be in the database's log
	erased        bool      // somebody was, since the last sweep of the database
	counts        keeperCounts
}

type keeperCounts struct{ messages, members, skipped, dead, full atomic.Uint64 }

// KeeperCounts are running totals, for metrics.
type KeeperCounts struct {
	Messages, Members uint64 // applied
	Skipped           uint64 // members that no key opens any more
	Dead              uint64 // members that could not be applied
	Full              uint64 // times the index had no room
}

// NewKeeper makes a keeper. Nothing happens before Run.
func NewKeeper(cfg KeeperConfig) (*Keeper, error) {
	if cfg.Stream == nil || cfg.Database == nil || cfg.Keys == nil || cfg.Eraser == nil || cfg.Index == nil || len(cfg.ServerKeys) == 0 {
		return nil, aloud.Errorf(aloud.EINVALID, "a keeper needs a stream, a database, keys, an eraser, an index and the server's public keys")
	}
	if cfg.Links == nil {
		cfg.Links = cfg.Index.links
	}
	if cfg.Retain == 0 {
		cfg.Retain = 400 * 24 * time.Hour
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	standings, err := lru.New[aloud.ParticipantID, *collector.Standing](1 << 14)
	if err != nil {
		return nil, aloud.Errorf(aloud.EINTERNAL, "the keeper's cache: %w", err)
	}
	return &Keeper{
		cfg: cfg, standings: standings, rules: map[uint16]map[aloud.Category][]PlacedRule{},
		applied: map[uint16]uint64{}, changed: make(chan struct{}),
	}, nil
}

// Run loads what was applied before and goes on until ctx ends. It tries again
// where that may help; while it can't go on, the index falls silent.
func (k *Keeper) Run(ctx context.Context) error {
	if err := k.load(ctx); err != nil {
		return err
	}
	defer k.scrubLast(ctx)
	for {
		err := k.cfg.Stream.Read(ctx, k.Position()+1, func(batch []collector.Message) error { return k.take(ctx, batch) })
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && aloud.ErrorCode(err) != aloud.EUNAVAILABLE {
			return err
		}
		k.cfg.Log.Warn("applying the stream stopped; going on", "error", err)
		k.standings.Purge()
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil
		}
	}
}

// load reads the database into memory.
func (k *Keeper) load(ctx context.Context) error {
	pos, err := k.cfg.Database.Position(ctx)
	if err != nil {
		return err
	}
	rules, err := k.cfg.Database.Rules(ctx)
	if err != nil {
		return err
	}
	for _, r := range rules {
		k.placeRule(r)
	}
	if err := k.cfg.Database.EachLink(ctx, func(l identity.Link) error {
		if !k.cfg.Links.Put(l) {
			return aloud.Errorf(aloud.ELIMITED, "there are more identifiers than the index may hold; raise its limit")
		}
		return nil
	}); err != nil {
		return err
	}
	if err := k.loadMembers(ctx); err != nil {
		return err
	}
	last, err := k.cfg.Stream.Last(ctx)
	if err != nil {
		return err
	}
	if pos.All > last {
		return aloud.Errorf(aloud.EINTERNAL, "the database has applied message %d, but the stream ends at %d: the stream's files are older than the database; restore as docs/operations.md says under Backups", pos.All, last)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.running {
		return aloud.Errorf(aloud.EINTERNAL, "a keeper runs once")
	}
	k.running, k.all, k.target, k.applied = true, pos.All, last, pos.Partitions
	return nil
}

func (k *Keeper) loadMembers(ctx context.Context) error {
	var p aloud.ParticipantID
	var members []Membership
	flush := func() error {
		if p != "" && !k.cfg.Index.Set(p, members) {
			return aloud.Errorf(aloud.ELIMITED, "there are more memberships than the index may hold; raise its limit")
		}
		return nil
	}
	err := k.cfg.Database.EachMember(ctx, k.cfg.Now(), func(m Member) error {
		if m.Participant != p {
			if err := flush(); err != nil {
				return err
			}
			p, members = m.Participant, nil
		}
		members = append(members, m.Membership)
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

func (k *Keeper) placeRule(r PlacedRule) {
	byCategory := k.rules[r.Partition]
	if byCategory == nil {
		byCategory = map[aloud.Category][]PlacedRule{}
		k.rules[r.Partition] = byCategory
	}
	for _, old := range byCategory[r.Rule.Category] {
		if old.Audience == r.Audience {
			return // a rule never changes; it was published twice
		}
	}
	byCategory[r.Rule.Category] = append(byCategory[r.Rule.Category], r)
}

// Position is the sequence up to which every partition was applied.
func (k *Keeper) Position() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.all
}

// Applied is the sequence up to which a partition was applied.
func (k *Keeper) Applied(partition uint16) uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.applied[partition]
}

// Wait returns once a partition was applied up to a sequence, or ctx ends.
func (k *Keeper) Wait(ctx context.Context, partition uint16, seq uint64) error {
	for {
		k.mu.Lock()
		done, changed := k.applied[partition] >= seq, k.changed
		k.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return aloud.Errorf(aloud.EPENDING, "not applied yet: %w", ctx.Err())
		}
	}
}

// Ready returns nil once everything that was in the stream at the start is
// applied and the index answers.
func (k *Keeper) Ready() error {
	if err := k.CaughtUp(); err != nil {
		return err
	}
	return k.cfg.Index.Fresh()
}

// CaughtUp returns nil once everything that was in the stream at the start is
// applied. Until then the collector takes nothing.
func (k *Keeper) CaughtUp() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.running {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the stream is not being applied")
	}
	if k.all < k.target {
		return aloud.Errorf(aloud.EUNAVAILABLE, "catching up with the stream: at message %d of %d", k.all, k.target)
	}
	return nil
}

// WaitReady returns once Ready does, or ctx ends.
func (k *Keeper) WaitReady(ctx context.Context) error {
	for {
		err := k.Ready()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// Counts returns the running totals.
func (k *Keeper) Counts() KeeperCounts {
	return KeeperCounts{
		Messages: k.counts.messages.Load(), Members: k.counts.members.Load(), Skipped: k.counts.skipped.Load(),
		Dead: k.counts.dead.Load(), Full: k.counts.full.Load(),
	}
}

// take applies what arrived, or does what is due when nothing has.
func (k *Keeper) take(ctx context.Context, batch []collector.Message) error {
	for len(batch) > 0 {
		n := transaction(batch)
		if err := k.apply(ctx, batch[:n]); err != nil {
			return err
		}
		batch = batch[n:]
		k.beat()
	}
	k.sweep(ctx)
	k.beat()
	return nil
}

// maxTransaction is how many bytes of messages one transaction applies, so that
// a long queue never keeps the index silent.
const maxTransaction = 512 << 10

// transaction is how many messages go into the next transaction.
func transaction(batch []collector.Message) int {
	bytes := 0
	for i, m := range batch {
		if bytes += len(m.Data); i > 0 && bytes > maxTransaction {
			return i
		}
	}
	return len(batch)
}

func (k *Keeper) beat() {
	if k.CaughtUp() == nil {
		k.cfg.Index.Beat()
	}
}

const (
	sweepEvery  = time.Minute     // the database
	erasedAgain = 2 * time.Second // after an erasure
)

// sweep leaves no trace of what was removed, and drops memberships whose time
// is over: from memory every second, from the database every minute.
func (k *Keeper) sweep(ctx context.Context) {
	now := k.cfg.Now()
	if k.unscrubbed {
		if err := k.cfg.Eraser.Scrub(ctx); ctx.Err() != nil {
			return // the last scrub follows
		} else if err != nil {
			k.cfg.Log.Warn("removed rows may still be in the database's log; it is tried again", "error", err)
		} else {
			k.unscrubbed = false
		}
	}
	if now.Sub(k.swept) >= time.Second {
		k.swept = now
		k.cfg.Index.Sweep()
	}
	if now.Sub(k.pruned) >= sweepEvery {
		k.pruned = now
		k.unscrubbed = k.unscrubbed || k.erased
		k.erased = false
		if err := k.cfg.Database.Sweep(ctx, now, k.past(ctx, now), now.Add(-k.cfg.Retain)); err != nil && ctx.Err() == nil {
			k.cfg.Log.Warn("sweeping ended memberships failed; it is tried again", "error", err)
		}
	}
}

// late is how much older than one before it a message may be: collectors work
// side by side, and a group waits for the disk.
const late = 10 * time.Minute

// past is a time that every message still to come is younger than. What the
// messages lead to must not depend on how far behind they are applied, so a
// membership that ended is swept only once no message can ask for it any more.
func (k *Keeper) past(ctx context.Context, now time.Time) time.Time {
	latest := k.latest
	if last, err := k.cfg.Stream.Last(ctx); err == nil && k.Position() >= last {
		latest = now
	}
	if latest.IsZero() {
		return latest
	}
	return latest.Add(-late)
}

// lastScrub is how long the scrub at the end may take.
const lastScrub = 5 * time.Second

// scrubLast scrubs what is left to scrub when the keeper ends, with time of its
// own.
func (k *Keeper) scrubLast(ctx context.Context) {
	if !k.unscrubbed && !k.erased {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastScrub)
	defer cancel()
	if err := k.cfg.Eraser.Scrub(ctx); err != nil {
		k.cfg.Log.Warn("the last scrub failed: removed rows may still be in the database's log", "error", err)
		return
	}
	k.unscrubbed, k.erased = false, false
}
