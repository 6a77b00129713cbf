package onnx

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"

	"aloud.example/aloud"
)

// manifest lists the embedded files.
type manifest struct {
	Files []asset `json:"files"`
}

// asset is one embedded file.
type asset struct {
	Name   string `json:"name"` // its path below assets/
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// parseManifest reads manifest.json, refusing anything that it would be unsafe
// to unpack.
func parseManifest(text []byte) (manifest, error) {
	var m manifest
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return manifest{}, aloud.Errorf(aloud.EINTERNAL, "the manifest of the embedded models is damaged (%w): run `make models` and build again", err)
	}
	if len(m.Files) == 0 {
		return manifest{}, aloud.Errorf(aloud.EINTERNAL, "the manifest of the embedded models is empty: run `make models` and build again")
	}
	seen := map[string]bool{}
	for _, a := range m.Files {
		sum, err := hex.DecodeString(a.SHA256)
		if err != nil || len(sum) != sha256.Size || a.Size <= 0 || !fs.ValidPath(a.Name) || a.Name == "." || seen[a.Name] {
			return manifest{}, aloud.Errorf(aloud.EINTERNAL, "the manifest of the embedded models has a bad entry %q: run `make models` and build again", a.Name)
		}
		seen[a.Name] = true
	}
	return m, nil
}

func (m manifest) find(name string) (asset, bool) {
	for _, a := range m.Files {
		if a.Name == name {
			return a, true
		}
	}
	return asset{}, false
}
