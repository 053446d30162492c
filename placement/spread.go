package placement

import (
	"strconv"
	"strings"
)

// dimension is one spread constraint over the candidates.
type dimension struct {
	*Spread
	noun string
	// groups are the ids of the groups of each candidate, names their names; a candidate without any tells nothing.
	groups [][]int
	names  []string
	// min is the fewest groups that can be asked for, never more than there are replicas.
	min int
	// met says that the choice of clusters reaches the minimum.
	met bool
}

// blocks reports whether nothing new is placed while the minimum is not reached.
func (dim *dimension) blocks() bool { return dim.WhenUnsatisfiable != SpreadBestEffort }

// spread chooses the clusters that may be used: those beyond a maximum are left, and floors of one replica make sure
// of the minima. When a spread that must hold cannot, it chooses nothing, so what runs stays.
func (d *deciding) spread() {
	if len(d.in.Policy.Spread) == 0 || d.mode == ModeDivide && d.replicas == 0 {
		return
	}
	d.dims = make([]*dimension, 0, len(d.in.Policy.Spread))
	for i := range d.in.Policy.Spread {
		dim := d.newDimension(&d.in.Policy.Spread[i])
		if len(dim.names) == 0 && !dim.blocks() {
			d.note(CodeSpreadUnmet, "no cluster tells its "+dim.noun+", so nothing is spread by it")
			continue
		}
		d.passOverUntold(dim)
		d.dims = append(d.dims, dim)
	}
	if d.mode == ModeOne {
		d.spreadOne()
		return
	}
	chosen := d.chooseClusters()
	for k := range d.dims {
		d.judgeReach(k, &chosen)
	}
	if d.blocked() {
		return
	}
	for i := range d.list {
		c := &d.list[i]
		if c.standing <= keeps && chosen.out[i] {
			d.reject(c, leaves, CodeSpreadMax, d.maxMessage(i, &chosen))
		}
		if chosen.floors[i] {
			c.spreadFloor = true
			c.must = 1
		}
	}
}

// spreadOne is for an object that lives in one cluster: any that tells its groups keeps every minimum, and one that is
// in more groups than a maximum allows cannot be used.
func (d *deciding) spreadOne() {
	for _, dim := range d.dims {
		anyone := false
		for i := range d.list {
			c := &d.list[i]
			if dim.Max != nil && len(dim.groups[i]) > max(*dim.Max, 0) && c.standing <= keeps {
				d.reject(c, leaves, CodeSpreadMax, dim.maxMessage())
			}
			anyone = anyone || len(dim.groups[i]) > 0 && (c.standing == welcome || c.standsStill())
		}
		if !anyone && dim.min > 0 {
			d.unmetBy(dim, CodeSpreadUnmet, "the spread wants "+groups(dim.min, dim.noun)+", and no cluster tells its "+dim.noun)
		}
	}
}

func (d *deciding) newDimension(s *Spread) *dimension {
	dim := &dimension{Spread: s, noun: strings.TrimPrefix(s.By, "label:"), groups: make([][]int, len(d.list))}
	ids := map[string]int{}
	for i := range d.list {
		c := &d.list[i]
		if c.standing > frozen {
			continue
		}
		for _, name := range groupNames(s.By, c.cluster) {
			id, known := ids[name]
			if !known {
				id = len(dim.names)
				ids[name] = id
				dim.names = append(dim.names, name)
			}
			dim.groups[i] = append(dim.groups[i], id)
		}
	}
	if s.Min != nil {
		dim.min = max(*s.Min, 0)
	}
	switch d.mode {
	case ModeDivide:
		dim.min = int(min(int64(dim.min), d.replicas))
	case ModeOne:
		dim.min = min(dim.min, 1)
	}
	return dim
}

// groupNames are the values of a spread key for a cluster. Zones belong to their region and provider: a in eu-west-1
// is not a in us-east-1.
func groupNames(by string, c *Cluster) []string {
	value := ""
	switch by {
	case "cluster":
		value = c.Name
	case "region":
		value = c.Region
	case "provider":
		value = c.Provider
	case "zone":
		names := make([]string, len(c.Zones))
		for i, z := range c.Zones {
			names[i] = c.Provider + "/" + c.Region + "/" + z
		}
		return names
	default:
		value = c.Labels[strings.TrimPrefix(by, "label:")]
	}
	if value == "" {
		return nil
	}
	return []string{value}
}

