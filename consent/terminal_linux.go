package consent

import "golang.org/x/sys/unix"

// discard throws away what was typed before the question was asked.
func (t *terminal) discard() error {
	return t.control(func(fd int) error {
		return terminalError(unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH))
	})
}
