package audio_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	goaudio "github.com/go-audio/audio"
	"github.com/go-audio/wav"

	"aloud.example/aloud"
	"aloud.example/aloud/listen/audio"
)

func all(t *testing.T, r *audio.Reader) ([]float32, error) {
	t.Helper()
	var out []float32
	buf := make([]float32, 777)
	for {
		n, err := r.Read(context.Background(), buf)
		out = append(out, buf[:n]...)
		if err != nil {
			if cerr := r.Close(); cerr != nil {
				t.Errorf("Close: %v", cerr)
			}
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return out, err
		}
	}
}

func open(t *testing.T, path string) ([]float32, audio.Info, error) {
	t.Helper()
	r, err := audio.Open(path)
	if err != nil {
		return nil, audio.Info{}, err
	}
	info := r.Info()
	samples, err := all(t, r)
	return samples, info, err
}

// likeness is the highest correlation of the two over lags up to 200 ms, and
// the gain of b over a there.
func likeness(a, b []float32) (best, gain float64) {
	for lag := 0; lag < 3200 && lag < len(b); lag++ {
		var ab, aa, bb float64
		for i := 0; i < len(a) && i+lag < len(b); i++ {
			x, y := float64(a[i]), float64(b[i+lag])
			ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
		}
		if c := ab / math.Sqrt(aa*bb+1e-12); c > best {
			best, gain = c, ab/aa
		}
	}
	return best, gain
}

// The files were made by sox, flac, lame and oggenc from one spoken sentence.
func TestEveryFormatSoundsTheSame(t *testing.T) {
	reference, _, err := open(t, "testdata/16bit-16k-mono.wav")
	if err != nil {
		t.Fatal(err)
	}
	if len(reference) != 19200 {
		t.Fatalf("the reference has %d samples, want 19200", len(reference))
	}
	tests := []struct {
		file    string
		seconds float64
		alike   float64
		info    audio.Info
	}{
		{"8bit-96k-stereo.wav", 0.4, 0.97, audio.Info{Container: "WAV", Encoding: "8-bit integer", Rate: 96000, Channels: 2}},
		{"24bit-44k1.wav", 0.4, 0.99, audio.Info{Container: "WAV", Encoding: "24-bit integer", Rate: 44100, Channels: 1}},
		{"32bit-8k-stereo.wav", 0.6, 0.9, audio.Info{Container: "WAV", Encoding: "32-bit integer", Rate: 8000, Channels: 2}},
		{"float-48k.wav", 0.3, 0.99, audio.Info{Container: "WAV", Encoding: "32-bit float", Rate: 48000, Channels: 1}},
		{"float64-22k.wav", 0.3, 0.99, audio.Info{Container: "WAV", Encoding: "64-bit float", Rate: 22050, Channels: 1}},
		{"mulaw-8k.wav", 1.2, 0.9, audio.Info{Container: "WAV", Encoding: "mu-law", Rate: 8000, Channels: 1}},
		{"alaw-8k.wav", 1.2, 0.9, audio.Info{Container: "WAV", Encoding: "A-law", Rate: 8000, Channels: 1}},
		{"six-channels.wav", 0.2, 0.99, audio.Info{Container: "WAV", Encoding: "16-bit integer", Rate: 48000, Channels: 6}},
		{"44k1-stereo.flac", 1.2, 0.99, audio.Info{Container: "FLAC", Encoding: "16-bit integer", Rate: 44100, Channels: 2}},
		{"16k-mono.flac", 1.2, 0.9999, audio.Info{Container: "FLAC", Encoding: "16-bit integer", Rate: 16000, Channels: 1}},
		{"24bit-48k.flac", 0.4, 0.99, audio.Info{Container: "FLAC", Encoding: "24-bit integer", Rate: 48000, Channels: 1}},
		{"44k1-stereo.mp3", 1.2, 0.99, audio.Info{Container: "MP3", Encoding: "MPEG layer 3", Rate: 44100, Channels: 2}},
		{"16k-mono-id3.mp3", 1.2, 0.9, audio.Info{Container: "MP3", Encoding: "MPEG layer 3", Rate: 16000, Channels: 2}},
		{"44k1-mono-notag.mp3", 1.2, 0.9, audio.Info{Container: "MP3", Encoding: "MPEG layer 3", Rate: 44100, Channels: 2}},
		{"22k-mono.mp3", 1.2, 0.99, audio.Info{Container: "MP3", Encoding: "MPEG layer 3", Rate: 22050, Channels: 2}},
		{"22k-160k.mp3", 1.2, 0.99, audio.Info{Container: "MP3", Encoding: "MPEG layer 3", Rate: 22050, Channels: 2}},
		{"22k-vbr-stereo.mp3", 1.2, 0.99, audio.Info{Container: "MP3", Encoding: "MPEG layer 3", Rate: 22050, Channels: 2}},
		{"44k1-stereo.ogg", 1.2, 0.9, audio.Info{Container: "Ogg Vorbis", Encoding: "Vorbis", Rate: 44100, Channels: 2}},
		{"16k-mono.ogg", 1.2, 0.9, audio.Info{Container: "Ogg Vorbis", Encoding: "Vorbis", Rate: 16000, Channels: 1}},
	}
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			got, info, err := open(t, filepath.Join("testdata", test.file))
			if err != nil {
				t.Fatal(err)
			}
			if info != test.info {
				t.Errorf("info %+v, want %+v", info, test.info)
			}
			padding := 0.01
			if info.Container == "MP3" {
				padding = 0.2 // whole frames, and the encoder's delay
			}
			seconds := float64(len(got)) / audio.Rate
			if seconds < test.seconds-0.01 || seconds > test.seconds+padding {
				t.Errorf("%.3f s, want %.3f", seconds, test.seconds)
			}
			alike, gain := likeness(reference[:min(len(reference), int(test.seconds*audio.Rate)-400)], got)
			if alike < test.alike || gain < 0.8 || gain > 1.2 {
				t.Errorf("correlation %.4f (want %.2f), gain %.3f", alike, test.alike, gain)
			}
		})
	}
}

