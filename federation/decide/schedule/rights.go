package schedule

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/template/match"
	"github.com/hanse-federation/hanse/placement"
)

// May reports whether a user has a verb on a resource of hanse.io that has no namespace; an empty name stands for all of
// them.
type May func(ctx context.Context, who user.Info, verb, resource, name string) bool

// Rights are who may place in which cluster, as decisions were told last. The zero value permits everything.
type Rights struct {
	// May is asked. Nil: everybody may do everything.
	May May

	mu    sync.Mutex
	known map[right]bool // of every author since the start: a decision that stands depends on what it was told
}

// right is the right of an author to place in a cluster; without a name, in all of them.
type right struct{ author, cluster string }

// rightsPeriod is how often the rights that decisions depend on are asked for again. Roles, their bindings and what they
// aggregate change in many ways; asking again finds them all, and costs a look into memory each.
const rightsPeriod = 2 * time.Second

// place reports whether the author of a placement may place in a cluster; an empty name stands for all clusters.
func (r *Rights) place(ctx context.Context, author, cluster string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := right{author, cluster}
	if may, isKnown := r.known[key]; isKnown {
		return may
	}
	if r.known == nil {
		r.known = map[right]bool{}
	}
	may := r.May(ctx, match.ParseAuthor(author), "place", "clusters", cluster)
	r.known[key] = may
	return may
}

// Changed asks for all rights again that decisions depend on, and reports whether one has changed. What decisions are
// told from then on is new.
func (r *Rights) Changed(ctx context.Context) bool {
	if r == nil || r.May == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := false
	for key, before := range r.known {
		may := r.May(ctx, match.ParseAuthor(key.author), "place", "clusters", key.cluster)
		changed = changed || may != before
		r.known[key] = may
	}
	return changed
}

// watchRights looks again at all decisions when a right that they depend on has changed, until the context ends.
func (s *Source) watchRights(ctx context.Context) {
	tick := time.NewTicker(rightsPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if s.Facts.Rights.Changed(ctx) {
				s.Again()
			}
		}
	}
}

// NotPermitted says, by cluster, why the author of a placement may not place there.
func (r *Rights) NotPermitted(ctx context.Context, author string, clusters []placement.Cluster) map[string]string {
	if r == nil || r.May == nil || r.place(ctx, author, "") {
		return nil
	}
	why := map[string]string{}
	for i := range clusters {
		if name := clusters[i].Name; !r.place(ctx, author, name) {
			why[name] = fmt.Sprintf("%s may not place there: the verb place on clusters/%s is missing", nameOf(author), name)
		}
	}
	return why
}

// nameOf is the author in a message.
func nameOf(author string) string {
	if name := match.ParseAuthor(author).GetName(); name != "" {
		return name
	}
	return "its author, who was not recorded,"
}

// judged are the clusters with what the author of the claim may not use.
func judged(clusters []placement.Cluster, why map[string]string) []placement.Cluster {
	if len(why) == 0 {
		return clusters
	}
	all := slices.Clone(clusters)
	for i := range all {
		all[i].NotPermitted = why[all[i].Name]
	}
	return all
}

// giveRights says which clusters a decision wants or has without its author's right to them.
func giveRights(f facts, spec *v1alpha1.DistributionSpec) {
	for i := range f.clusters {
		c := &f.clusters[i]
		if c.NotPermitted == "" {
			continue
		}
		isHeld := slices.ContainsFunc(spec.Clusters, func(d v1alpha1.DistributionCluster) bool { return d.Name == c.Name })
		isRejected := slices.ContainsFunc(spec.Rejected, func(r v1alpha1.RejectedCluster) bool {
			return r.Name == c.Name && r.Reason == string(placement.CodeNotPermitted)
		})
		switch {
		case isHeld:
			spec.Notes = append(spec.Notes, fmt.Sprintf("%s: what is there stays, and nothing new comes: %s", c.Name, c.NotPermitted))
		case isRejected:
			spec.Notes = append(spec.Notes, c.Name+": "+c.NotPermitted)
		default:
			continue
		}
		spec.NotPermitted = append(spec.NotPermitted, c.Name)
	}
}
