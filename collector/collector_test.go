package collector_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/consent/jws"
	"aloud.example/aloud/internal/pipeline"
	"aloud.example/aloud/signal"
)

type clock struct{ at atomic.Int64 }

func (c *clock) Now() time.Time      { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) Add(d time.Duration) { c.at.Add(int64(d)) }

type bench struct {
	testing.TB
	ctx   context.Context
	key   ed25519.PrivateKey
	clock *clock
	*pipeline.Pipeline
}

func start(t testing.TB, strict bool) *bench {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	b := &bench{TB: t, ctx: context.Background(), key: key, clock: &clock{}}
	b.clock.at.Store(time.Now().Truncate(time.Second).UnixNano())
	b.Pipeline, err = pipeline.Start(b.ctx, pipeline.Config{Dir: t.TempDir(), ServerKey: key, Now: b.clock.Now, Strict: strict})
	must(t, err)
	t.Cleanup(func() { must(t, b.Close()) })
	return b
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bench) enrol(purposes ...consent.Purpose) (*pipeline.Person, string) {
	b.Helper()
	p := pipeline.NewPerson(b.key)
	signed, err := p.Agree(b.clock.Now(), purposes...)
	must(b, err)
	answer, err := b.Collector.Consent(b.ctx, signed)
	must(b, err)
	p.Signed = answer.Receipt
	return p, answer.BuyerUID
}

func need() aloud.Intent {
	return aloud.Intent{Category: "home.hvac", Stage: aloud.StageNeed, Score: 0.8}
}

func (b *bench) token(p *pipeline.Person, heard, sent time.Time) string {
	b.Helper()
	token, err := p.Signal(need(), heard, sent, "")
	must(b, err)
	return token
}

func (b *bench) send(token string) collector.Result {
	return b.Collector.Signals(b.ctx, []string{token})[0]
}

func (b *bench) want(r collector.Result, code aloud.Code, says string) {
	b.Helper()
	if code == "" {
		if r.Status != collector.Accepted {
			b.Errorf("got %s (%v), want accepted", r.Status, r.Err)
		}
		return
	}
	if r.Status != collector.Refused || aloud.ErrorCode(r.Err) != code || !strings.Contains(r.Err.Error(), says) {
		b.Errorf("got %s, %s (%v), want refused, %s, saying %q", r.Status, aloud.ErrorCode(r.Err), r.Err, code, says)
	}
}

func TestSignalTimes(t *testing.T) {
	b := start(t, true)
	p, _ := b.enrol()
	at := b.clock.Now()
	b.want(b.send(b.token(p, at, at)), aloud.EINVALID, "vetoed")
	b.want(b.send(b.token(p, at, at.Add(9*time.Second))), aloud.EINVALID, "drop it")
	b.want(b.send(b.token(p, at, at.Add(10*time.Minute))), aloud.EINVALID, "set this device's clock")
	ahead := b.token(p, at, at.Add(10*time.Second)) // it says that it waited
	b.want(b.send(ahead), aloud.ETOOEARLY, "send it later")
	later := at.Add(time.Minute)
	b.want(b.send(b.token(p, later, later.Add(10*time.Second))), aloud.ETOOEARLY, "send it later")
	b.clock.Add(9 * time.Second)
	b.want(b.send(ahead), aloud.ETOOEARLY, "send it later")
	b.clock.Add(time.Second)
	b.want(b.send(ahead), "", "") // now it did, by the server's clock as well
	b.clock.Add(31 * 24 * time.Hour)
	b.want(b.send(b.token(p, at, at.Add(time.Minute))), aloud.EEXPIRED, "drop it")
}

// What was heard or sent before its own consent is refused: no evidence could
// be made of it.
func TestSignalsBeforeConsent(t *testing.T) {
	b := start(t, true)
	p, _ := b.enrol()
	at := b.clock.Now()
	b.clock.Add(time.Hour)
	b.want(b.send(b.token(p, at.Add(time.Minute), at.Add(2*time.Minute))), "", "")
	forge := func(heard, sent time.Time) string { // signal.New makes no such thing
		m, err := jws.Parse(b.token(p, at.Add(time.Minute), at.Add(2*time.Minute)), "aloud-signal+jwt", signal.MaxSize)
		must(t, err)
		text := string(m.Payload)
		for name, v := range map[string]time.Time{"hat": heard, "iat": sent, "exp": sent.Add(signal.MaxLife)} {
			text = regexp.MustCompile(`"`+name+`":\d+`).ReplaceAllString(text, fmt.Sprintf(`"%s":%d`, name, v.Unix()))
		}
		token, err := jws.Sign("aloud-signal+jwt", []byte(text), p.Key)
		must(t, err)
		return token
	}
	b.want(b.send(forge(at.Add(-24*time.Hour), at.Add(-23*time.Hour))), aloud.EFORBIDDEN, "outside of its consent")
	b.want(b.send(forge(at.Add(-3*time.Hour), at.Add(time.Minute))), aloud.EFORBIDDEN, "outside of its consent")
	b.want(b.send(forge(at.Add(time.Minute), at.Add(3*time.Minute))), "", "")
}

