package consent_test

import (
	"strings"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/consent/jws"
)

func withdrawal() consent.Withdrawal {
	return consent.Withdrawal{
		ID: consent.NewEndingID(), Participant: aloud.NewParticipantID(), Receipt: aloud.Hash{1, 2, 3},
		Purpose: consent.PurposeShareSignals, At: start,
	}
}

func TestWithdrawalRoundTrip(t *testing.T) {
	w := withdrawal()
	token, err := consent.SignWithdrawal(w, key("device"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := consent.PeekWithdrawal(token); err != nil || got != w {
		t.Errorf("Peek = %+v, %v", got, err)
	}
	if got, err := consent.ParseWithdrawal(token, public("device")); err != nil || got != w {
		t.Errorf("Parse = %+v, %v", got, err)
	}
	if _, err := consent.ParseWithdrawal(token, public("other")); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
		t.Errorf("another key withdrew: %v", err)
	}
	if _, err := consent.ParseErasure(token, public("device")); err == nil {
		t.Error("a withdrawal was taken for an erasure")
	}
	for i := range token {
		if _, err := consent.ParseWithdrawal(string(flip([]byte(token), i)), public("device")); err == nil {
			t.Fatalf("byte %d flipped, still parsed", i)
		}
	}
}

func TestErasureRoundTrip(t *testing.T) {
	e := consent.Erasure{ID: consent.NewEndingID(), Participant: aloud.NewParticipantID(), At: start}
	token, err := consent.SignErasure(e, key("device"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := consent.PeekErasure(token); err != nil || got != e {
		t.Errorf("Peek = %+v, %v", got, err)
	}
	if got, err := consent.ParseErasure(token, public("device")); err != nil || got != e {
		t.Errorf("Parse = %+v, %v", got, err)
	}
	if _, err := consent.ParseWithdrawal(token, public("device")); err == nil {
		t.Error("an erasure was taken for a withdrawal")
	}
}

func TestEndingsRefuse(t *testing.T) {
	for name, spoil := range map[string]func(*consent.Withdrawal){
		"no id":          func(w *consent.Withdrawal) { w.ID = "" },
		"long id":        func(w *consent.Withdrawal) { w.ID = strings.Repeat("A", 23) },
		"no participant": func(w *consent.Withdrawal) { w.Participant = "" },
		"no receipt":     func(w *consent.Withdrawal) { w.Receipt = aloud.Hash{} },
		"no purpose":     func(w *consent.Withdrawal) { w.Purpose = "" },
		"no time":        func(w *consent.Withdrawal) { w.At = time.Time{} },
	} {
		w := withdrawal()
		spoil(&w)
		if _, err := consent.SignWithdrawal(w, key("device")); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := consent.SignErasure(consent.Erasure{}, key("device")); aloud.ErrorCode(err) != aloud.EINVALID {
		t.Errorf("empty erasure: %v", err)
	}
	if _, err := consent.SignWithdrawal(withdrawal(), nil); aloud.ErrorCode(err) != aloud.EINVALID {
		t.Errorf("no key: %v", err)
	}
	// An extra member, well signed.
	token, _ := jws.Sign("aloud-withdrawal+jwt", []byte(`{"jti":"AAAAAAAAAAAAAAAAAAAAAA","why":"none of your business"}`), key("device"))
	if _, err := consent.PeekWithdrawal(token); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("an unknown member: %v, want it named", err)
	}
}
