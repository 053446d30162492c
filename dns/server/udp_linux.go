package server

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchSize is the number of packets taken from and given to the kernel at once. Under light load a batch is one packet
// and costs nothing; under heavy load the system calls are shared.
const batchSize = 32

// controlSize holds the ancillary data of a packet: the address it came to.
const controlSize = 64

// listenUDP opens n sockets on one address; the kernel spreads clients over them by their address and port
// (SO_REUSEPORT).
func listenUDP(network, address string, n int) ([]*net.UDPConn, error) {
	config := net.ListenConfig{Control: func(network, address string, c syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if cerr := c.Control(func(fd uintptr) { err = prepareSocket(int(fd), at.Addr()) }); cerr != nil {
			return cerr
		}
		return err
	}}
	var conns []*net.UDPConn
	for range n {
		c, err := config.ListenPacket(context.Background(), network, address)
		if err != nil {
			for _, open := range conns {
				open.Close()
			}
			return nil, err
		}
		conns = append(conns, c.(*net.UDPConn))
		address = c.LocalAddr().String()
	}
	return conns, nil
}

func prepareSocket(fd int, at netip.Addr) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return err
	}
	// The rest makes things better where the kernel lets us, and is no reason not to serve: room for bursts, the address
	// that a query came to (the response must come from it), and no belief in forged ICMP about the path's MTU (RFC 9715).
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20)
	asksTarget := 0
	if at.IsUnspecified() {
		asksTarget = 1
	}
	if at.Is6() {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, asksTarget)
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_OMIT)
	} else {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, asksTarget)
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT)
	}
	return nil
}

// runUDP is the worker of one socket, until it is closed.
func (s *Server) runUDP(conn *net.UDPConn, r *responder) {
	raw, err := conn.SyscallConn()
	if err != nil {
		s.serveOneByOne(conn, r)
		return
	}
	newBatch(s, r, conn).serve(raw)
}

// mmsghdr is struct mmsghdr of recvmmsg(2); the compiler pads it as C does.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// batch is the memory that packets come into and go out of: allocated once, pointed to by the headers handed to the
// kernel.
type batch struct {
	*responder
	server            *Server
	conn              *net.UDPConn
	answersFromSource bool // the socket is bound to every address, so responses must say which one they come from

	in, out [batchSize]mmsghdr
	inVec   [batchSize]unix.Iovec
	outVec  [batchSize]unix.Iovec
	peers   [batchSize]unix.RawSockaddrInet6 // large enough for IPv4, too
	// inData is not a power of two apart, or all queries would compete for one set of the cache.
	inData    [batchSize][maxQuery + 192]byte
	outData   [batchSize][maxUDPSize]byte
	inControl [batchSize][controlSize]byte

	got, ready, sent int
	errno            syscall.Errno
}

func newBatch(s *Server, r *responder, conn *net.UDPConn) *batch {
	b := &batch{responder: r, server: s, conn: conn}
	b.answersFromSource = conn.LocalAddr().(*net.UDPAddr).IP.IsUnspecified()
	for i := range batchSize {
		b.inVec[i].Base = &b.inData[i][0]
		b.inVec[i].SetLen(maxQuery)
		h := &b.in[i].hdr
		h.Iov = &b.inVec[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&b.peers[i]))
		if b.answersFromSource {
			h.Control = &b.inControl[i][0]
		}
		b.out[i].hdr.Iov = &b.outVec[i]
		b.out[i].hdr.SetIovlen(1)
	}
	return b
}

// serve answers batches until the socket is closed. The functions given to raw are made once: making them anew would
// allocate.
func (b *batch) serve(raw syscall.RawConn) {
	receive, send := b.receive, b.send
	for {
		if err := raw.Read(receive); err != nil {
			return // the socket is closed
		}
		b.tick(b.now())
		b.answer()
		for b.sent < b.ready {
			if err := raw.Write(send); err != nil {
				return
			}
			if b.errno != 0 {
				b.counts.dropped.Add(1) // this one cannot be sent: no route, or a full queue
				b.sent++
			}
		}
		b.counts.took(overUDP, b.ready, time.Duration(b.now().UnixNano()-b.nanos))
	}
}

