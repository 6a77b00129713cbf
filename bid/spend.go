package bid

import (
	"context"
	"sync"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/campaign"
)

// Hold is how long a bid's money stays reserved. Exchanges are told to bill
// within Expiry; the rest is for slow ones.
const (
	Hold   = 10 * time.Minute
	Expiry = 5 * time.Minute
)

// spend is the money and the frequency caps of every line in memory.
//
// What a line may still bid is free; what its open bids may cost is in holds.
// In the database, leased ≥ spent + holds + free at all times, and leased never
// exceeds the budget: so neither does what is spent.
type spend struct {
	durable Purse

	mu    sync.Mutex
	days  map[lineDay]*slice
	seen  map[personDay]int
	holds map[aloud.BidID]*hold
	queue []*hold // by time, because each waits equally long
	day   string  // the latest that was seen
}

type lineDay struct {
	line aloud.LineID
	day  string
}

type personDay struct {
	lineDay
	participant aloud.ParticipantID
}

type slice struct {
	free    campaign.Nanos
	empty   campaign.Nanos // the limit at which the database had nothing left; 0 if it may have
	leasing sync.Mutex
}

type hold struct {
	id     aloud.BidID
	key    personDay
	cost   campaign.Nanos
	until  time.Time
	closed bool
}

func newSpend(p Purse) *spend {
	return &spend{durable: p, days: map[lineDay]*slice{}, seen: map[personDay]int{}, holds: map[aloud.BidID]*hold{}}
}

// restore takes up the bids that Recover returned.
func (s *spend) restore(rows []Row, today string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.day = today
	for _, r := range rows {
		h := &hold{id: r.ID, key: personDay{lineDay{r.Line, r.Day()}, r.Participant}, cost: r.CPM.Each(), until: r.At.Add(Hold + time.Second)}
		if r.State != Billed && !now.Before(h.until) {
			continue
		}
		s.seen[h.key]++
		if r.State != Billed {
			s.holds[h.id] = h
			s.queue = append(s.queue, h)
		}
	}
}

// reserve takes the cost of one impression and one of the person's showings, or
// says why not. It asks the database only when the leased slice is used up.
func (s *spend) reserve(ctx context.Context, id aloud.BidID, p aloud.ParticipantID, o *campaign.Offer, now time.Time) Reason {
	key := personDay{lineDay{o.ID, dayOf(now)}, p}
	for again := true; ; again = false {
		why, sl := s.tryReserve(id, key, o, now)
		if why != Budget || !again || sl == nil {
			return why
		}
		if err := s.lease(ctx, key.lineDay, sl, o); err != nil {
			return Unavailable
		}
	}
}

// tryReserve returns the slice if it should be leased anew.
func (s *spend) tryReserve(id aloud.BidID, key personDay, o *campaign.Offer, now time.Time) (Reason, *slice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	if s.seen[key] >= o.Cap {
		return Cap, nil
	}
	sl := s.days[key.lineDay]
	if sl == nil {
		sl = &slice{}
		s.days[key.lineDay] = sl
	}
	cost, limit := o.CPM.Each(), o.DailyBudget.Nanos()
	if sl.free < cost {
		if sl.empty == limit {
			return Budget, nil
		}
		return Budget, sl
	}
	sl.free -= cost
	h := &hold{id: id, key: key, cost: cost, until: now.Add(Hold)}
	s.holds[id] = h
	s.queue = append(s.queue, h)
	s.seen[key]++
	return "", nil
}

// lease asks for a fiftieth of the budget, but for a hundred impressions at
// least. Those who come meanwhile wait for it.
func (s *spend) lease(ctx context.Context, key lineDay, sl *slice, o *campaign.Offer) error {
	sl.leasing.Lock()
	defer sl.leasing.Unlock()
	cost, limit := o.CPM.Each(), o.DailyBudget.Nanos()
	s.mu.Lock()
	done := sl.free >= cost || sl.empty == limit
	s.mu.Unlock()
	if done {
		return nil
	}
	// What a lease that nobody waits for any more got would be lost until the
	// next start.
	got, err := s.durable.Lease(context.WithoutCancel(ctx), key.line, key.day, max(limit/50, 100*cost), limit)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sl.free += got
	if got == 0 {
		sl.empty = limit
	}
	return nil
}

// take claims a bid's hold for billing; false if it is gone.
func (s *spend) take(id aloud.BidID, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	h, ok := s.holds[id]
	if !ok || h.closed {
		return false
	}
	h.closed = true
	return true
}

// untake undoes take after a billing that failed.
func (s *spend) untake(id aloud.BidID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h, ok := s.holds[id]; ok {
		h.closed = false
	}
}

// settle ends a hold that was billed: what was not charged is free again.
func (s *spend) settle(id aloud.BidID, charged campaign.Nanos) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.holds[id]
	if !ok {
		return
	}
	delete(s.holds, id)
	s.slice(h.key.lineDay).free += h.cost - charged
}

// release ends a hold that nobody will bill.
func (s *spend) release(id aloud.BidID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h, ok := s.holds[id]; ok && !h.closed {
		s.drop(h)
	}
}

// expire releases what is too old; s is locked.
func (s *spend) expire(now time.Time) {
	for len(s.queue) > 0 {
		h := s.queue[0]
		if _, open := s.holds[h.id]; open && (h.closed || now.Before(h.until)) {
			break
		}
		s.queue[0] = nil
		s.queue = s.queue[1:]
		if s.holds[h.id] == h {
			s.drop(h)
		}
	}
	if day := dayOf(now); day > s.day {
		s.turn(day)
	}
}

func (s *spend) drop(h *hold) {
	delete(s.holds, h.id)
	s.slice(h.key.lineDay).free += h.cost
	if s.seen[h.key]--; s.seen[h.key] <= 0 {
		delete(s.seen, h.key)
	}
}

// turn forgets days that no bid counts to any more.
func (s *spend) turn(day string) {
	for k := range s.seen {
		if k.day < s.day {
			delete(s.seen, k)
		}
	}
	for k := range s.days {
		if k.day < s.day {
			delete(s.days, k)
		}
	}
	s.day = day
}

func (s *spend) slice(k lineDay) *slice {
	sl := s.days[k]
	if sl == nil {
		sl = &slice{}
		s.days[k] = sl
	}
	return sl
}
