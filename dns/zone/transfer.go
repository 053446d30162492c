package zone

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/hanse-federation/hanse/dns/wire"
)

// algorithms of TSIG that RFC 8945 section 6 does not advise against.
var algorithms = []string{"hmac-sha256", "hmac-sha384", "hmac-sha512"}

// checkTransfer checks who may copy the zone.
func (b *builder) checkTransfer() {
	t := &b.header.Transfer
	for i, p := range t.Allow {
		if !p.IsValid() {
			b.add(ErrMalformed, "transfer.allow[%d]", i)
		}
	}
	for i, to := range t.Notify {
		if host, port, err := net.SplitHostPort(to); err != nil || host == "" || port == "" {
			b.add(fmt.Errorf("%w: %q is no address such as 192.0.2.1:53", ErrMalformed, to), "transfer.notify[%d]", i)
		}
	}
	for i := range t.Keys {
		b.checkTSIG(&t.Keys[i], t.Keys[:i], fmt.Sprintf("transfer.keys[%d]", i))
	}
}

// checkUpdates checks who may change what, and compiles it.
func (b *builder) checkUpdates() {
	b.updates = nil
	var keys []TSIGKey
	for i := range b.header.Updates {
		u := &b.header.Updates[i]
		at := fmt.Sprintf("updates[%d]", i)
		b.checkTSIG(&u.Key, keys, at+".key")
		keys = append(keys, u.Key)
		if k := keyNamed(b.header.Transfer.Keys, u.Key.Name); k != nil && *k != u.Key {
			b.add(fmt.Errorf("%w: the key %s of transfers has another secret or algorithm", ErrConflict, u.Key.Name), "%s.key", at)
		}
		may := updater{key: u.Key}
		for j, text := range u.Names {
			p, err := b.pattern(text)
			if err != nil {
				b.add(err, "%s.names[%d]", at, j)
			}
			may.names = append(may.names, p)
		}
		for j, text := range u.Types {
			t, ok := recordTypes[strings.ToUpper(text)]
			if !ok || t == wire.TypeNS || t == wire.TypeDS {
				b.add(fmt.Errorf("%w: type %q", ErrNotAllowed, text), "%s.types[%d]", at, j)
			}
			may.types = append(may.types, t)
		}
		b.updates = append(b.updates, may)
	}
}

// updater is an Update compiled.
type updater struct {
	key   TSIGKey
	names []pattern
	types []wire.Type
}

// pattern is a set of names: name itself, all below it, or all that begin with the labels of prefix.
type pattern struct {
	name    wire.Name
	isBelow bool
	prefix  string // labels in wire form, without the root; empty: the others count
}

func (b *builder) pattern(text string) (pattern, error) {
	if labels, ok := strings.CutSuffix(text, ".*"); ok {
		name, err := wire.ParseName(labels+".", wire.Root)
		return pattern{prefix: strings.TrimSuffix(string(name), "\x00")}, err
	}
	below, isBelow := strings.CutPrefix(text, "*.")
	name, err := b.name(below)
	return pattern{name: name, isBelow: isBelow}, err
}

func (p *pattern) has(name, origin wire.Name) bool {
	switch {
	case p.prefix != "":
		return len(name) >= len(p.prefix)+len(origin) && strings.HasPrefix(string(name), p.prefix)
	case p.isBelow:
		return name != p.name && name.IsAtOrBelow(p.name)
	}
	return name == p.name
}

// MayUpdate tells whether whoever has signed with the key of a name may change records of a type at a name of this zone.
func (t *Tree) MayUpdate(key string, name wire.Name, kind wire.Type) bool {
	return slices.ContainsFunc(t.updates, func(u updater) bool {
		return u.key.isNamed(key) && slices.Contains(u.types, kind) && u.covers(name, t.Origin)
	})
}

// MayUpdateAt tells whether whoever has signed with the key may change records of some type at a name.
func (t *Tree) MayUpdateAt(key string, name wire.Name) bool {
	return slices.ContainsFunc(t.updates, func(u updater) bool { return u.key.isNamed(key) && u.covers(name, t.Origin) })
}

func (u *updater) covers(name, origin wire.Name) bool {
	return slices.ContainsFunc(u.names, func(p pattern) bool { return p.has(name, origin) })
}

func (b *builder) checkTSIG(k *TSIGKey, before []TSIGKey, at string) {
	name, err := wire.ParseName(k.Name, wire.Root)
	if err != nil || k.Name == "" || k.Name == "@" {
		b.add(fmt.Errorf("%w: %q is no name", ErrMalformed, k.Name), "%s.name", at)
	}
	if k.Algorithm != "" && !slices.Contains(algorithms, k.algorithm()) {
		b.add(fmt.Errorf("%w: %q is none of %s", ErrNotAllowed, k.Algorithm, strings.Join(algorithms, ", ")), "%s.algorithm", at)
	}
	if secret, err := base64.StdEncoding.DecodeString(k.Secret); err != nil || len(secret) == 0 {
		b.add(fmt.Errorf("%w: is not base64", ErrMalformed), "%s.secret", at)
	}
	for _, other := range before {
		if n, err := wire.ParseName(other.Name, wire.Root); err == nil && n == name {
			b.add(fmt.Errorf("%w: %s", ErrDuplicate, k.Name), "%s.name", at)
		}
	}
}

func (k *TSIGKey) algorithm() string { return strings.TrimSuffix(strings.ToLower(k.Algorithm), ".") }

// FitsAlgorithm tells whether a message may be signed with the key by an algorithm, which may end with a dot.
func (k *TSIGKey) FitsAlgorithm(algorithm string) bool {
	algorithm = strings.TrimSuffix(strings.ToLower(algorithm), ".")
	return slices.Contains(algorithms, algorithm) && (k.Algorithm == "" || k.algorithm() == algorithm)
}

// SigningAlgorithm is the one that messages to others are signed by, with the closing dot.
func (k *TSIGKey) SigningAlgorithm() string {
	if k.Algorithm == "" {
		return algorithms[0] + "."
	}
	return k.algorithm() + "."
}

// Transfer says who may copy the zone.
func (t *Tree) Transfer() *Transfer { return &t.header.Transfer }

// MayTransfer tells whether somebody at an address, who has signed with the key of this name (empty: with none), may
// copy the zone.
func (t *Tree) MayTransfer(from netip.Addr, key string) bool {
	rules := &t.header.Transfer
	if len(rules.Keys) == 0 && len(rules.Allow) == 0 {
		return false
	}
	isNear := len(rules.Allow) == 0 || slices.ContainsFunc(rules.Allow, func(p netip.Prefix) bool { return p.Contains(from.Unmap()) })
	return isNear && (len(rules.Keys) == 0 || keyNamed(rules.Keys, key) != nil)
}

// Key is the TSIG key of a name that means something for this zone, or nil.
func (t *Tree) Key(name string) *TSIGKey {
	if k := keyNamed(t.header.Transfer.Keys, name); k != nil {
		return k
	}
	for i := range t.updates {
		if k := &t.updates[i].key; k.isNamed(name) {
			return k
		}
	}
	return nil
}

func (k *TSIGKey) isNamed(name string) bool {
	return name != "" && strings.EqualFold(strings.TrimSuffix(k.Name, "."), strings.TrimSuffix(name, "."))
}

func keyNamed(keys []TSIGKey, name string) *TSIGKey {
	for i := range keys {
		if keys[i].isNamed(name) {
			return &keys[i]
		}
	}
	return nil
}
