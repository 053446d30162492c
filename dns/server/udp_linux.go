package server

import (
	"context"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// listenUDP opens n sockets on one address; the kernel spreads clients over them by their address and port (SO_REUSEPORT).
func listenUDP(network, address string, n int) ([]*net.UDPConn, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if cerr := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
			// More room for bursts; the kernel caps it at its own limit, which is no reason to fail.
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20)
		}); cerr != nil {
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

func (s *Server) runUDP(conn *net.UDPConn, r *responder) { s.serveOneByOne(conn, r) }
