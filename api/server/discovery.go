package server

import (
	"cmp"
	"net"
	"net/http"
	"slices"
	"sync/atomic"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/endpoints/discovery"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
)

// catalogue answers what kinds there are, in the old form (a document a group version) and in the aggregated one.
// Both come from the same list, so they cannot disagree.
type catalogue struct {
	codecs runtime.NegotiatedSerializer
	core   aggregated.ResourceManager // /api
	named  aggregated.ResourceManager // /apis

	native  []apidiscoveryv2.APIGroupDiscovery
	reviews []Review // shown in groups that CRDs define
	view    atomic.Pointer[catalogueView]
}

// catalogueView is what the handlers read; it is replaced as a whole.
type catalogueView struct {
	groups []apidiscoveryv2.APIGroupDiscovery // core first
	serves map[schema.GroupResource]bool
}

func newCatalogue() *catalogue {
	c := &catalogue{
		codecs: discoveryCodecs,
		core:   aggregated.NewResourceManager("api"),
		named:  aggregated.NewResourceManager("apis"),
	}
	c.view.Store(&catalogueView{})
	return c
}

// setNative sets the native groups, in the order in which clients prefer them.
func (c *catalogue) setNative(groups []apidiscoveryv2.APIGroupDiscovery) error {
	c.native = groups
	for i, group := range groups {
		manager := c.named
		if group.Name == "" {
			manager = c.core
		}
		for j, v := range group.Versions {
			manager.AddGroupVersion(group.Name, v)
			manager.SetGroupVersionPriority(metav1.GroupVersion{Group: group.Name, Version: v.Version}, 20000-i, 100-j)
		}
	}
	c.publish(nil)
	return nil
}

// setCustom replaces the kinds that CRDs define.
func (c *catalogue) setCustom(crds []*apiextensionsv1.CustomResourceDefinition) {
	groups := customGroups(crds)
	for _, r := range c.reviews {
		showReview(groups, r)
	}
	manager := c.named.WithSource(aggregated.CRDSource)
	for _, old := range c.view.Load().groups {
		if !slices.ContainsFunc(groups, func(g apidiscoveryv2.APIGroupDiscovery) bool { return g.Name == old.Name }) {
			manager.RemoveGroup(old.Name)
		}
	}
	for _, group := range groups {
		for _, old := range c.view.Load().group(group.Name).Versions {
			if !slices.ContainsFunc(group.Versions, sameVersion(old.Version)) {
				manager.RemoveGroupVersion(metav1.GroupVersion{Group: group.Name, Version: old.Version})
			}
		}
		for i, v := range group.Versions {
			manager.AddGroupVersion(group.Name, v)
			manager.SetGroupVersionPriority(metav1.GroupVersion{Group: group.Name, Version: v.Version}, 1000, 100-i)
		}
	}
	c.publish(groups)
}

// showReview adds a question to the kinds of its group version.
func showReview(groups []apidiscoveryv2.APIGroupDiscovery, r Review) {
	kind := metav1.GroupVersionKind(r.Kind)
	for i := range groups {
		if groups[i].Name != kind.Group {
			continue
		}
		for j := range groups[i].Versions {
			if v := &groups[i].Versions[j]; v.Version == kind.Version {
				v.Resources = append(v.Resources, apidiscoveryv2.APIResourceDiscovery{
					Resource: r.Resource, SingularResource: r.Singular, ResponseKind: &kind,
					Scope: apidiscoveryv2.ScopeCluster, Verbs: []string{"create"},
				})
			}
		}
	}
}

func sameVersion(name string) func(apidiscoveryv2.APIVersionDiscovery) bool {
	return func(v apidiscoveryv2.APIVersionDiscovery) bool { return v.Version == name }
}

func (c *catalogue) publish(custom []apidiscoveryv2.APIGroupDiscovery) {
	view := &catalogueView{groups: slices.Clone(c.native), serves: map[schema.GroupResource]bool{}}
	for _, group := range custom {
		i := slices.IndexFunc(view.groups, func(g apidiscoveryv2.APIGroupDiscovery) bool { return g.Name == group.Name })
		if i >= 0 { // a CRD in a native group
			view.groups[i].Versions = mergeVersions(view.groups[i].Versions, group.Versions)
			continue
		}
		view.groups = append(view.groups, group)
	}
	for _, group := range view.groups {
		for _, v := range group.Versions {
			for _, r := range v.Resources {
				view.serves[schema.GroupResource{Group: group.Name, Resource: r.Resource}] = true
			}
		}
	}
	c.view.Store(view)
}

