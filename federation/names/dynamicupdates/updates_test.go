package dynamicupdates

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/dns/zone"
)

// TestReadAndPut: records come back as they were, in a fixed order; what is none is told with its line.
func TestReadAndPut(t *testing.T) {
	records := []zone.Record{
		{Name: "_acme-challenge.example.org.", TTL: 60, Type: "TXT", Data: `"a b" "c"`},
		{Name: `a\032b.example.org.`, TTL: 0, Type: "A", Data: "10.0.0.1"},
	}
	var stored corev1.ConfigMap
	Put(&stored, []zone.Record{records[1], records[0]})
	got, err := Read(&stored)
	if diff := cmp.Diff(records, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, line := range []string{"x", "a 1 CH A 10.0.0.1", "a many IN A 10.0.0.1", "a -1 IN A 10.0.0.1", "a 1 IN A"} {
		stored.Data[recordsField] = "a. 1 IN A 10.0.0.1\n\n" + line
		if _, err := Read(&stored); err == nil || !strings.Contains(err.Error(), "line 3") {
			t.Errorf("%q: %v", line, err)
		}
	}
	if name := ConfigMapName(strings.Repeat("a.", 125)); len(name) > 253 {
		t.Errorf("the name of a ConfigMap has %d characters", len(name))
	}
}

// oneMap is a hub that holds one Zone and one ConfigMap, with resource versions.
type oneMap struct {
	client.Client
	mu      sync.Mutex
	stored  *corev1.ConfigMap
	version int
	writes  int
}

func (m *oneMap) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch obj := obj.(type) {
	case *v1alpha1.Zone:
		obj.Name, obj.UID = key.Name, "1"
		return nil
	case *corev1.ConfigMap:
		if m.stored == nil {
			return apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, key.Name)
		}
		m.stored.DeepCopyInto(obj)
	}
	return nil
}

func (m *oneMap) Create(_ context.Context, obj client.Object, _ ...client.CreateOption) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stored != nil {
		return apierrors.NewAlreadyExists(schema.GroupResource{Resource: "configmaps"}, obj.GetName())
	}
	m.store(obj)
	return nil
}

func (m *oneMap) Update(_ context.Context, obj client.Object, _ ...client.UpdateOption) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if obj.GetResourceVersion() != fmt.Sprint(m.version) {
		return apierrors.NewConflict(schema.GroupResource{Resource: "configmaps"}, obj.GetName(), errors.New("changed meanwhile"))
	}
	m.store(obj)
	return nil
}

func (m *oneMap) store(obj client.Object) {
	m.version++
	m.writes++
	m.stored = obj.(*corev1.ConfigMap).DeepCopy()
	m.stored.ResourceVersion = fmt.Sprint(m.version)
}

// TestUpdatesAreNotLost: whoever is told that it is stored finds it, however many write at the same time; who is refused
// changes nothing.
func TestUpdatesAreNotLost(t *testing.T) {
	hub := &oneMap{}
	s := &Store{Client: hub, Served: zone.NewStore()}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nobody serves here: do not wait for that
	var writing sync.WaitGroup
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	for i := range 8 {
		writing.Go(func() {
			name := fmt.Sprintf("n%d.example.org.", i)
			err := s.Update(ctx, "example.org.", func(records []zone.Record) ([]zone.Record, error) {
				return append(records, zone.Record{Name: name, TTL: 60, Type: "A", Data: "10.0.0.1"}), nil
			})
			mu.Lock()
			defer mu.Unlock()
			acknowledged[name] = err == nil
		})
	}
	writing.Wait()
	records, err := Read(hub.stored)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, r := range records {
		found[r.Name] = true
	}
	for name, isStored := range acknowledged {
		if isStored != found[name] {
			t.Errorf("%s: acknowledged %v, stored %v", name, isStored, found[name])
		}
	}
	if len(found) == 0 || hub.stored.OwnerReferences[0].Name != "example.org" {
		t.Errorf("stored %v, owned by %v", records, hub.stored.OwnerReferences)
	}
	writes, no := hub.writes, errors.New("no")
	for what, change := range map[string]func([]zone.Record) ([]zone.Record, error){
		"refused":        func([]zone.Record) ([]zone.Record, error) { return nil, no },
		"nothing to do":  func(r []zone.Record) ([]zone.Record, error) { return r, nil },
		"more than fits": func(r []zone.Record) ([]zone.Record, error) { return make([]zone.Record, maxRecords+1), nil },
	} {
		err := s.Update(ctx, "example.org.", change)
		if isError := err != nil; isError == (what == "nothing to do") || what == "refused" && !errors.Is(err, no) || hub.writes != writes {
			t.Errorf("%s: %v, %d writes", what, err, hub.writes-writes)
		}
	}
}
