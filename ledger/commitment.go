package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"unicode/utf8"

	"aloud.example/aloud"
)

// The limits of a record.
const (
	MaxFields = 32
	MaxName   = 40
	MaxValue  = 4096
)

// Field is one fact with the salt that hides it.
type Field struct {
	Name  string     `json:"name"`
	Value string     `json:"value"`
	Salt  aloud.Hash `json:"salt"` // 32 random bytes
}

// Hash is what the commitment holds of the field.
func (f Field) Hash() aloud.Hash {
	b := make([]byte, 0, 256)
	b = append(b, "aloud/field/1\x00"...)
	b = append(b, f.Salt[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(f.Name)))
	b = append(b, f.Name...)
	b = append(b, f.Value...)
	return sha256.Sum256(b)
}

// Commit hides a record's fields behind one hash. The order of the fields is
// part of it. It refuses a field without a salt, two of one name, and what is
// over the limits.
func Commit(k Kind, fields []Field) (aloud.Hash, error) {
	if !k.Valid() {
		return aloud.Hash{}, aloud.Errorf(aloud.EINVALID, "a commitment needs one of the documented kinds")
	}
	if len(fields) == 0 || len(fields) > MaxFields {
		return aloud.Hash{}, aloud.Errorf(aloud.EINVALID, "a %s record has 1 to %d fields, not %d", k, MaxFields, len(fields))
	}
	hashes := make([]aloud.Hash, len(fields))
	for i, f := range fields {
		if err := f.check(); err != nil {
			return aloud.Hash{}, aloud.Errorf(aloud.EINVALID, "the %s record: %w", k, err)
		}
		for _, other := range fields[:i] {
			if other.Name == f.Name {
				return aloud.Hash{}, aloud.Errorf(aloud.EINVALID, "the %s record has the field %q twice", k, f.Name)
			}
		}
		hashes[i] = f.Hash()
	}
	return CommitHashes(k, hashes), nil
}

// CommitHashes is Commit for who has only the hashes of some fields.
func CommitHashes(k Kind, hashes []aloud.Hash) aloud.Hash {
	b := make([]byte, 0, 64+32*len(hashes))
	b = append(b, "aloud/commitment/1\x00"...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(k.String())))
	b = append(b, k.String()...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(hashes)))
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return sha256.Sum256(b)
}

func (f Field) check() error {
	switch {
	case f.Name == "" || len(f.Name) > MaxName:
		return aloud.Errorf(aloud.EINVALID, "a field's name has 1 to %d letters", MaxName)
	case len(f.Value) > MaxValue:
		return aloud.Errorf(aloud.EINVALID, "the field %q has %d bytes, the limit is %d", f.Name, len(f.Value), MaxValue)
	case !utf8.ValidString(f.Name) || !utf8.ValidString(f.Value):
		return aloud.Errorf(aloud.EINVALID, "a field is UTF-8 text")
	case f.Salt.IsZero():
		return aloud.Errorf(aloud.EINVALID, "the field %q has no salt, so its hash would hide nothing", f.Name)
	}
	return nil
}
