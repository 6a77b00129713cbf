package audience_test

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/internal/pipeline"
)

// crashDir tells a copy of the test binary to be the process that is killed.
const crashDir = "ALOUD_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := crashChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// crashCast is who takes part, shared by the processes through a file.
type crashCast struct {
	Server  ed25519.PrivateKey
	People  []ed25519.PrivateKey
	Signed  []consent.Signed
	UserIDs []string
}

const crashCategory = aloud.Category("home.hvac")

func (c crashCast) person(i int) (*pipeline.Person, error) {
	p := pipeline.NewPerson(c.Server)
	r, err := consent.VerifyDevice(c.Signed[i])
	p.ID, p.Key, p.Signed, p.Receipt = r.Participant, c.People[i], c.Signed[i], r
	return p, err
}

// crashChild collects until it is killed. It says what it sends before it
// sends it, and what was acknowledged after.
func crashChild(dir string) error {
	var cast crashCast
	b, err := os.ReadFile(filepath.Join(dir, "cast.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &cast); err != nil {
		return err
	}
	ctx := context.Background()
	p, err := pipeline.Start(ctx, pipeline.Config{Dir: filepath.Join(dir, "data"), ServerKey: cast.Server})
	if err != nil {
		return err
	}
	var out sync.Mutex
	say := func(line string) {
		out.Lock()
		defer out.Unlock()
		fmt.Fprintln(os.Stdout, line)
	}
	say("up")
	for i := range cast.People {
		person, err := cast.person(i)
		if err != nil {
			return err
		}
		go func() {
			for {
				var tokens []string
				for range 1 + mathrand.IntN(4) {
					token, err := person.Signal(aloud.Intent{Category: crashCategory, Stage: aloud.StageNeed, Score: 0.5}, person.Receipt.Time, time.Now(), "")
					if err != nil {
						panic(err)
					}
					tokens = append(tokens, token)
					say("sent " + token)
				}
				for j, r := range p.Collector.Signals(ctx, tokens) {
					if r.Status != collector.Accepted {
						panic(fmt.Sprint(r))
					}
					say("acked " + tokens[j])
				}
				id := rand.Text()
				say("event " + strconv.Itoa(i) + " " + id)
				if r := p.Collector.Event(ctx, collector.Event{Source: "shop", MessageID: id, UserID: cast.UserIDs[i], Name: "Product Viewed"}); r.Accepted {
					say("counted " + strconv.Itoa(i) + " " + id)
				}
			}
		}()
	}
	select {}
}

// TestKilledAtRandom kills the collecting process at random moments. Nothing
// that was acknowledged is lost, and nothing counts twice.
func TestKilledAtRandom(t *testing.T) {
	kills := 5
	if n, err := strconv.Atoi(os.Getenv("ALOUD_KILLS")); err == nil {
		kills = n
	}
	if testing.Short() {
		kills = 2
	}
	dir := t.TempDir()
	cast := castPeople(t, dir)
	log := &crashLog{sent: map[string]bool{}, acked: map[string]bool{}, events: map[string]string{}, counted: map[string]string{}}
	for i := range kills {
		// Every third time while it starts, else while it collects.
		moment := "acked"
		if i%3 == 2 {
			moment = "up"
		}
		log.collect(t, dir, moment, time.Duration(mathrand.IntN(400))*time.Millisecond)
	}
	if len(log.acked) == 0 {
		t.Fatal("nothing was ever acknowledged")
	}
	t.Logf("%d kills: %d signals sent, %d acknowledged; %d events sent, %d acknowledged", kills, len(log.sent), len(log.acked), len(log.events), len(log.counted))
	verifyCrash(t, dir, cast, log)
}

func castPeople(t *testing.T, dir string) crashCast {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	cast := crashCast{Server: key}
	must(t, os.Mkdir(filepath.Join(dir, "data"), 0o700))
	p, err := pipeline.Start(t.Context(), pipeline.Config{Dir: filepath.Join(dir, "data"), ServerKey: key})
	must(t, err)
	for range 6 {
		person := pipeline.NewPerson(key)
		signed, err := person.Agree(time.Now())
		must(t, err)
		answer, err := p.Collector.Consent(t.Context(), signed)
		must(t, err)
		cast.People, cast.Signed, cast.UserIDs = append(cast.People, person.Key), append(cast.Signed, answer.Receipt), append(cast.UserIDs, answer.UserID)
	}
	must(t, p.Close())
	b, err := json.Marshal(cast)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "cast.json"), b, 0o600))
	return cast
}

