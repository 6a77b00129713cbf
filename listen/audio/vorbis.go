package audio

import (
	"bytes"
	"errors"
	"io"

	"github.com/jfreymuth/oggvorbis"
)

const (
	vorbisHeaders   = 1 << 20 // bytes in which the three headers must lie
	vorbisAllowance = 4 << 20 // sixty times the longest Ogg page
)

type vorbisDecoder struct {
	meta  Info
	dec   *oggvorbis.Reader
	pages *oggPages
	in    *allowance
}

func newVorbis(in io.Reader) (decoder, error) {
	pages := newOggPages(in)
	headers, read, err := pages.packets(3, vorbisHeaders)
	if err == nil {
		err = checkVorbis(headers)
	}
	d := &vorbisDecoder{pages: pages, in: newAllowance(io.MultiReader(bytes.NewReader(read), pages), vorbisAllowance)}
	if err == nil {
		err = opened("Ogg Vorbis", func() (err error) {
			d.dec, err = oggvorbis.NewReader(d.in)
			return err
		})
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, truncated("it breaks off inside its Ogg Vorbis headers, before any sound: copy it again")
	case err != nil:
		return nil, damaged("Ogg Vorbis", err)
	}
	d.meta = Info{Container: "Ogg Vorbis", Encoding: "Vorbis", Rate: d.dec.SampleRate(), Channels: d.dec.Channels()}
	return d, nil
}

func (d *vorbisDecoder) info() Info { return d.meta }

func (d *vorbisDecoder) decode(dst []float32) (int, error) {
	n, err := d.dec.Read(dst)
	if n > 0 {
		d.in.renew()
	}
	switch {
	case err == nil:
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF) && !d.pages.ended:
		err = truncated("it breaks off: its last Ogg page is missing; what it holds until there was used. Copy it again")
	case !errors.Is(err, io.EOF):
		err = damaged("Ogg Vorbis", err)
	}
	return n, err
}