// An encoder that is not ours and not sox agrees with the WAV reader.
func TestWAVOfAnotherLibrary(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.wav")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	enc := wav.NewEncoder(f, 16000, 16, 1, 1)
	buf := &goaudio.IntBuffer{Format: &goaudio.Format{NumChannels: 1, SampleRate: 16000}, SourceBitDepth: 16}
	for i := range 5000 {
		buf.Data = append(buf.Data, i*13%60000-30000)
	}
	for _, err := range []error{enc.Write(buf), enc.Close(), f.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	got, _, err := open(t, path)
	if err != nil || len(got) != len(buf.Data) {
		t.Fatalf("%d samples, %v", len(got), err)
	}
	for i, v := range got {
		if want := float32(buf.Data[i]) / 32768; v != want {
			t.Fatalf("sample %d is %g, want %g", i, v, want)
		}
	}
}

func header(tag, channels uint16, rate uint32, bits uint16, size uint32) []byte {
	var b bytes.Buffer
	b.WriteString("RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00")
	block := channels * bits / 8
	for _, v := range []any{tag, channels, rate, rate * uint32(block), block, bits} {
		_ = binary.Write(&b, binary.LittleEndian, v) // a Buffer takes all
	}
	b.WriteString("data")
	_ = binary.Write(&b, binary.LittleEndian, size)
	return b.Bytes()
}

func floats(vs ...float32) []byte {
	var b []byte
	for _, v := range vs {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

func TestBadRecordings(t *testing.T) {
	dir := t.TempDir()
	whole := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	cut := func(name string, n int) []byte { return whole(name)[:n] }
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	tests := []struct {
		name    string
		content []byte
		says    string
		samples int // at least so many come before the error; 0: it is not opened
		cut     bool
	}{
		{"empty.wav", nil, "0 bytes", 0, false},
		{"text.wav", []byte("Hello, I am not a recording.\nNot at all.\n"), "text", 0, false},
		{"short-text.wav", []byte("RIFF"), "text", 0, false},
		{"noise.mp3", []byte{1, 2, 3, 4, 0, 0xff, 9, 9, 200, 17}, "none of WAV", 0, false},
		{"in-header.wav", cut("16bit-16k-mono.wav", 30), "header", 0, true},
		{"no-data.wav", cut("16bit-16k-mono.wav", 36), "without a data chunk", 0, false},
		{"truncated.wav", cut("16bit-16k-mono.wav", 20001), "promises 38400 bytes", 9970, true},
		{"huge-claim.wav", append(header(1, 1, 16000, 16, 0x7fff0000), make([]byte, 2000)...), "promises 2147418112 bytes", 1000, true},
		{"odd.wav", append(header(1, 1, 16000, 16, 0xffffffff), make([]byte, 2001)...), "middle of a sample", 1000, true},
		{"half-frame.wav", append(header(1, 2, 16000, 16, 0xffffffff), make([]byte, 2002)...), "middle of a sample frame", 500, true},
		{"nan.wav", append(header(3, 1, 16000, 32, 12), floats(0.5, nan, 0.5)...), "not a number", 1, false},
		{"inf.wav", append(header(3, 1, 16000, 32, 12), floats(0.5, 0.5, -inf)...), "not a number", 2, false},
		{"channels.wav", header(1, 65535, 16000, 16, 4), "65535 channels", 0, false},
		{"silent-channels.wav", header(1, 0, 16000, 16, 4), "0 channels", 0, false},
		{"rate.wav", header(1, 1, 4_000_000_000, 16, 4), "4000000000 Hz", 0, false},
		{"no-rate.wav", header(1, 1, 0, 16, 4), "0 Hz", 0, false},
		{"bits.wav", header(1, 1, 16000, 64, 4), "64-bit integer", 0, false},
		{"adpcm.wav", header(2, 1, 16000, 16, 4), "codec of its own", 0, false},
		{"format-claim.wav", []byte("RIFF\x00\x00\x00\x00WAVEfmt \xff\xff\xff\xff"), "format chunk claims", 0, false},
		{"chunk-claim.wav", []byte("RIFF\x00\x00\x00\x00WAVEjunk\xff\xff\xff\xffxx"), "breaks off inside a chunk", 0, true},
		{"flac-header.flac", cut("16k-mono.flac", 20), "breaks off", 0, true},
		{"truncated.flac", cut("16k-mono.flac", 20000), "breaks off", 8000, true},
		{"truncated.mp3", cut("44k1-stereo.mp3", 6000), "tag promises", 7000, true},
		{"truncated.ogg", cut("44k1-stereo.ogg", 9000), "last Ogg page", 0, true},
		{"ogg-header.ogg", cut("44k1-stereo.ogg", 1000), "headers", 0, true},
		{"opus.ogg", whole("opus.ogg"), "Opus", 0, false},
		{"clip.m4a", []byte("\x00\x00\x00\x20ftypM4A \x00\x00\x00\x00"), "M4A", 0, false},
		{"id3-only.mp3", []byte("ID3\x04\x00\x00\x7f\x7f\x7f\x7fxx"), "ID3", 0, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(dir, test.name)
			if err := os.WriteFile(path, test.content, 0o600); err != nil {
				t.Fatal(err)
			}
			samples, _, err := open(t, path)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("error %v, want it to say %q", err, test.says)
			}
			if code := aloud.ErrorCode(err); code != aloud.EINVALID {
				t.Errorf("code %q", code)
			}
			if !strings.Contains(err.Error(), path) {
				t.Errorf("%q does not name the file", err)
			}
			if errors.Is(err, audio.ErrTruncated) != test.cut {
				t.Errorf("ErrTruncated in the chain of %q: want %t", err, test.cut)
			}
			if len(samples) < test.samples {
				t.Errorf("%d samples before the error, want at least %d", len(samples), test.samples)
			}
		})
	}
	t.Run("folder", func(t *testing.T) {
		if _, err := audio.Open(dir); err == nil || !strings.Contains(err.Error(), "is a folder") {
			t.Fatal(err)
		}
	})
	t.Run("missing", func(t *testing.T) {
		if _, err := audio.Open(filepath.Join(dir, "missing.wav")); aloud.ErrorCode(err) != aloud.ENOTFOUND {
			t.Fatal(err)
		}
	})
}

// A damaged byte anywhere never panics, and never gives a sample out of range.
func TestFlippedBytes(t *testing.T) {
	for _, name := range []string{"16k-mono.flac", "16k-mono-id3.mp3", "22k-mono.mp3", "16k-mono.ogg", "float64-22k.wav"} {
		whole, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), name)
		for at := 0; at < len(whole); at += 1 + len(whole)/150 {
			b := bytes.Clone(whole)
			b[at] ^= 0x81
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			samples, _, _ := open(t, path) // an error or not: both may be right
			inRange(t, samples)
		}
	}
}

