package ledger

import "aloud.example/aloud"

// Kind is the step of the story that a leaf commits to. The numbers are part
// of the log's format.
type Kind uint8

// The kinds.
const (
	KindReceipt    Kind = 1 // a consent was countersigned
	KindSignal     Kind = 2 // a signal was counted
	KindMembership Kind = 3 // a participant came into an audience, or left it
	KindWithdrawal Kind = 4 // a purpose ended
	KindErasure    Kind = 5 // a participant is gone
	KindImpression Kind = 6 // a bid was won, shown and billed
)

var kindNames = [...]string{
	KindReceipt: "receipt", KindSignal: "signal", KindMembership: "membership",
	KindWithdrawal: "withdrawal", KindErasure: "erasure", KindImpression: "impression",
}

// ParseKind finds a kind by its name.
func ParseKind(name string) (Kind, error) {
	for k, n := range kindNames {
		if n == name && n != "" {
			return Kind(k), nil
		}
	}
	return 0, aloud.Errorf(aloud.EINVALID, "the ledger has no records of kind %.40q", name)
}

// Valid reports whether k is one of the kinds.
func (k Kind) Valid() bool { return k >= KindReceipt && int(k) < len(kindNames) }

// String is the kind's name in records and evidence.
func (k Kind) String() string {
	if !k.Valid() {
		return "unknown"
	}
	return kindNames[k]
}