func TestSignalsRefused(t *testing.T) {
	b := start(t, true)
	p, _ := b.enrol()
	b.clock.Add(time.Minute)
	at := b.clock.Now().Add(-30 * time.Second)
	good := b.token(p, at, b.clock.Now())

	b.want(b.send(""), aloud.EINVALID, "")
	b.want(b.send("a.b.c"), aloud.EINVALID, "")
	b.want(b.send(strings.Repeat("x", 5000)), aloud.ETOOLARGE, "")
	b.want(b.send(good[:len(good)-4]+"AAAA"), aloud.EFORBIDDEN, "")

	stranger := pipeline.NewPerson(b.key)
	signed, err := stranger.Agree(b.clock.Now())
	must(t, err)
	must(t, signed.Countersign(b.key, b.clock.Now()))
	stranger.Signed = signed
	b.want(b.send(b.token(stranger, b.clock.Now(), b.clock.Now())), aloud.ENOTFOUND, "enrol")

	_, other, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	forger := *p // signs with another key than the one on record
	forger.Key = other
	_, err = forger.Agree(b.clock.Now())
	must(t, err)
	forger.Signed, err = consentFor(&forger, b)
	must(t, err)
	b.want(b.send(b.token(&forger, b.clock.Now(), b.clock.Now().Add(20*time.Second))), aloud.EFORBIDDEN, "")
	g, err := consent.Granted(p.Signed, []ed25519.PublicKey{b.key.Public().(ed25519.PublicKey)}, consent.PurposeShareSignals, at)
	must(t, err)
	pending, err := signal.New(g, need(), at, aloud.SourceFile, "")
	must(t, err)
	fileToken, err := pending.Sign(p.Key, b.clock.Now())
	must(t, err)
	b.want(b.send(fileToken), aloud.EFORBIDDEN, "--simulate")

	many := make([]string, 65)
	for i := range many {
		many[i] = b.token(p, at, b.clock.Now())
	}
	results := b.Collector.Signals(b.ctx, many)
	b.want(results[63], "", "")
	b.want(results[64], aloud.ETOOLARGE, "64")

	noShare, _ := b.enrol(consent.PurposeListen)
	noShare.Signed, err = consentFor(noShare, b)
	must(t, err)
	before := b.clock.Now()
	b.clock.Add(20 * time.Second)
	b.want(b.send(b.token(noShare, before, b.clock.Now())), aloud.EFORBIDDEN, "no such receipt")
}

// consentFor makes a receipt that the server never saw.
func consentFor(p *pipeline.Person, b *bench) (consent.Signed, error) {
	signed, err := p.Agree(b.clock.Now())
	if err != nil {
		return signed, err
	}
	return signed, signed.Countersign(b.key, b.clock.Now())
}

func TestCountsOnce(t *testing.T) {
	b := start(t, false)
	p, _ := b.enrol()
	now := b.clock.Now()
	token := b.token(p, now, now)
	b.want(b.send(token), "", "")
	for range 3 {
		if r := b.send(token); r.Status != collector.Duplicate || r.ID == "" {
			t.Errorf("sent again it is %s", r.Status)
		}
		must(t, b.Settle(b.ctx))
	}
	// The same jti with another body.
	g, err := consent.Granted(p.Signed, []ed25519.PublicKey{b.key.Public().(ed25519.PublicKey)}, consent.PurposeShareSignals, now)
	must(t, err)
	pending, err := signal.New(g, need(), now, aloud.SourceMicrophone, "")
	must(t, err)
	one, err := pending.Sign(p.Key, now)
	must(t, err)
	two, err := pending.Sign(p.Key, now.Add(time.Second))
	must(t, err)
	results := b.Collector.Signals(b.ctx, []string{one, one, two})
	b.want(results[0], "", "")
	if results[1].Status != collector.Duplicate {
		t.Errorf("twice in one request it is %s", results[1].Status)
	}
	b.want(results[2], aloud.ECONFLICT, "jti")
	must(t, b.Settle(b.ctx))
	b.want(b.send(two), aloud.ECONFLICT, "jti")
}

