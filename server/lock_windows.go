package server

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"

	"aloud.example/aloud"
)

// everyFileIsOpen is true where a file's mode says nothing about who reads it.
const everyFileIsOpen = true

// lockFile takes a lock that ends with the process, however it ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, aloud.Errorf(aloud.EINVALID, "the data directory's lock can't be opened: %w", err)
	}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{})
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return nil, aloud.Errorf(aloud.ECONFLICT, "another server runs on this data directory: stop it first, or choose another by --data")
	}
	return nil, aloud.Errorf(aloud.EINVALID, "the data directory can't be locked: %w", err)
}

// Free is how many bytes may still be written where dir is.
func Free(dir string) (uint64, error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, aloud.Errorf(aloud.EINVALID, "the data directory's name: %w", err)
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(name, &free, nil, nil); err != nil {
		return 0, aloud.Errorf(aloud.EUNAVAILABLE, "the free space is unknown: %w", err)
	}
	return free, nil
}

// syncDir does nothing: there is no way to sync a directory here.
func syncDir(string) error { return nil }
