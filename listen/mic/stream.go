package mic

import (
	"context"
	"encoding/binary"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gen2brain/malgo"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/listen/audio"
	"aloud.example/aloud/listen/resample"
)

// Config says which microphone to open and where its sound goes.
type Config struct {
	// Device is a microphone's name, or a part of it that no other's has; the
	// default one when empty.
	Device string
	// Deliver gets the sound, from a thread of the audio system: it must not
	// block, and not keep the slice, which is overwritten when it returns.
	Deliver func(samples []float32)
	// Bell gets the sign that a session starts where there is no loudspeaker;
	// it is the terminal.
	Bell io.Writer
	// Silent opens a device of the audio library that gives silence at the pace
	// of a microphone, for tests.
	Silent bool
	Now    func() time.Time // nil is time.Now
}

// Stream is a microphone that is open. It closes itself at the session's
// deadline, when its context ends, and when the device goes away.
type Stream struct {
	cfg      Config
	session  consent.Session
	host     *host
	device   *malgo.Device
	resample *resample.Resampler

	talking atomic.Bool   // push-to-talk: the key is down
	level   atomic.Uint64 // math.Float64bits of the last block's level
	heard   atomic.Int64  // samples delivered

	flowing chan struct{} // closed by the first block
	flows   sync.Once

	callback sync.Mutex // held while sound is handed on
	over     bool       // under callback: hand on nothing more
	quiet    int        // samples of silence to hand on after the key went up
	in, out  []float32

	end  func(error) // ends the stream, once
	done chan struct{}
	err  error // valid after done
}

// Open plays the chime and then listens. It refuses a session that nobody
// confirmed or that is over.
func Open(ctx context.Context, session consent.Session, cfg Config) (*Stream, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := session.Check(cfg.Now()); err != nil {
		return nil, err
	}
	if cfg.Deliver == nil {
		return nil, aloud.Errorf(aloud.EINVALID, "the microphone has nowhere to deliver to")
	}
	h, err := openHost(cfg)
	if err != nil {
		return nil, err
	}
	s := &Stream{cfg: cfg, session: session, host: h, flowing: make(chan struct{}), done: make(chan struct{})}
	s.level.Store(math.Float64bits(math.Inf(-1)))
	if err := s.start(ctx); err != nil {
		h.close()
		return nil, err
	}
	return s, nil
}

func (s *Stream) start(ctx context.Context) error {
	config := malgo.DefaultDeviceConfig(malgo.Capture)
	config.Capture.Format = malgo.FormatF32
	config.Capture.Channels = 1
	config.SampleRate = 0 // the device's own; our filter is better than the library's
	config.PeriodSizeInMilliseconds = 32
	if s.cfg.Device != "" {
		info, err := s.host.find(s.cfg.Device)
		if err != nil {
			return err
		}
		config.Capture.DeviceID = info.ID.Pointer()
	}
	ended := make(chan error, 1)
	s.end = func(err error) {
		select {
		case ended <- err:
		default: // it is ending already
		}
	}
	device, err := malgo.InitDevice(s.host.ctx.Context, config, malgo.DeviceCallbacks{
		Data: func(_, input []byte, _ uint32) { s.hear(input) },
		Stop: func() {
			s.end(aloud.Errorf(aloud.EUNAVAILABLE, "the microphone went away; plug it in and start again"))
		},
	})
	if err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "no microphone can be opened (%w): see which there are with: aloud listen --list-devices", err)
	}
	if rate := int(device.SampleRate()); rate != audio.Rate {
		s.resample = resample.New(rate, audio.Rate)
	}
	s.device = device

	if err := s.chime(ctx); err != nil {
		device.Uninit()
		return err
	}
	// Time has passed: the session may be over by now.
	if err := s.session.Check(s.cfg.Now()); err != nil {
		device.Uninit()
		return err
	}
	if err := device.Start(); err != nil {
		device.Uninit()
		return aloud.Errorf(aloud.EUNAVAILABLE, "the microphone does not start (%w): another program may hold it", err)
	}
	go s.watch(ctx, ended)
	// Some audio systems take a second before they give anything: who is told
	// that it listens should be heard from then on.
	timeout := time.NewTimer(firstBlock)
	defer timeout.Stop()
	select {
	case <-s.flowing:
	case <-s.done:
	case <-timeout.C:
	}
	return nil
}

