package audience

import (
	"hash/fnv"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/identity"
)

// Heartbeat is how long the index answers after it was last kept current.
const Heartbeat = 3 * time.Second

// Membership is one participant's place in one audience.
type Membership struct {
	Audience aloud.AudienceID
	Category aloud.Category
	Stage    aloud.Stage
	Signal   aloud.SignalID // the signal that makes them a member
	Heard    time.Time      // when it was heard
	Until    time.Time      // when the window, or a consent, ends
}

// Member is a Membership with whose it is.
type Member struct {
	Participant aloud.ParticipantID
	Membership
}

// Found is what an index knows of a participant.
type Found struct {
	Members  []Membership // in audiences that may be used; not to be changed
	TooSmall int          // memberships in audiences that may not, yet
}

// IndexConfig is what an Index needs.
type IndexConfig struct {
	Links      *identity.Index
	Minimum    int  // 0 counts as Minimum; less only if Simulated
	Simulated  bool // a server started with --simulate
	MaxMembers int  // 0 counts as 4 million
	Now        func() time.Time
}

// Index is the whole membership in memory. Looking up takes one short read lock
// on one of 256 shards. It is safe for concurrent use.
type Index struct {
	links   *identity.Index
	minimum int
	limit   int64
	now     func() time.Time
	beat    atomic.Int64 // unix nanoseconds
	members atomic.Int64
	shards  [256]shard

	mu    sync.RWMutex
	sizes map[aloud.AudienceID]*atomic.Int64
}

type shard struct {
	mu      sync.RWMutex
	members map[aloud.ParticipantID][]Membership        // slices are replaced, never changed
	stopped map[aloud.ParticipantID]map[string]struct{} // endings not applied yet
}

