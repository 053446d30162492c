package placement

// finishChanges compares with the previous decision, if there was one.
func (d *deciding) finishChanges() {
	if d.in.Previous == nil {
		return
	}
	was := int64(0)
	for _, p := range d.in.Previous.Clusters {
		was = addUpTo(was, max(p.Replicas, 0))
	}
	was = max(was-max(d.in.Previous.Surge, 0), 0)
	for i := range d.list {
		c := &d.list[i]
		if c.now != c.replicas || d.isChosen(c) != c.heldBefore {
			d.out.Changes = append(d.out.Changes,
				Change{Name: c.cluster.Name, From: c.replicas, To: c.now, Had: c.heldBefore, Has: d.isChosen(c),
					Reason: d.changeReason(c, was)})
		}
	}
	for _, p := range d.gone {
		d.out.Changes = append(d.out.Changes,
			Change{Name: p.Name, From: p.Replicas, Had: true, Reason: Reason{CodeGone, "the cluster does not exist any more"}})
	}
}

// changeReason names the cause of one difference.
func (d *deciding) changeReason(c *candidate, was int64) Reason {
	fewer := c.now < c.replicas || !d.isChosen(c)
	switch {
	case fewer && (c.standing >= leaves && c.standing != frozen || c.why.Code == CodeUnschedulable):
		return c.why
	case d.mode != ModeDivide && c.heldBefore && d.isChosen(c):
		return Reason{CodeScaled, "the number of replicas is another"}
	case d.mode != ModeDivide && fewer:
		return d.leftOut(c)
	case fewer && d.replicas < was:
		return Reason{CodeScaled, "scaled down"}
	case fewer:
		return Reason{CodeRebalanced, "moved to other clusters"}
	case d.mode == ModeDivide && d.replicas > was:
		return Reason{CodeScaled, "scaled up"}
	case d.someoneLeft():
		return Reason{CodeTakesOver, "takes over from other clusters"}
	case c.clamps&ClampOverflow != 0:
		return Reason{CodeOverflow, "gets more than fits, as the placement asks"}
	case d.mode == ModeDivide:
		return Reason{CodeRebalanced, "moved here from other clusters"}
	}
	return Reason{CodeNew, "newly chosen"}
}

// someoneLeft says whether a cluster that had replicas is lost, gone or being left.
func (d *deciding) someoneLeft() bool {
	if len(d.gone) > 0 {
		return true
	}
	for i := range d.list {
		if c := &d.list[i]; c.heldBefore && c.standing >= leaves && c.standing != frozen {
			return true
		}
	}
	return false
}
