// Package jws is the small, strict part of JSON Web Signature (RFC 7515) that
// Aloud signs with: Ed25519 alone (RFC 8037), one exact type per message, and
// one possible spelling of each payload.
//
// In: a payload and a key, or foreign bytes. Out: a compact token, or a message
// whose signature was checked. It never chooses an algorithm by what a header
// says, never ignores a header it doesn't know, and never accepts a second
// spelling of the same message: a member twice, in another order, with another
// case, spaces or padding is refused. So a token's bytes identify it, and two
// implementations can't read it differently.
package jws

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"aloud.example/aloud"
)

// alg is the only algorithm.
const alg = "EdDSA"

// header is the protected header; its members have this order on the wire.
type header struct {
	Alg string `json:"alg"`
	Typ string `json:"typ"`
	Kid string `json:"kid"`
	IAT int64  `json:"iat,omitempty"` // only where the signer is not the author
}

// JWK is an Ed25519 public key as RFC 8037 writes it.
type JWK struct {
	Crv string `json:"crv"`
	Kty string `json:"kty"`
	X   string `json:"x"`
}

// NewJWK writes a public key.
func NewJWK(pub ed25519.PublicKey) JWK {
	return JWK{Crv: "Ed25519", Kty: "OKP", X: base64.RawURLEncoding.EncodeToString(pub)}
}

// Public reads the key; it refuses other kinds and points of small order,
// under which one signature fits many messages.
func (k JWK) Public() (ed25519.PublicKey, error) {
	if k.Kty != "OKP" || k.Crv != "Ed25519" {
		return nil, aloud.Errorf(aloud.EINVALID, `a key must be a JWK with "kty":"OKP" and "crv":"Ed25519"`)
	}
	x, err := base64.RawURLEncoding.Strict().DecodeString(k.X)
	if err != nil || len(x) != ed25519.PublicKeySize || strings.ContainsAny(k.X, "\r\n") {
		return nil, aloud.Errorf(aloud.EINVALID, `a key's "x" must be 32 bytes in unpadded base64url`)
	}
	if smallOrder(x) {
		return nil, aloud.Errorf(aloud.EINVALID, "this key is a point of small order; make a new key")
	}
	return x, nil
}

// Thumbprint is the RFC 7638 name of a key: the SHA-256 of its JWK's required
// members in alphabetical order, in base64url.
func Thumbprint(pub ed25519.PublicKey) string {
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + base64.RawURLEncoding.EncodeToString(pub) + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Sign makes a compact token of the given type.
func Sign(typ string, payload []byte, key ed25519.PrivateKey) (string, error) {
	if len(key) != ed25519.PrivateKeySize {
		return "", aloud.Errorf(aloud.EINVALID, "signing needs an Ed25519 private key of %d bytes, this has %d", ed25519.PrivateKeySize, len(key))
	}
	body := base64.RawURLEncoding.EncodeToString(payload)
	protected, signature, err := SignDetached(typ, 0, body, key)
	if err != nil {
		return "", err
	}
	return protected + "." + body + "." + signature, nil
}

// SignDetached signs an encoded payload and returns the encoded header and
// signature, the two members of a signature in the General JSON Serialization.
// A signer who is not the author states its time by iat; others give 0.
func SignDetached(typ string, iat int64, payload string, key ed25519.PrivateKey) (protected, signature string, err error) {
	if len(key) != ed25519.PrivateKeySize {
		return "", "", aloud.Errorf(aloud.EINVALID, "signing needs an Ed25519 private key of %d bytes, this has %d", ed25519.PrivateKeySize, len(key))
	}
	pub := key.Public().(ed25519.PublicKey)
	head, err := Marshal(header{Alg: alg, Typ: typ, Kid: Thumbprint(pub), IAT: iat})
	if err != nil {
		return "", "", err
	}
	protected = base64.RawURLEncoding.EncodeToString(head)
	signature = base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(protected+"."+payload)))
	return protected, signature, nil
}

