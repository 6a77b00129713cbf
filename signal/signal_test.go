package signal_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"aloud.example/aloud"
	"aloud.example/aloud/category"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/consent/jws"
	"aloud.example/aloud/signal"
)

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("aloud test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(name string) ed25519.PublicKey { return key(name).Public().(ed25519.PublicKey) }

type fataler interface {
	Helper()
	Fatal(...any)
}

// grant is a real one: a receipt, two signatures, one purpose of it.
func grant(t fataler, p consent.Purpose) consent.Grant {
	t.Helper()
	d := consent.Decision{
		Participant: aloud.NewParticipantID(), DeviceKey: public("device"), Adult: true, Method: consent.MethodTerminal, At: start,
		Notice: consent.EnglishNotice(consent.Controller{Name: "Example Operator", Contact: "privacy@operator.example"}),
	}
	for _, p := range consent.AllPurposes() {
		d.Choices = append(d.Choices, consent.Choice{Purpose: p, Expires: start.Add(consent.DefaultExpiry)})
	}
	r, err := consent.NewReceipt(d)
	if err != nil {
		t.Fatal(err)
	}
	s, err := consent.Sign(r, key("device"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Countersign(key("server"), start); err != nil {
		t.Fatal(err)
	}
	g, err := consent.Granted(s, []ed25519.PublicKey{public("server")}, p, start)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

var intent = aloud.Intent{Category: "home.hvac", Stage: aloud.StageResearch, Score: 0.87654, Turn: 3}

func pending(t fataler) signal.Pending {
	t.Helper()
	cell, err := signal.CellAt(33.749, -84.388)
	if err != nil {
		t.Fatal(err)
	}
	p, err := signal.New(grant(t, consent.PurposeShareSignals), intent, start, aloud.SourceMicrophone, cell)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestRoundTrip(t *testing.T) {
	p := pending(t)
	sent := start.Add(time.Minute)
	token, err := p.Sign(key("device"), sent)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := p.Sign(key("device"), sent); again != token {
		t.Error("the same signal at the same time has two tokens")
	}
	got, err := signal.Verify(token, public("device"))
	if err != nil {
		t.Fatal(err)
	}
	want := p.Signal()
	want.SentAt, want.Expires = sent, sent.Add(signal.MaxLife)
	if got != want || got.Score != 0.877 || got.Cell == "" {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	u, err := signal.Parse(token)
	if err != nil || u.Claimed() != got || u.KeyID() != consent.KeyID(public("device")) {
		t.Errorf("Parse = %+v, %v", u, err)
	}
	if _, err := u.Verify(public("other")); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
		t.Errorf("verified by another key: %v", err)
	}
	if _, err := (signal.Unverified{}).Verify(public("device")); err == nil {
		t.Error("the zero Unverified verified")
	}
	if len(token) > 1024 {
		t.Errorf("a token has %d bytes", len(token))
	}
}

func TestEveryFlippedByteFails(t *testing.T) {
	token, err := pending(t).Sign(key("device"), start.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	for i := range token {
		for bit := range 8 {
			b := []byte(token)
			b[i] ^= 1 << bit
			if _, err := signal.Verify(string(b), public("device")); err == nil {
				t.Fatalf("bit %d of byte %d flipped, still verified", bit, i)
			}
		}
	}
}

// A signal is made under a grant to share signals, and under no other.
func TestNewRefuses(t *testing.T) {
	share := grant(t, consent.PurposeShareSignals)
	for name, c := range map[string]struct {
		grant  consent.Grant
		change func(*aloud.Intent)
		heard  time.Time
		source aloud.Source
		cell   signal.Cell
		code   aloud.Code
	}{
		"zero grant":        {code: aloud.EFORBIDDEN},
		"listen alone":      {grant: grant(t, consent.PurposeListen), code: aloud.EFORBIDDEN},
		"measure alone":     {grant: grant(t, consent.PurposeMeasure), code: aloud.EFORBIDDEN},
		"heard before":      {grant: share, heard: start.Add(-time.Hour), code: aloud.EFORBIDDEN},
		"heard after":       {grant: share, heard: start.Add(consent.DefaultExpiry), code: aloud.EEXPIRED},
		"unknown category":  {grant: share, change: func(in *aloud.Intent) { in.Category = "health.pills" }, code: aloud.EINVALID},
		"free text":         {grant: share, change: func(in *aloud.Intent) { in.Category = "I need a new boiler" }, code: aloud.EINVALID},
		"unknown stage":     {grant: share, change: func(in *aloud.Intent) { in.Stage = "curious" }, code: aloud.EINVALID},
		"score over 1":      {grant: share, change: func(in *aloud.Intent) { in.Score = 1.1 }, code: aloud.EINVALID},
		"score 0":           {grant: share, change: func(in *aloud.Intent) { in.Score = 0 }, code: aloud.EINVALID},
		"score not finite":  {grant: share, change: func(in *aloud.Intent) { in.Score = math.NaN() }, code: aloud.EINVALID},
		"unknown source":    {grant: share, source: "radio", code: aloud.EINVALID},
		"a precise place":   {grant: share, cell: "88f504741d5", code: aloud.EINVALID},
		"a coarser place":   {grant: share, cell: "88f504", code: aloud.EINVALID},
		"a place in words":  {grant: share, cell: "Atlanta", code: aloud.EINVALID},
		"before the epoch":  {grant: share, heard: time.Unix(-5, 0), code: aloud.EFORBIDDEN},
		"the zero heard-at": {grant: share, heard: time.Time{}.Add(1), code: aloud.EFORBIDDEN},
	} {
		in := intent
		if c.change != nil {
			c.change(&in)
		}
		if c.heard.IsZero() {
			c.heard = start
		}
		if c.source == "" {
			c.source = aloud.SourceMicrophone
		}
		if _, err := signal.New(c.grant, in, c.heard, c.source, c.cell); aloud.ErrorCode(err) != c.code {
			t.Errorf("%s: %v, want code %s", name, err, c.code)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	p := pending(t)
	if _, err := (signal.Pending{}).Sign(key("device"), start); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
		t.Errorf("the zero Pending was signed: %v", err)
	}
	if _, err := (signal.Pending{}).Encode(); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
		t.Errorf("the zero Pending was written: %v", err)
	}
	if _, err := p.Sign(key("other"), start); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
		t.Errorf("another key signed: %v", err)
	}
	if _, err := p.Sign(nil, start); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
		t.Errorf("no key signed: %v", err)
	}
	if _, err := p.Sign(key("device"), start.Add(-time.Minute)); aloud.ErrorCode(err) != aloud.EINVALID {
		t.Errorf("sent before it was heard: %v", err)
	}
	if _, err := p.Sign(key("device"), start.Add(consent.DefaultExpiry)); aloud.ErrorCode(err) != aloud.EEXPIRED {
		t.Errorf("signed after the consent ended: %v", err)
	}
}

// What waits on a disk becomes a Pending again only under its own grant.
func TestRestore(t *testing.T) {
	g := grant(t, consent.PurposeShareSignals)
	p, err := signal.New(g, intent, start, aloud.SourceMicrophone, "")
	if err != nil {
		t.Fatal(err)
	}
	data, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "turn") {
		t.Error("the encoding holds more than the signal")
	}
	back, err := signal.Restore(g, data)
	if err != nil || !reflect.DeepEqual(back, p) {
		t.Errorf("Restore = %+v, %v", back, err)
	}
	if got, err := signal.Peek(data); err != nil || got != p.Signal() {
		t.Errorf("Peek = %+v, %v", got, err)
	}
	for name, other := range map[string]consent.Grant{"zero": {}, "another participant's": grant(t, consent.PurposeShareSignals), "another purpose's": grant(t, consent.PurposeListen)} {
		if _, err := signal.Restore(other, data); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
			t.Errorf("restored under the %s grant: %v", name, err)
		}
	}
	for i := range data {
		b := []byte(string(data))
		b[i] ^= 1
		if r, err := signal.Restore(g, b); err == nil && r.Signal() == p.Signal() {
			t.Errorf("byte %d changed, but not the signal", i)
		}
	}
}

func TestOnlyNewMakesPending(t *testing.T) {
	for _, v := range []any{signal.Pending{}, signal.Unverified{}} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			if typ.Field(i).IsExported() {
				t.Errorf("%s.%s is exported", typ, typ.Field(i).Name)
			}
		}
		for _, name := range []string{"UnmarshalJSON", "UnmarshalText", "UnmarshalBinary", "GobDecode", "Scan"} {
			if _, ok := reflect.PointerTo(typ).MethodByName(name); ok {
				t.Errorf("%s.%s lets foreign bytes make one", typ, name)
			}
		}
	}
}

