package mic

import (
	"bytes"
	"errors"
	"testing"

	"aloud.example/aloud"
)

func TestChimeIsASound(t *testing.T) {
	var peak float32
	samples := chimeSamples()
	for _, v := range samples {
		peak = max(peak, v)
	}
	if len(samples) < chimeRate/5 || peak < 0.2 || peak > 0.5 {
		t.Errorf("%d samples, peak %g", len(samples), peak)
	}
	if first, last := samples[0], samples[len(samples)-1]; first*first > 1e-4 || last*last > 1e-4 {
		t.Errorf("it clicks: %g … %g", first, last)
	}
}

type deaf struct{}

func (deaf) Write([]byte) (int, error) { return 0, errors.New("no terminal") }

// Where there is no loudspeaker the terminal rings; where there is neither,
// nobody listens.
func TestBell(t *testing.T) {
	var terminal bytes.Buffer
	s := &Stream{cfg: Config{Bell: &terminal}}
	if err := s.bell(); err != nil || terminal.String() != "\a" {
		t.Errorf("%q %v", terminal.String(), err)
	}
	for _, s := range []*Stream{{}, {cfg: Config{Bell: deaf{}}}} {
		if err := s.bell(); aloud.ErrorCode(err) != aloud.EUNAVAILABLE {
			t.Error(err)
		}
	}
}
