package plan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/dynamic"

	"github.com/hanse-federation/hanse/api/v1alpha1"
	"github.com/hanse-federation/hanse/federation/template"
	"github.com/hanse-federation/hanse/federation/template/match"
)

// fieldManager is whose fields the plan's objects are, see the package's considerations.
const fieldManager = "hanse-place"

// read makes subjects of what the plan asks about, and lays them over the world.
func (p *Planner) read(ctx context.Context, hub dynamic.Interface, w *world, plan *v1alpha1.Plan) []*subject {
	var subjects []*subject
	for _, raw := range plan.Spec.Objects {
		s := &subject{asked: true}
		obj := &unstructured.Unstructured{}
		if err := obj.UnmarshalJSON(raw.Raw); err != nil {
			s.err = fmt.Errorf("it is no manifest: %w", err)
		} else {
			p.apply(ctx, hub, w, s, obj, plan.Spec.Clusters)
		}
		subjects = append(subjects, s)
	}
	for _, name := range plan.Spec.Templates {
		gvk := schema.FromAPIVersionAndKind(name.APIVersion, name.Kind)
		s := &subject{asked: true, named: name,
			ref: template.Ref{Group: gvk.Group, Kind: gvk.Kind, Namespace: name.Namespace, Name: name.Name}}
		p.get(ctx, hub, s)
		subjects = append(subjects, s)
	}
	for _, s := range subjects { // all placements hold for all objects, whatever their order
		if s.object != nil {
			s.err = errors.Join(s.err, w.lay(s.ref, s.object))
		}
		if plan.Spec.Placement != nil && s.travels() && travelsAlone(s.ref) {
			source := v1alpha1.PlacementReference{Kind: "Plan"}
			claimed, err := match.Of(source, plan.Spec.Placement)
			claimed.Author = w.author
			s.err = errors.Join(s.err, err)
			w.claimed[s.ref] = &claimed
		}
	}
	return subjects
}

// travelsAlone reports whether an object of a plan gets the plan's own placement. Namespaces are made on demand.
func travelsAlone(ref template.Ref) bool { return ref.Kind != "Namespace" || ref.Group != "" }

// ownResources are the kinds of ours that a plan understands.
var ownResources = map[string]template.Kind{
	"Placement": {GroupVersionKind: v1alpha1.GroupVersion.WithKind("Placement"), Resource: "placements", Namespaced: true},
	"ClusterPlacement": {
		GroupVersionKind: v1alpha1.GroupVersion.WithKind("ClusterPlacement"), Resource: "clusterplacements",
	},
}

// apply applies an object to the hub as a dry-run.
func (p *Planner) apply(ctx context.Context, hub dynamic.Interface, w *world, s *subject, obj *unstructured.Unstructured, line string) {
	s.named = v1alpha1.PlannedTemplate{
		APIVersion: obj.GetAPIVersion(), Kind: obj.GetKind(), Namespace: obj.GetNamespace(), Name: obj.GetName(),
	}
	if obj.GetName() == "" {
		s.err = errors.New("metadata.name is missing")
		return
	}
	s.ref = template.RefOf(obj)
	if !p.find(s, obj) {
		return
	}
	if line != "" && s.stays == "" && travelsAlone(s.ref) {
		annotations := maps.Clone(obj.GetAnnotations())
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[v1alpha1.ClustersAnnotation] = line
		obj.SetAnnotations(annotations)
	}
	obj.SetManagedFields(nil)
	unstructured.RemoveNestedField(obj.Object, "status")
	present, isThere := w.Facts.Template(s.ref)
	after, err := hub.Resource(s.kind.GroupVersion().WithResource(s.kind.Resource)).Namespace(s.ref.Namespace).
		Apply(ctx, s.ref.Name, obj, metav1.ApplyOptions{
			FieldManager: fieldManager, Force: true, DryRun: []string{metav1.DryRunAll},
		})
	switch {
	case isNamespaceMissing(err):
		obj.SetUID(uuid.NewUUID()) // as the hub would
		annotations := maps.Clone(obj.GetAnnotations())
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[v1alpha1.AuthorAnnotation] = w.author
		obj.SetAnnotations(annotations)
		s.object, s.onHub = obj, v1alpha1.VerdictCreated
		s.notes = append(s.notes, fmt.Sprintf("the namespace %s is not on the hub yet, so the manifest is planned as it is,"+
			" without the hub's defaults and checks", s.ref.Namespace))
		return
	case err != nil:
		s.onHub, s.err = v1alpha1.VerdictFailed, err
		return
	}
	after.SetManagedFields(nil)
	s.object, s.onHub = after, v1alpha1.VerdictConfigured
	s.isHidden = !p.mayRead(ctx, hub, s)
	switch {
	case s.ref.Group == v1alpha1.GroupVersion.Group:
		s.onHub = ""
	case !isThere:
		s.onHub = v1alpha1.VerdictCreated
	case equality.Semantic.DeepEqual(present.Object, after.Object):
		s.onHub = v1alpha1.VerdictUnchanged
	}
}

