package onnx

import (
	"context"
	"fmt"
	"strings"

	ort "github.com/yalue/onnxruntime_go"

	"aloud.example/aloud"
	"aloud.example/aloud/listen"
)

// The tokens that Moonshine gives a meaning.
const (
	tokenStart = 1
	tokenEnd   = 2

	vocabSize = 32768
)

// shape is what tells Moonshine's sizes apart.
type shape struct {
	layers, heads, headDim, dim int
	// pad is how many samples of silence are put before and after an utterance:
	// base is surer of a first and a last word that it hears begin and end, tiny
	// is not (docs/asr.md).
	pad int
}

// moonshine is the recogniser: an encoder, which hears the utterance once, and
// a decoder, which is run a token at a time and keeps what it has worked out in
// a cache of keys and values.
type moonshine struct {
	encoder *ort.DynamicAdvancedSession
	decoder *ort.DynamicAdvancedSession
	vocab   *vocab
	shape   shape

	input  []float32 // the utterance, overwritten after use
	hidden []float32
	names  kvNames
	run    *decoding // the tensors of the last decoding, to use again
}

// kvNames are the decoder's tensors by layer: key, value of what it has said,
// key, value of what it has heard.
type kvNames struct {
	pastSaid, presentSaid, pastHeard, presentHeard []string
}

func openMoonshine(encoder, decoder string, table *vocab, threads int) (_ *moonshine, err error) {
	m := &moonshine{vocab: table}
	defer func() {
		if err != nil {
			m.close()
			if aloud.ErrorCode(err) == aloud.EINTERNAL {
				err = aloud.Errorf(aloud.EUNAVAILABLE, "loading the recogniser: %w", err)
			}
		}
	}()
	if m.encoder, err = openSession(encoder, []string{"input_values"}, []string{"last_hidden_state"}, threads); err != nil {
		return nil, err
	}
	// The decoder is run by bindings, which name its tensors themselves.
	if m.decoder, err = openSession(decoder, nil, nil, threads); err != nil {
		return nil, err
	}
	if m.shape, err = m.measure(decoder); err != nil {
		return nil, err
	}
	for i := range m.shape.layers {
		for _, kind := range []string{"key", "value"} {
			m.names.pastSaid = append(m.names.pastSaid, fmt.Sprintf("past_key_values.%d.decoder.%s", i, kind))
			m.names.presentSaid = append(m.names.presentSaid, fmt.Sprintf("present.%d.decoder.%s", i, kind))
			m.names.pastHeard = append(m.names.pastHeard, fmt.Sprintf("past_key_values.%d.encoder.%s", i, kind))
			m.names.presentHeard = append(m.names.presentHeard, fmt.Sprintf("present.%d.encoder.%s", i, kind))
		}
	}
	return m, nil
}

// measure reads the sizes off the model: from what the encoder makes of a
// moment of silence where that tells base from tiny, from the decoder's own
// description otherwise.
func (m *moonshine) measure(decoder string) (shape, error) {
	m.input = make([]float32, minInput)
	_, dim, err := m.encode([][]float32{m.input}, 0)
	if err != nil {
		return shape{}, err
	}
	switch dim {
	case 416:
		return shape{layers: 8, heads: 8, headDim: 52, dim: dim, pad: listen.Rate / 5}, nil
	case 288:
		return shape{layers: 6, heads: 8, headDim: 36, dim: dim}, nil
	}
	inputs, _, err := ort.GetInputOutputInfo(decoder)
	if err != nil {
		return shape{}, err
	}
	s := shape{dim: dim}
	for _, in := range inputs {
		if strings.HasPrefix(in.Name, "past_key_values.") && strings.HasSuffix(in.Name, ".decoder.key") && len(in.Dimensions) == 4 {
			s.layers++
			s.heads, s.headDim = int(in.Dimensions[1]), int(in.Dimensions[3])
		}
	}
	if s.layers == 0 || s.heads <= 0 || s.headDim <= 0 {
		return shape{}, aloud.Errorf(aloud.EINVALID, "the decoder is not Moonshine's: it has no key and value cache of a fixed size")
	}
	return s, nil
}

