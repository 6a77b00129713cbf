package audio

import (
	"errors"
	"fmt"
	"io"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"

	"aloud.example/aloud"
)

// flacAllowance covers the largest metadata block, a picture of 16 MiB.
const flacAllowance = 32 << 20

type flacDecoder struct {
	meta    Info
	stream  *flac.Stream
	in      *allowance
	scale   float32
	total   uint64 // frames that the header promises; 0: unknown
	decoded uint64
	current *frame.Frame
	at      int // frames of current already returned
}

func newFLAC(in io.Reader) (decoder, error) {
	d := &flacDecoder{in: newAllowance(in, flacAllowance)}
	err := opened("FLAC", func() error {
		stream, err := flac.New(d.in)
		if err != nil {
			return flacError(err, 0, 0)
		}
		d.stream = stream
		return nil
	})
	if err != nil {
		return nil, err
	}
	si := d.stream.Info
	if si.BitsPerSample < 4 || si.BitsPerSample > 32 {
		return nil, aloud.Errorf(aloud.EINVALID, "its FLAC header claims %d bits a sample; 4 to 32 are read", si.BitsPerSample)
	}
	d.meta = Info{Container: "FLAC", Encoding: fmt.Sprintf("%d-bit integer", si.BitsPerSample), Rate: int(si.SampleRate), Channels: int(si.NChannels)}
	d.scale = 1 / float32(uint64(1)<<(si.BitsPerSample-1))
	d.total = si.NSamples
	return d, nil
}

func (d *flacDecoder) info() Info { return d.meta }

func (d *flacDecoder) decode(dst []float32) (int, error) {
	if d.current == nil || d.at == d.current.Subframes[0].NSamples {
		if err := d.next(); err != nil {
			return 0, err
		}
	}
	channels := d.meta.Channels
	count := min(len(dst)/channels, d.current.Subframes[0].NSamples-d.at)
	for c, sub := range d.current.Subframes {
		for i, v := range sub.Samples[d.at : d.at+count] {
			dst[i*channels+c] = float32(v) * d.scale
		}
	}
	d.at += count
	return count * channels, nil
}

// next parses a frame and holds it to what the header said.
func (d *flacDecoder) next() error {
	f, err := d.stream.ParseNext()
	if err != nil {
		return flacError(err, d.total, d.decoded)
	}
	d.in.renew()
	if len(f.Subframes) != d.meta.Channels {
		return damaged("FLAC", fmt.Errorf("%d channels in a frame of a %d-channel file", len(f.Subframes), d.meta.Channels))
	}
	for _, sub := range f.Subframes {
		if sub.NSamples == 0 || sub.NSamples != f.Subframes[0].NSamples || len(sub.Samples) < sub.NSamples {
			return damaged("FLAC", errors.New("a frame whose channels differ in length"))
		}
	}
	d.current, d.at = f, 0
	d.decoded += uint64(f.Subframes[0].NSamples)
	return nil
}

func flacError(err error, total, decoded uint64) error {
	switch {
	case errors.Is(err, io.EOF) && decoded > 0 && decoded >= total:
		return io.EOF
	case errors.Is(err, io.EOF) && total > 0:
		return truncated("it breaks off: its header promises %d samples, it holds %d; what it holds was used. Copy it again", total, decoded)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return truncated("it breaks off after %d samples; what it holds was used. Copy it again", decoded)
	}
	return damaged("FLAC", err)
}
