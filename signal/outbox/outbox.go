package outbox

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/signal"
)

// NoWait is the wait of no time at all, for simulated servers.
const NoWait time.Duration = -1

// The bounds of an outbox.
const (
	DefaultCapacity = 1000 // signals that wait or are being sent
	kept            = 500  // accepted and refused entries kept for the participant to see
)

// Config says where an outbox lives and under which grant it signs.
type Config struct {
	Path string // of the file; made if there is none

	// Key and Grant sign. Grant returns the consent to share signals that is in
	// force at a time, or why there is none. Without them nothing is signed.
	Key   ed25519.PrivateKey
	Grant func(at time.Time) (consent.Grant, error)

	Wait      time.Duration // 0 is signal.DefaultWait; under signal.MinWait only if Simulated
	Simulated bool          // the server is: waits may be shorter, NoWait included
	Capacity  int           // 0 is DefaultCapacity
	Now       func() time.Time
	Log       *slog.Logger
}

// Outbox is an open outbox. Its methods may be called at once.
type Outbox struct {
	config Config
	db     *sql.DB
	wake   chan struct{} // one token: there may be something to do
}

// Open opens the outbox at a path.
func Open(ctx context.Context, c Config) (*Outbox, error) {
	switch {
	case c.Wait == 0:
		c.Wait = signal.DefaultWait
	case c.Wait < signal.MinWait && !c.Simulated:
		return nil, aloud.Errorf(aloud.EINVALID, "a signal waits at least %s before it is sent; only a simulated server takes earlier ones", signal.MinWait)
	}
	c.Wait = max(c.Wait, 0)
	if c.Capacity <= 0 {
		c.Capacity = DefaultCapacity
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	db, err := open(ctx, c.Path)
	if err != nil {
		return nil, err
	}
	return &Outbox{config: c, db: db, wake: make(chan struct{}, 1)}, nil
}

// Close closes the file. What waits stays in it.
func (o *Outbox) Close() error { return damaged(o.db.Close()) }

// Add puts a signal into the outbox. When it returns, the signal is on disk and
// waits; the entry says until when it can be vetoed.
func (o *Outbox) Add(ctx context.Context, p signal.Pending) (Entry, error) {
	body, err := p.Encode()
	if err != nil {
		return Entry{}, err
	}
	s, now := p.Signal(), o.config.Now()
	from := now
	if s.HeardAt.After(from) {
		from = s.HeardAt
	}
	due := from.Add(o.config.Wait)
	err = inTx(ctx, o.db, func(tx *sql.Tx) error {
		if err := withdrawn(ctx, tx, s.Receipt, consent.PurposeListen, consent.PurposeShareSignals); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM signal WHERE state IN ('waiting', 'signed')").Scan(&n); err != nil {
			return damaged(err)
		}
		if n >= o.config.Capacity {
			return aloud.Errorf(aloud.ELIMITED, "the outbox is full: %d signals wait for the server; check the connection", n)
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO signal (id, receipt, state, body, added, due, changed) VALUES (?, ?, 'waiting', ?, ?, ?, ?)",
			s.ID, s.Receipt.String(), body, now.UnixMilli(), due.UnixMilli(), now.UnixMilli())
		return damaged(err)
	})
	if err != nil {
		return Entry{}, err
	}
	o.poke()
	return Entry{Signal: s, State: Waiting, Due: due.UTC(), Changed: now.UTC()}, nil
}

func (o *Outbox) poke() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Veto drops a signal that was not sent. certain is false if a token existed
// already and may have reached the server before; it isn't sent again.
func (o *Outbox) Veto(ctx context.Context, id aloud.SignalID) (certain bool, err error) {
	err = inTx(ctx, o.db, func(tx *sql.Tx) error {
		var state State
		var tries int
		err := tx.QueryRowContext(ctx, "SELECT state, tries FROM signal WHERE id = ?", id).Scan(&state, &tries)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return aloud.Errorf(aloud.ENOTFOUND, "no signal %.40q waits here; see: aloud outbox", id)
		case err != nil:
			return damaged(err)
		case state == Accepted:
			return aloud.Errorf(aloud.ECONFLICT, "this signal was sent; end what follows from it by: aloud withdraw share_signals")
		case state == Refused:
			return aloud.Errorf(aloud.ECONFLICT, "this signal was not taken and will not be sent")
		}
		certain = tries == 0
		_, err = tx.ExecContext(ctx, "DELETE FROM signal WHERE id = ?", id)
		return damaged(err)
	})
	return certain && err == nil, err
}

// Hurry shortens the wait of everything that waits to the least that is
// allowed, because the participant has seen it and asks to send it now.
func (o *Outbox) Hurry(ctx context.Context) error {
	least := signal.MinWait
	if o.config.Simulated {
		least = min(least, o.config.Wait)
	}
	_, err := o.db.ExecContext(ctx, "UPDATE signal SET due = min(due, added + ?) WHERE state = 'waiting'", least.Milliseconds())
	o.poke()
	return damaged(err)
}

// State is where a signal stands.
type State string

// The four states; see the package's comment.
const (
	Waiting  State = "waiting"
	Signed   State = "signed"
	Accepted State = "accepted"
	Refused  State = "refused"
)

// Entry is one signal as the participant sees it.
type Entry struct {
	signal.Signal // without the times of sending, which the token holds

	State   State
	Due     time.Time  // while it waits: when it is sent unless vetoed
	Changed time.Time  // when it came into its state
	Code    aloud.Code // why it was refused, or not sent yet
	Reason  string
}

// List returns all entries, those that can be vetoed first, by when they are
// due; then the others, the latest first.
func (o *Outbox) List(ctx context.Context) ([]Entry, error) {
	rows, err := o.db.QueryContext(ctx, `SELECT state, body, due, changed, code, reason FROM signal
		ORDER BY state IN ('accepted', 'refused'), CASE WHEN state IN ('accepted', 'refused') THEN -changed ELSE due END, id`)
	if err != nil {
		return nil, damaged(err)
	}
	defer rows.Close()
	var list []Entry
	for rows.Next() {
		var e Entry
		var body []byte
		var due, changed int64
		if err := rows.Scan(&e.State, &body, &due, &changed, &e.Code, &e.Reason); err != nil {
			return nil, damaged(err)
		}
		if e.Signal, err = signal.Peek(body); err != nil {
			return nil, damaged(err)
		}
		e.Due, e.Changed = time.UnixMilli(due).UTC(), time.UnixMilli(changed).UTC()
		list = append(list, e)
	}
	return list, damaged(rows.Err())
}

// MarshalJSON writes an entry with the names that signals have on the wire.
func (e Entry) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID       aloud.SignalID `json:"jti"`
		State    State          `json:"state"`
		Category aloud.Category `json:"category"`
		Stage    aloud.Stage    `json:"stage"`
		Score    float64        `json:"score"`
		HeardAt  time.Time      `json:"heard_at"`
		Source   aloud.Source   `json:"source"`
		Cell     signal.Cell    `json:"cell,omitempty"`
		Due      time.Time      `json:"due"`
		Changed  time.Time      `json:"changed"`
		Code     aloud.Code     `json:"code,omitempty"`
		Reason   string         `json:"reason,omitempty"`
	}{e.ID, e.State, e.Category, e.Stage, e.Score, e.HeardAt, e.Source, e.Cell, e.Due, e.Changed, e.Code, e.Reason})
}
