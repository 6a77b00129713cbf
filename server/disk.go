package server

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"aloud.example/aloud"
)

// probeEvery bounds how often the disk is written to find out whether it can
// be: anybody may ask.
const probeEvery = 2 * time.Second

// probeSize is about what one request may have to put on the disk.
const probeSize = 64 << 10

// disk remembers whether the data directory could be written.
type disk struct {
	mu    sync.Mutex
	tried time.Time
	err   error
}

// Writable says why the data directory can't be written now, or nil: the disk
// is full, was lost, or turned read-only. The answer is at most 2 s old.
func (d *Data) Writable(now time.Time) error {
	d.disk.mu.Lock()
	defer d.disk.mu.Unlock()
	if d.disk.tried.IsZero() || now.Sub(d.disk.tried) >= probeEvery {
		d.disk.tried, d.disk.err = now, probe(d.Dir)
	}
	return d.disk.err
}

// probe writes and removes a file, as the disk itself alone can tell.
func probe(dir string) error {
	f, err := os.CreateTemp(dir, tempPrefix+"*")
	if err == nil {
		_, err = f.Write(make([]byte, probeSize))
		err = errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err // anybody may ask, and need not know the path
	}
	if err != nil {
		return aloud.Errorf(aloud.EUNAVAILABLE, "the data directory can't be written (%w): look at its disk", err)
	}
	return nil
}
