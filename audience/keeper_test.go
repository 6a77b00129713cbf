package audience_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/internal/pipeline"
	"aloud.example/aloud/signal"
)

// clock is time that a test moves.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Now().Truncate(time.Second).UnixNano())
	return c
}
func (c *clock) Now() time.Time      { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) Add(d time.Duration) { c.at.Add(int64(d)) }

type world struct {
	t     testing.TB
	ctx   context.Context
	dir   string
	key   ed25519.PrivateKey
	clock *clock
	*pipeline.Pipeline
}

func newWorld(t testing.TB) *world {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	w := &world{t: t, ctx: t.Context(), dir: t.TempDir(), key: key, clock: newClock()}
	w.start()
	t.Cleanup(w.stop)
	return w
}

func (w *world) start() {
	w.t.Helper()
	p, err := pipeline.Start(w.ctx, pipeline.Config{Dir: w.dir, ServerKey: w.key, Now: w.clock.Now})
	must(w.t, err)
	w.Pipeline = p
}

func (w *world) stop() {
	if w.Pipeline != nil {
		must(w.t, w.Pipeline.Close())
		w.Pipeline = nil
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// enrol makes a participant with all purposes, or those given.
func (w *world) enrol(purposes ...consent.Purpose) (*pipeline.Person, string) {
	w.t.Helper()
	p := pipeline.NewPerson(w.key)
	return p, w.agree(p, purposes...)
}

func (w *world) agree(p *pipeline.Person, purposes ...consent.Purpose) string {
	w.t.Helper()
	signed, err := p.Agree(w.clock.Now(), purposes...)
	must(w.t, err)
	answer, err := w.Collector.Consent(w.ctx, signed)
	must(w.t, err)
	p.Signed = answer.Receipt
	return answer.BuyerUID
}

// say makes and sends a signal heard now.
func (w *world) say(p *pipeline.Person, c aloud.Category, s aloud.Stage, cell signal.Cell) collector.Result {
	w.t.Helper()
	now := w.clock.Now()
	token, err := p.Signal(aloud.Intent{Category: c, Stage: s, Score: 0.8}, now, now, cell)
	must(w.t, err)
	return w.Collector.Signals(w.ctx, []string{token})[0]
}

func (w *world) accepted(r collector.Result) aloud.SignalID {
	w.t.Helper()
	if r.Status != collector.Accepted {
		w.t.Fatalf("the signal was %s: %v", r.Status, r.Err)
	}
	must(w.t, w.Settle(w.ctx))
	return r.ID
}

func (w *world) audience(r audience.Rule) aloud.AudienceID {
	w.t.Helper()
	a, err := w.Shelf.Create(w.ctx, audience.Audience{Name: "test", Rule: r})
	must(w.t, err)
	must(w.t, w.Settle(w.ctx))
	return a.ID
}

func (w *world) member(p *pipeline.Person, a aloud.AudienceID) bool {
	w.t.Helper()
	w.Index.Beat()
	f, err := w.Index.Lookup(p.ID)
	must(w.t, err)
	for _, m := range f.Members {
		if m.Audience == a {
			return true
		}
	}
	return false
}

func TestSignalToMembership(t *testing.T) {
	w := newWorld(t)
	before := w.audience(audience.Rule{Category: "home.hvac", Window: 24 * time.Hour})
	p, uid := w.enrol()
	other, _ := w.enrol()
	if got, ok := w.Index.Resolve(uid); !ok || got != p.ID {
		t.Fatalf("Resolve(%q) = %v, %v", uid, got, ok)
	}
	id := w.accepted(w.say(p, "home.hvac", aloud.StageNeed, ""))
	if !w.member(p, before) || w.member(other, before) {
		t.Fatal("the one who needs a heater is not the one member")
	}
	after := w.audience(audience.Rule{Category: "home.hvac", Window: 24 * time.Hour, Stages: []aloud.Stage{aloud.StageNeed}})
	if !w.member(p, after) {
		t.Error("an audience made later does not hold who spoke before")
	}
	ready := w.audience(audience.Rule{Category: "home.hvac", Window: 24 * time.Hour, Stages: []aloud.Stage{aloud.StageReady}})
	if w.member(p, ready) {
		t.Error("a need is no readiness")
	}

	e, err := w.Records.Evidence(w.ctx, p.ID, before, id)
	if aloud.ErrorCode(err) != aloud.EPENDING {
		t.Fatalf("evidence before the log: %v", err)
	}
	pending, err := w.Records.Pending(w.ctx, 100)
	must(t, err)
	var done []collector.Committed
	for i, r := range pending {
		done = append(done, collector.Committed{Seq: r.Seq, Commitment: aloud.Hash{1}, Leaf: int64(i)})
	}
	must(t, w.Records.Committed(w.ctx, done))
	e, err = w.Records.Evidence(w.ctx, p.ID, before, id)
	must(t, err)
	if _, err := signal.Verify(e.Token, p.Key.Public().(ed25519.PublicKey)); err != nil {
		t.Errorf("the evidence's signal: %v", err)
	}
	if _, err := consent.Verify(e.Receipt, w.key.Public().(ed25519.PublicKey)); err != nil {
		t.Errorf("the evidence's receipt: %v", err)
	}
	if got := e.MembershipRecord.Field("state"); got != "in" {
		t.Errorf("the membership's record says %q", got)
	}

	w.clock.Add(25 * time.Hour)
	if w.member(p, before) {
		t.Error("a member after the window")
	}
}

func TestBoughtEndsIt(t *testing.T) {
	w := newWorld(t)
	a := w.audience(audience.Rule{Category: "home.hvac", Window: 24 * time.Hour})
	p, _ := w.enrol()
	w.accepted(w.say(p, "home.hvac", aloud.StageReady, ""))
	w.clock.Add(time.Minute)
	w.accepted(w.say(p, "home.hvac", aloud.StageBought, ""))
	if w.member(p, a) {
		t.Error("a member after buying")
	}
	weights, _, err := w.Store.Profile(w.ctx, p.ID)
	must(t, err)
	if len(weights) != 0 {
		t.Errorf("weights after buying: %v", weights)
	}
}

func TestWithdrawalAndErasure(t *testing.T) {
	w := newWorld(t)
	a := w.audience(audience.Rule{Category: "home.hvac", Window: 24 * time.Hour})
	p, uid := w.enrol()
	w.accepted(w.say(p, "home.hvac", aloud.StageReady, ""))
	token, err := p.Withdraw(consent.PurposePersonaliseAds, w.clock.Now())
	must(t, err)
	must(t, w.Collector.Withdraw(w.ctx, token))
	if w.member(p, a) {
		t.Fatal("a member after the withdrawal was acknowledged")
	}
	if _, ok := w.Index.Resolve(uid); ok {
		t.Error("the buyeruid still leads to a participant who withdrew")
	}
	w.accepted(w.say(p, "home.hvac", aloud.StageReady, "")) // sharing is still agreed to
	if w.member(p, a) {
		t.Fatal("a member without the consent to ads")
	}
	must(t, w.Collector.Withdraw(w.ctx, token)) // again
	w.clock.Add(time.Second)
	w.agree(p)
	if !w.member(p, a) {
		t.Fatal("not a member after agreeing anew")
	}
	must(t, w.Collector.Withdraw(w.ctx, token)) // the old one ends nothing new
	if !w.member(p, a) {
		t.Fatal("an old withdrawal ended a new consent")
	}

	erase, err := p.Erase(w.clock.Now())
	must(t, err)
	must(t, w.Collector.Erase(w.ctx, erase))
	must(t, w.Collector.Erase(w.ctx, erase))
	if w.member(p, a) {
		t.Fatal("a member after the erasure")
	}
	if r := w.say(p, "home.hvac", aloud.StageReady, ""); r.Status != collector.Refused {
		t.Errorf("a signal after the erasure was %s", r.Status)
	}
	again, err := p.Agree(w.clock.Now())
	must(t, err)
	if _, err := w.Collector.Consent(w.ctx, again); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
		t.Errorf("enrolling after the erasure: %v", err)
	}
	if n, err := w.KeyTable.Count(w.ctx); err != nil || n != 0 {
		t.Errorf("%d keys left, %v", n, err)
	}
}

// TestBadMembersHoldNothingUp: garbage, a member that can't be applied and a
// group of another partition go to the dead letters; their neighbours count,
// once.
func TestBadMembersHoldNothingUp(t *testing.T) {
	w := newWorld(t)
	p, _ := w.enrol()
	partition := collector.PartitionOf(p.ID)
	seal := func(m collector.Member) collector.Envelope {
		m.Participant, m.At, m.Seed = p.ID, w.clock.Now(), collector.NewSeed()
		e, err := collector.SealMember(w.ctx, w.Keys, m)
		must(t, err)
		return e
	}
	now := w.clock.Now()
	token, err := p.Signal(aloud.Intent{Category: "home.hvac", Stage: aloud.StageNeed, Score: 0.5}, now, now, "")
	must(t, err)
	good := seal(collector.Member{Kind: collector.KindSignal, Purpose: consent.PurposeShareSignals, Token: token})
	altered := good
	altered.Ciphertext = append([]byte(nil), good.Ciphertext...)
	altered.Ciphertext[30] ^= 1
	data, err := collector.EncodeGroup(partition, []collector.Envelope{
		good, altered,
		seal(collector.Member{Kind: collector.KindSignal, Purpose: consent.PurposeShareSignals, Token: "not a token"}),
		seal(collector.Member{Kind: collector.KindSignal, Purpose: consent.PurposeMeasure, Token: token}), // under a wrong key
		seal(collector.Member{Kind: collector.KindWithdrawal, Purpose: collector.PurposeRecord, Token: "not a token"}),
		{Partition: partition, Kind: collector.KindRule, Ciphertext: []byte(`{"at":1,"rule":{"audience":"` + string(aloud.NewAudienceID()) + `","rule":{"category":"x"}}}`)},
		{Partition: partition, Kind: collector.KindErased, Ciphertext: []byte(`{}`)},
		{Partition: partition, Handle: collector.Handle{9}, Kind: collector.KindSignal, Ciphertext: []byte("of a key that is gone")},
		good, // twice
	})
	must(t, err)
	for _, message := range [][]byte{data, []byte("garbage"), nil} {
		_, err := w.Stream.Publish(w.ctx, partition, string(aloud.NewSignalID()), message)
		must(t, err)

	}
	_, err = w.Stream.Publish(w.ctx, (partition+1)%collector.Partitions, "elsewhere", data)
	must(t, err)
	must(t, w.Settle(w.ctx))
	weights, _, err := w.Store.Profile(w.ctx, p.ID)
	must(t, err)
	if len(weights) != 1 || weights[0].Value != 0.5 {
		t.Errorf("weights %v: the good member did not count once", weights)
	}
	if n, err := w.Store.DeadLetters(w.ctx); err != nil || n != 9 {
		t.Errorf("%d dead letters, %v; want 9", n, err)
	}
	if n := w.Keeper.Counts(); n.Skipped != 1 {
		t.Errorf("%d members skipped, want the one without a key", n.Skipped)
	}
	w.accepted(w.say(p, "home.hvac", aloud.StageNeed, "")) // and it goes on
}

// TestSilentWhileNotKept: an index that nobody keeps answers nothing.
func TestSilentWhileNotKept(t *testing.T) {
	w := newWorld(t)
	p, _ := w.enrol()
	if _, err := w.Index.Lookup(p.ID); err != nil {
		t.Fatal(err)
	}
	index, clock := w.Index, w.clock
	w.stop()
	clock.Add(4 * time.Second)
	if _, err := index.Lookup(p.ID); aloud.ErrorCode(err) != aloud.EUNAVAILABLE {
		t.Errorf("after the keeper ended: %v", err)
	}
}

// TestOlderStreamRefused: a database that knows more than the stream is not
// gone on with.
func TestOlderStreamRefused(t *testing.T) {
	w := newWorld(t)
	w.enrol()
	w.stop()
	must(t, os.RemoveAll(filepath.Join(w.dir, "stream")))
	_, err := pipeline.Start(w.ctx, pipeline.Config{Dir: w.dir, ServerKey: w.key})
	if err == nil || !strings.Contains(err.Error(), "docs/operations.md") {
		t.Errorf("started: %v", err)
	}
}

// BenchmarkApply measures a signal's way from the stream into profile,
// membership and the ledger's outbox, in groups of 64, beside the floor of one
// row of the same size inserted in the same groups.
func BenchmarkApply(b *testing.B) {
	w := newWorld(b)
	w.audience(audience.Rule{Category: "home.hvac", Window: 24 * time.Hour})
	var people []*pipeline.Person
	for range 64 {
		p, _ := w.enrol()
		people = append(people, p)
	}
	b.Run("floor=one row", func(b *testing.B) {
		for i := 0; i < b.N; {
			must(b, w.Store.Apply(w.ctx, func(tx audience.Tx) error {
				for range 64 {
					i++
					if err := tx.PutSignal(w.ctx, audience.SignalRow{
						ID: aloud.NewSignalID(), Participant: people[i%64].ID, Envelope: collector.Envelope{Ciphertext: make([]byte, 700)},
					}); err != nil {
						return err
					}
				}
				return nil
			}))
		}
	})
	b.Run("signals", func(b *testing.B) {
		now := w.clock.Now()
		groups := make([][]collector.Envelope, b.N/64+1)
		for g := range groups {
			p := people[g%64]
			for range 64 {
				token, err := p.Signal(aloud.Intent{Category: "home.hvac", Stage: aloud.StageNeed, Score: 0.5}, now, now, "")
				must(b, err)
				e, err := collector.SealMember(w.ctx, w.Keys, collector.Member{
					Kind: collector.KindSignal, Participant: p.ID, Purpose: consent.PurposeShareSignals, At: now, Seed: collector.NewSeed(), Token: token,
				})
				must(b, err)
				groups[g] = append(groups[g], e)
			}
		}
		b.ResetTimer()
		for g, envelopes := range groups {
			partition := envelopes[0].Partition
			data, err := collector.EncodeGroup(partition, envelopes)
			must(b, err)
			_, err = w.Stream.Publish(w.ctx, partition, fmt.Sprint(g, time.Now().UnixNano()), data)
			must(b, err)
		}
		must(b, w.Settle(w.ctx))
		b.ReportMetric(float64(len(groups)*64)/b.Elapsed().Seconds(), "signals/s")
	})
}
