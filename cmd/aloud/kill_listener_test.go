//go:build cgo

package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"aloud.example/aloud/ledger"
	"aloud.example/aloud/listen"
)

// TestKilledListenerLosesNothing kills `aloud listen` at random moments while it
// hears real clips and sends to a real server: 50 times (5 with -short), or ALOUD_KILLS times.
// Each signal that it showed, and so acknowledged, arrives; each that arrived
// was counted once: the server's log has one leaf for it.
func TestKilledListenerLosesNothing(t *testing.T) {
	needModels(t)
	kills := 50
	if testing.Short() {
		kills = 5
	}
	if v, err := strconv.Atoi(os.Getenv("ALOUD_KILLS")); err == nil {
		kills = v
	}
	dir := filepath.Join(t.TempDir(), "data")
	server := startChild(t, dir, "--min-audience", "1")
	waitReady(t, server.url)
	s := serviceAt(t, server.url, dir, time.Now)
	home := filepath.Join(t.TempDir(), "home")
	if _, errs, status := enrolByScript(t, server.url, home); status != 0 {
		t.Fatal(errs)
	}

	talk := pcmOf(t, "n01.ogg", "r02.ogg", "y01.ogg") // a need, a search, a purchase
	shown := map[string]bool{}
	for range kills {
		hearUntilKilled(t, home, talk, shown)
	}
	if len(shown) < kills/2 || len(shown) == 3*kills {
		t.Fatalf("%d signals were shown in %d runs of at most 3: the kills came too early or too late to test much", len(shown), kills)
	}

	if out, errs, status := aloudWith(t, nil, "outbox", "send", "--home", home); status != 0 {
		t.Fatal(out, errs)
	}
	out, errs, status := aloudWith(t, nil, "outbox", "--json", "--home", home)
	if status != 0 {
		t.Fatal(errs)
	}
	var box struct {
		Signals []struct {
			ID    string `json:"jti"`
			State string `json:"state"`
		} `json:"signals"`
	}
	if err := json.Unmarshal([]byte(out), &box); err != nil {
		t.Fatal(err)
	}
	arrived := 0
	for _, entry := range box.Signals {
		if entry.State != "accepted" {
			t.Errorf("a signal is %s in the end", entry.State)
		}
		arrived++
		delete(shown, entry.ID)
	}
	if len(shown) > 0 {
		t.Errorf("%d signals that were shown are lost", len(shown))
	}
	leaves := func() (n int) {
		for _, leaf := range readLog(t, s) {
			if leaf.Kind == ledger.KindSignal {
				n++
			}
		}
		return n
	}
	eventually(t, 20*time.Second, "the log holds every signal", func() bool {
		status, _, _, err := s.call(t.Context(), http.MethodGet, "/log/checkpoint", nil)
		return err == nil && status == http.StatusOK && leaves() >= arrived
	})
	if n := leaves(); n != arrived {
		t.Errorf("%d signals arrived, %d were counted", arrived, n)
	}
	t.Logf("%d kills, %d signals arrived, each counted once", kills, arrived)
}

// hearUntilKilled runs a listener, notes each signal that it shows, and kills it
// at a random moment: while it starts, hears, signs or sends.
func hearUntilKilled(t *testing.T, home string, talk []byte, shown map[string]bool) {
	t.Helper()
	cmd := exec.Command("aloud", "listen", "-", "--json", "--model", "tiny", "--wait", "0s", "--home", home)
	cmd.Stdin = bytes.NewReader(talk)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	end := func() { once.Do(func() { _ = cmd.Process.Kill() }) }
	last := time.AfterFunc(time.Minute, end)
	defer last.Stop()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var ev struct {
			Type string `json:"type"`
			ID   string `json:"jti"`
		}
		if err := json.Unmarshal(lines.Bytes(), &ev); err != nil {
			continue // cut by the kill
		}
		switch ev.Type {
		case "ready": // the models are loaded: what follows takes about half a second
			time.AfterFunc(time.Duration(rand.IntN(600))*time.Millisecond, end)
		case "signal":
			shown[ev.ID] = true
		}
	}
	_ = cmd.Wait() // killed, as meant, or just done
}

// pcmOf joins clips of the demo, a second of silence between them, as the raw
// samples that `aloud listen -` takes.
func pcmOf(t *testing.T, clips ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, name := range clips {
		samples, err := loadAudio(t.Context(), filepath.Join(demoClips, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range append(samples, make([]float32, listen.Rate)...) {
			_ = binary.Write(&out, binary.LittleEndian, int16(v*32767)) // a Buffer takes all
		}
	}
	return out.Bytes()
}
