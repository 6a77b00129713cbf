package audio

import (
	"bufio"
	"errors"
	"io"
)

// reframer rewrites MPEG-2 layer III at 22.05 kHz, what most speech synthesisers
// and many dictaphones make, so that the MP3 library can read it: the library
// loses the padding byte of such frames and with it the thread. Every frame that
// comes out holds its own data (no bit reservoir), in a frame size without
// padding. Frames whose data is missing become silence.
type reframer struct {
	in        *bufio.Reader
	reservoir []byte // the end of the main data so far, at most 255 bytes
	out       []byte
	buf       []byte
	err       error
}

func newReframer(in *bufio.Reader) *reframer { return &reframer{in: in} }

const mp3Header = 4

// bitrates22 are those of MPEG-2 layer III, by index, in bits a second.
var bitrates22 = [16]int{0, 8000, 16000, 24000, 32000, 40000, 48000, 56000, 64000, 80000, 96000, 112000, 128000, 144000, 160000}

// padsWrong reports whether a frame's header is one of MPEG-2 layer III at
// 22.05 kHz.
func padsWrong(head []byte) bool {
	return head[0] == 0xff && head[1]&0xfe == 0xf2 && head[2]&0x0c == 0 && bitrates22[head[2]>>4] > 0
}

func (r *reframer) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.err = r.next()
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// next rewrites one frame; bytes between frames are dropped.
func (r *reframer) next() error {
	head, err := r.in.Peek(mp3Header)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		return err
	}
	if !padsWrong(head) {
		_, err := r.in.Discard(1)
		return err
	}
	size := 72*bitrates22[head[2]>>4]/22050 + int(head[2]>>1&1)
	frame, err := r.in.Peek(size)
	if err != nil {
		return io.EOF // a frame that is cut off, at the end
	}
	r.frame(frame)
	_, err = r.in.Discard(size)
	return err
}

// frame rewrites one whole frame into r.out.
func (r *reframer) frame(frame []byte) {
	channels, sideSize := 2, 17
	if frame[3]>>6 == 3 {
		channels, sideSize = 1, 9
	}
	at := mp3Header
	if frame[1]&1 == 0 {
		at += 2 // a checksum
	}
	if len(frame) < at+sideSize {
		return
	}
	side, main := frame[at:at+sideSize], frame[at+sideSize:]
	data := append(r.tail(int(side[0])), main...)
	bits := 0
	for c := range channels {
		bits += bitsAt(side, 8+channels+63*c, 12) // part2_3_length
	}
	need := (bits + 7) / 8
	index, room := roomFor(need, sideSize)
	missing := int(side[0]) > len(r.reservoir) || need > len(data) || room < 0
	if missing {
		need = 0
		index, room = roomFor(0, sideSize)
	}
	r.out = append(r.buf[:0], frame[0], frame[1]|1, byte(index)<<4|frame[2]&0x0d, frame[3])
	r.out = append(r.out, 0)
	if missing {
		r.out = append(r.out, make([]byte, sideSize-1)...)
	} else {
		r.out = append(r.out, side[1:]...)
	}
	r.out = append(r.out, data[:need]...)
	r.out = append(r.out, make([]byte, room-need)...)
	r.buf = r.out
	r.reservoir = append(r.reservoir, main...)
	r.reservoir = r.reservoir[max(0, len(r.reservoir)-255):]
}

// tail is a copy of the last n bytes of the reservoir, or of all it has.
func (r *reframer) tail(n int) []byte {
	return append([]byte(nil), r.reservoir[max(0, len(r.reservoir)-n):]...)
}

// roomFor is the lowest bitrate whose frame, as the library counts it, has room
// for so many bytes of main data; room is negative where none has.
func roomFor(need, sideSize int) (index, room int) {
	for index = 1; index <= 14; index++ {
		room = 144*bitrates22[index]/22050>>1 - mp3Header - sideSize
		if room >= need {
			return index, room
		}
	}
	return 0, -1
}

func bitsAt(b []byte, at, n int) (v int) {
	for i := at; i < at+n; i++ {
		v = v<<1 | int(b[i>>3]>>(7-i&7)&1)
	}
	return v
}
