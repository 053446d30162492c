package match

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/placement"
)

// Claim is the placement that decides about a template.
type Claim struct {
	// Source names the placement.
	Source v1alpha1.PlacementReference
	// Policy for the engine.
	Policy placement.Policy
	// OnConflict and OnDelete, as the placement says.
	OnConflict v1alpha1.OnConflict
	OnDelete   v1alpha1.OnDelete
	// OnImmutable, Drift, IgnoreFields and ProgressDeadline, as the placement says.
	OnImmutable      v1alpha1.OnImmutable
	Drift            v1alpha1.Drift
	IgnoreFields     []string
	ProgressDeadline *metav1.Duration
	// Paused: nothing is changed in the members. ReportOnly: nor that, and what would be is told.
	Paused, ReportOnly bool
	// Follow: dependencies of workloads go where they go.
	Follow bool
	// Overrides per member.
	Overrides []v1alpha1.Override
	// Author is who wrote the placement, as ParseAuthor reads it.
	Author string
	// Contested names other placements of the same rank that claim the template too.
	Contested []v1alpha1.PlacementReference
}

// Key names a Placement, or a ClusterPlacement if Namespace is empty.
type Key struct{ Namespace, Name string }

// String is namespace/name, or name.
func (k Key) String() string {
	if k.Namespace == "" {
		return k.Name
	}
	return k.Namespace + "/" + k.Name
}

// Index holds the placements of the hub. Make one with NewIndex.
type Index struct {
	// namespaceLabels looks up the labels of a namespace of the hub.
	namespaceLabels func(string) labels.Set

	synced chan struct{}

	mu     sync.RWMutex
	rules  map[Key]*rule
	named  map[named][]*rule
	broad  map[string][]*rule // by namespace, "" for ClusterPlacements
	broken map[Key]error
}

// named is one object that a placement names.
type named struct{ namespace, kind, name string }

// rule is one placement, compiled.
type rule struct {
	key       Key
	created   metav1.Time
	uid       types.UID
	claim     Claim
	resources []resource
}

// resource is one resource selector, compiled.
type resource struct {
	group    string
	hasGroup bool
	kind     string
	name     string
	selector labels.Selector
}

// NewIndex returns an empty index. namespaceLabels looks up the labels of a namespace, for ClusterPlacements that
// select namespaces.
func NewIndex(namespaceLabels func(string) labels.Set) *Index {
	return &Index{
		namespaceLabels: namespaceLabels,
		synced:          make(chan struct{}),
		rules:           map[Key]*rule{},
		named:           map[named][]*rule{},
		broad:           map[string][]*rule{},
		broken:          map[Key]error{},
	}
}

// Copy returns an index with the same placements, which changes on its own.
func (ix *Index) Copy(namespaceLabels func(string) labels.Set) *Index {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	copied := NewIndex(namespaceLabels)
	maps.Copy(copied.rules, ix.rules)
	maps.Copy(copied.broken, ix.broken)
	for at, rules := range ix.named {
		copied.named[at] = slices.Clone(rules)
	}
	for namespace, rules := range ix.broad {
		copied.broad[namespace] = slices.Clone(rules)
	}
	return copied
}

// SetPlacement adds or replaces a Placement. The error says what cannot be compiled; such a placement claims nothing.
func (ix *Index) SetPlacement(p *v1alpha1.Placement) error {
	source := v1alpha1.PlacementReference{Kind: "Placement", Name: p.Name, Generation: p.Generation}
	return ix.set(Key{Namespace: p.Namespace, Name: p.Name}, source, p.ObjectMeta, &p.Spec)
}

// SetClusterPlacement adds or replaces a ClusterPlacement, like SetPlacement.
func (ix *Index) SetClusterPlacement(p *v1alpha1.ClusterPlacement) error {
	source := v1alpha1.PlacementReference{Kind: "ClusterPlacement", Name: p.Name, Generation: p.Generation}
	return ix.set(Key{Name: p.Name}, source, p.ObjectMeta, &p.Spec)
}

func (ix *Index) set(
	key Key, source v1alpha1.PlacementReference, meta metav1.ObjectMeta, spec *v1alpha1.PlacementSpec,
) error {
	compiled, err := compile(key, source, meta, spec)
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.remove(key)
	if err != nil {
		ix.broken[key] = err
		return err
	}
	ix.rules[key] = compiled
	isBroad := false
	for _, r := range compiled.resources {
		if r.name == "" || r.kind == "Namespace" {
			isBroad = true
			continue
		}
		at := named{namespace: key.Namespace, kind: r.kind, name: r.name}
		if !slices.Contains(ix.named[at], compiled) {
			ix.named[at] = append(ix.named[at], compiled)
		}
	}
	if isBroad {
		ix.broad[key.Namespace] = append(ix.broad[key.Namespace], compiled)
	}
	return nil
}

// Delete removes a placement.
func (ix *Index) Delete(key Key) {
	ix.mu.Lock()
	defer ix.mu.Unlock()
	ix.remove(key)
}

// Err says why a placement could not be compiled; nil if it could.
func (ix *Index) Err(key Key) error {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	return ix.broken[key]
}

