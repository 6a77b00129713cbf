package consent_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"aloud.example/aloud/consent"
	"aloud.example/aloud/internal/pty"
)

// TestMain is also the child that asks for a session: tests start it with a
// terminal, without one, and with everything but one.
func TestMain(m *testing.M) {
	if os.Getenv("ALOUD_TEST_CHILD") != "confirm" {
		os.Exit(m.Run())
	}
	os.Exit(confirmChild())
}

func confirmChild() int {
	adults, _ := strconv.Atoi(os.Getenv("ADULTS"))
	length, _ := time.ParseDuration(os.Getenv("FOR"))
	now := func() time.Time { return start }
	var fatal stderrFatal
	request := consent.Request{Mode: consent.Mode(os.Getenv("MODE")), For: length, Adults: adults}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s, err := consent.ConfirmAtTerminal(ctx, grant(fatal, consent.PurposeListen), request, now)
	if err != nil {
		fmt.Println("REFUSED", err)
		return 3
	}
	if err := s.Check(start.Add(length)); err == nil {
		fmt.Println("REFUSED the session has no end")
		return 3
	}
	fmt.Println("SESSION", s.Mode(), s.Adults(), s.Deadline().Sub(s.Confirmed()))
	return 0
}

type stderrFatal struct{}

func (stderrFatal) Helper()        {}
func (stderrFatal) Fatal(a ...any) { fmt.Fprintln(os.Stderr, a...); os.Exit(4) }

func child(mode, adults string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "ALOUD_TEST_CHILD=confirm", "FOR=30m", "MODE="+mode, "ADULTS="+adults)
	return cmd
}

var asked = regexp.MustCompile(`type:  ([a-z]+ [a-z]+ [a-z]+)\r?\n`)

// atTerminal answers each question by answer(phrase) and returns all the child
// showed.
func atTerminal(t *testing.T, cmd *exec.Cmd, answer func(n int, phrase string) string) (shown string, err error) {
	t.Helper()
	master, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	var b strings.Builder
	answered := 0
	buf := make([]byte, 4096)
	for {
		n, readErr := master.Read(buf)
		b.Write(buf[:n])
		questions := asked.FindAllStringSubmatch(b.String(), -1)
		for answered < len(questions) {
			answered++
			fmt.Fprintln(master, answer(answered, questions[answered-1][1]))
		}
		if readErr != nil {
			return b.String(), cmd.Wait()
		}
	}
}

func typeIt(_ int, phrase string) string { return phrase }

func TestConfirmAtTerminal(t *testing.T) {
	shown, err := atTerminal(t, child("", ""), typeIt)
	if err != nil || !strings.Contains(shown, "SESSION only-me 1 30m0s") {
		t.Fatalf("%v\n%s", err, shown)
	}
	for _, must := range []string{consent.Indicator, "30m0s", "only-me", "Ctrl-C"} {
		if !strings.Contains(shown, must) {
			t.Errorf("the terminal does not show %q:\n%s", must, shown)
		}
	}
	shown, err = atTerminal(t, child("push-to-talk", "1"), func(_ int, p string) string { return "  " + strings.ToUpper(p) + " " })
	if err != nil || !strings.Contains(shown, "SESSION push-to-talk 1 30m0s") {
		t.Errorf("%v\n%s", err, shown)
	}
}

// Each adult in a room types a phrase of their own.
func TestRoomAsksEachAdult(t *testing.T) {
	var phrases []string
	shown, err := atTerminal(t, child("room", "3"), func(_ int, p string) string { phrases = append(phrases, p); return p })
	if err != nil || !strings.Contains(shown, "SESSION room 3 30m0s") {
		t.Fatalf("%v\n%s", err, shown)
	}
	if len(phrases) != 3 || phrases[0] == phrases[1] || phrases[1] == phrases[2] {
		t.Errorf("three adults were asked for %q", phrases)
	}
	shown, err = atTerminal(t, child("room", "3"), func(n int, p string) string {
		if n == 3 {
			return ""
		}
		return p
	})
	if err == nil || !strings.Contains(shown, "REFUSED") {
		t.Errorf("the third adult did not agree, but: %v\n%s", err, shown)
	}
}

func TestWrongAnswers(t *testing.T) {
	for name, answer := range map[string]func(int, string) string{
		"yes":         func(int, string) string { return "yes" },
		"nothing":     func(int, string) string { return "" },
		"end of file": func(int, string) string { return "\x04" },
		"one word":    func(_ int, p string) string { return strings.Fields(p)[0] },
		"a long line": func(int, string) string { return strings.Repeat("x", 1000) },
	} {
		if shown, err := atTerminal(t, child("", ""), answer); err == nil || !strings.Contains(shown, "REFUSED not confirmed") {
			t.Errorf("%s: %v\n%s", name, err, shown)
		}
	}
	// The first phrase doesn't fit the second question.
	first := ""
	shown, err := atTerminal(t, child("", ""), func(n int, p string) string {
		if n == 1 {
			first = p
			return "no"
		}
		return first
	})
	if err == nil || !strings.Contains(shown, "REFUSED") {
		t.Errorf("an old phrase was taken: %v\n%s", err, shown)
	}
}

// What is typed ahead of the question is thrown away.
func TestTypedAhead(t *testing.T) {
	cmd := child("", "")
	master, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	fmt.Fprint(master, strings.Repeat("yes\n", 20))
	out, _ := io.ReadAll(bufio.NewReader(master))
	if err := cmd.Wait(); err == nil || !strings.Contains(string(out), "REFUSED") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A process that waits for an answer stops when it is told to.
func TestNobodyAnswers(t *testing.T) {
	cmd := child("", "")
	master, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	out, _ := io.ReadAll(bufio.NewReader(master))
	if err := cmd.Wait(); err == nil || !strings.Contains(string(out), "REFUSED not confirmed in time") {
		t.Errorf("%v\n%s", err, out)
	}
}

// Without a terminal there is no session, whatever is piped in or set.
func TestNoTerminal(t *testing.T) {
	answers := strings.Repeat("y\nyes\namber anchor apple\n", 100)
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, stdin := range map[string]io.Reader{"pipe": strings.NewReader(answers), "device": file, "none": nil} {
		cmd := child("", "")
		cmd.Stdin = stdin
		cmd.Env = append(cmd.Env, "ALOUD_YES=1", "CI=1", "TTY=/dev/null", "SSH_TTY=/dev/null", "TERM=dumb")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		out, err := cmd.Output()
		if err == nil || !strings.Contains(string(out), "REFUSED listening starts only from a terminal") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// With a terminal, what is piped in still answers nothing: only what is typed
// does.
func TestPipeBesideTerminal(t *testing.T) {
	cmd := child("", "")
	cmd.Stdin = strings.NewReader(strings.Repeat("yes\n", 100))
	shown, err := atTerminal(t, cmd, func(int, string) string { return "" })
	if err == nil || !strings.Contains(shown, "REFUSED") {
		t.Errorf("%v\n%s", err, shown)
	}
}

// A background job of a terminal can't start a session.
func TestBackground(t *testing.T) {
	cmd := exec.Command("/bin/sh", "-c", `set -m; "$CHILD" & wait $!`)
	cmd.Env = append(child("", "").Env, "CHILD="+os.Args[0])
	shown, _ := atTerminal(t, cmd, typeIt)
	if !strings.Contains(shown, "REFUSED") || strings.Contains(shown, "SESSION") {
		t.Errorf("%s", shown)
	}
}
