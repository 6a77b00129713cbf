package ingest

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"aloud.example/aloud"
)

// lane is room for requests of one kind. A request counts for its client's
// address from its headers on; it takes a slot only once its whole body is
// there, so that a slow sender holds up nobody else.
type lane struct {
	reading chan struct{} // bodies that are coming in: bounds memory
	slots   chan struct{} // requests being answered
	clients clients
}

func newLane(slots, each int) *lane {
	return &lane{
		reading: make(chan struct{}, 2*slots), slots: make(chan struct{}, slots),
		clients: clients{most: each, open: map[netip.Prefix]int{}},
	}
}

// lanes keep apart what must not wait for the rest. Health, readiness and
// metrics need none: they take no body and no time.
type lanes struct {
	endings *lane // withdrawals and erasures
	auction *lane // bid requests
	rest    *lane
}

func newLanes(slots, each int) lanes {
	return lanes{endings: newLane(max(slots/4, 1), each), auction: newLane(slots, each), rest: newLane(slots, each)}
}

func (l lanes) of(r Route) *lane {
	switch {
	case r.From == FromExchange:
		return l.auction
	case r.Path == withdrawalsPath || r.Path == erasuresPath:
		return l.endings
	}
	return l.rest
}

// The routes that end something.
const (
	withdrawalsPath = "/v1/withdrawals"
	erasuresPath    = "/v1/erasures"
)

// enter reads the request's body and takes a slot; leave gives all back. With a
// problem there is nothing to leave.
func (l *lane) enter(w *recorder, r *http.Request, route Route) (leave func(), err error) {
	from := clientOf(r.RemoteAddr)
	if !l.clients.enter(from) {
		return nil, aloud.Errorf(aloud.EUNAVAILABLE, "the server is busy with other requests from your address: wait for their answers, or try again in a second")
	}
	if err = l.body(w, r, route); err == nil {
		select {
		case l.slots <- struct{}{}:
			return func() { <-l.slots; l.clients.leave(from) }, nil
		default:
			err = errBusy()
		}
	}
	l.clients.leave(from)
	return nil, err
}

func errBusy() error {
	return aloud.Errorf(aloud.EUNAVAILABLE, "the server is busy: try again in a second")
}

// body replaces the body by one that is in memory.
func (l *lane) body(w *recorder, r *http.Request, route Route) error {
	if route.MaxBody == 0 {
		return nil
	}
	select {
	case l.reading <- struct{}{}:
		defer func() { <-l.reading }()
	default:
		return errBusy()
	}
	conn := http.NewResponseController(w.ResponseWriter)
	_ = conn.SetReadDeadline(time.Now().Add(bodyTimeout)) // a writer without deadlines is a test's
	data, err := io.ReadAll(http.MaxBytesReader(w.ResponseWriter, r.Body, route.MaxBody))
	if err != nil {
		return readError(err)
	}
	_ = conn.SetReadDeadline(time.Time{})
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	return nil
}

// clients counts what each address has open.
type clients struct {
	most int
	mu   sync.Mutex
	open map[netip.Prefix]int
}

func (c *clients) enter(from netip.Prefix) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[from] >= c.most {
		return false
	}
	c.open[from]++
	return true
}

func (c *clients) leave(from netip.Prefix) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open[from]--; c.open[from] <= 0 {
		delete(c.open, from)
	}
}

// clientOf is who a connection is counted for: an IPv4 address, or the network
// of 64 bits that an IPv6 client has to itself. Behind a proxy, that is the
// proxy. What can't be read counts as one client.
func clientOf(remote string) netip.Prefix {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	ip := a.Addr().Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	network, _ := ip.Prefix(bits) // either length fits its family
	return network
}

// remoteOf is clientOf a connection.
func remoteOf(c net.Conn) netip.Prefix { return clientOf(c.RemoteAddr().String()) }
