package collector

import (
	"context"
	"crypto/sha256"
	"time"
	"unicode"
	"unicode/utf8"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
)

// Event is a behavioural event as a website sent it. Its properties are not
// here: nothing keeps them.
type Event struct {
	Source    string    // whose write key it came with
	MessageID string    // the sender's id of it
	UserID    string    // the identifier the participant was issued
	Name      string    // "Order Completed"; for identify and page, that word
	Time      time.Time // when it happened; zero counts as now
}

// EventResult is what became of an event. Dropped says that it is of nobody who
// agreed to be matched; that is no error, and it is only counted.
type EventResult struct {
	Accepted, Dropped, Duplicate bool
	Err                          error // malformed, or not stored
}

// The limits of an event.
const (
	MaxEvents    = 1000 // of one call
	maxEventName = 100  // letters
	maxEventID   = 256  // bytes
)

// Event takes one event; see Events.
func (c *Collector) Event(ctx context.Context, e Event) EventResult {
	return c.Events(ctx, []Event{e})[0]
}

// Events takes events and answers each, after those it accepts are durable.
func (c *Collector) Events(ctx context.Context, events []Event) []EventResult {
	results := make([]EventResult, len(events))
	now := c.cfg.Now()
	starting := c.ready()
	var taken []*taking
	for i := range events {
		t := &taking{result: &results[i]}
		if starting != nil {
			t.result.Err = starting
			continue
		}
		if i >= MaxEvents {
			t.result.Err = aloud.Errorf(aloud.ETOOLARGE, "one call may hold %d events", MaxEvents)
			continue
		}
		if c.match(ctx, events[i], now, t) {
			taken = append(taken, t)
		}
	}
	c.publishEvents(ctx, c.newEvents(ctx, taken), now)
	for _, t := range taken {
		if t.other != nil {
			c.followEvent(ctx, t)
		}
	}
	for _, r := range results {
		switch {
		case r.Accepted:
			c.counts.eventsAccepted.Add(1)
		case r.Dropped:
			c.counts.eventsDropped.Add(1)
		}
	}
	return results
}

// taking is an event on its way through Events.
type taking struct {
	result      *EventResult
	participant aloud.ParticipantID
	partition   uint16
	event       SeenEvent
	mine, other *passenger
}

// match checks an event and finds whose it is. It reports whether to go on.
func (c *Collector) match(ctx context.Context, e Event, now time.Time, t *taking) bool {
	if e.Time.IsZero() {
		e.Time = now
	}
	if t.result.Err = e.check(now); t.result.Err != nil {
		return false
	}
	var ok bool
	if t.participant, ok = c.cfg.Directory.Resolve(LinkUserID, e.UserID); !ok {
		t.result.Dropped = true
		return false
	}
	standing, err := c.standing(ctx, t.participant)
	if err == nil {
		_, err = standing.Grant(consent.PurposeMatchBehaviour, now)
	}
	if err != nil {
		t.result.Dropped = true
		return false
	}
	t.partition = PartitionOf(t.participant)
	id := sha256.Sum256([]byte("event\x00" + e.Source + "\x00" + e.MessageID))
	t.event = SeenEvent{ID: id, Source: e.Source, Name: e.Name, Time: e.Time.UnixMilli()}
	return true
}

func (e Event) check(now time.Time) error {
	switch {
	case e.MessageID == "" || len(e.MessageID) > maxEventID:
		return aloud.Errorf(aloud.EINVALID, "an event needs a messageId of at most %d bytes", maxEventID)
	case e.UserID == "" || len(e.UserID) > maxEventID:
		return aloud.Errorf(aloud.EINVALID, "an event needs the userId that the participant was issued")
	case e.Source == "" || len(e.Source) > maxEventID:
		return aloud.Errorf(aloud.EINVALID, "an event needs a source, which its write key names")
	case e.Name == "" || utf8.RuneCountInString(e.Name) > maxEventName || !printable(e.Name):
		return aloud.Errorf(aloud.EINVALID, "an event's name has 1 to %d printable letters", maxEventName)
	case e.Time.After(now.Add(24*time.Hour)) || now.Sub(e.Time) > 366*24*time.Hour:
		return aloud.Errorf(aloud.EINVALID, "an event's time must be within the last year and not in the future")
	}
	return nil
}

func printable(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// newEvents leaves those that count for the first time.
func (c *Collector) newEvents(ctx context.Context, taken []*taking) []*taking {
	var fresh []*taking
	var ids []aloud.Hash
	for _, t := range taken {
		mine, other, err := c.flights[t.partition].take(t.event.ID, t.event.ID, c.cfg.Progress.Applied(t.partition))
		t.mine, t.other = mine, other
		switch {
		case err != nil:
			t.result.Err = err
		case other != nil: // of this call, or of another one: see followEvent
		default:
			fresh, ids = append(fresh, t), append(ids, t.event.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	seen, err := c.cfg.Facts.SeenIDs(ctx, ids)
	left := fresh[:0:0]
	for _, t := range fresh {
		if err == nil && !seen[t.event.ID] {
			left = append(left, t)
			continue
		}
		t.result.Err, t.result.Duplicate = err, err == nil
		c.flights[t.partition].land(t.event.ID, t.mine, 0)
	}
	return left
}

func (c *Collector) publishEvents(ctx context.Context, events []*taking, now time.Time) {
	type sent struct {
		t    *taking
		done <-chan result
	}
	var all []sent
	for _, t := range events {
		e, err := SealMember(ctx, c.cfg.Keys, Member{
			Kind: KindEvent, Participant: t.participant, Purpose: consent.PurposeMatchBehaviour, At: now, Event: &t.event,
		})
		var done <-chan result
		if err == nil {
			done, err = c.submit(t.partition, []Envelope{e})
		}
		if err != nil {
			c.settleEvent(t, 0, err)
			continue
		}
		all = append(all, sent{t, done})
	}
	for _, s := range all {
		seq, err := c.await(context.WithoutCancel(ctx), s.done)
		c.settleEvent(s.t, seq, err)
	}
}

// followEvent answers an event that is being published already.
func (c *Collector) followEvent(ctx context.Context, t *taking) {
	select {
	case <-t.other.landed:
	case <-ctx.Done():
		t.result.Err = aloud.Errorf(aloud.EUNAVAILABLE, "the answer did not come in time; send the same again, it counts once: %w", ctx.Err())
		return
	}
	if t.other.failed {
		t.result.Err = aloud.Errorf(aloud.EUNAVAILABLE, "the event could not be stored; send the same again, it counts once")
		return
	}
	t.result.Duplicate = true
}

func (c *Collector) settleEvent(t *taking, seq uint64, err error) {
	switch {
	case aloud.ErrorCode(err) == aloud.ENOTFOUND: // withdrawn in this moment
		t.result.Dropped, seq = true, 0
	case err != nil:
		t.result.Err, seq = err, 0
	default:
		t.result.Accepted = true
	}
	c.flights[t.partition].land(t.event.ID, t.mine, seq)
}
