package audience_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
)

func index(t testing.TB, minimum int, now func() time.Time) *audience.Index {
	t.Helper()
	x, err := audience.NewIndex(audience.IndexConfig{Minimum: minimum, Simulated: true, Now: now, MaxMembers: 1000})
	must(t, err)
	x.Beat()
	return x
}

func in(a aloud.AudienceID, until time.Time) []audience.Membership {
	return []audience.Membership{{Audience: a, Category: "home.hvac", Stage: aloud.StageNeed, Signal: "s_x", Until: until}}
}

func TestIndexMinimum(t *testing.T) {
	if _, err := audience.NewIndex(audience.IndexConfig{Minimum: 49}); aloud.ErrorCode(err) != aloud.EINVALID {
		t.Errorf("a minimum of 49 outside a simulation: %v", err)
	}
	c := newClock()
	x := index(t, 0, c.Now)
	a, until := aloud.NewAudienceID(), c.Now().Add(time.Hour)
	var people []aloud.ParticipantID
	for range 49 {
		p := aloud.NewParticipantID()
		people = append(people, p)
		x.Set(p, in(a, until))
		x.Set(p, in(a, until)) // the same person counts once
	}
	if f, err := x.Lookup(people[0]); err != nil || len(f.Members) != 0 || f.TooSmall != 1 || x.Usable(a) == nil {
		t.Errorf("with 49: %+v, %v", f, err)
	}
	x.Set(aloud.NewParticipantID(), in(a, until))
	if f, err := x.Lookup(people[0]); err != nil || len(f.Members) != 1 || x.Usable(a) != nil {
		t.Errorf("with 50: %+v, %v", f, err)
	}
	x.Stop(people[1], "w")
	if f, _ := x.Lookup(people[0]); len(f.Members) != 0 {
		t.Errorf("with 49 again: %+v", f)
	}
}

// Where there is no room, who left an audience must be out of it all the same.
func TestFullIndexStillForgets(t *testing.T) {
	c := newClock()
	until := c.Now().Add(time.Hour)
	x := index(t, 1, c.Now)
	a, b := in(aloud.NewAudienceID(), until), in(aloud.NewAudienceID(), until)
	p := aloud.NewParticipantID()
	x.Set(p, append(a[:1:1], b...))
	for x.Len() < 1000 {
		x.Set(aloud.NewParticipantID(), b)
	}
	more := append(b[:1:1], in(aloud.NewAudienceID(), until)...)
	if x.Set(p, append(more, in(aloud.NewAudienceID(), until)...)) {
		t.Fatal("there was room")
	}
	if f, err := x.Lookup(p); err != nil || len(f.Members) != 1 || f.Members[0].Audience != b[0].Audience {
		t.Errorf("they left one, and stay in another: %+v, %v", f, err)
	}
}

func TestIndexFallsSilent(t *testing.T) {
	c := newClock()
	x := index(t, 1, c.Now)
	p := aloud.NewParticipantID()
	x.Set(p, in(aloud.NewAudienceID(), c.Now().Add(time.Hour)))
	c.Add(3 * time.Second)
	if f, err := x.Lookup(p); err != nil || len(f.Members) != 1 {
		t.Errorf("after 3 s: %+v, %v", f, err)
	}
	c.Add(time.Millisecond)
	if _, err := x.Lookup(p); aloud.ErrorCode(err) != aloud.EUNAVAILABLE {
		t.Errorf("after more than 3 s: %v", err)
	}
}

func TestIndexStop(t *testing.T) {
	c := newClock()
	x := index(t, 1, c.Now)
	p, a := aloud.NewParticipantID(), aloud.NewAudienceID()
	members := in(a, c.Now().Add(time.Hour))
	has := func() bool {
		f, err := x.Lookup(p)
		if aloud.ErrorCode(err) != aloud.EFORBIDDEN {
			must(t, err)
		}
		return len(f.Members) > 0
	}
	x.Set(p, members)
	x.Stop(p, "one")
	x.Stop(p, "two")
	x.Set(p, members) // what was applied before the withdrawals
	if has() || x.Size(a) != 0 {
		t.Error("a member after Stop")
	}
	x.Settle(p, "one")
	x.Set(p, members)
	if has() {
		t.Error("a member while another withdrawal is not applied")
	}
	x.Settle(p, "two")
	x.Set(p, members)
	if !has() || x.Size(a) != 1 {
		t.Error("not a member after both were applied and membership set")
	}
	c.Add(time.Hour)
	x.Beat()
	if has() {
		t.Error("a member when the time is over")
	}
	if x.Sweep() != 1 || x.Size(a) != 0 || x.Len() != 0 {
		t.Error("not swept")
	}
}

func TestIndexFull(t *testing.T) {
	c := newClock()
	x := index(t, 1, c.Now)
	a := aloud.NewAudienceID()
	for i := range 1001 {
		if ok := x.Set(aloud.NewParticipantID(), in(a, c.Now().Add(time.Hour))); ok != (i < 1000) {
			t.Fatalf("member %d: %v", i, ok)
		}
	}
}

func TestIndexConcurrently(t *testing.T) {
	x := index(t, 1, nil)
	a, until := aloud.NewAudienceID(), time.Now().Add(time.Hour)
	var people []aloud.ParticipantID
	for range 64 {
		people = append(people, aloud.NewParticipantID())
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				p := people[(i*7+g)%len(people)]
				switch i % 5 {
				case 0:
					x.Set(p, in(a, until))
				case 1:
					x.Stop(p, fmt.Sprint(g))
				case 2:
					x.Settle(p, fmt.Sprint(g))
				case 3:
					x.Set(p, nil)
				}
				_, _ = x.Lookup(p)
				x.Beat()
			}
		})
	}
	wg.Wait()
	for _, p := range people {
		x.Settle(p, "")
		x.Set(p, nil)
	}
	if x.Size(a) != 0 || x.Len() != 0 {
		t.Errorf("%d members counted, %d in all, of nobody", x.Size(a), x.Len())
	}
}

// BenchmarkLookup asks for one of 100,000 participants with three memberships
// each, beside the floor of a plain map under the same loop.
func BenchmarkLookup(b *testing.B) {
	x, err := audience.NewIndex(audience.IndexConfig{Minimum: 1, Simulated: true})
	must(b, err)
	x.Beat()
	const n = 100_000
	plain := map[aloud.ParticipantID][]audience.Membership{}
	people := make([]aloud.ParticipantID, n)
	until := time.Now().Add(time.Hour)
	audiences := []aloud.AudienceID{aloud.NewAudienceID(), aloud.NewAudienceID(), aloud.NewAudienceID()}
	for i := range people {
		people[i] = aloud.NewParticipantID()
		var m []audience.Membership
		for _, a := range audiences {
			m = append(m, in(a, until)...)
		}
		x.Set(people[i], m)
		plain[people[i]] = m
	}
	b.Run("floor=plain map", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if len(plain[people[i%n]]) != 3 {
				b.Fatal("lost")
			}
		}
	})
	b.Run("index", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if i%1000 == 0 {
				x.Beat()
			}
			if f, err := x.Lookup(people[i%n]); err != nil || len(f.Members) != 3 {
				b.Fatal(err)
			}
		}
	})
	b.Run("index parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i += 13 {
				if i%1000 == 0 {
					x.Beat()
				}
				_, _ = x.Lookup(people[i%n])
			}
		})
	})
}
