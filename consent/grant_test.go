package consent_test

import (
	"context"
	"crypto/ed25519"
	"reflect"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
)

func TestGranted(t *testing.T) {
	s := signed(t, consent.PurposeListen, consent.PurposeShareSignals)
	keys := []ed25519.PublicKey{public("server")}
	g, err := consent.Granted(s, keys, consent.PurposeShareSignals, start.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	r, _ := consent.VerifyDevice(s)
	if g.Purpose() != consent.PurposeShareSignals || g.Participant() != r.Participant || g.Receipt() != r.Hash() ||
		!g.DeviceKey().Equal(public("device")) || !g.Expires().Equal(start.Add(consent.DefaultExpiry)) {
		t.Errorf("the grant does not say what the receipt does: %+v", g)
	}
	for name, c := range map[string]struct {
		purpose consent.Purpose
		at      time.Time
		code    aloud.Code
	}{
		"not granted": {consent.PurposeMeasure, start, aloud.EFORBIDDEN},
		"no purpose":  {"", start, aloud.EINVALID},
		"over":        {consent.PurposeListen, start.Add(consent.DefaultExpiry), aloud.EEXPIRED},
		"not yet":     {consent.PurposeListen, start.Add(-time.Hour), aloud.EFORBIDDEN},
	} {
		if _, err := consent.Granted(s, keys, c.purpose, c.at); aloud.ErrorCode(err) != c.code {
			t.Errorf("%s: %v, want code %s", name, err, c.code)
		}
	}
	if err := g.At(start.Add(consent.DefaultExpiry - time.Second)); err != nil {
		t.Error(err)
	}
	g.DeviceKey()[0] ^= 1
	if !g.DeviceKey().Equal(public("device")) {
		t.Error("a caller changed the key inside a grant")
	}
}

// Each purpose is granted by itself: no subset of the five grants another.
func TestPurposesAreApart(t *testing.T) {
	all := consent.AllPurposes()
	for set := 1; set < 1<<len(all); set++ {
		var chosen []consent.Purpose
		for i, p := range all {
			if set&(1<<i) != 0 {
				chosen = append(chosen, p)
			}
		}
		s := signed(t, chosen...)
		for i, p := range all {
			_, err := consent.Granted(s, []ed25519.PublicKey{public("server")}, p, start)
			if (err == nil) != (set&(1<<i) != 0) {
				t.Fatalf("with %v granted, %s: %v", chosen, p, err)
			}
		}
	}
}

func TestZeroIsRefused(t *testing.T) {
	var g consent.Grant
	if err := g.At(start); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
		t.Errorf("the zero Grant is in force: %v", err)
	}
	var s consent.Session
	if err := s.Check(start); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
		t.Errorf("the zero Session may hear: %v", err)
	}
	if !g.IsZero() || !s.IsZero() {
		t.Error("a zero value says it is none")
	}
	request := consent.Request{Mode: consent.OnlyMe, For: time.Minute}
	if _, err := consent.ConfirmAtTerminal(context.Background(), g, request, nil); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
		t.Errorf("a session was confirmed without a grant: %v", err)
	}
	if _, err := consent.ConfirmAtTerminal(context.Background(), grant(t, consent.PurposeShareSignals), request, func() time.Time { return start }); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
		t.Errorf("a session was confirmed under a grant for something else: %v", err)
	}
}

// Nobody outside can fill the two types: no field is exported, and no way of
// decoding reaches them.
func TestOnlyConsentMakesGrantAndSession(t *testing.T) {
	for _, v := range []any{consent.Grant{}, consent.Session{}} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			if typ.Field(i).IsExported() {
				t.Errorf("%s.%s is exported: another package could fill it", typ, typ.Field(i).Name)
			}
		}
		pointer := reflect.PointerTo(typ)
		for i := range pointer.NumMethod() {
			m := pointer.Method(i)
			switch m.Name {
			case "UnmarshalJSON", "UnmarshalText", "UnmarshalBinary", "GobDecode", "Scan":
				t.Errorf("%s.%s lets foreign bytes make one", typ, m.Name)
			}
			if m.Type.In(0) == pointer && !hasValueMethod(typ, m.Name) {
				t.Errorf("%s.%s has a pointer receiver: it could change one", typ, m.Name)
			}
		}
	}
}

func hasValueMethod(typ reflect.Type, name string) bool {
	_, ok := typ.MethodByName(name)
	return ok
}

func TestRequestLimits(t *testing.T) {
	g := grant(t, consent.PurposeListen)
	now := func() time.Time { return start }
	for name, r := range map[string]consent.Request{
		"no length":       {Mode: consent.OnlyMe},
		"too long":        {Mode: consent.OnlyMe, For: consent.MaxSession + time.Second},
		"unknown mode":    {Mode: "everyone", For: time.Minute},
		"room of one":     {Mode: consent.Room, For: time.Minute, Adults: 1},
		"uncounted room":  {Mode: consent.Room, For: time.Minute},
		"crowd":           {Mode: consent.Room, For: time.Minute, Adults: consent.MaxAdults + 1},
		"only me and you": {Mode: consent.OnlyMe, For: time.Minute, Adults: 2},
	} {
		if _, err := consent.ConfirmAtTerminal(context.Background(), g, r, now); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("%s: %v", name, err)
		}
	}
	over := func() time.Time { return start.Add(consent.DefaultExpiry) }
	if _, err := consent.ConfirmAtTerminal(context.Background(), g, consent.Request{For: time.Minute}, over); aloud.ErrorCode(err) != aloud.EEXPIRED {
		t.Errorf("a session was confirmed after the consent ended: %v", err)
	}
}
