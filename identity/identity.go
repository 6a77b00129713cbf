// Package identity keeps which identifiers lead to which participant.
//
// In: identifiers that were issued to a participant at enrolment, each with its
// kind, its source and the time. Out: the participant of an identifier, and the
// identifiers of a participant.
//
// A link lives under one consent purpose and goes with it: "buyeruid" under
// personalise_ads, "user_id" under match_behaviour. The package never guesses:
// no fingerprint, no probabilistic match, no identifier that the participant
// was not issued or did not give.
package identity

import (
	"context"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
)

// Link is one identifier of a participant.
type Link struct {
	Kind        string // collector.LinkBuyerUID, collector.LinkUserID
	Value       string
	Participant aloud.ParticipantID
	Source      string
	At          time.Time
}

// Key is what a link is found by.
type Key struct{ Kind, Value string }

// Key returns what l is found by.
func (l Link) Key() Key { return Key{l.Kind, l.Value} }

// Purpose is the consent a kind of link lives under; "" for an unknown kind.
func Purpose(kind string) consent.Purpose {
	switch kind {
	case collector.LinkBuyerUID:
		return consent.PurposePersonaliseAds
	case collector.LinkUserID:
		return consent.PurposeMatchBehaviour
	}
	return ""
}

// Tx is what linking needs of a transaction.
type Tx interface {
	Link(ctx context.Context, k Key) (Link, bool, error)
	PutLink(ctx context.Context, l Link) error
	DropLinks(ctx context.Context, p aloud.ParticipantID, kinds ...string) error
}

// Apply enters a link. One that leads to somebody else is refused: an
// identifier is of one participant. It reports whether anything changed.
func Apply(ctx context.Context, tx Tx, l Link) (bool, error) {
	if Purpose(l.Kind) == "" || l.Value == "" || len(l.Value) > 128 {
		return false, aloud.Errorf(aloud.EINVALID, "an identifier needs a known kind and a value of at most 128 bytes")
	}
	old, ok, err := tx.Link(ctx, l.Key())
	if err != nil {
		return false, err
	}
	if ok && old.Participant != l.Participant {
		return false, aloud.Errorf(aloud.ECONFLICT, "a %s leads to another participant already", l.Kind)
	}
	if ok {
		return false, nil
	}
	return true, tx.PutLink(ctx, l)
}

// Kinds lists the kinds that end with some purposes.
func Kinds(ended []consent.Purpose) []string {
	var kinds []string
	for _, kind := range []string{collector.LinkBuyerUID, collector.LinkUserID} {
		for _, p := range ended {
			if Purpose(kind) == p {
				kinds = append(kinds, kind)
			}
		}
	}
	return kinds
}