func inRange(t *testing.T, samples []float32) {
	t.Helper()
	for i, v := range samples {
		if !(v >= -1 && v <= 1) {
			t.Fatalf("sample %d is %g", i, v)
		}
	}
}

func TestOpenEndedLengths(t *testing.T) {
	for _, size := range []uint32{0, 0xffffffff, 0x7ffff000, 0x7fffffff} {
		path := filepath.Join(t.TempDir(), "pipe.wav")
		if err := os.WriteFile(path, append(header(1, 1, 16000, 16, size), make([]byte, 4000)...), 0o600); err != nil {
			t.Fatal(err)
		}
		samples, _, err := open(t, path)
		if err != nil || len(samples) != 2000 {
			t.Errorf("size %#x: %d samples, %v", size, len(samples), err)
		}
	}
}

func TestRaw(t *testing.T) {
	s16 := []byte{0, 0x40, 0, 0xc0, 0xff, 0x7f}
	r, err := audio.Raw(bytes.NewReader(s16), audio.Format{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := all(t, r)
	if err != nil || len(got) != 3 || got[0] != 0.5 || got[1] != -0.5 || got[2] != 32767.0/32768 {
		t.Fatalf("%v %v", got, err)
	}

	r, err = audio.Raw(bytes.NewReader(s16[:5]), audio.Format{})
	if err != nil {
		t.Fatal(err)
	}
	got, err = all(t, r)
	if len(got) != 2 || !errors.Is(err, audio.ErrTruncated) || !strings.Contains(err.Error(), "standard input") {
		t.Fatalf("an odd byte: %v %v", got, err)
	}

	r, err = audio.Raw(bytes.NewReader(floats(2, -3)), audio.Format{Encoding: audio.F32LE})
	if err != nil {
		t.Fatal(err)
	}
	if got, err = all(t, r); err != nil || got[0] != 1 || got[1] != -1 {
		t.Fatalf("clamped: %v %v", got, err)
	}

	for _, bad := range []audio.Format{{Rate: -1}, {Rate: 999}, {Channels: 33}, {Channels: -1}, {Encoding: "s17"}} {
		if _, err := audio.Raw(bytes.NewReader(s16), bad); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// A pipe that gives a byte at a time gives the same samples.
func TestRawByteByByte(t *testing.T) {
	in := make([]byte, 3*2*4410)
	for i := range in {
		in[i] = byte(i * 7)
	}
	format := audio.Format{Rate: 44100, Channels: 2, Encoding: audio.S24LE}
	whole, err := audio.Raw(bytes.NewReader(in), format)
	if err != nil {
		t.Fatal(err)
	}
	slow, err := audio.Raw(&oneByte{in}, format)
	if err != nil {
		t.Fatal(err)
	}
	a, errA := all(t, whole)
	b, errB := all(t, slow)
	if errA != nil || errB != nil || len(a) != len(b) {
		t.Fatal(len(a), len(b), errA, errB)
	}
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("sample %d: %g and %g", i, a[i], b[i])
		}
	}
}

type oneByte struct{ b []byte }

func (o *oneByte) Read(p []byte) (int, error) {
	if len(o.b) == 0 {
		return 0, io.EOF
	}
	p[0] = o.b[0]
	o.b = o.b[1:]
	return 1, nil
}

func TestReadEndsWithContext(t *testing.T) {
	r, err := audio.Open("testdata/16bit-16k-mono.wav")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }() // read only
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Read(ctx, make([]float32, 10)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	_ = r.Close()
	if _, err := r.Read(context.Background(), make([]float32, 10)); err == nil {
		t.Fatal("a closed reader reads")
	}
}

// endless is an hour of sound and more, from nothing.
type endless struct{ left int }

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.left)
	e.left -= n
	return n, nil
}

func TestMemoryStaysBounded(t *testing.T) {
	const hour = 3600 * 48000 * 2 * 2
	per := testing.AllocsPerRun(1, func() {
		r, err := audio.Raw(&endless{left: hour / 60}, audio.Format{Rate: 48000, Channels: 2})
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]float32, 4096)
		for err == nil {
			_, err = r.Read(context.Background(), buf)
		}
	})
	if per > 200 {
		t.Errorf("a minute of sound takes %.0f allocations: they grow with its length", per)
	}
}

func BenchmarkReadWAV48kStereo(b *testing.B) {
	buf := make([]float32, 4096)
	b.SetBytes(48000 * 4) // a second
	for b.Loop() {
		r, err := audio.Raw(&endless{left: 48000 * 4}, audio.Format{Rate: 48000, Channels: 2})
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = r.Read(context.Background(), buf)
		}
	}
}
