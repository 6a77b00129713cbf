package audio

import (
	"errors"
	"io"
)

// oggPages passes an Ogg stream on, a page at a time, and sees what the Vorbis
// library does not tell: whether the last page came.
type oggPages struct {
	in    io.Reader
	page  []byte // read, not yet passed on: a part of buf
	buf   []byte
	ended bool // the last page read has the end-of-stream flag
	err   error
}

const (
	oggHeader    = 27 // bytes before a page's table of segments
	oggPageMax   = oggHeader + 255 + 255*255
	oggEndOfFile = 0x04
)

var errNotOgg = errors.New("there is no Ogg page where one should begin")

func newOggPages(in io.Reader) *oggPages {
	return &oggPages{in: in, buf: make([]byte, oggPageMax)}
}

func (o *oggPages) Read(p []byte) (int, error) {
	if len(o.page) == 0 {
		if o.err == nil {
			o.err = o.next()
		}
		if len(o.page) == 0 {
			return 0, o.err
		}
	}
	n := copy(p, o.page)
	o.page = o.page[n:]
	return n, nil
}

// next reads one page; an incomplete one is dropped, whatever it holds.
func (o *oggPages) next() error {
	head := o.buf[:oggHeader]
	if n, err := io.ReadFull(o.in, head); err != nil {
		if n == 0 && errors.Is(err, io.EOF) {
			return io.EOF
		}
		return io.ErrUnexpectedEOF
	}
	if string(head[:4]) != "OggS" || head[26] == 0 {
		return errNotOgg
	}
	table := o.buf[oggHeader : oggHeader+int(head[26])]
	if _, err := io.ReadFull(o.in, table); err != nil {
		return io.ErrUnexpectedEOF
	}
	size := oggHeader + len(table)
	start := size
	for _, segment := range table {
		size += int(segment)
	}
	if _, err := io.ReadFull(o.in, o.buf[start:size]); err != nil {
		return io.ErrUnexpectedEOF
	}
	o.page = o.buf[:size]
	o.ended = head[5]&oggEndOfFile != 0
	return nil
}

// packets splits a stream's first packets out of its pages. It stops when it
// has n of them, and returns also the bytes that it read for that.
func (o *oggPages) packets(n, limit int) (packets [][]byte, read []byte, err error) {
	var packet []byte
	for len(packets) < n {
		if err := o.next(); err != nil {
			return nil, nil, err
		}
		if len(read)+len(o.page) > limit {
			return nil, nil, errNoSound
		}
		read = append(read, o.page...)
		table := o.page[oggHeader : oggHeader+int(o.page[26])]
		body := o.page[oggHeader+len(table):]
		for _, segment := range table {
			packet = append(packet, body[:segment]...)
			body = body[segment:]
			if segment < 255 {
				packets = append(packets, packet)
				packet = nil
			}
		}
		o.page = nil
	}
	return packets[:n], read, nil
}
