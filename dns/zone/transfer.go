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
	return isNear && (len(rules.Keys) == 0 || key != "" && keyNamed(rules.Keys, key) != nil)
}

// Key is the TSIG key of a name that means something for this zone, or nil.
func (t *Tree) Key(name string) *TSIGKey { return keyNamed(t.header.Transfer.Keys, name) }

func keyNamed(keys []TSIGKey, name string) *TSIGKey {
	at := slices.IndexFunc(keys, func(k TSIGKey) bool {
		return strings.EqualFold(strings.TrimSuffix(k.Name, "."), strings.TrimSuffix(name, "."))
	})
	if at < 0 {
		return nil
	}
	return &keys[at]
}
