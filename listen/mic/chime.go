package mic

import (
	"context"
	"encoding/binary"
	"io"
	"math"
	"sync"
	"time"

	"github.com/gen2brain/malgo"

	"aloud.example/aloud"
)

const (
	chimeRate = 48000
	chimeNote = 150 * time.Millisecond // each of two, a fourth apart, rising
	chimeTail = 60 * time.Millisecond  // the loudspeaker's own delay
)

// chime lets everyone in earshot know that listening starts. Where no
// loudspeaker can be opened the terminal's bell has to do, and without that
// there is no session.
func (s *Stream) chime(ctx context.Context) error {
	config := malgo.DefaultDeviceConfig(malgo.Playback)
	config.Playback.Format = malgo.FormatF32
	config.Playback.Channels = 1
	config.SampleRate = chimeRate
	sound := chimeSamples()
	played := make(chan struct{})
	var once sync.Once
	device, err := malgo.InitDevice(s.host.ctx.Context, config, malgo.DeviceCallbacks{
		Data: func(output, _ []byte, _ uint32) {
			for ; len(output) >= 4; output = output[4:] {
				v := float32(0)
				if len(sound) > 0 {
					v, sound = sound[0], sound[1:]
				} else {
					once.Do(func() { close(played) })
				}
				binary.NativeEndian.PutUint32(output, math.Float32bits(v))
			}
		},
	})
	if err != nil {
		return s.bell()
	}
	defer device.Uninit()
	if err := device.Start(); err != nil {
		return s.bell()
	}
	timeout := time.NewTimer(3 * time.Second)
	defer timeout.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout.C: // a loudspeaker that takes nothing: it can't be heard
		return s.bell()
	case <-played:
	}
	tail := time.NewTimer(chimeTail)
	defer tail.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-tail.C:
		return nil
	}
}

func (s *Stream) bell() error {
	if s.cfg.Bell == nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "nothing here can sound the chime that a session starts with: connect a loudspeaker, or start it at a terminal")
	}
	if _, err := io.WriteString(s.cfg.Bell, "\a"); err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the terminal's bell can't be rung: %w", err)
	}
	return nil
}

func chimeSamples() []float32 {
	n := int(chimeNote.Seconds() * chimeRate)
	var out []float32
	for _, hz := range []float64{659.26, 880} {
		for i := range n {
			t := float64(i) / float64(n)
			envelope := math.Sin(math.Pi*math.Sqrt(t)) * 0.3 // quick rise, slow fall, no click
			out = append(out, float32(envelope*math.Sin(2*math.Pi*hz*float64(i)/chimeRate)))
		}
	}
	return out
}
