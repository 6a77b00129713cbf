package proof

import (
	"time"

	"aloud.example/aloud"
)

// Report says what was proved, step by step.
type Report struct {
	Bid       aloud.BidID    `json:"bid,omitempty"`
	At        time.Time      `json:"at"` // of the bid
	Category  aloud.Category `json:"category,omitempty"`
	Stage     aloud.Stage    `json:"stage,omitempty"`
	Simulated bool           `json:"simulated"` // the speech was a recording or synthetic
	Steps     []Step         `json:"steps"`
}

// Step is one link of the chain that holds.
type Step struct {
	Name string `json:"name"` // a word
	Text string `json:"text"` // what was found
}

func (r *Report) add(name, text string) { r.Steps = append(r.Steps, Step{Name: name, Text: text}) }
