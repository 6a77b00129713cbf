package audience

import (
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
	members map[aloud.ParticipantID]entry
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
		x.shards[i].members = map[aloud.ParticipantID]entry{}
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
// big enough to be used. It is EUNAVAILABLE if a withdrawal might not be known,
// and EFORBIDDEN if one is under way.
func (x *Index) Lookup(p aloud.ParticipantID) (Found, error) {
	if err := x.Fresh(); err != nil {
		return Found{}, err
	}
	s := x.shard(p)
	s.mu.RLock()
	members := s.members[p]
	stopped := false
	if len(s.stopped) > 0 {
		_, stopped = s.stopped[p]
	}
	s.mu.RUnlock()
	if stopped {
		return Found{}, aloud.Errorf(aloud.EFORBIDDEN, "a withdrawal or an erasure is under way, so nothing is known of this participant")
	}
	return members.at(x.now(), int64(x.minimum)), nil
}

// entry is a participant's memberships, each with the size of its audience. It
// is not changed once it is in a shard.
type entry struct {
	members []Membership
	sizes   []*atomic.Int64
}

// at finds what holds at a time. In the common case, where all do, it copies
// nothing.
func (e entry) at(now time.Time, minimum int64) Found {
	var f Found
	whole := true
	for i := range e.members {
		holds, small := now.Before(e.members[i].Until), e.sizes[i].Load() < minimum
		if holds && small {
			f.TooSmall++
		}
		if keep := holds && !small; keep && !whole {
			f.Members = append(f.Members, e.members[i])
		} else if !keep && whole {
			whole = false
			f.Members = slices.Clone(e.members[:i])
		}
	}
	if whole {
		f.Members = e.members
	}
	return f
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
// full: then they keep those that they had and still have, and no others.
func (x *Index) Set(p aloud.ParticipantID, members []Membership) bool {
	s := x.shard(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, stopped := s.stopped[p]; stopped {
		members = nil
	}
	if x.members.Load()+int64(len(members)-len(s.members[p].members)) > x.limit {
		had := s.members[p].members
		x.replace(s, p, slices.DeleteFunc(slices.Clone(members), func(m Membership) bool {
			return !slices.ContainsFunc(had, func(h Membership) bool { return h.Audience == m.Audience })
		}))
		return false
	}
	x.replace(s, p, members)
	return true
}

// replace changes one entry and the sizes with it; the shard is locked.
func (x *Index) replace(s *shard, p aloud.ParticipantID, members []Membership) {
	old := s.members[p]
	for _, n := range old.sizes {
		n.Add(-1)
	}
	x.members.Add(int64(len(members) - len(old.members)))
	if len(members) == 0 {
		delete(s.members, p)
		return
	}
	e := entry{members: slices.Clone(members), sizes: make([]*atomic.Int64, len(members))}
	for i, m := range members {
		e.sizes[i] = x.size(m.Audience)
		e.sizes[i].Add(1)
	}
	s.members[p] = e
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
		for p, e := range s.members {
			over := func(m Membership) bool { return !now.Before(m.Until) }
			if !slices.ContainsFunc(e.members, over) {
				continue
			}
			left := slices.DeleteFunc(slices.Clone(e.members), over)
			dropped += len(e.members) - len(left)
			x.replace(s, p, left)
		}
		s.mu.Unlock()
	}
	return dropped
}

func (x *Index) shard(p aloud.ParticipantID) *shard {
	h := uint32(2166136261) // FNV-1a
	for i := range len(p) {
		h = (h ^ uint32(p[i])) * 16777619
	}
	return &x.shards[h%uint32(len(x.shards))]
}
