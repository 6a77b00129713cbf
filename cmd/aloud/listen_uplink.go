//go:build cgo

package main

import (
	"context"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/signal/uplink"
)

// probeTime bounds how long a command looks for the server before it waits for
// signals to leave.
const probeTime = 3 * time.Second

// reports sends to the server, and says in the view, once and plainly, when it
// is away.
type reports struct{ h *hearing }

func (r reports) Signals(ctx context.Context, tokens []string) ([]uplink.Result, error) {
	results, err := r.h.client.Signals(ctx, tokens)
	r.h.reached(ctx, err)
	return results, err
}

func (r reports) Withdraw(ctx context.Context, token string) error {
	err := r.h.client.Withdraw(ctx, token)
	r.h.reached(ctx, err)
	return err
}

func (r reports) Erase(ctx context.Context, token string) error {
	err := r.h.client.Erase(ctx, token)
	r.h.reached(ctx, err)
	return err
}

// reached notes whether the server could be reached.
func (h *hearing) reached(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return // we gave it up ourselves
	}
	if aloud.ErrorCode(err) != aloud.EUNAVAILABLE {
		h.away.Store(false)
		return
	}
	if !h.away.Swap(true) {
		h.v.show(noticeEvent{Type: "notice", Message: "the server can't be reached; signals wait in the outbox, and \"aloud outbox send\" sends them"})
	}
}

// probe looks for the server, so that nobody waits for one that is away.
func (h *hearing) probe(ctx context.Context) {
	limited, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	_, err := h.client.Notice(limited)
	h.reached(ctx, err)
}
