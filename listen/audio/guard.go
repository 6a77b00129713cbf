package audio

import (
	"errors"
	"fmt"
	"io"

	"aloud.example/aloud"
)

// coded gives err a code and the recording's name, once.
func coded(name string, err error) error {
	if errors.Is(err, io.EOF) && !errors.Is(err, ErrTruncated) {
		return io.EOF
	}
	code := aloud.EINVALID
	if e, ok := errors.AsType[*aloud.Error](err); ok {
		code = e.Code
	}
	return aloud.Errorf(code, "%s: %w", name, err)
}

// truncated makes an error with ErrTruncated in its chain.
func truncated(format string, args ...any) error {
	return &aloud.Error{Code: aloud.EINVALID, Message: fmt.Sprintf(format, args...), Err: ErrTruncated}
}

// damaged makes the error of a recording that can't be decoded any further.
func damaged(container string, cause error) error {
	return aloud.Errorf(aloud.EINVALID, "it is damaged, or not really %s (%w): make it again, for example with \"ffmpeg -i IN out.wav\"", container, cause)
}

// guarded decodes one block. The decoders of compressed formats are other
// people's and index tables by what a file says: a panic in one of them is a
// damaged file, not the end of the program.
func guarded(dec decoder, dst []float32) (n int, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			n, err = 0, damaged(dec.info().Container, fmt.Errorf("%v", cause))
		}
	}()
	return dec.decode(dst)
}

// opened runs the part of another's decoder that reads a header, likewise.
func opened(container string, open func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = damaged(container, fmt.Errorf("%v", cause))
		}
	}()
	return open()
}

// allowance ends a file that goes on and on without giving a sample, which a
// decoder would otherwise search, or pile up in memory, to its end.
type allowance struct {
	in   io.Reader
	each int // bytes allowed between two samples
	left int
}

func newAllowance(in io.Reader, each int) *allowance {
	return &allowance{in: in, each: each, left: each}
}

var errNoSound = errors.New("there is no sound in megabytes of it")

func (a *allowance) Read(p []byte) (int, error) {
	if a.left <= 0 {
		return 0, errNoSound
	}
	n, err := a.in.Read(p[:min(len(p), a.left)])
	a.left -= n
	return n, err
}

func (a *allowance) renew() { a.left = a.each }
