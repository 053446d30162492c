package member

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/restmapper"
	"k8s.io/utils/clock"
)

const (
	// discoveryAge is how often the APIs are read when nothing says that they have changed.
	discoveryAge = 10 * time.Minute
	// discoverySettle is how long to wait for more after a change of a CustomResourceDefinition.
	discoverySettle = 200 * time.Millisecond
	// unknownKindGap is the least time between two reads because somebody asked for an unknown kind.
	unknownKindGap = 3 * time.Second
	// unknownKindWait is how long such a question may wait for the read.
	unknownKindWait = 5 * time.Second
	// maxKinds bounds what a member can make us remember.
	maxKinds = 20_000
)

// ErrNotDiscovered is the answer to a question about kinds before the member has been asked what it serves. It is not
// a "no".
var ErrNotDiscovered error = notDiscovered{}

type notDiscovered struct{}

func (notDiscovered) Error() string { return "the member's APIs are not known yet" }

// MemberTrouble tells federation/delivery/apply that the fault is not the object's.
func (notDiscovered) MemberTrouble() bool { return true }

// apis is what a member serves, as one immutable value.
type apis struct {
	mapper    meta.RESTMapper
	kinds     map[schema.GroupVersionKind]bool
	resources []Resource
	summary   APIs
	// incomplete names the groups that could not be read.
	incomplete error
}

// Resource is one that a member serves and lists.
type Resource struct {
	schema.GroupVersionResource
	// Kind of its objects.
	Kind         string
	IsNamespaced bool
}

// discover keeps the apis of one member fresh.
type discover struct {
	client  discovery.DiscoveryInterfaceWithContext
	clock   clock.WithTicker
	log     *slog.Logger
	gate    *gate
	changed func(APIs)

	current atomic.Pointer[apis]
	kicks   chan struct{}

	mu      sync.Mutex // one read at a time, by whomever
	readAt  time.Time
	readErr error
}

func (d *discover) kick() {
	select {
	case d.kicks <- struct{}{}:
	default:
	}
}

// run reads the APIs when kicked, when they are old, and after a failure until it succeeds.
func (d *discover) run(ctx context.Context) {
	const first, last = time.Second, 30 * time.Second
	backoff := first
	for d.gate.wait(ctx) == nil {
		next := discoveryAge
		if err := d.read(ctx, 0); err != nil {
			d.log.Debug("cannot read the member's APIs", "err", err)
			next, backoff = backoff, min(2*backoff, last)
		} else {
			backoff = first
		}
		timer := d.clock.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-timer.C():
		case <-d.kicks:
			settle := d.clock.NewTimer(discoverySettle)
			select {
			case <-ctx.Done():
			case <-settle.C():
			}
			settle.Stop()
		}
		timer.Stop()
	}
}

// read asks the member what it serves, unless that was done less than gap ago.
func (d *discover) read(ctx context.Context, gap time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if gap > 0 && d.clock.Since(d.readAt) < gap {
		return d.readErr
	}
	groups, resources, err := d.client.ServerGroupsAndResourcesWithContext(ctx)
	d.readAt = d.clock.Now()
	d.readErr = err
	if len(groups) == 0 || len(resources) == 0 {
		if err == nil {
			err = fmt.Errorf("%w: it serves no APIs", ErrNotKubernetes)
		}
		d.readErr = err
		return err
	}
	former := d.current.Load()
	next, buildErr := newAPIs(groups, resources, err)
	if buildErr != nil {
		d.readErr = buildErr
		return buildErr
	}
	d.current.Store(next)
	if former == nil || former.summary != next.summary {
		d.changed(next.summary)
	}
	if discovery.IsGroupDiscoveryFailedError(err) {
		d.readErr = nil // the others count; the failed ones are named in the summary
	}
	return d.readErr
}

// newAPIs makes one value of what discovery returned. err names the groups that could not be read.
func newAPIs(groups []*metav1.APIGroup, lists []*metav1.APIResourceList, err error) (*apis, error) {
	byVersion := map[string][]metav1.APIResource{}
	out := &apis{kinds: map[schema.GroupVersionKind]bool{}}
	var names []string
	for _, list := range lists {
		gv, parseErr := schema.ParseGroupVersion(list.GroupVersion)
		if parseErr != nil {
			continue
		}
		for _, r := range list.APIResources {
			if len(names) >= maxKinds {
				return nil, fmt.Errorf("%w: it serves more than %d kinds", ErrNotKubernetes, maxKinds)
			}
			byVersion[list.GroupVersion] = append(byVersion[list.GroupVersion], r)
			if strings.Contains(r.Name, "/") {
				continue
			}
			out.kinds[gv.WithKind(r.Kind)] = true
			names = append(names, gv.String()+"/"+r.Kind+"/"+r.Name)
		}
	}
	out.mapper = restmapper.NewDiscoveryRESTMapper(groupResources(groups, byVersion))
	out.resources = listable(groups, byVersion)
	slices.Sort(names)
	sum := sha256.Sum256([]byte(strings.Join(names, "\n")))
	out.summary = APIs{Hash: hex.EncodeToString(sum[:8]), Count: len(names)}
	if err != nil {
		out.incomplete = err
		out.summary.Message = limitedText(err.Error())
	}
	return out, nil
}

