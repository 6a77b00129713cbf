package onnx

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"
)

// seeded fails when a fuzz test has no committed seeds.
func seeded(t interface {
	Helper()
	Fatalf(string, ...any)
	Name() string
}, name string,
) {
	t.Helper()
	found, err := os.ReadDir(filepath.Join("testdata", "fuzz", name))
	if err != nil || len(found) == 0 {
		t.Fatalf("testdata/fuzz/%s holds no seeds", name)
	}
}

func FuzzManifest(f *testing.F) {
	seeded(f, "FuzzManifest")
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseManifest(text)
		if err != nil {
			return
		}
		for _, a := range m.Files {
			if !fs.ValidPath(a.Name) || len(a.SHA256) != 64 || a.Size <= 0 {
				t.Errorf("accepted %+v", a)
			}
		}
	})
}

func FuzzVocab(f *testing.F) {
	seeded(f, "FuzzVocab")
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := parseVocab(text)
		if err != nil {
			return
		}
		all := []int32{-1, int32(len(v.pieces))}
		for i := range v.pieces {
			all = append(all, int32(i))
		}
		if s := v.text(all); !utf8.ValidString(s) {
			t.Errorf("%q is no text", s)
		}
	})
}

func TestVocab(t *testing.T) {
	v, err := parseVocab([]byte(`["","","","▁hello","▁wor","ld","<0xC3>","<0xA9>","<0xFF>","."]`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := v.text([]int32{1, 3, 4, 5, 6, 7, 8, 9, 2}), "hello worldé."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, bad := range []string{`{}`, `["a"]`, `["a",1,"b"]`, `["a","b","<0xZZ>"]`, ``, `[`} {
		if _, err := parseVocab([]byte(bad)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

func TestManifestRefusesWhatIsUnsafeToUnpack(t *testing.T) {
	const sum = `"sha256":"cc9f3cd6698a369c6008b41aa60aa3fb3322e7f03c9bdf19d8e6b7200afca4f3"`
	if _, err := parseManifest([]byte(`{"files":[{"name":"a/b","size":1,` + sum + `}]}`)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		`{"files":[]}`, `{}`, `[]`, ``, `{"files":[{"name":"../a","size":1,` + sum + `}]}`,
		`{"files":[{"name":"/a","size":1,` + sum + `}]}`, `{"files":[{"name":"a","size":0,` + sum + `}]}`,
		`{"files":[{"name":"a","size":1,"sha256":"00"}]}`, `{"files":[{"name":".","size":1,` + sum + `}]}`,
		`{"files":[{"name":"a","size":1,` + sum + `},{"name":"a","size":1,` + sum + `}]}`, `{"files":[],"more":1}`,
	} {
		if _, err := parseManifest([]byte(bad)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}
