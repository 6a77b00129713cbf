package audio

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"slices"
	"strings"

	"aloud.example/aloud"
)

// Format says how raw PCM is laid out. Its zero value is 16-bit little-endian
// mono at 16 kHz.
type Format struct {
	Rate     int      // Hz; 0 means 16000
	Channels int      // interleaved; 0 means 1
	Encoding Encoding // "" means S16LE
}

// Encoding is how one sample is written.
type Encoding string

// The encodings that are read, by the names that ffmpeg and sox use.
const (
	U8    Encoding = "u8"
	S8    Encoding = "s8"
	S16LE Encoding = "s16le"
	S24LE Encoding = "s24le"
	S32LE Encoding = "s32le"
	F32LE Encoding = "f32le"
	F64LE Encoding = "f64le"
	ULaw  Encoding = "mulaw"
	ALaw  Encoding = "alaw"
)

// Encodings returns all of them, for help texts.
func Encodings() []string {
	return []string{string(U8), string(S8), string(S16LE), string(S24LE), string(S32LE), string(F32LE), string(F64LE), string(ULaw), string(ALaw)}
}

// size is the bytes of one sample, 0 for an encoding that is none.
func (e Encoding) size() int {
	switch e {
	case U8, S8, ULaw, ALaw:
		return 1
	case S16LE:
		return 2
	case S24LE:
		return 3
	case S32LE, F32LE:
		return 4
	case F64LE:
		return 8
	}
	return 0
}

func (e Encoding) words() string {
	switch e {
	case U8, S8:
		return "8-bit integer"
	case S16LE:
		return "16-bit integer"
	case S24LE:
		return "24-bit integer"
	case S32LE:
		return "32-bit integer"
	case F32LE:
		return "32-bit float"
	case F64LE:
		return "64-bit float"
	case ULaw:
		return "mu-law"
	case ALaw:
		return "A-law"
	}
	return string(e)
}

// samples converts src, whole samples, into dst.
func (e Encoding) samples(dst []float32, src []byte) {
	le := binary.LittleEndian
	switch e {
	case U8:
		for i := range dst {
			dst[i] = (float32(src[i]) - 128) / 128
		}
	case S8:
		for i := range dst {
			dst[i] = float32(int8(src[i])) / 128
		}
	case S16LE:
		for i := range dst {
			dst[i] = float32(int16(le.Uint16(src[2*i:]))) / (1 << 15)
		}
	case S24LE:
		for i := range dst {
			b := src[3*i : 3*i+3]
			dst[i] = float32(int32(b[0])<<8|int32(b[1])<<16|int32(b[2])<<24) / (1 << 31)
		}
	case S32LE:
		for i := range dst {
			dst[i] = float32(int32(le.Uint32(src[4*i:]))) / (1 << 31)
		}
	case F32LE:
		for i := range dst {
			dst[i] = math.Float32frombits(le.Uint32(src[4*i:]))
		}
	case F64LE:
		for i := range dst {
			dst[i] = float32(math.Float64frombits(le.Uint64(src[8*i:])))
		}
	case ULaw:
		for i := range dst {
			dst[i] = fromULaw(src[i])
		}
	case ALaw:
		for i := range dst {
			dst[i] = fromALaw(src[i])
		}
	}
}

// fromULaw and fromALaw expand the 8 bits of ITU-T G.711.
func fromULaw(b byte) float32 {
	b = ^b
	v := ((int32(b&0x0f)<<3)+0x84)<<(b>>4&7) - 0x84
	if b&0x80 != 0 {
		v = -v
	}
	return float32(v) / (1 << 15)
}

func fromALaw(b byte) float32 {
	b ^= 0x55
	v := int32(b&0x0f)<<4 + 8
	if exp := b >> 4 & 7; exp > 0 {
		v = (v + 0x100) << (exp - 1)
	}
	if b&0x80 == 0 {
		v = -v
	}
	return float32(v) / (1 << 15)
}

// pcm decodes uncompressed samples until the end of in or, where the length is
// known, until that many bytes.
type pcm struct {
	in        io.Reader
	meta      Info
	encoding  Encoding
	remaining int64 // bytes that the header promises; -1: until the end
	promised  int64
	bytes     []byte
	held      int // bytes at the front of bytes that are not a whole sample yet
}

func newPCM(in io.Reader, f Format) (*pcm, error) {
	if f.Rate == 0 {
		f.Rate = Rate
	}
	if f.Channels == 0 {
		f.Channels = 1
	}
	if f.Encoding == "" {
		f.Encoding = S16LE
	}
	if f.Encoding.size() == 0 {
		return nil, aloud.Errorf(aloud.EINVALID, "there is no encoding %q: choose one of %s", string(f.Encoding), strings.Join(Encodings(), ", "))
	}
	return &pcm{
		in:        in,
		meta:      Info{Container: "raw PCM", Encoding: f.Encoding.words(), Rate: f.Rate, Channels: f.Channels},
		encoding:  f.Encoding,
		remaining: -1,
	}, nil
}

func (p *pcm) info() Info { return p.meta }

func (p *pcm) decode(dst []float32) (int, error) {
	size := p.encoding.size()
	p.bytes = slices.Grow(p.bytes[:0], len(dst)*size)[:len(dst)*size]
	want := p.bytes[p.held:]
	if p.remaining >= 0 {
		want = want[:min(int64(len(want)), p.remaining)]
	}
	var n int
	var err error
	if len(want) > 0 {
		// One Read, not ReadFull: a live pipe's sound is passed on as it comes.
		n, err = p.in.Read(want)
	}
	if p.remaining >= 0 {
		p.remaining -= int64(n)
	}
	have := p.held + n
	count := have / size
	p.encoding.samples(dst[:count], p.bytes)
	p.held = copy(p.bytes, p.bytes[count*size:have])

	switch {
	case err == nil && p.remaining == 0:
		err = io.EOF
	case errors.Is(err, io.EOF) && p.remaining > 0:
		err = truncated("it breaks off: its header promises %d bytes of sound, it holds %d; what it holds was used. Copy or record it again",
			p.promised, p.promised-p.remaining)
	}
	if errors.Is(err, io.EOF) && p.held > 0 {
		err = truncated("it ends in the middle of a sample (%d of %d bytes); what it holds until there was used. Check that it really is %s",
			p.held, size, p.encoding.words())
	}
	return count, err
}
