package nameserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hanse-federation/hanse/dns/server"
)

// The next process takes over through a socket in the data directory. It says where it is to listen; this one gives its
// sockets, a message with a descriptor each; the next one says that it serves; this one retires and says so. A message
// is a packet (SOCK_SEQPACKET).
type handoverMessage struct {
	// Listen of the process that asks, or of the one that refuses.
	Listen  []string `json:"listen,omitempty"`
	Refused bool     `json:"refused,omitempty"`
	// Socket is given with this message.
	Socket *handedSocket `json:"socket,omitempty"`
	Given  bool          `json:"given,omitempty"`   // all sockets
	Serves bool          `json:"serves,omitempty"`  // the next process
	Ended  bool          `json:"retired,omitempty"` // this process
}

type handedSocket struct {
	Listen  string `json:"listen"`
	Network string `json:"network"` // udp, tcp, tls or https
}

// The networks of a handedSocket.
const (
	overUDP   = "udp"
	overTCP   = "tcp"
	overTLS   = "tls"
	overHTTPS = "https"
)

// openSocket is a socket to give.
type openSocket struct {
	handedSocket
	raw syscall.Conn
}

// dnsSockets are those of the DNS server.
func dnsSockets(sockets []server.Socket) []openSocket {
	var out []openSocket
	for _, s := range sockets {
		switch {
		case s.UDP != nil:
			out = append(out, openSocket{handedSocket{s.Listen, overUDP}, s.UDP})
		case s.IsTLS:
			out = append(out, openSocket{handedSocket{s.Listen, overTLS}, s.TCP})
		default:
			out = append(out, openSocket{handedSocket{s.Listen, overTCP}, s.TCP})
		}
	}
	return out
}

// ErrInUse: another server runs on the data directory and listens elsewhere.
var ErrInUse = errors.New("another DNS server runs on this data directory")

const (
	handoverFile     = "handover.sock"
	handoverPatience = 15 * time.Second
	maxHandover      = 64 << 10
)

// handover waits for the next process.
type handover struct {
	listener *net.UnixListener
	listen   []string
	sockets  func() []openSocket
	log      *slog.Logger
	next     *net.UnixConn // has taken over
}

// listenForSuccessor opens the socket. Without it the server serves all the same.
func listenForSuccessor(dir string, listen []string, sockets func() []openSocket, log *slog.Logger) *handover {
	h := &handover{listen: listen, sockets: sockets, log: log}
	var err error
	if h.listener, err = listenUnix(filepath.Join(dir, handoverFile), "unixpacket"); err != nil {
		log.Warn("no process will be able to take over", "error", err)
	}
	return h
}

// listenUnix opens a socket that only this user can reach. What is at the path is that of a process that is gone, or was
// taken over from.
func listenUnix(path, network string) (*net.UnixListener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := net.ListenUnix(network, &net.UnixAddr{Name: path, Net: network})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false) // by then the path is that of the next process
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		return nil, err
	}
	return listener, nil
}

// run gives the sockets to a process that asks for them. It is true when one serves, and false when the context ended.
func (h *handover) run(ctx context.Context, save func()) bool {
	if h.listener == nil {
		<-ctx.Done()
		return false
	}
	defer context.AfterFunc(ctx, h.close)()
	for ctx.Err() == nil {
		conn, err := h.listener.AcceptUnix()
		if err != nil {
			if ctx.Err() == nil {
				h.log.Warn("waiting for a process that takes over", "error", err)
			}
			<-ctx.Done()
			return false
		}
		if err := h.give(conn, save); err != nil {
			h.log.Warn("a process wanted to take over and did not", "error", err)
			conn.Close()
			continue
		}
		h.next = conn
		return true
	}
	return false
}

func (h *handover) give(conn *net.UnixConn, save func()) error {
	_ = conn.SetDeadline(time.Now().Add(handoverPatience))
	asked, _, err := receive(conn)
	if err != nil {
		return err
	}
	if !sameAddresses(asked.Listen, h.listen) {
		_ = send(conn, handoverMessage{Refused: true, Listen: h.listen}, nil)
		return fmt.Errorf("it was to listen on %s, not on %s", strings.Join(asked.Listen, ", "), strings.Join(h.listen, ", "))
	}
	save()
	for _, s := range h.sockets() {
		if err := send(conn, handoverMessage{Socket: &s.handedSocket}, s.raw); err != nil {
			return err
		}
	}
	if err := send(conn, handoverMessage{Given: true}, nil); err != nil {
		return err
	}
	answer, _, err := receive(conn)
	if err == nil && !answer.Serves {
		err = errors.New("it did not say that it serves")
	}
	return err
}

// confirm tells the process that has taken over that this one is done.
func (h *handover) confirm() {
	_ = h.next.SetDeadline(time.Now().Add(time.Second))
	_ = send(h.next, handoverMessage{Ended: true}, nil) // it goes on without
	h.next.Close()
}

func (h *handover) close() {
	if h.listener != nil {
		h.listener.Close()
	}
}