// receive fills the batch; false asks to wait until the socket is readable.
func (b *batch) receive(fd uintptr) bool {
	for i := range b.in {
		b.in[i].hdr.Namelen = unix.SizeofSockaddrInet6
		if b.answersFromSource {
			b.in[i].hdr.SetControllen(controlSize)
		}
	}
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVMMSG, fd,
		uintptr(unsafe.Pointer(&b.in[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
	b.got = 0
	switch errno {
	case 0:
		b.got = int(n)
	case unix.EAGAIN:
		return false
	}
	return true // any other error belongs to an earlier packet
}

// answer makes the responses to what came and lines them up.
func (b *batch) answer() {
	b.ready, b.sent = 0, 0
	for i := range b.got {
		in := &b.in[i]
		var source []byte
		if b.answersFromSource {
			source = b.readControl(i)
		}
		response := b.respond(b.outData[i][:0], b.inData[i][:in.len], b.peer(i), overUDP)
		if len(response) == 0 {
			if b.pending != nil {
				b.carryOutPending(i, source)
			}
			continue
		}
		out := &b.out[b.ready].hdr
		b.outVec[b.ready].Base = &response[0]
		b.outVec[b.ready].SetLen(len(response))
		out.Name, out.Namelen = in.hdr.Name, in.hdr.Namelen
		out.Control, out.Controllen = nil, 0
		if len(source) > 0 {
			out.Control = &source[0]
			out.SetControllen(len(source))
		}
		b.ready++
	}
}

// carryOutPending leaves the update that packet i was to others.
func (b *batch) carryOutPending(i int, source []byte) {
	from := b.peer(i)
	if !b.answersFromSource {
		source = nil
	}
	source = append([]byte(nil), source...)
	conn := b.conn
	b.server.carryOutLater(b.pending, b.counts, func(out []byte) {
		_, _, _ = conn.WriteMsgUDPAddrPort(out, source, from) // a client that hears nothing asks again
	})
}

// send hands the responses over; false asks to wait until the socket is writable.
func (b *batch) send(fd uintptr) bool {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDMMSG, fd,
		uintptr(unsafe.Pointer(&b.out[b.sent])), uintptr(b.ready-b.sent), unix.MSG_DONTWAIT, 0, 0)
	b.errno = errno
	switch errno {
	case 0:
		b.sent += int(n)
	case unix.EAGAIN:
		return false
	case unix.EINTR:
		b.errno = 0
	}
	return true
}

// peer is where packet i came from.
func (b *batch) peer(i int) netip.AddrPort {
	p := &b.peers[i]
	port := binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&p.Port))[:])
	if p.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(p))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(p.Addr).Unmap(), port)
}

// readControl gives the control message that makes a response to packet i leave from the address it came to (RFC 1123
// section 6.1.2.2 asks for that), on whatever interface leads back.
func (b *batch) readControl(i int) (source []byte) {
	rest := b.inControl[i][:b.in[i].hdr.Controllen]
	for len(rest) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&rest[0]))
		length := int(h.Len)
		if length < unix.SizeofCmsghdr || length > len(rest) {
			return source
		}
		data := rest[unix.CmsgLen(0):length]
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			(*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0])).Ifindex = 0
			source = rest[:min(unix.CmsgSpace(unix.SizeofInet4Pktinfo), len(rest))]
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			(*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0])).Ifindex = 0
			source = rest[:min(unix.CmsgSpace(unix.SizeofInet6Pktinfo), len(rest))]
		}
		rest = rest[min(unix.CmsgSpace(length-unix.CmsgLen(0)), len(rest)):]
	}
	return source
}

// overflowed is how many packets the kernel has had no room for on a socket. Asking when somebody wants to know is
// cheaper than SO_RXQ_OVFL, which tells with every packet.
func overflowed(conn *net.UDPConn) (n uint32) {
	const drops = 8 // index of SK_MEMINFO_DROPS
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		var info [drops + 1]uint32
		size := uint32(unsafe.Sizeof(info))
		_, _, errno := syscall.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		if errno == 0 && size == uint32(unsafe.Sizeof(info)) {
			n = info[drops]
		}
	})
	return n // of a closed socket nothing is known
}
