package zone

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"unsafe"

	"github.com/hanse-federation/hanse/dns/balance"
	"github.com/hanse-federation/hanse/dns/wire"
)

// MaxAddresses is the most addresses one balanced answer has, unless more targets than that must each be named.
const MaxAddresses = 8

// maxVariants bounds how many rotations of addresses are kept for one set of targets.
const maxVariants = 64

// Balanced is a compiled Service: every answer it can give, ready to be written, and how to draw one.
type Balanced struct {
	// Degraded and FailOpen are those of the selection without regard to the client's place.
	Degraded, FailOpen bool
	// TTL is the one in effect, in seconds.
	TTL uint32

	isJoint bool   // the draws for different types must agree
	hasHost bool   // a target has a host name instead of addresses
	key     uint64 // hash of the name, with the snapshot's seed
	name    wire.Name
	given   packed // the service as it was given
	plan    families
	near    []nearPlan
}

// Service is the service as it was given, under a name.
func (b *Balanced) Service(name string) *Service { return b.given.service(name) }

// Name is that of the service.
func (b *Balanced) Name() wire.Name { return b.name }

// Key tells the service from all others, and stays when it changes.
func (b *Balanced) Key() uint64 { return b.key }

// families has one choice per family: A, AAAA, and every other type (which only a CNAME can answer). nil: nothing to
// answer.
type families [3]*choice

const (
	familyA = iota
	familyAAAA
	familyOther
)

// nearPlan is the plan for clients in one place.
type nearPlan struct {
	region, zone string
	// centre of a region, if isLocated.
	centre    point
	isLocated bool
	plan      families
}

// choice is a list of possible answers and their weights.
type choice struct {
	total  uint64 // of the steps' weights
	steps  []step
	sets   []wire.RRset // of all steps, one after another
	sticky *stickyPlan  // of services that are drawn by the client
	// Where steps and sets begin: most services have few, which are at hand then.
	fewSteps [3]step
	fewSets  [3]wire.RRset
}

// step is what a set of targets is answered with: one of its record sets, drawn evenly, and in that the records of one
// target first, drawn evenly too, because many clients take the first address they get and not every resolver shuffles.
type step struct {
	weight uint64
	// Its sets are count of choice.sets, beginning with from.
	from  uint32
	count uint16
	// stride is the number of records that belong together.
	stride uint16
}

// stickyPlan has what rendezvous hashing needs: the plan, and one key for each of its sets.
type stickyPlan struct {
	plan balance.Plan
	keys []uint64
}

// Client is what an answer may depend on.
type Client struct {
	// Addr is the address the query came from.
	Addr netip.Addr
	// Subnet is the EDNS Client Subnet (RFC 7871); it stands for Addr in zones that allow that. Not valid: there is
	// none.
	Subnet netip.Prefix
	// Random is a fresh number for each query, spread evenly over all 64-bit numbers.
	Random uint64
	// Geography knows where addresses are that no Network places; nil: nobody does.
	Geography Geography
	// Window numbers the current two-second window: A, AAAA and HTTPS queries of one lookup fall into the same one,
	// nearly always.
	Window uint64
}

// WindowSeconds is the length of a Client.Window.
const WindowSeconds = 2

// Widths of the client network that draws depend on, in bits: hosts of one site should agree.
const (
	PrefixV4 = 24
	PrefixV6 = 56
)

// networkKey hashes the network of the client.
func (c *Client) networkKey() uint64 {
	addr := c.Addr.Unmap()
	if addr.Is4() {
		b := addr.As4()
		return balance.Mix(uint64(binary.BigEndian.Uint32(b[:]) >> (32 - PrefixV4)))
	}
	b := addr.As16()
	return balance.Mix(1<<63 | binary.BigEndian.Uint64(b[:8])>>(64-PrefixV6))
}

