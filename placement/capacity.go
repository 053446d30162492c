package placement

import "math/bits"

// roomFor is how many replicas with these requests fit into the free room, node by node.
func roomFor(r Resources, free []Room) int64 {
	var sum int64
	for i := range free {
		f := &free[i]
		n := fitOne(r, &f.Resources)
		hi, lo := bits.Mul64(uint64(n), uint64(max(f.Nodes, 0)))
		if hi > 0 || lo > Unlimited {
			return Unlimited
		}
		sum = addUpTo(sum, int64(lo))
	}
	return sum
}

// fitOne is how many replicas fit into one room. Only what is asked for can be short.
func fitOne(r Resources, free *Resources) int64 {
	n := max(free.Pods, 0) / max(r.Pods, 1)
	if r.MilliCPU > 0 {
		n = min(n, max(free.MilliCPU, 0)/r.MilliCPU)
	}
	if r.Memory > 0 {
		n = min(n, max(free.Memory, 0)/r.Memory)
	}
	for name, want := range r.Extended {
		if want > 0 {
			n = min(n, max(free.Extended[name], 0)/want)
		}
	}
	return n
}

// votesByCapacity says whether capacity is a vote at all: when no cluster's is known, weights decide.
func votesByCapacity(in *Input) bool {
	if in.Policy.By != ByCapacity && in.Policy.By != ByWeightAndCapacity {
		return false
	}
	for i := range in.Clusters {
		if in.Clusters[i].Free != nil {
			return true
		}
	}
	return false
}

// maxVote keeps the product of a weight and a capacity within 63 bits.
const maxVote = 1<<31 - 1

// vote gives every candidate its claim in the division.
func (d *deciding) vote() {
	for i := range d.list {
		c := &d.list[i]
		c.vote = max(c.weight, 0)
		if !d.byCapacity || c.vote == 0 {
			continue
		}
		// What it holds counts in full, ready or not: a replica that was just started must not lower the vote that
		// called for it.
		room := min(c.most, maxVote)
		if c.cluster.Free == nil { // what it holds is all that is known to fit
			room = min(c.replicas, maxVote)
		}
		if d.in.Policy.By == ByCapacity {
			c.vote = room
		} else {
			c.vote = min(c.vote, maxVote) * room
		}
	}
}
