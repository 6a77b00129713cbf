package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"aloud.example/aloud"
	"aloud.example/aloud/collector"
)

// Events takes behavioural events and answers each.
type Events interface {
	Events(ctx context.Context, events []collector.Event) []collector.EventResult
}

// The limits of Segment's API.
const (
	maxEvent     = 32 * kB
	maxBatch     = 500 * kB
	maxMessageID = 256
)

// segmentCall is what is read of a Segment call. The rest, its properties and
// traits above all, is taken so that Segment's own libraries work, and dropped.
type segmentCall struct {
	Type      string     `json:"type"`
	MessageID string     `json:"messageId"`
	UserID    string     `json:"userId"`
	Anonymous string     `json:"anonymousId"`
	Event     string     `json:"event"`
	Timestamp *time.Time `json:"timestamp"`
	SentAt    *time.Time `json:"sentAt"`
}

func (a *API) segmentRoutes() {
	call := &huma.Schema{
		Type: huma.TypeObject, AdditionalProperties: true,
		Description: "A call as Segment's HTTP API has it. Its name, time, messageId and userId are read, everything else is dropped.",
		Properties: map[string]*huma.Schema{
			"event": {Type: huma.TypeString, MaxLength: ptr(100)}, "userId": {Type: huma.TypeString, MaxLength: ptr(256)},
			"anonymousId": {Type: huma.TypeString, MaxLength: ptr(256)}, "messageId": {Type: huma.TypeString, MaxLength: ptr(maxMessageID)},
			"timestamp": {Type: huma.TypeString, Format: "date-time"}, "sentAt": {Type: huma.TypeString, Format: "date-time"},
		},
	}
	success := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{"success": {Type: huma.TypeBoolean}}}
	for _, kind := range []string{"track", "identify", "page"} {
		a.raw(Route{Method: http.MethodPost, Path: "/v1/" + kind, From: FromSource, MaxBody: maxEvent}, kind, "Segment's "+kind, call, success,
			func(w http.ResponseWriter, r *http.Request) error { return a.segment(w, r, kind) })
	}
	batch := &huma.Schema{
		Type: huma.TypeObject, AdditionalProperties: true, Required: []string{"batch"},
		Properties: map[string]*huma.Schema{
			"batch":  {Type: huma.TypeArray, Items: call, MaxItems: ptr(collector.MaxEvents)},
			"sentAt": {Type: huma.TypeString, Format: "date-time"},
		},
	}
	a.raw(Route{Method: http.MethodPost, Path: "/v1/batch", From: FromSource, MaxBody: maxBatch}, "batch", "Segment's batch", batch, success,
		func(w http.ResponseWriter, r *http.Request) error { return a.segment(w, r, "batch") })
}

func ptr[T any](v T) *T { return &v }

// segment answers one of the four routes.
func (a *API) segment(w http.ResponseWriter, r *http.Request, kind string) error {
	source, err := a.source(r)
	if err != nil {
		w.Header().Set("WWW-Authenticate", `Basic realm="aloud"`)
		return err
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return readError(err)
	}
	calls, sentAt, err := segmentCalls(data, kind)
	if err != nil {
		return err
	}
	now := a.Now()
	events := make([]collector.Event, 0, len(calls))
	for i, c := range calls {
		e, ok, err := c.event(source, sentAt, now)
		if err != nil {
			return aloud.Errorf(aloud.ErrorCode(err), "event %d: %w", i, err)
		}
		if !ok { // of nobody, or a kind that says nothing: taken, not kept
			a.Metrics.event(collector.EventResult{Dropped: true})
			continue
		}
		events = append(events, e)
	}
	if err := a.takeEvents(r.Context(), events); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write([]byte("{\"success\":true}\n"))
	return ignoreGone(err)
}

// takeEvents hands events on. A sender that is told of a failure sends all of
// them again, which messageId makes harmless.
func (a *API) takeEvents(ctx context.Context, events []collector.Event) error {
	if len(events) == 0 {
		return nil
	}
	var failed error
	for _, result := range a.Events.Events(ctx, events) {
		a.Metrics.event(result)
		if result.Err != nil && (failed == nil || aloud.ErrorCode(result.Err) == aloud.EUNAVAILABLE) {
			failed = result.Err
		}
	}
	return failed
}

