// Package uplink is the device's side of the server's API: five requests, each
// with a bounded answer.
//
// In: tokens and receipts that the device signed. Out: the server's notice, its
// countersigned receipts, one result per signal, and coded errors that keep how
// long the server asked to wait. It never sends anything that is not signed by
// the device, never follows a redirect, and speaks plain HTTP to this machine
// alone.
package uplink

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/consent/jws"
)

// The limits of an exchange.
const (
	maxAnswer = 1 << 20
	timeout   = 20 * time.Second

	// MaxBatch is how many signals one request may carry.
	MaxBatch = 64
)

// Config says which server to speak to.
type Config struct {
	URL    string       // https://host[:port], or http:// for this machine
	Client *http.Client // nil is one with a timeout that follows no redirect
}

// Client speaks to one server.
type Client struct {
	base *url.URL
	http *http.Client
}

// New checks the address of the server.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return nil, aloud.Errorf(aloud.EINVALID, "the server must be given as https://HOST or http://127.0.0.1:PORT")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, aloud.Errorf(aloud.EINVALID, "the server %s must be spoken to by https; http is for this machine alone", u.Host)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, aloud.Errorf(aloud.EINVALID, "the server must be given as https://HOST, not %.20q", u.Scheme)
	}
	client := c.Client
	if client == nil {
		client = &http.Client{
			Timeout:       timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return &Client{base: &url.URL{Scheme: u.Scheme, Host: u.Host}, http: client}, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// URL is the server's address in its one form.
func (c *Client) URL() string { return c.base.String() }

// Notice is what a server says about itself before anyone agrees to anything.
type Notice struct {
	consent.Notice
	ServerKey   jws.JWK `json:"server_key"`
	LogVKey     string  `json:"log_vkey"`
	Simulated   bool    `json:"simulated"`
	WaitSeconds float64 `json:"wait_seconds"`
}

// Wait is the least time the server wants between hearing and sending.
func (n Notice) Wait() time.Duration { return time.Duration(n.WaitSeconds * float64(time.Second)) }

// Key is the server's signing key.
func (n Notice) Key() (ed25519.PublicKey, error) { return n.ServerKey.Public() }

// Notice fetches the notice and checks that a person can decide on it.
func (c *Client) Notice(ctx context.Context) (Notice, error) {
	var n Notice
	if err := c.call(ctx, http.MethodGet, "/v1/notice", nil, &n); err != nil {
		return Notice{}, err
	}
	if err := n.Check(); err != nil {
		return Notice{}, err
	}
	if _, err := n.Key(); err != nil {
		return Notice{}, aloud.Errorf(aloud.EINVALID, "the server's key: %w", err)
	}
	if n.WaitSeconds < 0 || n.WaitSeconds > 3600 {
		return Notice{}, aloud.Errorf(aloud.EINVALID, "the server wants a wait of %g seconds; it must be from 0 to 3600", n.WaitSeconds)
	}
	return n, nil
}

// Enrolled is the server's answer to a consent.
type Enrolled struct {
	Receipt  consent.Signed `json:"receipt"`            // countersigned
	BuyerUID string         `json:"buyeruid,omitempty"` // the identifier issued for ad exchanges, if they were agreed to
	UserID   string         `json:"user_id,omitempty"`  // the identifier issued for shops and sites, if matching was agreed to
}

// Consent sends a receipt that the device signed. The caller verifies the
// countersignature by the key it pinned.
func (c *Client) Consent(ctx context.Context, s consent.Signed) (Enrolled, error) {
	var e Enrolled
	err := c.call(ctx, http.MethodPost, "/v1/consents", s, &e)
	if err == nil && e.Receipt.Payload != s.Payload {
		return Enrolled{}, aloud.Errorf(aloud.EFORBIDDEN, "the server answered with another receipt than the one it was sent")
	}
	return e, err
}

// Status is what became of one signal.
type Status string

// The three statuses. A duplicate was accepted before, with the same content.
const (
	Accepted  Status = "accepted"
	Duplicate Status = "duplicate"
	Refused   Status = "refused"
)

// Result is the server's word on one signal.
type Result struct {
	ID      aloud.SignalID `json:"jti"`
	Status  Status         `json:"status"`
	Problem *Problem       `json:"problem,omitempty"`
}

// Err is the reason of a refusal, nil otherwise.
func (r Result) Err() error {
	if r.Status != Refused {
		return nil
	}
	if r.Problem == nil {
		return aloud.Errorf(aloud.EINVALID, "the server refused the signal and gave no reason")
	}
	return r.Problem.err()
}

// Signals sends up to MaxBatch tokens and returns one result for each, in their
// order.
func (c *Client) Signals(ctx context.Context, tokens []string) ([]Result, error) {
	if len(tokens) == 0 || len(tokens) > MaxBatch {
		return nil, aloud.Errorf(aloud.EINVALID, "one request carries 1 to %d signals, not %d", MaxBatch, len(tokens))
	}
	var answer struct {
		Results []Result `json:"results"`
	}
	err := c.call(ctx, http.MethodPost, "/v1/signals", map[string][]string{"signals": tokens}, &answer)
	if refused, ok := errors.AsType[*ServerError](err); ok && len(refused.Problem.Results) == len(tokens) {
		answer.Results, err = refused.Problem.Results, nil // each was refused, and says why
	}
	if err != nil {
		return nil, err
	}
	if len(answer.Results) != len(tokens) {
		return nil, aloud.Errorf(aloud.EUNAVAILABLE, "the server answered %d of %d signals; they will be sent again", len(answer.Results), len(tokens))
	}
	for _, r := range answer.Results {
		if r.Status != Accepted && r.Status != Duplicate && r.Status != Refused {
			return nil, aloud.Errorf(aloud.EUNAVAILABLE, "the server answered a signal by %.20q; it will be sent again", r.Status)
		}
	}
	return answer.Results, nil
}

// Withdraw sends a withdrawal.
func (c *Client) Withdraw(ctx context.Context, token string) error {
	return c.call(ctx, http.MethodPost, "/v1/withdrawals", map[string]string{"withdrawal": token}, nil)
}

// Erase sends an erasure.
func (c *Client) Erase(ctx context.Context, token string) error {
	return c.call(ctx, http.MethodPost, "/v1/erasures", map[string]string{"erasure": token}, nil)
}

// call makes one exchange. in and out may be nil.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return aloud.Errorf(aloud.EINTERNAL, "write the request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base.String()+path, body)
	if err != nil {
		return aloud.Errorf(aloud.EINTERNAL, "make the request: %w", err)
	}
	request.Header.Set("Accept", "application/json, application/problem+json")
	request.Header.Set("User-Agent", "aloud")
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if len(data) > maxAnswer {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the server %s answered with more than %d bytes", c.base.Host, maxAnswer)
	}
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusCreated {
		return c.refusal(response, data)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		if aloud.ErrorCode(err) != aloud.EINTERNAL {
			return err
		}
		return aloud.Errorf(aloud.EUNAVAILABLE, "the server %s answered with something else than Aloud's JSON; is it an Aloud server?", c.base.Host)
	}
	return nil
}

// unreachable says why no answer came, without the address and the path that
// net/http puts into its errors.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the request to %s was given up: %w", c.base.Host, context.Cause(ctx))
	}
	cause := err
	if u, ok := errors.AsType[*url.Error](err); ok {
		cause = u.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		cause = op.Err
	}
	return aloud.Errorf(aloud.EUNAVAILABLE, "the server %s can't be reached (%w); check that it runs and the address is right", c.base.Host, cause)
}

// isProblem reports whether an answer is an RFC 9457 problem.
func isProblem(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && kind == "application/problem+json"
}
