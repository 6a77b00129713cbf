//go:build cgo && linux

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/internal/pty"
	"aloud.example/aloud/listen/onnx"
)

const spokenClip = demoClips + "/r01.ogg"

// needModels skips a test that hears where the models were not fetched.
func needModels(t *testing.T) {
	t.Helper()
	m, err := onnx.Open(onnx.Config{Model: "tiny"})
	if aloud.ErrorCode(err) == aloud.EUNAVAILABLE {
		t.Skip("needs the models (make models): ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

// aloudWith runs the binary with an input and without a terminal.
func aloudWith(t *testing.T, stdin io.Reader, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.Command("aloud", args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	_ = cmd.Run() // the status says it
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// lines reads the events of `aloud listen --json`.
func lines(t *testing.T, out string) (events []map[string]any) {
	t.Helper()
	for line := range strings.Lines(out) {
		var ev map[string]any
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		events = append(events, ev)
	}
	return events
}

func ofType(events []map[string]any, kind string) (found []map[string]any) {
	for _, ev := range events {
		if ev["type"] == kind {
			found = append(found, ev)
		}
	}
	return found
}

// wavOf makes a WAV file.
func wavOf(tag, channels, bits uint16, rate, size uint32, data []byte) []byte {
	b := []byte("RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00")
	align := channels * bits / 8
	for _, v := range []any{tag, channels, rate, rate * uint32(align), align, bits} {
		b, _ = binary.Append(b, binary.LittleEndian, v) // these types can't fail
	}
	b = append(b, "data"...)
	b = binary.LittleEndian.AppendUint32(b, size)
	return append(b, data...)
}

// Ten ways of bad input, and what each is told.
func TestListenBadInput(t *testing.T) {
	needModels(t)
	dir := t.TempDir()
	nan := binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(math.NaN())))
	files := map[string][]byte{
		"truncated.wav": wavOf(1, 1, 16, 16000, 64000, make([]byte, 20000)),
		"empty.wav":     nil,
		"nan.wav":       wavOf(3, 1, 32, 16000, 400, bytes.Repeat(nan, 100)),
		"text.wav":      []byte("This is a letter, not a recording.\n"),
		"huge.wav":      wavOf(1, 1, 16, 16000, 0xfffffff0, make([]byte, 3200)),
		"channels.wav":  wavOf(1, 60000, 16, 16000, 100, make([]byte, 100)),
		"half.flac":     []byte("fLaC\x00\x00\x00\x22"),
		"noise.mp3":     bytes.Repeat([]byte{0xff, 0xfb, 0x90, 0x00, 1, 2, 3}, 20),
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		args []string
		in   string
		says string
	}{
		{"truncated", []string{"truncated.wav"}, "", "header promises 64000 bytes"},
		{"0 bytes", []string{"empty.wav"}, "", "0 bytes"},
		{"not a number", []string{"nan.wav"}, "", "not a number"},
		{"text", []string{"text.wav"}, "", "text, not sound"},
		{"huge claim", []string{"huge.wav"}, "", "header promises 4294967280 bytes"},
		{"many channels", []string{"channels.wav"}, "", "60000 channels"},
		{"half a FLAC", []string{"half.flac"}, "", "breaks off"},
		{"noise as MP3", []string{"noise.mp3"}, "", "MP3"},
		{"no such file", []string{"missing.wav"}, "", "there is no file"},
		{"folder", []string{"."}, "", "is a folder"},
		{"odd byte", []string{"-"}, "abc", "middle of a sample"},
		{"no such encoding", []string{"-", "--format", "s12"}, "abcd", "no encoding"},
		{"nothing piped", []string{"-"}, "", "0 bytes"},
		{"rate of none", []string{"-", "--rate", "0"}, "abcd", "--rate"},
		{"channels of none", []string{"-", "--channels", "0"}, "abcd", "--channels"},
		{"no such rate", []string{"-", "--rate", "7"}, "abcd", "7 Hz"},
		{"unknown flag", []string{"--loud"}, "", "unknown flag"},
		{"two files", []string{"a.wav", "b.wav"}, "", "accepts at most 1 arg"},
		{"no length", nil, "", "--for 30m"},
		{"length of a file", []string{"text.wav", "--for", "1m"}, "", "--for is for the microphone"},
		{"device of a file", []string{"text.wav", "--device", "usb"}, "", "--device is for the microphone"},
		{"rate of a file", []string{"text.wav", "--rate", "8000"}, "", "--rate describes raw PCM"},
		{"no such mode", []string{"text.wav", "--mode", "spy"}, "", "--mode must be"},
		{"push to talk to a file", []string{"text.wav", "--mode", "push-to-talk"}, "", "no key"},
		{"no such model", []string{"text.wav", "--model", "huge"}, "", "choose base or tiny"},
		{"no such model folder", []string{"truncated.wav", "--model-dir", "nowhere"}, "", "nowhere"},
		{"no length that is one", []string{"--for", "soon"}, "", "invalid argument"},
		{"wait without enrolment", []string{"truncated.wav", "--wait", "1s"}, "", "not enrolled"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			args := append([]string{"listen", "--model", "tiny", "--home", filepath.Join(dir, "nobody")}, test.args...)
			cmd := exec.Command("aloud", args...)
			cmd.Dir = dir
			cmd.Stdin = strings.NewReader(test.in)
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			_ = cmd.Run() // the status says it
			if cmd.ProcessState.ExitCode() != 2 || !strings.Contains(errs.String(), test.says) {
				t.Errorf("status %d, %q; want 2 and %q", cmd.ProcessState.ExitCode(), errs.String(), test.says)
			}
			if n := strings.Count(strings.TrimSpace(errs.String()), "\n"); n > 0 {
				t.Errorf("more than one line: %s", errs.String())
			}
		})
	}
}

// An odd recording that is none the less fine: 8 bits, 96 kHz, two channels.
func TestListenOddRecording(t *testing.T) {
	needModels(t)
	out, errs, status := aloudWith(t, nil, "listen", "--json", "--model", "tiny", "--home", t.TempDir(), "../../listen/audio/testdata/8bit-96k-stereo.wav")
	if status != 0 || errs != "" {
		t.Fatalf("%d %s", status, errs)
	}
	sum := ofType(lines(t, out), "summary")
	if len(sum) != 1 || math.Abs(sum[0]["audio_seconds"].(float64)-0.4) > 0.05 {
		t.Errorf("%v", sum)
	}
}

// What is said in a recording becomes a signal that the server takes.
func TestListenToRecording(t *testing.T) {
	needModels(t)
	op, url := startOperator(t, true)
	dir := filepath.Join(t.TempDir(), "home")
	if _, errs, status := enrolByScript(t, url, dir); status != 0 {
		t.Fatal(errs)
	}
	out, errs, status := aloudWith(t, nil, "listen", "--json", "--model", "tiny", "--home", dir, "--wait", "0s", spokenClip)
	if status != 0 {
		t.Fatal(errs)
	}
	events := lines(t, out)
	said := ofType(events, "utterance")
	if len(said) == 0 || !strings.Contains(strings.ToLower(said[0]["text"].(string)), "air condition") {
		t.Errorf("heard %v", said)
	}
	for _, ev := range said {
		if c := ev["confidence"].(float64); c <= 0 || c > 1 || ev["end"].(float64) <= ev["start"].(float64) {
			t.Errorf("%v", ev)
		}
	}
	found := ofType(events, "intent")
	if len(found) != 1 || found[0]["category"] != "home.hvac" || found[0]["iab"].(float64) == 0 {
		t.Errorf("found %v", found)
	}
	signals := ofType(events, "signal")
	if len(signals) != 2 || signals[0]["state"] != "waiting" || signals[1]["state"] != "accepted" || signals[0]["source"] != "file" {
		t.Errorf("signals %v", signals)
	}
	if last := events[len(events)-1]; last["type"] != "summary" || last["rtf"].(float64) <= 0 || last["audio_seconds"].(float64) < 3 || last["compute_seconds"].(float64) <= 0 {
		t.Errorf("last %v", last)
	}
	if sent, _ := op.knows(); len(sent) != 1 || sent[0].Category != "home.hvac" || sent[0].Source != aloud.SourceFile {
		t.Errorf("the server has %+v", sent)
	}
	leftovers(t, dir, "conditioner")
}

// leftovers fails if a word that was said is in any file of a folder.
func leftovers(t *testing.T, dir, word string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil && bytes.Contains(bytes.ToLower(data), []byte(word)) {
			t.Errorf("%s holds %q", path, word)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The same from a pipe, without enrolment: heard, but nothing is signed, and it
// says so.
func TestListenToPipe(t *testing.T) {
	needModels(t)
	pcm := new(bytes.Buffer)
	samples, err := loadAudio(t.Context(), spokenClip)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range samples {
		_ = binary.Write(pcm, binary.LittleEndian, []float32{v, v}) // a Buffer takes all
	}
	out, errs, status := aloudWith(t, pcm, "listen", "-", "--json", "--model", "tiny", "--channels", "2", "--format", "f32le", "--home", filepath.Join(t.TempDir(), "none"))
	if status != 0 {
		t.Fatal(errs)
	}
	events := lines(t, out)
	notices := ofType(events, "notice")
	if len(notices) != 1 || !strings.Contains(notices[0]["message"].(string), "nothing will be signed") {
		t.Errorf("%v", notices)
	}
	if len(ofType(events, "intent")) != 1 || len(ofType(events, "signal")) != 0 {
		t.Errorf("%s", out)
	}
}

// Outside of --simulate a recording makes no signal at all.
func TestListenToRecordingForARealServer(t *testing.T) {
	needModels(t)
	op, url := startOperator(t, true)
	dir := filepath.Join(t.TempDir(), "home")
	if _, errs, status := enrolByScript(t, url, dir); status != 0 {
		t.Fatal(errs)
	}
	realServer(t, dir)
	out, errs, status := aloudWith(t, nil, "listen", "--json", "--model", "tiny", "--home", dir, spokenClip)
	if status != 0 || !strings.Contains(out, "only a simulated server takes signals from a recording") {
		t.Errorf("%d %s %s", status, out, errs)
	}
	if len(ofType(lines(t, out), "signal")) != 0 || len(op.signals) != 0 {
		t.Errorf("signals: %s", out)
	}
	if _, errs, status := aloudWith(t, nil, "listen", "--home", dir, "--wait", "0s", spokenClip); status != 2 || !strings.Contains(errs, "--wait is for simulated servers") {
		t.Errorf("%d %s", status, errs)
	}
}

// realServer makes a device believe that its server is not simulated.
func realServer(t *testing.T, dir string) {
	t.Helper()
	h := home{dir: dir}
	srv, err := h.server()
	if err != nil {
		t.Fatal(err)
	}
	srv.Simulated = false
	if err := h.write(serverFile, srv); err != nil {
		t.Fatal(err)
	}
}

// No flag, variable or pipe starts a microphone without the typed confirmation.
func TestNoMicrophoneWithoutConfirmation(t *testing.T) {
	needModels(t)
	_, url := startOperator(t, true)
	dir := filepath.Join(t.TempDir(), "home")
	if _, errs, status := enrolByScript(t, url, dir); status != 0 {
		t.Fatal(errs)
	}
	help, _, _ := aloudWith(t, nil, "listen", "--help")
	for _, forbidden := range []string{"--yes", "--force", "--no-confirm", "--confirm", "--background", "--daemon"} {
		if strings.Contains(help, forbidden) {
			t.Errorf("listen has a flag %s", forbidden)
		}
	}
	for name, env := range map[string][]string{
		"nothing":   nil,
		"variables": {"ALOUD_YES=1", "ALOUD_CONFIRM=yes", "CI=1", "ALOUD_FOR=30m", "ALOUD_TTY=/dev/null", "TERM=dumb"},
	} {
		for _, in := range []string{"", strings.Repeat("yes\n", 50)} {
			for _, args := range [][]string{{"--for", "1m"}, {"--for", "1m", "--mode", "push-to-talk"}, {"--for", "1m", "--mode", "room", "--adults", "2"}, {"--for", "1m", "--json"}} {
				cmd := exec.Command("aloud", append([]string{"listen", "--model", "tiny", "--home", dir}, args...)...)
				cmd.Env = append(os.Environ(), env...)
				cmd.Stdin = strings.NewReader(in)
				cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal
				out, err := cmd.CombinedOutput()
				if err == nil || !strings.Contains(string(out), "listening starts only from a terminal") || strings.Contains(string(out), consent.Indicator) {
					t.Errorf("%s, %q, %v: %v %s", name, in, args, err, out)
				}
			}
		}
	}
	// At a terminal, but nobody types the phrase: not even a pipe that says yes.
	cmd := exec.Command("aloud", "listen", "--model", "tiny", "--home", dir, "--for", "1m")
	cmd.Stdin = strings.NewReader(strings.Repeat("yes\n", 50))
	shown := typing(t, cmd, func(string) string { return "yes" })
	if !strings.Contains(shown, "not confirmed") || strings.Contains(shown, consent.Indicator+" 0:0") {
		t.Errorf("%s", shown)
	}
}

// A device that nobody enrolled hears nothing, nor one whose consent to listen
// was withdrawn.
func TestMicrophoneNeedsConsent(t *testing.T) {
	out, errs, status := aloudWith(t, nil, "listen", "--for", "1m", "--home", filepath.Join(t.TempDir(), "none"))
	if status != 2 || !strings.Contains(errs, "aloud enrol") {
		t.Errorf("%d %s %s", status, out, errs)
	}
	_, url := startOperator(t, true)
	dir := filepath.Join(t.TempDir(), "home")
	if _, errs, status := enrolByScript(t, url, dir); status != 0 {
		t.Fatal(errs)
	}
	if _, errs, status := aloudWith(t, nil, "withdraw", "listen", "--home", dir); status != 0 {
		t.Fatal(errs)
	}
	if _, errs, status := aloudWith(t, nil, "listen", "--for", "1m", "--home", dir); status != 2 || !strings.Contains(errs, "listen") {
		t.Errorf("%d %s", status, errs)
	}
}

var phraseAsked = regexp.MustCompile(`type:  ([a-z]+ [a-z]+ [a-z]+)\r?\n`)

// typing runs a command at a terminal and answers the phrase by answer.
func typing(t *testing.T, cmd *exec.Cmd, answer func(phrase string) string) string {
	t.Helper()
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = terminal.Close() }()
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	var shown strings.Builder
	answered := 0
	buf := make([]byte, 4096)
	for {
		n, err := terminal.Read(buf)
		shown.Write(buf[:n])
		if asked := phraseAsked.FindAllStringSubmatch(shown.String(), -1); len(asked) > answered {
			answered = len(asked)
			_, _ = io.WriteString(terminal, answer(asked[answered-1][1])+"\n") // a child that is gone fails in the test
		}
		if err != nil {
			_ = cmd.Wait() // what it showed says it
			return shown.String()
		}
	}
}
