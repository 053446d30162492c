package server

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/hanse-federation/hanse/dns/answer"
	"github.com/hanse-federation/hanse/dns/sign"
	"github.com/hanse-federation/hanse/dns/wire"
)

// signatures are what all workers have made, and how many more of the costly kind they may make.
//
// What is in a zone is signed once for each window of time; that is as much as the zone has. Names that do not exist,
// and those that a wildcard stands for, anybody can make up without end: their signatures are kept apart, so that they
// push out no others, and their number in a second is bounded. Clients whose address is proven, by TCP or a cookie, have
// an allowance of their own: a flood from forged addresses takes nothing from them.
type signatures struct {
	known, made       *sign.Cache
	unproven, proven  budget
	count, overBudget atomic.Uint64
}

const (
	knownSignatures = 1 << 17
	madeSignatures  = 1 << 13
	// signaturesPerWorker is how many signatures for made-up names each of the two kinds of clients gets in a second, for
	// each worker: about a twentieth of what a processor can make.
	signaturesPerWorker = 1500
)

func newSignatures(workers int) *signatures {
	return &signatures{
		known: sign.NewCache(knownSignatures), made: sign.NewCache(madeSignatures),
		unproven: budget{interval: int64(time.Second) / int64(signaturesPerWorker*workers)},
		proven:   budget{interval: int64(time.Second) / int64(signaturesPerWorker*workers)},
	}
}

// budget is a bucket that a second's worth may be taken from at once, kept as the time until which it is spent.
type budget struct {
	interval int64
	spent    atomic.Int64
}

func (b *budget) take(now int64) bool {
	for {
		spent := b.spent.Load()
		next := max(spent, now) + b.interval
		if next-now > int64(time.Second) {
			return false
		}
		if b.spent.CompareAndSwap(spent, next) {
			return true
		}
	}
}

// secure adds to a response what a client that wants DNSSEC needs: signatures, and proof of what is not there. It reports
// false if it may not, or cannot, sign now.
//
// Names are denied the compact way (RFC 9824): one that does not exist is NOERROR with a single NSEC record that has the
// type NXNAME, unless the client says that it knows that (CO): then it is NXDOMAIN, too.
func (r *responder) secure(by transport) bool {
	x := &r.response
	signer := x.Zone.Signer()
	if r.query.Type == wire.TypeRRSIG && len(x.Answer) == 0 && x.Denied.Node != nil && !x.Denied.IsReferral {
		return r.answerSignature(by)
	}
	if x.Denied.Is {
		d := &x.Denied
		types := r.deniedTypes()
		r.denial = sign.Deny(x.Zone.Origin, r.nameOf(d.Owner), x.Zone.Negative.TTL, types)
		set := answer.Set{Owner: d.Owner, RRset: &r.denial, IsMade: d.Node == nil || x.Zone.Node(r.nameOf(d.Owner)) == nil}
		if r.query.Type == wire.TypeNSEC && types != nil && !d.IsReferral {
			x.Answer, x.Authority = append(x.Answer, set), x.Authority[:0]
		} else {
			x.Authority = append(x.Authority, set)
		}
		if x.Rcode == wire.NXDomain && !r.query.EDNS.CO {
			x.Rcode = wire.NoError
		}
	}
	for _, sets := range []*[]answer.Set{&x.Answer, &x.Authority, &x.Additional} {
		for i := 0; i < len(*sets); i++ {
			set := (*sets)[i]
			if set.IsForeign {
				continue
			}
			rrsig := r.signed(signer, &set, by)
			if rrsig == nil {
				return false
			}
			i++
			*sets = slices.Insert(*sets, i, answer.Set{Owner: set.Owner, RRset: rrsig})
		}
	}
	return true
}

// deniedTypes are those of the name that has no data of the type asked for; nil if there is no such name. The type asked
// for is not among them, nor CNAME, though other clients may be answered with them.
func (r *responder) deniedTypes() []wire.Type {
	d := &r.response.Denied
	if d.Node == nil {
		return nil
	}
	return slices.DeleteFunc(r.response.Zone.Types(d.Node), func(t wire.Type) bool {
		return t == wire.TypeCNAME || t == r.query.Type && !d.IsReferral
	})
}

// answerSignature answers a question for RRSIG with one, that of the SOA or of the proof that there is no more: like ANY,
// it must not be a way to get large answers (RFC 8482).
func (r *responder) answerSignature(by transport) bool {
	x := &r.response
	r.denial = sign.Deny(x.Zone.Origin, r.nameOf(x.Denied.Owner), x.Zone.Negative.TTL, r.deniedTypes())
	set := answer.Set{Owner: x.Denied.Owner, RRset: &r.denial, IsMade: x.Zone.Node(r.nameOf(x.Denied.Owner)) == nil}
	rrsig := r.signed(x.Zone.Signer(), &set, by)
	if rrsig == nil {
		return false
	}
	x.Denied = answer.Denial{}
	x.Answer, x.Authority = append(x.Answer, answer.Set{Owner: set.Owner, RRset: rrsig}), x.Authority[:0]
	return true
}

// signed is the RRSIG set of a set, or nil.
func (r *responder) signed(signer *sign.Signer, set *answer.Set, by transport) *wire.RRset {
	owner, cache := r.nameOf(set.Owner), r.signatures.known
	if set.IsMade {
		cache = r.signatures.made
	}
	if rrsig := cache.Find(signer, owner, set.RRset, int64(r.seconds)); rrsig != nil {
		return rrsig
	}
	if set.IsMade {
		allowance := &r.signatures.proven
		if by == overUDP && !r.exchange.isKnown {
			allowance = &r.signatures.unproven
		}
		if !allowance.take(r.nanos) {
			r.signatures.overBudget.Add(1)
			return nil
		}
	}
	rrsig, err := cache.Make(signer, owner, set.RRset, int64(r.seconds))
	if err != nil {
		r.log.Error("signing a DNS answer failed", "error", err)
		return nil
	}
	r.signatures.count.Add(1)
	return rrsig
}

// nameOf is the name of an owner, in wire form and lower case. It is overwritten by the next call.
func (r *responder) nameOf(owner wire.Name) []byte {
	if owner == "" {
		return r.query.Name()
	}
	r.owner = append(r.owner[:0], owner...)
	return r.owner
}
