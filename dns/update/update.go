package update

import (
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// Path is where a hub takes updates that other servers of it have got.
const Path = "/dns/update"

// Refusal is the response code of a message that is not carried out.
type Refusal wire.Rcode

func (r Refusal) Error() string { return "the update is refused: " + wire.Rcode(r).String() }

// maxChanges is how many changes one message may have.
const maxChanges = 500

// update is a message being carried out.
type update struct {
	tree    *zone.Tree
	key     string
	records []zone.Record
}

// Apply carries out a message that was signed with the key of this name. records are those that messages have written;
// the result shares nothing with them. The error is a Refusal.
func Apply(tree *zone.Tree, key string, m *dns.Msg, records []zone.Record) ([]zone.Record, error) {
	if len(m.Answer)+len(m.Ns) > maxChanges {
		return nil, Refusal(wire.Refused)
	}
	u := &update{tree: tree, key: key, records: slices.Clone(records)}
	if err := u.require(m.Answer); err != nil {
		return nil, err
	}
	for _, rr := range m.Ns { // nothing is changed before all has been looked at
		if err := u.check(rr); err != nil {
			return nil, err
		}
	}
	for _, rr := range m.Ns {
		u.carryOut(rr)
	}
	return u.records, nil
}

// nameOf is the owner of a record, which must lie in the zone (RFC 2136 section 3.4.1.1).
func (u *update) nameOf(rr dns.RR) (wire.Name, error) {
	name, err := wire.ParseName(rr.Header().Name, wire.Root)
	if err != nil {
		return "", Refusal(wire.FormErr)
	}
	if !name.IsAtOrBelow(u.tree.Origin) {
		return "", Refusal(wire.NotZone)
	}
	return name, nil
}

// isEmpty reports whether a record has no data.
func isEmpty(rr dns.RR) bool { return rr.Header().Rdlength == 0 }

// text is the data of a record as a zone file has it.
func text(rr dns.RR) string { return strings.TrimPrefix(rr.String(), rr.Header().String()) }

// require looks at the prerequisites (RFC 2136 section 3.2).
func (u *update) require(prerequisites []dns.RR) error {
	type set struct {
		name wire.Name
		kind wire.Type
	}
	wanted := map[set][]string{}
	for _, rr := range prerequisites {
		h := rr.Header()
		name, err := u.nameOf(rr)
		if err != nil {
			return err
		}
		kind := wire.Type(h.Rrtype)
		if h.Ttl != 0 || kind.IsMeta() && kind != wire.TypeANY {
			return Refusal(wire.FormErr)
		}
		has := len(u.find(name, kind)) > 0
		switch {
		case h.Class == dns.ClassINET && kind != wire.TypeANY && !isEmpty(rr):
			wanted[set{name, kind}] = append(wanted[set{name, kind}], text(rr))
		case h.Class == dns.ClassANY && isEmpty(rr) && !has && kind == wire.TypeANY:
			return Refusal(wire.NXDomain)
		case h.Class == dns.ClassANY && isEmpty(rr) && !has:
			return Refusal(wire.NXRRSet)
		case h.Class == dns.ClassNONE && isEmpty(rr) && has && kind == wire.TypeANY:
			return Refusal(wire.YXDomain)
		case h.Class == dns.ClassNONE && isEmpty(rr) && has:
			return Refusal(wire.YXRRSet)
		case (h.Class == dns.ClassANY || h.Class == dns.ClassNONE) && isEmpty(rr):
		default:
			return Refusal(wire.FormErr)
		}
	}
	for s, want := range wanted {
		have := u.find(s.name, s.kind)
		slices.Sort(have)
		slices.Sort(want)
		if !slices.Equal(have, slices.Compact(want)) {
			return Refusal(wire.NXRRSet)
		}
	}
	return nil
}

// find is the data of the records of a type at a name, of any type for ANY. Where messages may write, what they have
// written counts; elsewhere what is served.
func (u *update) find(name wire.Name, kind wire.Type) (found []string) {
	for i := range u.records {
		if r := &u.records[i]; isAt(r, name) && (kind == wire.TypeANY || r.Type == kind.String()) {
			found = append(found, r.Data)
		}
	}
	node := u.tree.Node([]byte(name))
	if node == nil || len(found) > 0 {
		return found
	}
	for _, t := range u.tree.Types(node) {
		if (kind != wire.TypeANY && kind != t) || u.tree.MayUpdate(u.key, name, t) {
			continue
		}
		if set := node.RRset(t); set != nil {
			found = append(found, zone.Texts(set)...)
		} else {
			found = append(found, "") // of a service: it is there, and what it is depends on who asks
		}
	}
	return found
}

func isAt(r *zone.Record, name wire.Name) bool {
	at, err := wire.ParseName(r.Name, wire.Root)
	return err == nil && at == name
}

// check looks at one change before any is made (RFC 2136 sections 3.3 and 3.4.1).
func (u *update) check(rr dns.RR) error {
	h := rr.Header()
	name, err := u.nameOf(rr)
	if err != nil {
		return err
	}
	kind := wire.Type(h.Rrtype)
	switch h.Class {
	case dns.ClassINET:
		if kind.IsMeta() || isEmpty(rr) {
			return Refusal(wire.FormErr)
		}
	case dns.ClassANY:
		if h.Ttl != 0 || !isEmpty(rr) || kind.IsMeta() && kind != wire.TypeANY {
			return Refusal(wire.FormErr)
		}
		if kind == wire.TypeANY && u.tree.MayUpdateAt(u.key, name) {
			return nil
		}
	case dns.ClassNONE:
		if h.Ttl != 0 || kind.IsMeta() || isEmpty(rr) {
			return Refusal(wire.FormErr)
		}
	default:
		return Refusal(wire.FormErr)
	}
	if !u.tree.MayUpdate(u.key, name, kind) {
		return Refusal(wire.Refused)
	}
	return nil
}

// carryOut makes one change (RFC 2136 section 3.4.2).
func (u *update) carryOut(rr dns.RR) {
	h := rr.Header()
	name, err := u.nameOf(rr)
	if err != nil {
		return
	}
	kind := wire.Type(h.Rrtype)
	switch h.Class {
	case dns.ClassINET:
		u.add(zone.Record{Name: name.String(), Type: kind.String(), TTL: min(h.Ttl, zone.MaxTTL), Data: text(rr)}, name)
	case dns.ClassANY:
		u.remove(name, func(r *zone.Record) bool {
			if kind != wire.TypeANY {
				return r.Type == kind.String()
			}
			t, ok := wire.ParseType(r.Type)
			return ok && u.tree.MayUpdate(u.key, name, t)
		})
	case dns.ClassNONE:
		u.remove(name, func(r *zone.Record) bool { return r.Type == kind.String() && r.Data == text(rr) })
	}
}

func (u *update) remove(name wire.Name, fits func(*zone.Record) bool) {
	u.records = slices.DeleteFunc(u.records, func(r zone.Record) bool { return isAt(&r, name) && fits(&r) })
}

// add puts a record into its set, whose TTL becomes that of the record (RFC 2181 section 5.2). A CNAME replaces another
// CNAME, and stands beside nothing else; what breaks that rule is passed over (RFC 2136 section 3.4.2.2).
func (u *update) add(r zone.Record, name wire.Name) {
	isAlias := r.Type == wire.TypeCNAME.String()
	for i := range u.records {
		if isAt(&u.records[i], name) && (u.records[i].Type == wire.TypeCNAME.String()) != isAlias {
			return
		}
	}
	u.remove(name, func(other *zone.Record) bool { return other.Type == r.Type && (other.Data == r.Data || isAlias) })
	for i := range u.records {
		if isAt(&u.records[i], name) && u.records[i].Type == r.Type {
			u.records[i].TTL = r.TTL
		}
	}
	u.records = append(u.records, r)
}
