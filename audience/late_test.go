package audience_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/internal/pipeline"
)

// slowReader holds back what arrives while it is held, and lets the keeper do
// what is due meanwhile.
type slowReader struct {
	audience.Reader
	mu   sync.Mutex
	held bool
	idle chan struct{} // one value each time the keeper did what is due
}

func (r *slowReader) hold(held bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = held
}

func (r *slowReader) Read(ctx context.Context, from uint64, fn func([]collector.Message) error) error {
	var late []collector.Message
	return r.Reader.Read(ctx, from, func(batch []collector.Message) error {
		late = append(late, batch...)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.held {
			if err := fn(nil); err != nil {
				return err
			}
			select {
			case r.idle <- struct{}{}:
			default:
			}
			return nil
		}
		batch, late = late, nil
		return fn(batch)
	})
}

// TestLateKeeperWritesTheSameRecords: a membership that ends while the keeper
// is behind is still there for the messages that came before its end.
func TestLateKeeperWritesTheSameRecords(t *testing.T) {
	w := newWorld(t)
	w.stop()
	slow := &slowReader{idle: make(chan struct{})}
	p, err := pipeline.Start(w.ctx, pipeline.Config{
		Dir: w.dir, ServerKey: w.key, Now: w.clock.Now,
		Keeper: func(c *audience.KeeperConfig) { slow.Reader, c.Stream = c.Stream, slow },
	})
	must(t, err)
	w.Pipeline = p
	w.audience(audience.Rule{Category: "home.hvac", Window: time.Hour})
	person, _ := w.enrol()
	w.accepted(w.say(person, "home.hvac", aloud.StageNeed, ""))

	slow.hold(true)
	w.clock.Add(time.Minute)
	if r := w.say(person, "home.hvac", aloud.StageRejected, ""); r.Status != collector.Accepted {
		t.Fatalf("the signal was %s: %v", r.Status, r.Err)
	}
	w.clock.Add(3 * time.Hour)
	for range 2 { // the first may have been under way when the clock moved
		select {
		case <-slow.idle:
		case <-time.After(10 * time.Second):
			t.Fatal("the keeper does nothing while it is behind")
		}
	}
	slow.hold(false)
	must(t, w.Settle(w.ctx))
	live, err := w.Records.Pending(w.ctx, 100)
	must(t, err)
	if out := live[len(live)-1]; out.Kind != collector.RecordMembership {
		t.Errorf("the last record is a %s, not the end of the membership", out.Kind)
	}

	must(t, w.Store.Wipe(w.ctx))
	w.stop()
	w.start()
	must(t, w.Settle(w.ctx))
	again, err := w.Records.Pending(w.ctx, 100)
	must(t, err)
	if diff := cmp.Diff(live, again); diff != "" {
		t.Errorf("the replay made other records (-live +replay):\n%s", diff)
	}
}

// endingDatabase ends somebody's keys right before a member of a group is
// applied, when it was opened already.
type endingDatabase struct {
	audience.Database
	end func() error // called once
}

type endingTx struct {
	audience.Tx
	db *endingDatabase
}

func (d *endingDatabase) Apply(ctx context.Context, fn func(audience.Tx) error) error {
	return d.Database.Apply(ctx, func(tx audience.Tx) error { return fn(endingTx{tx, d}) })
}

func (t endingTx) Try(ctx context.Context, fn func() error) error {
	if end := t.db.end; end != nil {
		t.db.end = nil
		if err := end(); err != nil {
			return err
		}
	}
	return t.Tx.Try(ctx, fn)
}

// TestKeyEndsWhileApplied: a message whose key is destroyed between its opening
// and its application is skipped, like one whose key was gone before.
func TestKeyEndsWhileApplied(t *testing.T) {
	w := newWorld(t)
	person, _ := w.enrol()
	now := w.clock.Now()
	token, err := person.Signal(aloud.Intent{Category: "home.hvac", Stage: aloud.StageNeed, Score: 0.8}, now, now, "")
	must(t, err)
	must(t, w.Settle(w.ctx))
	w.stop()

	var db endingDatabase
	p, err := pipeline.Start(w.ctx, pipeline.Config{
		Dir: w.dir, ServerKey: w.key, Now: w.clock.Now,
		Keeper: func(c *audience.KeeperConfig) {
			db = endingDatabase{Database: c.Database, end: func() error { return c.Keys.Forget(w.ctx, person.ID) }}
			c.Database = &db
		},
	})
	must(t, err)
	w.Pipeline = p
	if r := w.Collector.Signals(w.ctx, []string{token})[0]; r.Status != collector.Accepted {
		t.Fatalf("the signal was %s: %v", r.Status, r.Err)
	}
	must(t, w.Settle(w.ctx))
	if db.end != nil {
		t.Fatal("nothing was applied")
	}
	if n, err := w.Store.DeadLetters(w.ctx); err != nil || n > 0 {
		t.Errorf("%d dead letters, %v", n, err)
	}
	if c := w.Keeper.Counts(); c.Skipped != 1 || c.Members != 0 {
		t.Errorf("%d skipped and %d applied, not 1 and 0", c.Skipped, c.Members)
	}
}
