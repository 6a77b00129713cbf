package collector

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
)

// Member is the content of one envelope, read.
type Member struct {
	Kind        Kind
	Participant aloud.ParticipantID // "" for a rule and an erasure
	Purpose     consent.Purpose     // of the key it was under
	At          time.Time           // when it was collected, by the server's clock
	Seed        Seed

	Receipt *consent.Signed // KindReceipt
	Link    *Link           // KindLink
	Token   string          // KindSignal, KindWithdrawal: the device's token
	Event   *SeenEvent      // KindEvent
	Ended   []Handle        // KindReceipt, KindWithdrawal: the keys it ends
	Forget  aloud.Hash      // KindErased
	Rule    *RuleChange     // KindRule
}

// Link is an identifier that was issued to a participant.
type Link struct {
	Kind   string `json:"kind"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

// SeenEvent is what is kept of a behavioural event: no properties, no text but
// its name.
type SeenEvent struct {
	ID     aloud.Hash `json:"id"` // of the source and its messageId
	Source string     `json:"source"`
	Name   string     `json:"name"`
	Time   int64      `json:"time"` // unix milliseconds
}

// RuleChange puts an audience's rule in force for what follows in a partition.
type RuleChange struct {
	Audience aloud.AudienceID `json:"audience"`
	Rule     json.RawMessage  `json:"rule"`
}

// payload is the plaintext of an envelope.
type payload struct {
	At      int64           `json:"at"` // unix milliseconds
	Seed    []byte          `json:"seed,omitempty"`
	Receipt *consent.Signed `json:"receipt,omitempty"`
	Link    *Link           `json:"link,omitempty"`
	Token   string          `json:"token,omitempty"`
	Event   *SeenEvent      `json:"event,omitempty"`
	Ended   [][]byte        `json:"ended,omitempty"`
	Forget  *aloud.Hash     `json:"forget,omitempty"`
	Rule    *RuleChange     `json:"rule,omitempty"`
}

func (m Member) encode() ([]byte, error) {
	p := payload{At: m.At.UnixMilli(), Receipt: m.Receipt, Link: m.Link, Token: m.Token, Event: m.Event, Rule: m.Rule}
	if m.Seed != (Seed{}) {
		p.Seed = m.Seed[:]
	}
	for _, h := range m.Ended {
		p.Ended = append(p.Ended, h[:])
	}
	if !m.Forget.IsZero() {
		p.Forget = &m.Forget
	}
	b, err := json.Marshal(p)
	if err != nil {
		return nil, aloud.Errorf(aloud.EINTERNAL, "a %s can't be written: %w", m.Kind, err)
	}
	return b, nil
}

// SealMember makes the envelope of a member.
func SealMember(ctx context.Context, k *Keyring, m Member) (Envelope, error) {
	plain, err := m.encode()
	if err != nil {
		return Envelope{}, err
	}
	return k.Seal(ctx, m.Kind, m.Participant, m.Purpose, plain)
}

// OpenMember reads an envelope. ENOTFOUND means that its key was destroyed,
// which is how what a withdrawal or an erasure covers is left out.
func OpenMember(ctx context.Context, k *Keyring, e Envelope) (Member, error) {
	m := Member{Kind: e.Kind}
	plain := e.Ciphertext
	if e.Kind != KindErased && e.Kind != KindRule {
		var err error
		if plain, m.Participant, m.Purpose, err = k.Open(ctx, e); err != nil {
			return Member{}, err
		}
		if PartitionOf(m.Participant) != e.Partition {
			return Member{}, aloud.Errorf(aloud.EINVALID, "a %s is in another partition than its participant", e.Kind)
		}
	}
	return m, m.decode(plain)
}

func (m *Member) decode(plain []byte) error {
	var p payload
	d := json.NewDecoder(bytes.NewReader(plain))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return aloud.Errorf(aloud.EINVALID, "the content of a %s is not as written: %w", m.Kind, err)
	}
	m.At = time.UnixMilli(p.At).UTC()
	copy(m.Seed[:], p.Seed)
	m.Receipt, m.Link, m.Token, m.Event, m.Rule = p.Receipt, p.Link, p.Token, p.Event, p.Rule
	for _, h := range p.Ended {
		if len(h) != len(Handle{}) {
			return aloud.Errorf(aloud.EINVALID, "a %s ends a key with a bad handle", m.Kind)
		}
		m.Ended = append(m.Ended, Handle(h))
	}
	if p.Forget != nil {
		m.Forget = *p.Forget
	}
	return m.complete()
}

// complete refuses a member that lacks what its kind is about.
func (m *Member) complete() error {
	var there bool
	switch m.Kind {
	case KindReceipt:
		there = m.Receipt != nil
	case KindLink:
		there = m.Link != nil && m.Link.Kind != "" && m.Link.Value != ""
	case KindSignal, KindWithdrawal:
		there = m.Token != ""
	case KindEvent:
		there = m.Event != nil && m.Event.Name != ""
	case KindErased:
		there = !m.Forget.IsZero()
	case KindRule:
		there = m.Rule != nil && m.Rule.Audience.Valid()
	}
	if !there {
		return aloud.Errorf(aloud.EINVALID, "a %s without its content", m.Kind)
	}
	return nil
}