// firstBlock is how long Open waits for a microphone to give anything.
const firstBlock = 4 * time.Second

// watch closes the device when anything ends the stream.
func (s *Stream) watch(ctx context.Context, ended <-chan error) {
	deadline := time.NewTimer(s.session.Deadline().Sub(s.cfg.Now()))
	defer deadline.Stop()
	var err error
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case <-deadline.C:
		err = errOver
	case err = <-ended:
	}
	s.callback.Lock()
	s.over = true
	s.callback.Unlock()
	// Uninit waits for the audio thread, so it must not hold what that waits for.
	s.device.Uninit()
	s.host.close()
	clear(s.in[:cap(s.in)])
	clear(s.out[:cap(s.out)])
	if s.resample != nil {
		s.resample.Wipe()
	}
	s.err = err
	close(s.done)
}

var errOver = aloud.Errorf(aloud.EEXPIRED, "the session is over; start another to go on")

// keyUpSilence is what follows when the key of a push-to-talk session goes up,
// 800 ms: longer than the pause that ends an utterance, so that what was said is
// recognised and overwritten at once, not at the next press.
const keyUpSilence = audio.Rate * 8 / 10

// hear hands on one block of little-endian 32-bit floats.
func (s *Stream) hear(input []byte) {
	s.callback.Lock()
	defer s.callback.Unlock()
	if s.over {
		return
	}
	s.flows.Do(func() { close(s.flowing) })
	if err := s.session.Check(s.cfg.Now()); err != nil {
		s.over = true
		s.end(err)
		return
	}
	s.in = s.in[:0]
	var power float64
	for ; len(input) >= 4; input = input[4:] {
		v := math.Float32frombits(binary.NativeEndian.Uint32(input))
		if v-v != 0 { // a driver's NaN is silence
			v = 0
		}
		v = max(-1, min(1, v))
		s.in = append(s.in, v)
		power += float64(v) * float64(v)
	}
	if len(s.in) == 0 {
		return
	}
	samples := s.in
	if s.resample != nil {
		s.out = s.resample.Push(s.out[:0], s.in)
		samples = s.out
	}
	if s.session.Mode() == consent.PushToTalk && !s.talking.Load() {
		s.level.Store(math.Float64bits(math.Inf(-1)))
		clear(samples) // silence in its place, for a moment
		n := min(s.quiet, len(samples))
		s.quiet -= n
		if n > 0 {
			s.cfg.Deliver(samples[:n])
		}
	} else {
		s.quiet = keyUpSilence
		s.level.Store(math.Float64bits(10 * math.Log10(power/float64(len(s.in)))))
		s.heard.Add(int64(len(samples)))
		s.cfg.Deliver(samples)
	}
	clear(s.in)
	clear(samples)
}

// Talk says whether the key of a push-to-talk session is down. In the other
// modes it does nothing.
func (s *Stream) Talk(down bool) { s.talking.Store(down) }

// Level is how loud the last block was, in decibels under full scale.
func (s *Stream) Level() float64 { return math.Float64frombits(s.level.Load()) }

// Heard is how much sound was handed on so far.
func (s *Stream) Heard() time.Duration {
	return time.Duration(s.heard.Load()) * time.Second / audio.Rate
}

// Done is closed when the microphone is.
func (s *Stream) Done() <-chan struct{} { return s.done }

// Err says, after Done, why the microphone closed: nil after Close, EEXPIRED at
// the session's deadline, EUNAVAILABLE when the device went away.
func (s *Stream) Err() error {
	<-s.done
	return s.err
}

// Close stops listening and returns when the microphone is closed.
func (s *Stream) Close() {
	s.end(nil)
	<-s.done
}
