package onnx

import (
	ort "github.com/yalue/onnxruntime_go"

	"aloud.example/aloud"
	"aloud.example/aloud/listen"
)

// sileroContext is how many samples of the frame before Silero wants again.
const sileroContext = 64

// silero is the voice activity detector, version 5. All its tensors are made
// once; a frame allocates nothing.
type silero struct {
	session *ort.DynamicAdvancedSession
	input   *ort.Tensor[float32]
	state   [2]*ort.Tensor[float32] // before and after, by turns
	rate    *ort.Scalar[int64]
	output  *ort.Tensor[float32]
	turn    int

	in, out []ort.Value
}

func openSilero(file string) (_ *silero, err error) {
	s := &silero{}
	defer func() {
		if err != nil {
			s.close()
			err = aloud.Errorf(aloud.EUNAVAILABLE, "loading the voice activity detector: %w", err)
		}
	}()
	if s.session, err = openSession(file, []string{"input", "state", "sr"}, []string{"output", "stateN"}, 1); err != nil {
		return nil, err
	}
	if s.input, err = ort.NewEmptyTensor[float32](ort.NewShape(1, sileroContext+listen.FrameSize)); err != nil {
		return nil, err
	}
	for i := range s.state {
		if s.state[i], err = ort.NewEmptyTensor[float32](ort.NewShape(2, 1, 128)); err != nil {
			return nil, err
		}
	}
	if s.rate, err = ort.NewScalar[int64](listen.Rate); err != nil {
		return nil, err
	}
	if s.output, err = ort.NewEmptyTensor[float32](ort.NewShape(1, 1)); err != nil {
		return nil, err
	}
	s.in, s.out = make([]ort.Value, 3), make([]ort.Value, 2)
	return s, nil
}

// Speech implements listen.VAD.
func (s *silero) Speech(frame []float32) (float32, error) {
	if len(frame) != listen.FrameSize {
		return 0, aloud.Errorf(aloud.EINVALID, "a frame has %d samples, this one %d", listen.FrameSize, len(frame))
	}
	x := s.input.GetData()
	copy(x, x[listen.FrameSize:])
	copy(x[sileroContext:], frame)
	s.in[0], s.in[1], s.in[2] = s.input, s.state[s.turn], s.rate
	s.out[0], s.out[1] = s.output, s.state[1-s.turn]
	if err := s.session.Run(s.in, s.out); err != nil {
		return 0, aloud.Errorf(aloud.EINTERNAL, "the voice activity detector failed: %w", err)
	}
	s.turn = 1 - s.turn
	return s.output.GetData()[0], nil
}

// Reset implements listen.VAD; it also overwrites the audio it still holds.
func (s *silero) Reset() {
	clear(s.input.GetData())
	clear(s.state[0].GetData())
	clear(s.state[1].GetData())
}

func (s *silero) close() {
	if s.input != nil {
		clear(s.input.GetData())
		_ = s.input.Destroy()
	}
	for _, t := range s.state {
		if t != nil {
			_ = t.Destroy()
		}
	}
	if s.rate != nil {
		_ = s.rate.Destroy()
	}
	if s.output != nil {
		_ = s.output.Destroy()
	}
	if s.session != nil {
		_ = s.session.Destroy()
	}
}