// remove needs the lock.
func (ix *Index) remove(key Key) {
	delete(ix.broken, key)
	old, ok := ix.rules[key]
	if !ok {
		return
	}
	delete(ix.rules, key)
	isOld := func(r *rule) bool { return r == old }
	for _, r := range old.resources {
		at := named{namespace: key.Namespace, kind: r.kind, name: r.name}
		if rest := slices.DeleteFunc(ix.named[at], isOld); len(rest) > 0 {
			ix.named[at] = rest
		} else {
			delete(ix.named, at)
		}
	}
	if rest := slices.DeleteFunc(ix.broad[key.Namespace], isOld); len(rest) > 0 {
		ix.broad[key.Namespace] = rest
	} else {
		delete(ix.broad, key.Namespace)
	}
}

// Get returns the claim of one placement, as if it claimed everything.
func (ix *Index) Get(key Key) (Claim, bool) {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	r, ok := ix.rules[key]
	if !ok {
		return Claim{}, false
	}
	return r.claim, true
}

// For finds the claim of a template; nil if nothing claims it, and for what is the hub's own, whatever claims it. An
// error is an annotation that cannot be read.
func (ix *Index) For(obj *unstructured.Unstructured) (*Claim, error) {
	if _, stays := template.StaysOnHub(obj); stays {
		return nil, nil
	}
	if claim, err := FromAnnotations(obj.GetAnnotations()); claim != nil || err != nil {
		return claim, err
	}
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	found := ix.candidates(obj)
	if len(found) == 0 {
		return nil, nil
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(
			cmp.Compare(a.rank, b.rank),
			a.rule.created.Compare(b.rule.created.Time),
			strings.Compare(a.rule.key.Name, b.rule.key.Name),
		)
	})
	claim := found[0].rule.claim
	for _, other := range found[1:] {
		if other.rank != found[0].rank {
			break
		}
		claim.Contested = append(claim.Contested, other.rule.claim.Source)
	}
	return &claim, nil
}

// Claims tells whether a placement matches a template, whoever wins it.
func (ix *Index) Claims(key Key, obj *unstructured.Unstructured) bool {
	ix.mu.RLock()
	defer ix.mu.RUnlock()
	r, ok := ix.rules[key]
	return ok && ix.rank(r, obj) > 0
}

// candidate is a placement that claims a template, with its rank (lower wins).
type candidate struct {
	rule *rule
	rank int
}

// candidates needs the lock.
func (ix *Index) candidates(obj *unstructured.Unstructured) []candidate {
	namespace := obj.GetNamespace()
	seen := slices.Clone(ix.named[named{namespace: namespace, kind: obj.GetKind(), name: obj.GetName()}])
	seen = append(seen, ix.broad[namespace]...)
	if namespace != "" {
		seen = append(seen, ix.broad[""]...)
	}
	var found []candidate
	for i, r := range seen {
		if slices.Contains(seen[:i], r) {
			continue
		}
		if rank := ix.rank(r, obj); rank > 0 {
			found = append(found, candidate{rule: r, rank: rank})
		}
	}
	return found
}

// The ranks of a claim, first wins. 0 means no claim.
const (
	rankName = iota + 1
	rankSelector
	rankClusterName
	rankClusterSelector
	rankNamespace
)

// rank of the best of a placement's resource selectors for a template.
func (ix *Index) rank(r *rule, obj *unstructured.Unstructured) int {
	best := 0
	for _, selector := range r.resources {
		if rank := ix.rankOf(r, selector, obj); rank > 0 && (best == 0 || rank < best) {
			best = rank
		}
	}
	return best
}

func (ix *Index) rankOf(r *rule, selector resource, obj *unstructured.Unstructured) int {
	if _, stays := template.StaysOnHub(obj); stays {
		return 0
	}
	isClusterWide := r.key.Namespace == ""
	if isClusterWide && obj.GetNamespace() != "" {
		if template.IsHubOwn(obj) || !selector.selectsNamespaces() || !ix.takesNamespace(selector, obj.GetNamespace()) {
			return 0
		}
		return rankNamespace
	}
	if !isClusterWide && obj.GetNamespace() != r.key.Namespace {
		return 0
	}
	byName, matches := selector.matches(obj)
	switch {
	case !matches, !byName && template.IsHubOwn(obj):
		return 0
	case isClusterWide && byName:
		return rankClusterName
	case isClusterWide:
		return rankClusterSelector
	case byName:
		return rankName
	}
	return rankSelector
}

// selectsNamespaces reports whether the selector is for Namespaces, and not for another group's kind of that name.
func (s resource) selectsNamespaces() bool { return s.kind == "Namespace" && s.group == "" }

// takesNamespace tells whether a selector of Namespaces takes one.
func (ix *Index) takesNamespace(selector resource, namespace string) bool {
	switch {
	case selector.name != "":
		return selector.name == namespace
	case selector.selector != nil:
		return selector.selector.Matches(ix.namespaceLabels(namespace))
	}
	return true
}

// matches tells whether the selector takes the object, and whether it names it.
func (s resource) matches(obj *unstructured.Unstructured) (byName, matches bool) {
	gvk := obj.GroupVersionKind()
	if s.kind != "" && s.kind != gvk.Kind || s.hasGroup && s.group != gvk.Group {
		return false, false
	}
	switch {
	case s.name != "":
		return true, s.name == obj.GetName()
	case s.selector != nil:
		return false, s.selector.Matches(labels.Set(obj.GetLabels()))
	}
	return false, true
}
