package consent_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
)

// start is the time at which the tests' receipts are made.
var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// key derives a test key from a name, so that the shared vectors stay the same.
func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("aloud test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(name string) ed25519.PublicKey { return key(name).Public().(ed25519.PublicKey) }

func notice() consent.Notice {
	return consent.EnglishNotice(consent.Controller{Name: "Example Operator", Contact: "privacy@operator.example"})
}

func decision(purposes ...consent.Purpose) consent.Decision {
	d := consent.Decision{
		Participant: aloud.NewParticipantID(), DeviceKey: public("device"), Notice: notice(),
		Adult: true, Method: consent.MethodTerminal, At: start,
	}
	for _, p := range purposes {
		d.Choices = append(d.Choices, consent.Choice{Purpose: p, Expires: start.Add(consent.DefaultExpiry)})
	}
	return d
}

type fataler interface {
	Helper()
	Fatal(...any)
}

func receipt(t fataler, purposes ...consent.Purpose) consent.Receipt {
	t.Helper()
	r, err := consent.NewReceipt(decision(purposes...))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// signed is a receipt with both signatures.
func signed(t fataler, purposes ...consent.Purpose) consent.Signed {
	t.Helper()
	s, err := consent.Sign(receipt(t, purposes...), key("device"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Countersign(key("server"), start.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	return s
}

func grant(t fataler, p consent.Purpose) consent.Grant {
	t.Helper()
	g, err := consent.Granted(signed(t, consent.AllPurposes()...), []ed25519.PublicKey{public("server")}, p, start)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 1
	return b
}
