package audio

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
)

// The corpora under testdata/fuzz hold a tenth of a second of each format, and
// broken ones. Go runs them as ordinary tests.
func FuzzWAV(f *testing.F)    { fuzzFile(f, "FuzzWAV") }
func FuzzFLAC(f *testing.F)   { fuzzFile(f, "FuzzFLAC") }
func FuzzMP3(f *testing.F)    { fuzzFile(f, "FuzzMP3") }
func FuzzVorbis(f *testing.F) { fuzzFile(f, "FuzzVorbis") }

func FuzzRaw(f *testing.F) {
	demandSeeds(f, "FuzzRaw")
	f.Fuzz(func(t *testing.T, data []byte, rate, channels int, encoding string) {
		r, err := Raw(bytes.NewReader(data), Format{Rate: rate, Channels: channels, Encoding: Encoding(encoding)})
		if err == nil {
			drain(t, r)
		}
	})
}

func fuzzFile(f *testing.F, name string) {
	demandSeeds(f, name)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := newReader("x", bytes.NewReader(data))
		if err == nil {
			drain(t, r)
		}
	})
}

func demandSeeds(f *testing.F, name string) {
	seeds, err := os.ReadDir(filepath.Join("testdata", "fuzz", name))
	if err != nil || len(seeds) == 0 {
		f.Fatalf("testdata/fuzz/%s has no seeds: %v", name, err)
	}
}

func drain(t *testing.T, r *Reader) {
	buf := make([]float32, 1024)
	for range 500 { // half a minute; some formats say "and so on" in a few bytes
		n, err := r.Read(context.Background(), buf)
		for _, v := range buf[:n] {
			if !(v >= -1 && v <= 1) {
				t.Fatalf("a sample is %g", v)
			}
		}
		if err != nil {
			if n != 0 {
				t.Fatal("samples beside an error")
			}
			break
		}
		if n == 0 {
			t.Fatal("no samples and no error")
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}
