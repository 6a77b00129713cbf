//go:build cgo

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"aloud.example/aloud"
	"aloud.example/aloud/listen/audio"
)

// clip is one line of a manifest. Lines without text are recognised, not
// scored.
type clip struct {
	Audio   string  `json:"audio"` // relative to the manifest
	Text    *string `json:"text"`
	Kind    string  `json:"kind"`
	Speaker string  `json:"speaker"`

	samples []float32
}

// cleanKinds are the kinds that count as clean speech.
var cleanKinds = map[string]bool{"read": true, "read-crowd": true, "telephone-prompt": true}

// half says which half of the clips this one is in: thresholds are chosen on
// "tune" and reported on both. Copies with noise go with their original, because
// the name counts only up to the first "__".
func (c *clip) half() string {
	name, _, _ := bytes.Cut([]byte(filepath.Base(c.Audio)), []byte("__"))
	name = bytes.TrimSuffix(name, []byte(filepath.Ext(c.Audio)))
	h := fnv.New32a()
	_, _ = h.Write(name)
	if h.Sum32()>>7&1 == 0 {
		return "tune"
	}
	return "check"
}

// maxClip bounds a clip: longer recordings are for `aloud listen`.
const maxClip = 30 * 60 * audio.Rate

// parseManifest reads one JSON object a line.
func parseManifest(r io.Reader) ([]*clip, error) {
	var clips []*clip
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var c clip
		if err := json.Unmarshal(line, &c); err != nil {
			return nil, aloud.Errorf(aloud.EINVALID, "line %d of the manifest is not a JSON object with audio, text and kind: %w", n, err)
		}
		if c.Audio == "" {
			return nil, aloud.Errorf(aloud.EINVALID, "line %d of the manifest names no audio", n)
		}
		if c.Kind == "" {
			c.Kind = "other"
		}
		clips = append(clips, &c)
	}
	if err := lines.Err(); err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "reading the manifest: %w (a line may have 1 MB)", err)
	}
	if len(clips) == 0 {
		return nil, aloud.Errorf(aloud.EINVALID, "the manifest lists no clips")
	}
	return clips, nil
}

// loadClips reads a manifest and the audio of the half that is asked for.
func loadClips(ctx context.Context, file, half string) ([]*clip, error) {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, aloud.Errorf(aloud.ENOTFOUND, "there is no manifest %s", file)
	} else if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "opening the manifest: %w", err)
	}
	defer f.Close()
	all, err := parseManifest(f)
	if err != nil {
		return nil, err
	}
	var clips []*clip
	for _, c := range all {
		if half != "all" && c.half() != half {
			continue
		}
		if c.samples, err = loadAudio(ctx, filepath.Join(filepath.Dir(file), c.Audio)); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Audio, err)
		}
		clips = append(clips, c)
	}
	if len(clips) == 0 {
		return nil, aloud.Errorf(aloud.EINVALID, "the manifest lists no clips of that half")
	}
	return clips, nil
}

func loadAudio(ctx context.Context, file string) ([]float32, error) {
	r, err := audio.Open(file)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out []float32
	buf := make([]float32, audio.Rate)
	for {
		n, err := r.Read(ctx, buf)
		out = append(out, buf[:n]...)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if len(out) > maxClip {
			return nil, aloud.Errorf(aloud.ETOOLARGE, "longer than 30 minutes: cut it into clips")
		}
	}
}