// NewIndex makes an empty index, which answers nothing before its first Beat.
func NewIndex(cfg IndexConfig) (*Index, error) {
	if cfg.Minimum == 0 {
		cfg.Minimum = Minimum
	}
	if cfg.Minimum < 1 || cfg.Minimum < Minimum && !cfg.Simulated {
		return nil, aloud.Errorf(aloud.EINVALID, "no audience under %d people is used; only a simulated server may lower that", Minimum)
	}
	if cfg.MaxMembers == 0 {
		cfg.MaxMembers = 4 << 20
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Links == nil {
		cfg.Links = identity.NewIndex(0)
	}
	x := &Index{links: cfg.Links, minimum: cfg.Minimum, limit: int64(cfg.MaxMembers), now: cfg.Now, sizes: map[aloud.AudienceID]*atomic.Int64{}}
	for i := range x.shards {
		x.shards[i].members = map[aloud.ParticipantID][]Membership{}
		x.shards[i].stopped = map[aloud.ParticipantID]map[string]struct{}{}
	}
	return x, nil
}

// Resolve finds the participant that an exchange names.
func (x *Index) Resolve(buyeruid string) (aloud.ParticipantID, bool) {
	return x.links.Resolve(collector.LinkBuyerUID, buyeruid)
}

// Fresh returns EUNAVAILABLE if nobody has kept the index current for 3
// seconds: a withdrawal might be missing, so no bid may be made.
func (x *Index) Fresh() error {
	if x.now().UnixNano()-x.beat.Load() > int64(Heartbeat) {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the membership has not been kept current for over %s, so nobody is bid for", Heartbeat)
	}
	return nil
}

// Beat says that the index is current now.
func (x *Index) Beat() { x.beat.Store(x.now().UnixNano()) }

// Lookup finds a participant's memberships that hold now, in audiences that are
// big enough to be used.
func (x *Index) Lookup(p aloud.ParticipantID) (Found, error) {
	if err := x.Fresh(); err != nil {
		return Found{}, err
	}
	s := x.shard(p)
	s.mu.RLock()
	members := s.members[p]
	_, stopped := s.stopped[p]
	s.mu.RUnlock()
	if stopped || len(members) == 0 {
		return Found{}, nil
	}
	now := x.now()
	var f Found
	for i, m := range members {
		switch {
		case !now.Before(m.Until):
		case x.Size(m.Audience) < x.minimum:
			f.TooSmall++
		case f.Members == nil && f.TooSmall == 0 && i == 0 && x.allUsable(members, now):
			return Found{Members: members}, nil
		default:
			f.Members = append(f.Members, m)
		}
	}
	return f, nil
}

// allUsable lets the common case go without a copy.
func (x *Index) allUsable(members []Membership, now time.Time) bool {
	for _, m := range members {
		if !now.Before(m.Until) || x.Size(m.Audience) < x.minimum {
			return false
		}
	}
	return true
}

// Usable returns EFORBIDDEN for an audience under the minimum.
func (x *Index) Usable(a aloud.AudienceID) error {
	if x.Size(a) < x.minimum {
		return aloud.Errorf(aloud.EFORBIDDEN, "the audience has fewer than %d people, so it can't be used yet", x.minimum)
	}
	return nil
}

// Minimum is how many people an audience needs here.
func (x *Index) Minimum() int { return x.minimum }

// Size is the true count, for the server's own use; show Rounded.
func (x *Index) Size(a aloud.AudienceID) int {
	x.mu.RLock()
	n := x.sizes[a]
	x.mu.RUnlock()
	if n == nil {
		return 0
	}
	return int(n.Load())
}

// Len is how many memberships there are.
func (x *Index) Len() int { return int(x.members.Load()) }

// Stop ends all bids for a participant from this moment, until the ending of
// that name is applied.
func (x *Index) Stop(p aloud.ParticipantID, ending string) {
	s := x.shard(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped[p] == nil {
		s.stopped[p] = map[string]struct{}{}
	}
	s.stopped[p][ending] = struct{}{}
	x.replace(s, p, nil)
}

// Settle says that an ending was applied, so that membership is the database's
// again. Without a name, all of a participant's are.
func (x *Index) Settle(p aloud.ParticipantID, ending string) {
	s := x.shard(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.stopped[p], ending)
	if ending == "" || len(s.stopped[p]) == 0 {
		delete(s.stopped, p)
	}
}

// Set replaces a participant's memberships. It reports false when the index is
// full.
func (x *Index) Set(p aloud.ParticipantID, members []Membership) bool {
	s := x.shard(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, stopped := s.stopped[p]; stopped {
		members = nil
	}
	if x.members.Load()+int64(len(members)-len(s.members[p])) > x.limit {
		return false
	}
	x.replace(s, p, members)
	return true
}

// replace changes one entry and the sizes with it; the shard is locked.
func (x *Index) replace(s *shard, p aloud.ParticipantID, members []Membership) {
	for _, m := range s.members[p] {
		x.size(m.Audience).Add(-1)
	}
	x.members.Add(int64(len(members) - len(s.members[p])))
	if len(members) == 0 {
		delete(s.members, p)
		return
	}
	members = slices.Clone(members)
	for _, m := range members {
		x.size(m.Audience).Add(1)
	}
	s.members[p] = members
}

func (x *Index) size(a aloud.AudienceID) *atomic.Int64 {
	x.mu.RLock()
	n := x.sizes[a]
	x.mu.RUnlock()
	if n != nil {
		return n
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.sizes[a] == nil {
		x.sizes[a] = new(atomic.Int64)
	}
	return x.sizes[a]
}

// Sweep drops memberships whose time is over and says how many.
func (x *Index) Sweep() int {
	now, dropped := x.now(), 0
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.Lock()
		for p, members := range s.members {
			over := func(m Membership) bool { return !now.Before(m.Until) }
			if !slices.ContainsFunc(members, over) {
				continue
			}
			left := slices.DeleteFunc(slices.Clone(members), over)
			dropped += len(members) - len(left)
			x.replace(s, p, left)
		}
		s.mu.Unlock()
	}
	return dropped
}

func (x *Index) shard(p aloud.ParticipantID) *shard {
	h := fnv.New32a()
	_, _ = h.Write([]byte(p))
	return &x.shards[h.Sum32()%uint32(len(x.shards))]
}