// No member of a token takes free text: every one is an enum, a number, or an
// id of fixed length.
func TestNoFreeText(t *testing.T) {
	token, err := pending(t).Sign(key("device"), start.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	var members map[string]any
	if err := json.Unmarshal(payload, &members); err != nil {
		t.Fatal(err)
	}
	for name, value := range members {
		if _, ok := value.(string); !ok {
			continue
		}
		for _, words := range []string{"my boiler broke", "", "x", strings.Repeat("a", 26), "s_" + strings.Repeat("1", 26)} {
			changed := strings.Replace(string(payload), `"`+name+`":"`+value.(string)+`"`, `"`+name+`":"`+words+`"`, 1)
			token, err := jws.Sign("aloud-signal+jwt", []byte(changed), key("device"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := signal.Verify(token, public("device")); err == nil {
				t.Errorf("%q took %q", name, words)
			}
		}
	}
}

func TestProperties(t *testing.T) {
	g := grant(t, consent.PurposeShareSignals)
	all := category.All()
	stages := []aloud.Stage{aloud.StageNeed, aloud.StageResearch, aloud.StageReady, aloud.StageBought, aloud.StageRejected}
	rapid.Check(t, func(t *rapid.T) {
		in := aloud.Intent{
			Category: rapid.SampledFrom(all).Draw(t, "category").Slug,
			Stage:    rapid.SampledFrom(stages).Draw(t, "stage"),
			Score:    rapid.Float64Range(0.0005, 1).Draw(t, "score"),
		}
		cell, err := signal.CellAt(rapid.Float64Range(-90, 90).Draw(t, "lat"), rapid.Float64Range(-180, 180).Draw(t, "lon"))
		if err != nil || !cell.Valid() {
			t.Fatalf("cell %q: %v", cell, err)
		}
		heard := start.Add(time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "heard")))
		p, err := signal.New(g, in, heard, aloud.SourceMicrophone, cell)
		if err != nil {
			t.Fatal(err)
		}
		data, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := signal.Restore(g, data)
		if err != nil {
			t.Fatal(err)
		}
		wait := time.Duration(rapid.Int64Range(int64(signal.MinWait), int64(48*time.Hour)).Draw(t, "wait"))
		token, err := back.Sign(key("device"), heard.Add(wait))
		if err != nil {
			t.Fatal(err)
		}
		s, err := signal.Verify(token, public("device"))
		if err != nil {
			t.Fatal(err)
		}
		if s.SentAt.Sub(s.HeardAt) < wait.Truncate(time.Second) || math.Abs(s.Score-in.Score) > 0.0005001 {
			t.Errorf("wait %s became %s, score %v became %v", wait, s.SentAt.Sub(s.HeardAt), in.Score, s.Score)
		}
	})
}

func FuzzParse(f *testing.F) {
	token, err := pending(f).Sign(key("device"), start.Add(time.Minute))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Fuzz(func(t *testing.T, token string) {
		u, err := signal.Parse(token)
		if err != nil {
			if aloud.ErrorCode(err) == aloud.EINTERNAL {
				t.Errorf("an error without a code: %v", err)
			}
			return
		}
		if len(token) > signal.MaxSize {
			t.Errorf("%d bytes were taken", len(token))
		}
		s := u.Claimed()
		if c, ok := category.BySlug(s.Category); !ok || c.IAB != s.IAB || !s.Stage.Valid() || !s.Source.Valid() || !s.ID.Valid() || !s.Participant.Valid() ||
			s.SentAt.Before(s.HeardAt) || s.Expires.Sub(s.SentAt) > signal.MaxLife || !(s.Score > 0 && s.Score <= 1) || s.Cell != "" && !s.Cell.Valid() {
			t.Errorf("out of range: %+v", s)
		}
	})
}

func BenchmarkSign(b *testing.B) {
	p, k := pending(b), key("device")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Sign(k, start.Add(time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	token, _ := pending(b).Sign(key("device"), start.Add(time.Minute))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := signal.Parse(token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	token, _ := pending(b).Sign(key("device"), start.Add(time.Minute))
	pub := public("device")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := signal.Verify(token, pub); err != nil {
			b.Fatal(err)
		}
	}
}
