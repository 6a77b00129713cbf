package outbox_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/signal"
	"aloud.example/aloud/signal/outbox"
	"aloud.example/aloud/signal/uplink"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("aloud test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

type fataler interface {
	Helper()
	Fatal(...any)
}

// enrolled is one participant's receipt.
type enrolled struct{ signed consent.Signed }

func enrol(t fataler, at time.Time) enrolled {
	t.Helper()
	d := consent.Decision{
		Participant: aloud.NewParticipantID(), DeviceKey: key("device").Public().(ed25519.PublicKey), Adult: true, Method: consent.MethodTerminal, At: at,
		Notice: consent.EnglishNotice(consent.Controller{Name: "Example Operator", Contact: "privacy@operator.example"}),
	}
	for _, p := range consent.AllPurposes() {
		d.Choices = append(d.Choices, consent.Choice{Purpose: p, Expires: at.Add(consent.DefaultExpiry)})
	}
	r, err := consent.NewReceipt(d)
	if err != nil {
		t.Fatal(err)
	}
	s, err := consent.Sign(r, key("device"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Countersign(key("server"), at); err != nil {
		t.Fatal(err)
	}
	return enrolled{signed: s}
}

func (e enrolled) grant(at time.Time) (consent.Grant, error) {
	return consent.Granted(e.signed, []ed25519.PublicKey{key("server").Public().(ed25519.PublicKey)}, consent.PurposeShareSignals, at)
}

func (e enrolled) withdrawal(t fataler, p consent.Purpose) string {
	t.Helper()
	r, err := consent.VerifyDevice(e.signed)
	if err != nil {
		t.Fatal(err)
	}
	token, err := consent.SignWithdrawal(consent.Withdrawal{ID: consent.NewEndingID(), Participant: r.Participant, Receipt: r.Hash(), Purpose: p, At: start}, key("device"))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (e enrolled) erasure(t fataler) string {
	t.Helper()
	r, err := consent.VerifyDevice(e.signed)
	if err != nil {
		t.Fatal(err)
	}
	token, err := consent.SignErasure(consent.Erasure{ID: consent.NewEndingID(), Participant: r.Participant, At: start}, key("device"))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// clock is a clock that a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// receiver is the far side of the Server interface: it verifies each token by
// the device's key, as a server does, and answers as told.
type receiver struct {
	t      *testing.T
	mu     sync.Mutex
	tokens map[aloud.SignalID]string
	times  map[aloud.SignalID]int
	sizes  []int
	ends   []string
	fail   func(tokens []string) error         // of the whole request
	answer func(aloud.SignalID) *uplink.Result // of one signal
	endErr error
}

func newReceiver(t *testing.T) *receiver {
	return &receiver{t: t, tokens: map[aloud.SignalID]string{}, times: map[aloud.SignalID]int{}}
}

func (r *receiver) Signals(_ context.Context, tokens []string) ([]uplink.Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sizes = append(r.sizes, len(tokens))
	if r.fail != nil {
		if err := r.fail(tokens); err != nil {
			return nil, err
		}
	}
	var results []uplink.Result
	for _, token := range tokens {
		s, err := signal.Verify(token, key("device").Public().(ed25519.PublicKey))
		if err != nil {
			r.t.Errorf("the outbox sent a token that does not verify: %v", err)
		}
		if old, ok := r.tokens[s.ID]; ok && old != token {
			r.t.Errorf("%s was sent under two tokens", s.ID)
		}
		r.tokens[s.ID] = token
		r.times[s.ID]++
		result := uplink.Result{ID: s.ID, Status: uplink.Accepted}
		if r.answer != nil {
			if other := r.answer(s.ID); other != nil {
				result = *other
			}
		}
		results = append(results, result)
	}
	return results, nil
}

func (r *receiver) Withdraw(_ context.Context, token string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = append(r.ends, token)
	return r.endErr
}

func (r *receiver) Erase(ctx context.Context, token string) error { return r.Withdraw(ctx, token) }

type fixture struct {
	*outbox.Outbox
	who   enrolled
	clock *clock
	to    *receiver
	path  string
}

func setUp(t *testing.T, change ...func(*outbox.Config)) *fixture {
	t.Helper()
	f := &fixture{who: enrol(t, start), clock: &clock{t: start}, to: newReceiver(t), path: filepath.Join(t.TempDir(), "out box%?.db")}
	c := outbox.Config{Path: f.path, Key: key("device"), Grant: f.who.grant, Now: f.clock.now}
	for _, change := range change {
		change(&c)
	}
	var err error
	if f.Outbox, err = outbox.Open(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func (f *fixture) pending(t fataler) signal.Pending {
	t.Helper()
	g, err := f.who.grant(f.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	p, err := signal.New(g, aloud.Intent{Category: "home.hvac", Stage: aloud.StageNeed, Score: 0.9}, f.clock.now(), aloud.SourceMicrophone, "")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (f *fixture) add(t *testing.T) aloud.SignalID {
	t.Helper()
	e, err := f.Add(t.Context(), f.pending(t))
	if err != nil {
		t.Fatal(err)
	}
	return e.ID
}

func (f *fixture) step(t *testing.T) outbox.Done {
	t.Helper()
	d, err := f.Step(t.Context(), f.to)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (f *fixture) states(t *testing.T) map[aloud.SignalID]outbox.Entry {
	t.Helper()
	list, err := f.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := map[aloud.SignalID]outbox.Entry{}
	for _, e := range list {
		m[e.ID] = e
	}
	return m
}

func TestWaitThenSend(t *testing.T) {
	f := setUp(t)
	id := f.add(t)
	d := f.step(t)
	if len(f.to.tokens) != 0 || d.Next != signal.DefaultWait {
		t.Fatalf("sent at once: %+v", d)
	}
	f.clock.add(signal.DefaultWait - time.Millisecond)
	f.step(t)
	if len(f.to.tokens) != 0 {
		t.Fatal("sent before the wait was over")
	}
	f.clock.add(time.Millisecond)
	if d := f.step(t); d.Accepted != 1 {
		t.Fatalf("%+v", d)
	}
	s, err := signal.Verify(f.to.tokens[id], key("device").Public().(ed25519.PublicKey))
	if err != nil || !s.SentAt.Equal(start.Add(signal.DefaultWait)) {
		t.Errorf("sent at %v, %v: signing must be at the time of sending", s.SentAt, err)
	}
	f.step(t)
	if f.to.times[id] != 1 || f.states(t)[id].State != outbox.Accepted {
		t.Errorf("sent %d times, %+v", f.to.times[id], f.states(t)[id])
	}
}

func TestWaitLimits(t *testing.T) {
	open := func(wait time.Duration, simulated bool) error {
		o, err := outbox.Open(t.Context(), outbox.Config{Path: filepath.Join(t.TempDir(), "o.db"), Wait: wait, Simulated: simulated})
		if err == nil {
			o.Close()
		}
		return err
	}
	for _, wait := range []time.Duration{outbox.NoWait, time.Second, signal.MinWait - 1} {
		if err := open(wait, false); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("a wait of %s: %v", wait, err)
		}
		if err := open(wait, true); err != nil {
			t.Errorf("a wait of %s, simulated: %v", wait, err)
		}
	}
	if err := open(signal.MinWait, false); err != nil {
		t.Error(err)
	}
}

func TestHurry(t *testing.T) {
	f := setUp(t)
	id := f.add(t)
	if err := f.Hurry(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.step(t)
	if len(f.to.tokens) != 0 {
		t.Fatal("hurried under the least wait")
	}
	f.clock.add(signal.MinWait)
	f.step(t)
	if f.to.times[id] != 1 {
		t.Error("not sent after the least wait")
	}
}

func TestVeto(t *testing.T) {
	f := setUp(t)
	id, other := f.add(t), f.add(t)
	if certain, err := f.Veto(t.Context(), id); err != nil || !certain {
		t.Fatalf("Veto = %v, %v", certain, err)
	}
	if _, err := f.Veto(t.Context(), id); aloud.ErrorCode(err) != aloud.ENOTFOUND {
		t.Errorf("vetoed twice: %v", err)
	}
	f.clock.add(signal.DefaultWait)
	f.to.fail = func([]string) error { return aloud.Errorf(aloud.EUNAVAILABLE, "away") }
	if _, err := f.Step(t.Context(), f.to); aloud.ErrorCode(err) != aloud.EUNAVAILABLE {
		t.Fatal(err)
	}
	third := f.add(t)
	if certain, err := f.Veto(t.Context(), other); err != nil || certain {
		t.Errorf("a signal on its way: %v, %v", certain, err)
	}
	f.to.fail = nil
	f.clock.add(signal.DefaultWait)
	f.step(t)
	if len(f.to.tokens) != 1 || f.to.times[third] != 1 {
		t.Errorf("sent %v", f.to.times)
	}
	if _, err := f.Veto(t.Context(), third); aloud.ErrorCode(err) != aloud.ECONFLICT {
		t.Errorf("vetoed what was sent: %v", err)
	}
}

func TestBatches(t *testing.T) {
	f := setUp(t)
	for range 150 {
		f.add(t)
	}
	f.clock.add(signal.DefaultWait)
	for range 3 {
		f.step(t)
	}
	if got := f.to.sizes; len(got) != 3 || got[0] != 64 || got[1] != 64 || got[2] != 22 {
		t.Errorf("batches of %v", got)
	}
	if len(f.to.tokens) != 150 {
		t.Errorf("%d of 150 sent", len(f.to.tokens))
	}
}

// A failure at any point is answered by the very same token later.
func TestSameTokenAgain(t *testing.T) {
	f := setUp(t)
	id := f.add(t)
	f.clock.add(signal.DefaultWait)
	lost := errors.New("the answer was lost")
	for range 3 {
		f.to.fail = func(tokens []string) error {
			for _, token := range tokens { // it arrived
				f.to.fail = nil
				f.to.mu.Unlock()
				_, _ = f.to.Signals(t.Context(), []string{token})
				f.to.mu.Lock()
			}
			return aloud.Errorf(aloud.EUNAVAILABLE, "%w", lost)
		}
		if _, err := f.Step(t.Context(), f.to); err == nil {
			t.Fatal("no error")
		}
		f.clock.add(time.Minute)
		f.Close()
		o, err := outbox.Open(t.Context(), outbox.Config{Path: f.path, Key: key("device"), Grant: f.who.grant, Now: f.clock.now})
		if err != nil {
			t.Fatal(err)
		}
		f.Outbox = o
	}
	f.to.fail = nil
	f.to.answer = func(id aloud.SignalID) *uplink.Result { return &uplink.Result{ID: id, Status: uplink.Duplicate} }
	f.step(t)
	if f.to.times[id] != 4 || f.states(t)[id].State != outbox.Accepted {
		t.Errorf("sent %d times, %+v", f.to.times[id], f.states(t)[id])
	}
}

func TestRefusedKeepsTheReason(t *testing.T) {
	f := setUp(t)
	bad, early, good := f.add(t), f.add(t), f.add(t)
	f.to.answer = func(id aloud.SignalID) *uplink.Result {
		switch id {
		case bad:
			return &uplink.Result{ID: id, Status: uplink.Refused, Problem: &uplink.Problem{Status: 403, Code: aloud.EFORBIDDEN, Detail: "the consent ended"}}
		case early:
			return &uplink.Result{ID: id, Status: uplink.Refused, Problem: &uplink.Problem{Status: 425, Code: aloud.ETOOEARLY, Detail: "too early"}}
		}
		return nil
	}
	f.clock.add(signal.DefaultWait)
	if d := f.step(t); d.Accepted != 1 || d.Refused != 1 {
		t.Errorf("%+v", d)
	}
	states := f.states(t)
	if e := states[bad]; e.State != outbox.Refused || e.Code != aloud.EFORBIDDEN || e.Reason != "the consent ended" {
		t.Errorf("%+v", e)
	}
	if e := states[early]; e.State != outbox.Signed || e.Code != aloud.ETOOEARLY {
		t.Errorf("too early is no end: %+v", e)
	}
	if states[good].State != outbox.Accepted {
		t.Errorf("%+v", states[good])
	}
	f.to.answer = nil
	f.clock.add(time.Minute)
	f.step(t)
	if e := f.states(t)[early]; e.State != outbox.Accepted || f.to.times[bad] != 1 {
		t.Errorf("%+v; the refused one was sent %d times", e, f.to.times[bad])
	}
}

// One signal that makes the server refuse a whole request holds up no other.
func TestPoisonIsIsolated(t *testing.T) {
	f := setUp(t)
	var ids []aloud.SignalID
	for range 5 {
		ids = append(ids, f.add(t))
	}
	f.to.fail = func(tokens []string) error {
		for _, token := range tokens {
			if u, _ := signal.Parse(token); u.Claimed().ID == ids[2] {
				return aloud.Errorf(aloud.ETOOLARGE, "a body like that is refused")
			}
		}
		return nil
	}
	f.clock.add(signal.DefaultWait)
	if d := f.step(t); d.Accepted != 4 || d.Refused != 1 {
		t.Errorf("%+v", d)
	}
	if e := f.states(t)[ids[2]]; e.State != outbox.Refused || e.Code != aloud.ETOOLARGE {
		t.Errorf("%+v", e)
	}
}

func TestAnswersForOtherSignals(t *testing.T) {
	f := setUp(t)
	id := f.add(t)
	f.to.answer = func(aloud.SignalID) *uplink.Result {
		return &uplink.Result{ID: aloud.NewSignalID(), Status: uplink.Accepted}
	}
	f.clock.add(signal.DefaultWait)
	if _, err := f.Step(t.Context(), f.to); aloud.ErrorCode(err) != aloud.EUNAVAILABLE {
		t.Errorf("%v", err)
	}
	if e := f.states(t)[id]; e.State != outbox.Signed {
		t.Errorf("%+v", e)
	}
}

func TestWithdrawalDropsWhatItCovers(t *testing.T) {
	for _, p := range []consent.Purpose{consent.PurposeListen, consent.PurposeShareSignals} {
		f := setUp(t)
		signedID := f.add(t)
		f.clock.add(signal.DefaultWait)
		f.to.fail = func([]string) error { return aloud.Errorf(aloud.EUNAVAILABLE, "away") }
		_, _ = f.Step(t.Context(), f.to)
		waitingID := f.add(t)
		late := f.pending(t) // made before the withdrawal, added after it
		token := f.who.withdrawal(t, p)
		if err := f.Withdraw(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		if err := f.Withdraw(t.Context(), f.who.withdrawal(t, p)); err != nil {
			t.Errorf("withdrawing twice: %v", err)
		}
		if _, err := f.Add(t.Context(), late); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
			t.Errorf("%s withdrawn, but Add: %v", p, err)
		}
		g, err := f.who.grant(start)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Check(t.Context(), g); (p == consent.PurposeShareSignals) != (aloud.ErrorCode(err) == aloud.EFORBIDDEN) {
			t.Errorf("%s withdrawn, and Check: %v", p, err)
		}
		f.to.fail = nil
		f.clock.add(time.Hour)
		f.step(t)
		if len(f.to.tokens) != 0 || len(f.states(t)) != 0 {
			t.Errorf("%s withdrawn, but sent %v (signed %s, waiting %s)", p, f.to.times, signedID, waitingID)
		}
		if len(f.to.ends) != 1 || f.to.ends[0] != token {
			t.Errorf("the server was told %d times", len(f.to.ends))
		}
	}
}

func TestOtherWithdrawalsCoverNoSignal(t *testing.T) {
	f := setUp(t)
	id := f.add(t)
	if err := f.Withdraw(t.Context(), f.who.withdrawal(t, consent.PurposeMeasure)); err != nil {
		t.Fatal(err)
	}
	f.clock.add(signal.DefaultWait)
	f.step(t)
	if f.to.times[id] != 1 {
		t.Error("a signal was dropped by the end of another purpose")
	}
}

// What the server must be told is kept and tried until it answers.
func TestUntold(t *testing.T) {
	f := setUp(t)
	f.to.endErr = aloud.Errorf(aloud.EUNAVAILABLE, "away")
	if err := f.Withdraw(t.Context(), f.who.withdrawal(t, consent.PurposeShareSignals)); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Step(t.Context(), f.to); aloud.ErrorCode(err) != aloud.EUNAVAILABLE {
		t.Fatal(err)
	}
	if u, err := f.Untold(t.Context()); err != nil || len(u) != 1 || u[0].Kind != "withdrawal" || u[0].Reason != "" {
		t.Errorf("Untold = %v, %v", u, err)
	}
	f.to.endErr = nil
	if d := f.step(t); d.Told != 1 {
		t.Errorf("%+v", d)
	}
	if u, err := f.Untold(t.Context()); err != nil || len(u) != 0 {
		t.Errorf("Untold = %v, %v", u, err)
	}
	if len(f.to.ends) != 2 || f.to.ends[0] != f.to.ends[1] {
		t.Error("the second try was another token")
	}
	f.to.endErr = aloud.Errorf(aloud.EFORBIDDEN, "unknown receipt")
	if err := f.Withdraw(t.Context(), f.who.withdrawal(t, consent.PurposeMeasure)); err != nil {
		t.Fatal(err)
	}
	f.step(t)
	if u, _ := f.Untold(t.Context()); len(u) != 1 || u[0].Reason != "unknown receipt" {
		t.Errorf("Untold = %v", u)
	}
}

func TestErase(t *testing.T) {
	f := setUp(t)
	f.add(t)
	late := f.pending(t)
	body, err := late.Encode()
	if err != nil {
		t.Fatal(err)
	}
	token := f.who.erasure(t)
	if err := f.Erase(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Add(t.Context(), late); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
		t.Errorf("added after the erasure: %v", err)
	}
	f.to.endErr = aloud.Errorf(aloud.ENOTFOUND, "no such participant")
	f.clock.add(time.Hour)
	f.step(t)
	if len(f.to.tokens) != 0 || len(f.to.ends) != 1 || f.to.ends[0] != token {
		t.Errorf("sent %v, told %d", f.to.tokens, len(f.to.ends))
	}
	if u, _ := f.Untold(t.Context()); len(u) != 0 {
		t.Errorf("a server that knows nobody needs no telling: %v", u)
	}
	// Nothing of the signals is left in the files.
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(f.path + suffix)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "home.hvac") || strings.Contains(string(data), string(late.ID())) {
			t.Errorf("outbox%s still holds a signal, such as %.20q", suffix, body)
		}
	}
}

func TestGrantEnds(t *testing.T) {
	f := setUp(t, func(c *outbox.Config) { c.Wait = signal.DefaultWait })
	f.clock.add(consent.DefaultExpiry - time.Second)
	id := f.add(t)
	f.clock.add(signal.DefaultWait)
	f.step(t)
	if e := f.states(t)[id]; e.State != outbox.Refused || e.Code != aloud.EEXPIRED || len(f.to.tokens) != 0 {
		t.Errorf("%+v, sent %v", e, f.to.tokens)
	}
}

func TestFull(t *testing.T) {
	f := setUp(t, func(c *outbox.Config) { c.Capacity = 3 })
	for range 3 {
		f.add(t)
	}
	if _, err := f.Add(t.Context(), f.pending(t)); aloud.ErrorCode(err) != aloud.ELIMITED {
		t.Errorf("%v", err)
	}
	f.clock.add(signal.DefaultWait)
	f.step(t)
	f.add(t)
}

func TestHistoryIsBounded(t *testing.T) {
	f := setUp(t)
	for range 11 {
		for range 60 {
			f.add(t)
		}
		f.clock.add(signal.DefaultWait)
		f.step(t)
	}
	if n := len(f.states(t)); n != 500 {
		t.Errorf("%d entries are kept", n)
	}
}

func TestClockSetBack(t *testing.T) {
	f := setUp(t)
	id := f.add(t)
	f.clock.add(-48 * time.Hour)
	f.step(t)
	f.clock.add(2 * time.Minute)
	f.step(t)
	if e := f.states(t)[id]; e.State != outbox.Refused {
		t.Errorf("a signal heard in the future: %+v", e)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"a folder": dir, "no folder": filepath.Join(dir, "none", "o.db"), "garbage": garbage} {
		if _, err := outbox.Open(t.Context(), outbox.Config{Path: path}); err == nil || strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v (it must not name the path)", name, err)
		}
	}
	f := setUp(t)
	if info, err := os.Stat(f.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: others can read the outbox", info.Mode(), err)
	}
	if _, err := f.Add(t.Context(), signal.Pending{}); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
		t.Errorf("the zero Pending was added: %v", err)
	}
	if err := f.Withdraw(t.Context(), "x.y.z"); aloud.ErrorCode(err) != aloud.EINVALID {
		t.Errorf("%v", err)
	}
	if err := f.Erase(t.Context(), ""); aloud.ErrorCode(err) != aloud.EINVALID {
		t.Errorf("%v", err)
	}
}

// Two outboxes on one file, as the listener and another command have, never
// sign a signal twice.
func TestTwoProcesses(t *testing.T) {
	f := setUp(t)
	other, err := outbox.Open(t.Context(), outbox.Config{Path: f.path, Key: key("device"), Grant: f.who.grant, Now: f.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for range 100 {
		f.add(t)
	}
	f.clock.add(signal.DefaultWait)
	var group sync.WaitGroup
	for _, o := range []*outbox.Outbox{f.Outbox, other} {
		group.Go(func() {
			for range 5 {
				if _, err := o.Step(t.Context(), f.to); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if len(f.to.tokens) != 100 {
		t.Errorf("%d of 100 sent", len(f.to.tokens))
	}
}

func BenchmarkAdd(b *testing.B) {
	who := enrol(b, start)
	o, err := outbox.Open(b.Context(), outbox.Config{Path: filepath.Join(b.TempDir(), "o.db"), Capacity: 1 << 30, Now: func() time.Time { return start }})
	if err != nil {
		b.Fatal(err)
	}
	defer o.Close()
	g, err := who.grant(start)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		p, err := signal.New(g, aloud.Intent{Category: "home.hvac", Stage: aloud.StageNeed, Score: 0.9}, start, aloud.SourceMicrophone, "")
		if err != nil {
			b.Fatal(err)
		}
		if _, err := o.Add(b.Context(), p); err != nil {
			b.Fatal(err)
		}
	}
}
