//go:build cgo

package main

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"aloud.example/aloud"
	"aloud.example/aloud/consent"
	"aloud.example/aloud/consent/jws"
	"aloud.example/aloud/signal"
	"aloud.example/aloud/signal/outbox"
	"aloud.example/aloud/signal/uplink"
)

// The files of a device's home.
const (
	keyFile     = "device.key"   // the device's Ed25519 key, PKCS #8 in PEM, for its owner alone
	receiptFile = "receipt.json" // the countersigned receipt
	serverFile  = "server.json"  // the server and its pinned keys
	placeFile   = "place.json"   // the coarse area, if one was given
	outboxFile  = "outbox.db"
	askedFile   = "enrolling.json" // a receipt on its way to the server, from a try that may not have finished

	participantFile = "participant.json" // what it takes to leave; see standing
)

// home is a device's folder: what one participant agreed to on it.
type home struct{ dir string }

// server is the content of serverFile, fixed at enrolment.
type server struct {
	URL         string  `json:"url"`
	Key         jws.JWK `json:"server_key"`
	LogVKey     string  `json:"log_vkey"`
	Simulated   bool    `json:"simulated"`
	WaitSeconds float64 `json:"wait_seconds"`
	BuyerUID    string  `json:"buyeruid,omitempty"`
	UserID      string  `json:"user_id,omitempty"`
}

// place is the content of placeFile.
type place struct {
	Cell signal.Cell `json:"cell"`
}

// homeFlag adds --home to a command of the device.
func homeFlag(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "home", "", "the device's folder (default $ALOUD_HOME, else ~/.aloud)")
}

// homeAt resolves --home.
func homeAt(dir string) (home, error) {
	if dir == "" {
		dir = os.Getenv("ALOUD_HOME")
	}
	if dir == "" {
		user, err := os.UserHomeDir()
		if err != nil {
			return home{}, aloud.Errorf(aloud.EINVALID, "there is no home folder; say where to keep the device's files by --home DIR")
		}
		dir = filepath.Join(user, ".aloud")
	}
	return home{dir: dir}, nil
}

func (h home) path(name string) string { return filepath.Join(h.dir, name) }

func (h home) has(name string) bool {
	_, err := os.Stat(h.path(name))
	return err == nil
}

// notEnrolled is what every command but enrol says without a receipt.
func notEnrolled() error {
	return aloud.Errorf(aloud.EFORBIDDEN, "nobody agreed to anything on this device; run: aloud enrol --server URL")
}

// key reads the device's key, and refuses one that others can read.
func (h home) key() (ed25519.PrivateKey, error) {
	info, err := os.Stat(h.path(keyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notEnrolled()
	}
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "read %s: %w", keyFile, bare(err))
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, aloud.Errorf(aloud.EFORBIDDEN, "%s can be read by others (mode %04o); run: chmod 600 on it", keyFile, info.Mode().Perm())
	}
	data, err := os.ReadFile(h.path(keyFile))
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "read %s: %w", keyFile, bare(err))
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) != 0 {
		return nil, aloud.Errorf(aloud.EINVALID, "%s is damaged: it must be one PEM block of type PRIVATE KEY", keyFile)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, aloud.Errorf(aloud.EINVALID, "%s is damaged: it must hold an Ed25519 key", keyFile)
	}
	return key, nil
}

// makeKey makes the device's key. It never replaces one.
func (h home) makeKey() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(h.path(keyFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, aloud.Errorf(aloud.ECONFLICT, "make %s: %w", keyFile, bare(err))
	}
	err = errors.Join(pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), f.Sync(), f.Close())
	if err != nil {
		return nil, aloud.Errorf(aloud.EINTERNAL, "write %s: %w", keyFile, bare(err))
	}
	return key, nil
}

// write puts a file in place as a whole: after a crash it is the old or the new
// one.
func (h home) write(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(h.dir, name+".*")
	if err != nil {
		return aloud.Errorf(aloud.EINTERNAL, "write %s: %w", name, bare(err))
	}
	_, err = f.Write(append(data, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), h.path(name))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return aloud.Errorf(aloud.EINTERNAL, "write %s: %w", name, bare(err))
	}
	if dir, err := os.Open(h.dir); err == nil {
		_ = dir.Sync() // the new name; not every file system can
		_ = dir.Close()
	}
	return nil
}

