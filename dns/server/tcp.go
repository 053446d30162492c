package server

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// queryTimeout bounds the time between the first octet of a query over TCP and its last (with IdleTimeout, if that is
// shorter), and the time to send a response.
const queryTimeout = 5 * time.Second

// connections are the open ones, so that their number can be bounded.
type connections struct {
	max, maxPerClient int

	mu        sync.Mutex
	open      map[*connection]struct{}
	byClient  map[netip.Addr]int
	byNetwork map[uint64]int // by networkOf
	closed    bool
}

// connection is one TCP or TLS connection.
type connection struct {
	net.Conn
	client  netip.AddrPort
	network uint64
	// waitsSince is when the server began to wait for the client: for its next query, the rest of one, or for it to take
	// a response. It is zero while a query is being answered; guarded by connections.mu.
	waitsSince time.Time
	// isIdle: it is between two queries; guarded by connections.mu.
	isIdle bool
}

func newConnections(all, perClient int) *connections {
	return &connections{
		max: all, maxPerClient: perClient,
		open: map[*connection]struct{}{}, byClient: map[netip.Addr]int{}, byNetwork: map[uint64]int{},
	}
}

// admit takes a connection in, or reports false: too many of its client, or too many at all and none that waits for its
// client. Of too many, one is closed to make room (RFC 7766 section 6.2.3, RFC 9210 section 4.2).
func (cs *connections) admit(c *connection, now time.Time) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	addr := c.client.Addr()
	if cs.closed || cs.byClient[addr] >= cs.maxPerClient {
		return false
	}
	if len(cs.open) >= cs.max {
		last := cs.dispensable()
		if last == nil {
			return false
		}
		cs.forget(last)
		go last.abort() // TLS says goodbye, which a client that reads nothing delays
	}
	c.waitsSince, c.isIdle = now, true
	cs.open[c] = struct{}{}
	cs.byClient[addr]++
	cs.byNetwork[c.network]++
	return true
}

// dispensable is the connection to close when there are too many: one that waits for its client, of the network and the
// address that have the most, and of theirs the one that has waited longest. Whoever keeps connections without end,
// idle, in the middle of a query or without reading, gives way before those with few.
func (cs *connections) dispensable() *connection {
	var last *connection
	for c := range cs.open {
		if !c.waitsSince.IsZero() && (last == nil || cs.compare(c, last) > 0) {
			last = c
		}
	}
	return last
}

// compare is positive if a is to give way before b.
func (cs *connections) compare(a, b *connection) int {
	return cmp.Or(cmp.Compare(cs.byNetwork[a.network], cs.byNetwork[b.network]),
		cmp.Compare(cs.byClient[a.client.Addr()], cs.byClient[b.client.Addr()]), b.waitsSince.Compare(a.waitsSince))
}

// abort closes a connection without waiting for its client.
func (c *connection) abort() {
	c.SetDeadline(time.Unix(1, 0))
	c.Close()
}

// forget must be called with the lock held.
func (cs *connections) forget(c *connection) {
	if _, ok := cs.open[c]; !ok {
		return
	}
	delete(cs.open, c)
	addr := c.client.Addr()
	if cs.byClient[addr]--; cs.byClient[addr] == 0 {
		delete(cs.byClient, addr)
	}
	if cs.byNetwork[c.network]--; cs.byNetwork[c.network] == 0 {
		delete(cs.byNetwork, c.network)
	}
}

func (cs *connections) leave(c *connection) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.forget(c)
}

// setWaiting notes since when c has waited for its client; the zero time says that it does not.
func (cs *connections) setWaiting(c *connection, since time.Time, isIdle bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c.waitsSince, c.isIdle = since, isIdle
}

func (cs *connections) count() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.open)
}

func (cs *connections) closeAll() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.closed = true
	for c := range cs.open {
		c.Close()
	}
}