func TestCountsOnceConcurrently(t *testing.T) {
	b := start(t, false)
	var people []*pipeline.Person
	for range 8 {
		p, _ := b.enrol()
		people = append(people, p)
	}
	now := b.clock.Now()
	var accepted, duplicate atomic.Int64
	var wg sync.WaitGroup
	const each = 25
	for _, p := range people {
		for range each {
			token := b.token(p, now, now)
			for range 3 {
				wg.Go(func() {
					switch r := b.send(token); r.Status {
					case collector.Accepted:
						accepted.Add(1)
					case collector.Duplicate:
						duplicate.Add(1)
					default:
						t.Errorf("refused: %v", r.Err)
					}
				})
			}
		}
	}
	wg.Wait()
	if accepted.Load() != 8*each || duplicate.Load() != 2*8*each {
		t.Errorf("%d accepted, %d duplicate of %d sent thrice", accepted.Load(), duplicate.Load(), 8*each)
	}
	must(t, b.Settle(b.ctx))
	for _, p := range people {
		weights, _, err := b.Store.Profile(b.ctx, p.ID)
		must(t, err)
		if len(weights) != 1 || int(weights[0].Value*10+0.5) != 8*each {
			t.Errorf("weights %v", weights)
		}
	}
	if n := b.Collector.Counts(); n.Groups == 0 || n.Envelopes/n.Groups < 2 {
		t.Errorf("%d envelopes in %d groups: nothing is grouped", n.Envelopes, n.Groups)
	}
}

func TestConsentRefused(t *testing.T) {
	b := start(t, true)
	p, _ := b.enrol()
	refused := func(name string, signed consent.Signed, code aloud.Code) {
		t.Helper()
		if _, err := b.Collector.Consent(b.ctx, signed); aloud.ErrorCode(err) != code {
			t.Errorf("%s: %v, want %s", name, err, code)
		}
	}
	thief := *p
	_, thief.Key, _ = ed25519.GenerateKey(rand.Reader)
	signed, err := thief.Agree(b.clock.Now())
	must(t, err)
	refused("another device's key", signed, aloud.EFORBIDDEN)

	fresh := pipeline.NewPerson(b.key)
	signed, err = fresh.Agree(b.clock.Now().Add(10 * time.Minute))
	must(t, err)
	refused("from the future", signed, aloud.EINVALID)
	signed, err = fresh.Agree(b.clock.Now().Add(-25 * time.Hour))
	must(t, err)
	refused("a day old", signed, aloud.EEXPIRED)
	signed, err = fresh.Agree(b.clock.Now().Add(-100 * 24 * time.Hour))
	must(t, err)
	refused("expired", signed, aloud.EEXPIRED)
	signed.Payload = signed.Payload[:len(signed.Payload)-8] + "AAAAAAAA"
	refused("altered", signed, aloud.EINVALID)
	refused("empty", consent.Signed{}, aloud.EINVALID)

	d := consent.Decision{
		Participant: fresh.ID, DeviceKey: fresh.Key.Public().(ed25519.PublicKey), Adult: true, At: b.clock.Now(),
		Notice: consent.EnglishNotice(consent.Controller{Name: "Somebody Else", Contact: "else@else.example"}), Method: consent.MethodTerminal,
		Choices: []consent.Choice{{Purpose: consent.PurposeListen, Expires: b.clock.Now().Add(time.Hour)}},
	}
	r, err := consent.NewReceipt(d)
	must(t, err)
	signed, err = consent.Sign(r, fresh.Key)
	must(t, err)
	refused("another notice", signed, aloud.EINVALID)
	d.Notice, d.Method = pipeline.Notice(), consent.MethodScript
	r, err = consent.NewReceipt(d)
	must(t, err)
	signed, err = consent.Sign(r, fresh.Key)
	must(t, err)
	refused("by a script", signed, aloud.EFORBIDDEN)
}

