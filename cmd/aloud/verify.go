package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"aloud.example/aloud"
	"aloud.example/aloud/proof"
)

// verifyOptions are the flags of verify.
type verifyOptions struct {
	trust, home string
	json        bool
}

func newVerifyCommand(e *env) *cobra.Command {
	var o verifyOptions
	c := &cobra.Command{
		Use:     "verify FILE|-",
		GroupID: "check",
		Short:   "Check the evidence of one impression, offline",
		Long: `Checks everything that stands behind one billed impression: the signal as the
device signed it, the receipt in force at that time, the audience's rule, the
territory, and that the transparency log holds a commitment to each.

FILE is the evidence that GET /v1/evidence/{bid} gives, - is standard input. It
needs no network: the server's key and the log's come from --trust, a file as
GET /v1/notice serves it, or from what the device kept when it enrolled.

Exit status: 0 the proof holds, 1 it fails (the reason is one line), 2 there is
nothing to check.`,
		Example: `  aloud verify evidence.json
  curl -s http://127.0.0.1:8470/v1/notice > trust.json
  aloud verify evidence.json --trust trust.json --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return verify(e, o, args[0]) },
	}
	c.Flags().StringVar(&o.trust, "trust", "", `a JSON file with "server_keys" (or "server_key") and "log_vkey"`)
	c.Flags().StringVar(&o.home, "home", "", "the device's folder, whose server is trusted (default $ALOUD_HOME, else ~/.aloud)")
	c.Flags().BoolVar(&o.json, "json", false, "print one JSON object")
	c.MarkFlagsMutuallyExclusive("trust", "home")
	return c
}

func verify(e *env, o verifyOptions, file string) error {
	trust, err := o.read()
	if err != nil {
		return err
	}
	evidence, err := readEvidence(e, file)
	if err != nil {
		return err
	}
	report, failed := proof.Verify(evidence, trust)
	if o.json {
		err = printVerdict(e.stdout, report, failed)
	} else {
		err = printChain(e.stdout, report, failed)
	}
	if err != nil {
		return err
	}
	if failed != nil {
		fmt.Fprintf(e.stderr, "aloud: the proof fails: %v%s\n", failed, afterEnd(evidence))
		return &exitError{status: 1}
	}
	return nil
}

// read finds whom to trust.
func (o verifyOptions) read() (proof.Trust, error) {
	path, dir := o.trust, o.home
	if path == "" {
		if dir == "" {
			dir = os.Getenv("ALOUD_HOME")
		}
		if dir == "" {
			user, err := os.UserHomeDir()
			if err != nil {
				return proof.Trust{}, aloud.Errorf(aloud.EINVALID, "say whom to trust by --trust FILE or --home DIR")
			}
			dir = filepath.Join(user, ".aloud")
		}
		path = filepath.Join(dir, "server.json")
	}
	data, err := readLimited(path, 64<<10)
	if err != nil {
		return proof.Trust{}, aloud.Errorf(aloud.EINVALID, "whom to trust: %w; give a file as GET /v1/notice serves it by --trust FILE", err)
	}
	trust, err := proof.ParseTrust(data)
	if err != nil {
		return trust, aloud.Errorf(aloud.EINVALID, "%s: %w", filepath.Base(path), err)
	}
	return trust, nil
}

// readEvidence reads a file or standard input. What can't be evidence at all is
// the caller's mistake; whether it is good evidence is for the proof to say.
func readEvidence(e *env, file string) ([]byte, error) {
	var data []byte
	var err error
	if file == "-" {
		data, err = limited(e.stdin, proof.MaxEvidence)
	} else {
		data, err = readLimited(file, proof.MaxEvidence)
	}
	switch {
	case err != nil:
		return nil, aloud.Errorf(aloud.EINVALID, "the evidence: %w", err)
	case len(data) == 0:
		return nil, aloud.Errorf(aloud.EINVALID, "the evidence is empty; fetch it by GET /v1/evidence/BID")
	case data[0] != '{':
		return nil, aloud.Errorf(aloud.EINVALID, "this is not evidence: it is not a JSON object; fetch it by GET /v1/evidence/BID")
	}
	return data, noEvidence(data)
}

// noEvidence refuses a JSON object that has neither of the two members of
// evidence, such as the server's answer that there is none.
func noEvidence(data []byte) error {
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil || members["evidence"] != nil || members["protected"] != nil {
		return nil
	}
	var problem struct{ Title, Detail string }
	_ = json.Unmarshal(data, &problem) // without them it is just no evidence
	if said := cmp.Or(problem.Detail, problem.Title); said != "" {
		return aloud.Errorf(aloud.EINVALID, "this is not evidence but a server's answer that says %.200q", said)
	}
	return aloud.Errorf(aloud.EINVALID, "this is JSON, but not evidence; fetch it by GET /v1/evidence/BID")
}

// afterEnd says so if the file ends in space, which the server never sends.
func afterEnd(evidence []byte) string {
	if len(bytes.TrimRight(evidence, " \t\r\n")) == len(evidence) {
		return ""
	}
	return "; the file ends in a line break or space that was added: save the answer byte for byte, such as by curl -o FILE"
}

func readLimited(path string, limit int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, pathCause(err)
	}
	defer f.Close()
	data, err := limited(f, limit)
	if err != nil {
		return nil, pathCause(err)
	}
	return data, nil
}

func limited(r io.Reader, limit int) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err == nil && len(data) > limit {
		return nil, aloud.Errorf(aloud.ETOOLARGE, "it has more than %d bytes", limit)
	}
	return data, err
}

// pathCause keeps the file's name and drops the system call's.
func pathCause(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return fmt.Errorf("%s: %w", filepath.Base(p.Path), p.Err)
	}
	return err
}

func printChain(w io.Writer, r proof.Report, failed error) error {
	for _, s := range r.Steps {
		if _, err := fmt.Fprintf(w, "✓ %-11s %s\n", s.Name, s.Text); err != nil {
			return err
		}
	}
	if failed != nil {
		_, err := fmt.Fprintf(w, "✗ %v\n", failed)
		return err
	}
	note := ""
	if r.Simulated {
		note = ", of simulated speech"
	}
	_, err := fmt.Fprintf(w, "The proof of %s holds%s.\n", r.Bid, note)
	return err
}

func printVerdict(w io.Writer, r proof.Report, failed error) error {
	out := struct {
		Holds  bool   `json:"holds"`
		Reason string `json:"reason,omitempty"`
		proof.Report
	}{Holds: failed == nil, Report: r}
	if failed != nil {
		out.Reason = failed.Error()
	}
	return json.NewEncoder(w).Encode(out)
}
