package collector

import (
	"bytes"
	"context"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/crypto/chacha20poly1305"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
)

// PurposeRecord is the purpose of the key that a participant's receipts and
// withdrawals are under. It is no consent purpose: only an erasure ends it.
const PurposeRecord consent.Purpose = "record"

// KeyRow is one key of a participant for a purpose, wrapped by the
// key-encryption key.
type KeyRow struct {
	Handle      Handle
	Participant aloud.ParticipantID
	Purpose     consent.Purpose
	Wrapped     []byte
}

// KeyTable is the small table of wrapped keys, kept apart from everything else
// and outside backups, together with the list of those to forget.
type KeyTable interface {
	// Key finds by handle; ENOTFOUND once it was destroyed.
	Key(ctx context.Context, h Handle) (KeyRow, error)
	// Keys lists a participant's.
	Keys(ctx context.Context, p aloud.ParticipantID) ([]KeyRow, error)
	// AddKeys adds rows durably, leaving out those whose participant and
	// purpose have a key already.
	AddKeys(ctx context.Context, rows []KeyRow) error
	// DropKeys destroys keys so that no file of the table holds them.
	DropKeys(ctx context.Context, handles []Handle) error
	// Forget destroys a participant's keys alike and enters their hash into
	// the forget list, in one transaction.
	Forget(ctx context.Context, p aloud.ParticipantID, h aloud.Hash) error
	// Forgotten reports whether the list holds a hash.
	Forgotten(ctx context.Context, h aloud.Hash) (bool, error)
}

// ForgetHash is the name under which an erased participant stays known, so
// that a restored backup can leave them out. An id has 128 random bits, so the
// hash leads back to nobody.
func ForgetHash(p aloud.ParticipantID) aloud.Hash {
	return sha256.Sum256([]byte("aloud-forget/1\x00" + string(p)))
}

// KeyringConfig is what a Keyring needs.
type KeyringConfig struct {
	Table KeyTable
	KEK   []byte // 32 bytes, from LoadKEK
	Cache int    // unwrapped keys kept in memory; 0 counts as 65536
}

// Keyring seals and opens under participants' keys. It is safe for concurrent
// use.
type Keyring struct {
	table KeyTable
	kek   cipher.AEAD

	mu       sync.RWMutex // Destroy excludes fills, so that no dead key is cached
	byHandle *lru.Cache[Handle, key]
	byOwner  *lru.Cache[owner, Handle]
}

type owner struct {
	participant aloud.ParticipantID
	purpose     consent.Purpose
}

type key struct {
	owner owner
	aead  cipher.AEAD
}

// NewKeyring makes a keyring over a table.
func NewKeyring(cfg KeyringConfig) (*Keyring, error) {
	kek, err := chacha20poly1305.NewX(cfg.KEK)
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "the key-encryption key must have %d bytes", chacha20poly1305.KeySize)
	}
	if cfg.Cache == 0 {
		cfg.Cache = 1 << 16
	}
	byHandle, err := lru.New[Handle, key](cfg.Cache)
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "the keyring's cache: %w", err)
	}
	byOwner, err := lru.New[owner, Handle](cfg.Cache)
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "the keyring's cache: %w", err)
	}
	return &Keyring{table: cfg.Table, kek: kek, byHandle: byHandle, byOwner: byOwner}, nil
}

// Ensure makes the keys that a participant does not have yet. They are on disk
// when it returns.
func (k *Keyring) Ensure(ctx context.Context, p aloud.ParticipantID, purposes ...consent.Purpose) error {
	rows := make([]KeyRow, 0, len(purposes))
	for _, purpose := range purposes {
		row := KeyRow{Participant: p, Purpose: purpose}
		_, _ = rand.Read(row.Handle[:])
		dek := make([]byte, chacha20poly1305.KeySize)
		_, _ = rand.Read(dek)
		row.Wrapped = seal(k.kek, dek, wrapContext(row))
		rows = append(rows, row)
	}
	return k.table.AddKeys(ctx, rows)
}

