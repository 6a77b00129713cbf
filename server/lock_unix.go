//go:build unix

package server

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"aloud.example/aloud"
)

// everyFileIsOpen is true where a file's mode says nothing about who reads it.
const everyFileIsOpen = false

// lockFile takes a lock that ends with the process, however it ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "the data directory's lock can't be opened: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, aloud.Errorf(aloud.ECONFLICT, "another server runs on this data directory: stop it first, or choose another by --data")
	}
	return nil, aloud.Errorf(aloud.EINVALID, "the data directory can't be locked (is it on a network file system?): %w", err)
}

// Free is how many bytes may still be written where dir is.
func Free(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, aloud.Errorf(aloud.EUNAVAILABLE, "the free space is unknown: %w", err)
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil
}

// syncDir makes a rename in the directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
