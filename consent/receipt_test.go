package consent_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/consent/jws"
)

func TestReceiptRoundTrip(t *testing.T) {
	r := receipt(t, consent.AllPurposes()...)
	s, err := consent.Sign(r, key("device"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := consent.Verify(s, public("server")); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
		t.Errorf("a receipt without countersignature verified: %v", err)
	}
	if err := s.Countersign(key("server"), start); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	back, err := consent.ParseSigned(text)
	if err != nil {
		t.Fatal(err)
	}
	got, err := consent.Verify(back, public("other"), public("server"))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, r) {
		t.Errorf("got  %+v\nwant %+v", got, r)
	}
	payload, _ := base64.RawURLEncoding.DecodeString(s.Payload)
	if got.Hash() != aloud.Hash(sha256.Sum256(payload)) || r.Hash() != got.Hash() {
		t.Error("Hash is not over the exact payload bytes")
	}
	if got.Notice.SHA256 != notice().Hash() || got.Notice.Text != notice().Text {
		t.Error("the receipt does not keep the notice word for word")
	}
	if !s.Countersigned().Equal(start) {
		t.Errorf("Countersigned = %v, want %v", s.Countersigned(), start)
	}
	if len(text) > consent.MaxReceipt {
		t.Errorf("a full receipt has %d bytes", len(text))
	}
}

