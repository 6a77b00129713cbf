//go:build cgo

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"aloud.example/aloud"
)

// demoServer is a simulated server that runs as a process of its own, as it
// would on another machine.
type demoServer struct {
	url   string
	data  string
	token string // the operator's
	log   string // what the server wrote
	cmd   *exec.Cmd
	ended chan error
	http  *http.Client
}

// startServer starts `aloud serve --simulate` on a free port of this machine.
func startServer(ctx context.Context, dir string, extra ...string) (*demoServer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, aloud.Errorf(aloud.EINTERNAL, "find this program's own file: %w", err)
	}
	s := &demoServer{
		data: filepath.Join(dir, "server"), log: filepath.Join(dir, "server.log"),
		ended: make(chan error, 1), http: &http.Client{Timeout: 20 * time.Second},
	}
	said, err := os.OpenFile(filepath.Join(dir, "server.json"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "keep what the server says: %w", bare(err))
	}
	defer said.Close()
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "write the server's log: %w", bare(err))
	}
	defer log.Close()
	s.cmd = exec.Command(self, append([]string{"serve", "--simulate", "--wait", "0s", "--data", s.data, "--listen", "127.0.0.1:0", "--json"}, extra...)...)
	s.cmd.Args[0] = "aloud"
	s.cmd.Stdout, s.cmd.Stderr = said, log                  // files, so that a server that is kept can go on alone
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // ^C is for the demo, which then ends the server in order
	if err := s.cmd.Start(); err != nil {
		return nil, aloud.Errorf(aloud.EUNAVAILABLE, "start the server: %w", err)
	}
	go func() { s.ended <- s.cmd.Wait() }()
	if err := s.ready(ctx, said.Name()); err != nil {
		s.stop()
		return nil, err
	}
	token, err := os.ReadFile(filepath.Join(s.data, "operator.token"))
	if err != nil {
		s.stop()
		return nil, aloud.Errorf(aloud.EUNAVAILABLE, "read the operator's token: %w", bare(err))
	}
	s.token = strings.TrimSpace(string(token))
	return s, nil
}

// ready waits until the server has said where it is, and answers requests.
func (s *demoServer) ready(ctx context.Context, said string) error {
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for {
		if s.url == "" {
			s.url = address(said)
		} else if status, _, err := s.call(ctx, http.MethodGet, "/readyz", nil, nil); err == nil && status == http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-s.ended:
			s.ended <- err
			return aloud.Errorf(aloud.EUNAVAILABLE, "the server stopped at once (%v): %s", err, s.lastWords())
		case <-deadline.C:
			return aloud.Errorf(aloud.EUNAVAILABLE, "the server was not ready in 30 s: %s", s.lastWords())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// address reads where a server says it is, "" if it has not yet.
func address(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	var said struct {
		URL string `json:"url"`
	}
	if line, _, whole := bytes.Cut(text, []byte("\n")); !whole || json.Unmarshal(line, &said) != nil {
		return ""
	}
	return said.URL
}

// lastWords is the end of the server's log.
func (s *demoServer) lastWords() string {
	text, err := os.ReadFile(s.log)
	if err != nil || len(bytes.TrimSpace(text)) == 0 {
		return "it wrote nothing"
	}
	return string(bytes.TrimSpace(text[max(0, len(text)-600):]))
}

// stop ends the server in order, and by force if it takes over 15 s.
func (s *demoServer) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case err := <-s.ended:
		s.ended <- err
	case <-time.After(15 * time.Second):
		_ = s.cmd.Process.Kill()
		s.ended <- <-s.ended
	}
}

// call makes one request as the operator. A status other than 200 to 204 is no
// error: the caller says what it expects. The body is decoded into out unless
// that is nil; a *[]byte gets it as it is.
func (s *demoServer) call(ctx context.Context, method, path string, in, out any) (int, http.Header, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return 0, nil, err
		}
		body = bytes.NewReader(data)
	}
	url := path
	if strings.HasPrefix(path, "/") {
		url = s.url + path
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return 0, nil, err
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	res, err := s.http.Do(req)
	if err != nil {
		return 0, nil, aloud.Errorf(aloud.EUNAVAILABLE, "%s %s: %w", method, path, err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	if err != nil {
		return res.StatusCode, res.Header, aloud.Errorf(aloud.EUNAVAILABLE, "%s %s: %w", method, path, err)
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = data
		return res.StatusCode, res.Header, nil
	}
	if out != nil && res.StatusCode < 300 && len(data) > 0 {
		err = json.Unmarshal(data, out)
	} else if res.StatusCode >= 400 {
		err = s.problem(method, path, res.StatusCode, data)
	}
	return res.StatusCode, res.Header, err
}

func (s *demoServer) problem(method, path string, status int, data []byte) error {
	var p struct{ Detail string }
	if json.Unmarshal(data, &p) != nil || p.Detail == "" {
		p.Detail = http.StatusText(status)
	}
	return aloud.Errorf(aloud.EUNAVAILABLE, "%s %s answered %d: %s", method, path, status, p.Detail)
}

// until asks again and again, at most for limit, until done says so.
func until(ctx context.Context, limit time.Duration, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s did not happen in %s", what, limit))
	defer cancel()
	for {
		ok, err := done()
		if ok || err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		select {
		case <-ctx.Done():
			return aloud.Errorf(aloud.EUNAVAILABLE, "%w", context.Cause(ctx))
		case <-time.After(25 * time.Millisecond):
		}
	}
}
