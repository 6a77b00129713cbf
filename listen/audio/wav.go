package audio

import (
	"encoding/binary"
	"fmt"
	"io"

	"aloud.example/aloud"
)

// The WAV reader is our own, because the library for it needs to seek, takes a
// header's lengths on trust and reads floats as integers. It reads the canonical
// form, WAVE_FORMAT_EXTENSIBLE, RF64/BW64, and the open-ended length that a
// program writes when its output is a pipe.

const (
	wavPCM        = 0x0001
	wavFloat      = 0x0003
	wavALaw       = 0x0006
	wavULaw       = 0x0007
	wavExtensible = 0xfffe
)

type wavFormat struct {
	tag        uint16
	channels   int
	rate       int
	blockAlign int // bytes a frame
	bits       int
}

// newWAV reads up to the first sample.
func newWAV(in io.Reader) (decoder, error) {
	var riff [12]byte
	if _, err := io.ReadFull(in, riff[:]); err != nil {
		return nil, errShortHeader
	}
	var format *wavFormat
	for range 1000 { // chunks; a file of nothing but empty ones ends here
		var head [8]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			if format == nil {
				return nil, errShortHeader
			}
			return nil, aloud.Errorf(aloud.EINVALID, "it is a WAV file without a data chunk: it breaks off before any sound; copy or record it again")
		}
		id, size := string(head[:4]), int64(binary.LittleEndian.Uint32(head[4:]))
		switch id {
		case "fmt ":
			f, err := readFormat(in, size)
			if err != nil {
				return nil, err
			}
			format = f
		case "data":
			if format == nil {
				return nil, aloud.Errorf(aloud.EINVALID, "it is a WAV file whose sound comes before its format: convert it with \"ffmpeg -i IN out.wav\"")
			}
			return format.open(in, size)
		default:
			if _, err := io.CopyN(io.Discard, in, size+size&1); err != nil {
				return nil, truncated("it breaks off inside a chunk of %d bytes before any sound: copy or record it again", size)
			}
		}
	}
	return nil, aloud.Errorf(aloud.EINVALID, "it is a WAV file with more than 1000 chunks before any sound: convert it with \"ffmpeg -i IN out.wav\"")
}

var errShortHeader = truncated("it breaks off inside its WAV header, before any sound: copy or record it again")

func readFormat(in io.Reader, size int64) (*wavFormat, error) {
	if size < 16 || size > 4096 {
		return nil, aloud.Errorf(aloud.EINVALID, "its WAV format chunk claims %d bytes, where 16 to 40 are usual: it is damaged; convert it with \"ffmpeg -i IN out.wav\"", size)
	}
	b := make([]byte, size+size&1)
	if _, err := io.ReadFull(in, b); err != nil {
		return nil, errShortHeader
	}
	le := binary.LittleEndian
	f := &wavFormat{
		tag:        le.Uint16(b),
		channels:   int(le.Uint16(b[2:])),
		rate:       int(le.Uint32(b[4:])),
		blockAlign: int(le.Uint16(b[12:])),
		bits:       int(le.Uint16(b[14:])),
	}
	if f.tag == wavExtensible && len(b) >= 26 {
		f.tag = le.Uint16(b[24:]) // the first two bytes of the GUID are the plain tag
	}
	return f, nil
}

// open starts decoding size bytes of sound.
func (f *wavFormat) open(in io.Reader, size int64) (decoder, error) {
	info := Info{Container: "WAV", Rate: f.rate, Channels: f.channels}
	if err := checkClaims(info); err != nil {
		return nil, err
	}
	encoding, err := f.encoding()
	if err != nil {
		return nil, err
	}
	info.Encoding = encoding.words()
	p := &pcm{in: in, meta: info, encoding: encoding, remaining: size, promised: size}
	if openEnded(size) {
		p.remaining = -1
	}
	return p, nil
}

// openEnded reports whether a data length is one that programs write when they
// can't know it: 0 and 0xffffffff (ffmpeg, RF64), and just under 2 GiB (sox).
func openEnded(size int64) bool {
	return size == 0 || size == 0xffffffff || size >= 0x7ffff000 && size <= 0x7fffffff
}

// encoding goes by the bytes a sample takes: 20 valid bits lie at the top of 24.
func (f *wavFormat) encoding() (Encoding, error) {
	if f.blockAlign%f.channels != 0 || f.blockAlign == 0 {
		return "", aloud.Errorf(aloud.EINVALID, "its WAV header says %d bytes for %d channels, which does not divide: it is damaged; convert it with \"ffmpeg -i IN out.wav\"", f.blockAlign, f.channels)
	}
	size := f.blockAlign / f.channels
	name := ""
	switch f.tag {
	case wavPCM:
		switch size {
		case 1:
			return U8, nil
		case 2:
			return S16LE, nil
		case 3:
			return S24LE, nil
		case 4:
			return S32LE, nil
		}
		name = "integer"
	case wavFloat:
		switch size {
		case 4:
			return F32LE, nil
		case 8:
			return F64LE, nil
		}
		name = "float"
	case wavULaw:
		if size == 1 {
			return ULaw, nil
		}
		name = "mu-law"
	case wavALaw:
		if size == 1 {
			return ALaw, nil
		}
		name = "A-law"
	default:
		return "", notRead(fmt.Sprintf("a WAV file with a codec of its own (tag 0x%04x)", f.tag))
	}
	return "", notRead(fmt.Sprintf("a WAV file with %d-bit %s samples", 8*size, name))
}
