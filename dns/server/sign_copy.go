package server

import (
	"time"

	"github.com/hanse-federation/hanse/dns/sign"
	"github.com/hanse-federation/hanse/dns/wire"
	"github.com/hanse-federation/hanse/dns/zone"
)

// signedCopy is a signed zone as a secondary of another make needs it, which cannot sign: with a signature of every
// set, and the chain of NSEC records over all names (RFC 4035 section 2). Whoever may copy the zone may know its names.
//
// It is made anew whenever it is asked for, and is the same for the same time: a signature depends on what is signed,
// the key and the window of time alone. So what a secondary has been sent need not be kept, only of which version and
// time it was.
type signedCopy struct {
	tree *zone.Tree
	at   int64       // seconds since 1970
	own  []wire.Name // see ordered
}

func (r *responder) signedCopy(tree *zone.Tree, at int64) *signedCopy {
	return &signedCopy{tree, at, r.sent.ownNames(tree, r.store.Snapshot())}
}

// ownedRecord is a record in the form of wire.RRset, and its name.
type ownedRecord struct {
	owner wire.Name
	raw   []byte
}

// appendSigned writes a signed zone.
func (z *zoneWriter) appendSigned(c *signedCopy) {
	for i := range c.own {
		z.appendRecords(z.signedRecords(c, i))
	}
	z.appendRecords(c.recordsBelowCuts())
}

// appendSignedDifference is appendDifference for a signed zone.
func (z *zoneWriter) appendSignedDifference(c *signedCopy, has sentTree) bool {
	if has.tree == nil || !has.tree.Signer().IsLike(c.tree.Signer()) || c.at-has.at > differenceAge {
		return false
	}
	// The whole has four records for each name, mostly, and half of them need not be signed again.
	most := 2 * c.tree.Len()
	removed, added := z.signedDifference(z.signedCopy(has.tree, has.at), c, most)
	if len(removed)+len(added) > most {
		return false
	}
	z.append(c.tree.Origin, &has.tree.SOA)
	z.appendRecords(removed)
	z.append(c.tree.Origin, &c.tree.SOA)
	z.appendRecords(added)
	return true
}

// differenceAge is the age, in seconds, from which on a third of the signatures of a copy have been renewed.
const differenceAge = int64(12 * time.Hour / time.Second)

func (z *zoneWriter) appendRecords(records []ownedRecord) {
	for _, r := range records {
		if z.err != nil {
			return
		}
		set := wire.OneRecord(r.raw)
		z.append(r.owner, &set)
	}
}

// appendRaw appends the records of a set.
func appendRaw(dst []ownedRecord, owner wire.Name, set *wire.RRset) []ownedRecord {
	for raw := range set.Raw {
		dst = append(dst, ownedRecord{owner, raw})
	}
	return dst
}

// signedRecords are all records of own name i but the SOA: data, signatures, and the link to the next name.
func (z *zoneWriter) signedRecords(c *signedCopy, i int) (records []ownedRecord) {
	name := c.own[i]
	node := c.tree.Node([]byte(name))
	isCut := c.tree.IsDelegation(node)
	var types []wire.Type
	if name == c.tree.Origin {
		types = append(types, wire.TypeSOA)
		records = z.appendSignature(records, c, name, &c.tree.SOA)
	}
	for _, set := range node.Copied() {
		records = appendRaw(records, name, set)
		if isCut && set.Type != wire.TypeDS {
			continue // not this zone's to sign: NS, and addresses
		}
		types = append(types, set.Type)
		records = z.appendSignature(records, c, name, set)
	}
	if isCut {
		types = append(types, wire.TypeNS)
	}
	link := sign.Link(c.next(i), c.tree.Negative.TTL, types)
	records = appendRaw(records, name, &link)
	return z.appendSignature(records, c, name, &link)
}

// next is the name after own name i.
func (c *signedCopy) next(i int) wire.Name { return c.own[(i+1)%len(c.own)] }

