package answer

import (
	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// Extended errors (RFC 8914, RFC 9824 section 3.4).
const (
	OtherError      uint16 = 0
	NoExtendedError uint16 = 0xffff
	NotReady        uint16 = 14
	NotAuthorative  uint16 = 20
	InvalidType     uint16 = 30
)

// maxLinks bounds a CNAME chain.
const maxLinks = 12

// Response is what Resolve found. It may be used again and again; Resolve starts it over.
type Response struct {
	Rcode         wire.Rcode
	Authoritative bool
	Answer        []Set
	Authority     []Set
	Additional    []Set
	// ExtendedError is a code of RFC 8914, or NoExtendedError.
	ExtendedError uint16
	// Scope is the number of leading bits of the client's address that the answer depended on.
	Scope uint8
	// Zone is the one that answered, or nil.
	Zone *zone.Tree
	// Denied is what the response says is not there, if it says so.
	Denied Denial

	// Wildcard is the node that stands for the name of the question; nil: the name exists, or nothing stands for it.
	Wildcard *zone.Node

	client zone.Client
}

// Denial is a statement that a name has no data of some type.
type Denial struct {
	// Is reports whether there is one.
	Is bool
	// Owner is empty for the name of the question.
	Owner wire.Name
	// Node is that of the name, or of the wildcard that stands for it; nil: the name does not exist.
	Node *zone.Node
	// IsReferral: what is denied is DS, at the delegation that the response refers to.
	IsReferral bool
}

// Set is a record set under its owner.
type Set struct {
	// Owner is empty for the name of the question.
	Owner wire.Name
	RRset *wire.RRset
	// First is the offset in RRset.Records of the record that comes first.
	First int
	// Service is what the set was drawn from; nil: it stands in the zone as it is.
	Service *zone.Balanced
	// IsMade reports whether the owner is a name that a wildcard stands for, so that anybody can make up more of them.
	IsMade bool
	// IsForeign reports whether the zone has no authority for the set: NS at a delegation, and addresses below one. It
	// is not signed (RFC 4035 section 2.2).
	IsForeign bool
	// IsRequired marks additional records without which the response would be useless: a response that has no room for
	// them is truncated (RFC 9471).
	IsRequired bool
}

// Reset starts the response over.
func (r *Response) Reset() {
	*r = Response{
		Answer: r.Answer[:0], Authority: r.Authority[:0], Additional: r.Additional[:0],
		ExtendedError: NoExtendedError,
	}
}

func (r *Response) fail(code wire.Rcode, extended uint16) {
	r.Rcode, r.ExtendedError = code, extended
}

// Resolve answers q for client c out of s, which may be nil when nothing has been loaded yet.
//
// The rules, in their order:
//   - Class IN is served; ANY like IN but without authority; others are refused (RFC 1035 section 3.2.5).
//   - Types that are no data: NXNAME and OPT are FORMERR (RFC 9824 section 3.5), the other meta types NOTIMP, ANY is
//     answered small.
//   - Nothing loaded: SERVFAIL, so that resolvers try another server and cache nothing.
//   - No zone of ours: REFUSED (RFC 8906 section 3.1.2), without a referral.
func (r *Response) Resolve(s *zone.Snapshot, q *wire.Query, c *zone.Client) {
	r.Reset()
	if q.Class != wire.ClassIN && q.Class != wire.ClassANY {
		r.fail(wire.Refused, NoExtendedError)
		return
	}
	if q.Type.IsMeta() && q.Type != wire.TypeANY {
		r.refuseMeta(q.Type)
		return
	}
	if s == nil {
		r.fail(wire.ServFail, NotReady)
		return
	}
	tree := findTree(s, q.Name(), q.Type)
	if tree == nil {
		r.fail(wire.Refused, NotAuthorative)
		return
	}
	r.Zone = tree
	r.Authoritative = true
	r.client = *c
	isTailored := tree.ClientSubnet && c.Subnet.IsValid()
	if isTailored {
		r.client.Addr = c.Subnet.Addr()
	}
	l := lookup{
		Response: r, snapshot: s, tree: tree, client: &r.client, qtype: q.Type, dnssec: q.HasEDNS && q.EDNS.DO,
		isTailored: isTailored,
	}
	l.follow(q.Name())
	if q.Class == wire.ClassANY {
		r.Authoritative = false
	}
}

func (r *Response) refuseMeta(t wire.Type) {
	switch t {
	case wire.TypeNXNAME:
		r.fail(wire.FormErr, InvalidType)
	case wire.TypeOPT:
		r.fail(wire.FormErr, NoExtendedError)
	default:
		r.fail(wire.NotImp, NoExtendedError)
	}
}

// findTree is the zone to answer from: the longest origin, except that the DS set of a zone is data of its parent (RFC
// 4035 section 3.1.4.1).
func findTree(s *zone.Snapshot, name []byte, t wire.Type) *zone.Tree {
	tree := s.Find(name)
	if t == wire.TypeDS && tree != nil && len(name) > 1 && string(tree.Origin) == string(name) {
		if parent := s.Find(name[1+name[0]:]); parent != nil {
			return parent
		}
	}
	return tree
}

// lookup is one Resolve under way.
type lookup struct {
	*Response
	snapshot *zone.Snapshot
	tree     *zone.Tree
	client   *zone.Client
	qtype    wire.Type
	dnssec   bool // the client wants DNSSEC records
	// isTailored: the answer may depend on the client subnet that came with the query.
	isTailored bool
}

// follow answers for name, and then for what it is an alias of, as long as that lies in the zone. The return code is
// that of the last name (RFC 6604).
func (l *lookup) follow(question []byte) {
	var target [wire.MaxName]byte
	name, node := question, l.tree.Node(question)
	var owner wire.Name // empty: the name of the question
	for {
		alias, isAlias := l.step(name, node, owner)
		if !isAlias {
			return
		}
		next, ok := wire.AppendTarget(target[:0], wire.TypeCNAME, alias)
		if !ok || l.snapshot.Find(next) != l.tree || len(l.Answer) > maxLinks || l.hasOwner(next, question) {
			return
		}
		name, node = next, l.tree.Node(next)
		if node != nil {
			owner = node.Name()
		} else {
			owner = wire.Name(next)
		}
	}
}

// hasOwner reports whether the chain has been at target before.
func (l *lookup) hasOwner(target, question []byte) bool {
	if string(question) == string(target) {
		return true
	}
	for i := range l.Answer {
		if string(l.Answer[i].Owner) == string(target) {
			return true
		}
	}
	return false
}

// step answers with what there is at one name, whose node is nil if it does not exist. For an alias it returns the data
// of the CNAME record.
func (l *lookup) step(name []byte, node *zone.Node, owner wire.Name) (alias []byte, isAlias bool) {
	if cut := l.delegation(name); cut != nil {
		l.refer(cut)
		return nil, false
	}
	isMade := node == nil
	if isMade {
		if node = l.wildcard(name); node == nil {
			l.Rcode = wire.NXDomain
			l.negative(owner, nil)
			return nil, false
		}
		if owner == "" {
			l.Wildcard = node
		}
	}
	scope := l.Scope
	set, first, service := l.data(node)
	if l.isTailored && l.Scope > 0 && len(l.Answer) > 0 {
		// The scope is told of the whole response, and resolvers keep a chain by it: an alias stands alone, and what it
		// leads to is asked for with the subnet (RFC 7871).
		l.Scope = scope
		return nil, false
	}
	if set == nil {
		l.negative(owner, node) // no data of this type (RFC 2308 section 2.2), also at an empty non-terminal (RFC 8020)
		return nil, false
	}
	l.Answer = append(l.Answer, Set{Owner: owner, RRset: set, First: first, Service: service, IsMade: isMade})
	if set.Type == wire.TypeCNAME && l.qtype != wire.TypeCNAME && l.qtype != wire.TypeANY {
		for data := range set.All {
			return data, true
		}
	}
	if l.qtype != wire.TypeANY {
		l.addTargets(set, node)
	}
	return nil, false
}

// wildcard is the node that answers for a name that does not exist: "*" below its closest encloser (RFC 4592 section
// 3.3.1), or nil. A name that exists on the way, even without data, keeps wildcards above it out.
func (l *lookup) wildcard(name []byte) *zone.Node {
	for len(name) > len(l.tree.Origin) {
		name = name[1+name[0]:]
		encloser := l.tree.Node(name)
		if encloser == nil {
			continue
		}
		if !encloser.HasWildcard() {
			return nil
		}
		var star [wire.MaxName + 2]byte
		return l.tree.Node(append(append(star[:0], 1, '*'), name...))
	}
	return nil
}

// data is the record set at node that answers the question, possibly a CNAME, or nil; which of its records comes first;
// and the service that it was drawn from, if it was.
func (l *lookup) data(node *zone.Node) (set *wire.RRset, first int, service *zone.Balanced) {
	if l.qtype == wire.TypeANY {
		return l.any(node), 0, nil
	}
	if node == l.tree.Apex() && l.qtype == wire.TypeSOA {
		return &l.tree.SOA, 0, nil
	}
	if set := node.RRset(l.qtype); set != nil {
		return set, 0, nil
	}
	if b := node.Balanced(); b != nil {
		set, first, scope := b.Draw(l.snapshot, l.qtype, l.client)
		l.Scope = max(l.Scope, scope)
		return set, first, b
	}
	return node.RRset(wire.TypeCNAME), 0, nil
}

// any is one record set of the node, the smallest: ANY must not be a way to get large answers (RFC 8482 section 4.1).
func (l *lookup) any(node *zone.Node) *wire.RRset {
	var best *wire.RRset
	for i := range node.RRsets() {
		if set := &node.RRsets()[i]; best == nil || len(set.Records) < len(best.Records) {
			best = set
		}
	}
	if b := node.Balanced(); b != nil && best == nil {
		for _, t := range []wire.Type{wire.TypeA, wire.TypeAAAA} {
			if set, _, _ := b.Draw(l.snapshot, t, l.client); set != nil {
				return set
			}
		}
	}
	return best
}

// negative adds the SOA to a negative answer (RFC 2308 section 3).
func (l *lookup) negative(owner wire.Name, node *zone.Node) {
	l.Denied = Denial{Is: true, Owner: owner, Node: node}
	l.Authority = append(l.Authority, Set{Owner: l.tree.Origin, RRset: &l.tree.Negative})
}

// delegation is the highest delegation at or above name, or nil. DS at the delegation itself is our data (RFC 4035
// section 3.1.4.1).
func (l *lookup) delegation(name []byte) *zone.Node {
	cut := l.tree.Cut(name)
	if cut != nil && l.qtype == wire.TypeDS && len(cut.Name()) == len(name) {
		return nil
	}
	return cut
}

// refer answers with the servers of a delegated zone (RFC 1034 section 4.3.2, step 3b). It is not authoritative, unless
// an alias led here.
func (l *lookup) refer(cut *zone.Node) {
	l.Authoritative = len(l.Answer) > 0
	ns := cut.RRset(wire.TypeNS)
	l.Authority = append(l.Authority, Set{Owner: cut.Name(), RRset: ns, IsForeign: true})
	if l.tree.Signer() != nil && l.dnssec {
		l.referSigned(cut)
	}
	for data := range ns.All {
		if host := l.host(wire.TypeNS, data); host != nil {
			// Servers inside the delegated zone cannot be found without these addresses (RFC 9471 section 2.1).
			l.addAddresses(host, host.Name().IsAtOrBelow(cut.Name()))
		}
	}
}

// referSigned adds the keys of the delegated zone, or says that it has none (RFC 4035 section 3.1.4).
func (l *lookup) referSigned(cut *zone.Node) {
	if ds := cut.RRset(wire.TypeDS); ds != nil {
		l.Authority = append(l.Authority, Set{Owner: cut.Name(), RRset: ds})
		return
	}
	l.Denied = Denial{Is: true, Owner: cut.Name(), Node: cut, IsReferral: true}
}

// addTargets adds the addresses of the hosts that an answer refers to, which stands at node.
func (l *lookup) addTargets(set *wire.RRset, node *zone.Node) {
	switch set.Type {
	case wire.TypeNS, wire.TypeSRV, wire.TypeHTTPS, wire.TypeSVCB:
	default:
		return
	}
	for data := range set.All {
		host := l.host(set.Type, data)
		if wire.IsOwnTarget(set.Type, data) && !node.Name().IsWildcard() {
			host = node
		}
		if host != nil && !l.hasAdditional(host.Name()) {
			l.addAddresses(host, false)
		}
	}
}

// host is the node in this zone that the data of a record refers to, or nil.
func (l *lookup) host(t wire.Type, data []byte) *zone.Node {
	var buf [wire.MaxName]byte
	if name, ok := wire.AppendTarget(buf[:0], t, data); ok {
		return l.tree.Node(name)
	}
	return nil
}

func (l *lookup) hasAdditional(host wire.Name) bool {
	for i := range l.Additional {
		if l.Additional[i].Owner == host {
			return true
		}
	}
	return false
}

func (l *lookup) addAddresses(host *zone.Node, isRequired bool) {
	var name [wire.MaxName]byte
	isForeign := l.tree.Cut(append(name[:0], host.Name()...)) != nil
	for _, t := range []wire.Type{wire.TypeA, wire.TypeAAAA} {
		set, first := host.RRset(t), 0
		if b := host.Balanced(); b != nil {
			set, first, _ = b.Draw(l.snapshot, t, l.client)
		}
		if set != nil && set.Type == t {
			l.Additional = append(l.Additional, Set{
				Owner: host.Name(), RRset: set, First: first, IsForeign: isForeign, IsRequired: isRequired,
			})
		}
	}
}

// Write puts the response into w, which has been begun. What must be there and does not fit leads to truncation of
// everything (RFC 2181 section 9); additional records that do not fit are left out.
func (r *Response) Write(w *wire.Writer) {
	if r.Authoritative {
		w.Authoritative()
	}
	for i := range r.Answer {
		if !w.Append(wire.AnswerSection, r.Answer[i].Owner, r.Answer[i].RRset, r.Answer[i].First) {
			w.Truncate()
			return
		}
	}
	for i := range r.Authority {
		if !w.Append(wire.AuthoritySection, r.Authority[i].Owner, r.Authority[i].RRset, 0) {
			w.Truncate()
			return
		}
	}
	isLeftOut := false
	for i := range r.Additional {
		a := &r.Additional[i]
		if a.RRset.Type == wire.TypeRRSIG && isLeftOut {
			continue // the signature of a set that is not there
		}
		isLeftOut = !w.Append(wire.AdditionalSection, a.Owner, a.RRset, a.First)
		if isLeftOut && a.IsRequired {
			w.Truncate()
			return
		}
	}
}
