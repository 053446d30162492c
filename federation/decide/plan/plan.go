package plan

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/decide/schedule"
	"github.com/hanse-federation/hanse/federation/delivery/apply"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/federation/template/match"
	"github.com/hanse-federation/hanse/placement"
)

// Planner answers Plans.
type Planner struct {
	// Hub is a client configuration that may act as anybody on the hub.
	Hub *rest.Config
	// ID is the hub's identity in the marks of members' objects.
	ID apply.Hub
	// Facts of the present; its fleet has the connections.
	Facts *schedule.Caches
	// Leads reports whether this replica of the hub has the connections to the members.
	Leads func() bool
	// Now is the clock.
	Now func() time.Time
}

// Answer fills in the status of a plan. Errors are those of the API.
func (p *Planner) Answer(ctx context.Context, caller user.Info, plan *v1alpha1.Plan) error {
	if err := check(plan); err != nil {
		return err
	}
	if !p.Leads() {
		return apierrors.NewServiceUnavailable("this replica of the hub has no connections to the members, so it cannot plan:" +
			" the replica that holds the Lease hanse-controllers in hanse-system does; try again")
	}
	hub, err := p.as(caller)
	if err != nil {
		return err
	}
	w := newWorld(p.Facts)
	w.author = match.FormatAuthor(caller)
	subjects := p.read(ctx, hub, w, plan)
	subjects = append(subjects, p.concerned(ctx, hub, w, subjects)...)
	subjects, err = p.decide(ctx, hub, w, subjects)
	if err != nil {
		return err
	}
	plan.Status = v1alpha1.PlanStatus{}
	var work []piece
	for _, s := range subjects {
		if s.isAsBefore() {
			continue
		}
		plan.Status.Objects = append(plan.Status.Objects, s.told())
	}
	if !plan.Spec.DecisionOnly {
		work = p.pieces(w, subjects, plan.Status.Objects)
		p.dryRun(ctx, work)
	}
	if w.overflow {
		plan.Status.Notes = append(plan.Status.Notes,
			fmt.Sprintf("more than %d objects are concerned; not all of them are shown", v1alpha1.MaxPlanned))
	}
	plan.Status.Notes = append(plan.Status.Notes, hidden(w)...)
	plan.Spec.Objects = nil // who asked has them, and they may hold secrets
	return nil
}