// types are those that a draw can answer with.
func (b *Balanced) types() []wire.Type {
	var types []wire.Type
	add := func(plan *families) {
		for _, ch := range plan {
			if ch == nil {
				continue
			}
			for i := range ch.sets {
				if !slices.Contains(types, ch.sets[i].Type) {
					types = append(types, ch.sets[i].Type)
				}
			}
		}
	}
	add(&b.plan)
	for i := range b.near {
		add(&b.near[i].plan)
	}
	return types
}

// Draw is the answer of the service for a client: a set of type t, or a CNAME, or nil if there is nothing of that type
// (NODATA). first is the offset in its records of the one that comes first. scope is the number of leading bits of the
// client's address that the answer depended on, in the sense of RFC 7871.
func (b *Balanced) Draw(s *Snapshot, t wire.Type, c *Client) (set *wire.RRset, first int, scope uint8) {
	plan := &b.plan
	if b.near != nil {
		var region, zone string
		region, zone, scope = b.place(s, c)
		plan = b.planFor(region, zone)
	}
	ch := plan[familyOf(t)]
	if ch == nil {
		return nil, 0, scope
	}
	draw, at := c.Random, 0
	if b.isJoint {
		draw = balance.Combine(balance.Combine(b.key, c.networkKey()), c.Window)
	}
	switch {
	case ch.sticky != nil:
		at = ch.sticky.plan.Sticky(balance.Combine(b.key, c.networkKey()), ch.sticky.keys)
		scope = max(scope, stickyScope(c.Addr))
	case len(ch.steps) > 1:
		at = ch.pick(draw)
	}
	set, first = ch.draw(&ch.steps[at], draw)
	return set, first, scope
}

// pick is the step for a draw, which must be spread evenly over all 64-bit numbers.
func (ch *choice) pick(draw uint64) int {
	at := balance.Scale(draw, ch.total)
	for i := range ch.steps {
		if at < ch.steps[i].weight {
			return i
		}
		at -= ch.steps[i].weight
	}
	return len(ch.steps) - 1
}

// draw takes one of the sets of a step; what number picked the step picks here too, mixed so that the two are
// independent.
func (ch *choice) draw(s *step, number uint64) (set *wire.RRset, first int) {
	switch s.count {
	case 0:
		return nil, 0
	case 1:
		set = &ch.sets[s.from]
	default:
		number = balance.Mix(number)
		set = &ch.sets[uint64(s.from)+balance.Scale(number, uint64(s.count))]
	}
	if set.Count > s.stride {
		turns := uint64(set.Count / s.stride)
		group := len(set.Records) / int(set.Count) * int(s.stride)
		first = int(balance.Scale(balance.Mix(number), turns)) * group
	}
	return set, first
}

// Static is what stands for the service where answers cannot be drawn: for each family the largest set that is
// answered, or one CNAME.
func (b *Balanced) Static() []*wire.RRset {
	var out []*wire.RRset
	for _, ch := range b.plan {
		if ch == nil {
			continue
		}
		var best *wire.RRset
		for i := range ch.steps {
			if s := &ch.steps[i]; s.count > 0 && (best == nil || ch.sets[s.from].Count > best.Count) {
				best = &ch.sets[s.from]
			}
		}
		if best != nil && best.Type == wire.TypeCNAME {
			return []*wire.RRset{best}
		}
		if best != nil {
			out = append(out, best)
		}
	}
	return out
}

func familyOf(t wire.Type) int {
	switch t {
	case wire.TypeA:
		return familyA
	case wire.TypeAAAA:
		return familyAAAA
	}
	return familyOther
}

func stickyScope(addr netip.Addr) uint8 {
	if addr.Unmap().Is4() {
		return PrefixV4
	}
	return PrefixV6
}

func (b *Balanced) planFor(region, zone string) *families {
	best := &b.plan
	for i := range b.near {
		n := &b.near[i]
		if n.region == region && (n.zone == "" || n.zone == zone) {
			best = &n.plan // places with a zone come after the one of their region
		}
	}
	return best
}