// passOverUntold keeps new replicas off clusters that are in no group.
func (d *deciding) passOverUntold(dim *dimension) {
	for i := range d.list {
		if c := &d.list[i]; c.standing <= frozen && len(dim.groups[i]) == 0 {
			d.reject(c, keeps, CodeNoGroup, "it does not tell its "+dim.noun)
		}
	}
}

// standsStill reports whether the candidate has something there that the spread need not start.
func (c *candidate) standsStill() bool {
	return c.held && (c.standing == keeps || c.standing == frozen)
}

// maxMessage names the first maximum that keeps the candidate out.
func (d *deciding) maxMessage(i int, chosen *choice) string {
	for k, dim := range d.dims {
		for _, g := range dim.groups[i] {
			if dim.Max != nil && !chosen.used[k][g] {
				return dim.maxMessage()
			}
		}
	}
	return "the spread allows no more clusters and others are preferred"
}

func (dim *dimension) maxMessage() string {
	return "the spread allows " + groups(max(*dim.Max, 0), dim.noun) + " and others are preferred"
}

// judgeReach says whether the choice of clusters reaches the minimum of a dimension.
func (d *deciding) judgeReach(k int, chosen *choice) {
	dim := d.dims[k]
	dim.met = chosen.met[k]
	if dim.met {
		if dim.Min != nil && dim.min < *dim.Min && d.mode == ModeDivide {
			d.note(CodeSpreadUnmet, "the spread wants "+groups(*dim.Min, dim.noun)+", but there are only "+
				count(d.replicas, "replica", "replicas"))
		}
		return
	}
	code, message := CodeSpreadUnmet, "the spread wants "+groups(dim.min, dim.noun)
	switch alone := chosen.alone[k]; {
	case alone < dim.min:
		message += ", and only " + strconv.Itoa(alone) + " can be had"
	case chosen.cut:
		code = CodeSpreadUndecided
		message += ", and no clusters that have them and keep the other bounds were found within the limit of the search"
	default:
		message += ", which cannot be had within the other bounds of the spread and " +
			count(d.replicas, "replica", "replicas")
	}
	d.unmetBy(dim, code, message)
}

// unmetBy notes that a minimum is not reached, and blocks if it must be.
func (d *deciding) unmetBy(dim *dimension, code Code, message string) {
	d.note(code, message)
	if dim.blocks() && !d.blocked() {
		d.unmet = Reason{CodeBlocked, message}
	}
}

// judgeSpread compares the groups in use after the division with the constraints: bounds, stability and what nobody
// else can take may hold the replicas away from what the spread chose, and that is said.
func (d *deciding) judgeSpread() {
	has := func(c *candidate) int64 { return c.goal }
	if d.mode != ModeDivide {
		has = func(c *candidate) int64 {
			if c.held {
				return 1
			}
			return 0
		}
	}
	for _, dim := range d.dims {
		n := dim.inUse(d.list, has)
		switch {
		case dim.Max != nil && n > max(*dim.Max, 0):
			d.note(CodeSpreadUnmet, "the spread allows "+groups(max(*dim.Max, 0), dim.noun)+", and "+
				strconv.Itoa(n)+" are in use until the others can take what runs there")
		case dim.met && n < dim.min:
			d.note(CodeSpreadUnmet, "the spread wants "+groups(dim.min, dim.noun)+", and only "+
				strconv.Itoa(n)+" can be used now")
		}
	}
}

// inUse counts the groups with anything in them.
func (dim *dimension) inUse(list []candidate, has func(*candidate) int64) int {
	used := make([]bool, len(dim.names))
	n := 0
	for i := range list {
		if has(&list[i]) <= 0 {
			continue
		}
		for _, g := range dim.groups[i] {
			if !used[g] {
				used[g] = true
				n++
			}
		}
	}
	return n
}

func groups(n int, noun string) string { return count(int64(n), noun, noun+"s") }

// blocked reports whether a spread that must hold cannot.
func (d *deciding) blocked() bool { return d.unmet.Code != "" }
