package audio

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"

	"github.com/hajimehoshi/go-mp3"
)

// mp3Allowance is several thousand times the longest MP3 frame.
const mp3Allowance = 4 << 20

// mp3Decoder always has two channels: the library doubles a mono file's.
type mp3Decoder struct {
	meta     Info
	dec      *mp3.Decoder
	in       *allowance
	promised int64 // samples of a channel, from the encoder's tag; 0: unknown
	decoded  int64
	bytes    [4096]byte
	held     int
}

func newMP3(in *bufio.Reader) (decoder, error) {
	d := &mp3Decoder{promised: taggedLength(in), in: newAllowance(in, mp3Allowance)}
	if head, err := in.Peek(4); err == nil && padsWrong(head) {
		d.in = newAllowance(newReframer(in), mp3Allowance)
	}
	err := opened("MP3", func() (err error) {
		// The library gets no Seeker: it would read the whole file first.
		d.dec, err = mp3.NewDecoder(d.in)
		return err
	})
	switch {
	case err == nil:
	case strings.Contains(err.Error(), "not supported"), strings.Contains(err.Error(), "is supported"):
		return nil, notRead("MPEG audio, but not layer 3 of MPEG-1 or MPEG-2")
	case errors.Is(err, io.EOF):
		return nil, truncated("it breaks off inside its first MP3 frame, before any sound: copy it again")
	default:
		return nil, damaged("MP3", err)
	}
	d.meta = Info{Container: "MP3", Encoding: "MPEG layer 3", Rate: d.dec.SampleRate(), Channels: 2}
	return d, nil
}

// taggedLength reads the frame count that most encoders put into a first,
// silent frame (Xing or Info), as samples; 0 where there is none.
func taggedLength(in *bufio.Reader) int64 {
	head, err := in.Peek(64)
	if err != nil {
		return 0
	}
	at := bytes.Index(head, []byte("Xing"))
	if at < 0 {
		at = bytes.Index(head, []byte("Info"))
	}
	if at < 0 || at+12 > len(head) || head[at+7]&1 == 0 {
		return 0
	}
	each := int64(576)
	if head[1]&0x08 != 0 { // MPEG-1
		each = 1152
	}
	return each * int64(binary.BigEndian.Uint32(head[at+8:]))
}

func (d *mp3Decoder) info() Info { return d.meta }

func (d *mp3Decoder) decode(dst []float32) (int, error) {
	want := min(len(dst)*2, len(d.bytes))
	n, err := d.dec.Read(d.bytes[d.held:want])
	have := d.held + n
	count := have / 2
	for i := range count {
		dst[i] = float32(int16(binary.LittleEndian.Uint16(d.bytes[2*i:]))) / (1 << 15)
	}
	d.held = copy(d.bytes[:], d.bytes[2*count:have])
	d.decoded += int64(count) / 2
	if count > 0 {
		d.in.renew()
	}
	switch {
	case err == nil:
	case !errors.Is(err, io.EOF):
		err = damaged("MP3", err)
	case d.decoded < d.promised:
		err = truncated("it breaks off: its tag promises %d samples, it holds %d; what it holds was used. Copy it again", d.promised, d.decoded)
	}
	return count, err
}