// compile works out every answer of a service. The service has been checked.
func compile(s *Service, name wire.Name, origin wire.Name, seed uint64, zoneTTL uint32) *Balanced {
	b := &Balanced{given: pack(s), key: balance.HashString(seed, string(name)), TTL: zoneTTL}
	if s.TTL != 0 {
		b.TTL = s.TTL
	}
	selection := s.Select("", "")
	b.Degraded, b.FailOpen = selection.Degraded, selection.FailOpen
	if b.Degraded && s.TTLDegraded != 0 {
		b.TTL = min(b.TTL, s.TTLDegraded)
	}
	b.hasHost = s.hasHostname()
	b.isJoint = b.hasHost || s.hasBothFamilies()
	c := compiler{service: s, origin: origin, ttl: b.TTL, key: b.key}
	b.plan = c.families(selection)
	if s.Policy == Nearest {
		for _, p := range s.places() {
			n := nearPlan{region: p[0], zone: p[1], plan: c.families(s.Select(p[0], p[1]))}
			if n.zone == "" {
				n.centre, n.isLocated = s.centre(n.region)
			}
			b.near = append(b.near, n)
		}
	}
	b.settle(name)
	return b
}

// Select says which targets may be answered to clients in a place; the place matters for the Nearest policy only.
func (s *Service) Select(region, zone string) balance.Selection {
	targets := make([]balance.Target, len(s.Targets))
	ranks := s.ranks(region, zone)
	for i := range s.Targets {
		t := &s.Targets[i]
		targets[i] = balance.Target{
			ID:       t.Cluster,
			Weight:   t.Weight,
			Capacity: t.Capacity,
			State:    t.State.balance(),
			Absent:   len(t.Addresses) == 0 && t.Hostname == "",
			Tier:     ranks[i],
		}
	}
	return balance.Select(targets, balance.Floor{Percent: s.MinHealthy, AddAll: s.OverflowAll})
}

func (s State) balance() balance.State {
	switch s {
	case Unhealthy:
		return balance.Unhealthy
	case Unknown:
		return balance.Unknown
	case Draining:
		return balance.Draining
	}
	return balance.Healthy
}

// places are the distinct regions of the targets, and then their distinct zones.
func (s *Service) places() [][2]string {
	seen := map[[2]string]bool{}
	var regions, zones [][2]string
	for i := range s.Targets {
		t := &s.Targets[i]
		if r := [2]string{t.Region, ""}; t.Region != "" && !seen[r] {
			seen[r] = true
			regions = append(regions, r)
		}
		if z := [2]string{t.Region, t.Zone}; t.Region != "" && t.Zone != "" && !seen[z] {
			seen[z] = true
			zones = append(zones, z)
		}
	}
	return append(regions, zones...)
}

func (s *Service) hasBothFamilies() bool {
	var has [2]bool
	for i := range s.Targets {
		for _, a := range s.Targets[i].Addresses {
			has[addressFamily(a)] = true
		}
	}
	return has[familyA] && has[familyAAAA]
}

func (s *Service) hasHostname() bool {
	for i := range s.Targets {
		if s.Targets[i].isHost() {
			return true
		}
	}
	return false
}

// Data is what the records that name the target alone have as their data: of A and AAAA, or of CNAME.
func (t *Target) Data() [][]byte {
	if t.isHost() {
		name, _ := wire.ParseName(t.Hostname, wire.Root)
		return [][]byte{[]byte(name)}
	}
	var data [][]byte
	for _, a := range t.Addresses {
		data = append(data, a.Unmap().AsSlice())
	}
	return data
}

func (t *Target) isHost() bool { return len(t.Addresses) == 0 && t.Hostname != "" }

func addressFamily(a netip.Addr) int {
	if a.Unmap().Is4() {
		return familyA
	}
	return familyAAAA
}

// Plan is the list of sets of targets that an answer of type A or AAAA is drawn from.
func (s *Service) Plan(selection balance.Selection, t wire.Type) balance.Plan {
	return compiler{service: s}.plan(selection, familyOf(t))
}

// compiler turns selections into answers.
type compiler struct {
	service *Service
	origin  wire.Name
	ttl     uint32
	key     uint64
}