// crashLog is what the killed processes said.
type crashLog struct {
	sent, acked     map[string]bool
	events, counted map[string]string // message id -> person
}

func (l *crashLog) collect(t *testing.T, dir, moment string, life time.Duration) {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		person, id, _ := strings.Cut(rest, " ")
		if word == moment {
			moment = ""
			time.AfterFunc(life, func() { _ = cmd.Process.Kill() })
		}
		switch word {
		case "sent":
			l.sent[rest] = true
		case "acked":
			l.acked[rest] = true
		case "event":
			l.events[id] = person
		case "counted":
			l.counted[id] = person
		}
	}
	_ = cmd.Wait()
	if cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the child ended by itself: %v", cmd.ProcessState)
	}
}

func verifyCrash(t *testing.T, dir string, cast crashCast, log *crashLog) {
	t.Helper()
	ctx := t.Context()
	p, err := pipeline.Start(ctx, pipeline.Config{Dir: filepath.Join(dir, "data"), ServerKey: cast.Server})
	must(t, err)
	defer func() { must(t, p.Close()) }()

	perPerson := map[aloud.ParticipantID]int{}
	for token := range log.sent {
		r := p.Collector.Signals(ctx, []string{token})[0]
		if log.acked[token] && r.Status != collector.Duplicate {
			t.Fatalf("an acknowledged signal was lost: sent again it is %s (%v)", r.Status, r.Err)
		}
		if r.Status == collector.Refused {
			t.Fatalf("a signal sent again was refused: %v", r.Err)
		}
		row, ok, err := rowOf(ctx, p, r.ID)
		must(t, err)
		if !ok {
			t.Fatal("a signal was accepted and is not there")
		}
		perPerson[row]++
	}
	views := map[string]int{}
	for id, person := range log.events {
		i, err := strconv.Atoi(person)
		must(t, err)
		r := p.Collector.Event(ctx, collector.Event{Source: "shop", MessageID: id, UserID: cast.UserIDs[i], Name: "Product Viewed"})
		if _, was := log.counted[id]; was && !r.Duplicate {
			t.Fatalf("an acknowledged event was lost: %+v", r)
		}
		views[person]++
	}
	must(t, p.Settle(ctx))
	for i := range cast.People {
		person, err := cast.person(i)
		must(t, err)
		weights, events, err := p.Store.Profile(ctx, person.ID)
		must(t, err)
		if want := 0.5 * float64(perPerson[person.ID]); want > 0 && (len(weights) != 1 || weights[0].Value != want) {
			t.Errorf("person %d: weights %v, want one of %v: a signal counted twice or not at all", i, weights, want)
		}
		if want := views[strconv.Itoa(i)]; want > 0 && (len(events) != 1 || int(events[0].Count) != want) {
			t.Errorf("person %d: events %v, want %d", i, events, want)
		}
	}
	if n, err := p.Store.DeadLetters(ctx); err != nil || n > 0 {
		t.Errorf("%d dead letters, %v", n, err)
	}
}

// rowOf waits until a signal is applied and says whose it is.
func rowOf(ctx context.Context, p *pipeline.Pipeline, id aloud.SignalID) (aloud.ParticipantID, bool, error) {
	if err := p.Settle(ctx); err != nil {
		return "", false, err
	}
	row, ok, err := p.Store.SignalOf(ctx, id)
	return row.Participant, ok, err
}
