package proof

import (
	"crypto/ed25519"
	"encoding/base64"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/consent/jws"
	"aloud.example/aloud/ledger"
)

// The limits of evidence. The largest part is the receipt.
const (
	MaxEvidence = 64 << 10 // bytes
	maxPath     = 63       // hashes from a leaf to the root

	format       = "aloud-evidence/1"
	typeEvidence = "aloud-evidence+jws"
)

// Evidence is what stands behind one impression.
type Evidence struct {
	Format     string   `json:"format"`
	Impression Record   `json:"impression"`
	Membership Record   `json:"membership"`
	Signal     Signal   `json:"signal"`
	Receipt    Receipt  `json:"receipt"`
	Renewed    *Receipt `json:"renewed,omitempty"`
	Checkpoint string   `json:"checkpoint"`
}

// Signal is a signal as its device signed it, and its record.
type Signal struct {
	Token  string `json:"token"`
	Record Record `json:"record"`
}

// Receipt is a countersigned receipt and its record.
type Receipt struct {
	Signed consent.Signed `json:"signed"`
	Record Record         `json:"record"`
}

// Record is one step of the story, shown, with its place in the log.
type Record struct {
	Kind   string         `json:"kind"`
	Fields []ledger.Field `json:"fields"`
	Leaf   uint64         `json:"leaf"`
	Path   []aloud.Hash   `json:"path"`
}

// Field is the value of a field, "" if the record has none of that name.
func (r Record) Field(name string) string {
	for _, f := range r.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// sealed is the form of the file.
type sealed struct {
	Evidence  Evidence `json:"evidence"`
	Protected string   `json:"protected"`
	Signature string   `json:"signature"`
}

// Seal writes evidence in its one spelling, signed by the server.
func Seal(e Evidence, key ed25519.PrivateKey) ([]byte, error) {
	e.Format = format
	body, err := jws.Marshal(e)
	if err != nil {
		return nil, err
	}
	s := sealed{Evidence: e}
	s.Protected, s.Signature, err = jws.SignDetached(typeEvidence, 0, base64.RawURLEncoding.EncodeToString(body), key)
	if err != nil {
		return nil, err
	}
	data, err := jws.Marshal(s)
	if err == nil && len(data) > MaxEvidence {
		return nil, aloud.Errorf(aloud.EINTERNAL, "the evidence has %d bytes, the limit is %d", len(data), MaxEvidence)
	}
	return data, err
}

// parse reads what Seal wrote, and only that.
func parse(data []byte) (sealed, error) {
	var s sealed
	if len(data) > MaxEvidence {
		return s, aloud.Errorf(aloud.ETOOLARGE, "evidence may have %d bytes, this has %d", MaxEvidence, len(data))
	}
	if err := jws.Unmarshal(data, &s); err != nil {
		return s, aloud.Errorf(aloud.EINVALID, "the evidence can't be read: %w", err)
	}
	if s.Evidence.Format != format {
		return s, aloud.Errorf(aloud.EINVALID, "the evidence is in the format %.40q, this build reads %q", s.Evidence.Format, format)
	}
	return s, nil
}

// checkSeal checks the server's signature over the whole.
func (s sealed) checkSeal(keys []ed25519.PublicKey) error {
	body, err := jws.Marshal(s.Evidence)
	if err != nil {
		return err
	}
	m, err := jws.ParseDetached(s.Protected, base64.RawURLEncoding.EncodeToString(body), s.Signature, typeEvidence)
	if err != nil {
		return err
	}
	if m.IAT != 0 {
		return aloud.Errorf(aloud.EINVALID, `the header member "iat" does not belong into evidence`)
	}
	for _, pub := range keys {
		if m.KeyID == jws.Thumbprint(pub) {
			return m.Verify(pub)
		}
	}
	return aloud.Errorf(aloud.EFORBIDDEN, "the evidence was signed by a key that is none of the trusted server's")
}
