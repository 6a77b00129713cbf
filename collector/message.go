package collector

import (
	"encoding/binary"
	"hash/fnv"

	"aloud.example/aloud"
)

// Partitions is into how many parts the participants are split. It is part of
// the stored format: a data directory keeps it for life.
const Partitions = 64

// PartitionOf is the partition that a participant's messages go to.
func PartitionOf(p aloud.ParticipantID) uint16 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(p))
	return uint16(h.Sum32() % Partitions)
}

// Message is one group of envelopes as the stream keeps it.
type Message struct {
	Partition uint16
	Seq       uint64 // the stream's sequence, from 1
	Data      []byte
}

// Kind says what an envelope holds.
type Kind uint8

// The kinds. A rule and an erasure are readable without a key: a rule is about
// nobody, and an erasure must outlive the keys it ends.
const (
	KindReceipt    Kind = 1 // a countersigned receipt, under the record key
	KindLink       Kind = 2 // an identifier issued to a participant, under the purpose's key
	KindSignal     Kind = 3 // a signal's token, under share_signals
	KindEvent      Kind = 4 // a behavioural event, under match_behaviour
	KindWithdrawal Kind = 5 // a withdrawal's token, under the record key
	KindErased     Kind = 6 // that a participant is gone, named by a hash
	KindRule       Kind = 7 // an audience's rule, from here on in this partition
)

// Valid reports whether k is one of the kinds.
func (k Kind) Valid() bool { return k >= KindReceipt && k <= KindRule }

// String is the name used in logs, metrics and the dead-letter table.
func (k Kind) String() string {
	switch k {
	case KindReceipt:
		return "receipt"
	case KindLink:
		return "link"
	case KindSignal:
		return "signal"
	case KindEvent:
		return "event"
	case KindWithdrawal:
		return "withdrawal"
	case KindErased:
		return "erased"
	case KindRule:
		return "rule"
	}
	return "unknown"
}

// Handle names a key without naming whose it is: 16 random bytes for each
// participant and purpose.
type Handle [16]byte

// Envelope is one member of a group. Only the holder of the key that Handle
// names can read Ciphertext; KindErased and KindRule hold plain bytes.
type Envelope struct {
	Partition  uint16
	Handle     Handle
	Kind       Kind
	Ciphertext []byte
}

// The limits of a group. The stream takes messages of up to 1 MiB.
const (
	MaxGroup      = 512       // envelopes
	MaxGroupBytes = 768 << 10 // of a group as stored
	maxCiphertext = 64 << 10  // of one envelope; the largest is a receipt

	groupVersion  = 1
	groupHeader   = 1 + 2 + 2  // version, partition, count
	envelopeExtra = 1 + 16 + 4 // kind, handle, length
)

// EncodeGroup writes envelopes of one partition in the form that DecodeGroup
// reads: version, partition, count, then each kind, handle, length and bytes.
// Integers are big endian.
func EncodeGroup(partition uint16, envelopes []Envelope) ([]byte, error) {
	if len(envelopes) == 0 || len(envelopes) > MaxGroup {
		return nil, aloud.Errorf(aloud.EINTERNAL, "a group holds 1 to %d envelopes, not %d", MaxGroup, len(envelopes))
	}
	size := groupHeader
	for _, e := range envelopes {
		size += envelopeExtra + len(e.Ciphertext)
	}
	b := make([]byte, 0, size)
	b = append(b, groupVersion)
	b = binary.BigEndian.AppendUint16(b, partition)
	b = binary.BigEndian.AppendUint16(b, uint16(len(envelopes)))
	for _, e := range envelopes {
		if e.Partition != partition || !e.Kind.Valid() || len(e.Ciphertext) > maxCiphertext {
			return nil, aloud.Errorf(aloud.EINTERNAL, "an envelope of kind %s does not fit its group", e.Kind)
		}
		b = append(b, byte(e.Kind))
		b = append(b, e.Handle[:]...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(e.Ciphertext)))
		b = append(b, e.Ciphertext...)
	}
	return b, nil
}

// DecodeGroup reads what EncodeGroup wrote and refuses everything else. The
// envelopes' bytes are b's own.
func DecodeGroup(b []byte) (partition uint16, envelopes []Envelope, err error) {
	if len(b) < groupHeader || b[0] != groupVersion {
		return 0, nil, aloud.Errorf(aloud.EINVALID, "not a group of envelopes of version %d", groupVersion)
	}
	partition = binary.BigEndian.Uint16(b[1:])
	n := int(binary.BigEndian.Uint16(b[3:]))
	if partition >= Partitions || n == 0 || n > MaxGroup {
		return 0, nil, aloud.Errorf(aloud.EINVALID, "the group's partition or count is out of range")
	}
	b = b[groupHeader:]
	envelopes = make([]Envelope, 0, n)
	for range n {
		if len(b) < envelopeExtra {
			return 0, nil, aloud.Errorf(aloud.EINVALID, "the group ends within an envelope")
		}
		e := Envelope{Partition: partition, Kind: Kind(b[0]), Handle: Handle(b[1:17])}
		size := binary.BigEndian.Uint32(b[17:])
		b = b[envelopeExtra:]
		if !e.Kind.Valid() || size > maxCiphertext || int(size) > len(b) {
			return 0, nil, aloud.Errorf(aloud.EINVALID, "an envelope's kind or length is out of range")
		}
		e.Ciphertext, b = b[:size:size], b[size:]
		envelopes = append(envelopes, e)
	}
	if len(b) != 0 {
		return 0, nil, aloud.Errorf(aloud.EINVALID, "the group has %d bytes too many", len(b))
	}
	return partition, envelopes, nil
}
