package placement

import (
	"fmt"
	"strconv"
	"strings"
)

// Describe prints the decision for people: the chosen with their shares, then what is missing and what is noteworthy,
// then what changed, then who was passed over and why.
func (d Decision) Describe() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", orDash(d.Object), d.headline())
	d.describeClusters(&b)
	if d.Unplaced > 0 {
		fmt.Fprintf(&b, "  unplaced %d: %s (%s)\n", d.Unplaced, d.Cause.Message, d.Cause.Code)
	}
	if d.Surge > 0 {
		fmt.Fprintf(&b, "  surge %d: started at their destination before they end at their origin\n", d.Surge)
	}
	for _, n := range d.Notes {
		fmt.Fprintf(&b, "  note: %s (%s)\n", n.Message, n.Code)
	}
	for _, c := range d.Changes {
		fmt.Fprintf(&b, "  changed %s %s -> %s: %s (%s)\n", c.Name, orNone(c.From, c.Had), orNone(c.To, c.Has),
			c.Message, c.Code)
	}
	for _, r := range d.Rejected {
		fmt.Fprintf(&b, "  not %s: %s (%s)\n", r.Name, r.Message, r.Code)
		for _, more := range r.All {
			if more != r.Reason {
				fmt.Fprintf(&b, "      also: %s (%s)\n", more.Message, more.Code)
			}
		}
	}
	if d.NotSelected > 0 {
		fmt.Fprintf(&b, "  not selected: %s\n", count(int64(d.NotSelected), "cluster", "clusters"))
	}
	if len(d.Away) > 0 {
		fmt.Fprintf(&b, "  away: %s\n", strings.Join(d.Away, ", "))
	}
	if d.RecheckAfter > 0 {
		fmt.Fprintf(&b, "  decide again in %s\n", short(d.RecheckAfter))
	}
	return b.String()
}

func (d Decision) headline() string {
	clusters := count(int64(len(d.Clusters)), "cluster", "clusters")
	if d.Mode == ModeDivide {
		return count(d.Replicas, "replica", "replicas") + " divided over " + clusters
	}
	if d.Mode == ModeOne {
		return "in one cluster"
	}
	return "a copy in " + clusters
}

func (d Decision) describeClusters(b *strings.Builder) {
	width := 0
	for _, s := range d.Clusters {
		width = max(width, len(s.Name))
	}
	for _, s := range d.Clusters {
		fmt.Fprintf(b, "  %-*s %d", width, s.Name, s.Replicas)
		if s.Ideal != (Fraction{}) {
			fmt.Fprintf(b, " (ideal %s)", s.Ideal)
		}
		fmt.Fprintf(b, ": %s", s.Message)
		if s.Clamps != 0 {
			fmt.Fprintf(b, " [%s]", s.Clamps)
		}
		b.WriteByte('\n')
	}
}

func orNone(n int64, there bool) string {
	if !there {
		return "none"
	}
	return strconv.FormatInt(n, 10)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
