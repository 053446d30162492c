//go:build !linux

package server

import "net"

// listenUDP opens one socket: sharing a port between sockets is not portable.
func listenUDP(network, address string, _ int) ([]*net.UDPConn, error) {
	addr, err := net.ResolveUDPAddr(network, address)
	if err != nil {
		return nil, err
	}
	c, err := net.ListenUDP(network, addr)
	if err != nil {
		return nil, err
	}
	return []*net.UDPConn{c}, nil
}

func (s *Server) runUDP(conn *net.UDPConn, r *responder) { s.serveOneByOne(conn, r) }

// overflowed: what the kernel drops is not told everywhere.
func overflowed(*net.UDPConn) uint32 { return 0 }
