package ledger

import "aloud.example/aloud"

// LeafSize is the length of every leaf of version 1.
const LeafSize = 2 + 32

const leafVersion = 1

// Leaf is one entry of the log.
type Leaf struct {
	Kind       Kind
	Commitment aloud.Hash
}

// Bytes is the leaf as the log holds it.
func (l Leaf) Bytes() []byte {
	b := make([]byte, 0, LeafSize)
	b = append(b, leafVersion, byte(l.Kind))
	return append(b, l.Commitment[:]...)
}

// ParseLeaf reads what Bytes wrote and refuses everything else.
func ParseLeaf(b []byte) (Leaf, error) {
	if len(b) != LeafSize {
		return Leaf{}, aloud.Errorf(aloud.EINVALID, "a leaf has %d bytes, this has %d", LeafSize, len(b))
	}
	if b[0] != leafVersion {
		return Leaf{}, aloud.Errorf(aloud.EINVALID, "the leaf has version %d, this build reads version %d", b[0], leafVersion)
	}
	l := Leaf{Kind: Kind(b[1]), Commitment: aloud.Hash(b[2:])}
	if !l.Kind.Valid() || l.Commitment.IsZero() {
		return Leaf{}, aloud.Errorf(aloud.EINVALID, "the leaf's kind or commitment is not one")
	}
	return l, nil
}
