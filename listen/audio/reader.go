package audio

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"aloud.example/aloud"
	"aloud.example/aloud/listen/resample"
)

// Rate is the rate of everything a Reader returns.
const Rate = 16000

// The limits on what a header may claim. They are far outside of what records
// speech, and keep a small file from asking for a large amount of memory.
const (
	MinRate     = 1000
	MaxRate     = 768000
	MaxChannels = 32
)

// ErrTruncated is in the chain of the error that ends a recording which broke
// off: every sample before it was good and has been returned.
var ErrTruncated = errors.New("the recording breaks off")

// Info says what a recording is, as its header has it.
type Info struct {
	Container string // "WAV", "FLAC", "MP3", "Ogg Vorbis", "raw PCM"
	Encoding  string // "16-bit integer", "32-bit float", "mu-law", …
	Rate      int    // samples a second and channel
	Channels  int
}

// A decoder yields interleaved samples. It returns io.EOF after the last one,
// or an error that wraps ErrTruncated where the recording breaks off.
type decoder interface {
	info() Info
	decode(dst []float32) (int, error)
}

// Reader returns 16 kHz mono samples. It is for one goroutine.
type Reader struct {
	name     string
	dec      decoder
	resample *resample.Resampler // nil at 16 kHz
	close    io.Closer

	frames  []float32 // interleaved, as the decoder gave them
	partial int       // samples at the front of frames that are not a whole frame yet
	mono    []float32
	out     []float32 // resampled, not yet returned: a part of outBuf
	outBuf  []float32
	err     error
}

// blockFrames is how many sample frames are decoded at a time.
const blockFrames = 2048

// Open opens a recording. What it is, is told from its first bytes.
func Open(path string) (*Reader, error) {
	stat, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, aloud.Errorf(aloud.ENOTFOUND, "there is no file %q: check its name", path)
	case err != nil:
		return nil, aloud.Errorf(aloud.EINVALID, "%q can't be opened: %w", path, err)
	case stat.IsDir():
		return nil, aloud.Errorf(aloud.EINVALID, "%q is a folder: name one recording in it", path)
	case stat.Mode().IsRegular() && stat.Size() == 0:
		return nil, aloud.Errorf(aloud.EINVALID, "%q is empty (0 bytes): record or copy it again", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "%q can't be opened: %w", path, err)
	}
	r, err := newReader(path, f)
	if err != nil {
		_ = f.Close() // it was only read
		return nil, err
	}
	r.close = f
	return r, nil
}

// newReader opens the recording that in holds; name is for messages.
func newReader(name string, in io.Reader) (*Reader, error) {
	b := bufio.NewReaderSize(in, 1<<16)
	dec, err := sniff(b)
	if err != nil {
		return nil, coded(name, err)
	}
	return readerOf(name, dec)
}

// Raw reads PCM without a header, such as a pipe from a recorder gives.
func Raw(in io.Reader, format Format) (*Reader, error) {
	dec, err := newPCM(bufio.NewReaderSize(in, 1<<14), format)
	if err != nil {
		return nil, coded("standard input", err)
	}
	return readerOf("standard input", dec)
}

func readerOf(name string, dec decoder) (*Reader, error) {
	info := dec.info()
	if err := checkClaims(info); err != nil {
		return nil, coded(name, err)
	}
	r := &Reader{
		name:   name,
		dec:    dec,
		frames: make([]float32, blockFrames*info.Channels),
		mono:   make([]float32, blockFrames),
	}
	if info.Rate != Rate {
		r.resample = resample.New(info.Rate, Rate)
	}
	return r, nil
}

func checkClaims(info Info) error {
	if info.Rate < MinRate || info.Rate > MaxRate {
		return aloud.Errorf(aloud.EINVALID, "its header claims a rate of %d Hz; between %d and %d is read", info.Rate, MinRate, MaxRate)
	}
	if info.Channels < 1 || info.Channels > MaxChannels {
		return aloud.Errorf(aloud.EINVALID, "its header claims %d channels; 1 to %d are read", info.Channels, MaxChannels)
	}
	return nil
}

// Info says what is being read.
func (r *Reader) Info() Info { return r.dec.info() }

// Read fills buf with 16 kHz mono samples and says how many it put there. It
// returns io.EOF after the last sample, and an error with ErrTruncated in its
// chain after the last sample of a recording that breaks off. A read from a
// pipe that is waiting for its other end does not notice that ctx has ended.
func (r *Reader) Read(ctx context.Context, buf []float32) (int, error) {
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if len(buf) == 0 {
			return 0, nil
		}
		r.fill()
	}
	n := copy(buf, r.out)
	r.out = r.out[n:]
	return n, nil
}

// Close overwrites what is held of the recording and closes its file.
func (r *Reader) Close() error {
	for _, held := range [][]float32{r.frames, r.mono, r.outBuf} {
		clear(held[:cap(held)])
	}
	if r.resample != nil {
		r.resample.Wipe()
	}
	r.out, r.partial, r.err = nil, 0, aloud.Errorf(aloud.EINVALID, "%s is closed", r.name)
	if r.close == nil {
		return nil
	}
	return r.close.Close()
}

// fill decodes one block into r.out, or sets r.err.
func (r *Reader) fill() {
	n, err := guarded(r.dec, r.frames[r.partial:])
	held := r.partial + n
	channels := r.dec.info().Channels
	count := held / channels
	r.mono = mixDown(r.mono[:0], r.frames[:count*channels], channels)
	r.partial = copy(r.frames, r.frames[count*channels:held])

	if bad := notANumber(r.mono); bad >= 0 {
		r.mono = r.mono[:bad]
		err = aloud.Errorf(aloud.EINVALID, "it holds a sample that is not a number (NaN or infinite): mend the recording, for example with \"sox in.wav -b 16 out.wav\"")
	}
	r.outBuf = r.outBuf[:0]
	if r.resample == nil {
		r.outBuf = append(r.outBuf, r.mono...)
	} else {
		r.outBuf = r.resample.Push(r.outBuf, r.mono)
		if err != nil {
			r.outBuf = r.resample.Flush(r.outBuf)
		}
	}
	clamp(r.outBuf)
	r.out = r.outBuf
	if err != nil {
		if r.partial > 0 && errors.Is(err, io.EOF) {
			err = errMidFrame
		}
		r.err = coded(r.name, err)
	}
}

var errMidFrame = truncated("it ends in the middle of a sample frame; what it holds until there was used. Check that the rate, channels and encoding are the ones it was made with")

// mixDown appends the mean of each frame's channels to dst.
func mixDown(dst, frames []float32, channels int) []float32 {
	if channels == 1 {
		return append(dst, frames...)
	}
	scale := 1 / float32(channels)
	for len(frames) >= channels {
		var sum float32
		for _, v := range frames[:channels] {
			sum += v
		}
		dst = append(dst, sum*scale)
		frames = frames[channels:]
	}
	return dst
}

// notANumber returns the index of the first NaN or infinite sample, or -1.
func notANumber(samples []float32) int {
	for i, v := range samples {
		if v-v != 0 { // only a finite number minus itself is 0
			return i
		}
	}
	return -1
}

func clamp(samples []float32) {
	for i, v := range samples {
		samples[i] = max(-1, min(1, v))
	}
}
