package mic_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/internal/pty"
	"aloud.example/aloud/listen/mic"
)

// A session comes only from a person at a terminal, so the tests that need one
// run in a child whose terminal the test is: nothing in this package can make
// one otherwise.
func TestMain(m *testing.M) {
	if os.Getenv("ALOUD_TEST_CHILD") != "mic" {
		os.Exit(m.Run())
	}
	if err := child(); err != nil {
		fmt.Println("FAILED", aloud.ErrorCode(err), err)
		os.Exit(3)
	}
}

func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("aloud test key " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func confirmed(length time.Duration, mode consent.Mode) (consent.Session, error) {
	now := time.Now().UTC().Truncate(time.Second)
	r, err := consent.NewReceipt(consent.Decision{
		Participant: aloud.NewParticipantID(), DeviceKey: key("device").Public().(ed25519.PublicKey),
		Notice: consent.EnglishNotice(consent.Controller{Name: "Example Operator", Contact: "privacy@operator.example"}),
		Adult:  true, Method: consent.MethodTerminal, At: now,
		Choices: []consent.Choice{{Purpose: consent.PurposeListen, Expires: now.Add(consent.DefaultExpiry)}},
	})
	if err != nil {
		return consent.Session{}, err
	}
	signed, err := consent.Sign(r, key("device"))
	if err != nil {
		return consent.Session{}, err
	}
	if err := signed.Countersign(key("server"), now); err != nil {
		return consent.Session{}, err
	}
	grant, err := consent.Granted(signed, []ed25519.PublicKey{key("server").Public().(ed25519.PublicKey)}, consent.PurposeListen, now)
	if err != nil {
		return consent.Session{}, err
	}
	return consent.ConfirmAtTerminal(context.Background(), grant, consent.Request{Mode: mode, For: length}, nil)
}

// child confirms a session and hears until something ends it.
func child() error {
	length, err := time.ParseDuration(os.Getenv("FOR"))
	if err != nil {
		return err
	}
	session, err := confirmed(length, consent.Mode(os.Getenv("MODE")))
	if err != nil {
		return err
	}
	fmt.Println("CONFIRMED")
	var samples, loud atomic.Int64
	cfg := mic.Config{
		Device: os.Getenv("DEVICE"), Silent: os.Getenv("REAL") == "", Bell: os.Stdout,
		Deliver: func(s []float32) {
			samples.Add(int64(len(s)))
			for _, v := range s {
				if v > 0.1 {
					loud.Add(1)
				}
			}
		},
	}
	if os.Getenv("LATE") != "" {
		late := session.Deadline()
		cfg.Now = func() time.Time { return late }
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	opened := time.Now()
	stream, err := mic.Open(ctx, session, cfg)
	if err != nil {
		return err
	}
	defer stream.Close()
	chimed := time.Since(opened)
	switch os.Getenv("DO") {
	case "talk":
		time.Sleep(500 * time.Millisecond) // real time: this is a device
		before := samples.Load()
		stream.Talk(true)
		time.Sleep(500 * time.Millisecond)
		stream.Talk(false)
		down := samples.Load()
		time.Sleep(1300 * time.Millisecond)
		up := samples.Load()
		time.Sleep(300 * time.Millisecond)
		fmt.Printf("BEFORE %d DOWN %t ENDED %t AFTER %d\n", before, down > 4000, up-down > 12000, samples.Load()-up)
		return nil
	case "cancel":
		time.AfterFunc(300*time.Millisecond, cancel)
	case "close":
		time.AfterFunc(300*time.Millisecond, stream.Close)
	}
	err = stream.Err()
	ended := time.Now()
	heard := samples.Load()
	time.Sleep(200 * time.Millisecond)
	fmt.Printf("CHIMED %t HEARD %.1f OVERDUE %t AFTER %d LOUD %t ENDED %v %v\n", chimed >= 290*time.Millisecond,
		float64(heard)/16000, ended.After(session.Deadline().Add(500*time.Millisecond)), samples.Load()-heard, loud.Load() > 1000,
		aloud.ErrorCode(err), errors.Is(err, context.Canceled))
	return nil
}

var asked = regexp.MustCompile(`type:  ([a-z]+ [a-z]+ [a-z]+)\r?\n`)

// listen runs the child and types what its terminal asks for.
func listen(t *testing.T, env ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append([]string{"ALOUD_TEST_CHILD=mic", "FOR=1s", "MODE=only-me"}, env...)...)
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = terminal.Close() }()
	var shown strings.Builder
	typed := false
	buf := make([]byte, 4096)
	for {
		n, err := terminal.Read(buf)
		shown.Write(buf[:n])
		if m := asked.FindStringSubmatch(shown.String()); m != nil && !typed {
			typed = true
			_, _ = fmt.Fprintln(terminal, m[1]) // a child that is gone fails below
		}
		if err != nil {
			_ = cmd.Wait() // the child says FAILED itself
			return shown.String()
		}
	}
}

func has(t *testing.T, shown, want string) {
	t.Helper()
	if !strings.Contains(shown, want) {
		t.Errorf("no %q in\n%s", want, shown)
	}
}

func TestNoMicrophoneWithoutSession(t *testing.T) {
	opened := false
	cfg := mic.Config{Silent: true, Deliver: func([]float32) { opened = true }}
	_, err := mic.Open(context.Background(), consent.Session{}, cfg)
	if aloud.ErrorCode(err) != aloud.EFORBIDDEN || opened {
		t.Errorf("the zero session: %v", err)
	}
}

func TestSessionThatIsOver(t *testing.T) {
	has(t, listen(t, "LATE=1"), "FAILED expired")
}

func TestStopsItselfAtTheDeadline(t *testing.T) {
	shown := listen(t, "FOR=2s")
	has(t, shown, "OVERDUE false AFTER 0 LOUD false ENDED expired")
	has(t, shown, "CHIMED true")
	var heard float64
	if at := strings.Index(shown, "HEARD "); at >= 0 {
		_, _ = fmt.Sscanf(shown[at:], "HEARD %f", &heard) // 0 fails below
	}
	if math.Abs(heard-1.6) > 0.35 { // two seconds, less the chime
		t.Errorf("%.1f s heard\n%s", heard, shown)
	}
}

func TestStopsWithItsContext(t *testing.T) {
	has(t, listen(t, "FOR=1h", "DO=cancel"), "AFTER 0 LOUD false ENDED internal true")
}

func TestClose(t *testing.T) {
	has(t, listen(t, "FOR=1h", "DO=close"), "AFTER 0 LOUD false ENDED  false")
}

func TestPushToTalk(t *testing.T) {
	has(t, listen(t, "FOR=1h", "MODE=push-to-talk", "DO=talk"), "BEFORE 0 DOWN true ENDED true AFTER 0")
}

func TestUnknownDevice(t *testing.T) {
	shown := listen(t, "DEVICE=no such thing")
	has(t, shown, `FAILED not_found there is no microphone "no such thing": this machine has "`)
}

func TestNamedDevice(t *testing.T) {
	devices, err := mic.Devices(mic.Config{Silent: true})
	if err != nil || len(devices) == 0 || devices[0].Name == "" {
		t.Fatal(devices, err)
	}
	has(t, listen(t, "DEVICE="+strings.ToLower(devices[0].Name[:5])), "ENDED expired")
}