// Seal encrypts an envelope of a participant under a purpose's key. ENOTFOUND
// means that the key is gone: the purpose was withdrawn or the person erased.
func (k *Keyring) Seal(ctx context.Context, kind Kind, p aloud.ParticipantID, purpose consent.Purpose, plain []byte) (Envelope, error) {
	h, found, err := k.current(ctx, owner{p, purpose})
	if err != nil {
		return Envelope{}, err
	}
	e := Envelope{Partition: PartitionOf(p), Handle: h, Kind: kind}
	e.Ciphertext = seal(found.aead, plain, envelopeContext(e))
	return e, nil
}

// Open decrypts an envelope and says whose it is.
func (k *Keyring) Open(ctx context.Context, e Envelope) (plain []byte, p aloud.ParticipantID, purpose consent.Purpose, err error) {
	found, err := k.byHandleOf(ctx, e.Handle)
	if err != nil {
		return nil, "", "", err
	}
	plain, err = open(found.aead, e.Ciphertext, envelopeContext(e))
	if err != nil {
		return nil, "", "", aloud.Errorf(aloud.EINVALID, "an envelope of kind %s does not decrypt: it was altered or moved", e.Kind)
	}
	return plain, found.owner.participant, found.owner.purpose, nil
}

// SealRow encrypts a column of a table, bound to the label it is kept under.
func (k *Keyring) SealRow(ctx context.Context, p aloud.ParticipantID, purpose consent.Purpose, label string, plain []byte) (Handle, []byte, error) {
	h, found, err := k.current(ctx, owner{p, purpose})
	if err != nil {
		return Handle{}, nil, err
	}
	return h, seal(found.aead, plain, rowContext(h, label)), nil
}

// OpenRow decrypts what SealRow made.
func (k *Keyring) OpenRow(ctx context.Context, h Handle, label string, sealed []byte) ([]byte, error) {
	found, err := k.byHandleOf(ctx, h)
	if err != nil {
		return nil, err
	}
	plain, err := open(found.aead, sealed, rowContext(h, label))
	if err != nil {
		return nil, aloud.Errorf(aloud.EINTERNAL, "a %s does not decrypt: the row was altered or moved", label)
	}
	return plain, nil
}

// Handles lists the handles of the keys a participant has for purposes.
func (k *Keyring) Handles(ctx context.Context, p aloud.ParticipantID, purposes ...consent.Purpose) ([]Handle, error) {
	rows, err := k.table.Keys(ctx, p)
	if err != nil {
		return nil, err
	}
	var handles []Handle
	for _, row := range rows {
		if slices.Contains(purposes, row.Purpose) {
			handles = append(handles, row.Handle)
		}
	}
	return handles, nil
}

// Destroy ends keys: what is under them can't be read from then on, by anybody.
// It takes handles, not purposes, so that a withdrawal that is applied late
// never ends the key of a consent given after it.
func (k *Keyring) Destroy(ctx context.Context, handles []Handle) error {
	if len(handles) == 0 {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, h := range handles {
		k.uncache(h)
	}
	return k.table.DropKeys(ctx, handles)
}

// Forget destroys all of a participant's keys and enters them into the forget
// list.
func (k *Keyring) Forget(ctx context.Context, p aloud.ParticipantID) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, purpose := range append(consent.AllPurposes(), PurposeRecord) {
		if h, ok := k.byOwner.Peek(owner{p, purpose}); ok {
			k.uncache(h)
		}
	}
	return k.table.Forget(ctx, p, ForgetHash(p))
}

func (k *Keyring) uncache(h Handle) {
	if found, ok := k.byHandle.Peek(h); ok {
		if current, ok := k.byOwner.Peek(found.owner); ok && current == h {
			k.byOwner.Remove(found.owner)
		}
	}
	k.byHandle.Remove(h)
}

// Forgotten reports whether a participant was erased.
func (k *Keyring) Forgotten(ctx context.Context, p aloud.ParticipantID) (bool, error) {
	return k.table.Forgotten(ctx, ForgetHash(p))
}

// current finds the key in use for an owner.
func (k *Keyring) current(ctx context.Context, o owner) (Handle, key, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if h, ok := k.byOwner.Get(o); ok {
		if found, ok := k.byHandle.Get(h); ok {
			return h, found, nil
		}
	}
	rows, err := k.table.Keys(ctx, o.participant)
	if err != nil {
		return Handle{}, key{}, err
	}
	for _, row := range rows {
		if row.Purpose == o.purpose {
			found, err := k.remember(row)
			return row.Handle, found, err
		}
	}
	return Handle{}, key{}, errNoKey()
}

