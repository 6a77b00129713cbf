package audience

import (
	"context"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
)

// Receipts lists a participant's receipts, oldest first; the newest governs.
// ENOTFOUND means that an erasure ended them.
func (r *Records) Receipts(ctx context.Context, p aloud.ParticipantID) ([]consent.Signed, error) {
	row, err := r.Store.Standing(ctx, p)
	if err != nil {
		return nil, err
	}
	all := make([]consent.Signed, 0, len(row.Receipts))
	for _, rr := range row.Receipts {
		m, err := collector.OpenMember(ctx, r.Keys, rr.Envelope)
		if err != nil {
			return nil, err
		}
		all = append(all, *m.Receipt)
	}
	return all, nil
}
