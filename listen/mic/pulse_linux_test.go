package mic_test

import (
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aloud.example/aloud/listen/mic"
)

const pulseConfig = `load-module module-native-protocol-unix
load-module module-null-sink sink_name=virt rate=48000
load-module module-remap-source master=virt.monitor source_name=virtmic source_properties=device.description=VirtualMicrophone
set-default-source virtmic
set-default-sink virt
`

// pulse starts a PulseAudio server of the test's own, whose microphone hears
// what is played to it.
func pulse(t *testing.T) {
	t.Helper()
	server, err := exec.LookPath("pulseaudio")
	if err != nil {
		t.Skip("needs pulseaudio (Debian: apt-get install pulseaudio pulseaudio-utils)")
	}
	if _, err := exec.LookPath("paplay"); err != nil {
		t.Skip("needs paplay (Debian: apt-get install pulseaudio-utils)")
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "pa.conf")
	if err := os.WriteFile(config, []byte(pulseConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("HOME", dir)
	t.Setenv("PULSE_SERVER", "unix:"+filepath.Join(dir, "pulse", "native"))
	cmd := exec.Command(server, "-n", "-F", config, "--exit-idle-time=-1", "--daemonize=no", "--use-pid-file=no")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it is this test's own
		_ = cmd.Wait()
	})
	for range 100 {
		out, err := exec.Command("pactl", "list", "short", "sources").Output()
		if err == nil && strings.Contains(string(out), "virtmic") {
			return
		}
		time.Sleep(50 * time.Millisecond) // another process starts
	}
	t.Skip("pulseaudio is installed, but its server did not answer: no sound can be played to it here")
}

// A tone played into a virtual microphone is heard through it, by name and as
// the default one.
func TestPulseAudio(t *testing.T) {
	pulse(t)
	devices, err := mic.Devices(mic.Config{})
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, d := range devices {
		found = found || d.Name == "VirtualMicrophone" && d.Default
	}
	if !found {
		t.Fatalf("no default VirtualMicrophone among %+v", devices)
	}
	wav := filepath.Join(t.TempDir(), "tone.wav")
	if err := os.WriteFile(wav, toneFile(20), 0o600); err != nil {
		t.Fatal(err)
	}
	player := exec.Command("paplay", "-d", "virt", wav)
	if err := player.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = player.Process.Kill() // it is this test's own
		_ = player.Wait()
	})
	for _, device := range []string{"", "virtualmic"} {
		shown := listen(t, "REAL=1", "FOR=3s", "DEVICE="+device)
		has(t, shown, "CHIMED true")
		has(t, shown, "AFTER 0 LOUD true ENDED expired")
	}
}

// toneFile is a WAV file of a 440 Hz tone.
func toneFile(seconds int) []byte {
	n := seconds * 16000 * 2
	b := []byte("RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00data")
	b = binary.LittleEndian.AppendUint32(b, uint32(n))
	for i := range n / 2 {
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(12000*math.Sin(2*math.Pi*440*float64(i)/16000))))
	}
	return b
}
