package placement

import (
	"fmt"
	"maps"
	"slices"
)

func i64(n int64) *int64 { return &n }

func in32(n int) *int { return &n }

// free is room for n replicas that ask for nothing but a pod.
func free(n int64) []Room { return []Room{{Resources{Pods: n}, 1}} }

// result is what each cluster gets, without the zeros.
func result(d Decision) map[string]int64 {
	got := map[string]int64{}
	for _, s := range d.Clusters {
		if s.Replicas > 0 {
			got[s.Name] = s.Replicas
		}
	}
	return got
}

func sameMap(a, b map[string]int64) bool { return maps.Equal(a, b) }

// spreadKept reports whether the groups in use are within the bounds of every constraint, whether it must hold or not.
func spreadKept(in Input, got map[string]int64) bool {
	for _, s := range in.Policy.Spread {
		used := map[string]bool{}
		for i := range in.Clusters {
			c := &in.Clusters[i]
			if got[c.Name] == 0 {
				continue
			}
			for _, g := range groupNames(s.By, c) {
				used[g] = true
			}
		}
		if s.Max != nil && len(used) > *s.Max || s.Min != nil && len(used) < min(*s.Min, int(in.Object.Replicas)) {
			return false
		}
	}
	return true
}

// flaps decides again and again in a world in which nothing changes but what the decisions cause: every replica takes
// its room and becomes ready. It returns the decisions if they do not come to rest, else "".
func flaps(in Input) string {
	room := map[string]int64{}
	held := assigned(in.Previous)
	for _, c := range in.Clusters {
		if c.Free != nil {
			room[c.Name] = roomFor(Resources{}, c.Free) + held[c.Name]
		}
	}
	in.Clusters = slices.Clone(in.Clusters)
	var story []string
	for range 40 {
		d := Decide(in)
		now := result(d)
		story = append(story, fmt.Sprint(now))
		if d.Surge == 0 && sameMap(now, held) {
			return ""
		}
		in = follow(in, d, all)
		held = now
		for i := range in.Clusters {
			if c := &in.Clusters[i]; c.Free != nil {
				c.Free = free(max(room[c.Name]-held[c.Name], 0))
			}
		}
	}
	return fmt.Sprintf("does not come to rest: %v", story)
}

func assigned(p *Previous) map[string]int64 {
	got := map[string]int64{}
	if p != nil {
		for _, a := range p.Clusters {
			if a.Replicas > 0 {
				got[a.Name] = a.Replicas
			}
		}
	}
	return got
}
