package consent

import (
	"crypto/ed25519"
	"crypto/sha256"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent/jws"
)

// The limits of a receipt.
const (
	MaxReceipt    = 16 << 10            // bytes of a signed receipt as JSON
	DefaultExpiry = 90 * 24 * time.Hour // of each purpose
	MaxExpiry     = 366 * 24 * time.Hour

	receiptSchema     = "aloud-receipt/1"
	receiptService    = "aloud"
	receiptWithdrawal = "run: aloud withdraw PURPOSE (one purpose), aloud withdraw --all, or aloud erase (everything)"
	lawfulBasis       = "consent"
	consentType       = "EXPLICIT"
	stateGiven        = "consent given"
)

// Method says how the choices were made.
type Method string

// The methods. A server that is not simulated refuses MethodScript.
const (
	MethodTerminal Method = "terminal" // typed, purpose by purpose
	MethodWeb      Method = "web"      // tapped, purpose by purpose
	MethodScript   Method = "script"   // by flags, for simulated participants alone
)

// Receipt is one decision on one notice. The comment of each field names its
// counterpart in ISO/IEC TS 27560 ("T") and in Kantara's Consent Receipt 1.1
// ("K"), where it has one.
type Receipt struct {
	Schema      string              `json:"schema_version"`    // T schema_version; K version
	ID          aloud.ReceiptID     `json:"record_id"`         // T record_id; K consentReceiptID
	Participant aloud.ParticipantID `json:"pii_principal_id"`  // T pii_principal_id; K piiPrincipalId
	DeviceKey   jws.JWK             `json:"public_key"`        // K publicKey
	Time        time.Time           `json:"event_time"`        // T event_time; K consentTimestamp; whole seconds, UTC
	State       string              `json:"event_state"`       // T event_state
	Language    string              `json:"language"`          // T language; K language
	Service     string              `json:"service"`           // K services[].service
	Method      Method              `json:"collection_method"` // T collection_method; K collectionMethod
	Controllers []Controller        `json:"pii_controllers"`   // T pii_controllers; K piiControllers
	Notice      KeptNotice          `json:"privacy_notice"`    // T privacy_notice; K policyUrl, but the text itself
	Adult       bool                `json:"adult_statement"`   // the participant stated to be 18 or older
	Purposes    []Agreed            `json:"purposes"`          // T purposes; K services[].purposes
	Sensitive   bool                `json:"sensitive"`         // K sensitive: always false, see the suppressed kinds
	Withdrawal  string              `json:"withdrawal_method"` // T withdrawal_method; K services[].purposes[].termination
}

// KeptNotice is the exact text that was shown and its SHA-256.
type KeptNotice struct {
	Version  string       `json:"version"`
	Text     string       `json:"text"`
	Purposes []NoticeItem `json:"purposes"`
	SHA256   aloud.Hash   `json:"sha256"` // of Notice.Full
}

// Agreed is one purpose that was agreed to; one that was not has no entry.
type Agreed struct {
	Purpose     Purpose   `json:"purpose"`                // T purpose; K purpose
	ConsentType string    `json:"consent_type"`           // K consentType
	LawfulBasis string    `json:"lawful_basis"`           // T lawful_basis
	PII         []string  `json:"pii_information"`        // T pii_information; K piiCategory
	Primary     bool      `json:"primary_purpose"`        // K primaryPurpose
	ThirdParty  bool      `json:"third_party_disclosure"` // K thirdPartyDisclosure
	Recipients  []string  `json:"recipient_third_parties"`
	Expires     time.Time `json:"expires"` // T validity_duration, as its end; K termination
}

// Choice is one purpose a participant agreed to, and until when.
type Choice struct {
	Purpose Purpose
	Expires time.Time
}

// Decision is what NewReceipt turns into a receipt.
type Decision struct {
	Participant aloud.ParticipantID
	DeviceKey   ed25519.PublicKey
	Notice      Notice
	Adult       bool
	Method      Method
	Choices     []Choice // only what was agreed to
	At          time.Time
}

// NewReceipt writes a decision down. It refuses one without a purpose, without
// the statement of being an adult, or on an incomplete notice.
func NewReceipt(d Decision) (Receipt, error) {
	if err := d.Notice.Check(); err != nil {
		return Receipt{}, err
	}
	r := Receipt{
		Schema: receiptSchema, ID: aloud.NewReceiptID(), Participant: d.Participant,
		DeviceKey: jws.NewJWK(d.DeviceKey), Time: d.At.UTC().Truncate(time.Second), State: stateGiven,
		Language: d.Notice.Language, Service: receiptService, Method: d.Method,
		Controllers: []Controller{d.Notice.Controller},
		Notice:      KeptNotice{Version: d.Notice.Version, Text: d.Notice.Text, Purposes: d.Notice.Purposes, SHA256: d.Notice.Hash()},
		Adult:       d.Adult, Withdrawal: receiptWithdrawal,
	}
	for _, p := range AllPurposes() {
		for _, c := range d.Choices {
			if c.Purpose == p {
				r.Purposes = append(r.Purposes, agreed(p, c.Expires))
			}
		}
	}
	if len(r.Purposes) != len(d.Choices) {
		return Receipt{}, aloud.Errorf(aloud.EINVALID, "the decision names a purpose that does not exist")
	}
	return r, r.check()
}