// minInput is the shortest utterance the encoder takes; shorter ones are filled
// up with silence.
const minInput = 4000

// frames is how many vectors the encoder makes of so many samples: the lengths
// after its three convolutions.
func frames(samples int) int {
	n := (samples-127)/64 + 1
	n = (n-7)/3 + 1
	return (n-3)/2 + 1
}

// encode hears the views, with pad samples of silence around each and as much
// after it as makes it as long as the longest, one after the other so that it
// needs the memory of one, and returns their vectors, of shape [views, frames,
// dim].
func (m *moonshine) encode(views [][]float32, pad int) (data []float32, dim int, err error) {
	length := minInput
	for _, v := range views {
		length = max(length, len(v)+2*pad)
	}
	m.input = grown(m.input, length)
	defer clear(m.input)
	each := frames(length) * m.shape.dim
	m.hidden = grown(m.hidden, len(views)*each)
	for i, v := range views {
		clear(m.input[:pad])
		clear(m.input[pad+copy(m.input[pad:], v):])
		out, err := m.encodeOne(m.hidden[i*each : (i+1)*each])
		if err != nil {
			return nil, 0, err
		}
		if m.shape.dim == 0 { // the first time: learn it
			return nil, out, nil
		}
	}
	return m.hidden, m.shape.dim, nil
}

// encodeOne hears m.input and writes its vectors to hidden, or, while their size
// is unknown, only finds that out.
func (m *moonshine) encodeOne(hidden []float32) (dim int, err error) {
	in, err := ort.NewTensor(ort.NewShape(1, int64(len(m.input))), m.input)
	if err != nil {
		return 0, err
	}
	defer func() { _ = in.Destroy() }()
	out := []ort.Value{nil}
	if len(hidden) > 0 {
		t, err := ort.NewTensor(ort.NewShape(1, int64(frames(len(m.input))), int64(m.shape.dim)), hidden)
		if err != nil {
			return 0, err
		}
		out[0] = t
	}
	err = m.encoder.Run([]ort.Value{in}, out)
	if out[0] != nil {
		defer func() { _ = out[0].Destroy() }()
	}
	if err != nil {
		return 0, aloud.Errorf(aloud.EINTERNAL, "the encoder failed: %w", err)
	}
	s := out[0].GetShape()
	if len(s) != 3 || s[1] != int64(frames(len(m.input))) {
		return 0, aloud.Errorf(aloud.EINVALID, "the encoder is not Moonshine's: it gives %v for %d samples", s, len(m.input))
	}
	return int(s[2]), nil
}

// Recognise implements listen.Recogniser.
func (m *moonshine) Recognise(ctx context.Context, r listen.Request) (listen.Hypothesis, error) {
	if len(r.Views) == 0 || len(r.Views[0]) == 0 {
		return listen.Hypothesis{}, nil
	}
	for _, t := range r.Before {
		if t < 0 || t >= vocabSize {
			return listen.Hypothesis{}, aloud.Errorf(aloud.EINVALID, "there is no token %d", t)
		}
	}
	if r.MaxTokens <= 0 {
		r.MaxTokens = len(r.Views[0])*6/listen.Rate + 1
	}
	pad := m.shape.pad
	if r.Unguarded {
		pad = 0
	}
	hidden, _, err := m.encode(r.Views, pad)
	if err != nil {
		return listen.Hypothesis{}, err
	}
	defer clear(hidden)
	return m.greedy(ctx, r, hidden)
}

func (m *moonshine) close() {
	if m.run != nil {
		m.run.close()
	}
	clear(m.hidden[:cap(m.hidden)])
	if m.encoder != nil {
		_ = m.encoder.Destroy()
	}
	if m.decoder != nil {
		_ = m.decoder.Destroy()
	}
}
