package tiles

import (
	"crypto/rand"

	"golang.org/x/mod/sumdb/note"

	"aloud.example/aloud"
)

// NewKey makes the log's key pair in the note format: the signer's key, which
// is secret, and the verifier's, which anyone pins. The origin is the log's
// name, such as "aloud.example/log": no spaces, no plus sign.
func NewKey(origin string) (skey, vkey string, err error) {
	skey, vkey, err = note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return "", "", aloud.Errorf(aloud.EINVALID, "make the log's key: %w", err)
	}
	if _, err := note.NewSigner(skey); err != nil {
		return "", "", aloud.Errorf(aloud.EINVALID, "the log's name %.80q must have no spaces and no plus sign: %w", origin, err)
	}
	return skey, vkey, nil
}
