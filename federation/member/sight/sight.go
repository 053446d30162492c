package sight

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/placement"
)

const (
	// tick is how often the clocks are compared, and pause how long no tick may come for the process to count as having
	// run without a break.
	tick, pause = time.Second, 5 * time.Second
	// jump is how far the wall clock may run from the monotonic one between two ticks.
	jump = 2 * time.Second
	// DefaultThreshold is the share of members out of reach, in percent, from which failover moves in steps.
	DefaultThreshold = 55
	// stepPercent of an object's replicas move at once in a large outage.
	stepPercent = 25
	// few is the number of members that is never a large outage.
	few = 2
)

// Outage is how many of the members are out of reach at once.
type Outage string

const (
	// None: failover is as the placements say.
	None Outage = "None"
	// Large: many members look lost, and their replicas move in steps.
	Large Outage = "Large"
	// Total: all members look lost, and nothing moves.
	Total Outage = "Total"
)

// Clock is both clocks at one moment: elapsed time by the monotonic clock cannot jump, but stands still in a suspended
// machine.
type Clock struct {
	Wall      time.Time
	Monotonic time.Duration
}

// State is what is seen of the members together.
type State struct {
	Outage Outage
	// Since is the start of the present view, and Why it began.
	Since time.Time
	Why   string
	// Away of Members are out of reach.
	Away, Members int
}

// Sight holds the view. Make one with New.
type Sight struct {
	threshold int
	now       func() Clock
	logger    *slog.Logger

	mu      sync.Mutex
	state   State
	last    Clock
	changed []func()
}

// New returns a view that begins now. A threshold of 0 is DefaultThreshold.
func New(threshold int, logger *slog.Logger) *Sight {
	begin := time.Now()
	return newSight(threshold, logger, func() Clock {
		now := time.Now()
		return Clock{Wall: now.Round(0), Monotonic: now.Sub(begin)}
	})
}

func newSight(threshold int, logger *slog.Logger, now func() Clock) *Sight {
	if threshold == 0 {
		threshold = DefaultThreshold
	}
	s := &Sight{threshold: threshold, now: now, logger: logger, last: now()}
	s.state = State{Outage: None, Since: s.last.Wall, Why: "the hub began to act"}
	return s
}

// OnChange calls changed after the view began anew, or the outage changed. It must be called before Run.
func (s *Sight) OnChange(changed func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = append(s.changed, changed)
}

// State returns what is seen now.
func (s *Sight) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Look returns the view for a decision that is taken now.
func (s *Sight) Look() placement.Sight {
	s.mu.Lock()
	defer s.mu.Unlock()
	look := placement.Sight{Since: s.state.Since, Blind: s.state.Outage == Total}
	now := s.now()
	if s.breakBefore(now) != "" { // the next tick enters it
		look.Since = now.Wall
	}
	if s.state.Outage == Large {
		look.Steps = &placement.Moves{Percent: stepPercent}
	}
	return look
}

// breakBefore says why the view has a break before a moment; empty if it has none.
func (s *Sight) breakBefore(now Clock) string {
	elapsed, byWall := now.Monotonic-s.last.Monotonic, now.Wall.Sub(s.last.Wall)
	switch {
	case elapsed > pause:
		return fmt.Sprintf("the hub did not run for %s", elapsed.Round(time.Second))
	case (byWall - elapsed).Abs() > jump:
		return fmt.Sprintf("the clock jumped by %s", (byWall - elapsed).Round(time.Second))
	}
	return ""
}

// observe takes in how many members there are, and how many are out of reach; heard says that one of these answers again.
// It reports whether the view changed.
func (s *Sight) observe(members, away int, heard bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, before := s.now(), s.state
	why := s.breakBefore(now)
	s.last = now
	if heard && before.Outage != None {
		why = "a member answers again after many were out of reach"
	}
	if why != "" {
		s.state.Since, s.state.Why = now.Wall, why
	}
	s.state.Outage, s.state.Away, s.state.Members = s.outage(members, away), away, members
	if s.state.Outage != before.Outage {
		s.logger.Warn("the outage of members changed", "outage", s.state.Outage, "was", before.Outage, "away", away,
			"members", members)
	}
	if why != "" {
		s.logger.Warn("the view of the members begins anew", "reason", why)
	}
	return why != "" || s.state.Outage != before.Outage
}

func (s *Sight) outage(members, away int) Outage {
	switch {
	case away > 0 && away == members:
		return Total
	case away >= few && away*100 >= s.threshold*members:
		return Large
	}
	return None
}

// Run keeps the view until the context ends.
func (s *Sight) Run(ctx context.Context, fleet *member.Fleet) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	wasAway := map[member.Name]bool{}
	wasFailing := map[member.Name]bool{}
	for {
		members := fleet.Members()
		away, failing, heard, stumbled := map[member.Name]bool{}, map[member.Name]bool{}, false, false
		for _, m := range members {
			state := m.State()
			if state.IsLost() {
				away[m.Name()] = true
			} else if wasAway[m.Name()] {
				heard = true
			}
			if state.Failing > 0 {
				failing[m.Name()] = true
				stumbled = stumbled || !wasFailing[m.Name()]
			}
		}
		if stumbled {
			for _, m := range members {
				m.ProbeNow()
			}
		}
		wasAway, wasFailing = away, failing
		if s.observe(len(members), len(away), heard) {
			s.tell()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (s *Sight) tell() {
	s.mu.Lock()
	changed := s.changed
	s.mu.Unlock()
	for _, tell := range changed {
		tell()
	}
}