// agreed fills in what follows from the purpose alone.
func agreed(p Purpose, expires time.Time) Agreed {
	g := Agreed{
		Purpose: p, ConsentType: consentType, LawfulBasis: lawfulBasis,
		PII: []string{}, Recipients: []string{}, Expires: expires.UTC().Truncate(time.Second),
	}
	switch p {
	case PurposeListen:
		g.PII, g.Primary = []string{"speech, in the device's memory only"}, true
	case PurposeShareSignals:
		g.PII, g.Primary = []string{"purchase intents", "coarse area, if given"}, true
	case PurposeMatchBehaviour:
		g.PII = []string{"behavioural events", "identifiers issued to the participant"}
	case PurposePersonaliseAds:
		g.PII = []string{"membership in groups of 50 or more", "an identifier issued for ad exchanges"}
		g.ThirdParty, g.Recipients = true, []string{"ad exchanges"}
	case PurposeMeasure:
		g.PII = []string{"impressions", "clicks", "conversions"}
	}
	return g
}

// payload is r in its one spelling.
func (r Receipt) payload() ([]byte, error) { return jws.Marshal(r) }

// Hash is the SHA-256 of the exact bytes that both signatures cover. Those are
// the one canonical spelling of r, so a receipt that was read has the hash of
// the bytes it was read from. It is zero for a receipt that can't be written.
func (r Receipt) Hash() aloud.Hash {
	b, err := r.payload()
	if err != nil {
		return aloud.Hash{}
	}
	return sha256.Sum256(b)
}

// notice is the notice as it was shown.
func (r Receipt) notice() Notice {
	n := Notice{Version: r.Notice.Version, Language: r.Language, Text: r.Notice.Text, Purposes: r.Notice.Purposes}
	if len(r.Controllers) == 1 {
		n.Controller = r.Controllers[0]
	}
	return n
}

// Expires returns when a purpose ends by itself, and whether it was granted.
func (r Receipt) Expires(p Purpose) (time.Time, bool) {
	for _, g := range r.Purposes {
		if g.Purpose == p {
			return g.Expires, true
		}
	}
	return time.Time{}, false
}

// check refuses a receipt that NewReceipt would not have made.
func (r Receipt) check() error {
	switch {
	case r.Schema != receiptSchema:
		return aloud.Errorf(aloud.EINVALID, "the receipt's schema_version must be %q", receiptSchema)
	case !r.ID.Valid() || !r.Participant.Valid():
		return aloud.Errorf(aloud.EINVALID, "the receipt needs a record_id (r_…) and a pii_principal_id (p_…)")
	case r.State != stateGiven || r.Service != receiptService || r.Withdrawal != receiptWithdrawal || r.Sensitive:
		return aloud.Errorf(aloud.EINVALID, "the receipt's event_state, service, sensitive and withdrawal_method must be as documented")
	case r.Method != MethodTerminal && r.Method != MethodWeb && r.Method != MethodScript:
		return aloud.Errorf(aloud.EINVALID, "the receipt's collection_method must be terminal, web or script")
	case !r.Adult:
		return aloud.Errorf(aloud.EFORBIDDEN, "only adults can agree: the receipt lacks the statement of being 18 or older")
	case len(r.Controllers) != 1:
		return aloud.Errorf(aloud.EINVALID, "the receipt must name one controller")
	case r.notice().Hash() != r.Notice.SHA256:
		return aloud.Errorf(aloud.EINVALID, "the receipt's notice does not have the SHA-256 it states")
	case !wholeSecond(r.Time) || r.Time.Year() < 2020 || r.Time.Year() > 9000:
		return aloud.Errorf(aloud.EINVALID, "the receipt's event_time must be whole seconds in UTC")
	}
	if _, err := r.DeviceKey.Public(); err != nil {
		return aloud.Errorf(aloud.EINVALID, "the receipt's public_key: %w", err)
	}
	if err := r.notice().Check(); err != nil {
		return err
	}
	return r.checkPurposes()
}

func (r Receipt) checkPurposes() error {
	if len(r.Purposes) == 0 {
		return aloud.Errorf(aloud.EINVALID, "the receipt grants no purpose, so there is nothing to agree to")
	}
	last := -1
	for _, g := range r.Purposes {
		if g.Purpose.rank() <= last {
			return aloud.Errorf(aloud.EINVALID, "the receipt's purposes must be known ones, each once, in the documented order")
		}
		last = g.Purpose.rank()
		if !same(g, agreed(g.Purpose, g.Expires)) {
			return aloud.Errorf(aloud.EINVALID, "the receipt's entry for %s is not as documented", g.Purpose)
		}
		if !g.Expires.After(r.Time) || g.Expires.Sub(r.Time) > MaxExpiry {
			return aloud.Errorf(aloud.EINVALID, "the receipt's expiry of %s must be after its time, by at most %d days", g.Purpose, int(MaxExpiry.Hours()/24))
		}
	}
	return nil
}

// same compares by the canonical spelling, which is what was signed.
func same(a, b Agreed) bool {
	x, err1 := jws.Marshal(a)
	y, err2 := jws.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

func wholeSecond(t time.Time) bool { return t.Nanosecond() == 0 && t.Location() == time.UTC }

// KeyID names a key: its RFC 7638 thumbprint.
func KeyID(pub ed25519.PublicKey) string { return jws.Thumbprint(pub) }
