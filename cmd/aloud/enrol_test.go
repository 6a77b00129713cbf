//go:build cgo && linux

package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/consent/jws"
	"aloud.example/aloud/internal/pty"
	"aloud.example/aloud/signal"
	"aloud.example/aloud/signal/uplink"
)

// operator is the server's side of the device's API, with real keys: it
// countersigns, and verifies what it is sent by the keys of its receipts.
type operator struct {
	key       ed25519.PrivateKey
	simulated bool

	mu       sync.Mutex
	receipts map[aloud.ParticipantID]consent.Receipt
	ended    []string
	signals  []signal.Signal
	down     bool
	lose     bool // answers to consents
}

// knows returns what the server was sent and told so far.
func (o *operator) knows() (signals []signal.Signal, ended []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.signals), slices.Clone(o.ended)
}

func startOperator(t *testing.T, simulated bool) (*operator, string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	o := &operator{key: key, simulated: simulated, receipts: map[aloud.ParticipantID]consent.Receipt{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/notice", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(uplink.Notice{
			Notice:    consent.EnglishNotice(consent.Controller{Name: "Example Operator", Contact: "privacy@operator.example"}),
			ServerKey: jws.NewJWK(key.Public().(ed25519.PublicKey)), LogVKey: "log", Simulated: simulated,
		})
	})
	mux.HandleFunc("POST /v1/consents", o.consents)
	mux.HandleFunc("POST /v1/withdrawals", func(w http.ResponseWriter, r *http.Request) {
		o.end(w, r, "withdrawal", func(token string) (aloud.ParticipantID, string, error) {
			v, err := consent.PeekWithdrawal(token)
			return v.Participant, string(v.Purpose), err
		}, func(token string, k ed25519.PublicKey) error { _, err := consent.ParseWithdrawal(token, k); return err })
	})
	mux.HandleFunc("POST /v1/erasures", func(w http.ResponseWriter, r *http.Request) {
		o.end(w, r, "erasure", func(token string) (aloud.ParticipantID, string, error) {
			v, err := consent.PeekErasure(token)
			return v.Participant, "everything", err
		}, func(token string, k ed25519.PublicKey) error { _, err := consent.ParseErasure(token, k); return err })
	})
	mux.HandleFunc("POST /v1/signals", o.take)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		down := o.down
		o.mu.Unlock()
		if down {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return o, s.URL
}

func (o *operator) set(down bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.down = down
}

