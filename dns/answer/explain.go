package answer

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"strings"

	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// Explanation tells why a question is answered as it is.
type Explanation struct {
	Name wire.Name
	Type wire.Type
	// Origin of the zone that answers; empty if none does.
	Origin wire.Name
	Serial uint32
	Rcode  wire.Rcode
	// Authoritative, and the sections of one answer drawn for the client, as a zone file has them.
	Authoritative                 bool
	Answer, Authority, Additional []string
	// Service is there if the name, or what it is an alias of, is balanced.
	Service *ServiceExplanation
}

// ServiceExplanation tells how answers of a balanced name are made.
type ServiceExplanation struct {
	Name   wire.Name
	Policy zone.Policy
	Answer zone.Answer
	// TTL in effect, in seconds.
	TTL                uint32
	Tier               uint16
	Overflow           bool
	Degraded, FailOpen bool
	// Region and Zone are where the client is taken to be, for the Nearest policy.
	Region, Zone string
	Targets      []TargetExplanation
	Steps        []Step
}

// TargetExplanation tells why a target is answered, or not.
type TargetExplanation struct {
	Cluster string
	State   zone.State
	Weight  uint32
	Tier    uint16
	// Reason is a sentence of package balance.
	Reason string
	// Share of the traffic as an exact fraction, when every client picks evenly among the addresses it got.
	Share *big.Rat
}

// Step is a set of clusters that are answered together.
type Step struct {
	Clusters    []string
	Probability *big.Rat
}

// Explain resolves a question for a client and tells how the answer came about.
func Explain(s *zone.Snapshot, name wire.Name, t wire.Type, c zone.Client) (Explanation, error) {
	packet := append([]byte{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, name...)
	packet = binary.BigEndian.AppendUint16(packet, uint16(t))
	packet = binary.BigEndian.AppendUint16(packet, uint16(wire.ClassIN))
	var q wire.Query
	if verdict, rcode := wire.Parse(packet, &q); verdict != wire.Answer {
		return Explanation{}, fmt.Errorf("explaining %s %s: the question is malformed (%s)", name, t, rcode)
	}
	var r Response
	r.Resolve(s, &q, &c)
	e := Explanation{
		Name: name, Type: t, Rcode: r.Rcode, Authoritative: r.Authoritative,
		Answer: lines(name, r.Answer), Authority: lines(name, r.Authority), Additional: lines(name, r.Additional),
	}
	if s == nil {
		return e, nil
	}
	e.Serial = s.Serial()
	if r.Zone == nil {
		return e, nil
	}
	e.Origin = r.Zone.Origin
	last := name
	for i := range r.Answer {
		if r.Answer[i].Owner != "" {
			last = r.Answer[i].Owner
		}
	}
	e.Service = explainService(s, r.Zone, last, t, &c)
	return e, nil
}

func lines(question wire.Name, sets []Set) (out []string) {
	for i := range sets {
		owner := sets[i].Owner
		if owner == "" {
			owner = question
		}
		set := *sets[i].RRset
		set.Records = append(append([]byte(nil), set.Records[sets[i].First:]...), set.Records[:sets[i].First]...)
		out = append(out, zone.Lines(owner, &set)...)
	}
	return out
}

func explainService(
	s *zone.Snapshot, tree *zone.Tree, name wire.Name, t wire.Type, c *zone.Client,
) *ServiceExplanation {
	l := lookup{tree: tree}
	node := tree.Node([]byte(name))
	if node == nil {
		node = l.wildcard([]byte(name))
	}
	if node == nil || node.Balanced() == nil {
		return nil
	}
	b := node.Balanced()
	service := b.Service(name.String())
	e := &ServiceExplanation{Name: name, Policy: service.Policy, Answer: service.Answer, TTL: b.TTL}
	if e.Policy == "" {
		e.Policy = zone.Weighted
	}
	if e.Answer == "" {
		e.Answer = zone.Staircase
	}
	if e.Policy == zone.Nearest {
		e.Region, e.Zone = b.PlaceOf(s, c)
	}
	selection := service.Select(e.Region, e.Zone)
	e.Tier, e.Overflow = selection.Tier, selection.Overflow
	e.Degraded, e.FailOpen = selection.Degraded, selection.FailOpen
	plan := service.Plan(selection, t)
	for _, family := range []wire.Type{wire.TypeA, wire.TypeAAAA} {
		if len(plan.Sets) == 0 { // asked for another type: tell about the addresses all the same
			plan = service.Plan(selection, family)
		}
	}
	shares := plan.Shares(len(service.Targets))
	for i := range service.Targets {
		target := &service.Targets[i]
		state := target.State
		if state == "" {
			state = zone.Healthy
		}
		e.Targets = append(e.Targets, TargetExplanation{
			Cluster: target.Cluster, State: state, Weight: target.Weight, Tier: target.Tier,
			Reason: string(selection.Reasons[i]), Share: shares[i],
		})
	}
	for _, set := range plan.Sets {
		weight, total := new(big.Int).SetUint64(set.Weight), new(big.Int).SetUint64(plan.Total)
		step := Step{Probability: new(big.Rat).SetFrac(weight, total)}
		for _, i := range set.Members {
			step.Clusters = append(step.Clusters, service.Targets[i].Cluster)
		}
		e.Steps = append(e.Steps, step)
	}
	return e
}

// String is the explanation as text for a terminal.
func (e Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s", e.Name, e.Type, e.Rcode)
	if e.Authoritative {
		b.WriteString(", authoritative")
	}
	if e.Origin != "" {
		fmt.Fprintf(&b, ", zone %s serial %d", e.Origin, e.Serial)
	}
	b.WriteByte('\n')
	for _, section := range []struct {
		title string
		lines []string
	}{{"answer", e.Answer}, {"authority", e.Authority}, {"additional", e.Additional}} {
		for _, line := range section.lines {
			fmt.Fprintf(&b, "  %-10s  %s\n", section.title, line)
		}
	}
	if e.Service != nil {
		e.Service.write(&b)
	}
	return b.String()
}

func (e *ServiceExplanation) write(b *strings.Builder) {
	fmt.Fprintf(b, "service %s: %s, %s, TTL %d", e.Name, e.Policy, e.Answer, e.TTL)
	if e.Policy == zone.Failover {
		fmt.Fprintf(b, ", tier %d in use", e.Tier)
	}
	if e.Policy == zone.Nearest {
		fmt.Fprintf(b, ", client in region %q zone %q", e.Region, e.Zone)
	}
	if e.Overflow {
		b.WriteString(", others added: less of it is healthy than minHealthy")
	}
	if e.Degraded {
		b.WriteString(", degraded")
	}
	if e.FailOpen {
		b.WriteString(", FAIL-OPEN: no target is healthy, answering as if they were")
	}
	b.WriteByte('\n')
	for _, t := range e.Targets {
		fmt.Fprintf(b, "  %-20s weight %-7d tier %-3d %-10s %-18s %s\n",
			t.Cluster, t.Weight, t.Tier, t.State, percent(t.Share), t.Reason)
	}
	for _, s := range e.Steps {
		fmt.Fprintf(b, "  answered together: %-30s in %s\n", strings.Join(s.Clusters, ", "), percent(s.Probability))
	}
}

func percent(r *big.Rat) string {
	f, _ := new(big.Rat).Mul(r, big.NewRat(100, 1)).Float64()
	return fmt.Sprintf("%s (%.1f%%)", r.RatString(), f)
}