func mergeVersions(a, b []apidiscoveryv2.APIVersionDiscovery) []apidiscoveryv2.APIVersionDiscovery {
	out := slices.Clone(a)
	for _, v := range b {
		if i := slices.IndexFunc(out, sameVersion(v.Version)); i >= 0 {
			out[i].Resources = slices.Concat(out[i].Resources, v.Resources)
		} else {
			out = append(out, v)
		}
	}
	return out
}

// serves says whether the kind is known to discovery.
func (c *catalogue) serves(group, resource string) bool {
	return c.view.Load().serves[schema.GroupResource{Group: group, Resource: resource}]
}

// group returns the group of that name, or an empty one.
func (v *catalogueView) group(name string) apidiscoveryv2.APIGroupDiscovery {
	for _, group := range v.groups {
		if group.Name == name {
			return group
		}
	}
	return apidiscoveryv2.APIGroupDiscovery{}
}

// customGroups describes CRDs as discovery does, groups by name and versions by priority.
func customGroups(crds []*apiextensionsv1.CustomResourceDefinition) []apidiscoveryv2.APIGroupDiscovery {
	var out []apidiscoveryv2.APIGroupDiscovery
	for _, crd := range crds { // sorted by group
		if len(out) == 0 || out[len(out)-1].Name != crd.Spec.Group {
			out = append(out, apidiscoveryv2.APIGroupDiscovery{ObjectMeta: metav1.ObjectMeta{Name: crd.Spec.Group}})
		}
		group := &out[len(out)-1]
		for i := range crd.Spec.Versions {
			v := &crd.Spec.Versions[i]
			if !v.Served {
				continue
			}
			at := slices.IndexFunc(group.Versions, sameVersion(v.Name))
			if at < 0 {
				group.Versions = append(group.Versions, apidiscoveryv2.APIVersionDiscovery{
					Version: v.Name, Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent,
				})
				at = len(group.Versions) - 1
			}
			group.Versions[at].Resources = append(group.Versions[at].Resources, customResource(crd, v))
		}
	}
	for i := range out {
		slices.SortFunc(out[i].Versions, func(a, b apidiscoveryv2.APIVersionDiscovery) int {
			return -version.CompareKubeAwareVersionStrings(a.Version, b.Version)
		})
	}
	return out
}

// customResource describes one version of a CRD.
func customResource(crd *apiextensionsv1.CustomResourceDefinition,
	v *apiextensionsv1.CustomResourceDefinitionVersion) apidiscoveryv2.APIResourceDiscovery {
	names := crd.Status.AcceptedNames
	kind := &metav1.GroupVersionKind{Group: crd.Spec.Group, Version: v.Name, Kind: names.Kind}
	out := apidiscoveryv2.APIResourceDiscovery{
		Resource: names.Plural, SingularResource: names.Singular, ResponseKind: kind, Scope: apidiscoveryv2.ScopeCluster,
		Verbs: storedVerbs, ShortNames: names.ShortNames, Categories: names.Categories,
	}
	if crd.Spec.Scope == apiextensionsv1.NamespaceScoped {
		out.Scope = apidiscoveryv2.ScopeNamespace
	}
	if !crd.DeletionTimestamp.IsZero() {
		out.Verbs = []string{"delete", "deletecollection", "get", "list", "watch"}
	}
	if v.Subresources != nil && v.Subresources.Status != nil {
		out.Subresources = append(out.Subresources, apidiscoveryv2.APISubresourceDiscovery{
			Subresource: "status", ResponseKind: kind, Verbs: subresourceVerbs,
		})
	}
	if v.Subresources != nil && v.Subresources.Scale != nil {
		scaled := metav1.GroupVersionKind(scaleKind)
		out.Subresources = append(out.Subresources, apidiscoveryv2.APISubresourceDiscovery{
			Subresource: "scale", ResponseKind: &scaled, Verbs: subresourceVerbs,
		})
	}
	return out
}

