//go:build unix && !linux

package consent

import "golang.org/x/sys/unix"

// discard throws away what was typed before the question was asked.
func (t *terminal) discard() error {
	const fread = 1 // <sys/fcntl.h>
	return t.control(func(fd int) error {
		return terminalError(unix.IoctlSetPointerInt(fd, unix.TIOCFLUSH, fread))
	})
}
