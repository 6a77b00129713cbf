package collector

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"

	"aloud.example/aloud"
)

// Record is what the ledger commits to: one step of the story as named fields,
// each with a salt of its own, so that each can be shown without the others.
type Record struct {
	Seq    int64 // its place in the outbox; 0 before it has one
	Kind   string
	Fields []Field
}

// Field is one fact of a record.
type Field struct {
	Name  string `json:"n"`
	Value string `json:"v"`
	Salt  []byte `json:"s"` // 32 bytes
}

// The kinds of records.
const (
	RecordReceipt    = "receipt"
	RecordSignal     = "signal"
	RecordMembership = "membership"
	RecordWithdrawal = "withdrawal"
	RecordErasure    = "erasure"
)

// Committed says which leaf of the log holds a record's commitment.
type Committed struct {
	Seq        int64
	Commitment aloud.Hash
	Leaf       int64
}

// Seed is the secret that the salts of a message's records come from. It is
// drawn when the message is collected and kept inside its envelope, so that a
// replay makes the same records, and only the key's holder can make them.
type Seed [32]byte

// NewSeed draws a seed.
func NewSeed() (s Seed) {
	_, _ = rand.Read(s[:])
	return s
}

// NewRecord makes a record of fields, given as name, value, name, value …. The
// context tells apart records of one kind from one seed.
func NewRecord(seed Seed, kind, context string, namesAndValues ...string) Record {
	r := Record{Kind: kind}
	for i := 0; i+1 < len(namesAndValues); i += 2 {
		name := namesAndValues[i]
		r.Fields = append(r.Fields, Field{Name: name, Value: namesAndValues[i+1], Salt: seed.derive("salt", kind, context, name)})
	}
	return r
}

// RecordID names a record, the same in every replay, and says nothing about it
// to who lacks the seed.
func RecordID(seed Seed, kind, context string) aloud.Hash {
	return aloud.Hash(seed.derive("id", kind, context))
}

func (s Seed) derive(parts ...string) []byte {
	mac := hmac.New(sha256.New, s[:])
	for _, p := range parts {
		_, _ = mac.Write([]byte(p))
		_, _ = mac.Write([]byte{0})
	}
	return mac.Sum(nil)
}

// Field returns the value of a record's field, "" if it has none of that name.
func (r Record) Field(name string) string {
	for _, f := range r.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}
