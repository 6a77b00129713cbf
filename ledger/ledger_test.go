package ledger_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"testing"

	"aloud.example/aloud"
	"aloud.example/aloud/ledger"
)

func fields() []ledger.Field {
	fs := []ledger.Field{{Name: "participant", Value: "p_a"}, {Name: "stage", Value: "ready"}, {Name: "empty", Value: ""}}
	for i := range fs {
		for j := range fs[i].Salt {
			fs[i].Salt[j] = byte(i*32 + j + 1)
		}
	}
	return fs
}

// A change of the format changes every log there is, so the first vector is
// written out.
func TestVector(t *testing.T) {
	got, err := ledger.Commit(ledger.KindSignal, fields())
	if err != nil {
		t.Fatal(err)
	}
	const want = "687b371af820e23c48f6c4e83371bb45345eb8c8d3ac38c757e61222c5ef3619"
	if hex.EncodeToString(got[:]) != want {
		t.Errorf("commitment = %x, want %s", got, want)
	}
	leaf := ledger.Leaf{Kind: ledger.KindSignal, Commitment: got}.Bytes()
	if len(leaf) != ledger.LeafSize || !bytes.Equal(leaf[2:], got[:]) || leaf[0] != 1 || leaf[1] != 2 {
		t.Errorf("leaf = %x", leaf)
	}
}

func TestEveryPartOfARecordIsCommittedTo(t *testing.T) {
	base, _ := ledger.Commit(ledger.KindSignal, fields())
	changes := map[string]func([]ledger.Field) []ledger.Field{
		"value":  func(f []ledger.Field) []ledger.Field { f[1].Value = "need"; return f },
		"name":   func(f []ledger.Field) []ledger.Field { f[1].Name = "stagf"; return f },
		"salt":   func(f []ledger.Field) []ledger.Field { f[1].Salt[31] ^= 1; return f },
		"order":  func(f []ledger.Field) []ledger.Field { slices.Reverse(f); return f },
		"fewer":  func(f []ledger.Field) []ledger.Field { return f[:2] },
		"border": func(f []ledger.Field) []ledger.Field { f[0].Name, f[0].Value = "participantp", "_a"; return f },
	}
	for name, change := range changes {
		got, err := ledger.Commit(ledger.KindSignal, change(fields()))
		if err != nil || got == base {
			t.Errorf("%s: the commitment did not change (%v)", name, err)
		}
	}
	if got, _ := ledger.Commit(ledger.KindReceipt, fields()); got == base {
		t.Error("kind: the commitment did not change")
	}
}

func TestAFieldCanBeWithheld(t *testing.T) {
	fs := fields()
	want, _ := ledger.Commit(ledger.KindSignal, fs)
	hidden := fs[0].Hash()
	if got := ledger.CommitHashes(ledger.KindSignal, []aloud.Hash{hidden, fs[1].Hash(), fs[2].Hash()}); got != want {
		t.Error("the hashes of the fields don't make the commitment")
	}
}

func TestCommitRefuses(t *testing.T) {
	cases := map[string][]ledger.Field{
		"nothing":    nil,
		"no salt":    {{Name: "a", Value: "b"}},
		"no name":    {{Value: "b", Salt: aloud.Hash{1}}},
		"twice":      {{Name: "a", Salt: aloud.Hash{1}}, {Name: "a", Salt: aloud.Hash{2}}},
		"long":       {{Name: "a", Value: strings.Repeat("x", ledger.MaxValue+1), Salt: aloud.Hash{1}}},
		"not UTF-8":  {{Name: "a", Value: "\xff", Salt: aloud.Hash{1}}},
		"long name":  {{Name: strings.Repeat("x", ledger.MaxName+1), Salt: aloud.Hash{1}}},
		"many":       make([]ledger.Field, ledger.MaxFields+1),
		"wrong kind": fields(),
	}
	for name, fs := range cases {
		kind := ledger.KindSignal
		if name == "wrong kind" {
			kind = 99
		}
		if _, err := ledger.Commit(kind, fs); aloud.ErrorCode(err) != aloud.EINVALID {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestKinds(t *testing.T) {
	for k := ledger.KindReceipt; k.Valid(); k++ {
		if got, err := ledger.ParseKind(k.String()); err != nil || got != k {
			t.Errorf("%d: %v, %v", k, got, err)
		}
	}
	for _, name := range []string{"", "bid", "Receipt"} {
		if _, err := ledger.ParseKind(name); err == nil {
			t.Errorf("ParseKind(%q) found something", name)
		}
	}
}

func FuzzLeaf(f *testing.F) {
	if seeds, err := os.ReadDir("testdata/fuzz/FuzzLeaf"); err != nil || len(seeds) == 0 {
		f.Fatal("the seed corpus testdata/fuzz/FuzzLeaf is gone")
	}
	f.Add(ledger.Leaf{Kind: ledger.KindReceipt, Commitment: aloud.Hash{1}}.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ledger.ParseLeaf(b)
		if err == nil && !bytes.Equal(l.Bytes(), b) {
			t.Errorf("%x reads as %+v, which writes as %x", b, l, l.Bytes())
		}
	})
}

func BenchmarkCommit(b *testing.B) {
	fs := make([]ledger.Field, 12)
	for i := range fs {
		fs[i] = ledger.Field{Name: "field_" + string(rune('a'+i)), Value: "a value of an ordinary length"}
		_, _ = rand.Read(fs[i].Salt[:])
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ledger.Commit(ledger.KindSignal, fs); err != nil {
			b.Fatal(err)
		}
	}
}
