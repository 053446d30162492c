package zone

import (
	"encoding/binary"
	"math"
	"net/netip"
)

// packed is a Service in as few octets as it takes, without its name: a snapshot has one for each balanced name, and
// looks at it only to explain, to compare or to save. Equal services, names aside, are equal packed.
type packed string

// pack is the inverse of packed.service.
func pack(s *Service) packed {
	p := packer{data: make([]byte, 0, 128)}
	p.service(s)
	return packed(p.data)
}

// service unpacks; name is put into it.
func (p packed) service(name string) *Service {
	s := &Service{Name: name}
	u := unpacker{rest: string(p)}
	u.service(s)
	return s
}

// packer writes numbers as varints, and texts with their length before them.
type packer struct{ data []byte }

func (p *packer) number(v uint64) { p.data = binary.AppendUvarint(p.data, v) }

func (p *packer) text(s string) {
	p.number(uint64(len(s)))
	p.data = append(p.data, s...)
}

func (p *packer) flag(v bool) {
	if v {
		p.number(1)
		return
	}
	p.number(0)
}

// service writes everything but the name.
func (p *packer) service(s *Service) {
	p.text(string(s.Policy))
	p.text(string(s.Answer))
	p.number(uint64(s.TTL))
	p.number(uint64(s.TTLDegraded))
	p.number(uint64(s.MinHealthy))
	p.flag(s.OverflowAll)
	p.flag(s.PortsAtName)
	p.text(s.Home.Cluster)
	p.text(s.Home.Region)
	p.number(uint64(len(s.Ports)))
	for i := range s.Ports {
		port := &s.Ports[i]
		p.text(port.Name)
		p.text(port.Protocol)
		p.number(uint64(port.Port))
	}
	p.number(uint64(len(s.Targets)))
	for i := range s.Targets {
		p.target(&s.Targets[i])
	}
}

func (p *packer) target(t *Target) {
	p.text(t.Cluster)
	p.number(uint64(len(t.Addresses)))
	for _, a := range t.Addresses {
		octets, _ := a.MarshalBinary() // there is no error; an invalid address is empty
		p.text(string(octets))
	}
	p.text(t.Hostname)
	p.number(uint64(t.Weight))
	p.number(uint64(t.Capacity))
	p.number(uint64(t.Tier))
	p.text(string(t.State))
	p.text(t.Name)
	p.text(t.Region)
	p.text(t.Zone)
	p.flag(t.Location != nil)
	if t.Location != nil {
		p.number(math.Float64bits(t.Location.Latitude))
		p.number(math.Float64bits(t.Location.Longitude))
	}
}

// unpacker reads what a packer wrote. After something that no packer writes isBad is set, and nothing is left to read.
type unpacker struct {
	rest  string
	isBad bool
	// isSecond reports that the data is from a file of version 2, which has neither OverflowAll nor Capacity.
	isSecond bool
}

func (u *unpacker) fail() {
	u.rest, u.isBad = "", true
}

func (u *unpacker) number() (v uint64) {
	for shift := 0; shift < 64 && u.rest != ""; shift += 7 {
		c := u.rest[0]
		u.rest = u.rest[1:]
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	u.fail()
	return 0
}

// count is the number of things that follow, each at least one octet long.
func (u *unpacker) count() int {
	n := u.number()
	if n > uint64(len(u.rest)) {
		u.fail()
		return 0
	}
	return int(n)
}

func (u *unpacker) text() string {
	n := u.count()
	s := u.rest[:n]
	u.rest = u.rest[n:]
	return s
}

func (u *unpacker) flag() bool { return u.number() == 1 }

func (u *unpacker) service(s *Service) {
	s.Policy, s.Answer = Policy(u.text()), Answer(u.text())
	s.TTL, s.TTLDegraded = uint32(u.number()), uint32(u.number())
	s.MinHealthy = int(u.number())
	if !u.isSecond {
		s.OverflowAll = u.flag()
	}
	s.PortsAtName = u.flag()
	s.Home = Home{Cluster: u.text(), Region: u.text()}
	if n := u.count(); n > 0 {
		s.Ports = make([]Port, n)
	}
	for i := range s.Ports {
		s.Ports[i] = Port{Name: u.text(), Protocol: u.text(), Port: uint16(u.number())}
	}
	if n := u.count(); n > 0 {
		s.Targets = make([]Target, n)
	}
	for i := range s.Targets {
		u.target(&s.Targets[i])
	}
}

func (u *unpacker) target(t *Target) {
	t.Cluster = u.text()
	if n := u.count(); n > 0 {
		t.Addresses = make([]netip.Addr, n)
	}
	for i := range t.Addresses {
		if t.Addresses[i].UnmarshalBinary([]byte(u.text())) != nil {
			u.fail()
		}
	}
	t.Hostname = u.text()
	t.Weight = uint32(u.number())
	if !u.isSecond {
		t.Capacity = uint32(u.number())
	}
	t.Tier = uint16(u.number())
	t.State, t.Name, t.Region, t.Zone = State(u.text()), u.text(), u.text(), u.text()
	if u.flag() {
		t.Location = &Location{math.Float64frombits(u.number()), math.Float64frombits(u.number())}
	}
}