// check refuses a question that cannot be understood.
func check(plan *v1alpha1.Plan) error {
	spec, path := &plan.Spec, field.NewPath("spec")
	var problems field.ErrorList
	if n := len(spec.Objects) + len(spec.Templates); n == 0 {
		problems = append(problems, field.Required(path.Child("objects"), "there is nothing to plan"))
	} else if n > v1alpha1.MaxPlanned {
		problems = append(problems, field.TooMany(path.Child("objects"), n, v1alpha1.MaxPlanned))
	}
	if spec.Clusters != "" && spec.Placement != nil {
		problems = append(problems, field.Forbidden(path.Child("placement"), "excludes clusters"))
	}
	if _, err := placement.ParseClusters(spec.Clusters); spec.Clusters != "" && err != nil {
		problems = append(problems, field.Invalid(path.Child("clusters"), spec.Clusters, err.Error()))
	}
	if spec.Placement != nil {
		if err := match.Validate(spec.Placement); err != nil {
			problems = append(problems, field.Invalid(path.Child("placement"), "", err.Error()))
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return apierrors.NewInvalid(v1alpha1.GroupVersion.WithKind("Plan").GroupKind(), plan.Name, problems)
}

// as is a client that acts as the caller.
func (p *Planner) as(caller user.Info) (dynamic.Interface, error) {
	config := rest.CopyConfig(p.Hub)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: caller.GetName(), UID: caller.GetUID(), Groups: caller.GetGroups(), Extra: caller.GetExtra(),
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client of the hub in the name of %s: %w", caller.GetName(), err)
	}
	return client, nil
}

// subject is one object of the plan.
type subject struct {
	named  v1alpha1.PlannedTemplate
	ref    template.Ref
	asked  bool // otherwise it is concerned
	onHub  v1alpha1.Verdict
	err    error
	stays  string
	notes  []string
	kind   template.Kind
	object *unstructured.Unstructured
	// isHidden reports whether the caller may write the object and not read it.
	isHidden bool

	decision schedule.Decision
}

// travels reports whether there is a decision to take.
func (s *subject) travels() bool { return s.err == nil && s.stays == "" && s.object != nil }

// isAsBefore reports whether nothing would change for what was not asked about.
func (s *subject) isAsBefore() bool {
	if s.asked {
		return false
	}
	before, after := s.decision.Previous, s.decision.Spec
	if before == nil || after == nil {
		return before == nil && after == nil
	}
	return equality.Semantic.DeepEqual(before.Spec.Clusters, after.Clusters) &&
		equality.Semantic.DeepEqual(before.Spec.Leaving, after.Leaving) &&
		before.Spec.Placement == after.Placement && before.Spec.Unplaced == after.Unplaced
}

// maxRounds bounds how often decisions that depend on each other are taken again.
const maxRounds = 8

// decide takes all decisions, and again those that depend on what changed, until nothing changes. It returns the
// subjects with those that follow them.
func (p *Planner) decide(ctx context.Context, hub dynamic.Interface, w *world, subjects []*subject) ([]*subject, error) {
	now := p.Now()
	known := map[template.Ref]bool{}
	for _, s := range subjects {
		known[s.ref] = true
	}
	for range maxRounds {
		changed := false
		for i := 0; i < len(subjects); i++ { // it grows on the way
			s := subjects[i]
			if !s.travels() {
				continue
			}
			decision, err := schedule.Decide(ctx, &view{world: w, self: s.ref}, s.ref, now)
			if err != nil && decision.Spec == nil {
				return nil, err
			}
			if err != nil { // the claim cannot be read, and what is stays
				s.notes = []string{err.Error()}
			}
			if !equality.Semantic.DeepEqual(w.planned(s.ref), decision.Spec) || s.decision.Spec == nil {
				changed = changed || !equality.Semantic.DeepEqual(s.decision.Spec, decision.Spec)
			}
			s.decision = decision
			w.plan(s.ref, decision.Spec)
			for _, ref := range w.followers(decision) {
				if known[ref] || len(subjects) >= v1alpha1.MaxPlanned {
					w.overflow = w.overflow || !known[ref]
					continue
				}
				known[ref] = true
				if follower := p.follower(ctx, hub, w, s, ref); follower != nil {
					subjects = append(subjects, follower)
				}
			}
		}
		if !changed {
			break
		}
	}
	return subjects, nil
}

// told is the subject in the words of the API.
func (s *subject) told() v1alpha1.PlannedObject {
	out := v1alpha1.PlannedObject{PlannedTemplate: s.named, Concerned: !s.asked, OnHub: s.onHub, Stays: s.stays, Notes: s.notes}
	if s.err != nil {
		out.Error = s.err.Error()
		return out
	}
	spec := s.decision.Spec
	if spec == nil {
		if out.Stays == "" {
			out.Stays = "no placement claims it"
		}
		return out
	}
	out.Placement, out.Replicas, out.FollowedBy, out.Paused = &spec.Placement, spec.Replicas, spec.FollowedBy, spec.Paused
	out.Unplaced, out.UnplacedReason, out.Surge = spec.Unplaced, spec.UnplacedReason, spec.Surge
	for _, note := range spec.Notes {
		if !slices.Contains(out.Notes, note) {
			out.Notes = append(out.Notes, note)
		}
	}
	for _, c := range spec.Clusters {
		out.Clusters = append(out.Clusters, v1alpha1.PlannedCluster{
			Name: c.Name, Replicas: c.Replicas, Ideal: c.Ideal, Reason: c.Reason, Message: c.Message,
		})
	}
	for _, name := range spec.Leaving {
		out.Clusters = append(out.Clusters, v1alpha1.PlannedCluster{
			Name: name, Leaving: true, Reason: "Leaving", Message: "no longer chosen",
		})
	}
	if s.decision.Engine != nil {
		tellEngine(&out, s.decision.Engine)
	}
	return out
}

// tellEngine adds what only the engine's answer has.
func tellEngine(out *v1alpha1.PlannedObject, d *placement.Decision) {
	out.Mode = string(d.Mode)
	out.Moves = schedule.MovesOf(d.Changes)
	for _, share := range d.Clusters {
		for i := range out.Clusters {
			if out.Clusters[i].Name == share.Name && share.Clamps != 0 {
				out.Clusters[i].Clamps = strings.Split(share.Clamps.String(), ",")
			}
		}
	}
	for _, r := range d.Rejected {
		told := v1alpha1.PlannedRejection{Name: r.Name, Reasons: []v1alpha1.PlannedReason{reason(r.Reason)}}
		for _, more := range r.All {
			if more != r.Reason {
				told.Reasons = append(told.Reasons, reason(more))
			}
		}
		out.Rejected = append(out.Rejected, told)
	}
}

func reason(r placement.Reason) v1alpha1.PlannedReason {
	return v1alpha1.PlannedReason{Reason: string(r.Code), Message: r.Message}
}

// named is how a plan names a template.
func named(ref template.Ref, version string) v1alpha1.PlannedTemplate {
	gv := schema.GroupVersion{Group: ref.Group, Version: version}
	return v1alpha1.PlannedTemplate{APIVersion: gv.String(), Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name}
}
