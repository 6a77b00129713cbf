package audio

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"aloud.example/aloud"
)

// sniff tells from the first bytes what a recording is, and opens it.
func sniff(in *bufio.Reader) (decoder, error) {
	if err := skipID3(in); err != nil {
		return nil, err
	}
	head, err := in.Peek(64)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, aloud.Errorf(aloud.EINVALID, "it can't be read: %w", err)
	}
	is := func(at int, magic string) bool {
		return len(head) >= at+len(magic) && string(head[at:at+len(magic)]) == magic
	}
	switch {
	case len(head) == 0:
		return nil, aloud.Errorf(aloud.EINVALID, "it is empty (0 bytes of sound): record or copy it again")
	case (is(0, "RIFF") || is(0, "RF64") || is(0, "BW64")) && is(8, "WAVE"):
		return newWAV(in)
	case is(0, "fLaC"):
		return newFLAC(in)
	case is(0, "OggS") && is(28, "\x01vorbis"):
		return newVorbis(in)
	case is(0, "OggS"):
		return nil, notRead("an Ogg file, but without Vorbis in it (Opus or another)")
	case len(head) >= 4 && head[0] == 0xff && head[1]&0xe0 == 0xe0 && head[1]&0x06 != 0:
		return newMP3(in)
	case is(4, "ftyp"):
		return nil, notRead("an MP4 or M4A file")
	case is(0, "\x1a\x45\xdf\xa3"):
		return nil, notRead("a WebM or Matroska file")
	case is(0, "FORM"):
		return nil, notRead("an AIFF file")
	case is(0, ".snd"):
		return nil, notRead("a Sun AU file")
	case is(0, "caff"):
		return nil, notRead("a CAF file")
	case looksLikeText(head):
		return nil, aloud.Errorf(aloud.EINVALID, "it holds text, not sound, whatever its name says; WAV, FLAC, MP3 and Ogg Vorbis are read")
	}
	return nil, aloud.Errorf(aloud.EINVALID, "it is none of WAV, FLAC, MP3 and Ogg Vorbis; raw PCM goes to standard input (\"-\"), anything else through \"ffmpeg -i IN out.wav\" first")
}

func notRead(what string) error {
	return aloud.Errorf(aloud.EINVALID, "it is %s, which is not read: convert it with \"ffmpeg -i IN out.wav\"", what)
}

func looksLikeText(head []byte) bool {
	for len(head) > 0 {
		r, size := utf8.DecodeRune(head)
		if r == utf8.RuneError && len(head) >= utf8.UTFMax {
			return false
		}
		if r < ' ' && r != '\n' && r != '\r' && r != '\t' {
			return false
		}
		head = head[size:]
	}
	return true
}

// skipID3 skips ID3v2 tags (title, pictures) before the sound itself: MP3
// files, and some FLAC files, start with them. Their length is skipped as it
// is read, never held.
func skipID3(in *bufio.Reader) error {
	for range 4 {
		head, err := in.Peek(10)
		if err != nil || !bytes.HasPrefix(head, []byte("ID3")) {
			return nil // too short for a tag, so for anything: sniff says so
		}
		size := 0
		for _, b := range head[6:10] { // seven bits a byte
			size = size<<7 | int(b&0x7f)
		}
		if _, err := in.Discard(10 + size); err != nil {
			return truncated("it ends inside its ID3 tag, before any sound: copy it again")
		}
	}
	return nil
}
