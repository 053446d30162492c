package expose

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/sign"
	"github.com/hanse-federation/hanse/dns/zone"
	"github.com/hanse-federation/hanse/federation/names/dnskeys"
	"github.com/hanse-federation/hanse/federation/names/dynamicupdates"
)

// signing is what a zone is signed with.
type signing struct {
	ring dnskeys.Keys
	// until is when a retired key goes; 0: never.
	until time.Duration
	// isMissing: the zone shall be signed, and has no key yet. isOutdated: some of the stored keys have gone.
	isMissing, isOutdated bool
	// isLeaving: the zone is to be signed no more, and still is. As long as the keys are there its parent may have a DS
	// record of them, and without signatures the zone would be lost for everybody who validates.
	isLeaving bool
}

// published is the ring as it is served.
func (s signing) published() dnskeys.Keys {
	if !s.isLeaving {
		return s.ring
	}
	ring := slices.Clone(s.ring)
	for i := range ring {
		if ring[i].Stage == sign.Active {
			ring[i].Stage = sign.Leaving
		}
	}
	return ring
}

// signingOf finds the keys of a zone.
func signingOf(w world, z *v1alpha1.Zone) (signing, error) {
	isWanted := z.Spec.DNSSEC != nil && z.Spec.DNSSEC.Enabled
	secret, ok := w.secret(dnskeys.SecretName(z.Name))
	if !ok {
		return signing{isMissing: isWanted}, nil
	}
	all, err := dnskeys.Read(secret)
	if err != nil {
		return signing{}, fmt.Errorf("spec.dnssec: %w", err)
	}
	current, until := all.Current(w.now)
	return signing{ring: current, until: until, isOutdated: len(current) < len(all), isLeaving: !isWanted}, nil
}

func keysOf(ring dnskeys.Keys) []zone.Key {
	var keys []zone.Key
	for _, k := range ring {
		keys = append(keys, zone.Key{Private: k.Private, Stage: k.Stage})
	}
	return keys
}

// transferOf says who may copy a zone. What is wrong there keeps the zone from being copied, not from being served.
func transferOf(w world, z *v1alpha1.Zone) (zone.Transfer, error) {
	var out zone.Transfer
	given := z.Spec.Transfer
	if given == nil {
		return out, nil
	}
	var faults []error
	for i, text := range given.Allow {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("spec.transfer.allow[%d]: %w", i, err))
			continue
		}
		out.Allow = append(out.Allow, prefix.Masked())
	}
	for _, to := range given.Notify {
		if _, _, err := net.SplitHostPort(to); err != nil {
			to = net.JoinHostPort(strings.Trim(to, "[]"), "53")
		}
		out.Notify = append(out.Notify, to)
	}
	if given.TSIGSecret != "" {
		key, err := tsigKey(w, given.TSIGSecret)
		if err != nil {
			faults = append(faults, fmt.Errorf("spec.transfer.tsigSecret: %w", err))
		}
		out.Keys = append(out.Keys, key)
	}
	if err := errors.Join(faults...); err != nil {
		return zone.Transfer{}, fmt.Errorf("the zone cannot be transferred: %w", err)
	}
	return out, nil
}

// updatesOf says who may change records of a zone.
func updatesOf(w world, z *v1alpha1.Zone) ([]zone.Update, error) {
	var out []zone.Update
	var faults []error
	for i, u := range z.Spec.Updates {
		key, err := tsigKey(w, u.TSIGSecret)
		if err != nil {
			faults = append(faults, fmt.Errorf("spec.updates[%d].tsigSecret: %w", i, err))
			continue
		}
		out = append(out, zone.Update{Key: key, Names: u.AllowedNames(), Types: u.AllowedTypes()})
	}
	return out, errors.Join(faults...)
}

// tsigKey reads a key that is shared with another server.
func tsigKey(w world, name string) (zone.TSIGKey, error) {
	secret, ok := w.secret(name)
	if !ok {
		return zone.TSIGKey{}, fmt.Errorf("there is no secret %s/%s", v1alpha1.SystemNamespace, name)
	}
	text := func(field string) string { return strings.TrimSpace(string(secret.Data[field])) }
	key := zone.TSIGKey{Name: text("name"), Algorithm: text("algorithm"), Secret: text("secret")}
	probe := zone.Zone{
		Origin: "probe.", NameServers: []zone.NameServer{{Name: "probe."}}, Transfer: zone.Transfer{Keys: []zone.TSIGKey{key}},
	}
	if err := zone.Check(probe); err != nil {
		var fault *zone.FieldError
		if errors.As(err, &fault) {
			field := cmp.Or(strings.TrimPrefix(fault.Field, "transfer.keys[0]."), fault.Field)
			return zone.TSIGKey{}, fmt.Errorf("secret %s/%s: %s: %w", v1alpha1.SystemNamespace, name, field, fault.Err)
		}
		return zone.TSIGKey{}, fmt.Errorf("secret %s/%s: %w", v1alpha1.SystemNamespace, name, err)
	}
	return key, nil
}

// keepKeys makes the keys that are missing, and takes away those that have gone. The watch brings them back here.
func (x *Exposer) keepKeys(ctx context.Context, w world, p plan) {
	for i := range w.zones {
		z := &w.zones[i]
		s := p.signing[z.Name]
		var err error
		switch {
		case s.isMissing && z.DeletionTimestamp == nil:
			err = x.makeKey(ctx, z)
		case s.isOutdated:
			err = x.storeRing(ctx, z, s.ring)
		}
		if err != nil && ctx.Err() == nil {
			x.Logger.Warn("keeping the keys of a zone", "zone", z.Name, "error", err)
			x.Again()
		}
	}
}

func (x *Exposer) makeKey(ctx context.Context, z *v1alpha1.Zone) error {
	ring, err := dnskeys.New(x.Now())
	if err != nil {
		return err
	}
	if err := x.Client.Create(ctx, ring.Secret(z)); client.IgnoreAlreadyExists(err) != nil {
		return fmt.Errorf("storing the first key: %w", err)
	}
	return nil
}

func (x *Exposer) storeRing(ctx context.Context, z *v1alpha1.Zone, ring dnskeys.Keys) error {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: v1alpha1.SystemNamespace, Name: dnskeys.SecretName(z.Name)}
	if err := x.Client.Get(ctx, key, secret); err != nil {
		return fmt.Errorf("reading the keys: %w", err)
	}
	changed := secret.DeepCopy()
	ring.Put(changed)
	if err := x.Client.Update(ctx, changed); err != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("taking away a retired key: %w", err)
	}
	return nil
}

// secretNamed looks up a Secret of the hub's own.
func (x *Exposer) secretNamed(ctx context.Context) func(string) (*corev1.Secret, bool) {
	return func(name string) (*corev1.Secret, bool) {
		secret := &corev1.Secret{}
		err := x.Client.Get(ctx, client.ObjectKey{Namespace: v1alpha1.SystemNamespace, Name: name}, secret)
		return secret, err == nil
	}
}

// writtenInto looks up what others have written into a zone.
func (x *Exposer) writtenInto(ctx context.Context) func(string) ([]zone.Record, error) {
	return func(name string) ([]zone.Record, error) {
		stored := &corev1.ConfigMap{}
		key := client.ObjectKey{Namespace: v1alpha1.SystemNamespace, Name: dynamicupdates.ConfigMapName(name)}
		if err := x.Client.Get(ctx, key, stored); err != nil {
			return nil, client.IgnoreNotFound(err)
		}
		return dynamicupdates.Read(stored)
	}
}