// read reads a file that write wrote.
func (h home) read(name string, v any) error {
	data, err := os.ReadFile(h.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return notEnrolled()
	}
	if err != nil {
		return aloud.Errorf(aloud.EINVALID, "read %s: %w", name, bare(err))
	}
	if err := json.Unmarshal(data, v); err != nil {
		return aloud.Errorf(aloud.EINVALID, "%s is damaged: %w", name, err)
	}
	return nil
}

func (h home) server() (s server, err error) { return s, h.read(serverFile, &s) }

// receipt reads the receipt and verifies it by the pinned server key.
func (h home) receipt() (consent.Signed, consent.Receipt, error) {
	var s consent.Signed
	if err := h.read(receiptFile, &s); err != nil {
		return s, consent.Receipt{}, err
	}
	srv, err := h.server()
	if err != nil {
		return s, consent.Receipt{}, err
	}
	pinned, err := srv.Key.Public()
	if err != nil {
		return s, consent.Receipt{}, err
	}
	r, err := consent.Verify(s, pinned)
	return s, r, err
}

// grant returns the grant of one purpose if the receipt has it in force. What
// was withdrawn since, the marks and the outbox know: see allowed.
func (h home) grant(p consent.Purpose, at time.Time) (consent.Grant, error) {
	if err := h.marked(p); err != nil {
		return consent.Grant{}, err
	}
	s, _, err := h.receipt()
	if err != nil {
		return consent.Grant{}, err
	}
	srv, err := h.server()
	if err != nil {
		return consent.Grant{}, err
	}
	pinned, err := srv.Key.Public()
	if err != nil {
		return consent.Grant{}, err
	}
	return consent.Granted(s, []ed25519.PublicKey{pinned}, p, at)
}

// allowed is grant, if the purpose was not withdrawn either.
func (h home) allowed(ctx context.Context, o *outbox.Outbox, p consent.Purpose, at time.Time) (consent.Grant, error) {
	g, err := h.grant(p, at)
	if err != nil {
		return consent.Grant{}, err
	}
	if err := o.Check(ctx, g); err != nil {
		return consent.Grant{}, err
	}
	return g, nil
}

// watchEvery is how soon a running session notices a withdrawal by another
// command.
const watchEvery = 250 * time.Millisecond

// whileAllowed returns a context that ends, with the reason as its cause, as
// soon as the grant is withdrawn on this device or everything is erased, by
// whatever process.
func (h home) whileAllowed(ctx context.Context, e *env, g consent.Grant) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	o, err := h.outbox(ctx, e, 0)
	if err != nil {
		end(err)
		return ctx, func() {}
	}
	go func() {
		defer o.Close()
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			if err := firstOf(o.Check(ctx, g), h.marked(g.Purpose()), h.stillEnrolled()); err != nil {
				end(err)
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return ctx, func() { end(nil) }
}

// stillEnrolled refuses once the receipt is gone: an erasure may have had to do
// without the outbox.
func (h home) stillEnrolled() error {
	if h.has(receiptFile) {
		return nil
	}
	return notEnrolled()
}

// cell is the coarse area the participant gave, or "".
func (h home) cell() (signal.Cell, error) {
	if !h.has(placeFile) {
		return "", nil
	}
	var p place
	if err := h.read(placeFile, &p); err != nil {
		return "", err
	}
	return signal.ParseCell(string(p.Cell))
}

// outbox opens the outbox, to sign by the device's key if there still is one.
// The wait is the server's if it is simulated, else the participant's: at least
// signal.DefaultWait unless wait says otherwise.
func (h home) outbox(ctx context.Context, e *env, wait time.Duration) (*outbox.Outbox, error) {
	c := outbox.Config{Path: h.path(outboxFile), Wait: wait, Now: e.now, Log: slog.New(slog.NewTextHandler(e.stderr, nil))}
	srv, err := h.server()
	if err != nil {
		return nil, err
	}
	c.Simulated = srv.Simulated
	if wait == 0 && srv.Simulated {
		if c.Wait = time.Duration(srv.WaitSeconds * float64(time.Second)); c.Wait == 0 {
			c.Wait = outbox.NoWait
		}
	}
	if h.has(keyFile) && h.has(receiptFile) {
		if c.Key, err = h.key(); err != nil {
			return nil, err
		}
		c.Grant = func(at time.Time) (consent.Grant, error) { return h.grant(consent.PurposeShareSignals, at) }
	}
	return outbox.Open(ctx, c)
}

// uplink makes the client of the pinned server.
func (h home) uplink() (*uplink.Client, error) {
	srv, err := h.server()
	if err != nil {
		return nil, err
	}
	return uplink.New(uplink.Config{URL: srv.URL})
}

// bare drops the path from an error of the file system.
func bare(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