func TestConsentAgain(t *testing.T) {
	b := start(t, false)
	p := pipeline.NewPerson(b.key)
	signed, err := p.Agree(b.clock.Now())
	must(t, err)
	first, err := b.Collector.Consent(b.ctx, signed)
	must(t, err)
	b.clock.Add(time.Minute)
	second, err := b.Collector.Consent(b.ctx, signed)
	must(t, err)
	if first.BuyerUID == "" || first.UserID == "" || first.UserID == first.BuyerUID {
		t.Errorf("issued %q to exchanges and %q to shops", first.BuyerUID, first.UserID)
	}
	if second.BuyerUID != first.BuyerUID || second.UserID != first.UserID || second.Receipt.Signatures[1] != first.Receipt.Signatures[1] {
		t.Error("the same receipt again gave another answer")
	}
	// Less than before ends the rest.
	less, err := p.Agree(b.clock.Now(), consent.PurposeListen, consent.PurposeShareSignals)
	must(t, err)
	answer, err := b.Collector.Consent(b.ctx, less)
	must(t, err)
	if answer.BuyerUID != "" || answer.UserID != "" {
		t.Error("a pseudonym for who no longer agrees to ads or matching")
	}
	if _, ok := b.Links.Resolve(collector.LinkBuyerUID, first.BuyerUID); ok {
		t.Error("the old pseudonym still leads to them")
	}
	if n, err := b.KeyTable.Count(b.ctx); err != nil || n != 3 {
		t.Errorf("%d keys, %v; want those of record, listen and share_signals", n, err)
	}
	// The receipt that was replaced does not come back.
	if _, err := b.Collector.Consent(b.ctx, signed); err != nil {
		t.Error(err)
	}
	if _, ok := b.Links.Resolve(collector.LinkBuyerUID, first.BuyerUID); ok {
		t.Error("an old receipt sent again gave back what a newer one ended")
	}
}

