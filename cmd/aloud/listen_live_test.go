//go:build cgo && linux

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"aloud.example/aloud/consent"
	"aloud.example/aloud/internal/pty"
)

// pulseServer starts a PulseAudio server of the test's own, whose microphone
// hears what is played, and returns the environment to reach it.
func pulseServer(t *testing.T) []string {
	t.Helper()
	for _, program := range []string{"pulseaudio", "paplay", "pactl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s (Debian: apt-get install pulseaudio pulseaudio-utils)", program)
		}
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "pa.conf")
	text := `load-module module-native-protocol-unix
load-module module-null-sink sink_name=virt rate=48000
load-module module-null-sink sink_name=loud rate=48000
load-module module-remap-source master=virt.monitor source_name=virtmic source_properties=device.description=TestMicrophone
set-default-source virtmic
set-default-sink loud
`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "XDG_RUNTIME_DIR="+dir, "PULSE_SERVER=unix:"+filepath.Join(dir, "pulse", "native"))
	cmd := exec.Command("pulseaudio", "-n", "-F", config, "--exit-idle-time=-1", "--daemonize=no", "--use-pid-file=no")
	cmd.Env = append(env, "HOME="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it is this test's own
		_ = cmd.Wait()
	})
	for range 100 {
		list := exec.Command("pactl", "list", "short", "sources")
		list.Env = env
		if out, err := list.Output(); err == nil && bytes.Contains(out, []byte("virtmic")) {
			return env
		}
		time.Sleep(50 * time.Millisecond) // another process starts
	}
	t.Skip("pulseaudio is installed, but its server did not answer: no sound can be played to it here")
	return nil
}

// play lets the microphone hear a clip.
func play(t *testing.T, env []string, file string) {
	t.Helper()
	samples, err := loadAudio(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	var pcm []byte
	for _, v := range samples {
		pcm = binary.LittleEndian.AppendUint16(pcm, uint16(int16(v*32767)))
	}
	wav := filepath.Join(t.TempDir(), "clip.wav")
	if err := os.WriteFile(wav, wavOf(1, 1, 16, 16000, uint32(len(pcm)), pcm), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("paplay", "-d", "virt", wav)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
}

// screen is a terminal that a child runs at.
type screen struct {
	*os.File
	cmd   *exec.Cmd
	mu    sync.Mutex
	text  strings.Builder
	ended chan struct{}
}

func startScreen(t *testing.T, cmd *exec.Cmd) *screen {
	t.Helper()
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{File: terminal, cmd: cmd, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		buf := make([]byte, 4096)
		for {
			n, err := terminal.Read(buf)
			s.mu.Lock()
			s.text.Write(buf[:n])
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it is this test's own
		_ = cmd.Wait()
		_ = terminal.Close()
	})
	return s
}

func (s *screen) shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// await waits until all of the texts are on the screen.
func (s *screen) await(t *testing.T, texts ...string) {
	t.Helper()
	for range 600 {
		shown, missing := s.shown(), ""
		for _, text := range texts {
			if !strings.Contains(shown, text) {
				missing = text
			}
		}
		if missing == "" {
			return
		}
		select {
		case <-s.ended:
			t.Fatalf("it ended without %q:\n%q", missing, s.shown())
		case <-time.After(50 * time.Millisecond):
		}
	}
	shown := s.shown()
	t.Fatalf("not all of %q on the screen:\n%q", texts, shown[max(0, len(shown)-1500):])
}

// The whole of a session: confirmed, heard through a microphone, seen, vetoed
// by one key and stopped by another.
func TestListenLive(t *testing.T) {
	needModels(t)
	sound := pulseServer(t)
	op, url := startOperator(t, true)
	dir := filepath.Join(t.TempDir(), "home")
	if _, errs, status := enrolByScript(t, url, dir); status != 0 {
		t.Fatal(errs)
	}
	cmd := exec.Command("aloud", "listen", "--model", "base", "--home", dir, "--for", "5m", "--wait", "1m", "--device", "testmic")
	cmd.Env = append(sound, "TERM=xterm-256color")
	s := startScreen(t, cmd)
	s.await(t, "To agree, type")
	if strings.Contains(s.shown(), consent.Indicator+"  0:0") {
		t.Error("it listens before anyone agreed")
	}
	fmt.Fprintln(s, phraseAsked.FindStringSubmatch(s.shown())[1])
	s.await(t, consent.Indicator, "left, q stops", "only-me: say something")
	play(t, sound, spokenClip)
	s.await(t, "intent", "home.hvac", "leaves in 5", "press v")
	if _, err := s.WriteString("v"); err != nil {
		t.Fatal(err)
	}
	s.await(t, "home.hvac vetoed")
	if _, err := s.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	<-s.ended
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%q", err, s.shown())
	}
	shown := s.shown()
	if !strings.Contains(shown, "1 utterance, 1 intent, 1 signal") {
		t.Errorf("no summary:\n%q", shown)
	}
	if sent, _ := op.knows(); len(sent) != 0 {
		t.Errorf("a vetoed signal was sent: %+v", sent)
	}
	leftovers(t, dir, "conditioner")
}

// With --json a microphone's events hold no text, the indicator is on the
// terminal all the same, and the session ends by itself.
func TestListenLiveJSON(t *testing.T) {
	needModels(t)
	sound := pulseServer(t)
	op, url := startOperator(t, true)
	dir := filepath.Join(t.TempDir(), "home")
	if _, errs, status := enrolByScript(t, url, dir); status != 0 {
		t.Fatal(errs)
	}
	cmd := exec.Command("aloud", "listen", "--model", "base", "--home", dir, "--for", "12s", "--wait", "0s", "--json", "--partials", "--mode", "room", "--adults", "2")
	cmd.Env = append(sound, "TERM=xterm-256color")
	var out bytes.Buffer
	cmd.Stdout = &out
	s := startScreen(t, cmd)
	s.await(t, "Adult 1 of 2")
	fmt.Fprintln(s, phraseAsked.FindStringSubmatch(s.shown())[1])
	s.await(t, "Adult 2 of 2")
	fmt.Fprintln(s, phraseAsked.FindAllStringSubmatch(s.shown(), -1)[1][1])
	s.await(t, consent.Indicator, "left, q stops")
	play(t, sound, spokenClip)
	<-s.ended
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%q", err, s.shown())
	}
	if !strings.Contains(s.shown(), "stopped listening") {
		t.Errorf("%q", s.shown())
	}
	events := lines(t, out.String())
	if len(ofType(events, "utterance")) == 0 || len(ofType(events, "intent")) != 1 {
		t.Errorf("%s", out.String())
	}
	if strings.Contains(out.String(), `"text"`) || strings.Contains(strings.ToLower(out.String()), "conditioner") {
		t.Errorf("a microphone's words were written down:\n%s", out.String())
	}
	if sent, _ := op.knows(); len(sent) != 1 || sent[0].Source != "mic" {
		t.Errorf("the server has %+v", sent)
	}
}