// serveConnections starts to accept.
func (s *Server) serveConnections(l net.Listener, by transport) {
	counts := s.newCounters()
	s.running.Go(func() {
		for {
			conn, err := l.Accept()
			if errors.Is(err, net.ErrClosed) || err != nil && s.isRetired() {
				return
			}
			if err != nil {
				time.Sleep(10 * time.Millisecond) // out of descriptors: connections will end
				continue
			}
			s.serveConnection(conn, by, counts)
		}
	})
}

func (s *Server) serveConnection(conn net.Conn, by transport, counts *counters) {
	c := &connection{Conn: conn}
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		c.client = netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), a.AddrPort().Port())
		c.network = networkOf(c.client.Addr())
	}
	if !s.conns.admit(c, s.now()) {
		counts.refused.Add(1)
		conn.Close()
		return
	}
	s.running.Go(func() {
		defer c.Close()
		defer s.conns.leave(c)
		defer func() {
			if p := recover(); p != nil { // a defect of ours costs the connection, not the server
				counts.panics.Add(1)
				s.reportPanic(p)
			}
		}()
		s.converse(c, by, counts)
	})
}

// converse answers the queries of one connection in their order. Answers to queries that have arrived together leave
// together.
func (s *Server) converse(c *connection, by transport, counts *counters) {
	r := newResponder(s.settings, counts)
	in := bufio.NewReaderSize(c, 2048)
	var query, response, out []byte
	ready := 0 // responses in out
	for {
		if in.Buffered() == 0 {
			s.conns.setWaiting(c, s.now(), true)
			c.SetReadDeadline(time.Now().Add(s.patience()))
			if _, err := in.Peek(1); err != nil {
				return
			}
			s.conns.setWaiting(c, s.now(), false)
			c.SetReadDeadline(time.Now().Add(min(queryTimeout, s.idle)))
		}
		var err error
		if query, err = readMessage(in, query); err != nil {
			return
		}
		s.conns.setWaiting(c, time.Time{}, false)
		r.tick(s.now())
		response = r.respond(response, query, c.client, by)
		if r.wantsZone {
			if err := s.transfer(c, r, by, out); err != nil {
				return
			}
			out = out[:0]
			continue
		}
		if r.pending != nil {
			response = s.carryOut(r.pending, counts, by)
		}
		if len(response) == 0 {
			return // not a query: nothing sensible will follow
		}
		out = binary.BigEndian.AppendUint16(out, uint16(len(response)))
		out = append(out, response...)
		ready++
		if hasMessage(in) && len(out) < maxTCPSize {
			continue
		}
		s.conns.setWaiting(c, s.now(), false)
		c.SetWriteDeadline(time.Now().Add(queryTimeout))
		if _, err := c.Write(out); err != nil {
			return
		}
		counts.took(by, ready, time.Duration(s.now().UnixNano()-r.nanos))
		out, ready = out[:0], 0
	}
}

// transfer sends what is waiting to be sent, and then a zone.
func (s *Server) transfer(c *connection, r *responder, by transport, waiting []byte) error {
	if len(waiting) > 0 {
		c.SetWriteDeadline(time.Now().Add(queryTimeout))
		if _, err := c.Write(waiting); err != nil {
			return err
		}
	}
	return r.sendZone(c.client, by, framedSender(c))
}

// readMessage reads one message with its length before it (RFC 1035 section 4.2.2) into buf. It makes room as octets
// arrive, not as the length promises.
func readMessage(in *bufio.Reader, buf []byte) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint16(head[:]))
	buf = buf[:0]
	for len(buf) < length {
		n := min(length-len(buf), 2048)
		start := len(buf)
		buf = append(buf, make([]byte, n)...)
		if _, err := io.ReadFull(in, buf[start:]); err != nil {
			return nil, err
		}
	}
	return buf, nil
}

// hasMessage reports whether a whole message has arrived already.
func hasMessage(in *bufio.Reader) bool {
	if in.Buffered() < 2 {
		return false
	}
	head, err := in.Peek(2)
	return err == nil && in.Buffered() >= 2+int(binary.BigEndian.Uint16(head))
}
