package consent

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent/jws"
)

// The types and the size of the two tokens that end things.
const (
	typeWithdrawal = "aloud-withdrawal+jwt"
	typeErasure    = "aloud-erasure+jwt"
	maxEnding      = 1024
)

// Withdrawal ends one purpose of one receipt.
type Withdrawal struct {
	ID          string              // jti: 128 random bits in base64url
	Participant aloud.ParticipantID // sub
	Receipt     aloud.Hash          // rcp
	Purpose     Purpose             // pur
	At          time.Time           // iat, whole seconds
}

// Erasure ends everything: the participant's data is to become unreadable.
type Erasure struct {
	ID          string              // jti
	Participant aloud.ParticipantID // sub
	At          time.Time           // iat, whole seconds
}

type withdrawalClaims struct {
	JTI string              `json:"jti"`
	Sub aloud.ParticipantID `json:"sub"`
	Rcp aloud.Hash          `json:"rcp"`
	Pur Purpose             `json:"pur"`
	IAT int64               `json:"iat"`
}

type erasureClaims struct {
	JTI string              `json:"jti"`
	Sub aloud.ParticipantID `json:"sub"`
	IAT int64               `json:"iat"`
}

// NewEndingID makes the ID of a Withdrawal or an Erasure.
func NewEndingID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // documented never to return an error
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// SignWithdrawal makes the token.
func SignWithdrawal(w Withdrawal, key ed25519.PrivateKey) (string, error) {
	c := withdrawalClaims{JTI: w.ID, Sub: w.Participant, Rcp: w.Receipt, Pur: w.Purpose, IAT: w.At.Unix()}
	if err := c.check(); err != nil {
		return "", err
	}
	payload, err := jws.Marshal(c)
	if err != nil {
		return "", err
	}
	return jws.Sign(typeWithdrawal, payload, key)
}

// ParseWithdrawal reads a token and checks its signature by the device key that
// is on record for the participant it names; see PeekWithdrawal.
func ParseWithdrawal(token string, device ed25519.PublicKey) (Withdrawal, error) {
	m, c, err := readWithdrawal(token)
	if err != nil {
		return Withdrawal{}, err
	}
	return c.withdrawal(), m.Verify(device)
}

// PeekWithdrawal reads a token without checking its signature, to learn whose
// key to check it by.
func PeekWithdrawal(token string) (Withdrawal, error) {
	_, c, err := readWithdrawal(token)
	if err != nil {
		return Withdrawal{}, err
	}
	return c.withdrawal(), nil
}

func readWithdrawal(token string) (m jws.Message, c withdrawalClaims, err error) {
	if m, err = jws.Parse(token, typeWithdrawal, maxEnding); err != nil {
		return m, c, err
	}
	if err = jws.Unmarshal(m.Payload, &c); err != nil {
		return m, c, aloud.Errorf(aloud.EINVALID, "the withdrawal: %w", err)
	}
	return m, c, c.check()
}

func (c withdrawalClaims) withdrawal() Withdrawal {
	return Withdrawal{ID: c.JTI, Participant: c.Sub, Receipt: c.Rcp, Purpose: c.Pur, At: time.Unix(c.IAT, 0).UTC()}
}

func (c withdrawalClaims) check() error {
	if c.Rcp.IsZero() || !c.Pur.Valid() {
		return aloud.Errorf(aloud.EINVALID, "a withdrawal names a receipt (rcp) and one of the purposes (pur)")
	}
	return checkEnding(c.JTI, c.Sub, c.IAT)
}

// SignErasure makes the token.
func SignErasure(e Erasure, key ed25519.PrivateKey) (string, error) {
	c := erasureClaims{JTI: e.ID, Sub: e.Participant, IAT: e.At.Unix()}
	if err := c.check(); err != nil {
		return "", err
	}
	payload, err := jws.Marshal(c)
	if err != nil {
		return "", err
	}
	return jws.Sign(typeErasure, payload, key)
}

// ParseErasure is ParseWithdrawal for an erasure.
func ParseErasure(token string, device ed25519.PublicKey) (Erasure, error) {
	m, c, err := readErasure(token)
	if err != nil {
		return Erasure{}, err
	}
	return c.erasure(), m.Verify(device)
}

// PeekErasure is PeekWithdrawal for an erasure.
func PeekErasure(token string) (Erasure, error) {
	_, c, err := readErasure(token)
	if err != nil {
		return Erasure{}, err
	}
	return c.erasure(), nil
}

func readErasure(token string) (m jws.Message, c erasureClaims, err error) {
	if m, err = jws.Parse(token, typeErasure, maxEnding); err != nil {
		return m, c, err
	}
	if err = jws.Unmarshal(m.Payload, &c); err != nil {
		return m, c, aloud.Errorf(aloud.EINVALID, "the erasure: %w", err)
	}
	return m, c, c.check()
}

func (c erasureClaims) erasure() Erasure {
	return Erasure{ID: c.JTI, Participant: c.Sub, At: time.Unix(c.IAT, 0).UTC()}
}

func (c erasureClaims) check() error { return checkEnding(c.JTI, c.Sub, c.IAT) }

func checkEnding(jti string, sub aloud.ParticipantID, iat int64) error {
	if b, err := base64.RawURLEncoding.Strict().DecodeString(jti); err != nil || len(b) != 16 || len(jti) != 22 {
		return aloud.Errorf(aloud.EINVALID, `the "jti" must be 16 random bytes in unpadded base64url`)
	}
	if !sub.Valid() {
		return aloud.Errorf(aloud.EINVALID, `the "sub" must be a participant (p_…)`)
	}
	if iat <= 0 || iat > maxUnix {
		return aloud.Errorf(aloud.EINVALID, `the "iat" must be a time in seconds since 1970`)
	}
	return nil
}

// maxUnix is the end of the year 9999.
const maxUnix = 253402300799
