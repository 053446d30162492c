package sign

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/hanse-federation/hanse/dns/wire"
)

// Stage is how far a key is on its way through a zone.
type Stage string

const (
	// Incoming keys are published, and sign the DNSKEY set beside the active one: the parent may have their DS already.
	Incoming Stage = "Incoming"
	// Active is the key that signs the zone. There is one, or one that is Leaving.
	Active Stage = "Active"
	// Leaving is the key that signs a zone which is to be signed no more. Its parent is asked to drop all DS records (RFC
	// 8078 section 4); until it has, and they have left all caches, whoever validates needs the signatures.
	Leaving Stage = "Leaving"
	// Retired keys stay published, and sign the DNSKEY set, until all that they signed before has run out (Lifetime).
	Retired Stage = "Retired"
)

// Numbers of a DNSKEY record (RFC 4034 section 2.1, RFC 6605, RFC 4509).
const (
	flagsCSK     = 257 // zone key and secure entry point
	protocol     = 3
	algorithm    = 13 // ECDSA P-256 with SHA-256
	digestSHA256 = 2
)

// KeyTTL is the TTL of DNSKEY, CDS and CDNSKEY sets, in seconds.
const KeyTTL = 3600

// Key is a key of a zone.
type Key struct {
	// Tag is what DS and RRSIG records call the key (RFC 4034 appendix B).
	Tag   uint16
	Stage Stage

	private *ecdsa.PrivateKey
	dnskey  []byte
}

// ErrKey is for a private key that cannot sign a zone.
var ErrKey = errors.New("is not an ECDSA P-256 key in PKCS #8 form")

// Generate makes a private key, in PKCS #8 form.
func Generate() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a DNSSEC key: %w", err)
	}
	return x509.MarshalPKCS8PrivateKey(key)
}

// NewKey reads a private key in PKCS #8 form. The error is ErrKey if it is none that can be used.
func NewKey(private []byte, stage Stage) (Key, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return Key{}, ErrKey
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", ErrKey, err)
	}
	k := Key{Stage: stage, private: key}
	k.dnskey = binary.BigEndian.AppendUint16(nil, flagsCSK)
	k.dnskey = append(k.dnskey, protocol, algorithm)
	k.dnskey = append(k.dnskey, public[1:]...) // without the octet that says "uncompressed" (RFC 6605 section 4)
	k.Tag = tagOf(k.dnskey)
	return k, nil
}

// tagOf is the key tag of RFC 4034 appendix B.
func tagOf(dnskey []byte) uint16 {
	var sum uint32
	for i, c := range dnskey {
		if i&1 == 0 {
			sum += uint32(c) << 8
		} else {
			sum += uint32(c)
		}
	}
	return uint16(sum + sum>>16)
}

// DNSKEY is the data of the key's DNSKEY and CDNSKEY record.
func (k *Key) DNSKEY() []byte { return k.dnskey }

// DS is the data of the DS record that the parent of origin should have, and of the CDS record (RFC 4509).
func (k *Key) DS(origin wire.Name) []byte {
	digest := sha256.Sum256(append([]byte(origin), k.dnskey...))
	ds := binary.BigEndian.AppendUint16(nil, k.Tag)
	return append(append(ds, algorithm, digestSHA256), digest[:]...)
}

// DSText is the DS record for the parent as a line of a zone file.
func (k *Key) DSText(origin wire.Name) string {
	digest := strings.ToUpper(hex.EncodeToString(k.DS(origin)[4:]))
	return fmt.Sprintf("%s IN DS %d %d %d %s", origin, k.Tag, algorithm, digestSHA256, digest)
}