// inheritance is what a former process gives. nil: there is none.
type inheritance struct {
	conn    *net.UnixConn
	sockets []server.Socket
	https   map[string]net.Listener // by where it is to listen
}

// takeOver asks a process that runs on the data directory for its sockets. nil: there is no such process.
func takeOver(ctx context.Context, dir string, listen []string) (*inheritance, error) {
	path := filepath.Join(dir, handoverFile)
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "unixpacket", path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, nil // no process, or one that was killed
	}
	if err != nil {
		return nil, fmt.Errorf("asking the former process for its sockets: %w", err)
	}
	h := &inheritance{conn: c.(*net.UnixConn), https: map[string]net.Listener{}}
	if err := h.receive(listen); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *inheritance) receive(listen []string) error {
	_ = h.conn.SetDeadline(time.Now().Add(handoverPatience))
	err := send(h.conn, handoverMessage{Listen: listen}, nil)
	for err == nil {
		var m handoverMessage
		var file *os.File
		m, file, err = receive(h.conn)
		switch {
		case err != nil:
		case m.Refused:
			return fmt.Errorf("%w and listens on %s", ErrInUse, strings.Join(m.Listen, ", "))
		case m.Given:
			return nil
		case m.Socket == nil || file == nil:
			err = errors.New("a message without a socket")
		default:
			err = h.add(*m.Socket, file)
		}
		if file != nil {
			file.Close()
		}
	}
	return fmt.Errorf("taking over the sockets of the former process: %w", err)
}

// add makes a socket of a descriptor.
func (h *inheritance) add(s handedSocket, file *os.File) error {
	out := server.Socket{Listen: s.Listen, IsTLS: s.Network == overTLS}
	if s.Network == overUDP {
		conn, err := net.FilePacketConn(file)
		if err != nil {
			return err
		}
		udp, ok := conn.(*net.UDPConn)
		if !ok {
			return errors.Join(errors.New("not a UDP socket"), conn.Close())
		}
		out.UDP = udp
	} else {
		listener, err := net.FileListener(file)
		if err != nil {
			return err
		}
		tcp, ok := listener.(*net.TCPListener)
		if !ok {
			return errors.Join(errors.New("not a TCP socket"), listener.Close())
		}
		if s.Network == overHTTPS {
			h.https[s.Listen] = tcp
			return nil
		}
		out.TCP = tcp
	}
	h.sockets = append(h.sockets, out)
	return nil
}

// take is what was inherited; it is the caller's from then on.
func (h *inheritance) take() []server.Socket {
	if h == nil {
		return nil
	}
	sockets := h.sockets
	h.sockets = nil
	return sockets
}

// takeHTTPS is the inherited socket for an address, or nil; it is the caller's from then on.
func (h *inheritance) takeHTTPS(listen string) net.Listener {
	if h == nil {
		return nil
	}
	listener := h.https[listen]
	delete(h.https, listen)
	return listener
}

// retire lets the former process end, and waits until it has answered everything.
func (h *inheritance) retire() error {
	_ = h.conn.SetDeadline(time.Now().Add(handoverPatience))
	if err := send(h.conn, handoverMessage{Serves: true}, nil); err != nil {
		return err
	}
	_, _, err := receive(h.conn)
	return err
}

func (h *inheritance) close() {
	if h == nil {
		return
	}
	for _, s := range h.sockets {
		s.Close()
	}
	for _, listener := range h.https {
		listener.Close()
	}
	h.conn.Close()
}

// send writes one message, with a descriptor if raw is not nil. The descriptor stays this process's, too.
func send(conn *net.UnixConn, m handoverMessage, raw syscall.Conn) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if raw == nil {
		_, err = conn.Write(data)
		return err
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	err = control.Control(func(fd uintptr) {
		_, _, sendErr = conn.WriteMsgUnix(data, syscall.UnixRights(int(fd)), nil)
	})
	return errors.Join(err, sendErr)
}

// receive reads one message and the descriptor that came with it, or nil.
func receive(conn *net.UnixConn) (handoverMessage, *os.File, error) {
	data, control := make([]byte, maxHandover), make([]byte, syscall.CmsgSpace(4))
	n, controlLength, _, _, err := conn.ReadMsgUnix(data, control)
	if err == nil && n == 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return handoverMessage{}, nil, err
	}
	file, err := descriptor(control[:controlLength])
	if err != nil {
		return handoverMessage{}, nil, err
	}
	var m handoverMessage
	if err := json.Unmarshal(data[:n], &m); err != nil {
		if file != nil {
			file.Close()
		}
		return handoverMessage{}, nil, fmt.Errorf("reading a message: %w", err)
	}
	return m, file, nil
}

func descriptor(control []byte) (*os.File, error) {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil || len(messages) == 0 {
		return nil, err
	}
	fds, err := syscall.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.Join(errors.New("one descriptor was expected"), err)
	}
	syscall.CloseOnExec(fds[0])
	return os.NewFile(uintptr(fds[0]), "inherited"), nil
}

// sameAddresses compares without regard to the order.
func sameAddresses(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
