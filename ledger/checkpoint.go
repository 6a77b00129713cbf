package ledger

import (
	"encoding/base64"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"aloud.example/aloud"
)

// MaxCheckpoint bounds a signed checkpoint in bytes.
const MaxCheckpoint = 4 << 10

// Checkpoint is what a log signs (C2SP tlog-checkpoint): that a tree of that
// size has that root.
type Checkpoint struct {
	Origin string
	Size   uint64
	Root   aloud.Hash
}

// OpenCheckpoint reads a signed checkpoint and checks its signature by the
// log's key and its origin by the key's name.
func OpenCheckpoint(signed []byte, by note.Verifier) (Checkpoint, error) {
	if len(signed) > MaxCheckpoint {
		return Checkpoint{}, aloud.Errorf(aloud.ETOOLARGE, "a checkpoint may have %d bytes, this has %d", MaxCheckpoint, len(signed))
	}
	n, err := note.Open(signed, note.VerifierList(by))
	if err != nil {
		return Checkpoint{}, aloud.Errorf(aloud.EFORBIDDEN, "the checkpoint is not signed by the log %s: %w", by.Name(), err)
	}
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 || lines[0] != by.Name() || lines[3] != "" {
		return Checkpoint{}, aloud.Errorf(aloud.EINVALID, "a checkpoint has three lines: the log's name, a size and a root hash")
	}
	size, err := strconv.ParseUint(lines[1], 10, 63)
	if err != nil || strconv.FormatUint(size, 10) != lines[1] {
		return Checkpoint{}, aloud.Errorf(aloud.EINVALID, "the checkpoint's size is not a number")
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != 32 {
		return Checkpoint{}, aloud.Errorf(aloud.EINVALID, "the checkpoint's root is not a SHA-256 in base64")
	}
	return Checkpoint{Origin: lines[0], Size: size, Root: aloud.Hash(root)}, nil
}
