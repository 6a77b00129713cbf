package onnx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"aloud.example/aloud"
	"aloud.example/aloud/listen"
)

// Config says which models to open.
type Config struct {
	// Model is "base", the default, or "tiny".
	Model string
	// Dir, where given, is a folder with encoder_model.onnx and
	// decoder_model_merged.onnx of another Moonshine model, used in place of the
	// embedded one; vocab.json there replaces the token table.
	Dir string
	// Threads is how many cores one recognition may use; 1 when zero.
	Threads int
	// CacheDir is where embedded files are unpacked; the user's cache folder
	// when empty.
	CacheDir string
}

// Models are the opened models of one process. Its recogniser and detector
// serve one goroutine at a time each, and must not be used after Close.
type Models struct {
	asr *moonshine
	vad *silero
}

// Open unpacks, checks and loads the models. Without them in the build it fails
// with EUNAVAILABLE and says what to run.
func Open(cfg Config) (_ *Models, err error) {
	if cfg.Model == "" {
		cfg.Model = "base"
	}
	if cfg.Model != "base" && cfg.Model != "tiny" {
		return nil, aloud.Errorf(aloud.EINVALID, "there is no model %q: choose base or tiny", cfg.Model)
	}
	if cfg.Threads == 0 {
		cfg.Threads = 1
	}
	if cfg.Threads < 0 || cfg.Threads > 64 {
		return nil, aloud.Errorf(aloud.EINVALID, "%d threads: choose 1 to 64", cfg.Threads)
	}
	files, err := fs.Sub(embedded, "assets")
	if err != nil {
		return nil, aloud.Errorf(aloud.EINTERNAL, "opening the embedded models: %w", err)
	}
	b, err := openBundle(files, cfg.CacheDir)
	if err != nil {
		return nil, err
	}
	lib, err := b.path("libonnxruntime.so")
	if err != nil {
		return nil, err
	}
	if err := loadLibrary(lib); err != nil {
		return nil, err
	}
	m := &Models{}
	defer func() {
		if err != nil {
			_ = m.Close()
		}
	}()
	detector, err := b.path("silero_vad_v5.onnx")
	if err != nil {
		return nil, err
	}
	if m.vad, err = openSilero(detector); err != nil {
		return nil, err
	}
	part := func(name string) (string, error) { return b.path(cfg.Model + "/" + name) }
	if cfg.Dir != "" {
		part = func(name string) (string, error) { return inFolder(cfg.Dir, name) }
	}
	encoder, err := part("encoder_model.onnx")
	if err != nil {
		return nil, err
	}
	decoder, err := part("decoder_model_merged.onnx")
	if err != nil {
		return nil, err
	}
	table, err := readVocab(files, cfg.Dir)
	if err != nil {
		return nil, err
	}
	m.asr, err = openMoonshine(encoder, decoder, table, cfg.Threads)
	if err != nil {
		return nil, err
	}
	giveBack()
	return m, nil
}

func inFolder(dir, name string) (string, error) {
	file := filepath.Join(dir, name)
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return "", aloud.Errorf(aloud.ENOTFOUND, "the model folder %s has no file %s: it wants encoder_model.onnx and decoder_model_merged.onnx", dir, name)
	}
	return file, nil
}

func readVocab(files fs.FS, dir string) (*vocab, error) {
	text, err := fs.ReadFile(files, "vocab.json")
	if dir != "" {
		if own, e := os.ReadFile(filepath.Join(dir, "vocab.json")); e == nil {
			text, err = own, nil
		} else if !errors.Is(e, fs.ErrNotExist) {
			err = e
		}
	}
	if err != nil {
		return nil, aloud.Errorf(aloud.EUNAVAILABLE, "reading the token table: %w", err)
	}
	return parseVocab(text)
}

// Recogniser returns the recogniser.
func (m *Models) Recogniser() listen.Recogniser { return m.asr }

// VAD returns the voice activity detector. It hears one stream at a time: Reset
// starts the next.
func (m *Models) VAD() listen.VAD { return m.vad }

// Close frees the models and overwrites what they held.
func (m *Models) Close() error {
	if m.vad != nil {
		m.vad.close()
		m.vad = nil
	}
	if m.asr != nil {
		m.asr.close()
		m.asr = nil
	}
	return nil
}