// find looks up how the hub serves the kind of an object; false if it does not.
func (p *Planner) find(s *subject, obj *unstructured.Unstructured) bool {
	gk := s.ref.GroupKind()
	if own, ok := ownResources[gk.Kind]; ok && gk.Group == v1alpha1.GroupVersion.Group {
		s.kind, s.stays = own, "it says where others go"
	} else if why, local := template.IsLocal(gk); local {
		s.stays = fmt.Sprintf("objects of its kind do not travel: it %s", why)
		return false
	} else if s.kind, ok = p.Facts.Kind(gk); !ok {
		s.err = fmt.Errorf("the hub does not serve the kind %s; apply its CustomResourceDefinition first", gk)
		return false
	}
	switch {
	case s.kind.Namespaced && obj.GetNamespace() == "":
		obj.SetNamespace(metav1.NamespaceDefault)
	case !s.kind.Namespaced:
		obj.SetNamespace("")
	}
	s.kind.Version = obj.GroupVersionKind().Version
	s.ref.Namespace, s.named.Namespace = obj.GetNamespace(), obj.GetNamespace()
	if why, stays := template.StaysOnHub(obj); stays && s.stays == "" {
		s.stays = "it never goes to a member: " + why
	}
	return true
}

func isNamespaceMissing(err error) bool {
	var status apierrors.APIStatus
	return apierrors.IsNotFound(err) && errors.As(err, &status) &&
		status.Status().Details != nil && status.Status().Details.Kind == "namespaces"
}

// get reads an object of the hub in the name of the caller.
func (p *Planner) get(ctx context.Context, hub dynamic.Interface, s *subject) {
	kind, ok := p.Facts.Kind(s.ref.GroupKind())
	if !ok {
		s.err = fmt.Errorf("the hub has no templates of the kind %s", s.ref.GroupKind())
		return
	}
	s.kind, s.named = kind, named(s.ref, kind.Version)
	found, err := hub.Resource(kind.GVR()).Namespace(s.ref.Namespace).Get(ctx, s.ref.Name, metav1.GetOptions{})
	if err != nil {
		s.err = err
		return
	}
	found.SetManagedFields(nil)
	s.object = found
}

// mayRead reports whether the caller may read an object that they may write. An object that is not there yet counts as
// one that they may read if they may ask for it.
func (p *Planner) mayRead(ctx context.Context, hub dynamic.Interface, s *subject) bool {
	_, err := hub.Resource(s.kind.GroupVersion().WithResource(s.kind.Resource)).Namespace(s.ref.Namespace).
		Get(ctx, s.ref.Name, metav1.GetOptions{})
	return err == nil || apierrors.IsNotFound(err)
}

// follower is a template that goes where one of the plan does, as the caller reads it; nil if there is none, or if they
// may not read it. The hub does not say which of the two it is.
func (p *Planner) follower(ctx context.Context, hub dynamic.Interface, w *world, by *subject, ref template.Ref) *subject {
	s := &subject{ref: ref}
	p.get(ctx, hub, s)
	isNamed := by.decision.Spec != nil && slices.Contains(by.decision.Spec.FollowedBy, ref.String())
	if apierrors.IsForbidden(s.err) && isNamed {
		w.hidden = append(w.hidden, ref)
	}
	if s.err != nil {
		return nil
	}
	return s
}

// hidden says what else goes along that the caller does not see, if it is there.
func hidden(w *world) []string {
	var notes []string
	for _, ref := range w.hidden {
		notes = append(notes, fmt.Sprintf("%s is not shown, whether it is on the hub or not: you may not read it", ref))
	}
	slices.Sort(notes)
	return notes
}

// concerned are the templates on the hub that a placement of the plan claims, or claimed before.
func (p *Planner) concerned(ctx context.Context, hub dynamic.Interface, w *world, asked []*subject) []*subject {
	known := map[template.Ref]bool{}
	for _, s := range asked {
		known[s.ref] = true
	}
	var all []*subject
	for _, key := range w.placements {
		p.Facts.Templates.Each(schema.GroupKind{}, key.Namespace, func(obj *unstructured.Unstructured) bool {
			ref := template.RefOf(obj)
			if known[ref] || !p.Facts.Claims.Claims(key, obj) && !w.claims.Claims(key, obj) {
				return true
			}
			if len(known) >= v1alpha1.MaxPlanned {
				w.overflow = true
				return false
			}
			known[ref] = true
			s := &subject{ref: ref}
			if p.get(ctx, hub, s); s.err == nil { // otherwise it is not for the caller's eyes
				all = append(all, s)
			}
			return true
		})
	}
	return all
}

// typed reads an object as one of our kinds.
func typed(obj *unstructured.Unstructured, into any) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, into); err == nil {
		return nil
	}
	raw, err := json.Marshal(obj.Object)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
