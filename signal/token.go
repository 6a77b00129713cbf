package signal

import (
	"crypto/ed25519"

	"aloud.example/aloud"
	"aloud.example/aloud/consent/jws"
)

// Unverified is a well-formed token whose signature nobody checked.
type Unverified struct {
	message jws.Message
	claims  claims
}

// Parse reads a token without checking its signature, to learn whose key to
// check it by. Unknown, missing, repeated or reordered members are refused.
func Parse(token string) (Unverified, error) {
	m, err := jws.Parse(token, typ, MaxSize)
	if err != nil {
		return Unverified{}, err
	}
	var c claims
	if err := jws.Unmarshal(m.Payload, &c); err != nil {
		return Unverified{}, aloud.Errorf(aloud.EINVALID, "the signal: %w", err)
	}
	if err := c.check(); err != nil {
		return Unverified{}, err
	}
	return Unverified{message: m, claims: c}, nil
}

// Claimed is what the token says, believed by nobody yet.
func (u Unverified) Claimed() Signal { return u.claims.signal() }

// KeyID names the key the token says it was signed by.
func (u Unverified) KeyID() string { return u.message.KeyID }

// Verify checks the signature by the device key on record.
func (u Unverified) Verify(device ed25519.PublicKey) (Signal, error) {
	if u.claims.JTI == "" {
		return Signal{}, aloud.Errorf(aloud.EINVALID, "there is no token to verify")
	}
	if err := u.message.Verify(device); err != nil {
		return Signal{}, err
	}
	return u.claims.signal(), nil
}

// Verify is Parse and Unverified.Verify in one.
func Verify(token string, device ed25519.PublicKey) (Signal, error) {
	u, err := Parse(token)
	if err != nil {
		return Signal{}, err
	}
	return u.Verify(device)
}
