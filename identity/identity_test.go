package identity_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/identity"
)

func TestIndex(t *testing.T) {
	x := identity.NewIndex(3)
	p, q := aloud.NewParticipantID(), aloud.NewParticipantID()
	link := func(kind, value string, p aloud.ParticipantID) identity.Link {
		return identity.Link{Kind: kind, Value: value, Participant: p}
	}
	for _, l := range []identity.Link{link("buyeruid", "1", p), link("user_id", "1", p), link("buyeruid", "2", q)} {
		if !x.Put(l) {
			t.Fatal("no room")
		}
	}
	if x.Put(link("buyeruid", "3", q)) {
		t.Error("more than its limit")
	}
	if got, ok := x.Resolve("buyeruid", "2"); !ok || got != q {
		t.Errorf("2 leads to %v", got)
	}
	if v, ok := x.Issued(p, "user_id"); !ok || v != "1" {
		t.Errorf("issued: %v", v)
	}
	x.Drop(p, "buyeruid")
	if _, ok := x.Resolve("buyeruid", "1"); ok {
		t.Error("dropped and still there")
	}
	if _, ok := x.Resolve("user_id", "1"); !ok {
		t.Error("the other kind went too")
	}
	x.Drop(p)
	if _, ok := x.Resolve("user_id", "1"); !ok {
		t.Error("no kind to drop, and one went")
	}
	x.DropAll(p)
	x.DropAll(p)
	if x.Len() != 1 {
		t.Errorf("%d links left", x.Len())
	}
}

func TestIndexConcurrently(t *testing.T) {
	x := identity.NewIndex(0)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			p := aloud.ParticipantID(fmt.Sprint(g))
			for i := range 500 {
				x.Put(identity.Link{Kind: "buyeruid", Value: fmt.Sprint(g), Participant: p})
				if got, ok := x.Resolve("buyeruid", fmt.Sprint(g)); !ok || got != p {
					t.Error("lost")
				}
				if i%3 == 0 {
					x.DropAll(p)
				}
			}
		})
	}
	wg.Wait()
}

func TestKindsEndWithTheirPurpose(t *testing.T) {
	for ended, want := range map[consent.Purpose][]string{
		consent.PurposeListen:         {collector.LinkBuyerUID, collector.LinkUserID},
		consent.PurposeShareSignals:   {collector.LinkBuyerUID, collector.LinkUserID},
		consent.PurposePersonaliseAds: {collector.LinkBuyerUID},
		consent.PurposeMatchBehaviour: {collector.LinkUserID},
		consent.PurposeMeasure:        nil,
	} {
		if got := identity.Kinds(collector.Ends(ended)); !slices.Equal(got, want) {
			t.Errorf("%s ends %v, want %v", ended, got, want)
		}
	}
}

func BenchmarkResolve(b *testing.B) {
	x := identity.NewIndex(0)
	const n = 100_000
	values := make([]string, n)
	plain := map[identity.Key]aloud.ParticipantID{}
	for i := range n {
		values[i] = fmt.Sprint("u_", i)
		l := identity.Link{Kind: "buyeruid", Value: values[i], Participant: aloud.NewParticipantID()}
		x.Put(l)
		plain[l.Key()] = l.Participant
	}
	b.Run("floor=plain map", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if plain[identity.Key{Kind: "buyeruid", Value: values[i%n]}] == "" {
				b.Fatal("lost")
			}
		}
	})
	b.Run("index", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, ok := x.Resolve("buyeruid", values[i%n]); !ok {
				b.Fatal("lost")
			}
		}
	})
}
