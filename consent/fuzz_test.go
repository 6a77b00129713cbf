package consent_test

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
)

// coded fails on an error that a caller could not map.
func coded(t *testing.T, err error) {
	t.Helper()
	if err != nil && aloud.ErrorCode(err) == aloud.EINTERNAL {
		t.Errorf("an error without a code: %v", err)
	}
}

// Whatever parses is written back as the same receipt, and nothing verifies by
// a key that did not sign it.
func FuzzSigned(f *testing.F) {
	text, err := json.Marshal(signed(f, consent.AllPurposes()...))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := consent.ParseSigned(data)
		coded(t, err)
		if err != nil {
			return
		}
		r, err := consent.VerifyDevice(s)
		coded(t, err)
		if err != nil {
			return
		}
		if !r.Adult || len(r.Purposes) == 0 || !r.Participant.Valid() || r.Hash().IsZero() {
			t.Errorf("a receipt that nobody could have made: %+v", r)
		}
		if _, err := consent.Verify(s, public("other")); err == nil {
			t.Error("verified by a key that never signed anything")
		}
	})
}

func FuzzWithdrawal(f *testing.F) {
	token, err := consent.SignWithdrawal(withdrawal(), key("device"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Fuzz(func(t *testing.T, token string) {
		w, err := consent.PeekWithdrawal(token)
		coded(t, err)
		if err == nil && (!w.Participant.Valid() || !w.Purpose.Valid() || w.Receipt.IsZero() || len(token) > 1024) {
			t.Errorf("out of range: %+v", w)
		}
		_, err = consent.ParseWithdrawal(token, public("other"))
		coded(t, err)
		if err == nil {
			t.Error("verified by a key that never signed anything")
		}
	})
}

func FuzzErasure(f *testing.F) {
	token, err := consent.SignErasure(consent.Erasure{ID: consent.NewEndingID(), Participant: aloud.NewParticipantID(), At: start}, key("device"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(token)
	f.Fuzz(func(t *testing.T, token string) {
		e, err := consent.PeekErasure(token)
		coded(t, err)
		if err == nil && (!e.Participant.Valid() || len(token) > 1024) {
			t.Errorf("out of range: %+v", e)
		}
		_, err = consent.ParseErasure(token, public("other"))
		coded(t, err)
		if err == nil {
			t.Error("verified by a key that never signed anything")
		}
	})
}

// Any decision that is taken survives signing, writing and reading.
func TestReceiptProperties(t *testing.T) {
	all := consent.AllPurposes()
	text := rapid.StringMatching(`[\p{L}\p{N}][\p{L}\p{N} .,<>&"'/\\-]{0,60}`)
	rapid.Check(t, func(t *rapid.T) {
		d := decision()
		d.Notice.Text = text.Draw(t, "text")
		d.Notice.Controller.Name = text.Draw(t, "name")
		for _, p := range rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, len(all), rapid.ID).Draw(t, "purposes") {
			days := rapid.IntRange(1, 366).Draw(t, "days")
			d.Choices = append(d.Choices, consent.Choice{Purpose: p, Expires: start.AddDate(0, 0, days)})
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
		data, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		back, err := consent.ParseSigned(data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := consent.Verify(back, public("server"))
		if err != nil {
			t.Fatal(err)
		}
		if got.Hash() != r.Hash() || len(got.Purposes) != len(d.Choices) || got.Notice.Text != d.Notice.Text {
			t.Errorf("%+v became %+v", r, got)
		}
		for _, c := range d.Choices {
			if until, ok := got.Expires(c.Purpose); !ok || !until.Equal(c.Expires) {
				t.Errorf("%s ends %v, want %v", c.Purpose, until, c.Expires)
			}
		}
	})
}
