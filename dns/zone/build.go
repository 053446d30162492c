package zone

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/hanse-federation/hanse/dns/sign"
	"github.com/hanse-federation/hanse/dns/wire"
)

// Build compiles a configuration. The error joins a FieldError for everything that is wrong; then there is no snapshot.
func Build(c Config) (*Snapshot, error) { return build(c, newProblems()) }

func build(c Config, p problems) (*Snapshot, error) {
	s := &Snapshot{
		serial:     c.Serial,
		seed:       c.Seed,
		secret:     c.Secret,
		generation: 1,
		trees:      make(map[wire.Name]*Tree, len(c.Zones)),
		networks:   newNetworks(c.Networks, p),
	}
	for i := range c.Zones {
		z := &c.Zones[i]
		tree := plant(z, s, p.in(z.Origin))
		if tree == nil {
			continue
		}
		if s.trees[tree.Origin] != nil {
			p.in(z.Origin).add(ErrDuplicate, "origin")
		}
		s.trees[tree.Origin] = tree
	}
	if p.err() == nil {
		s.delegate(p, nil)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	s.index()
	return s, nil
}

// Check says what is wrong with one zone, without regard to others.
func Check(z Zone) error {
	_, err := Build(Config{Zones: []Zone{z}})
	return err
}

// Misfits says which services of a zone cannot be served beside its records and the services before them, by their index.
// The error is what is wrong with the zone itself.
func Misfits(z Zone) (map[int]error, error) {
	p := newProblems()
	p.limit = math.MaxInt
	if _, err := build(Config{Zones: []Zone{z}}, p); err == nil {
		return nil, nil
	}
	misfits := map[int]error{}
	var rest []error
	for _, err := range *p.list {
		var at *FieldError
		i := -1
		if errors.As(err, &at) {
			if n, _ := fmt.Sscanf(at.Field, "services[%d]", &i); n == 1 {
				_, field, _ := strings.Cut(at.Field, "].")
				if misfits[i] == nil {
					misfits[i] = fmt.Errorf("%w%s", at.Err, inField(field))
				}
				continue
			}
		}
		rest = append(rest, err)
	}
	return misfits, errors.Join(rest...)
}

// inField says where in a service something is wrong.
func inField(field string) string {
	if field == "" || field == "name" {
		return ""
	}
	return " (" + field + ")"
}

// Update is s with changes made, under a new serial. Names that do not change are shared with s.
func (s *Snapshot) Update(serial uint32, changes ...Change) (*Snapshot, error) {
	p := newProblems()
	next := *s
	next.serial = serial
	next.generation++
	next.trees = maps.Clone(s.trees)
	drafts := map[wire.Name]*builder{}
	serials := map[wire.Name]uint32{}
	for i := range changes {
		c := &changes[i]
		in := p.in(c.Origin)
		origin, err := wire.ParseName(c.Origin, wire.Root)
		base := s.trees[origin]
		if err != nil || base == nil {
			in.add(ErrNoZone, "changes[%d].origin", i)
			continue
		}
		b := drafts[origin]
		if b == nil {
			b = &builder{draft: edit(base, next.generation), seed: s.seed, problems: in}
			drafts[origin] = b
		}
		b.change(c, fmt.Sprintf("changes[%d]", i))
		if c.Serial != 0 {
			serials[origin] = c.Serial
		}
	}
	for origin, b := range drafts {
		b.settle()
		b.setSOA(nextSerial(s.trees[origin], serials[origin], serial))
		next.trees[origin] = b.Tree
	}
	if p.err() == nil {
		next.delegate(p, s)
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	next.index()
	return &next, nil
}

// builder fills one tree.
type builder struct {
	draft
	problems
	seed uint64
}

// plant builds the tree of one zone.
func plant(z *Zone, s *Snapshot, p problems) *Tree {
	origin, err := wire.ParseName(z.Origin, wire.Root)
	if err != nil || z.Origin == "" || z.Origin == "@" {
		p.add(fmt.Errorf("%w: %q is no name", ErrMalformed, z.Origin), "origin")
		return nil
	}
	header := withoutData(z)
	header.NameServers = slices.Clone(z.NameServers)
	given := header
	if header.TTL == 0 {
		header.TTL = DefaultTTL
	}
	size := len(z.Records) + 2*len(z.Services)
	tree := &Tree{Origin: origin, ClientSubnet: z.ClientSubnet, given: given, header: header, source: sourceOf(z), names: newIndex(size)}
	b := &builder{draft: draft{Tree: tree, generation: s.generation, touched: &[]*Node{}}, seed: s.seed, problems: p}
	b.node(origin)
	b.nameServers()
	b.soa()
	b.keys()
	b.checkTransfer()
	b.checkUpdates()
	b.records(z.Records, "records")
	for i := range z.Services {
		b.addService(&z.Services[i], element("services", i))
	}
	b.settle()
	tree.setSOA(zoneSerial(z.Serial, s.serial))
	return tree
}

func (b *builder) name(text string) (wire.Name, error) {
	name, err := wire.ParseName(text, b.Origin)
	if err != nil {
		return "", err
	}
	if !name.IsAtOrBelow(b.Origin) {
		return name, ErrOutsideZone
	}
	return name, nil
}

func (b *builder) checkTTL(ttl uint32, path where, field string) {
	if ttl > MaxTTL {
		b.add(fmt.Errorf("%w: more than %d", ErrOutOfRange, MaxTTL), "%s%s", path, field)
	}
}

// nameServers makes the NS set of the apex and the addresses of the servers in the zone (RFC 1035 section 5.2).
func (b *builder) nameServers() {
	b.checkTTL(b.header.TTL, field(""), "ttl")
	if len(b.header.NameServers) == 0 {
		b.add(fmt.Errorf("%w: a zone has at least one (RFC 1035 section 5.2)", ErrRequired), "nameServers")
	}
	var ns setBuilder
	for i, server := range b.header.NameServers {
		path := fmt.Sprintf("nameServers[%d]", i)
		name, err := wire.ParseName(server.Name, b.Origin)
		if err != nil || server.Name == "" {
			b.add(fmt.Errorf("%w: %q is no name", ErrMalformed, server.Name), "%s.name", path)
			continue
		}
		if err := ns.add(wire.TypeNS, b.header.TTL, []byte(name)); err != nil {
			b.add(err, "%s.name", path)
		}
		if len(server.Addresses) == 0 {
			continue
		}
		if !name.IsAtOrBelow(b.Origin) {
			b.add(fmt.Errorf("%w: %s %w", ErrNotAllowed, server.Name, ErrOutsideZone), "%s.addresses", path)
			continue
		}
		var glue setBuilder
		for j, a := range server.Addresses {
			t, err := addressType(a)
			if err == nil {
				err = glue.add(t, b.header.TTL, a.Unmap().AsSlice())
			}
			if err != nil {
				b.add(err, "%s.addresses[%d]", path, j)
			}
		}
		b.derive(name, glue.sets, field(path+".name"))
	}
	b.derive(b.Origin, ns.sets, field("nameServers"))
}

func addressType(a netip.Addr) (wire.Type, error) {
	switch {
	case !a.IsValid() || a.Zone() != "":
		return 0, ErrMalformed
	case a.Unmap().Is4():
		return wire.TypeA, nil
	}
	return wire.TypeAAAA, nil
}

// soa checks the SOA fields and fills in what was left out.
func (b *builder) soa() {
	soa := &b.header.SOA
	for _, f := range []struct {
		value    *uint32
		fallback uint32
		name     string
	}{
		{&soa.Refresh, DefaultRefresh, "refresh"},
		{&soa.Retry, DefaultRetry, "retry"},
		{&soa.Expire, DefaultExpire, "expire"},
		{&soa.Minimum, DefaultMinimum, "minimum"},
		{&soa.TTL, DefaultSOATTL, "ttl"},
	} {
		if *f.value == 0 {
			*f.value = f.fallback
		}
		b.checkTTL(*f.value, field("soa."), f.name)
	}
	if soa.Primary == "" && len(b.header.NameServers) > 0 {
		soa.Primary = b.header.NameServers[0].Name
	}
	primary, err := wire.ParseName(soa.Primary, b.Origin)
	if err != nil {
		b.add(fmt.Errorf("%w: %w", ErrMalformed, err), "soa.primary")
		return
	}
	mailbox, err := parseMailbox(soa.Mailbox, b.Origin)
	if err != nil {
		b.add(fmt.Errorf("%w: %w", ErrMalformed, err), "soa.mailbox")
		return
	}
	soa.Primary, soa.Mailbox = primary.String(), mailbox.String()
}

// parseMailbox reads hostmaster@example.com, or the same as a name (RFC 1035 section 8). Empty is hostmaster at the
// origin.
func parseMailbox(s string, origin wire.Name) (wire.Name, error) {
	if s == "" {
		return origin.Child("hostmaster")
	}
	local, domain, isAddress := strings.Cut(s, "@")
	if !isAddress || s == "@" {
		return wire.ParseName(s, origin)
	}
	at, err := wire.ParseName(domain, wire.Root)
	if err != nil {
		return "", err
	}
	return at.Child(local)
}

// keys makes the signer of the zone and the sets that tell of its keys.
func (b *builder) keys() {
	if len(b.header.Keys) == 0 {
		return
	}
	keys := make([]sign.Key, 0, len(b.header.Keys))
	for i, k := range b.header.Keys {
		key, err := sign.NewKey(k.Private, k.Stage)
		if err != nil {
			b.add(err, "keys[%d]", i)
			continue
		}
		keys = append(keys, key)
	}
	signer, err := sign.NewSigner(b.Origin, keys)
	if err != nil {
		b.add(err, "keys")
		return
	}
	b.signer = signer
	b.derive(b.Origin, signer.Apex(), field("keys"))
}

// zoneSerial is the serial of a zone for which one is given, or 0, in a configuration: never later than the
// configuration's.
func zoneSerial(given, configuration uint32) uint32 {
	if given == 0 || isBefore(configuration, given) {
		return configuration
	}
	return given
}

// nextSerial is the serial of a zone that has changed: the given one if it is later than before, otherwise that of the
// configuration.
func nextSerial(before *Tree, given, configuration uint32) uint32 {
	if serial := zoneSerial(given, configuration); isBefore(before.Serial(), serial) {
		return serial
	}
	return configuration
}

// setSOA makes the SOA sets for a serial. Names in the header have been checked.
func (t *Tree) setSOA(serial uint32) {
	soa := t.header.SOA
	primary, _ := wire.ParseName(soa.Primary, wire.Root)
	mailbox, _ := wire.ParseName(soa.Mailbox, wire.Root)
	data := append([]byte(primary), mailbox...)
	for _, v := range []uint32{serial, soa.Refresh, soa.Retry, soa.Expire, soa.Minimum} {
		data = append(data, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
	t.SOA = wire.NewRRset(wire.TypeSOA, soa.TTL, data)
	t.Negative = wire.NewRRset(wire.TypeSOA, min(soa.TTL, soa.Minimum), data)
}

// records adds static records; path is where they stand in what the user gave.
func (b *builder) records(records []Record, path string) {
	byName := map[wire.Name]*setBuilder{}
	var order []wire.Name
	for i := range records {
		r := &records[i]
		at := element(path, i)
		name, err := b.name(r.Name)
		if err != nil {
			b.add(err, "%s.name", at)
			continue
		}
		t, ok := recordTypes[strings.ToUpper(r.Type)]
		if !ok {
			b.add(fmt.Errorf("%w: type %q", ErrNotAllowed, r.Type), "%s.type", at)
			continue
		}
		b.checkTTL(r.TTL, at, ".ttl")
		ttl := r.TTL
		if ttl == 0 {
			ttl = b.header.TTL
		}
		if err := b.mayHold(name, t); err != nil {
			b.add(err, "%s.type", at)
			continue
		}
		data, err := parseData(t, r.Data, b.Origin)
		if err != nil {
			b.add(err, "%s.data", at)
			continue
		}
		sets := byName[name]
		if sets == nil {
			sets = &setBuilder{}
			byName[name] = sets
			order = append(order, name)
		}
		if err := sets.add(t, ttl, data); err != nil {
			b.add(err, "%s", at)
		}
	}
	for _, name := range order {
		n := b.node(name)
		derived := slices.Clone(n.sets[n.static:])
		sets := byName[name].sets
		for i := range sets {
			if n.RRset(sets[i].Type) != nil {
				b.add(ErrConflict, "%s: %s %s", path, name, sets[i].Type)
			}
			if sets[i].Type == wire.TypeNS {
				b.cuts++
			}
		}
		n.static = uint16(len(sets))
		n.sets = append(append(n.one[:0:1], sets...), derived...)
		b.checkNode(name, n, elementsOf(path, name))
	}
}

// mayHold refuses types that have no place at a name.
func (b *builder) mayHold(name wire.Name, t wire.Type) error {
	isApex := name == b.Origin
	switch {
	case t == wire.TypeCNAME && isApex:
		return ErrCNAMEAtApex
	case t == wire.TypeNS && isApex:
		return fmt.Errorf("%w: the NS records of the origin come from nameServers", ErrNotAllowed)
	case t == wire.TypeNS && name.IsWildcard():
		return fmt.Errorf("%w: NS at a wildcard (RFC 4592 section 4.2)", ErrNotAllowed)
	case t == wire.TypeDS && isApex:
		return fmt.Errorf("%w: DS belongs to the parent zone (RFC 4035 section 2.4)", ErrNotAllowed)
	}
	return nil
}

// derive adds record sets that follow from other fields than Records.
func (b *builder) derive(name wire.Name, sets []wire.RRset, path where) {
	n := b.node(name)
	for _, set := range sets {
		if n.RRset(set.Type) != nil || n.service != nil && (set.Type == wire.TypeA || set.Type == wire.TypeAAAA) {
			b.add(fmt.Errorf("%w: %s %s", ErrConflict, name, set.Type), "%s", path)
			continue
		}
		n.sets = append(n.sets, set)
	}
	b.checkNode(name, n, path)
}

// underive takes a derived set out again.
func (b *builder) underive(name wire.Name, t wire.Type) {
	if b.Node([]byte(name)) == nil {
		return
	}
	n := b.node(name)
	for i := int(n.static); i < len(n.sets); i++ {
		if n.sets[i].Type == t {
			n.sets = append(n.sets[:i:i], n.sets[i+1:]...)
			break
		}
	}
	b.prune(name)
}

// checkNode checks what the data at one name may not be together.
func (b *builder) checkNode(name wire.Name, n *Node, path where) {
	cname := n.RRset(wire.TypeCNAME)
	switch {
	case cname == nil:
	case cname.Count > 1, len(n.sets) > 1, n.service != nil:
		b.add(ErrCNAMEBesideData, "%s", path)
	}
	if n.service != nil {
		switch {
		case n.RRset(wire.TypeA) != nil, n.RRset(wire.TypeAAAA) != nil:
			b.add(fmt.Errorf("%w: addresses come from the service", ErrConflict), "%s", path)
		case n.service.hasHost && name == b.Origin:
			b.add(fmt.Errorf("a target with a host name instead of addresses: %w", ErrCNAMEAtApex), "%s", path)
		case n.service.hasHost && len(n.sets) > 0:
			b.add(fmt.Errorf("a target with a host name instead of addresses: %w", ErrCNAMEBesideData), "%s", path)
		}
	}
	if name != b.Origin && n.RRset(wire.TypeNS) != nil {
		for i := range n.sets {
			switch n.sets[i].Type {
			case wire.TypeNS, wire.TypeDS, wire.TypeA, wire.TypeAAAA:
			default:
				b.add(fmt.Errorf("%w: %s at a delegation", ErrConflict, n.sets[i].Type), "%s", path)
			}
		}
		if n.service != nil {
			b.add(fmt.Errorf("%w: a service at a delegation", ErrConflict), "%s", path)
		}
	}
}

// change replaces the data at one name.
func (b *builder) change(c *Change, path string) {
	name, err := b.name(c.Name)
	if err != nil {
		b.add(err, "%s.name", path)
		return
	}
	b.clear(name)
	for i := range c.Records {
		if n, err := b.name(c.Records[i].Name); err != nil || n != name {
			b.add(fmt.Errorf("%w: must be the name of the change", ErrNotAllowed), "%s.records[%d].name", path, i)
			return
		}
	}
	b.records(c.Records, path+".records")
	if c.Service != nil {
		if n, err := b.name(c.Service.Name); err != nil || n != name {
			b.add(fmt.Errorf("%w: must be the name of the change", ErrNotAllowed), "%s.service.name", path)
			return
		}
		b.addService(c.Service, field(path+".service"))
	}
	b.prune(name)
}

// clear takes away the static records and the service of a name, and what was derived from the service.
func (b *builder) clear(name wire.Name) {
	if b.Node([]byte(name)) == nil {
		return
	}
	n := b.node(name)
	for i := range n.sets[:n.static] {
		if n.sets[i].Type == wire.TypeNS {
			b.cuts--
		}
	}
	n.sets, n.static = n.sets[n.static:], 0
	service := n.service
	n.service = nil
	if service == nil {
		return
	}
	given := service.Service("")
	for i := range given.Ports {
		if port, err := portName(&given.Ports[i], name); err == nil {
			b.underive(port, wire.TypeSRV)
		}
	}
	if given.PortsAtName {
		b.underive(name, wire.TypeSRV)
	}
}