func (c compiler) families(selection balance.Selection) (f families) {
	for family := range f {
		if plan := c.plan(selection, family); len(plan.Sets) > 0 {
			f[family] = c.choice(plan, family)
		}
	}
	return f
}

func (c compiler) choice(plan balance.Plan, family int) *choice {
	ch := &choice{total: plan.Total}
	ch.steps, ch.sets = ch.fewSteps[:0], ch.fewSets[:0]
	if c.service.Answer == Sticky {
		ch.sticky = &stickyPlan{plan: plan, keys: make([]uint64, len(plan.Sets))}
	}
	for i := range plan.Sets {
		members := plan.Sets[i].Members
		sets, stride := c.variants(members, family)
		ch.steps = append(ch.steps, step{
			weight: plan.Sets[i].Weight, from: uint32(len(ch.sets)), count: uint16(len(sets)), stride: stride,
		})
		ch.sets = append(ch.sets, sets...)
		if ch.sticky != nil {
			ch.sticky.keys[i] = balance.HashString(c.key, c.service.Targets[members[0]].Cluster)
			plan.Sets[i].Members = nil // only Explain asks for them
		}
	}
	return ch
}

// settle puts the name and the records of all answers side by side, where one read of memory fetches most of them.
func (b *Balanced) settle(name wire.Name) {
	size := len(name)
	for ch := range b.choices {
		size += len(ch.move(nil))
	}
	slab := append(make([]byte, 0, size), name...)
	b.name = wire.Name(unsafe.String(&slab[0], len(name))) // what has been written to slab never changes
	for ch := range b.choices {
		slab = ch.move(slab)
	}
}

func (b *Balanced) choices(yield func(*choice) bool) {
	for _, ch := range b.plan {
		if ch != nil && !yield(ch) {
			return
		}
	}
	for i := range b.near {
		for _, ch := range b.near[i].plan {
			if ch != nil && !yield(ch) {
				return
			}
		}
	}
}

// move appends the records to slab, and lets the sets have them there. Those that begin like the longest share its
// memory: of a staircase that is all.
func (ch *choice) move(slab []byte) []byte {
	var longest []byte
	for i := range ch.sets {
		if len(ch.sets[i].Records) > len(longest) {
			longest = ch.sets[i].Records
		}
	}
	slab = append(slab, longest...)
	longest = slab[len(slab)-len(longest):]
	for i := range ch.sets {
		set := &ch.sets[i]
		n := len(set.Records)
		if bytes.HasPrefix(longest, set.Records) {
			set.Records = longest[:n:n]
			continue
		}
		slab = append(slab, set.Records...)
		set.Records = slab[len(slab)-n : len(slab) : len(slab)]
	}
	return slab
}

// plan lists the sets of targets for one family.
//
// When one of the eligible targets only has a host name, its CNAME must stand alone and be the answer for every type;
// then one target is drawn, the same for every type. Otherwise a family is drawn among those eligible targets that have
// addresses of it: the tier has been decided for both families together, so that a client never leaves it for an
// address of the other family.
func (c compiler) plan(selection balance.Selection, family int) balance.Plan {
	if c.anyHost(selection) {
		return balance.Single(selection)
	}
	if family == familyOther {
		return balance.Plan{}
	}
	n := len(selection.Eligible)
	own := balance.Selection{Eligible: make([]int, 0, n), Weights: make([]uint64, 0, n)}
	for k, i := range selection.Eligible {
		if c.hasFamily(i, family) {
			own.Eligible = append(own.Eligible, i)
			own.Weights = append(own.Weights, selection.Weights[k])
		}
	}
	switch c.service.Answer {
	case Single, Sticky:
		return balance.Single(own)
	case All:
		return balance.All(own)
	}
	return balance.Staircase(own)
}

func (c compiler) anyHost(selection balance.Selection) bool {
	for _, i := range selection.Eligible {
		if c.service.Targets[i].isHost() {
			return true
		}
	}
	return false
}

