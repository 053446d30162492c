package dynamicupdates

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/zone"
)

// maxName is the longest name of an object, and recordsField the field of the ConfigMap.
const (
	maxName      = 253
	recordsField = "records"
)

// ErrTooMany is for more records than are kept for one zone.
var ErrTooMany = errors.New("too many records have been written by updates")

// maxRecords is how many records of one zone are kept.
const maxRecords = 1000

// ConfigMapName is the name of the ConfigMap of a zone.
func ConfigMapName(zone string) string {
	name := "dns-updates-" + zone
	if len(name) <= maxName {
		return name
	}
	sum := sha256.Sum256([]byte(zone))
	return "dns-updates-" + hex.EncodeToString(sum[:16])
}

// Read gives the records of a ConfigMap. The error names the line that is none.
func Read(stored *corev1.ConfigMap) ([]zone.Record, error) {
	var records []zone.Record
	for i, line := range strings.Split(stored.Data[recordsField], "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		words := strings.SplitN(line, " ", 5)
		if len(words) < 5 || words[2] != "IN" {
			return records, malformed(stored, i, errors.New("is not NAME TTL IN TYPE DATA"))
		}
		ttl, err := strconv.ParseUint(words[1], 10, 31)
		if err != nil {
			return records, malformed(stored, i, err)
		}
		records = append(records, zone.Record{Name: words[0], TTL: uint32(ttl), Type: words[3], Data: words[4]})
	}
	return records, nil
}

func malformed(stored *corev1.ConfigMap, line int, err error) error {
	return fmt.Errorf("configmap %s/%s, line %d of %s: %w", stored.Namespace, stored.Name, line+1, recordsField, err)
}

// Put makes records the content of a ConfigMap, in a fixed order.
func Put(stored *corev1.ConfigMap, records []zone.Record) {
	lines := make([]string, 0, len(records))
	for _, r := range records {
		lines = append(lines, fmt.Sprintf("%s %d IN %s %s\n", r.Name, r.TTL, r.Type, r.Data))
	}
	slices.Sort(lines)
	stored.Data = map[string]string{recordsField: strings.Join(lines, "")}
}

// Store keeps records in the hub.
type Store struct {
	// Client reads and writes without a cache.
	Client client.Client
	// Served is what DNS answers from.
	Served *zone.Store
}

// patience is how long a change is waited for in the answers after it has been stored: whoever wrote it looks for it
// next.
const patience = 2 * time.Second

// Update replaces the records stored for a zone by what change makes of them, and returns when that is stored and, as a
// rule, answered. change may be called again, when somebody else was faster. Its error is returned as it is.
func (s *Store) Update(ctx context.Context, origin string, change func([]zone.Record) ([]zone.Record, error)) error {
	name := strings.TrimSuffix(origin, ".")
	isChanged := false
	before := s.Served.Changed()
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() (err error) {
		isChanged, err = s.try(ctx, name, change)
		if apierrors.IsAlreadyExists(err) { // another replica made it just now
			isChanged, err = s.try(ctx, name, change)
		}
		return err
	})
	if err != nil || !isChanged {
		return err
	}
	select {
	case <-before:
	case <-time.After(patience):
	case <-ctx.Done():
	}
	return nil
}

func (s *Store) try(
	ctx context.Context, name string, change func([]zone.Record) ([]zone.Record, error),
) (isChanged bool, err error) {
	stored := &corev1.ConfigMap{}
	key := client.ObjectKey{Namespace: v1alpha1.SystemNamespace, Name: ConfigMapName(name)}
	err = s.Client.Get(ctx, key, stored)
	isNew := apierrors.IsNotFound(err)
	if err != nil && !isNew {
		return false, fmt.Errorf("reading what updates have written into %s: %w", name, err)
	}
	records, err := Read(stored)
	if err != nil {
		return false, err
	}
	next, err := change(slices.Clone(records))
	switch {
	case err != nil:
		return false, err
	case len(next) > maxRecords && len(next) > len(records):
		return false, fmt.Errorf("zone %s: %w: %d", name, ErrTooMany, len(next))
	case slices.Equal(records, next):
		return false, nil
	}
	Put(stored, next)
	if !isNew {
		return true, s.Client.Update(ctx, stored)
	}
	owner := &v1alpha1.Zone{}
	if err := s.Client.Get(ctx, client.ObjectKey{Name: name}, owner); err != nil {
		return false, fmt.Errorf("reading the Zone %s: %w", name, err)
	}
	stored.ObjectMeta = metav1.ObjectMeta{
		Namespace: key.Namespace, Name: key.Name,
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "Zone", Name: owner.Name, UID: owner.UID,
		}},
	}
	return true, s.Client.Create(ctx, stored)
}
