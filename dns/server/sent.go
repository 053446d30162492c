package server

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// sentTrees are the zones as each secondary got them last, so that it can be told the differences when it comes back,
// however many changes there were meanwhile.
type sentTrees struct {
	mu   sync.Mutex
	last []sentTree // the oldest first
	// orders are the names of signed zones in order, of the version that was sent last.
	orders map[wire.Name]ordered
}

type sentTree struct {
	to   netip.Addr
	tree *zone.Tree
	// at is the time that a signed zone was signed for, in seconds since 1970.
	at int64
}

// Limits of what is kept: of one zone to one secondary, and altogether.
const (
	sentOfOne = 4 // the last ones may not have arrived, and several secondaries may share an address
	sentSize  = 256
	// sentAgain is how long a signed zone that was sent to an address is sent there with the same signatures, so that a
	// serial stands for one content.
	sentAgain = int64(6 * time.Hour / time.Second)
)

// remember notes that a zone was sent, with the signatures of a time.
func (s *sentTrees) remember(to netip.Addr, t *zone.Tree, at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := make([]sentTree, 0, len(s.last)+1)
	room := sentOfOne - 1
	for i := len(s.last) - 1; i >= 0; i-- { // the newest first
		other := s.last[i]
		if other.to == to && other.tree.Origin == t.Origin {
			if room == 0 || other.tree.Serial() == t.Serial() {
				continue
			}
			room--
		}
		if len(kept) < sentSize-1 {
			kept = append(kept, other)
		}
	}
	s.last = s.last[:0]
	for i := len(kept) - 1; i >= 0; i-- {
		s.last = append(s.last, kept[i])
	}
	s.last = append(s.last, sentTree{to, t, at})
}

// timeFor is the time that a zone is to be signed for when it is sent to an address now.
func (s *sentTrees) timeFor(to netip.Addr, t *zone.Tree, now int64) int64 {
	if sent := s.findSigned(to, t.Origin, t.Serial()); sent.tree == t && now >= sent.at && now-sent.at < sentAgain {
		return sent.at
	}
	return now
}

// findSigned is the signed zone of a serial as it was sent to an address; without a tree if it was not. Other addresses
// do not count: they may have other signatures.
func (s *sentTrees) findSigned(to netip.Addr, origin wire.Name, serial uint32) sentTree {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sent := range s.last {
		if sent.to == to && sent.tree.Origin == origin && sent.tree.Serial() == serial {
			return sent
		}
	}
	return sentTree{}
}

func (s *sentTrees) find(origin wire.Name, serial uint32) *zone.Tree {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sent := range s.last {
		if sent.tree.Origin == origin && sent.tree.Serial() == serial {
			return sent.tree
		}
	}
	return nil
}
