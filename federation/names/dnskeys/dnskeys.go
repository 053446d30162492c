package dnskeys

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/sign"
)

// Key is one key of a zone.
type Key struct {
	// Tag is what DS records call it.
	Tag uint16
	// Private is in PKCS #8 form.
	Private []byte
	Stage   sign.Stage
	// Since is when it came to its stage.
	Since time.Time
}

// Keys is all keys of a zone, by their tags.
type Keys []Key

// published is how long a key must have been published before it may be the only one that signs: as long as resolvers
// keep the set of keys that was before it, and time for all replicas and secondaries to have it.
const published = sign.KeyTTL*time.Second + 10*time.Minute

// Why a step is refused.
var (
	ErrUnderWay  = errors.New("another key is being brought in already")
	ErrNoNew     = errors.New("there is no new key to take over")
	ErrNotActive = errors.New("is not the active key")
	ErrTooEarly  = errors.New("the new key has not been published for long enough")
	ErrMalformed = errors.New("holds no usable DNSSEC keys")
)

// maxName is the longest name of an object.
const maxName = 253

// SecretName is the name of the Secret with the keys of a zone.
func SecretName(zone string) string {
	name := "dnssec-" + zone
	if len(name) <= maxName {
		return name
	}
	sum := sha256.Sum256([]byte(zone))
	return "dnssec-" + hex.EncodeToString(sum[:16])
}

// New is a keys with one key, which is active.
func New(now time.Time) (Keys, error) { return Keys(nil).with(sign.Active, now) }

// with adds a new key.
func (k Keys) with(stage sign.Stage, now time.Time) (Keys, error) {
	for {
		private, err := sign.Generate()
		if err != nil {
			return nil, err
		}
		key, err := sign.NewKey(private, stage)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(k, func(k Key) bool { return k.Tag == key.Tag }) {
			continue // tags are short; two keys must not share one
		}
		next := append(slices.Clone(k), Key{key.Tag, private, stage, now.UTC().Truncate(time.Second)})
		slices.SortFunc(next, func(a, b Key) int { return cmp.Compare(a.Tag, b.Tag) })
		return next, nil
	}
}

// Roll adds an incoming key.
func (k Keys) Roll(now time.Time) (Keys, error) {
	if _, ok := k.in(sign.Incoming); ok {
		return nil, ErrUnderWay
	}
	return k.with(sign.Incoming, now)
}

// Retire lets the incoming key take over from the active one, which must have the given tag: then whoever repeats the
// command by mistake does not retire the new one.
func (k Keys) Retire(tag uint16, now time.Time) (Keys, error) {
	incoming, ok := k.in(sign.Incoming)
	if !ok {
		return nil, ErrNoNew
	}
	active, ok := k.in(sign.Active)
	if !ok || k[active].Tag != tag {
		return nil, fmt.Errorf("%d %w", tag, ErrNotActive)
	}
	if wait := published - now.Sub(k[incoming].Since); wait > 0 {
		return nil, fmt.Errorf("%w: wait %s", ErrTooEarly, wait.Round(time.Second))
	}
	next := slices.Clone(k)
	since := now.UTC().Truncate(time.Second)
	next[incoming].Stage, next[incoming].Since = sign.Active, since
	next[active].Stage, next[active].Since = sign.Retired, since
	return next, nil
}

// Current is the keys without the retired keys of which nothing is left in any cache, and how long until the next one
// is (0: none will be).
func (k Keys) Current(now time.Time) (current Keys, until time.Duration) {
	for _, k := range k {
		rest := sign.Lifetime - now.Sub(k.Since)
		if k.Stage == sign.Retired && rest <= 0 {
			continue
		}
		if k.Stage == sign.Retired && (until == 0 || rest < until) {
			until = rest
		}
		current = append(current, k)
	}
	return current, until
}

// in is the key of a stage.
func (k Keys) in(stage sign.Stage) (int, bool) {
	i := slices.IndexFunc(k, func(k Key) bool { return k.Stage == stage })
	return i, i >= 0
}

// A key in a Secret is a PEM block with these headers.
const (
	blockType   = "PRIVATE KEY"
	stageHeader = "Stage"
	sinceHeader = "Since"
	fieldSuffix = ".pem"
)

// Secret is the keys as it is stored.
func (k Keys) Secret(zone *v1alpha1.Zone) *corev1.Secret {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: v1alpha1.SystemNamespace,
			Name:      SecretName(zone.Name),
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(), Kind: "Zone", Name: zone.Name, UID: zone.UID,
			}},
		},
	}
	k.Put(secret)
	return secret
}

// Put makes the keys the content of a Secret.
func (k Keys) Put(secret *corev1.Secret) {
	secret.Data = make(map[string][]byte, len(k))
	for _, k := range k {
		secret.Data[fmt.Sprintf("%d%s", k.Tag, fieldSuffix)] = pem.EncodeToMemory(&pem.Block{
			Type: blockType, Bytes: k.Private,
			Headers: map[string]string{stageHeader: string(k.Stage), sinceHeader: k.Since.Format(time.RFC3339)},
		})
	}
}

// Read is the inverse of Put. The error is ErrMalformed, and says which field it is about.
func Read(secret *corev1.Secret) (Keys, error) {
	var keys Keys
	for field, text := range secret.Data {
		if !strings.HasSuffix(field, fieldSuffix) {
			continue
		}
		block, _ := pem.Decode(text)
		if block == nil || block.Type != blockType {
			return nil, malformed(secret, "%s is no PEM block of a private key", field)
		}
		since, err := time.Parse(time.RFC3339, block.Headers[sinceHeader])
		if err != nil {
			return nil, malformed(secret, "%s: %s: %v", field, sinceHeader, err)
		}
		key, err := sign.NewKey(block.Bytes, sign.Stage(block.Headers[stageHeader]))
		if err != nil {
			return nil, malformed(secret, "%s: %v", field, err)
		}
		keys = append(keys, Key{key.Tag, block.Bytes, key.Stage, since})
	}
	slices.SortFunc(keys, func(a, b Key) int { return cmp.Compare(a.Tag, b.Tag) })
	if len(keys) == 0 {
		return nil, malformed(secret, "no field ends with %s", fieldSuffix)
	}
	return keys, nil
}

func malformed(secret *corev1.Secret, what string, args ...any) error {
	return fmt.Errorf("secret %s/%s %w: %s", secret.Namespace, secret.Name, ErrMalformed, fmt.Sprintf(what, args...))
}
