package cluster

import (
	"errors"
	"math/rand/v2"
	"net"
	"sync"
)

// The ports for clusters lie below those that the kernel gives to outgoing
// connections (32768 and up), or such a connection could take the port of a
// part that is stopped for a while.
const (
	firstPort = 20000
	lastPort  = 29999
)

// givenPorts are the ports that this process gave to clusters. They are not
// given twice, even when the part behind a port does not listen now.
var givenPorts = struct {
	sync.Mutex
	taken map[int]bool
}{taken: map[int]bool{}}

// freePort returns a port of the loopback address on which nobody listens.
// The choice is random, so that two processes seldom choose the same one.
func freePort() (int, error) {
	givenPorts.Lock()
	defer givenPorts.Unlock()
	const attempts = 1000
	for range attempts {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if givenPorts.taken[port] {
			continue
		}
		l, err := net.Listen("tcp", address(port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return 0, err
		}
		givenPorts.taken[port] = true
		return port, nil
	}
	return 0, errors.New("no free port between 20000 and 29999")
}

// pickPorts chooses the ports of all parts.
func (c *bareCluster) pickPorts() error {
	for _, port := range []*int{&c.ports.etcdClient, &c.ports.etcdPeer, &c.ports.apiServer, &c.ports.kubelet} {
		var err error
		if *port, err = freePort(); err != nil {
			return err
		}
	}
	return nil
}
