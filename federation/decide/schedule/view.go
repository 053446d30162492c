package schedule

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/kinds"
	"github.com/hanse-federation/hanse/federation/kinds/rules"
	"github.com/hanse-federation/hanse/federation/member"
	"github.com/hanse-federation/hanse/federation/member/sight"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/federation/template/match"
	"github.com/hanse-federation/hanse/placement"
)

// View is where the facts of a decision come from: the hub as it is (Caches), or as it would be (package plan). What
// it returns is shared and must not be changed.
type View interface {
	// Template looks up a template.
	Template(template.Ref) (*unstructured.Unstructured, bool)
	// Kind looks up how the hub serves a kind.
	Kind(schema.GroupKind) (template.Kind, bool)
	// Claim finds the placement of a template; nil if nothing claims it.
	Claim(*unstructured.Unstructured) (*match.Claim, error)
	// Distribution is the present decision; nil if there is none.
	Distribution(context.Context, template.Ref) (*v1alpha1.Distribution, error)
	// Needing are the decisions about what refers to a template.
	Needing(context.Context, template.Ref) ([]*v1alpha1.Distribution, error)
	// InNamespace are the decisions of a namespace.
	InNamespace(ctx context.Context, namespace string) ([]*v1alpha1.Distribution, error)
	// Grants are the ReferenceGrants of a namespace.
	Grants(namespace string) []*unstructured.Unstructured
	// Rule is what is known of a kind.
	Rule(schema.GroupKind) kinds.Rule
	// Autoscaler finds what owns the replica count of a template in each member; false if nothing does.
	Autoscaler(template.Ref) (*unstructured.Unstructured, bool)
	// NotPermitted says, by cluster, why the author of a placement may not place there.
	NotPermitted(ctx context.Context, author string, clusters []placement.Cluster) map[string]string
	// Members are the facts of all members, for a kind.
	Members(context.Context, schema.GroupVersionKind) (Members, error)
	// Sight is how far these facts can be relied on.
	Sight() placement.Sight
}

// Members are the facts of all members.
type Members struct {
	// Clusters by name, without those that are being removed.
	Clusters []placement.Cluster
	// Joined names every Cluster there is, those that are being removed included.
	Joined map[string]bool
}

// Decision is what is to be stored for one template, and where it comes from.
type Decision struct {
	// Spec of the Distribution; nil: there is to be none.
	Spec *v1alpha1.DistributionSpec
	// Engine is the engine's answer; nil when the template only follows others, or nothing claims it.
	Engine *placement.Decision
	// Claim that was used; nil if there is none.
	Claim *match.Claim
	// Previous is the decision that it would replace; nil if there is none.
	Previous *v1alpha1.Distribution
}

// Decide is the decision that the reconciler would take now, with the reasons of every member.
func Decide(ctx context.Context, view View, ref template.Ref, now time.Time) (Decision, error) {
	f, err := gather(ctx, view, ref, now)
	if err != nil {
		return Decision{}, err
	}
	f.explain = true
	decided := decide(f)
	return Decision{Spec: decided.spec, Engine: decided.engine, Claim: f.claim, Previous: f.previous}, f.trouble
}

// gather reads every fact.
func gather(ctx context.Context, view View, ref template.Ref, now time.Time) (facts, error) {
	f := facts{ref: ref, now: now, rule: view.Rule(ref.GroupKind())}
	if obj, ok := view.Template(ref); ok {
		f.template = obj
		_, f.stays = template.StaysOnHub(obj)
		f.claim, f.trouble = view.Claim(obj)
		if err := f.rule.Check(obj); f.trouble == nil && err != nil {
			f.trouble = fmt.Errorf("the KindRule of %s does not fit the object: %w", ref.GroupKind(), err)
		}
	}
	previous, err := view.Distribution(ctx, ref)
	if err != nil {
		return f, err
	}
	f.previous = previous
	if f.template == nil && f.previous == nil {
		return f, nil
	}
	var gvk schema.GroupVersionKind // of which members must serve it
	if f.template != nil {
		f.brings = definitionOf(view, ref.GroupKind())
		if f.brings == nil || f.claim != nil && !f.claim.Follow { // nothing brings the kind
			gvk = f.template.GroupVersionKind()
		}
	}
	members, err := view.Members(ctx, gvk)
	if err != nil {
		return f, err
	}
	f.clusters, f.joined, f.sight = members.Clusters, members.Joined, view.Sight()
	if f.claim != nil {
		f.clusters = judged(f.clusters, view.NotPermitted(ctx, f.claim.Author, f.clusters))
	}
	if f.template == nil {
		return f, nil
	}
	if scaler, ok := autoscaler(view, f); ok {
		rule := view.Rule(scaler.GroupVersionKind().GroupKind())
		f.scaled = &bounds{}
		f.scaled.least, f.scaled.most = rule.Bounds(scaler)
	}
	f.grants = grantsFor(view, f)
	f.followed, err = followed(ctx, view, f)
	return f, err
}

