package onnx

import (
	"math"

	ort "github.com/yalue/onnxruntime_go"

	"aloud.example/aloud"
)

// decoding is one run of the decoder over an utterance, for one or more rows
// side by side: views of the utterance, times texts that are followed at once.
// Its buffers are kept for the next utterance.
type decoding struct {
	m       *moonshine
	rows    int
	heardAt int // how many vectors the encoder made
	step    int // tokens the cache holds

	heard  []float32    // keys and values of what was heard, all layers
	said   [2][]float32 // of what was said, before and after a step by turns
	logits []float32
	tokens []int64

	binding *ort.IoBinding
}

// start prepares the tensors for rows texts over the encoder's vectors, which
// hold one row for each view; row i hears view i % views.
func (m *moonshine) start(hidden []float32, views, rows int) (*decoding, error) {
	d := m.run
	if d == nil {
		d = &decoding{m: m}
		m.run = d
	}
	d.rows, d.step = rows, 0
	d.heardAt = len(hidden) / views / m.shape.dim
	d.heard = grown(d.heard, 2*m.shape.layers*rows*m.shape.heads*d.heardAt*m.shape.headDim)
	d.logits = grown(d.logits, rows*vocabSize)
	d.tokens = make([]int64, rows)
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

// next feeds one token a row and leaves each row's logits in d.logits. The
// first call also works out the keys and values of what was heard.
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
	before, after := int64(d.step), int64(d.step+1)
	first := d.step == 0

	ids, e := ort.NewTensor(ort.NewShape(rows, 1), d.tokens)
	bind(b.BindInput, "input_ids", ids, e)
	floats(b.BindInput, "encoder_hidden_states", hidden, rows, int64(d.heardAt), int64(s.dim))
	cached, e := ort.NewTensor(ort.NewShape(1), []bool{!first})
	bind(b.BindInput, "use_cache_branch", cached, e)
	floats(b.BindOutput, "logits", d.logits, rows, 1, vocabSize)

	one := d.rows * s.heads * s.headDim
	d.said[1] = grown(d.said[1], 2*s.layers*one*(d.step+1))
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
		floats(b.BindOutput, d.m.names.presentSaid[i], d.said[1][i*one*(d.step+1):(i+1)*one*(d.step+1)], rows, heads, after, dim)
	}
	if err != nil {
		return aloud.Errorf(aloud.EINTERNAL, "preparing the decoder: %w", err)
	}
	if err := d.m.decoder.RunWithBinding(b); err != nil {
		return aloud.Errorf(aloud.EINTERNAL, "the decoder failed: %w", err)
	}
	d.step++
	d.said[0], d.said[1] = d.said[1], d.said[0]
	return nil
}

// reorder lets row i go on from what row from[i] has said.
func (d *decoding) reorder(from []int) {
	same := true
	for i, f := range from {
		same = same && i == f
	}
	if same {
		return
	}
	s := d.m.shape
	row := s.heads * s.headDim * d.step
	d.said[1] = grown(d.said[1], len(d.said[0]))
	for i := range 2 * s.layers {
		at := i * d.rows * row
		for r, f := range from {
			copy(d.said[1][at+r*row:at+(r+1)*row], d.said[0][at+f*row:at+(f+1)*row])
		}
	}
	d.said[0], d.said[1] = d.said[1], d.said[0]
}

// finish overwrites what the decoder worked out about the utterance.
func (d *decoding) finish() {
	clear(d.heard)
	clear(d.said[0])
	clear(d.said[1])
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
