package onnx

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"aloud.example/aloud"
)

//go:embed all:assets
var embedded embed.FS

// bundle unpacks embedded files into a cache folder. Files are kept under their
// own hash, so that several versions and several processes can share the folder.
type bundle struct {
	files    fs.FS // with manifest.json and what it lists
	manifest manifest
	cache    string
}

// openBundle reads the manifest. An empty cache means the user's cache folder.
func openBundle(files fs.FS, cache string) (*bundle, error) {
	text, err := fs.ReadFile(files, "manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, aloud.Errorf(aloud.EUNAVAILABLE, "this build holds no models: run `make models`, then build again")
	}
	if err != nil {
		return nil, aloud.Errorf(aloud.EINTERNAL, "reading the manifest of the embedded models: %w", err)
	}
	m, err := parseManifest(text)
	if err != nil {
		return nil, err
	}
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, aloud.Errorf(aloud.EUNAVAILABLE, "there is no folder to unpack the models into (%w): set HOME or XDG_CACHE_HOME", err)
		}
		cache = filepath.Join(user, "aloud")
	}
	return &bundle{files: files, manifest: m, cache: cache}, nil
}

// path returns where an embedded file lies unpacked. It checks the whole file
// by its hash each time, and unpacks it where it is missing or damaged.
func (b *bundle) path(name string) (string, error) {
	a, ok := b.manifest.find(name)
	if !ok {
		return "", aloud.Errorf(aloud.EUNAVAILABLE, "this build holds no %s: run `make models`, then build again", name)
	}
	dir := filepath.Join(b.cache, "models", a.SHA256[:16])
	file := filepath.Join(dir, path.Base(a.Name))
	if sum, err := hashFile(file); err == nil && sum == a.SHA256 {
		return file, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", aloud.Errorf(aloud.EUNAVAILABLE, "making the cache folder for the models (%w): make room, or set XDG_CACHE_HOME to a folder that can be written", err)
	}
	if err := b.unpack(a, dir, file); err != nil {
		return "", err
	}
	letGo()
	return file, nil
}

// unpack writes a file beside its place and moves it there only when its hash
// is right: a reader sees the old file or the new one, whole, and two processes
// that do this at once end up with the same file.
func (b *bundle) unpack(a asset, dir, file string) (err error) {
	part, err := os.CreateTemp(dir, ".unpacking-*")
	if err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "unpacking the models (%w): make room, or set XDG_CACHE_HOME to a folder that can be written", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(part.Name())
		}
	}()
	src, err := b.files.Open(a.Name)
	if err != nil {
		_ = part.Close()
		return aloud.Errorf(aloud.EINTERNAL, "the embedded %s is missing: run `make models` and build again", a.Name)
	}
	defer src.Close()
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(part, sum), src)
	if err == nil {
		err = part.Sync()
	}
	if e := part.Close(); err == nil {
		err = e
	}
	if err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "unpacking %s (%w): make room in the cache folder and try again", a.Name, err)
	}
	if hex.EncodeToString(sum.Sum(nil)) != a.SHA256 {
		return aloud.Errorf(aloud.EINTERNAL, "the embedded %s does not match its manifest: run `make models` and build again", a.Name)
	}
	if err = os.Rename(part.Name(), file); err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "unpacking %s: %w", a.Name, err)
	}
	return nil
}

func hashFile(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