// autoscaler finds what scales the template, of kinds that have replicas.
func autoscaler(view View, f facts) (*unstructured.Unstructured, bool) {
	if !f.rule.HasReplicas() {
		return nil, false
	}
	return view.Autoscaler(f.ref)
}

// definitionOf finds the CustomResourceDefinition of a kind on the hub; nil for native kinds.
func definitionOf(view View, gk schema.GroupKind) *template.Ref {
	if !strings.Contains(gk.Group, ".") {
		return nil
	}
	kind, ok := view.Kind(gk)
	if !ok {
		return nil
	}
	ref := template.Ref{
		Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition", Name: kind.Resource + "." + kind.Group,
	}
	if _, ok := view.Template(ref); !ok {
		return nil
	}
	return &ref
}

// followed finds what the template follows: its own target, and all that refer to it.
func followed(ctx context.Context, view View, f facts) ([]*v1alpha1.Distribution, error) {
	needing, err := view.Needing(ctx, f.ref)
	if err != nil {
		return nil, err
	}
	all := reaching(view, needing, f.ref)
	if target, ok := f.rule.Follows(f.template); ok {
		targets, err := targets(ctx, view, f.ref.Namespace, target)
		if err != nil {
			return nil, err
		}
		all = append(all, targets...)
	}
	slices.SortFunc(all, func(a, b *v1alpha1.Distribution) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return slices.CompactFunc(all, func(a, b *v1alpha1.Distribution) bool {
		return a.Namespace == b.Namespace && a.Name == b.Name
	}), nil
}

// targets finds the Distributions of what an autoscaler or a budget is for.
func targets(ctx context.Context, view View, namespace string, t kinds.Target) ([]*v1alpha1.Distribution, error) {
	if t.Ref != nil && t.Ref.Namespace != namespace {
		return nil, nil
	}
	if t.Ref != nil {
		ref := template.Ref{Group: t.Ref.Group, Kind: t.Ref.Kind, Namespace: t.Ref.Namespace, Name: t.Ref.Name}
		d, err := view.Distribution(ctx, ref)
		if d == nil {
			return nil, err
		}
		return []*v1alpha1.Distribution{d}, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(t.Selector)
	if err != nil {
		return nil, nil // a budget whose selector cannot be read selects nothing, as in any cluster
	}
	inNamespace, err := view.InNamespace(ctx, namespace)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(inNamespace, func(d *v1alpha1.Distribution) bool {
		obj, ok := view.Template(template.RefOfDistribution(d))
		return !ok || !selector.Matches(podLabels(obj))
	}), nil
}

// podLabels of a workload; an empty set for what has no pods, which matches no sensible selector.
func podLabels(workload *unstructured.Unstructured) labels.Set {
	found, _, _ := unstructured.NestedStringMap(workload.Object, "spec", "template", "metadata", "labels")
	return found
}

// Caches is the View of the hub as it is: nothing is asked of anybody.
type Caches struct {
	// Reader reads Distributions and Clusters from the cache, without copying them.
	Reader client.Reader
	// Templates, Claims and Fleet are read.
	Templates *template.Store
	Claims    *match.Index
	Fleet     *member.Fleet
	// Rules are what is known of kinds; nil: what package kinds knows.
	Rules *rules.Book
	// See is how far the facts about members can be relied on; nil: wholly.
	See *sight.Sight
	// Rights say who may place where; nil: everybody may place anywhere.
	Rights *Rights

	mu sync.Mutex
	// members and lacking are made at the first question after Forget. lacking holds, for kinds that some member does
	// not serve, the same facts with that marked.
	members *Members
	lacking map[schema.GroupVersionKind][]placement.Cluster
}

var _ View = &Caches{}

// Forget makes the facts of the members be read anew. It is called when a Cluster or a connection has changed.
func (c *Caches) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members = nil
}

// Template implements View.
func (c *Caches) Template(ref template.Ref) (*unstructured.Unstructured, bool) {
	return c.Templates.Get(ref)
}

// Sight implements View.
func (c *Caches) Sight() placement.Sight {
	if c.See == nil {
		return placement.Sight{}
	}
	return c.See.Look()
}

// Kind implements View.
func (c *Caches) Kind(gk schema.GroupKind) (template.Kind, bool) { return c.Templates.Kind(gk) }

// Grants implements View.
func (c *Caches) Grants(namespace string) []*unstructured.Unstructured {
	var grants []*unstructured.Unstructured
	c.Templates.Each(kinds.ReferenceGrant, namespace, func(grant *unstructured.Unstructured) bool {
		grants = append(grants, grant)
		return true
	})
	return grants
}

// Rule implements View.
func (c *Caches) Rule(gk schema.GroupKind) kinds.Rule { return c.Rules.For(gk) }

// Autoscaler implements View.
func (c *Caches) Autoscaler(ref template.Ref) (*unstructured.Unstructured, bool) {
	return c.Rules.Autoscaler(c.Templates, ref)
}

// NotPermitted implements View.
func (c *Caches) NotPermitted(ctx context.Context, author string, clusters []placement.Cluster) map[string]string {
	return c.Rights.NotPermitted(ctx, author, clusters)
}

// Claim implements View.
func (c *Caches) Claim(obj *unstructured.Unstructured) (*match.Claim, error) {
	return c.Claims.For(obj)
}

// Distribution implements View.
func (c *Caches) Distribution(ctx context.Context, ref template.Ref) (*v1alpha1.Distribution, error) {
	namespace, name := ref.Distribution()
	d := &v1alpha1.Distribution{}
	err := c.Reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, d, client.UnsafeDisableDeepCopy)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading distribution %s/%s: %w", namespace, name, err)
	case template.RefOfDistribution(d) != ref:
		return nil, fmt.Errorf("distribution %s/%s belongs to %s: two templates have the same distribution name",
			namespace, name, template.RefOfDistribution(d))
	}
	return d, nil
}

