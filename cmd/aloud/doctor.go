package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"aloud.example/aloud"
)

// finding is what one check of the doctor says.
type finding struct {
	Area   string `json:"area"`
	Check  string `json:"check"`
	Status string `json:"status"` // ok, warn, fail or skip
	Detail string `json:"detail"`
	Mend   string `json:"mend,omitempty"` // how to, for warn and fail
}

// The statuses. Only a failure changes the exit status.
const (
	good    = "ok"
	warning = "warn"
	failure = "fail"
	skipped = "skip"
)

// examination collects findings.
type examination struct {
	env      *env
	findings []finding
}

func (x *examination) add(area, check, status, detail, mend string) {
	x.findings = append(x.findings, finding{area, check, status, detail, mend})
}

// judge adds good or a failure, by err.
func (x *examination) judge(area, check string, err error, detail, mend string) bool {
	if err != nil {
		x.add(area, check, failure, err.Error(), mend)
		return false
	}
	x.add(area, check, good, detail, "")
	return true
}

// doctorOptions are the flags of aloud doctor.
type doctorOptions struct {
	data, home, server, listen string
	json                       bool
}

func newDoctorCommand(e *env) *cobra.Command {
	var o doctorOptions
	c := &cobra.Command{
		Use:     "doctor [--data DIR] [--home DIR] [--server URL]",
		GroupID: "check",
		Short:   "Say what is wrong with an installation and how to mend it",
		Long: `Doctor looks at an installation and changes nothing: a server's data directory
(--data), a device's folder (--home), and whether the server can be reached
(--server, or the one this device enrolled with). Each failure comes with how to
mend it. The exit status is 0 if nothing failed.`,
		Example: `  aloud doctor
  aloud doctor --data /var/lib/aloud
  aloud doctor --server https://aloud.example --json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return doctor(c.Context(), e, o) },
	}
	f := c.Flags()
	f.StringVar(&o.data, "data", "", "a server's data directory to look at")
	f.StringVar(&o.home, "home", "", "the device's folder (default $ALOUD_HOME, else ~/.aloud)")
	f.StringVar(&o.server, "server", "", "a server to reach (default: the one this device enrolled with)")
	f.StringVar(&o.listen, "listen", defaultListen, "with --data: the address that the server is to listen on")
	f.BoolVar(&o.json, "json", false, "print the findings as one JSON object")
	return c
}

func doctor(ctx context.Context, e *env, o doctorOptions) error {
	x := &examination{env: e}
	x.clock()
	if o.data != "" {
		x.dataDirectory(ctx, o.data, o.listen)
	}
	server := x.device(ctx, o)
	if o.server != "" {
		server = o.server
	}
	if server != "" {
		x.server(ctx, server)
	}
	failed := 0
	for _, f := range x.findings {
		if f.Status == failure {
			failed++
		}
	}
	if err := x.print(e.stdout, o.json, failed); err != nil {
		return err
	}
	if failed > 0 {
		return &exitError{1}
	}
	return nil
}

func (x *examination) print(w io.Writer, asJSON bool, failed int) error {
	if asJSON {
		return json.NewEncoder(w).Encode(struct {
			OK       bool      `json:"ok"`
			Findings []finding `json:"findings"`
		}{failed == 0, x.findings})
	}
	area := ""
	for _, f := range x.findings {
		if f.Area != area {
			area = f.Area
			fmt.Fprintf(w, "%s\n", area)
		}
		fmt.Fprintf(w, "  %-4s  %-12s  %s\n", f.Status, f.Check, f.Detail)
		if f.Mend != "" {
			fmt.Fprintf(w, "  %-4s  %-12s  -> %s\n", "", "", f.Mend)
		}
	}
	last := "Nothing is wrong."
	if failed > 0 {
		last = fmt.Sprintf("%d of %d checks failed.", failed, len(x.findings))
	}
	_, err := fmt.Fprintln(w, last)
	return err
}

// built is a time before which this program did not exist.
var built = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// clock looks for a clock that can't be right.
func (x *examination) clock() {
	now := x.env.now()
	if now.Before(built) {
		x.add("machine", "clock", failure, "the clock says "+now.UTC().Format(time.DateTime)+" UTC, before this program was made", "set the clock, best by NTP (timedatectl set-ntp true)")
		return
	}
	x.add("machine", "clock", good, now.UTC().Format(time.DateTime)+" UTC", "")
}

// server asks a server whether it lives, is ready, and has the same time.
func (x *examination) server(ctx context.Context, url string) {
	const area = "server"
	client := &http.Client{Timeout: 5 * time.Second}
	ask := func(path string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+path, nil)
		if err != nil {
			return nil, aloud.Errorf(aloud.EINVALID, "%q is no address; give it as https://HOST", url)
		}
		res, err := client.Do(req)
		if err != nil {
			return nil, aloud.Errorf(aloud.EUNAVAILABLE, "%s can't be reached", url)
		}
		_ = res.Body.Close()
		return res, nil
	}
	res, err := ask("/healthz")
	if err == nil && res.StatusCode != http.StatusOK {
		err = aloud.Errorf(aloud.EUNAVAILABLE, "%s answers %d: something else than Aloud, or a proxy without it, listens there", url, res.StatusCode)
	}
	if !x.judge(area, "reachable", err, url, "check the address, that aloud serve runs there, and that no firewall is between") {
		return
	}
	x.skew(res.Header.Get("Date"))
	res, err = ask("/readyz")
	if err == nil && res.StatusCode != http.StatusOK {
		err = aloud.Errorf(aloud.EUNAVAILABLE, "it is not ready: it is catching up, or a part of it does not work")
	}
	x.judge(area, "ready", err, "it has caught up and takes requests", "wait a little; if it stays so, read the server's log and its /readyz")
}

// skew compares the server's clock with ours, as signals will.
func (x *examination) skew(date string) {
	theirs, err := http.ParseTime(date)
	if err != nil {
		return // a proxy took the header away
	}
	skew := x.env.now().Sub(theirs).Abs().Round(time.Second)
	if skew > 2*time.Minute {
		x.add("server", "clocks", failure, fmt.Sprintf("this machine's clock and the server's are %s apart", skew), "set both by NTP; signals more than 2 minutes ahead are refused")
		return
	}
	x.add("server", "clocks", good, fmt.Sprintf("%s apart", skew), "")
}

// port looks whether the server could listen.
func (x *examination) port(address string) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		err = aloud.Errorf(aloud.EUNAVAILABLE, "%s: %w", address, listenCause(err))
	} else {
		_ = l.Close()
	}
	x.judge("data", "port", err, address+" is free", "end the program that listens there (ss -ltnp shows it), or choose another address by --listen")
}
