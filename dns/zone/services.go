package zone

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/hanse-federation/hanse/dns/balance"
	"github.com/hanse-federation/hanse/dns/wire"
)

// addService checks and compiles a service and puts it at its name, with its SRV records.
func (b *builder) addService(s *Service, path where) {
	name, err := b.name(s.Name)
	if err != nil {
		b.add(err, "%s.name", path)
		return
	}
	before := len(*b.list)
	b.checkService(s, name, path)
	if len(*b.list) > before {
		return
	}
	n := b.node(name)
	if n.service != nil {
		b.add(fmt.Errorf("%w: %s", ErrDuplicate, name), "%s.name", path)
		return
	}
	n.service = compile(s, name, b.Origin, b.seed, b.header.TTL)
	b.checkNode(name, n, path)
	b.ports(s, name, n.service.TTL, path)
}

func (b *builder) checkService(s *Service, name wire.Name, path where) {
	switch s.Policy {
	case "", Weighted, Failover, Nearest:
	default:
		b.add(fmt.Errorf("%w: %q", ErrNotAllowed, s.Policy), "%s.policy", path)
	}
	switch s.Answer {
	case "", Staircase, Single, Sticky, All:
	default:
		b.add(fmt.Errorf("%w: %q", ErrNotAllowed, s.Answer), "%s.answer", path)
	}
	if s.MinHealthy < 0 || s.MinHealthy > 100 {
		b.add(fmt.Errorf("%w: must be 0 to 100 per cent", ErrOutOfRange), "%s.minHealthy", path)
	}
	b.checkTTL(s.TTL, path, ".ttl")
	b.checkTTL(s.TTLDegraded, path, ".ttlDegraded")
	for i := range s.Ports {
		b.checkPort(s, i, name, path)
	}
	for i := range s.Targets {
		t := &s.Targets[i]
		for j := range s.Targets[:i] {
			if s.Targets[j].Cluster == t.Cluster {
				b.add(fmt.Errorf("%w: %q", ErrDuplicate, t.Cluster), "%s.targets[%d].cluster", path, i)
			}
		}
		b.checkTarget(t, target{path, i})
	}
}

// target is a place in the input, like where.
type target struct {
	service where
	index   int
}

func (t target) String() string { return fmt.Sprintf("%s.targets[%d]", t.service, t.index) }

func (b *builder) checkTarget(t *Target, at target) {
	if t.Cluster == "" {
		b.add(ErrRequired, "%s.cluster", at)
	}
	if t.Weight > MaxWeight {
		b.add(fmt.Errorf("%w: more than %d", ErrOutOfRange, MaxWeight), "%s.weight", at)
	}
	switch t.State {
	case "", Healthy, Unhealthy, Unknown, Draining:
	default:
		b.add(fmt.Errorf("%w: %q", ErrNotAllowed, t.State), "%s.state", at)
	}
	for j, a := range t.Addresses {
		if _, err := addressType(a); err != nil {
			b.add(fmt.Errorf("%w: %q", err, a), "%s.addresses[%d]", at, j)
		}
		for _, other := range t.Addresses[:j] {
			if other.Unmap() == a.Unmap() {
				b.add(fmt.Errorf("%w: %s", ErrDuplicate, a), "%s.addresses[%d]", at, j)
			}
		}
	}
	if t.Hostname != "" {
		if _, err := wire.ParseName(t.Hostname, wire.Root); err != nil {
			b.add(fmt.Errorf("%w: %w", ErrMalformed, err), "%s.hostname", at)
		}
	}
	if t.Name != "" {
		if _, err := b.name(t.Name); err != nil {
			b.add(err, "%s.name", at)
		}
	}
}

func (b *builder) checkPort(s *Service, i int, name wire.Name, path where) {
	at := fmt.Sprintf("%s.ports[%d]", path, i)
	p := &s.Ports[i]
	if name.IsWildcard() {
		b.add(fmt.Errorf("%w: a service at a wildcard has no named ports", ErrNotAllowed), "%s", at)
	}
	if p.Name == "" || p.Protocol == "" {
		b.add(fmt.Errorf("%w: name and protocol", ErrRequired), "%s", at)
		return
	}
	if p.Port == 0 {
		b.add(fmt.Errorf("%w: 0", ErrOutOfRange), "%s.port", at)
	}
	if _, err := portName(p, name); err != nil {
		b.add(err, "%s.name", at)
	}
	for _, other := range s.Ports[:i] {
		if strings.EqualFold(other.Name, p.Name) && strings.EqualFold(other.Protocol, p.Protocol) {
			b.add(fmt.Errorf("%w: %s/%s", ErrDuplicate, p.Name, p.Protocol), "%s", at)
		}
	}
}

// portName is _port._protocol.<service> (RFC 2782).
func portName(p *Port, service wire.Name) (wire.Name, error) {
	protocol, err := service.Child("_" + p.Protocol)
	if err != nil {
		return "", err
	}
	return protocol.Child("_" + p.Name)
}

// ports publishes the SRV records of a service.
func (b *builder) ports(s *Service, name wire.Name, ttl uint32, path where) {
	var all setBuilder
	for i := range s.Ports {
		var one setBuilder
		for _, data := range b.srv(s, s.Ports[i].Port, name) {
			// Two ports with the same number give the same record at the service's own name: once is enough.
			_ = one.add(wire.TypeSRV, ttl, data)
			_ = all.add(wire.TypeSRV, ttl, data)
		}
		at, _ := portName(&s.Ports[i], name)
		b.derive(at, one.sets, element(path.String()+".ports", i))
	}
	if s.PortsAtName {
		b.derive(name, all.sets, field(path.String()+".portsAtName"))
	}
}

// srv is the data of the SRV records of one port: priority is the tier, weight the target's weight (RFC 2782). The
// client follows tiers by itself, so the usable targets of every tier are named.
func (b *builder) srv(s *Service, port uint16, service wire.Name) [][]byte {
	type entry struct {
		tier   uint16
		target wire.Name
		weight uint64
	}
	var entries []entry
	heaviest := uint64(1)
	selection := s.Select("", "")
	for i := range s.Targets {
		t := &s.Targets[i]
		switch selection.Reasons[i] {
		case balance.Chosen, balance.ChosenUnknown, balance.ChosenReserve, balance.FailedOpen, balance.OtherTier:
		default:
			continue
		}
		e := entry{target: service, weight: uint64(t.Weight)}
		if s.hasTiers() {
			e.tier = t.Tier
		}
		if t.Name != "" {
			e.target, _ = b.name(t.Name)
		} else if t.isHost() {
			e.target, _ = wire.ParseName(t.Hostname, wire.Root)
		}
		merged := false
		for j := range entries {
			if entries[j].target == e.target && entries[j].tier == e.tier {
				entries[j].weight += e.weight
				merged = true
			}
		}
		if !merged {
			entries = append(entries, e)
		}
	}
	for _, e := range entries {
		heaviest = max(heaviest, e.weight)
	}
	var out [][]byte
	for _, e := range entries {
		weight := e.weight
		if heaviest > 0xffff {
			weight = max(1, weight*0xffff/heaviest)
		}
		data := binary.BigEndian.AppendUint16(nil, e.tier)
		data = binary.BigEndian.AppendUint16(data, uint16(weight))
		data = binary.BigEndian.AppendUint16(data, port)
		out = append(out, append(data, e.target...))
	}
	return out
}
