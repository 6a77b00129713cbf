package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	goodEvidence = "../../proof/testdata/evidence.json"
	goodTrust    = "../../proof/testdata/trust.json"
)

// verifyRun runs one command line of verify.
func verifyRun(t *testing.T, stdin string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	status = run(t.Context(), append([]string{"verify"}, args...), &env{stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs, now: time.Now})
	return status, out.String(), errs.String()
}

func TestVerifyPrintsTheChain(t *testing.T) {
	evidence, err := os.ReadFile(goodEvidence)
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	trust, err := os.ReadFile(goodTrust)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, "server.json"), trust, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		stdin string
		args  []string
	}{
		"a file":         {"", []string{goodEvidence, "--trust", goodTrust}},
		"standard input": {string(evidence), []string{"-", "--trust", goodTrust}},
		"a home":         {"", []string{goodEvidence, "--home", home}},
	} {
		status, out, errs := verifyRun(t, c.stdin, c.args...)
		if status != 0 || errs != "" || strings.Count(out, "✓ ") != 10 || !strings.Contains(out, "holds.") {
			t.Errorf("%s: %d\n%s%s", name, status, out, errs)
		}
	}
	status, out, _ := verifyRun(t, "", goodEvidence, "--trust", goodTrust, "--json")
	var v struct {
		Holds bool
		Steps []struct{ Name, Text string }
	}
	if err := json.Unmarshal([]byte(out), &v); err != nil || status != 0 || !v.Holds || len(v.Steps) != 10 {
		t.Errorf("--json: %d, %v\n%s", status, err, out)
	}
}

func TestVerifyFailsWithTheReason(t *testing.T) {
	evidence, err := os.ReadFile(goodEvidence)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	flipped := bytes.Replace(evidence, []byte("home.hvac"), []byte("home.hvad"), 1)
	other := write("other.json", []byte(`{"server_keys":[{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}],"log_vkey":"aloud.example/log+aaa=+x"}`))
	for name, c := range map[string]struct {
		args   []string
		status int
		reason string
	}{
		"a changed fact":   {[]string{write("e.json", flipped), "--trust", goodTrust}, 1, "the proof fails: evidence: "},
		"cut short":        {[]string{write("e.json", evidence[:1000]), "--trust", goodTrust}, 1, "too early"},
		"not JSON":         {[]string{write("e.json", []byte("hello")), "--trust", goodTrust}, 2, "not a JSON object"},
		"empty":            {[]string{write("e.json", nil), "--trust", goodTrust}, 2, "empty"},
		"too long":         {[]string{write("e.json", bytes.Repeat([]byte("{"), 1<<20)), "--trust", goodTrust}, 2, "more than"},
		"no such file":     {[]string{"missing.json", "--trust", goodTrust}, 2, "missing.json: no such file"},
		"a folder":         {[]string{t.TempDir(), "--trust", goodTrust}, 2, "is a directory"},
		"no such trust":    {[]string{goodEvidence, "--trust", "missing.json"}, 2, "missing.json: no such file"},
		"a damaged trust":  {[]string{goodEvidence, "--trust", other}, 2, "log_vkey"},
		"trust in no JSON": {[]string{goodEvidence, "--trust", write("t.json", []byte("keys"))}, 2, "not JSON"},
		"no home":          {[]string{goodEvidence, "--home", t.TempDir()}, 2, "server.json: no such file"},
		"both":             {[]string{goodEvidence, "--home", "x", "--trust", "y"}, 2, "home trust"},
		"nothing":          {nil, 2, "1 arg"},
	} {
		status, _, errs := verifyRun(t, "", c.args...)
		if status != c.status || !strings.Contains(errs, c.reason) || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: status %d, want %d with %q:\n%s", name, status, c.status, c.reason, errs)
		}
	}
}