// Message is one signature and what it covers. Nothing in it is proved before
// Verify.
type Message struct {
	KeyID   string
	IAT     int64  // of the header; 0 where it has none
	Payload []byte // the exact bytes

	input     string
	signature []byte
}

// Parse reads a compact token of one type and at most max bytes. It checks
// everything but the signature.
func Parse(token, typ string, max int) (Message, error) {
	if len(token) > max {
		return Message{}, aloud.Errorf(aloud.ETOOLARGE, "a token of type %s may have %d bytes, this has %d", typ, max, len(token))
	}
	protected, rest, _ := strings.Cut(token, ".")
	payload, signature, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(signature, ".") {
		return Message{}, aloud.Errorf(aloud.EINVALID, "a token is three parts joined by dots (JWS compact), this is not")
	}
	m, err := ParseDetached(protected, payload, signature, typ)
	if err != nil {
		return Message{}, err
	}
	if m.IAT != 0 {
		return Message{}, aloud.Errorf(aloud.EINVALID, `the header member "iat" does not belong into this token`)
	}
	return m, nil
}

// ParseDetached is Parse for the three parts apart.
func ParseDetached(protected, payload, signature, typ string) (Message, error) {
	head, err := decode64("header", protected)
	if err != nil {
		return Message{}, err
	}
	var h header
	if err := Unmarshal(head, &h); err != nil {
		return Message{}, aloud.Errorf(aloud.EINVALID, "the token's header: %w", err)
	}
	if h.Alg != alg {
		return Message{}, aloud.Errorf(aloud.EINVALID, "the token's algorithm must be EdDSA, not %.20q", h.Alg)
	}
	if h.Typ != typ {
		return Message{}, aloud.Errorf(aloud.EINVALID, "the token's type must be %q, not %.40q", typ, h.Typ)
	}
	m := Message{KeyID: h.Kid, IAT: h.IAT, input: protected + "." + payload}
	if m.Payload, err = decode64("payload", payload); err != nil {
		return Message{}, err
	}
	if m.signature, err = decode64("signature", signature); err != nil {
		return Message{}, err
	}
	if len(m.signature) != ed25519.SignatureSize {
		return Message{}, aloud.Errorf(aloud.EINVALID, "the token's signature must have %d bytes, this has %d", ed25519.SignatureSize, len(m.signature))
	}
	return m, nil
}

// Verify checks the signature by one key.
func (m Message) Verify(pub ed25519.PublicKey) error {
	if len(pub) != ed25519.PublicKeySize || smallOrder(pub) {
		return aloud.Errorf(aloud.EINVALID, "checking a signature needs an Ed25519 public key")
	}
	if m.KeyID != Thumbprint(pub) {
		return aloud.Errorf(aloud.EFORBIDDEN, "the token was signed by another key than the one on record")
	}
	if !ed25519.Verify(pub, []byte(m.input), m.signature) {
		return aloud.Errorf(aloud.EFORBIDDEN, "the token's signature does not fit its content")
	}
	return nil
}

// decode64 takes the one base64url text of some bytes: unpadded, no line
// breaks, unused bits zero.
func decode64(what, s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, aloud.Errorf(aloud.EINVALID, "the token's %s has a line break", what)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "the token's %s is not canonical unpadded base64url", what)
	}
	return b, nil
}

// smallOrder reports whether pub encodes one of the points of order 1, 2, 4 or
// 8, by its y coordinate, in every spelling that decoders take.
func smallOrder(pub []byte) bool {
	var y [32]byte
	copy(y[:], pub)
	y[31] &= 0x7f
	switch y {
	case [32]byte{}, [32]byte{1}, order8a, order8b, nearP(0xec), nearP(0xed), nearP(0xee):
		return true
	}
	return false
}

// nearP is the little-endian number 2^255 - 256 + low.
func nearP(low byte) (y [32]byte) {
	for i := range y {
		y[i] = 0xff
	}
	y[0], y[31] = low, 0x7f
	return y
}

var (
	order8a = [32]byte{
		0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
	}
	order8b = [32]byte{
		0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
	}
)
