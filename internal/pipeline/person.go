package pipeline

import (
	"crypto/ed25519"
	"crypto/rand"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/signal"
)

// Person is a participant with a device, for tests.
type Person struct {
	ID      aloud.ParticipantID
	Key     ed25519.PrivateKey
	Receipt consent.Receipt
	Signed  consent.Signed // countersigned once enrolled
	server  ed25519.PublicKey
}

// NewPerson makes a participant who has agreed to nothing yet.
func NewPerson(server ed25519.PrivateKey) *Person {
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	return &Person{ID: aloud.NewParticipantID(), Key: key, server: server.Public().(ed25519.PublicKey)}
}

// Agree signs a receipt of purposes; of all without any.
func (p *Person) Agree(now time.Time, purposes ...consent.Purpose) (consent.Signed, error) {
	if len(purposes) == 0 {
		purposes = consent.AllPurposes()
	}
	d := consent.Decision{
		Participant: p.ID, DeviceKey: p.Key.Public().(ed25519.PublicKey), Notice: Notice(), Adult: true,
		Method: consent.MethodTerminal, At: now,
	}
	for _, purpose := range purposes {
		d.Choices = append(d.Choices, consent.Choice{Purpose: purpose, Expires: now.Truncate(time.Second).Add(consent.DefaultExpiry)})
	}
	r, err := consent.NewReceipt(d)
	if err != nil {
		return consent.Signed{}, err
	}
	p.Receipt = r
	return consent.Sign(r, p.Key)
}

// Signal makes a token. The receipt must be countersigned.
func (p *Person) Signal(in aloud.Intent, heard, sent time.Time, cell signal.Cell) (string, error) {
	g, err := consent.Granted(p.Signed, []ed25519.PublicKey{p.server}, consent.PurposeShareSignals, heard)
	if err != nil {
		return "", err
	}
	pending, err := signal.New(g, in, heard, aloud.SourceMicrophone, cell)
	if err != nil {
		return "", err
	}
	return pending.Sign(p.Key, sent)
}

// Withdraw signs the end of a purpose.
func (p *Person) Withdraw(purpose consent.Purpose, now time.Time) (string, error) {
	return consent.SignWithdrawal(consent.Withdrawal{
		ID: consent.NewEndingID(), Participant: p.ID, Receipt: p.Receipt.Hash(), Purpose: purpose, At: now,
	}, p.Key)
}

// Erase signs the end of everything.
func (p *Person) Erase(now time.Time) (string, error) {
	return consent.SignErasure(consent.Erasure{ID: consent.NewEndingID(), Participant: p.ID, At: now}, p.Key)
}
