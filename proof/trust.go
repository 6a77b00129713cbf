package proof

import (
	"crypto/ed25519"
	"encoding/json"

	"golang.org/x/mod/sumdb/note"

	"aloud.example/aloud"
	"aloud.example/aloud/consent/jws"
)

// Trust is what a verifier takes for granted.
type Trust struct {
	ServerKeys []ed25519.PublicKey // who may countersign receipts and sign evidence
	LogVKey    string              // the log's verifier key, in the note format
}

// maxTrust bounds a trust file.
const maxTrust = 64 << 10

// ParseTrust reads a trust file: JSON with "log_vkey", and "server_keys", a list
// of JWKs, or "server_key", one. Other members are ignored, so that what a
// device keeps at enrolment and what GET /v1/notice serves can both be given.
func ParseTrust(data []byte) (Trust, error) {
	if len(data) > maxTrust {
		return Trust{}, aloud.Errorf(aloud.ETOOLARGE, "a trust file may have %d bytes, this has %d", maxTrust, len(data))
	}
	var f struct {
		ServerKeys []jws.JWK `json:"server_keys"`
		ServerKey  *jws.JWK  `json:"server_key"`
		LogVKey    string    `json:"log_vkey"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return Trust{}, aloud.Errorf(aloud.EINVALID, `the trust file is not JSON with "server_keys" and "log_vkey": %w`, err)
	}
	if f.ServerKey != nil {
		f.ServerKeys = append(f.ServerKeys, *f.ServerKey)
	}
	t := Trust{LogVKey: f.LogVKey}
	for _, k := range f.ServerKeys {
		pub, err := k.Public()
		if err != nil {
			return Trust{}, aloud.Errorf(aloud.EINVALID, "the trust file's server key: %w", err)
		}
		t.ServerKeys = append(t.ServerKeys, pub)
	}
	_, err := t.log()
	return t, err
}

func (t Trust) log() (note.Verifier, error) {
	if len(t.ServerKeys) == 0 {
		return nil, aloud.Errorf(aloud.EINVALID, "nobody is trusted: give the server's key")
	}
	v, err := note.NewVerifier(t.LogVKey)
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "the log's verifier key (log_vkey) is not one in the note format: %w", err)
	}
	return v, nil
}
