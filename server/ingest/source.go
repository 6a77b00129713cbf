package ingest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"aloud.example/aloud"
	"aloud.example/aloud/server"
)

// Source is one of the places that behavioural events come from: a shop or a
// site that takes part. Its write key is kept as a hash alone.
type Source struct {
	Name    string    `json:"name"`
	KeyHash string    `json:"key_sha256"`
	Created time.Time `json:"created"`
}

const maxSources = 10_000

var sourceName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// Sources is the list of sources, in memory and in one small file.
type Sources struct {
	path string
	mu   sync.RWMutex
	list []Source
	keys map[string]string // hash of the key -> name
}

// OpenSources reads the file at path; it need not exist yet.
func OpenSources(path string) (*Sources, error) {
	s := &Sources{path: path, keys: map[string]string{}}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, aloud.Errorf(aloud.EUNAVAILABLE, "the list of sources can't be read: %w", err)
	}
	if err := json.Unmarshal(data, &s.list); err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "%s is damaged; restore it from a backup, or remove it and create the sources again", filepath.Base(path))
	}
	for _, x := range s.list {
		s.keys[x.KeyHash] = x.Name
	}
	return s, nil
}

// Add creates a source and returns its write key, which is shown this once. A
// source that exists gets another key; the one before stops working.
func (s *Sources) Add(name string, now time.Time) (key string, err error) {
	if !sourceName.MatchString(name) {
		return "", aloud.Errorf(aloud.EINVALID, "a source's name is 1 to 40 lower-case letters, digits and hyphens")
	}
	var b [32]byte
	_, _ = rand.Read(b[:]) // documented never to return an error
	key = "wk_" + base64.RawURLEncoding.EncodeToString(b[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Source
	for _, x := range s.list {
		if x.Name != name {
			list = append(list, x)
		}
	}
	if len(list) >= maxSources {
		return "", aloud.Errorf(aloud.ELIMITED, "there are %d sources already, which is the limit", maxSources)
	}
	list = append(list, Source{Name: name, KeyHash: hashKey(key), Created: now.UTC()})
	data, err := json.MarshalIndent(list, "", "  ")
	if err == nil {
		err = server.WriteFile(s.path, data)
	}
	if err != nil {
		return "", err
	}
	s.list, s.keys = list, map[string]string{}
	for _, x := range list {
		s.keys[x.KeyHash] = x.Name
	}
	return key, nil
}

// Find returns the source of a write key. What it looks up is the key's hash,
// so the time it takes tells nothing about the key.
func (s *Sources) Find(key string) (name string, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	name, ok = s.keys[hashKey(key)]
	return name, ok
}

// List returns the sources in the order in which they were made.
func (s *Sources) List() []Source {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return append([]Source{}, s.list...)
}

func hashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