// Needing implements View.
func (c *Caches) Needing(ctx context.Context, ref template.Ref) ([]*v1alpha1.Distribution, error) {
	found, err := c.distributions(ctx, client.MatchingFields{IndexFollowedBy: ref.String()})
	if err != nil {
		return nil, fmt.Errorf("listing what needs %s: %w", ref, err)
	}
	return found, nil
}

// InNamespace implements View.
func (c *Caches) InNamespace(ctx context.Context, namespace string) ([]*v1alpha1.Distribution, error) {
	found, err := c.distributions(ctx, client.InNamespace(namespace))
	if err != nil {
		return nil, fmt.Errorf("listing distributions of %s: %w", namespace, err)
	}
	return found, nil
}

func (c *Caches) distributions(ctx context.Context, of client.ListOption) ([]*v1alpha1.Distribution, error) {
	var list v1alpha1.DistributionList
	if err := c.Reader.List(ctx, &list, of, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	all := make([]*v1alpha1.Distribution, len(list.Items))
	for i := range list.Items {
		all[i] = &list.Items[i]
	}
	return all, nil
}

// Members implements View. Ten thousand decisions after the loss of a member ask for the same facts, so they are made
// once and kept until something changes.
func (c *Caches) Members(ctx context.Context, gvk schema.GroupVersionKind) (Members, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.members == nil {
		if err := c.read(ctx); err != nil {
			return Members{}, err
		}
	}
	if gvk.Empty() {
		return *c.members, nil
	}
	clusters, known := c.lacking[gvk]
	if !known {
		clusters = c.withoutAPI(gvk)
		c.lacking[gvk] = clusters
	}
	return Members{Clusters: clusters, Joined: c.members.Joined}, nil
}

// read needs the lock.
func (c *Caches) read(ctx context.Context) error {
	var clusters v1alpha1.ClusterList
	if err := c.Reader.List(ctx, &clusters, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing clusters: %w", err)
	}
	joined := make(map[string]bool, len(clusters.Items))
	for i := range clusters.Items {
		joined[clusters.Items[i].Name] = true
	}
	c.members = &Members{Clusters: fleetFacts(clusters.Items), Joined: joined}
	c.lacking = map[schema.GroupVersionKind][]placement.Cluster{}
	return nil
}

// noAPI is what a member serves that lacks the one API that is asked for.
var noAPI = map[placement.API]bool{}

// withoutAPI marks the clusters that are known not to serve a kind. It needs the lock.
func (c *Caches) withoutAPI(gvk schema.GroupVersionKind) []placement.Cluster {
	clusters, isOwn := c.members.Clusters, false
	for i := range c.members.Clusters {
		m, ok := c.Fleet.Get(member.Name(c.members.Clusters[i].Name))
		if !ok || m.State().APIs.Count == 0 || m.HasAPI(gvk) {
			continue
		}
		if !isOwn {
			clusters, isOwn = slices.Clone(clusters), true
		}
		clusters[i].APIs = noAPI
	}
	return clusters
}
