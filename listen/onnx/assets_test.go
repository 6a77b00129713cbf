package onnx

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"aloud.example/aloud"
)

// packed makes a bundle of a few small files in a fresh cache folder.
func packed(t *testing.T, cache string) (*bundle, fstest.MapFS) {
	t.Helper()
	files := fstest.MapFS{
		"tiny/encoder_model.onnx": {Data: bytes.Repeat([]byte("encoder"), 10000)},
		"vocab.json":              {Data: []byte(`["","","","a"]`)},
	}
	var m manifest
	for name, f := range files {
		sum := sha256.Sum256(f.Data)
		m.Files = append(m.Files, asset{Name: name, Size: int64(len(f.Data)), SHA256: hex.EncodeToString(sum[:])})
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	files["manifest.json"] = &fstest.MapFile{Data: text}
	b, err := openBundle(files, cache)
	if err != nil {
		t.Fatal(err)
	}
	return b, files
}

func TestABuildWithoutModelsSaysWhatToRun(t *testing.T) {
	_, err := openBundle(fstest.MapFS{"README.md": {Data: []byte("only this")}}, t.TempDir())
	if aloud.ErrorCode(err) != aloud.EUNAVAILABLE || !strings.Contains(err.Error(), "make models") {
		t.Errorf("got %v", err)
	}
}

func TestUnpackedFilesAreWholeAndPrivate(t *testing.T) {
	cache := t.TempDir()
	b, files := packed(t, cache)
	file, err := b.path("tiny/encoder_model.onnx")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(got, files["tiny/encoder_model.onnx"].Data) {
		t.Fatalf("unpacked %d bytes, %v", len(got), err)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may use %v: %v", file, info.Mode())
	}
	again, err := b.path("tiny/encoder_model.onnx")
	if err != nil || again != file {
		t.Errorf("second time: %v, %v", again, err)
	}
}

func TestADamagedCacheIsMended(t *testing.T) {
	for name, damage := range map[string]func(string) error{
		"a flipped byte": func(f string) error {
			data, err := os.ReadFile(f)
			if err != nil {
				return err
			}
			data[len(data)/2] ^= 1
			return os.WriteFile(f, data, 0o600)
		},
		"cut short":  func(f string) error { return os.Truncate(f, 10) },
		"empty":      func(f string) error { return os.Truncate(f, 0) },
		"gone":       os.Remove,
		"unreadable": func(f string) error { return os.Chmod(f, 0) },
	} {
		b, files := packed(t, t.TempDir())
		file, err := b.path("tiny/encoder_model.onnx")
		if err != nil {
			t.Fatal(err)
		}
		if err := damage(file); err != nil {
			t.Fatal(err)
		}
		if file, err = b.path("tiny/encoder_model.onnx"); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, err := os.ReadFile(file)
		if name != "unreadable" && (err != nil || !bytes.Equal(got, files["tiny/encoder_model.onnx"].Data)) {
			t.Errorf("%s: not mended: %d bytes, %v", name, len(got), err)
		}
	}
}

func TestManyProcessesMayUnpackAtOnce(t *testing.T) {
	cache := t.TempDir()
	var wg sync.WaitGroup
	for range 16 {
		b, files := packed(t, cache)
		wg.Go(func() {
			file, err := b.path("tiny/encoder_model.onnx")
			if err != nil {
				t.Error(err)
				return
			}
			got, err := os.ReadFile(file)
			if err != nil || !bytes.Equal(got, files["tiny/encoder_model.onnx"].Data) {
				t.Errorf("saw %d bytes, %v", len(got), err)
			}
		})
	}
	wg.Wait()
	left, _ := filepath.Glob(filepath.Join(cache, "models", "*", ".unpacking-*"))
	if len(left) != 0 {
		t.Errorf("left behind %v", left)
	}
}

func TestAWrongHashIsNeverUnpacked(t *testing.T) {
	cache := t.TempDir()
	b, files := packed(t, cache)
	files["tiny/encoder_model.onnx"].Data[5] ^= 1
	if _, err := b.path("tiny/encoder_model.onnx"); err == nil {
		t.Fatal("a file that does not match the manifest was unpacked")
	}
	err := filepath.WalkDir(cache, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("left behind %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestACacheThatCannotBeWrittenSaysSo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b, _ := packed(t, file) // a file where the folder should be
	if _, err := b.path("vocab.json"); aloud.ErrorCode(err) != aloud.EUNAVAILABLE {
		t.Errorf("got %v", err)
	}
}

func TestUnknownFilesAreNotFound(t *testing.T) {
	b, _ := packed(t, t.TempDir())
	if _, err := b.path("base/encoder_model.onnx"); aloud.ErrorCode(err) != aloud.EUNAVAILABLE {
		t.Errorf("got %v", err)
	}
}
