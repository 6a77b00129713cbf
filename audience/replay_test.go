package audience_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"aloud.example/aloud"
	"aloud.example/aloud/audience"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/internal/pipeline"
	"aloud.example/aloud/signal"
)

func (w *world) dump() string {
	w.t.Helper()
	must(w.t, w.Settle(w.ctx))
	var b strings.Builder
	must(w.t, w.Store.Dump(w.ctx, w.clock.Now(), &b))
	return b.String()
}

// memory is what a bidder sees, and whom the identifiers name.
func (w *world) memory(people []*pipeline.Person) string {
	w.t.Helper()
	w.Index.Beat()
	var b strings.Builder
	for _, p := range people {
		f, err := w.Index.Lookup(p.ID)
		must(w.t, err)
		buyer, _ := w.Links.Issued(p.ID, collector.LinkBuyerUID)
		user, _ := w.Links.Issued(p.ID, collector.LinkUserID)
		fmt.Fprintln(&b, p.ID, f.Members, f.TooSmall, buyer, user)
	}
	return b.String()
}

// walk does one random thing after another.
type walk struct {
	*world
	rnd    *rand.Rand
	people []*pipeline.Person
	tokens []string
}

var (
	walkCategories = []aloud.Category{"home.hvac", "finance.mortgage", "auto.used"}
	walkStages     = []aloud.Stage{aloud.StageNeed, aloud.StageResearch, aloud.StageReady, aloud.StageBought, aloud.StageRejected}
)

func (k *walk) purposes() []consent.Purpose {
	switch k.rnd.IntN(4) {
	case 0:
		return []consent.Purpose{consent.PurposeListen, consent.PurposeShareSignals}
	case 1:
		return []consent.Purpose{consent.PurposeListen, consent.PurposeShareSignals, consent.PurposePersonaliseAds}
	}
	return consent.AllPurposes()
}

func (k *walk) step() {
	if len(k.people) == 0 || k.rnd.IntN(12) == 0 && len(k.people) < 12 {
		p, _ := k.enrol(k.purposes()...)
		k.people = append(k.people, p)
		return
	}
	i := k.rnd.IntN(len(k.people))
	p, now := k.people[i], k.clock.Now()
	switch n := k.rnd.IntN(100); {
	case n < 50:
		heard := now.Add(-time.Duration(k.rnd.IntN(3*24*3600)) * time.Second)
		if heard.Before(p.Receipt.Time) {
			heard = p.Receipt.Time
		}
		token, err := p.Signal(aloud.Intent{
			Category: walkCategories[k.rnd.IntN(3)], Stage: walkStages[k.rnd.IntN(5)], Score: float64(1+k.rnd.IntN(999)) / 1000,
		}, heard, now, k.cell())
		must(k.t, err)
		k.tokens = append(k.tokens, token)
		k.Collector.Signals(k.ctx, []string{token, token})
	case n < 55 && len(k.tokens) > 0:
		k.Collector.Signals(k.ctx, []string{k.tokens[k.rnd.IntN(len(k.tokens))]})
	case n < 65:
		user, ok := k.Links.Issued(p.ID, collector.LinkUserID)
		if !ok {
			user = "nobody"
		}
		k.Collector.Events(k.ctx, []collector.Event{{Source: "shop", MessageID: strconv.Itoa(k.rnd.IntN(30)), UserID: user, Name: "Product Viewed"}})
	case n < 75:
		k.clock.Add(time.Duration(k.rnd.IntN(24*3600)) * time.Second)
	case n < 82:
		purposes := consent.AllPurposes()
		token, err := p.Withdraw(purposes[k.rnd.IntN(5)], now)
		must(k.t, err)
		_ = k.Collector.Withdraw(k.ctx, token)
	case n < 92:
		signed, err := p.Agree(now, k.purposes()...)
		must(k.t, err)
		if answer, err := k.Collector.Consent(k.ctx, signed); err == nil {
			p.Signed = answer.Receipt
		} else {
			p.Receipt, err = consent.VerifyDevice(p.Signed)
			must(k.t, err)
		}
	case n < 94:
		token, err := p.Erase(now)
		must(k.t, err)
		must(k.t, k.Collector.Erase(k.ctx, token))
	case n < 97:
		k.audience(k.rule())
	case n < 99:
		k.stop()
		k.start()
	}
}

func (k *walk) cell() signal.Cell {
	if k.rnd.IntN(4) == 0 {
		return ""
	}
	c, err := signal.CellAt(40.7+k.rnd.Float64()/2, -74+k.rnd.Float64()/2)
	must(k.t, err)
	return c
}

func (k *walk) rule() audience.Rule {
	r := audience.Rule{Category: walkCategories[k.rnd.IntN(3)], Window: time.Duration(1+k.rnd.IntN(96)) * time.Hour}
	if k.rnd.IntN(2) == 0 {
		r.Stages = walkStages[:1+k.rnd.IntN(3)]
	}
	if k.rnd.IntN(2) == 0 {
		var err error
		r.Territory, err = audience.NewTerritory(40.9, -73.8, 20)
		must(k.t, err)
	}
	return r
}

// TestReplayEqualsLive: emptied tables and the stream give the live state
// again, whatever happened, keys that were destroyed meanwhile included.
func TestReplayEqualsLive(t *testing.T) {
	runs := 4
	if n, err := strconv.Atoi(os.Getenv("ALOUD_REPLAY_RUNS")); err == nil {
		runs = n
	}
	for run := range runs {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			k := &walk{world: newWorld(t), rnd: rand.New(rand.NewPCG(seed, uint64(run)))}
			k.audience(k.rule())
			for range 80 {
				k.step()
			}
			live, seen := k.dump(), k.memory(k.people)
			records, err := k.Records.Pending(k.ctx, 100_000)
			must(t, err)
			if n, err := k.Store.DeadLetters(k.ctx); err != nil || n > 0 {
				t.Errorf("%d dead letters, %v", n, err)
			}

			must(t, k.Store.Wipe(k.ctx))
			k.stop()
			k.start()
			if diff := cmp.Diff(live, k.dump()); diff != "" {
				t.Errorf("the replay differs from the live state (-live +replay):\n%s", diff)
			}
			if diff := cmp.Diff(seen, k.memory(k.people)); diff != "" {
				t.Errorf("bidders see another membership after the replay:\n%s", diff)
			}
			again, err := k.Records.Pending(k.ctx, 100_000)
			must(t, err)
			if diff := cmp.Diff(records, again); diff != "" {
				t.Errorf("the replay made other records for the ledger:\n%s", diff)
			}
		})
	}
}
