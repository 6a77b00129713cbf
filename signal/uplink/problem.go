package uplink

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"aloud.example/aloud"
)

// Problem is an RFC 9457 problem of the server.
type Problem struct {
	Title   string     `json:"title,omitempty"`
	Status  int        `json:"status"`
	Detail  string     `json:"detail"`
	Code    aloud.Code `json:"code"`
	Results []Result   `json:"results,omitempty"`
}

// maxDetail bounds what of a server's words reaches a terminal.
const maxDetail = 300

// err is the problem as a coded error.
func (p Problem) err() error {
	detail := clean(p.Detail)
	if detail == "" {
		detail = clean(p.Title)
	}
	if detail == "" {
		detail = "the server refused without a reason, status " + strconv.Itoa(p.Status)
	}
	return aloud.Errorf(p.code(), "%s", detail)
}

// code is the server's code if it is one, else what the status stands for.
func (p Problem) code() aloud.Code {
	switch p.Code {
	case aloud.EINVALID, aloud.EUNAUTHORIZED, aloud.EFORBIDDEN, aloud.ENOTFOUND, aloud.ECONFLICT, aloud.EEXPIRED,
		aloud.ETOOEARLY, aloud.ETOOLARGE, aloud.ELIMITED, aloud.EPENDING, aloud.EUNAVAILABLE:
		return p.Code
	}
	switch p.Status {
	case http.StatusUnauthorized:
		return aloud.EUNAUTHORIZED
	case http.StatusForbidden:
		return aloud.EFORBIDDEN
	case http.StatusNotFound:
		return aloud.ENOTFOUND
	case http.StatusConflict:
		return aloud.ECONFLICT
	case http.StatusGone:
		return aloud.EEXPIRED
	case http.StatusTooEarly:
		return aloud.ETOOEARLY
	case http.StatusRequestEntityTooLarge:
		return aloud.ETOOLARGE
	case http.StatusTooManyRequests:
		return aloud.ELIMITED
	}
	if p.Status >= 400 && p.Status < 500 && p.Status != http.StatusRequestTimeout {
		return aloud.EINVALID
	}
	return aloud.EUNAVAILABLE // 5xx, a redirect, or nothing known: another time may do
}

// clean keeps one bounded line of printable text.
func clean(s string) string {
	s = strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t':
			return ' '
		case c == unicode.ReplacementChar || !unicode.IsPrint(c):
			return -1
		}
		return c
	}, s)
	if r := []rune(s); len(r) > maxDetail {
		s = string(r[:maxDetail]) + "…"
	}
	return strings.TrimSpace(s)
}

// ServerError is a request that the server answered by an error. Its code is
// found by aloud.ErrorCode.
type ServerError struct {
	Problem Problem
	After   time.Duration // how long the server asked to wait, or 0

	coded error
}

func (e *ServerError) Error() string { return e.coded.Error() }

// Unwrap returns the coded error.
func (e *ServerError) Unwrap() error { return e.coded }

// RetryAfter is how long the server asked to wait before the next try, or 0.
func (e *ServerError) RetryAfter() time.Duration { return e.After }

// maxRetryAfter bounds what a server can ask for.
const maxRetryAfter = time.Hour

// refusal turns an answer into an error.
func (c *Client) refusal(response *http.Response, body []byte) error {
	e := &ServerError{Problem: Problem{Status: response.StatusCode}}
	if isProblem(response.Header) {
		if err := json.Unmarshal(body, &e.Problem); err != nil {
			e.Problem = Problem{}
		}
		e.Problem.Status = response.StatusCode
	} else {
		// A proxy or a stranger speaks, not the server: nothing is decided.
		if e.Problem.Code = aloud.EUNAVAILABLE; response.StatusCode == http.StatusTooManyRequests {
			e.Problem.Code = aloud.ELIMITED
		}
		e.Problem.Detail = "the server " + c.base.Host + " answered " + strconv.Itoa(response.StatusCode) + " and not as an Aloud server would; check the address"
	}
	e.After = retryAfter(response.Header.Get("Retry-After"), response.Header.Get("Date"))
	e.coded = e.Problem.err()
	return e
}

// retryAfter reads seconds or an HTTP date, the latter against the server's own
// clock.
func retryAfter(value, date string) time.Duration {
	var d time.Duration
	if seconds, err := strconv.ParseUint(strings.TrimSpace(value), 10, 32); err == nil {
		d = time.Duration(seconds) * time.Second
	} else if until, err := http.ParseTime(value); err == nil {
		if now, err := http.ParseTime(date); err == nil {
			d = until.Sub(now)
		}
	}
	return min(max(d, 0), maxRetryAfter)
}
