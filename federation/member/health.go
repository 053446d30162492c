package member

import "time"

// outcome is what one probe found.
type outcome struct {
	verdict probeVerdict
	reason  Reason
	message string
}

type probeVerdict int

const (
	healthy  probeVerdict = iota // a usable answer: ready
	busy                         // a usable answer: it has no time for us. That is neither health nor illness
	useless                      // an answer that is of no use: 401, 500, a failing check
	noAnswer                     // nothing, or nothing that is Kubernetes
)

// health is what the probes together say. It is a value; next makes the following one.
type health struct {
	phase    Phase
	since    time.Time
	lastSeen time.Time
	reason   Reason
	message  string
	failures int // in a row
	success  int // in a row
}

func newHealth(now time.Time) health {
	return health{phase: Unknown, since: now, reason: ReasonConnecting, message: "not yet asked"}
}

// next is the health after one more probe. A phase changes after p.Failures or p.Successes in a row and not before; of
// a member that is not known to be well, the latest trouble is told.
func (h health) next(now time.Time, o outcome, p Probe) health {
	switch o.verdict {
	case busy:
		h.lastSeen = now
		if h.phase != Ready {
			h.reason, h.message = o.reason, o.message
		}
		return h
	case healthy:
		h.lastSeen = now
		h.failures = 0
		h.success++
		if h.phase != Ready && h.success >= p.Successes {
			return h.become(now, Ready, o)
		}
		return h
	}
	h.success = 0
	h.failures++
	if o.verdict == useless {
		h.lastSeen = now
	}
	phase := Unreachable
	if o.verdict == useless {
		phase = NotReady
	}
	switch {
	case h.phase == phase:
		h.reason, h.message = o.reason, o.message
	case h.failures >= p.Failures:
		return h.become(now, phase, o)
	case h.phase != Ready:
		h.reason, h.message = o.reason, o.message
	}
	return h
}

func (h health) become(now time.Time, phase Phase, o outcome) health {
	h.phase, h.since, h.reason, h.message = phase, now, o.reason, o.message
	return h
}

// wait is the time until the next probe.
func (h health) wait(p Probe) time.Duration {
	if h.failures > 0 || h.phase == Unknown {
		return p.FailingInterval
	}
	return p.Interval
}

// passes reports whether it makes sense to list and watch.
func (h health) passes() bool {
	return h.phase == Ready || (h.phase == NotReady && h.reason != ReasonUnauthorized)
}