func (o *operator) consents(w http.ResponseWriter, r *http.Request) {
	var s consent.Signed
	err := json.NewDecoder(r.Body).Decode(&s)
	var receipt consent.Receipt
	if err == nil {
		receipt, err = consent.VerifyDevice(s)
	}
	if err == nil {
		err = s.Countersign(o.key, time.Now())
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	o.mu.Lock()
	o.receipts[receipt.Participant] = receipt
	lose := o.lose
	o.mu.Unlock()
	if lose {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(uplink.Enrolled{Receipt: s, BuyerUID: "u_1"})
}

func (o *operator) end(w http.ResponseWriter, r *http.Request, member string,
	peek func(string) (aloud.ParticipantID, string, error), parse func(string, ed25519.PublicKey) error,
) {
	var body map[string]string
	_ = json.NewDecoder(r.Body).Decode(&body)
	o.mu.Lock()
	defer o.mu.Unlock()
	who, what, err := peek(body[member])
	var key ed25519.PublicKey
	if err == nil {
		key, err = o.receipts[who].DeviceKey.Public()
	}
	if err == nil {
		err = parse(body[member], key)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	o.ended = append(o.ended, what)
}

func (o *operator) take(w http.ResponseWriter, r *http.Request) {
	var body struct{ Signals []string }
	_ = json.NewDecoder(r.Body).Decode(&body)
	o.mu.Lock()
	defer o.mu.Unlock()
	var results []uplink.Result
	for _, token := range body.Signals {
		u, err := signal.Parse(token)
		if err == nil {
			key, _ := o.receipts[u.Claimed().Participant].DeviceKey.Public()
			var s signal.Signal
			if s, err = u.Verify(key); err == nil {
				o.signals = append(o.signals, s)
			}
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		results = append(results, uplink.Result{ID: u.Claimed().ID, Status: uplink.Accepted})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"results": results})
}

// aloudRun runs the binary and returns what it wrote.
func aloudRun(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.Command("aloud", args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// noticePrefix is the hash that --print-notice shows.
func noticePrefix(t *testing.T, url string) string {
	t.Helper()
	out, errs, status := aloudRun(t, "enrol", "--server", url, "--print-notice", "--json")
	var shown struct{ SHA256, Text string }
	if err := json.Unmarshal([]byte(out), &shown); err != nil || status != 0 || !strings.Contains(shown.Text, "18 or older") {
		t.Fatalf("%v %s", err, errs)
	}
	return shown.SHA256[:12]
}

// enrolByScript enrols with a simulated server.
func enrolByScript(t *testing.T, url, dir string, more ...string) (stdout, stderr string, status int) {
	t.Helper()
	return aloudRun(t, append([]string{
		"enrol", "--server", url, "--home", dir, "--grant", "listen,share_signals,measure",
		"--adult", "--yes-i-read-the-notice", noticePrefix(t, url),
	}, more...)...)
}

func TestEnrolByScript(t *testing.T) {
	op, url := startOperator(t, true)
	dir := filepath.Join(t.TempDir(), "home")
	out, errs, status := enrolByScript(t, url, dir, "--place", "33.749,-84.388", "--days", "30", "--json")
	if status != 0 {
		t.Fatal(errs)
	}
	var shown struct {
		Participant aloud.ParticipantID
		Cell        signal.Cell
		Purposes    map[string]time.Time
	}
	if err := json.Unmarshal([]byte(out), &shown); err != nil || !shown.Cell.Valid() || len(shown.Purposes) != 3 {
		t.Errorf("%v %s", err, out)
	}
	if until := time.Until(shown.Purposes["listen"]); until < 29*24*time.Hour || until > 31*24*time.Hour {
		t.Errorf("listen ends in %s", until)
	}
	if info, err := os.Stat(filepath.Join(dir, keyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	h := home{dir: dir}
	if _, r, err := h.receipt(); err != nil || r.Participant != shown.Participant || r.Method != consent.MethodScript || op.receipts[r.Participant].Hash() != r.Hash() {
		t.Errorf("%+v %v", r, err)
	}
	before, _ := os.ReadFile(filepath.Join(dir, keyFile))
	if _, errs, status := enrolByScript(t, url, dir); status != 2 || !strings.Contains(errs, "enrolled already") {
		t.Errorf("enrolled twice: %d %s", status, errs)
	}
	if _, errs, status := enrolByScript(t, url, dir, "--renew"); status != 0 {
		t.Error(errs)
	}
	after, _ := os.ReadFile(filepath.Join(dir, keyFile))
	if !bytes.Equal(before, after) {
		t.Error("the key was overwritten")
	}
	if _, r, err := h.receipt(); err != nil || r.Participant != shown.Participant {
		t.Errorf("renewing changed the participant: %v", err)
	}
}

// An enrolment whose answer was lost goes on under the same pseudonym and key.
func TestEnrolGoesOn(t *testing.T) {
	op, url := startOperator(t, true)
	dir := filepath.Join(t.TempDir(), "home")
	hash := noticePrefix(t, url)
	op.mu.Lock()
	op.lose = true
	op.mu.Unlock()
	args := []string{"enrol", "--server", url, "--home", dir, "--grant", "listen", "--adult", "--yes-i-read-the-notice", hash}
	if _, errs, status := aloudRun(t, args...); status != 1 || strings.Count(errs, "\n") != 1 {
		t.Fatalf("%d %s", status, errs)
	}
	if (home{dir: dir}).has(receiptFile) {
		t.Error("a receipt without countersignature was kept")
	}
	op.mu.Lock()
	op.lose = false
	op.mu.Unlock()
	if _, errs, status := aloudRun(t, args...); status != 0 {
		t.Fatal(errs)
	}
	if _, r, err := (home{dir: dir}).receipt(); err != nil || len(op.receipts) != 1 || op.receipts[r.Participant].Hash() != r.Hash() {
		t.Errorf("%d participants for one person, %v", len(op.receipts), err)
	}
	if (home{dir: dir}).has(askedFile) {
		t.Error("the try is still kept")
	}
}

// A script can't agree for a person.
func TestScriptIsRefusedByRealServers(t *testing.T) {
	_, url := startOperator(t, false)
	dir := filepath.Join(t.TempDir(), "home")
	for _, args := range [][]string{
		{"--grant", "listen", "--adult", "--yes-i-read-the-notice", noticePrefix(t, url)},
		{"--adult"},
		{"--place", "0,0"},
		{"--days", "1"},
		{"--grant", ""},
	} {
		_, errs, status := aloudRun(t, append([]string{"enrol", "--server", url, "--home", dir}, args...)...)
		if status != 2 || !strings.Contains(errs, "simulated servers only") {
			t.Errorf("%v: %d %s", args, status, errs)
		}
	}
	// Nor can a pipe.
	cmd := exec.Command("aloud", "enrol", "--server", url, "--home", dir)
	cmd.Stdin = strings.NewReader(strings.Repeat("yes\n", 20))
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "a person decides at a terminal") {
		t.Errorf("%v %s", err, out)
	}
	if (home{dir: dir}).has(keyFile) || (home{dir: dir}).has(receiptFile) {
		t.Error("something was stored")
	}
}

func TestEnrolRefuses(t *testing.T) {
	_, url := startOperator(t, true)
	hash := noticePrefix(t, url)
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no server":       {[]string{}, "--server URL"},
		"plain http":      {[]string{"--server", "http://aloud.example"}, "https"},
		"nobody there":    {[]string{"--server", "http://127.0.0.1:1"}, "can't be reached"},
		"unread":          {[]string{"--server", url, "--grant", "listen", "--adult"}, "--yes-i-read-the-notice"},
		"wrong notice":    {[]string{"--server", url, "--grant", "listen", "--adult", "--yes-i-read-the-notice", "00000000"}, "--yes-i-read-the-notice"},
		"short hash":      {[]string{"--server", url, "--grant", "listen", "--adult", "--yes-i-read-the-notice", hash[:4]}, "--yes-i-read-the-notice"},
		"not an adult":    {[]string{"--server", url, "--grant", "listen", "--yes-i-read-the-notice", hash}, "adult"},
		"no purpose":      {[]string{"--server", url, "--adult", "--yes-i-read-the-notice", hash}, "no purpose"},
		"unknown purpose": {[]string{"--server", url, "--grant", "sell", "--adult", "--yes-i-read-the-notice", hash}, "there is no purpose"},
		"bad place":       {[]string{"--server", url, "--grant", "listen", "--adult", "--yes-i-read-the-notice", hash, "--place", "Atlanta"}, "cell"},
		"far place":       {[]string{"--server", url, "--grant", "listen", "--adult", "--yes-i-read-the-notice", hash, "--place", "91,0"}, "latitude"},
		"too long":        {[]string{"--server", url, "--grant", "listen", "--adult", "--yes-i-read-the-notice", hash, "--days", "900"}, "--days"},
		"renew nothing":   {[]string{"--server", url, "--renew"}, "aloud enrol --server"},
		"an argument":     {[]string{"yes"}, "unknown command"},
	} {
		dir := filepath.Join(t.TempDir(), "home")
		_, errs, status := aloudRun(t, append([]string{"enrol", "--home", dir}, c.args...)...)
		wantStatus := 2
		if name == "nobody there" {
			wantStatus = 1
		}
		if status != wantStatus || !strings.Contains(errs, c.says) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: %d %q", name, status, errs)
		}
		if (home{dir: dir}).has(keyFile) || (home{dir: dir}).has(receiptFile) {
			t.Errorf("%s: something was stored", name)
		}
	}
}

// atTerminal runs the binary at a terminal, types one answer after each prompt,
// and returns what it showed.
func atTerminal(t *testing.T, answers []string, args ...string) (shown string, err error) {
	t.Helper()
	cmd := exec.Command("aloud", args...)
	master, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	var b strings.Builder
	buf := make([]byte, 4096)
	for asked := 0; ; {
		n, readErr := master.Read(buf)
		b.Write(buf[:n])
		for asked < strings.Count(b.String(), "]: ") {
			answer := "\x04"
			if asked < len(answers) {
				answer = answers[asked] + "\n"
			}
			asked++
			fmt.Fprint(master, answer)
		}
		if readErr != nil {
			return b.String(), cmd.Wait()
		}
	}
}

func TestEnrolAtTerminal(t *testing.T) {
	_, url := startOperator(t, false)
	dir := filepath.Join(t.TempDir(), "home")
	shown, err := atTerminal(t, []string{"yes", "yes", "yes 30", "", "no", "YES", "nowhere", "33.749, -84.388"}, "enrol", "--server", url, "--home", dir)
	if err != nil {
		t.Fatalf("%v\n%s", err, shown)
	}
	_, r, err := (home{dir: dir}).receipt()
	if err != nil || r.Method != consent.MethodTerminal || !r.Adult || len(r.Purposes) != 3 {
		t.Fatalf("%+v %v\n%s", r, err, shown)
	}
	for p, days := range map[consent.Purpose]int{consent.PurposeListen: 90, consent.PurposeShareSignals: 30, consent.PurposeMeasure: 90} {
		until, ok := r.Expires(p)
		if got := until.Sub(r.Time).Hours() / 24; !ok || got < float64(days)-0.1 || got > float64(days)+0.1 {
			t.Errorf("%s lasts %.1f days, %v", p, got, ok)
		}
	}
	if cell, err := (home{dir: dir}).cell(); err != nil || !cell.Valid() {
		t.Errorf("%q %v", cell, err)
	}
}

// Pressing return agrees to nothing.
func TestNothingIsPreTicked(t *testing.T) {
	_, url := startOperator(t, false)
	for name, answers := range map[string][]string{
		"return":       {"", "", "", "", "", ""},
		"adult alone":  {"yes", "", "", "", "", ""},
		"not adult":    {"no", "yes", "yes"},
		"end of input": {"yes", "yes"},
	} {
		dir := filepath.Join(t.TempDir(), "home")
		shown, err := atTerminal(t, answers, "enrol", "--server", url, "--home", dir)
		if err == nil || !strings.Contains(shown, "nothing was stored") || (home{dir: dir}).has(keyFile) {
			t.Errorf("%s: %v\n%s", name, err, shown)
		}
	}
}

func TestWithdrawOffline(t *testing.T) {
	op, url := startOperator(t, true)
	dir := filepath.Join(t.TempDir(), "home")
	if _, errs, status := enrolByScript(t, url, dir); status != 0 {
		t.Fatal(errs)
	}
	id := addSignal(t, dir)
	op.set(true)
	out, errs, status := aloudRun(t, "withdraw", "share_signals", "--home", dir, "--json")
	if status != 0 || !strings.Contains(out, `"server_told":false`) {
		t.Fatalf("%d %s %s", status, out, errs)
	}
	e := &env{stderr: os.Stderr, now: time.Now}
	h := home{dir: dir}
	box, err := h.outbox(t.Context(), e, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	if _, err := h.allowed(t.Context(), box, consent.PurposeShareSignals, time.Now()); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
		t.Errorf("still allowed: %v", err)
	}
	if _, err := h.allowed(t.Context(), box, consent.PurposeListen, time.Now()); err != nil {
		t.Errorf("listen was not withdrawn: %v", err)
	}
	op.set(false)
	if out, errs, status := aloudRun(t, "outbox", "send", "--home", dir, "--json"); status != 0 || !strings.Contains(out, `"told":1`) {
		t.Errorf("%d %s %s", status, out, errs)
	}
	if sent, ended := op.knows(); len(sent) != 0 || fmt.Sprint(ended) != "[share_signals]" {
		t.Errorf("signal %s: sent %v, told of %v", id, sent, ended)
	}
	if out, errs, status := aloudRun(t, "withdraw", "--all", "--home", dir); status != 0 || !strings.Contains(out, "The server was told") {
		t.Errorf("%d %s %s", status, out, errs)
	}
	if _, ended := op.knows(); fmt.Sprint(ended) != "[share_signals listen measure]" {
		t.Errorf("told of %v", ended)
	}
	for _, args := range [][]string{{}, {"--all", "listen"}, {"match_behaviour"}, {"everything"}} {
		if _, errs, status := aloudRun(t, append([]string{"withdraw", "--home", dir}, args...)...); status != 2 || strings.Count(errs, "\n") != 1 {
			t.Errorf("withdraw %v: %d %q", args, status, errs)
		}
	}
}

// addSignal puts a signal into the outbox, as a listener would.
func addSignal(t *testing.T, dir string) aloud.SignalID {
	t.Helper()
	h := home{dir: dir}
	box, err := h.outbox(t.Context(), &env{stderr: os.Stderr, now: time.Now}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	g, err := h.allowed(t.Context(), box, consent.PurposeShareSignals, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p, err := signal.New(g, aloud.Intent{Category: "home.hvac", Stage: aloud.StageNeed, Score: 0.8}, time.Now(), aloud.SourceFile, "")
	if err != nil {
		t.Fatal(err)
	}
	entry, err := box.Add(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return entry.ID
}

// A session that runs ends when another command withdraws.
func TestWithdrawEndsARunningSession(t *testing.T) {
	_, url := startOperator(t, true)
	for _, args := range [][]string{{"withdraw", "listen"}, {"erase"}} {
		dir := filepath.Join(t.TempDir(), "home")
		if _, errs, status := enrolByScript(t, url, dir); status != 0 {
			t.Fatal(errs)
		}
		h := home{dir: dir}
		g, err := h.grant(consent.PurposeListen, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := h.whileAllowed(t.Context(), &env{stderr: os.Stderr, now: time.Now}, g)
		if _, errs, status := aloudRun(t, "withdraw", "measure", "--home", dir); status != 0 {
			t.Fatal(errs)
		}
		select {
		case <-ctx.Done():
			t.Errorf("ended by the end of another purpose: %v", context.Cause(ctx))
		case <-time.After(2 * watchEvery):
		}
		if _, errs, status := aloudRun(t, append(args, "--home", dir)...); status != 0 {
			t.Fatal(errs)
		}
		select {
		case <-ctx.Done():
			if err := context.Cause(ctx); aloud.ErrorCode(err) != aloud.EFORBIDDEN {
				t.Errorf("%v ended it by: %v", args, err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%v did not end it", args)
		}
		stop()
	}
}

func TestOutboxCommand(t *testing.T) {
	op, url := startOperator(t, true)
	dir := filepath.Join(t.TempDir(), "home")
	if _, errs, status := enrolByScript(t, url, dir); status != 0 {
		t.Fatal(errs)
	}
	if out, _, _ := aloudRun(t, "outbox", "--home", dir); !strings.Contains(out, "Nothing waits") {
		t.Error(out)
	}
	first, second := addSignal(t, dir), addSignal(t, dir)
	out, errs, status := aloudRun(t, "outbox", "--home", dir)
	if status != 0 || !strings.Contains(out, string(first)) || !strings.Contains(out, "leaves in 3") || !strings.Contains(out, "home.hvac") {
		t.Errorf("%d %s %s", status, out, errs)
	}
	if out, errs, status := aloudRun(t, "outbox", "veto", string(first), "--home", dir); status != 0 || !strings.Contains(out, "never left") {
		t.Errorf("%d %s %s", status, out, errs)
	}
	if out, errs, status := aloudRun(t, "outbox", "send", "--home", dir); status != 0 || !strings.Contains(out, "Sent 1, refused 0") {
		t.Errorf("%d %s %s", status, out, errs)
	}
	if sent, _ := op.knows(); len(sent) != 1 || sent[0].ID != second {
		t.Errorf("%+v", sent)
	}
	out, _, _ = aloudRun(t, "outbox", "--home", dir, "--json")
	var listed struct {
		Signals []struct {
			JTI   aloud.SignalID
			State string
		}
	}
	if err := json.Unmarshal([]byte(out), &listed); err != nil || len(listed.Signals) != 1 || listed.Signals[0].State != "accepted" {
		t.Errorf("%v %s", err, out)
	}
	if _, errs, status := aloudRun(t, "outbox", "veto", string(second), "--home", dir); status != 2 || !strings.Contains(errs, "was sent") {
		t.Errorf("%d %s", status, errs)
	}
}

func TestErase(t *testing.T) {
	op, url := startOperator(t, true)
	dir := filepath.Join(t.TempDir(), "home")
	if _, errs, status := enrolByScript(t, url, dir); status != 0 {
		t.Fatal(errs)
	}
	addSignal(t, dir)
	op.set(true)
	if out, errs, status := aloudRun(t, "erase", "--home", dir); status != 0 || !strings.Contains(out, "can't be reached now") {
		t.Fatalf("%d %s %s", status, out, errs)
	}
	h := home{dir: dir}
	if h.has(keyFile) || h.has(receiptFile) || h.has(placeFile) {
		t.Error("the device still holds its key, receipt or place")
	}
	if _, errs, status := aloudRun(t, "enrol", "--server", url, "--home", dir); status != 1 || !strings.Contains(errs, "has not reached the server") {
		t.Errorf("enrolled again before the erasure was known: %d %s", status, errs)
	}
	op.set(false)
	if out, errs, status := aloudRun(t, "erase", "--home", dir, "--json"); status != 0 || !strings.Contains(out, `"server_told":true`) {
		t.Fatalf("%d %s %s", status, out, errs)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	if sent, ended := op.knows(); fmt.Sprint(ended) != "[everything]" || len(sent) != 0 {
		t.Errorf("told of %v, sent %v", ended, sent)
	}
	if _, errs, status := aloudRun(t, "erase", "--home", dir); status != 2 || !strings.Contains(errs, "aloud enrol") {
		t.Errorf("%d %s", status, errs)
	}
	if _, errs, status := enrolByScript(t, url, dir); status != 0 {
		t.Error(errs)
	}
}

// A home that was tampered with is refused in words.
func TestDamagedHome(t *testing.T) {
	_, url := startOperator(t, true)
	other, otherURL := startOperator(t, true)
	spoil := func(name string, data []byte) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), data, 0o600) }
	}
	renew := []string{"enrol", "--renew", "--adult"}
	for name, c := range map[string]struct {
		spoil func(dir string) error
		args  []string
		says  string
	}{
		"readable key":  {func(dir string) error { return os.Chmod(filepath.Join(dir, keyFile), 0o644) }, []string{"withdraw", "listen"}, "chmod 600"},
		"empty key":     {spoil(keyFile, nil), []string{"withdraw", "listen"}, "device.key is damaged"},
		"empty receipt": {spoil(receiptFile, nil), renew, "receipt.json is damaged"},
		"other server": {func(dir string) error {
			return home{dir: dir}.write(serverFile, server{URL: otherURL, Key: jws.NewJWK(other.key.Public().(ed25519.PublicKey)), Simulated: true})
		}, renew, "none of the server's"},
		"edited receipt": {func(dir string) error {
			path := filepath.Join(dir, receiptFile)
			data, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path, bytes.Replace(data, []byte(`"payload": "e`), []byte(`"payload": "f`), 1), 0o600))
		}, renew, "receipt"},
		"garbage outbox": {spoil(outboxFile, bytes.Repeat([]byte("x"), 4096)), []string{"outbox"}, "outbox"},
	} {
		dir := filepath.Join(t.TempDir(), "home")
		if _, errs, status := enrolByScript(t, url, dir); status != 0 {
			t.Fatal(errs)
		}
		if err := c.spoil(dir); err != nil {
			t.Fatal(err)
		}
		args := append(c.args, "--home", dir)
		if c.args[0] == "enrol" {
			hash := noticePrefix(t, url)
			if name == "other server" {
				hash = noticePrefix(t, otherURL)
			}
			args = append(args, "--grant", "listen", "--yes-i-read-the-notice", hash)
		}
		_, errs, status := aloudRun(t, args...)
		if status == 0 || !strings.Contains(errs, c.says) || strings.Count(errs, "\n") != 1 || strings.Contains(errs, dir) {
			t.Errorf("%s: %d %q", name, status, errs)
		}
	}
}
