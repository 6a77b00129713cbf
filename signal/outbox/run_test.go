package outbox_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/signal"
	"aloud.example/aloud/signal/outbox"
)

// away is a server that can't be reached, and asks for patience.
type away struct{ after time.Duration }

func (a away) Error() string             { return "away" }
func (a away) RetryAfter() time.Duration { return a.after }
func (a away) Unwrap() error             { return aloud.Errorf(aloud.EUNAVAILABLE, "away") }

// Run pauses between tries, longer each time, with jitter, and never less than
// the server asks for. The clock is synctest's.
func TestRunBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(start)) // synctest's clock begins before Aloud
		f := setUp(t, func(c *outbox.Config) { c.Now = time.Now })
		f.clock.t = time.Now()
		f.who = enrol(t, time.Now())
		f.Close()
		o, err := outbox.Open(t.Context(), outbox.Config{Path: f.path, Key: key("device"), Grant: f.who.grant})
		if err != nil {
			t.Fatal(err)
		}
		f.Outbox = o
		id := f.add(t)
		begin := time.Now()
		var tries []time.Duration
		f.to.fail = func([]string) error {
			tries = append(tries, time.Since(begin))
			switch {
			case len(tries) < 6:
				return away{}
			case len(tries) == 6:
				return away{after: 20 * time.Minute}
			}
			return nil
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- f.Run(ctx, f.to) }()
		time.Sleep(2 * time.Hour)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if len(tries) != 7 || f.to.times[id] != 1 {
			t.Fatalf("tries at %v", tries)
		}
		if tries[0] < signal.DefaultWait || tries[0] > signal.DefaultWait+2*time.Second {
			t.Errorf("the first try was at %s", tries[0])
		}
		for i, low := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
			if pause := tries[i+1] - tries[i]; pause < low || pause > 3*low+time.Second {
				t.Errorf("pause %d was %s, want %s to %s", i, pause, low, 3*low)
			}
		}
		if pause := tries[6] - tries[5]; pause < 20*time.Minute {
			t.Errorf("the server asked for 20 minutes and got %s", pause)
		}
	})
}

// A new signal is sent as soon as its wait is over, not at the next poll.
func TestRunWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(start)) // synctest's clock begins before Aloud
		f := setUp(t)
		f.Close()
		f.who = enrol(t, time.Now())
		f.clock.t = time.Now()
		o, err := outbox.Open(t.Context(), outbox.Config{Path: f.path, Key: key("device"), Grant: f.who.grant, Wait: outbox.NoWait, Simulated: true})
		if err != nil {
			t.Fatal(err)
		}
		f.Outbox = o
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- f.Run(ctx, f.to) }()
		time.Sleep(10*time.Second + 300*time.Millisecond)
		f.clock.t = time.Now()
		id := f.add(t)
		synctest.Wait()
		f.to.mu.Lock()
		times := f.to.times[id]
		f.to.mu.Unlock()
		cancel()
		if err := <-done; err != nil || times != 1 {
			t.Errorf("sent %d times before any time passed, %v", times, err)
		}
	})
}
