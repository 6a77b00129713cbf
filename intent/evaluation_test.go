package intent_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"aloud.example/aloud"
	"aloud.example/aloud/intent"
)

// sharedData is where the evaluation files lie beside the repository.
const sharedData = "../../shared/data"

type conversation struct {
	ID    string `json:"id"`
	Kind  string `json:"kind"`
	Turns []struct {
		Speaker string `json:"speaker"`
		Text    string `json:"text"`
	} `json:"turns"`
	Intents []struct {
		Turn     int    `json:"turn"`
		Speaker  string `json:"speaker"`
		Category string `json:"category"`
		Stage    string `json:"stage"`
	} `json:"intents"`
	Sensitive []int `json:"sensitive_turns"`
}

func conversations(t *testing.T, path string) []conversation {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Skipf("the evaluation data is not beside this repository (%s): nothing was measured", filepath.Base(path))
	}
	defer f.Close()
	var out []conversation
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 4<<20)
	for sc.Scan() {
		var c conversation
		if err := json.Unmarshal(sc.Bytes(), &c); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		out = append(out, c)
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// found is what a Conversation gives over a whole conversation, with the turn.
func found(e *intent.Engine, c conversation) (out []aloud.Intent, suppressed int) {
	session := e.NewConversation(nil)
	for i, turn := range c.Turns {
		f := session.Hear(aloud.Utterance{Text: turn.Text, Speaker: turn.Speaker})
		suppressed += f.Suppressed
		for _, in := range f.Intents {
			in.Turn = i
			out = append(out, in)
		}
	}
	return out, suppressed
}

// TestEvaluation prints precision and recall over (speaker, category) pairs in
// market, and fails on anything out of a sensitive turn.
func TestEvaluation(t *testing.T) {
	e := newEngine(t)
	type tally struct{ right, wrong, missed, stage, leaks int }
	kinds := map[string]*tally{}
	for _, c := range conversations(t, filepath.Join(sharedData, "intent", "conversations.jsonl")) {
		k := kinds[c.Kind]
		if k == nil {
			k = &tally{}
			kinds[c.Kind] = k
		}
		want, got := map[string]string{}, map[string]string{}
		for _, in := range c.Intents {
			if aloud.Stage(in.Stage).InMarket() {
				want[in.Speaker+" "+in.Category] = in.Stage
			}
		}
		intents, _ := found(e, c)
		for _, in := range intents {
			if slices.Contains(c.Sensitive, in.Turn) {
				k.leaks++
				t.Errorf("%s: %s came out of a sensitive turn", c.ID, in.Category)
			}
			if in.Stage.InMarket() {
				got[c.Turns[in.Turn].Speaker+" "+string(in.Category)] = string(in.Stage)
			}
		}
		for p, stage := range got {
			if _, ok := want[p]; !ok {
				k.wrong++
				t.Logf("%s: wrong %s/%s", c.ID, p, stage)
				continue
			}
			k.right++
			if want[p] == stage {
				k.stage++
			}
		}
		for p := range want {
			if _, ok := got[p]; !ok {
				k.missed++
				t.Logf("%s: missed %s", c.ID, p)
			}
		}
	}
	var all tally
	for _, name := range []string{"in-market", "negative", "sensitive"} {
		if k := kinds[name]; k != nil {
			t.Logf("%-10s right %d wrong %d missed %d, leaks %d", name, k.right, k.wrong, k.missed, k.leaks)
			all.right, all.wrong, all.missed, all.stage = all.right+k.right, all.wrong+k.wrong, all.missed+k.missed, all.stage+k.stage
		}
	}
	t.Logf("precision %s, recall %s, same stage %s", ratio(all.right, all.right+all.wrong), ratio(all.right, all.right+all.missed), ratio(all.stage, all.right))
}

func ratio(n, of int) string {
	if of == 0 {
		return "none"
	}
	return fmt.Sprintf("%.2f (%d of %d)", float64(n)/float64(of), n, of)
}

// TestFalseAlarms prints how often talk that holds no purchase gives an intent.
func TestFalseAlarms(t *testing.T) {
	e := newEngine(t)
	for _, name := range []string{"topicalchat_dev", "ami_meetings_dev", "sgd_dev", "taskmaster4_coffee_dev", "clinc150_val", "slurp_devel", "banking77_train"} {
		turns, words, alarms, suppressed := 0, 0, 0, 0
		seen := map[string]int{}
		for _, c := range conversations(t, filepath.Join(sharedData, "dialogue", name+".jsonl")) {
			turns += len(c.Turns)
			for _, turn := range c.Turns {
				words += len(strings.Fields(turn.Text))
			}
			intents, s := found(e, c)
			suppressed += s
			for _, in := range intents {
				if in.Stage.InMarket() {
					alarms++
					seen[string(in.Category)]++
					if os.Getenv("SHOW") == name {
						t.Logf("%s %s/%s %.2f: %s", c.ID, in.Category, in.Stage, in.Score, c.Turns[in.Turn].Text)
					}
				}
			}
		}
		t.Logf("%-24s %5d turns: %4d in-market intents (%.1f per 1000 turns, %.1f an hour of talk), %d turns suppressed", name, turns, alarms, 1000*float64(alarms)/float64(turns), float64(alarms)*9000/float64(words), suppressed)
	}
}

func newEngine(t testing.TB) *intent.Engine {
	t.Helper()
	e, err := intent.New(intent.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}
