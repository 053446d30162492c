package placement

// finishesMoves reports whether the moves under way are finished as they were begun. What is known of a cluster's
// room changes while replicas start there, and shares judged by that would turn a move round for ever; so the shares
// are judged again when what was started is ready. The moves are given up when a fact stands against them: another
// number of replicas, a cluster that may not have what it was to get, a spread that asks for something else.
func (d *deciding) finishesMoves() bool {
	if !d.underWay || d.blocked() || len(d.gone) > 0 {
		return false
	}
	var sum, toCome, starting int64
	for i := range d.list {
		c := &d.list[i]
		if !c.mayAim() {
			return false
		}
		sum = addUpTo(sum, c.aim)
		toCome = addUpTo(toCome, max(c.aim-c.replicas, 0))
		if c.aim >= c.replicas {
			starting = addUpTo(starting, c.replicas-c.ready)
		}
	}
	return sum == d.replicas && (toCome == 0 || starting > 0)
}

// mayAim reports whether nothing stands against the number that the candidate is to have.
func (c *candidate) mayAim() bool {
	switch {
	case c.spreadFloor && c.aim == 0, c.stuck > 0 && c.aim > 0:
		return false
	case c.standing == welcome:
		return c.aim <= max(c.ceiling, min(c.max, c.most))
	case c.standing == keeps:
		return c.aim <= min(c.replicas, c.ceiling)
	case c.standing == frozen:
		return c.aim == c.replicas
	}
	return c.aim == 0
}
