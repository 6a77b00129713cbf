package ingest

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// The time limits of a connection.
const (
	headerTimeout = 5 * time.Second
	bodyTimeout   = 10 * time.Second
	readTimeout   = 15 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 60 * time.Second
	drainTimeout  = 15 * time.Second
	maxHeader     = 16 << 10
	maxConns      = 8192
	maxConnsEach  = maxConns / 4 // from one address
)

// Serve answers on ln until ctx ends, then lets what is under way finish and
// returns nil. It closes ln.
func (a *API) Serve(ctx context.Context, ln net.Listener) error {
	s := &http.Server{
		Handler: a, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(discardAddresses{a.Log.Handler()}, slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(newBoundedListener(ln, maxConns, maxConnsEach)) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := s.Shutdown(drain); err != nil {
		a.Log.Warn("some requests did not end in time and were cut off", "error", err)
		_ = s.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// discardAddresses keeps net/http's own messages, which name clients'
// addresses, out of the log: it leaves only that there was one.
type discardAddresses struct{ slog.Handler }

// Handle implements slog.Handler.
func (d discardAddresses) Handle(ctx context.Context, r slog.Record) error {
	return d.Handler.Handle(ctx, slog.NewRecord(r.Time, r.Level, "a connection failed", 0))
}

// boundedListener leaves new connections in the kernel's queue while as many as
// it has room for are open, and closes those of an address that has its part.
type boundedListener struct {
	net.Listener
	room    chan struct{}
	clients clients
}

func newBoundedListener(ln net.Listener, most, each int) *boundedListener {
	return &boundedListener{Listener: ln, room: make(chan struct{}, most), clients: clients{most: each, open: map[netip.Prefix]int{}}}
}

// Accept implements net.Listener.
func (l *boundedListener) Accept() (net.Conn, error) {
	l.room <- struct{}{}
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.room
			return nil, err
		}
		if from := remoteOf(c); l.clients.enter(from) {
			return &boundedConn{Conn: c, leave: sync.OnceFunc(func() { <-l.room; l.clients.leave(from) })}, nil
		}
		_ = c.Close()
	}
}

type boundedConn struct {
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *boundedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