// appendSignature appends the signature of a set. What has been signed for an answer is not signed again.
func (z *zoneWriter) appendSignature(
	dst []ownedRecord, c *signedCopy, owner wire.Name, set *wire.RRset,
) []ownedRecord {
	if z.err != nil {
		return dst
	}
	signer, name, now := c.tree.Signer(), []byte(owner), int64(z.seconds)
	if !sign.IsRenewed(name, set.Type, c.at, now) {
		if rrsig := z.signatures.known.Find(signer, name, set, now); rrsig != nil {
			return appendRaw(dst, owner, rrsig)
		}
	}
	rrsig, _, err := signer.Sign(name, set, c.at)
	if err != nil {
		z.err = err
		return dst
	}
	return appendRaw(dst, owner, &rrsig)
}

// recordsBelowCuts are those that belong to delegated zones, and are not signed.
func (c *signedCopy) recordsBelowCuts() (records []ownedRecord) {
	if !c.tree.HasDelegations() {
		return nil
	}
	for name, node := range c.tree.Names {
		if isBelowCut(c.tree, name) {
			for _, set := range node.Copied() {
				records = appendRaw(records, name, set)
			}
		}
	}
	return records
}

// isBelowCut reports whether a name belongs to a zone that is delegated.
func isBelowCut(tree *zone.Tree, name wire.Name) bool {
	cut := tree.Cut([]byte(name))
	return cut != nil && cut.Name() != name
}

// signedDifference is what must be taken from one copy and what added to it, so that it becomes the other. It ends
// early when that is more than most records.
//
// It goes along the names of both. One is looked at closely when its data have changed, when another name comes after
// it, and when time has renewed a signature: what has not changed costs a lookup, and is not signed.
func (z *zoneWriter) signedDifference(before, now *signedCopy, most int) (removed, added []ownedRecord) {
	changed := map[wire.Name]bool{now.tree.Origin: true} // the SOA, at least
	now.tree.Changed(before.tree, func(name wire.Name, _, _ *zone.Node) { changed[name] = true })
	isSame := func(i, j int) bool {
		return !changed[now.own[j]] && before.next(i) == now.next(j) && !now.isRenewed(j, before.at) &&
			before.tree.Negative.TTL == now.tree.Negative.TTL // of the links
	}
	for i, j := 0, 0; (i < len(before.own) || j < len(now.own)) && len(removed)+len(added) <= most; {
		var was, is []ownedRecord
		switch order := compareAt(before.own, i, now.own, j); {
		case order < 0:
			was = z.signedRecords(before, i)
			i++
		case order > 0:
			is = z.signedRecords(now, j)
			j++
		default:
			if !isSame(i, j) {
				was, is = z.signedRecords(before, i), z.signedRecords(now, j)
			}
			i, j = i+1, j+1
		}
		removed, added = appendAbsent(removed, was, is), appendAbsent(added, is, was)
	}
	was, is := before.recordsBelowCuts(), now.recordsBelowCuts()
	return appendAbsent(removed, was, is), appendAbsent(added, is, was)
}

// isRenewed tells whether a signature of own name i may be another one than it was at an earlier time.
func (c *signedCopy) isRenewed(i int, then int64) bool {
	name := []byte(c.own[i])
	if sign.IsRenewed(name, wire.TypeNSEC, then, c.at) {
		return true
	}
	node := c.tree.Node(name)
	for j := range node.RRsets() {
		if sign.IsRenewed(name, node.RRsets()[j].Type, then, c.at) {
			return true
		}
	}
	return node.Balanced() != nil && (sign.IsRenewed(name, wire.TypeA, then, c.at) ||
		sign.IsRenewed(name, wire.TypeAAAA, then, c.at) || sign.IsRenewed(name, wire.TypeCNAME, then, c.at))
}

// appendAbsent appends the records that are not among others.
func appendAbsent(dst, records, others []ownedRecord) []ownedRecord {
	if len(records) == 0 {
		return dst
	}
	type key struct{ owner, raw string }
	there := make(map[key]bool, len(others))
	for _, r := range others {
		there[key{string(r.owner), string(r.raw)}] = true
	}
	for _, r := range records {
		if !there[key{string(r.owner), string(r.raw)}] {
			dst = append(dst, r)
		}
	}
	return dst
}
