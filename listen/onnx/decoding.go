package onnx

import (
	"math"

	ort "github.com/yalue/onnxruntime_go"

	"aloud.example/aloud"
)

// decoding is one run of the decoder over an utterance, one row a view of it,
// side by side. Its buffers are kept for the next utterance.
type decoding struct {
	m       *moonshine
	rows    int
	heardAt int // how many vectors the encoder made
	step    int // tokens a row that the cache holds

	heard  []float32    // keys and values of what was heard, all layers
	said   [2][]float32 // of what was said, before and after a step by turns
	logits []float32    // of each row's last token
	tokens []int64      // to feed, one row after the other

	binding *ort.IoBinding
}

// start prepares the tensors for the encoder's vectors, one row a view.
func (m *moonshine) start(hidden []float32, rows int) (*decoding, error) {
	d := m.run
	if d == nil {
		d = &decoding{m: m}
		m.run = d
	}
	d.rows, d.step = rows, 0
	d.heardAt = len(hidden) / rows / m.shape.dim
	d.heard = grown(d.heard, 2*m.shape.layers*rows*m.shape.heads*d.heardAt*m.shape.headDim)
	var err error
	if d.binding == nil {
		if d.binding, err = m.decoder.CreateIoBinding(); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// grown returns a buffer of n values, the given one where it is large enough.
func grown(buf []float32, n int) []float32 {
	if cap(buf) < n {
		return make([]float32, n, n+n/4)
	}
	return buf[:n]
}

// feed sets what the next step feeds to each row.
func (d *decoding) feed(tokens ...int64) {
	d.tokens = d.tokens[:0]
	for range d.rows {
		d.tokens = append(d.tokens, tokens...)
	}
}

// next feeds the tokens and leaves each row's logits in d.logits. The first
// call also works out the keys and values of what was heard, and may feed more
// than one token a row.
func (d *decoding) next(hidden []float32) (err error) {
	s := d.m.shape
	b := d.binding
	b.ClearBoundInputs()
	b.ClearBoundOutputs()
	var made []ort.Value
	defer func() {
		for _, t := range made {
			_ = t.Destroy()
		}
	}()
	bind := func(to func(string, ort.Value) error, name string, t ort.Value, e error) {
		if e == nil {
			made = append(made, t)
			e = to(name, t)
		}
		if err == nil && e != nil {
			err = e
		}
	}
	floats := func(to func(string, ort.Value) error, name string, data []float32, dims ...int64) {
		t, e := ort.NewTensor(ort.NewShape(dims...), data)
		bind(to, name, t, e)
	}
	rows, heads, dim := int64(d.rows), int64(s.heads), int64(s.headDim)
	fed := len(d.tokens) / d.rows
	before, after := int64(d.step), int64(d.step+fed)
	d.logits = grown(d.logits, len(d.tokens)*vocabSize)
	first := d.step == 0

	ids, e := ort.NewTensor(ort.NewShape(rows, int64(fed)), d.tokens)
	bind(b.BindInput, "input_ids", ids, e)
	floats(b.BindInput, "encoder_hidden_states", hidden, rows, int64(d.heardAt), int64(s.dim))
	cached, e := ort.NewTensor(ort.NewShape(1), []bool{!first})
	bind(b.BindInput, "use_cache_branch", cached, e)
	floats(b.BindOutput, "logits", d.logits, rows, int64(fed), vocabSize)

	one := d.rows * s.heads * s.headDim
	d.said[1] = grown(d.said[1], 2*s.layers*one*(d.step+fed))
	for i := range 2 * s.layers {
		heard := d.heard[i*one*d.heardAt : (i+1)*one*d.heardAt]
		if first {
			floats(b.BindInput, d.m.names.pastSaid[i], nil, 0, heads, 1, dim)
			floats(b.BindInput, d.m.names.pastHeard[i], nil, 0, heads, 1, dim)
			floats(b.BindOutput, d.m.names.presentHeard[i], heard, rows, heads, int64(d.heardAt), dim)
		} else {
			floats(b.BindInput, d.m.names.pastSaid[i], d.said[0][i*one*d.step:(i+1)*one*d.step], rows, heads, before, dim)
			floats(b.BindInput, d.m.names.pastHeard[i], heard, rows, heads, int64(d.heardAt), dim)
		}
		floats(b.BindOutput, d.m.names.presentSaid[i], d.said[1][i*one*(d.step+fed):(i+1)*one*(d.step+fed)], rows, heads, after, dim)
	}
	if err != nil {
		return aloud.Errorf(aloud.EINTERNAL, "preparing the decoder: %w", err)
	}
	if err := d.m.decoder.RunWithBinding(b); err != nil {
		return aloud.Errorf(aloud.EINTERNAL, "the decoder failed: %w", err)
	}
	d.step += fed
	for r := range d.rows { // of each row, what follows its last token
		copy(d.logits[r*vocabSize:(r+1)*vocabSize], d.logits[((r+1)*fed-1)*vocabSize:])
	}
	d.logits = d.logits[:d.rows*vocabSize]
	d.said[0], d.said[1] = d.said[1], d.said[0]
	return nil
}

// finish overwrites what the decoder worked out about the utterance.
func (d *decoding) finish() {
	clear(d.heard)
	clear(d.said[0])
	clear(d.said[1])
	clear(d.tokens[:cap(d.tokens)])
	d.binding.ClearBoundInputs()
	d.binding.ClearBoundOutputs()
}

func (d *decoding) close() {
	if d.binding != nil {
		_ = d.binding.Destroy()
		d.binding = nil
	}
}

// logSumExp is the logarithm of the sum of exponentials; what is far below the
// largest value adds nothing and is skipped.
func logSumExp(x []float32) float64 {
	top := x[0]
	for _, v := range x {
		top = max(top, v)
	}
	sum := 0.0
	for _, v := range x {
		if d := v - top; d > -16 {
			sum += math.Exp(float64(d))
		}
	}
	return float64(top) + math.Log(sum)
}
