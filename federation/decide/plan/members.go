package plan

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/delivery/apply"
	"github.com/hanse-federation/hanse/federation/delivery/propagate"
	"github.com/hanse-federation/hanse/federation/member"
)

// piece is one object in one member, and where the answer goes.
type piece struct {
	subject *subject
	world   *world
	into    *v1alpha1.PlannedCluster
}

// Limits of the questions to members.
const (
	// atOnce is how many questions one plan asks one member at once.
	atOnce = 8
	// patience with one answer.
	patience = 15 * time.Second
)

// pieces pairs the subjects with the answers that they are told in.
func (p *Planner) pieces(w *world, subjects []*subject, told []v1alpha1.PlannedObject) []piece {
	var all []piece
	next := 0
	for _, s := range subjects {
		if s.isAsBefore() {
			continue
		}
		for i := range told[next].Clusters {
			all = append(all, piece{subject: s, world: w, into: &told[next].Clusters[i]})
		}
		next++
	}
	return all
}

// dryRun asks the members. Each has a limit of its own, so that a slow one delays no answer of another.
func (p *Planner) dryRun(ctx context.Context, work []piece) {
	slots := map[string]chan struct{}{}
	for _, w := range work {
		if slots[w.into.Name] == nil {
			slots[w.into.Name] = make(chan struct{}, atOnce)
		}
	}
	var group sync.WaitGroup
	for _, w := range work {
		slot := slots[w.into.Name]
		group.Go(func() {
			slot <- struct{}{}
			defer func() { <-slot }()
			asking, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			p.ask(asking, w)
		})
	}
	group.Wait()
}

// ask fills in what would happen in one member.
func (p *Planner) ask(ctx context.Context, w piece) {
	cluster := &v1alpha1.Cluster{}
	if err := p.Facts.Reader.Get(ctx, client.ObjectKey{Name: w.into.Name}, cluster); err != nil {
		w.say(v1alpha1.VerdictPending, "MemberNotReady", "the member has not joined")
		return
	}
	m, connected := p.Facts.Fleet.Get(member.Name(w.into.Name))
	switch {
	case w.subject.decision.Spec.Paused || cluster.Spec.Paused:
		w.say(v1alpha1.VerdictSkipped, "Paused", "nothing is changed in the member while it, or the placement, is paused")
	case !connected:
		w.say(v1alpha1.VerdictPending, "MemberNotReady", "there is no connection to the member")
	case !m.State().IsReady():
		w.say(v1alpha1.VerdictPending, "MemberNotReady", fmt.Sprintf("%s: %s", m.State().Reason, m.State().Message))
	case w.into.Leaving:
		p.askRemoval(ctx, w, m, cluster)
	default:
		p.askApply(ctx, w, m, cluster)
	}
}

func (w piece) say(verdict v1alpha1.Verdict, reason, message string) {
	w.into.Verdict, w.into.VerdictReason, w.into.VerdictMessage = verdict, reason, message
}

// askApply is the dry-run of an apply.
func (p *Planner) askApply(ctx context.Context, w piece, m *member.Member, cluster *v1alpha1.Cluster) {
	s := w.subject
	rendered, err := propagate.Render(propagate.Piece{
		Ref: s.ref, Template: s.object, Share: s.share(w.into.Name), Cluster: cluster, Overrides: w.overrides(),
		Live: w.autoscaled(ctx, m), Autoscaled: true,
		Rules: p.Facts.Rules,
	})
	if err != nil {
		w.say(v1alpha1.VerdictFailed, "CannotRender", err.Error())
		return
	}
	changes, result := apply.Diff(ctx, m, rendered, propagate.ApplyOptions(p.ID, s.object.GetUID(), s.decision.Spec))
	switch result.Reason {
	case apply.ReasonNamespaceMissing:
		w.say(v1alpha1.VerdictCreated, "", fmt.Sprintf("the namespace %s is made there as well", s.ref.Namespace))
		return
	case apply.ReasonDryRun:
		result.Reason = ""
	}
	w.say(v1alpha1.Verdict(result.Verdict), string(result.Reason), result.Message)
	if result.Verdict == apply.Created {
		return // the manifest says it all
	}
	if s.isHidden {
		return // the member's copy is the object that the caller may not read
	}
	for _, c := range changes {
		w.into.Changes = append(w.into.Changes, v1alpha1.PlannedChange{
			Op: string(c.Op), Path: c.Path, From: c.From, To: c.To,
		})
	}
}

// share is the member's part as the decision has it.
func (s *subject) share(name string) v1alpha1.DistributionCluster {
	for _, c := range s.decision.Spec.Clusters {
		if c.Name == name {
			return c
		}
	}
	return v1alpha1.DistributionCluster{Name: name}
}

// overrides of the placement that decides.
func (w piece) overrides() []v1alpha1.Override {
	if claimed := w.world.claimed[w.subject.ref]; claimed != nil {
		return claimed.Overrides
	}
	key, isPlacement := propagate.PlacementOf(&v1alpha1.Distribution{Spec: *w.subject.decision.Spec})
	if !isPlacement {
		return nil
	}
	claimed, _ := w.world.claims.Get(key)
	return claimed.Overrides
}

// autoscaled is the member's object if an autoscaler has it as its target: it keeps its replicas. Otherwise nil.
func (w piece) autoscaled(ctx context.Context, m *member.Member) *unstructured.Unstructured {
	if !w.world.isAutoscaled(w.subject.ref) {
		return nil
	}
	live, err := look(ctx, m, w.subject)
	if err != nil {
		return nil // the dry-run will meet the same trouble and tell
	}
	return live
}

// look reads the member's object; nil if there is none.
func look(ctx context.Context, m *member.Member, s *subject) (*unstructured.Unstructured, error) {
	mapping, err := m.Mapper().RESTMapping(s.ref.GroupKind(), s.kind.Version)
	if meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	live, err := m.Dynamic().Resource(mapping.Resource).Namespace(s.ref.Namespace).Get(ctx, s.ref.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return live, err
}

// askRemoval says what would become of the copy in a member that is left.
func (p *Planner) askRemoval(ctx context.Context, w piece, m *member.Member, cluster *v1alpha1.Cluster) {
	live, err := look(ctx, m, w.subject)
	spec := w.subject.decision.Spec
	isOrphaned := spec.OnDelete == v1alpha1.OrphanCopies ||
		cluster.Annotations[v1alpha1.OnDeleteAnnotation] == string(v1alpha1.OrphanCopies)
	switch {
	case err != nil:
		w.say(v1alpha1.VerdictFailed, "Unknown", err.Error())
	case live == nil:
		w.say(v1alpha1.VerdictUnchanged, "", "there is no copy")
	case !isOf(live, p.ID, spec.Template.UID):
		w.say(v1alpha1.VerdictSkipped, string(apply.ReasonForeign), "the object there is not this hub's; it is left alone")
	case isOrphaned, live.GetAnnotations()[apply.AnnotationAdopted] == "true":
		w.say(v1alpha1.VerdictSkipped, string(apply.ReasonKept), "the object stays, without the hub's marks")
	default:
		w.say(v1alpha1.VerdictDeleted, "", "")
	}
}

func isOf(live *unstructured.Unstructured, hub apply.Hub, uid types.UID) bool {
	from := apply.TemplateOf(live)
	return apply.IsOurs(live, hub) && (from == "" || uid == "" || from == uid)
}