func TestEndingsRefused(t *testing.T) {
	b := start(t, false)
	p, _ := b.enrol()
	thief := *p
	_, thief.Key, _ = ed25519.GenerateKey(rand.Reader)
	withdraw, err := thief.Withdraw(consent.PurposeMeasure, b.clock.Now())
	must(t, err)
	erase, err := thief.Erase(b.clock.Now())
	must(t, err)
	stranger := pipeline.NewPerson(b.key)
	_, err = stranger.Agree(b.clock.Now())
	must(t, err)
	unknown, err := stranger.Withdraw(consent.PurposeMeasure, b.clock.Now())
	must(t, err)
	for name, err := range map[string]error{
		"withdrawn by another": b.Collector.Withdraw(b.ctx, withdraw), "erased by another": b.Collector.Erase(b.ctx, erase),
	} {
		if aloud.ErrorCode(err) != aloud.EFORBIDDEN {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := b.Collector.Withdraw(b.ctx, unknown); aloud.ErrorCode(err) != aloud.ENOTFOUND {
		t.Errorf("withdrawn by nobody: %v", err)
	}
	for _, token := range []string{"", "x", strings.Repeat("y", 2000)} {
		if b.Collector.Withdraw(b.ctx, token) == nil || b.Collector.Erase(b.ctx, token) == nil {
			t.Errorf("a token of %d letters was taken", len(token))
		}
	}
	b.want(b.send(b.token(p, b.clock.Now(), b.clock.Now())), "", "")
}

// TestIdentifiersApart: exchanges and shops know a participant by values that
// have nothing in common, each for as long as its purpose goes on.
func TestIdentifiersApart(t *testing.T) {
	b := start(t, false)
	p := pipeline.NewPerson(b.key)
	agree := func(purposes ...consent.Purpose) collector.Enrolment {
		t.Helper()
		b.clock.Add(time.Minute)
		signed, err := p.Agree(b.clock.Now(), purposes...)
		must(t, err)
		answer, err := b.Collector.Consent(b.ctx, signed)
		must(t, err)
		return answer
	}
	withdraw := func(purpose consent.Purpose) {
		t.Helper()
		b.clock.Add(time.Minute)
		token, err := p.Withdraw(purpose, b.clock.Now())
		must(t, err)
		must(t, b.Collector.Withdraw(b.ctx, token))
	}
	leads := func(kind, value string, want bool) {
		t.Helper()
		if got, ok := b.Links.Resolve(kind, value); ok != want || ok && got != p.ID {
			t.Errorf("%s leads to %q, %v", kind, got, ok)
		}
	}
	base := []consent.Purpose{consent.PurposeListen, consent.PurposeShareSignals}
	ads, match := append(base[:2:2], consent.PurposePersonaliseAds), append(base[:2:2], consent.PurposeMatchBehaviour)

	first := agree(ads...)
	if first.BuyerUID == "" || first.UserID != "" {
		t.Errorf("for ads alone: %q, %q", first.BuyerUID, first.UserID)
	}
	both := agree()
	if both.BuyerUID != first.BuyerUID || both.UserID == "" || both.UserID == both.BuyerUID {
		t.Errorf("for both: %q, %q after %q", both.BuyerUID, both.UserID, first.BuyerUID)
	}
	leads(collector.LinkBuyerUID, both.UserID, false)
	leads(collector.LinkUserID, both.BuyerUID, false)

	withdraw(consent.PurposeMeasure) // which names nobody
	leads(collector.LinkBuyerUID, both.BuyerUID, true)
	leads(collector.LinkUserID, both.UserID, true)
	if again := agree(); again.BuyerUID != both.BuyerUID || again.UserID != both.UserID {
		t.Error("renewed under other identifiers")
	}
	withdraw(consent.PurposePersonaliseAds)
	leads(collector.LinkBuyerUID, both.BuyerUID, false)
	leads(collector.LinkUserID, both.UserID, true)
	if anew := agree(); anew.BuyerUID == "" || anew.BuyerUID == both.BuyerUID || anew.UserID != both.UserID {
		t.Error("the identifier of a purpose that ended came back")
	}
	if last := agree(match...); last.BuyerUID != "" || last.UserID != both.UserID {
		t.Errorf("for matching alone: %q, %q", last.BuyerUID, last.UserID)
	}
	erase, err := p.Erase(b.clock.Now())
	must(t, err)
	must(t, b.Collector.Erase(b.ctx, erase))
	leads(collector.LinkUserID, both.UserID, false)
}

func TestEvents(t *testing.T) {
	b := start(t, false)
	p, buyer := b.enrol()
	user, ok := b.Links.Issued(p.ID, collector.LinkUserID)
	if !ok || user == buyer {
		t.Fatalf("issued %q to shops and %q to exchanges", user, buyer)
	}
	event := collector.Event{Source: "shop", MessageID: "1", UserID: user, Name: "Product Viewed"}
	with := func(change func(*collector.Event)) collector.Event { e := event; change(&e); return e }
	results := b.Collector.Events(b.ctx, []collector.Event{
		event, event,
		with(func(e *collector.Event) { e.MessageID, e.UserID = "2", buyer }),
		with(func(e *collector.Event) { e.MessageID, e.UserID = "3", "nobody" }),
		with(func(e *collector.Event) { e.MessageID = "" }),
		with(func(e *collector.Event) { e.MessageID, e.Name = "4", strings.Repeat("n", 101) }),
		with(func(e *collector.Event) { e.MessageID, e.Name = "5", "bell\a" }),
		with(func(e *collector.Event) { e.MessageID, e.Time = "6", b.clock.Now().Add(48*time.Hour) }),
		with(func(e *collector.Event) { e.Source = "blog" }),
	})
	for i, want := range []string{"accepted", "duplicate", "dropped", "dropped", "error", "error", "error", "error", "accepted"} {
		r := results[i]
		got := map[bool]string{r.Accepted: "accepted", r.Duplicate: "duplicate", r.Dropped: "dropped", r.Err != nil: "error"}[true]
		if got != want {
			t.Errorf("event %d: %s (%v), want %s", i, got, r.Err, want)
		}
	}
	must(t, b.Settle(b.ctx))
	if r := b.Collector.Event(b.ctx, event); !r.Duplicate {
		t.Errorf("again: %+v", r)
	}
	_, counts, err := b.Store.Profile(b.ctx, p.ID)
	must(t, err)
	if len(counts) != 2 || counts[0].Count != 1 || counts[1].Count != 1 {
		t.Errorf("counts: %+v", counts)
	}
	token, err := p.Withdraw(consent.PurposeMatchBehaviour, b.clock.Now())
	must(t, err)
	must(t, b.Collector.Withdraw(b.ctx, token))
	if r := b.Collector.Event(b.ctx, with(func(e *collector.Event) { e.MessageID = "9" })); !r.Dropped {
		t.Errorf("after the withdrawal: %+v", r)
	}
	if _, counts, _ = b.Store.Profile(b.ctx, p.ID); len(counts) != 0 {
		t.Errorf("counts after the withdrawal: %+v", counts)
	}
}

func TestConfigRefused(t *testing.T) {
	if _, err := collector.New(collector.Config{}); aloud.ErrorCode(err) != aloud.EINVALID {
		t.Errorf("an empty configuration: %v", err)
	}
	b := start(t, true)
	base := collector.Config{
		Stream: b.Stream, Facts: b.Store, Progress: b.Keeper, Directory: b.Links, Stopper: b.Index, Keys: b.Keys,
		ServerKey: b.key, Notices: []aloud.Hash{{1}},
	}
	for name, change := range map[string]func(*collector.Config){
		"no wait":    func(c *collector.Config) { c.NoWait = true },
		"short wait": func(c *collector.Config) { c.Wait = time.Second },
		"no notice":  func(c *collector.Config) { c.Notices = nil },
		"no key":     func(c *collector.Config) { c.ServerKey = nil },
		"lingering":  func(c *collector.Config) { c.Linger = time.Second },
	} {
		cfg := base
		change(&cfg)
		if _, err := collector.New(cfg); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// behind is a keeper that has not caught up.
type behind struct{ collector.Progress }

func (behind) CaughtUp() error { return aloud.Errorf(aloud.EUNAVAILABLE, "catching up") }

func TestNotBeforeCaughtUp(t *testing.T) {
	b := start(t, false)
	p, _ := b.enrol()
	c, err := collector.New(collector.Config{
		Stream: b.Stream, Facts: b.Store, Progress: behind{b.Keeper}, Directory: b.Links, Stopper: b.Index, Keys: b.Keys,
		ServerKey: b.key, Notices: []aloud.Hash{{1}},
	})
	must(t, err)
	defer c.Close()
	b.want(c.Signals(b.ctx, []string{b.token(p, b.clock.Now(), b.clock.Now())})[0], aloud.EUNAVAILABLE, "starting")
	withdrawal, err := p.Withdraw(consent.PurposeMeasure, b.clock.Now())
	must(t, err)
	_, consentErr := c.Consent(b.ctx, p.Signed)
	for name, err := range map[string]error{
		"consent": consentErr, "withdrawal": c.Withdraw(b.ctx, withdrawal), "event": c.Event(b.ctx, collector.Event{}).Err,
	} {
		if aloud.ErrorCode(err) != aloud.EUNAVAILABLE {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClosed(t *testing.T) {
	b := start(t, false)
	p, _ := b.enrol()
	token := b.token(p, b.clock.Now(), b.clock.Now())
	b.Collector.Close()
	b.want(b.send(token), aloud.EUNAVAILABLE, "counts once")
}

// BenchmarkCollect measures signals that are verified, sealed, made durable and
// answered, in requests of 16 by 32 senders, beside what the disk itself takes:
// the floor is one synced message after the other.
func BenchmarkCollect(bm *testing.B) {
	b := start(bm, false)
	now := b.clock.Now()
	const senders, size = 32, 16
	var people []*pipeline.Person
	for range senders {
		p, _ := b.enrol()
		people = append(people, p)
	}
	bm.Run("floor=synced message", func(bm *testing.B) {
		data := make([]byte, 1024)
		for i := 0; bm.Loop(); i++ {
			if _, err := b.Stream.Publish(b.ctx, 0, fmt.Sprint("floor", time.Now().UnixNano(), i), data); err != nil {
				bm.Fatal(err)
			}
		}
	})
	bm.Run("signals", func(bm *testing.B) {
		requests := bm.N/size + 1
		batches := make([][]string, requests)
		for i := range batches {
			for range size {
				batches[i] = append(batches[i], b.token(people[i%senders], now, now))
			}
		}
		var next atomic.Int64
		bm.ResetTimer()
		var wg sync.WaitGroup
		for range senders {
			wg.Go(func() {
				for {
					i := int(next.Add(1)) - 1
					if i >= requests {
						return
					}
					for _, r := range b.Collector.Signals(b.ctx, batches[i]) {
						if r.Status != collector.Accepted {
							bm.Error(r.Err)
							return
						}
					}
				}
			})
		}
		wg.Wait()
		bm.ReportMetric(float64(requests*size)/bm.Elapsed().Seconds(), "signals/s")
	})
}
