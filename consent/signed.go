package consent

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent/jws"
)

// The types of the two signatures over a receipt. They differ, so that neither
// can be passed off as the other.
const (
	typeDevice = "aloud-receipt+jws"
	typeServer = "aloud-receipt-countersign+jws"
)

// Signed is a receipt in the JWS General JSON Serialization: one payload, the
// device's signature first, the server's countersignature second.
type Signed struct {
	Payload    string      `json:"payload"`
	Signatures []Signature `json:"signatures"`
}

// Signature is one signature of a Signed.
type Signature struct {
	Protected string `json:"protected"`
	Signature string `json:"signature"`
}

// Sign makes the device's signature. The key must be the one in the receipt.
func Sign(r Receipt, key ed25519.PrivateKey) (Signed, error) {
	if err := r.check(); err != nil {
		return Signed{}, err
	}
	if len(key) != ed25519.PrivateKeySize || jws.NewJWK(key.Public().(ed25519.PublicKey)) != r.DeviceKey {
		return Signed{}, aloud.Errorf(aloud.EFORBIDDEN, "the receipt holds another device key than the one to sign with")
	}
	payload, err := r.payload()
	if err != nil {
		return Signed{}, err
	}
	s := Signed{Payload: base64.RawURLEncoding.EncodeToString(payload)}
	protected, signature, err := jws.SignDetached(typeDevice, 0, s.Payload, key)
	if err != nil {
		return Signed{}, err
	}
	s.Signatures = []Signature{{Protected: protected, Signature: signature}}
	return s, s.checkSize()
}

// Countersign adds the server's signature and its time to a receipt that the
// device signed. Doing so again replaces the server's signature.
func (s *Signed) Countersign(serverKey ed25519.PrivateKey, at time.Time) error {
	device := *s
	if len(device.Signatures) == 2 {
		device.Signatures = device.Signatures[:1:1]
	}
	r, err := VerifyDevice(device)
	if err != nil {
		return err
	}
	if len(serverKey) == ed25519.PrivateKeySize && jws.NewJWK(serverKey.Public().(ed25519.PublicKey)) == r.DeviceKey {
		return aloud.Errorf(aloud.EFORBIDDEN, "a device can't countersign its own receipt")
	}
	protected, signature, err := jws.SignDetached(typeServer, at.Unix(), s.Payload, serverKey)
	if err != nil {
		return err
	}
	s.Signatures = append(device.Signatures[:1:1], Signature{Protected: protected, Signature: signature})
	return s.checkSize()
}

// VerifyDevice checks everything but the countersignature, which need not be
// there yet: structure, limits and the device's signature.
func VerifyDevice(s Signed) (Receipt, error) {
	if err := s.checkSize(); err != nil {
		return Receipt{}, err
	}
	if n := len(s.Signatures); n != 1 && n != 2 {
		return Receipt{}, aloud.Errorf(aloud.EINVALID, "a receipt has the device's signature and the server's, this has %d", n)
	}
	m, err := jws.ParseDetached(s.Signatures[0].Protected, s.Payload, s.Signatures[0].Signature, typeDevice)
	if err != nil {
		return Receipt{}, err
	}
	if m.IAT != 0 {
		return Receipt{}, aloud.Errorf(aloud.EINVALID, `the header member "iat" does not belong into a device's signature`)
	}
	var r Receipt
	if err := jws.Unmarshal(m.Payload, &r); err != nil {
		return Receipt{}, aloud.Errorf(aloud.EINVALID, "the receipt: %w", err)
	}
	if err := r.check(); err != nil {
		return Receipt{}, err
	}
	pub, err := r.DeviceKey.Public()
	if err != nil {
		return Receipt{}, err
	}
	return r, m.Verify(pub)
}

// Verify checks both signatures; the second must be by one of serverKeys.
func Verify(s Signed, serverKeys ...ed25519.PublicKey) (Receipt, error) {
	r, err := VerifyDevice(s)
	if err != nil {
		return Receipt{}, err
	}
	if len(s.Signatures) != 2 {
		return Receipt{}, aloud.Errorf(aloud.EFORBIDDEN, "the receipt was not countersigned by the server; send it to the server first")
	}
	m, err := jws.ParseDetached(s.Signatures[1].Protected, s.Payload, s.Signatures[1].Signature, typeServer)
	if err != nil {
		return Receipt{}, err
	}
	for _, pub := range serverKeys {
		if m.KeyID != jws.Thumbprint(pub) || jws.NewJWK(pub) == r.DeviceKey {
			continue
		}
		if m.IAT < r.Time.Add(-MaxSkew).Unix() {
			return Receipt{}, aloud.Errorf(aloud.EINVALID, "the receipt was countersigned before it was made; set the clock of this device")
		}
		return r, m.Verify(pub)
	}
	return Receipt{}, aloud.Errorf(aloud.EFORBIDDEN, "the receipt was countersigned by a key that is none of the server's")
}

// MaxSkew is how far two honest clocks may differ.
const MaxSkew = 2 * time.Minute

// Countersigned is the time the server put on its signature, zero if there is
// none. Verify says whether to believe it.
func (s Signed) Countersigned() time.Time {
	if len(s.Signatures) != 2 {
		return time.Time{}
	}
	m, err := jws.ParseDetached(s.Signatures[1].Protected, s.Payload, s.Signatures[1].Signature, typeServer)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(m.IAT, 0).UTC()
}

// checkSize counts the bytes of the JSON form without writing it.
func (s Signed) checkSize() error {
	n := len(`{"payload":"","signatures":[]}`) + len(s.Payload)
	for _, x := range s.Signatures {
		n += len(`{"protected":"","signature":""},`) + len(x.Protected) + len(x.Signature)
	}
	if n > MaxReceipt {
		return aloud.Errorf(aloud.ETOOLARGE, "a signed receipt may have %d bytes, this has %d", MaxReceipt, n)
	}
	return nil
}

// ParseSigned reads the JSON form as strictly as jws reads tokens, except that
// spaces between members are allowed: the signatures don't cover them.
func ParseSigned(data []byte) (Signed, error) {
	var s Signed
	if len(data) > MaxReceipt {
		return Signed{}, aloud.Errorf(aloud.ETOOLARGE, "a signed receipt may have %d bytes, this has %d", MaxReceipt, len(data))
	}
	if err := json.Unmarshal(data, &s); err != nil {
		if coded := aloud.ErrorCode(err); coded != aloud.EINTERNAL {
			return Signed{}, err
		}
		return Signed{}, aloud.Errorf(aloud.EINVALID, "the signed receipt is not JSON as documented")
	}
	return s, nil
}

// UnmarshalJSON refuses unknown and repeated members, so that a receipt inside
// another message is read as strictly as one by itself.
func (s *Signed) UnmarshalJSON(data []byte) error {
	if len(data) > MaxReceipt {
		return aloud.Errorf(aloud.ETOOLARGE, "a signed receipt may have %d bytes, this has %d", MaxReceipt, len(data))
	}
	type plain Signed
	var p plain
	if err := jws.UnmarshalSpaced(data, &p); err != nil {
		return aloud.Errorf(aloud.EINVALID, "the signed receipt: %w", err)
	}
	*s = Signed(p)
	return nil
}