// serveCore answers /api.
func (c *catalogue) serveCore(w http.ResponseWriter, req *http.Request) {
	old := discovery.NewLegacyRootAPIHandler(noAddresses{}, c.codecs, "/api")
	aggregated.WrapAggregatedDiscoveryToHandler(old, c.core, nil).ServeHTTP(w, req)
}

// serveGroups answers /apis.
func (c *catalogue) serveGroups(w http.ResponseWriter, req *http.Request) {
	old := discovery.NewRootAPIsHandler(noAddresses{}, c.codecs)
	for _, group := range c.view.Load().groups {
		if group.Name != "" {
			old.AddGroup(oldGroup(group))
		}
	}
	aggregated.WrapAggregatedDiscoveryToHandler(old, c.named, nil).ServeHTTP(w, req)
}

// serveGroup answers /apis/<group>.
func (c *catalogue) serveGroup(w http.ResponseWriter, req *http.Request, name string) {
	group := c.view.Load().group(name)
	if len(group.Versions) == 0 || name == "" {
		notFound(w, req)
		return
	}
	discovery.NewAPIGroupHandler(c.codecs, oldGroup(group)).ServeHTTP(w, req)
}

// serveVersion answers /api/v1 and /apis/<group>/<version>.
func (c *catalogue) serveVersion(w http.ResponseWriter, req *http.Request, gv schema.GroupVersion) {
	group := c.view.Load().group(gv.Group)
	i := slices.IndexFunc(group.Versions, sameVersion(gv.Version))
	if i < 0 {
		notFound(w, req)
		return
	}
	list := discovery.APIResourceListerFunc(func() []metav1.APIResource { return oldResources(gv, group.Versions[i]) })
	discovery.NewAPIVersionHandler(c.codecs, gv, list).ServeHTTP(w, req)
}

// oldGroup is a group in the old form.
func oldGroup(group apidiscoveryv2.APIGroupDiscovery) metav1.APIGroup {
	out := metav1.APIGroup{Name: group.Name}
	for _, v := range group.Versions {
		out.Versions = append(out.Versions, metav1.GroupVersionForDiscovery{
			GroupVersion: group.Name + "/" + v.Version, Version: v.Version,
		})
	}
	out.PreferredVersion = out.Versions[0]
	return out
}

// oldResources are the kinds of a group version in the old form, where a subresource is an entry of its own.
func oldResources(gv schema.GroupVersion, v apidiscoveryv2.APIVersionDiscovery) []metav1.APIResource {
	var out []metav1.APIResource
	for _, r := range v.Resources {
		entry := metav1.APIResource{
			Name: r.Resource, SingularName: r.SingularResource, Namespaced: r.Scope == apidiscoveryv2.ScopeNamespace,
			Kind: r.ResponseKind.Kind, Verbs: r.Verbs, ShortNames: r.ShortNames, Categories: r.Categories,
		}
		if slices.Contains(r.Verbs, "list") {
			entry.StorageVersionHash = discovery.StorageVersionHash(gv.Group, gv.Version, r.ResponseKind.Kind)
		}
		out = append(out, entry)
		for _, sub := range r.Subresources {
			part := metav1.APIResource{
				Name: r.Resource + "/" + sub.Subresource, Namespaced: entry.Namespaced, Kind: sub.ResponseKind.Kind,
				Verbs: sub.Verbs,
			}
			if kind := schema.GroupVersionKind(*sub.ResponseKind); kind.GroupVersion() != gv {
				part.Group, part.Version = kind.Group, kind.Version
			}
			out = append(out, part)
		}
	}
	return out
}

// noAddresses leaves serverAddressByClientCIDRs empty: clients go on talking to the address they found.
type noAddresses struct{}

// ServerAddressByClientCIDRs implements discovery.Addresses.
func (noAddresses) ServerAddressByClientCIDRs(_ net.IP) []metav1.ServerAddressByClientCIDR {
	return nil
}

func compare(a, b string) int { return cmp.Compare(a, b) }
