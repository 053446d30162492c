package placement

import "strconv"

// walk takes one step from what is there to the goal: candidate.now of everybody.
//
// What scaling and failover ask for happens at once, unless Sight.Steps has failover walk as well. What merely moves is started at its destination first, at most
// MaxMoves at a time, and taken away at its origin as successors become ready: the ready replicas never drop below
// the wanted number on the way, and replicas that are not ready may leave at any time.
func (d *deciding) walk() {
	w := d.newWalk()
	if w.scaleUp > 0 {
		w.scaleUp -= w.shift(w.scaleUp, (*candidate).lacks, 1)
	}
	if w.scaleDown > 0 {
		w.scaleDown -= w.shift(w.scaleDown, (*candidate).exceeds, -1)
	}
	missing := w.sum((*candidate).lacks)
	excess := w.sum((*candidate).exceeds)
	if missing == 0 && excess == 0 {
		return
	}
	surge := w.sum(func(c *candidate) int64 { return c.now }) - w.goal
	removable := w.removable()
	inFlight := max(surge-min(removable, surge), w.unreadyArrivals())
	start := min(missing, max(d.maxMoves()-inFlight, 0))
	stop := min(removable, surge+start)
	w.shift(start, (*candidate).lacks, 1)
	w.shift(stop, (*candidate).mayGo, -1)
	if start == 0 && stop == 0 && excess > 0 {
		total := w.sum(func(c *candidate) int64 { return c.now })
		d.note(CodeWaiting, "moving "+count(excess, "replica", "replicas")+" waits for successors: "+
			strconv.FormatInt(w.ready(), 10)+" of "+count(total, "replica", "replicas")+" ready")
	}
}

// walkers are the candidates whose replicas can be walked, with what the step may do at once.
type walkers struct {
	list               []candidate
	goal               int64
	scaleUp, scaleDown int64
}

func (d *deciding) newWalk() walkers {
	w := walkers{list: d.list}
	var there int64
	for i := range d.list {
		c := &d.list[i]
		c.now = c.goal
		w.goal = addUpTo(w.goal, c.goal)
		isWalked := c.standing != lost || d.in.Sight.Steps != nil
		if isWalked && (c.standing != discarded || c.cluster.Ready) {
			c.now = c.replicas
			there = addUpTo(there, c.replicas)
		} else {
			there = addUpTo(there, c.goal)
		}
	}
	surge := int64(0)
	if d.in.Previous != nil {
		surge = min(max(d.in.Previous.Surge, 0), there)
	}
	w.scaleUp = max(w.goal-there, 0)
	w.scaleDown = max(there-surge-w.goal, 0)
	return w
}

func (c *candidate) lacks() int64   { return max(c.goal-c.now, 0) }
func (c *candidate) exceeds() int64 { return max(c.now-c.goal, 0) }

// readyNow is how many ready replicas can be relied on after this step's changes so far.
func (c *candidate) readyNow() int64 {
	if !c.cluster.Ready {
		return 0
	}
	return min(c.ready, c.now)
}

func (w *walkers) sum(of func(*candidate) int64) int64 {
	var sum int64
	for i := range w.list {
		sum = addUpTo(sum, of(&w.list[i]))
	}
	return sum
}

func (w *walkers) ready() int64 { return w.sum((*candidate).readyNow) }

// shift adds (or with -1 takes) n replicas, to each candidate in proportion to what it wants.
func (w *walkers) shift(n int64, wants func(*candidate) int64, sign int64) int64 {
	if n <= 0 {
		return 0
	}
	if w.sum(wants) <= n { // the common case: everybody gets all
		shifted := int64(0)
		for i := range w.list {
			want := wants(&w.list[i])
			w.list[i].now += sign * want
			shifted += want
		}
		return shifted
	}
	parties := make([]Party, len(w.list))
	for i := range w.list {
		want := wants(&w.list[i])
		parties[i] = Party{Weight: want, Max: want, Tie: w.list[i].tie}
	}
	shifted := int64(0)
	for i, seats := range Apportion(n, parties) {
		w.list[i].now += sign * seats
		shifted += seats
	}
	return shifted
}

// removable marks in candidate.leaving how many replicas may be taken away now without losing readiness.
func (w *walkers) removable() int64 {
	spare := max(w.ready()-w.goal, 0)
	var sum int64
	for i := range w.list {
		c := &w.list[i]
		idle := c.now - c.readyNow()
		c.leaving = min(c.exceeds(), addUpTo(idle, spare))
		spare -= max(c.leaving-idle, 0)
		sum = addUpTo(sum, c.leaving)
	}
	return sum
}

func (c *candidate) mayGo() int64 { return c.leaving }

// unreadyArrivals counts replicas that were started and are not ready yet.
func (w *walkers) unreadyArrivals() int64 {
	return w.sum(func(c *candidate) int64 {
		if c.exceeds() > 0 {
			return 0
		}
		return min(c.now, c.replicas) - min(c.readyNow(), c.replicas)
	})
}

// maxMoves is the placement's bound in replicas, at least one.
func (d *deciding) maxMoves() int64 {
	return min(d.movesOf(d.in.Policy.MaxMoves), d.movesOf(d.in.Sight.Steps))
}

func (d *deciding) movesOf(m *Moves) int64 {
	if m == nil {
		return Unlimited
	}
	if m.Number > 0 {
		return m.Number
	}
	percent := min(max(m.Percent, 0), 100)
	whole, rest := d.replicas/100*percent, d.replicas%100*percent
	return max(whole+(rest+99)/100, 1)
}
