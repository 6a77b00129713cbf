//go:build cgo

package main

import (
	"fmt"
	"math"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/signal/outbox"
)

// The events of `aloud listen`, one a line with --json.
type (
	// readyEvent comes once, when what follows is heard.
	readyEvent struct {
		Type string `json:"type"`
	}
	utteranceEvent struct {
		Type       string  `json:"type"`
		Start      float64 `json:"start"`
		End        float64 `json:"end"`
		Text       string  `json:"text,omitempty"` // never for a microphone
		Confidence float64 `json:"confidence"`
		Partial    bool    `json:"partial,omitempty"` // with --partials alone
	}
	intentEvent struct {
		Type     string         `json:"type"`
		Start    float64        `json:"start"`
		End      float64        `json:"end"`
		Category aloud.Category `json:"category"`
		IAB      int            `json:"iab"`
		Stage    aloud.Stage    `json:"stage"`
		Score    float64        `json:"score"`
	}
	// suppressedEvent counts; it never says what was suppressed.
	suppressedEvent struct {
		Type  string  `json:"type"`
		Start float64 `json:"start"`
		End   float64 `json:"end"`
		Count int     `json:"count"`
	}
	signalEvent struct {
		Type     string         `json:"type"`
		ID       aloud.SignalID `json:"jti"`
		State    outbox.State   `json:"state"` // waiting, accepted, refused or vetoed
		Category aloud.Category `json:"category"`
		Stage    aloud.Stage    `json:"stage"`
		Source   aloud.Source   `json:"source"`
		Due      time.Time      `json:"due"`
		Code     aloud.Code     `json:"code,omitempty"`
		Reason   string         `json:"reason,omitempty"`
	}
	noticeEvent struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}
	summaryEvent struct {
		Type           string  `json:"type"`
		Model          string  `json:"model"`
		AudioSeconds   float64 `json:"audio_seconds"`
		ComputeSeconds float64 `json:"compute_seconds"`
		RTF            float64 `json:"rtf"`
		DroppedSeconds float64 `json:"dropped_seconds"`
		GatedSeconds   float64 `json:"gated_seconds"`
		Utterances     int     `json:"utterances"`
		Intents        int     `json:"intents"`
		Suppressed     int     `json:"suppressed"`
		Signals        int     `json:"signals"`
		Vetoed         int     `json:"vetoed"`
	}
)

func eventOf(s outbox.Entry) signalEvent {
	return signalEvent{
		Type: "signal", ID: s.ID, State: s.State, Category: s.Category, Stage: s.Stage, Source: s.Source,
		Due: s.Due, Code: s.Code, Reason: s.Reason,
	}
}

// seconds keeps milliseconds.
func seconds(s float64) float64 { return math.Round(s*1000) / 1000 }

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// clock is a time in a recording or session: 0:07, 12:40, 1:02:03.
func clock(s float64) string {
	t := int(s)
	if t >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", t/3600, t/60%60, t%60)
	}
	return fmt.Sprintf("%d:%02d", t/60, t%60)
}
