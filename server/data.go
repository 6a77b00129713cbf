package server

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"aloud.example/aloud"
)

// The files of a data directory, relative to it.
const (
	LockFile     = "lock"
	StampFile    = "simulated"
	TokenFile    = "operator.token"
	KeyDir       = "keys"
	ServerKey    = "keys/server.key" // countersigns receipts
	LogKey       = "keys/log.key"    // signs the log's checkpoints
	KEK          = "keys/kek"        // wraps participants' keys
	SecretKey    = "keys/secret"     // for noise and for signed addresses
	DatabaseFile = "aloud.db"
	KeysFile     = "keys.db"
	SourcesFile  = "sources.json"
	StreamDir    = "stream"
	LogDir       = "log"
)

const (
	secretSize = 32
	tempPrefix = ".new-" // of a file that is not whole yet
)

// Data is a data directory that this process holds alone.
type Data struct {
	Dir       string
	Simulated bool
	Fresh     bool // it has no database yet

	ServerKey     ed25519.PrivateKey
	LogSigner     string // the log's key in the form of note.NewSigner
	LogVKey       string // its public half, as /v1/notice publishes it
	Secret        []byte // 32 bytes
	OperatorToken string

	lock *os.File
	disk disk
}

// OpenData takes the directory, making it if it is not there. Close gives it
// back.
func OpenData(dir string, simulated bool) (*Data, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "the data directory: %w", err)
	}
	if err := checkOurs(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, KeyDir), 0o700); err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "the data directory can't be made: %w", err)
	}
	d := &Data{Dir: dir, Simulated: simulated}
	if d.lock, err = lockFile(d.Path(LockFile)); err != nil {
		return nil, err
	}
	if err := d.load(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// checkOurs refuses a folder of somebody else's files, which would be stamped for
// life and mixed with keys. Ours has a stamp, a key or a database, or, after a
// start that was cut off, nothing that we did not make.
func checkOurs(dir string) error {
	for _, name := range []string{StampFile, ServerKey, DatabaseFile} {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name))); err == nil {
			return nil
		}
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return aloud.Errorf(aloud.EINVALID, "the data directory can't be read: %w", err)
	}
	for _, entry := range entries {
		switch name := entry.Name(); {
		case strings.HasPrefix(name, tempPrefix), name == "lost+found": // a disk's own
		case slices.Contains([]string{LockFile, TokenFile, KeyDir, KeysFile, SourcesFile, StreamDir, LogDir}, name):
		default:
			return aloud.Errorf(aloud.EINVALID, "%s holds files that are not a server's, such as %.80q: give an empty folder, or one that is not there yet, by --data", dir, name)
		}
	}
	return nil
}

// Path is a file of the directory.
func (d *Data) Path(name string) string { return filepath.Join(d.Dir, filepath.FromSlash(name)) }

// Close gives the directory back.
func (d *Data) Close() {
	if d.lock != nil {
		_ = d.lock.Close() // ends the lock as well
		d.lock = nil
	}
}

func (d *Data) load() error {
	if err := d.stamp(); err != nil {
		return err
	}
	if failed := d.loadKeys(d.Fresh); len(failed) > 0 {
		return failed[0] // the doctor lists them all
	}
	token, err := loadOrMake(d.Path(TokenFile), func() ([]byte, error) {
		return []byte("op_" + base64.RawURLEncoding.EncodeToString(random(32)) + "\n"), nil
	})
	if err != nil {
		return err
	}
	d.OperatorToken = strings.TrimSpace(string(token))
	if len(d.OperatorToken) < 20 {
		return aloud.Errorf(aloud.EINVALID, "%s holds no token: delete it, and the next start makes a new one", TokenFile)
	}
	return WriteFile(d.Path(LogKey+".pub"), []byte(d.LogVKey+"\n"))
}

// loadKeys reads every key, and makes those that are missing if it may: only
// before there is a database, so that a start that was cut off goes on, and a
// backup without its keys is found out.
func (d *Data) loadKeys(create bool) (failed []error) {
	load := func(name string, fresh func() ([]byte, error)) []byte {
		if !create {
			fresh = nil
		}
		data, err := loadOrMake(d.Path(name), fresh)
		if err != nil {
			failed = append(failed, err)
		}
		return data
	}
	parse := func(data []byte, err error, name string) {
		if len(data) > 0 && err != nil {
			failed = append(failed, damaged(name))
		}
	}
	var err error
	data := load(ServerKey, newServerKey)
	d.ServerKey, err = parseServerKey(data)
	parse(data, err, ServerKey)

	data = load(LogKey, newLogKey)
	d.LogSigner, d.LogVKey, err = parseLogKey(data)
	parse(data, err, LogKey)

	d.Secret = load(SecretKey, func() ([]byte, error) { return random(secretSize), nil })
	if len(d.Secret) != secretSize {
		parse(d.Secret, errors.ErrUnsupported, SecretKey)
	}
	return failed
}