func (c compiler) hasFamily(target, family int) bool {
	for _, a := range c.service.Targets[target].Addresses {
		if addressFamily(a) == family {
			return true
		}
	}
	return false
}

func (c compiler) addresses(target, family int) []netip.Addr {
	out := make([]netip.Addr, 0, len(c.service.Targets[target].Addresses))
	for _, a := range c.service.Targets[target].Addresses {
		if addressFamily(a) == family {
			out = append(out, a.Unmap())
		}
	}
	return out
}

// variants are the record sets that a set of targets is answered with.
//
// Each target gets the same number of records, because a client picks among records, not among targets. Targets with
// more addresses than that take turns with them over the variants. Records of one target stay together.
func (c compiler) variants(members []int, family int) (sets []wire.RRset, stride uint16) {
	if t := &c.service.Targets[members[0]]; t.isHost() {
		name, _ := wire.ParseName(t.Hostname, wire.Root)
		return []wire.RRset{wire.NewRRset(wire.TypeCNAME, c.ttl, []byte(name))}, 1
	}
	if family == familyOther {
		return nil, 0
	}
	lists := make([][]netip.Addr, 0, len(members))
	for _, i := range members {
		if l := c.addresses(i, family); len(l) > 0 {
			lists = append(lists, l)
		}
	}
	if len(lists) == 0 {
		return nil, 0
	}
	if c.service.Answer == All {
		return c.windows(lists), 1
	}
	each := max(1, MaxAddresses/len(lists))
	for _, l := range lists {
		each = min(each, len(l))
	}
	turns := 1
	for _, l := range lists {
		if len(l) > each || len(lists) > 1 { // a single list of which all is answered turns by its records
			turns = min(lcm(turns, len(l)), maxVariants)
		}
	}
	sets, stride = make([]wire.RRset, turns), uint16(each)
	if len(lists) == 1 {
		stride = 1
	}
	for v := range sets {
		chosen := make([]netip.Addr, 0, each*len(lists))
		for _, l := range lists {
			for j := range each {
				chosen = append(chosen, l[(v+j)%len(l)])
			}
		}
		sets[v] = c.addressSet(chosen)
		if int(sets[v].Count) != len(chosen) {
			stride = 1 // targets share an address, so that records no longer come in equal groups
		}
	}
	return sets, stride
}

// windows are the variants without weights: all addresses, or, where there are too many, MaxAddresses at a time.
func (c compiler) windows(lists [][]netip.Addr) []wire.RRset {
	var all []netip.Addr
	for _, l := range lists {
		all = append(all, l...)
	}
	if len(all) <= MaxAddresses {
		return []wire.RRset{c.addressSet(all)}
	}
	sets := make([]wire.RRset, min(len(all), maxVariants))
	for v := range sets {
		start := v * len(all) / len(sets)
		chosen := make([]netip.Addr, MaxAddresses)
		for j := range chosen {
			chosen[j] = all[(start+j)%len(all)]
		}
		sets[v] = c.addressSet(chosen)
	}
	return sets
}

func (c compiler) addressSet(addrs []netip.Addr) wire.RRset {
	t := wire.TypeAAAA
	if addrs[0].Is4() {
		t = wire.TypeA
	}
	set := wire.RRset{Type: t, TTL: c.ttl, Records: make([]byte, 0, len(addrs)*wire.RecordSize(addrs[0].BitLen()/8))}
	for i, a := range addrs {
		if !slices.Contains(addrs[:i], a) { // two targets may share an address (RFC 2181 section 5: no duplicates)
			set.Records = appendAddress(set.Records, t, c.ttl, a)
			set.Count++
		}
	}
	return set
}

func appendAddress(dst []byte, t wire.Type, ttl uint32, a netip.Addr) []byte {
	if a.Is4() {
		b := a.As4()
		return wire.AppendRecord(dst, t, ttl, b[:])
	}
	b := a.As16()
	return wire.AppendRecord(dst, t, ttl, b[:])
}

func lcm(a, b int) int {
	x, y := a, b
	for y != 0 {
		x, y = y, x%y
	}
	return a / x * b
}
