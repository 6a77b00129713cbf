// Package pty lets a test be the terminal of a child process.
//
// In: a command. Out: the command running with a pseudo-terminal of its own as
// its controlling terminal, and the other end of it. It is for tests alone: no
// package of Aloud links it, because a listening session is confirmed by a
// person.
package pty

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// Start starts cmd in a session of its own, whose controlling terminal's other
// end it returns. Standard streams that are nil become that terminal.
func Start(cmd *exec.Cmd) (*os.File, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	slave, err := open(master)
	if err != nil {
		master.Close()
		return nil, err
	}
	defer slave.Close()
	if cmd.Stdin == nil {
		cmd.Stdin = slave
	}
	if cmd.Stdout == nil {
		cmd.Stdout = slave
	}
	if cmd.Stderr == nil {
		cmd.Stderr = slave
	}
	cmd.ExtraFiles = append(cmd.ExtraFiles, slave)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 2 + len(cmd.ExtraFiles)}
	if err := cmd.Start(); err != nil {
		master.Close()
		return nil, err
	}
	return master, nil
}

func open(master *os.File) (*os.File, error) {
	conn, err := master.SyscallConn()
	if err != nil {
		return nil, err
	}
	var n int
	var inner error
	err = conn.Control(func(fd uintptr) {
		if n, inner = unix.IoctlGetInt(int(fd), unix.TIOCGPTN); inner == nil {
			inner = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0)
		}
	})
	if err == nil {
		err = inner
	}
	if err != nil {
		return nil, err
	}
	return os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
}