// CheckKeys reads every key of a directory without making any and says what is
// wrong with each.
func CheckKeys(dir string) []error {
	failed := (&Data{Dir: dir}).loadKeys(false)
	_, err := loadOrMake(filepath.Join(dir, TokenFile), nil)
	if err != nil && aloud.ErrorCode(err) != aloud.ENOTFOUND { // the next start makes one
		failed = append(failed, err)
	}
	return failed
}

// Lock takes a directory's lock, which fails with ECONFLICT while a server runs
// on it, and gives it back by the function returned.
func Lock(dir string) (release func(), err error) {
	f, err := lockFile(filepath.Join(dir, LockFile))
	if err != nil {
		return nil, err
	}
	return func() { _ = f.Close() }, nil // ends the lock as well
}

// stamp checks that the directory is of the kind that is asked for. A directory
// is fresh until it has a database, which is made last.
func (d *Data) stamp() error {
	stamped, err := Stamped(d.Dir)
	if err != nil {
		return err
	}
	_, statErr := os.Stat(d.Path(DatabaseFile))
	d.Fresh = errors.Is(statErr, fs.ErrNotExist)
	switch {
	case stamped && !d.Simulated:
		return aloud.Errorf(aloud.EINVALID, "the data directory %s is simulated, for life: start with --simulate, or choose another by --data", d.Dir)
	case !stamped && d.Simulated && !d.Fresh:
		return aloud.Errorf(aloud.EINVALID, "the data directory %s holds a real server's data: it can't be simulated; choose another by --data", d.Dir)
	case d.Simulated && !stamped:
		return WriteFile(d.Path(StampFile), []byte("This directory holds simulated data. Nothing in it may ever count as real.\n"))
	}
	return nil
}

// Stamped reports whether a directory is simulated.
func Stamped(dir string) (bool, error) {
	_, err := os.Stat(filepath.Join(dir, StampFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, aloud.Errorf(aloud.EINVALID, "the data directory's stamp can't be read: %w", err)
	}
	return true, nil
}

func newServerKey() ([]byte, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

func parseServerKey(data []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, damaged(ServerKey)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if own, ok := key.(ed25519.PrivateKey); ok && err == nil {
		return own, nil
	}
	return nil, damaged(ServerKey)
}

// newLogKey makes a key whose name, the log's origin, has random letters: no
// two servers' logs share one.
func newLogKey() ([]byte, error) {
	skey, vkey, err := note.GenerateKey(rand.Reader, fmt.Sprintf("aloud.example/log/%x", random(8)))
	return []byte(skey + "\n" + vkey + "\n"), err
}

func parseLogKey(data []byte) (signer, vkey string, err error) {
	signer, rest, _ := strings.Cut(string(data), "\n")
	vkey = strings.TrimSpace(rest)
	if _, err := note.NewSigner(signer); err != nil {
		return "", "", err
	}
	_, err = note.NewVerifier(vkey)
	return signer, vkey, err
}

// loadOrMake reads a secret, or makes it at the first start if fresh is given.
// It refuses one that others on this machine could read.
func loadOrMake(path string, fresh func() ([]byte, error)) ([]byte, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && fresh == nil {
		return nil, aloud.Errorf(aloud.ENOTFOUND, "%s is missing: restore it from a backup; a new one would be another server", filepath.Base(path))
	}
	if errors.Is(err, fs.ErrNotExist) {
		data, err := fresh()
		if err != nil {
			return nil, err
		}
		return data, WriteFile(path, data)
	}
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "%s can't be read: %w", filepath.Base(path), err)
	}
	if open := info.Mode().Perm() & 0o077; open != 0 && !everyFileIsOpen {
		return nil, aloud.Errorf(aloud.EINVALID, "%s can be read by others: run: chmod 600 %s", filepath.Base(path), path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "%s can't be read: %w", filepath.Base(path), err)
	}
	return data, nil
}

// WriteFile makes or replaces a file of mode 0600 so that a crash leaves the
// old one or the new one, whole.
func WriteFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), tempPrefix+"*")
	if err != nil {
		return aloud.Errorf(aloud.EINVALID, "cannot write into the data directory: %w", err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return aloud.Errorf(aloud.EINVALID, "cannot write %s: %w", filepath.Base(path), err)
	}
	return nil
}

func damaged(name string) error {
	return aloud.Errorf(aloud.EINVALID, "%s is damaged: restore it from a backup; a new one would be another server", name)
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // documented never to return an error
	return b
}