func (k *Keyring) byHandleOf(ctx context.Context, h Handle) (key, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if found, ok := k.byHandle.Get(h); ok {
		return found, nil
	}
	row, err := k.table.Key(ctx, h)
	if err != nil {
		return key{}, err
	}
	return k.remember(row)
}

func (k *Keyring) remember(row KeyRow) (key, error) {
	dek, err := open(k.kek, row.Wrapped, wrapContext(row))
	if err != nil {
		return key{}, aloud.Errorf(aloud.EINTERNAL, "a key does not unwrap: the key-encryption key is not the one it was wrapped with")
	}
	aead, err := chacha20poly1305.NewX(dek)
	if err != nil {
		return key{}, aloud.Errorf(aloud.EINTERNAL, "a key has the wrong length: %w", err)
	}
	found := key{owner: owner{row.Participant, row.Purpose}, aead: aead}
	k.byHandle.Add(row.Handle, found)
	k.byOwner.Add(found.owner, row.Handle)
	return found, nil
}

func errNoKey() error {
	return aloud.Errorf(aloud.ENOTFOUND, "there is no key: the purpose was withdrawn or the participant erased")
}

func seal(a cipher.AEAD, plain, extra []byte) []byte {
	nonce := make([]byte, a.NonceSize(), a.NonceSize()+len(plain)+a.Overhead())
	_, _ = rand.Read(nonce)
	return a.Seal(nonce, nonce, plain, extra)
}

func open(a cipher.AEAD, sealed, extra []byte) ([]byte, error) {
	if len(sealed) < a.NonceSize() {
		return nil, errors.New("too short")
	}
	return a.Open(nil, sealed[:a.NonceSize()], sealed[a.NonceSize():], extra)
}

// The contexts bind a ciphertext to its place, so that none can be moved.
func wrapContext(r KeyRow) []byte {
	return bytes.Join([][]byte{[]byte("aloud-key/1"), r.Handle[:], []byte(r.Participant), []byte(r.Purpose)}, []byte{0})
}

func envelopeContext(e Envelope) []byte {
	return append([]byte("aloud-envelope/1\x00"), append(e.Handle[:], byte(e.Partition>>8), byte(e.Partition), byte(e.Kind))...)
}

func rowContext(h Handle, label string) []byte {
	return append([]byte("aloud-row/1\x00"+label+"\x00"), h[:]...)
}

// LoadKEK reads the key-encryption key from a file of its own, which must not
// lie in the database or its backups. It makes the file if create is set and
// there is none.
func LoadKEK(path string, create bool) ([]byte, error) {
	kek, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && create {
		return makeKEK(path)
	}
	if err != nil {
		return nil, aloud.Errorf(aloud.EUNAVAILABLE, "cannot read the key-encryption key; without it nothing stored can be read: %w", err)
	}
	if len(kek) != chacha20poly1305.KeySize {
		return nil, aloud.Errorf(aloud.EINVALID, "the key-encryption key must have %d bytes, the file has %d", chacha20poly1305.KeySize, len(kek))
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		return nil, aloud.Errorf(aloud.EFORBIDDEN, "the key-encryption key can be read by others; run: chmod 600 on its file")
	}
	return kek, nil
}

func makeKEK(path string) ([]byte, error) {
	kek := make([]byte, chacha20poly1305.KeySize)
	_, _ = rand.Read(kek)
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, aloud.Errorf(aloud.EUNAVAILABLE, "cannot make the key-encryption key: %w", err)
	}
	_, werr := f.Write(kek)
	if err := errors.Join(werr, f.Sync(), f.Close(), os.Rename(tmp, path)); err != nil {
		return nil, aloud.Errorf(aloud.EUNAVAILABLE, "cannot make the key-encryption key: %w", err)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, aloud.Errorf(aloud.EUNAVAILABLE, "cannot sync the key-encryption key: %w", err)
	}
	defer func() { _ = dir.Close() }()
	if err := dir.Sync(); err != nil {
		return nil, aloud.Errorf(aloud.EUNAVAILABLE, "cannot sync the key-encryption key: %w", err)
	}
	return kek, nil
}
