package server

import (
	"net/netip"
	"sync"

	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// sentTrees are the zones as each secondary got them last, so that it can be told the differences when it comes back,
// however many changes there were meanwhile.
type sentTrees struct {
	mu   sync.Mutex
	last []sentTree // the oldest first
}

type sentTree struct {
	to   netip.Addr
	tree *zone.Tree
}

// Limits of what is kept: of one zone to one secondary, and altogether.
const (
	sentOfOne = 2 // the last one may not have arrived
	sentSize  = 256
)

func (s *sentTrees) remember(to netip.Addr, t *zone.Tree) {
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
	s.last = append(s.last, sentTree{to, t})
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
