package aloud

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"strings"
)

// The typed ids. Each is a prefix, an underscore and 128 random bits in 26
// lower-case base32 letters, so that a participant's id can't be passed where
// a bid's is wanted and none of them says anything about its bearer.
type (
	ParticipantID string // p_…, the pseudonym a device makes at enrolment
	SignalID      string // s_…, the jti of a signal
	ReceiptID     string // r_…, the record id of a consent receipt
	AudienceID    string // a_…
	AdvertiserID  string // v_…
	CampaignID    string // c_…
	LineID        string // l_…
	CreativeID    string // k_…
	BidID         string // b_…
)

// The constructors draw from crypto/rand, which never fails.
func NewParticipantID() ParticipantID { return ParticipantID(newID("p_")) }
func NewSignalID() SignalID           { return SignalID(newID("s_")) }
func NewReceiptID() ReceiptID         { return ReceiptID(newID("r_")) }
func NewAudienceID() AudienceID       { return AudienceID(newID("a_")) }
func NewAdvertiserID() AdvertiserID   { return AdvertiserID(newID("v_")) }
func NewCampaignID() CampaignID       { return CampaignID(newID("c_")) }
func NewLineID() LineID               { return LineID(newID("l_")) }
func NewCreativeID() CreativeID       { return CreativeID(newID("k_")) }
func NewBidID() BidID                 { return BidID(newID("b_")) }

// Valid reports whether the id has the one form its constructor gives it.
func (id ParticipantID) Valid() bool { return validID(string(id), "p_") }
func (id SignalID) Valid() bool      { return validID(string(id), "s_") }
func (id ReceiptID) Valid() bool     { return validID(string(id), "r_") }
func (id AudienceID) Valid() bool    { return validID(string(id), "a_") }
func (id AdvertiserID) Valid() bool  { return validID(string(id), "v_") }
func (id CampaignID) Valid() bool    { return validID(string(id), "c_") }
func (id LineID) Valid() bool        { return validID(string(id), "l_") }
func (id CreativeID) Valid() bool    { return validID(string(id), "k_") }
func (id BidID) Valid() bool         { return validID(string(id), "b_") }

const idAlphabet = "abcdefghijklmnopqrstuvwxyz234567" // RFC 4648 base32, lower case

func newID(prefix string) string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // documented never to return an error
	return prefix + base32.NewEncoding(idAlphabet).WithPadding(base32.NoPadding).EncodeToString(b[:])
}

func validID(s, prefix string) bool {
	rest, ok := strings.CutPrefix(s, prefix)
	if !ok || len(rest) != 26 {
		return false
	}
	for _, c := range rest {
		if !strings.ContainsRune(idAlphabet, c) {
			return false
		}
	}
	return true
}

// Hash is a SHA-256 sum. As text it is unpadded base64url (RFC 4648 §5).
type Hash [32]byte

// IsZero reports whether h was never set.
func (h Hash) IsZero() bool { return h == Hash{} }

// String returns the 43 letters of the text form.
func (h Hash) String() string { return base64.RawURLEncoding.EncodeToString(h[:]) }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; it takes exactly the form
// that MarshalText gives, so that no two texts name one hash.
func (h *Hash) UnmarshalText(text []byte) error {
	b, err := base64.RawURLEncoding.Strict().DecodeString(string(text))
	if err != nil || len(b) != len(h) {
		return Errorf(EINVALID, "a hash is 43 letters of unpadded base64url, this is not")
	}
	copy(h[:], b)
	return nil
}