// source finds whose write key a request carries.
func (a *API) source(r *http.Request) (string, error) {
	key, password, ok := r.BasicAuth()
	if ok && password == "" {
		if name, found := a.Sources.Find(key); found {
			return name, nil
		}
	}
	return "", aloud.Errorf(aloud.EUNAUTHORIZED, "send the source's write key as the user name of Basic authorization, with no password; the operator makes one by POST /v1/sources")
}

// segmentCalls reads one call, or the calls of a batch, and the batch's sentAt.
func segmentCalls(data []byte, kind string) ([]segmentCall, *time.Time, error) {
	if kind != "batch" {
		var c segmentCall
		if err := json.Unmarshal(data, &c); err != nil {
			return nil, nil, segmentSyntax(err)
		}
		c.Type = kind
		return []segmentCall{c}, c.SentAt, nil
	}
	var b struct {
		Batch  []json.RawMessage `json:"batch"`
		SentAt *time.Time        `json:"sentAt"`
	}
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, nil, segmentSyntax(err)
	}
	if len(b.Batch) == 0 || len(b.Batch) > collector.MaxEvents {
		return nil, nil, aloud.Errorf(aloud.EINVALID, "a batch holds 1 to %d events, not %d", collector.MaxEvents, len(b.Batch))
	}
	calls := make([]segmentCall, len(b.Batch))
	for i, raw := range b.Batch {
		if len(raw) > maxEvent {
			return nil, nil, aloud.Errorf(aloud.ETOOLARGE, "event %d has %d bytes, the limit is %d", i, len(raw), maxEvent)
		}
		if err := json.Unmarshal(raw, &calls[i]); err != nil {
			return nil, nil, segmentSyntax(err)
		}
	}
	return calls, b.SentAt, nil
}

func segmentSyntax(err error) error {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return aloud.Errorf(aloud.EINVALID, "the field %q must be a %s", t.Field, t.Type)
	}
	if _, ok := errors.AsType[*time.ParseError](err); ok {
		return aloud.Errorf(aloud.EINVALID, "timestamp and sentAt are times such as 2026-11-23T17:00:00Z")
	}
	return aloud.Errorf(aloud.EINVALID, "the body is not the JSON of a Segment call: %w", err)
}

// event is what is kept of a call; ok is false for one that is of nobody.
func (c segmentCall) event(source string, sentAt *time.Time, now time.Time) (e collector.Event, ok bool, err error) {
	e = collector.Event{Source: source, MessageID: c.MessageID, UserID: c.UserID, Name: c.Event, Time: now}
	switch c.Type {
	case "track":
		if c.Event == "" {
			return e, false, aloud.Errorf(aloud.EINVALID, "a track call needs the name of what happened in \"event\"")
		}
	case "identify", "page":
		e.Name = c.Type
	case "screen", "group", "alias":
		return e, false, nil
	default:
		return e, false, aloud.Errorf(aloud.EINVALID, "the type must be track, identify, page, screen, group or alias, not %.20q", c.Type)
	}
	if c.UserID == "" && c.Anonymous == "" {
		return e, false, aloud.Errorf(aloud.EINVALID, "a call needs a userId or an anonymousId")
	}
	if len(c.MessageID) > maxMessageID {
		return e, false, aloud.Errorf(aloud.EINVALID, "a messageId has at most %d bytes", maxMessageID)
	}
	if e.MessageID == "" {
		e.MessageID = "none-" + requestID() + requestID()
	}
	if c.Timestamp != nil {
		e.Time = *c.Timestamp
		if sentAt != nil { // as Segment does: by the sender's own clock, against ours
			e.Time = now.Add(-sentAt.Sub(*c.Timestamp))
		}
	}
	return e, c.UserID != "", nil
}

// readError says why a body could not be read.
func readError(err error) error {
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return aloud.Errorf(aloud.ETOOLARGE, "%s", tooLarge(large.Limit))
	}
	return aloud.Errorf(aloud.EINVALID, "the body ended before it was whole, or came too slowly")
}