func groupResources(groups []*metav1.APIGroup,
	byVersion map[string][]metav1.APIResource) []*restmapper.APIGroupResources {
	var out []*restmapper.APIGroupResources
	for _, group := range groups {
		g := &restmapper.APIGroupResources{Group: *group, VersionedResources: map[string][]metav1.APIResource{}}
		for _, v := range group.Versions {
			if resources, ok := byVersion[v.GroupVersion]; ok {
				g.VersionedResources[v.Version] = resources
			}
		}
		out = append(out, g)
	}
	return out
}

// listable picks one version of each resource that can be listed: the preferred one, or else the first.
func listable(groups []*metav1.APIGroup, byVersion map[string][]metav1.APIResource) []Resource {
	found := map[schema.GroupResource]Resource{}
	for _, group := range groups {
		versions := append([]metav1.GroupVersionForDiscovery{group.PreferredVersion}, group.Versions...)
		for _, v := range versions {
			for _, r := range byVersion[v.GroupVersion] {
				gvr := schema.GroupVersionResource{Group: group.Name, Version: v.Version, Resource: r.Name}
				_, have := found[gvr.GroupResource()]
				if !have && !strings.Contains(r.Name, "/") && slices.Contains(r.Verbs, "list") {
					found[gvr.GroupResource()] = Resource{GroupVersionResource: gvr, Kind: r.Kind, IsNamespaced: r.Namespaced}
				}
			}
		}
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Resource) int {
		return cmp.Compare(a.GroupVersionResource.String(), b.GroupVersionResource.String())
	})
}

// known is the present APIs; if there are none yet they are read, for a few seconds at most.
func (d *discover) known() (*apis, error) {
	if a := d.current.Load(); a != nil {
		return a, nil
	}
	if !d.gate.isOpen() {
		return nil, ErrNotDiscovered
	}
	if err := d.readForQuestion(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotDiscovered, err)
	}
	return d.current.Load(), nil
}

func (d *discover) readForQuestion() error {
	ctx, cancel := context.WithTimeout(context.Background(), unknownKindWait)
	defer cancel()
	return d.read(ctx, unknownKindGap)
}

// ask puts a question to the mapper, and once more after a fresh read if the answer is that there is no such kind.
func ask[T any](d *discover, question func(meta.RESTMapper) (T, error)) (T, error) {
	a, err := d.known()
	if err != nil {
		var none T
		return none, err
	}
	reply, err := question(a.mapper)
	if !meta.IsNoMatchError(err) || !d.gate.isOpen() || d.readForQuestion() != nil {
		return reply, err
	}
	return question(d.current.Load().mapper)
}

// mapper is the meta.RESTMapper over discover.
type mapper struct{ d *discover }

var _ meta.RESTMapper = mapper{}

func (m mapper) KindFor(r schema.GroupVersionResource) (schema.GroupVersionKind, error) {
	return ask(m.d, func(x meta.RESTMapper) (schema.GroupVersionKind, error) { return x.KindFor(r) })
}

func (m mapper) KindsFor(r schema.GroupVersionResource) ([]schema.GroupVersionKind, error) {
	return ask(m.d, func(x meta.RESTMapper) ([]schema.GroupVersionKind, error) { return x.KindsFor(r) })
}

func (m mapper) ResourceFor(r schema.GroupVersionResource) (schema.GroupVersionResource, error) {
	return ask(m.d, func(x meta.RESTMapper) (schema.GroupVersionResource, error) { return x.ResourceFor(r) })
}

func (m mapper) ResourcesFor(r schema.GroupVersionResource) ([]schema.GroupVersionResource, error) {
	return ask(m.d, func(x meta.RESTMapper) ([]schema.GroupVersionResource, error) { return x.ResourcesFor(r) })
}

func (m mapper) RESTMapping(gk schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	return ask(m.d, func(x meta.RESTMapper) (*meta.RESTMapping, error) { return x.RESTMapping(gk, versions...) })
}

func (m mapper) RESTMappings(gk schema.GroupKind, versions ...string) ([]*meta.RESTMapping, error) {
	return ask(m.d, func(x meta.RESTMapper) ([]*meta.RESTMapping, error) { return x.RESTMappings(gk, versions...) })
}

func (m mapper) ResourceSingularizer(resource string) (string, error) {
	return ask(m.d, func(x meta.RESTMapper) (string, error) { return x.ResourceSingularizer(resource) })
}