// Neither signature can stand for the other, and each is by its own key.
func TestVerifyRefuses(t *testing.T) {
	good := signed(t, consent.PurposeListen)
	self, err := consent.Sign(receipt(t, consent.PurposeListen), key("device"))
	if err != nil {
		t.Fatal(err)
	}
	swap := func(f func(*consent.Signed)) consent.Signed {
		s := good
		s.Signatures = append([]consent.Signature(nil), good.Signatures...)
		f(&s)
		return s
	}
	for name, s := range map[string]consent.Signed{
		"nothing":            {},
		"swapped":            swap(func(s *consent.Signed) { s.Signatures[0], s.Signatures[1] = s.Signatures[1], s.Signatures[0] }),
		"device twice":       swap(func(s *consent.Signed) { s.Signatures[1] = s.Signatures[0] }),
		"three":              swap(func(s *consent.Signed) { s.Signatures = append(s.Signatures, s.Signatures[1]) }),
		"other payload":      swap(func(s *consent.Signed) { s.Payload = self.Payload }),
		"padded":             swap(func(s *consent.Signed) { s.Payload += "=" }),
		"only countersigned": swap(func(s *consent.Signed) { s.Signatures = s.Signatures[1:] }),
		"too large":          swap(func(s *consent.Signed) { s.Payload += strings.Repeat("A", consent.MaxReceipt) }),
	} {
		if _, err := consent.Verify(s, public("server")); err == nil {
			t.Errorf("%s: verified", name)
		}
	}
	if _, err := consent.Verify(good); err == nil {
		t.Error("verified without any server key")
	}
	if _, err := consent.Verify(good, public("device")); err == nil {
		t.Error("verified by the device's own key")
	}
	if err := self.Countersign(key("device"), start); err == nil {
		t.Error("a device countersigned its own receipt")
	}
	if err := self.Countersign(key("server"), start.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := consent.Verify(self, public("server")); err == nil {
		t.Error("verified though countersigned before it was made")
	}
	if _, err := consent.Sign(receipt(t, consent.PurposeListen), key("other")); err == nil {
		t.Error("signed by a key that the receipt does not hold")
	}
}

func TestEveryFlippedByteFails(t *testing.T) {
	s := signed(t, consent.PurposeListen, consent.PurposeShareSignals)
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	step := 1
	if testing.Short() {
		step = 7
	}
	for i := 0; i < len(text); i += step {
		back, err := consent.ParseSigned(flip(text, i))
		if err == nil {
			_, err = consent.Verify(back, public("server"))
		}
		if err == nil {
			t.Fatalf("byte %d of %d flipped, still verified", i, len(text))
		}
	}
}

func TestNewReceiptRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*consent.Decision){
		"no purpose":      func(d *consent.Decision) { d.Choices = nil },
		"not an adult":    func(d *consent.Decision) { d.Adult = false },
		"unknown purpose": func(d *consent.Decision) { d.Choices[0].Purpose = "sell_everything" },
		"twice":           func(d *consent.Decision) { d.Choices = append(d.Choices, d.Choices[0]) },
		"expired":         func(d *consent.Decision) { d.Choices[0].Expires = start },
		"for ever":        func(d *consent.Decision) { d.Choices[0].Expires = start.AddDate(2, 0, 0) },
		"no participant":  func(d *consent.Decision) { d.Participant = "" },
		"a name":          func(d *consent.Decision) { d.Participant = "p_jane.doe@example.com.......x" },
		"no key":          func(d *consent.Decision) { d.DeviceKey = nil },
		"small order key": func(d *consent.Decision) { d.DeviceKey = make(ed25519.PublicKey, 32) },
		"no method":       func(d *consent.Decision) { d.Method = "" },
		"no notice":       func(d *consent.Decision) { d.Notice = consent.Notice{} },
		"part of notice":  func(d *consent.Decision) { d.Notice.Purposes = d.Notice.Purposes[1:] },
		"escape codes":    func(d *consent.Decision) { d.Notice.Text += "\x1b[2J" },
		"reversed text":   func(d *consent.Decision) { d.Notice.Text += "\u202e" },
		"huge notice":     func(d *consent.Decision) { d.Notice.Text = strings.Repeat("a ", 8<<10) },
		"no time":         func(d *consent.Decision) { d.At = time.Time{} },
	} {
		d := decision(consent.PurposeListen)
		spoil(&d)
		if _, err := consent.NewReceipt(d); err == nil || aloud.ErrorCode(err) == aloud.EINTERNAL {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// resign signs a payload that NewReceipt would not make, as a hostile device
// would.
func resign(t *testing.T, payload string) consent.Signed {
	t.Helper()
	s := consent.Signed{Payload: base64.RawURLEncoding.EncodeToString([]byte(payload))}
	protected, signature, err := jws.SignDetached("aloud-receipt+jws", 0, s.Payload, key("device"))
	if err != nil {
		t.Fatal(err)
	}
	s.Signatures = []consent.Signature{{Protected: protected, Signature: signature}}
	return s
}

func TestHostileDevice(t *testing.T) {
	raw, err := jws.Marshal(receipt(t, consent.PurposeListen, consent.PurposeShareSignals))
	if err != nil {
		t.Fatal(err)
	}
	good := string(raw)
	if _, err := consent.VerifyDevice(resign(t, good)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"unknown member":   {`{"schema_version"`, `{"note":"","schema_version"`},
		"member twice":     {`"sensitive":false`, `"sensitive":false,"sensitive":false`},
		"other case":       {`"sensitive"`, `"Sensitive"`},
		"missing member":   {`"sensitive":false,`, ``},
		"a space":          {`"sensitive":false`, `"sensitive": false`},
		"escaped":          {`"sensitive":false`, `"sensiti\u0076e":false`},
		"null":             {`"sensitive":false`, `"sensitive":null`},
		"not an adult":     {`"adult_statement":true`, `"adult_statement":false`},
		"sensitive":        {`"sensitive":false`, `"sensitive":true`},
		"other notice":     {`You decide on each purpose`, `We decide on each purpose`},
		"fraction of time": {`12:00:00Z`, `12:00:00.5Z`},
		"other zone":       {`12:00:00Z`, `13:00:00+01:00`},
		"local words":      {`"lawful_basis":"consent"`, `"lawful_basis":"legitimate interest"`},
		"other purpose":    {`{"purpose":"listen"`, `{"purpose":"measure"`},
		"trailing":         {`aloud erase (everything)"}`, `aloud erase (everything)"}{}`},
	} {
		if !strings.Contains(good, change[0]) {
			t.Errorf("%s: the receipt has no %s", name, change[0])
			continue
		}
		_, err := consent.VerifyDevice(resign(t, strings.Replace(good, change[0], change[1], 1)))
		if err == nil || aloud.ErrorCode(err) == aloud.EINTERNAL {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEnglishNotice(t *testing.T) {
	n := notice()
	if err := n.Check(); err != nil {
		t.Fatal(err)
	}
	for _, must := range []string{"18 or older", "aloud withdraw", "aloud erase", "never leave the device", "privacy@operator.example"} {
		if !strings.Contains(n.Full(), must) {
			t.Errorf("the notice does not say %q", must)
		}
	}
}

func BenchmarkReceiptVerify(b *testing.B) {
	s := signed(b, consent.AllPurposes()...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := consent.Verify(s, public("server")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReceiptSign(b *testing.B) {
	r, k := receipt(b, consent.AllPurposes()...), key("device")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := consent.Sign(r, k); err != nil {
			b.Fatal(err)
		}
	}
}
