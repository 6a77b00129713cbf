package ingest

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"aloud.example/aloud"
)

// status is the one table from an error's code to an HTTP status.
func status(code aloud.Code) int {
	switch code {
	case aloud.EINVALID:
		return http.StatusBadRequest
	case aloud.EUNAUTHORIZED:
		return http.StatusUnauthorized
	case aloud.EFORBIDDEN:
		return http.StatusForbidden
	case aloud.ENOTFOUND:
		return http.StatusNotFound
	case aloud.ECONFLICT:
		return http.StatusConflict
	case aloud.EEXPIRED:
		return http.StatusGone
	case aloud.ETOOEARLY:
		return http.StatusTooEarly
	case aloud.ETOOLARGE:
		return http.StatusRequestEntityTooLarge
	case aloud.ELIMITED:
		return http.StatusTooManyRequests
	case aloud.EPENDING:
		return http.StatusAccepted
	case aloud.EUNAVAILABLE:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// codeOf is the table's inverse for what huma and net/http refuse themselves.
func codeOf(status int) aloud.Code {
	switch status {
	case http.StatusUnauthorized:
		return aloud.EUNAUTHORIZED
	case http.StatusForbidden:
		return aloud.EFORBIDDEN
	case http.StatusNotFound:
		return aloud.ENOTFOUND
	case http.StatusRequestEntityTooLarge:
		return aloud.ETOOLARGE
	case http.StatusTooManyRequests:
		return aloud.ELIMITED
	case http.StatusServiceUnavailable, http.StatusRequestTimeout:
		return aloud.EUNAVAILABLE
	}
	if status >= 500 {
		return aloud.EINTERNAL
	}
	return aloud.EINVALID
}

// Problem is the body of every error: RFC 9457, with the code as an extension.
type Problem struct {
	Type    string       `json:"type" format:"uri" doc:"urn:aloud:problem: and the code"`
	Title   string       `json:"title" doc:"what kind of failure, the same for each of a code"`
	Status  int          `json:"status"`
	Detail  string       `json:"detail" doc:"what went wrong and what to do"`
	Code    aloud.Code   `json:"code" enum:"invalid,unauthorized,forbidden,not_found,conflict,expired,too_early,too_large,limited,pending,unavailable,internal"`
	Results []SignalDone `json:"results,omitempty" doc:"only where every signal of a request was refused"`
}

// Error and GetStatus make a Problem an error that huma answers with.
func (p *Problem) Error() string  { return p.Detail }
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is the media type of RFC 9457, whatever the client asked for.
func (p *Problem) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

// problemOf turns any error into what the caller is told. An error without a
// code is ours: its text stays in the log.
func problemOf(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return newProblem(aloud.ETOOLARGE, 0, tooLarge(large.Limit))
	}
	code := aloud.ErrorCode(err)
	if code == aloud.EINTERNAL {
		return newProblem(code, 0, "the server failed; it was logged: try again, and name the X-Request-Id of this answer if it goes on")
	}
	return newProblem(code, 0, err.Error())
}

// newProblem makes a Problem; a status of 0 means the code's own.
func newProblem(code aloud.Code, httpStatus int, detail string) *Problem {
	if httpStatus == 0 {
		httpStatus = status(code)
	}
	return &Problem{
		Type: "urn:aloud:problem:" + string(code), Title: http.StatusText(httpStatus),
		Status: httpStatus, Detail: detail, Code: code,
	}
}

// problemTransformer replaces huma's own error body by ours, without the values
// that it would echo, and sets the headers that go with a problem.
func problemTransformer(ctx huma.Context, _ string, v any) (any, error) {
	if m, ok := v.(*huma.ErrorModel); ok {
		v = problemOfModel(m)
	}
	if p, ok := v.(*Problem); ok {
		p.headers(ctx.SetHeader)
	}
	return v, nil
}

func problemOfModel(m *huma.ErrorModel) *Problem {
	if m.Status >= 500 {
		return problemOf(errors.New(m.Detail))
	}
	detail := m.Detail
	for i, e := range m.Errors[:min(len(m.Errors), 5)] {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		detail += sep + strings.TrimSpace(e.Location+" "+e.Message)
	}
	return newProblem(codeOf(m.Status), m.Status, detail)
}

// headers sets what goes with a problem's status.
func (p *Problem) headers(set func(name, value string)) {
	set("Cache-Control", "no-store")
	switch p.Status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		set("Retry-After", "1")
	case http.StatusAccepted:
		set("Retry-After", "2")
	}
}

// write sends the problem.
func (p *Problem) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", problemType)
	p.headers(h.Set)
	if p.Status == http.StatusUnauthorized && h.Get("WWW-Authenticate") == "" {
		h.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client is gone, or the status says enough
}
